"""The networks on which every target is to be exact, in the form that the target takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain, islice, product
from typing import Any, Protocol, get_args

import numpy as np

from lehr.arithmetic import BiasTo, DecayForm, Overflow, Reset, ResetTiming, Rounding
from lehr.network import Network
from lehr.nodes import Delay
from lehr.simulate import simulate
from lehr.targets.conformance.building import Images, Style, flowing
from lehr.targets.conformance.by_layer import BY_LAYER
from lehr.targets.conformance.claims import Claim, Example, exercised
from lehr.targets.conformance.cores import CORES
from lehr.targets.conformance.crossbars import CROSSBARS
from lehr.targets.conformance.forms import (
    CONVOLUTION,
    CONVOLUTIONAL,
    EVENTS,
    FORMS,
    HEARS_ITSELF,
    RECURRENT,
    SMALLEST,
    WIDE,
    convolved,
    delayed,
    pooled,
)
from lehr.targets.conformance.in_fields import RAILS, InFields
from lehr.targets.conformance.maxima import maxima
from lehr.targets.conformance.networks import MEMBRANE_READOUTS
from lehr.targets.conformance.one_sign import ONE_SIGN, MachineAtItsRails
from lehr.targets.conformance.programs import PROGRAMS
from lehr.targets.conformance.scaled import scaled
from lehr.targets.conformance.upsampled import upsampled
from lehr.targets.conformance.without_rails import WITHOUT_RAILS
from lehr.targets.conformance.xylo import ON_XYLO
from lehr.targets.contract import Target
from lehr.weights import KINDS

FEW = 4
"""Golden networks that are enough where a network is as good as another."""


class Golden(Protocol):
    """A network to be exact on: what it is there for, and how it is made for a target."""

    @property
    def name(self) -> str:
        """Name that tests are called after."""

    def tells(self, target: Target) -> tuple[Claim, ...]:
        """Return what it is there to exercise, for a target."""

    def groups(self, target: Target) -> Iterator[Iterator[tuple[Network, Images]]]:
        """Networks to try, and samples: in each group of one form, with other numbers."""


# -------------------------------------------------------------------- the list
def _of(name: str, *exercised: str, **given: Any) -> InFields:
    """Return a golden network with some fields.

    It exercises those of them that are named, all if none is.
    """
    return InFields(name, fields=given, exercised=exercised or tuple(given))


def _membranes() -> Iterator[InFields]:
    """Yield one arithmetic of the membrane after the other."""
    for form, rounding in product(get_args(DecayForm), get_args(Rounding)):
        # rounded to the nearest, a decay by (2^n - 1) / 2^n is the same in both forms
        exercised = ("rounding",) if rounding == "nearest_even" else ("decay_form", "rounding")
        yield _of(f"decay_{form}_{rounding}", *exercised, decay_form=form, rounding=rounding)
    for reset, timing in product(get_args(Reset), get_args(ResetTiming)):
        exercised = ("reset",) if reset == "none" else ("reset", "reset_timing")
        yield _of(f"reset_{reset}_{timing}", *exercised, reset=reset, reset_timing=timing)
    for fires in ("gt", "ge"):
        yield _of(f"fires_{fires}", fires=fires)
    yield _of("fires_gt_reset_zero", "fires", fires="gt", reset="zero")
    yield InFields(
        "most_fraction_bits",
        (*SMALLEST, ONE_SIGN),
        most=("fraction_bits", "state_bits"),
        exercised=("fraction_bits",),
    )
    for bits in (0, 5):
        yield InFields(
            f"fraction_bits_{bits}",
            fields={"fraction_bits": bits},
            most=("state_bits",),
            exercised=("fraction_bits",),
        )
    for name, numerator, shift in (
        ("no_leak", 1, 0),
        ("no_memory", 0, 4),
        ("slow_leak", 65535, 16),
        ("odd_leak", 11, 4),
    ):
        yield InFields(
            name,
            fields={"decay_form": "multiply", "decay_numerator": numerator, "decay_shift": shift},
        )
    yield _of("update_event", "update", update="event", reset_timing="same_step")


def _rails() -> Iterator[InFields]:
    """Membranes that leave their width upwards and downwards."""
    for overflow in get_args(Overflow):
        rails = InFields(
            f"{overflow}_at_most_bits",
            (*SMALLEST, *WIDE, ONE_SIGN),
            exercised=("overflow", "state_bits"),
            styles=RAILS,
        )
        yield replace(rails, fields={"overflow": overflow}, most=("state_bits",))
        for bits in (8, 10, 16):
            yield replace(
                rails,
                name=f"{overflow}_at_{bits}_bits",
                fields={"overflow": overflow, "state_bits": bits},
            )


def _synapses() -> Iterator[InFields]:
    """Yield one arithmetic of the synapse state after the other, and integrators."""
    yield InFields("synapse", (HEARS_ITSELF, *SMALLEST), synapse={})
    for form, rounding in product(get_args(DecayForm), get_args(Rounding)):
        given = {"decay_form": form, "rounding": rounding}
        yield InFields(f"synapse_{form}_{rounding}", synapse=given)
    for to in get_args(BiasTo):
        yield InFields(f"synapse_with_bias_to_{to}", synapse={"bias_to": to})
    for overflow in get_args(Overflow):
        styles = (Style(reached=True), *RAILS)
        given = {"overflow": overflow, "state_bits": 8}
        yield InFields(
            f"synapse_{overflow}",
            (*SMALLEST, *WIDE),
            fields={"fraction_bits": 3},
            synapse=given,
            styles=styles,
        )
    for readout in MEMBRANE_READOUTS:
        yield InFields(
            readout, (HEARS_ITSELF, *SMALLEST), synapse={}, readout=readout, integrators=True
        )
        yield InFields(f"{readout}_of_membranes_alone", readout=readout, integrators=True)
        yield InFields(f"{readout}_of_neurons_that_fire", readout=readout)


def _nodes() -> Iterator[InFields]:
    """Shapes, nodes and weights."""
    yield InFields("small", FORMS)
    for form in FORMS:
        yield InFields(form.name, (form,))
    yield InFields("recurrent", RECURRENT)
    yield InFields("delayed", delayed(Delay(3), Delay(2)))
    yield InFields(
        "delayed_by_neuron",
        delayed(Delay(np.arange(1, 9, dtype=np.int32)), Delay(np.arange(8, 0, -1, dtype=np.int32))),
    )
    yield InFields("strided", convolved(stride=(2, 1), padding=(1, 0)))
    yield InFields("dilated", convolved(dilation=(2, 3), padding=(0, 2)))
    yield InFields("grouped", convolved(groups=2))
    yield InFields("overlapping_windows", pooled((3, 2), (2, 1), (1, 0)))
    yield InFields("maxima", maxima())
    yield InFields("upsampled", upsampled())
    yield InFields(
        "upsampled_by_event", upsampled(), fields={"update": "event", "reset_timing": "same_step"}
    )
    yield InFields("scaled", scaled())
    yield InFields("scaled_by_value", scaled(by_value=True))
    yield InFields(
        "scaled_by_event", scaled(), fields={"update": "event", "reset_timing": "same_step"}
    )
    yield InFields(
        "thresholds_by_neuron", (CONVOLUTIONAL, EVENTS, CONVOLUTION), thresholds_by_neuron=True
    )
    for kind in KINDS[1:]:
        yield InFields(f"weights_{kind}", FORMS, kinds=(kind,))
    yield InFields("weights_of_all_kinds", (*RECURRENT, *SMALLEST), kinds=KINDS)


IN_FIELDS = (*_nodes(), *_synapses(), *_membranes(), *_rails())
OF_MACHINES: tuple[Golden, ...] = (
    *PROGRAMS,
    *BY_LAYER,
    *CORES,
    *CROSSBARS,
    *ON_XYLO,
    *WITHOUT_RAILS,
)
OF_MACHINES += (MachineAtItsRails("reckon", 12),)
GOLDEN: tuple[Golden, ...] = (*IN_FIELDS, *OF_MACHINES)


# -------------------------------------------------------------------- for a target
@cache
def example(target: Target, name: str) -> Example | str:
    """Return a golden network in the form that a target takes, or why none maps.

    With it go samples, and what the definition makes of them.
    """
    golden = next(g for g in GOLDEN if g.name == name)
    claims = golden.tells(target)
    refused, best = "", None
    silent = False
    for group in golden.groups(target):
        for net, x in group:
            if problems := target.check(net):
                refused = refused or str(problems[0])
                break  # other numbers change nothing
            candidate = Example(net, x, simulate(net, x, trace=net.neurons))
            if not flowing(net, candidate.expected):
                silent = True
                continue
            if all(exercised(claim, candidate) for claim in claims):
                return candidate
            best = best or candidate
    assert best or not silent, f"{name} maps to {target.name}, but is silent or always fires"
    return (
        best
        or refused
        or f"{target.name} states neither nodes nor updates that it could be made of"
    )


def mapping(target: Target) -> Iterator[tuple[str, Example]]:
    """Yield the golden networks of the target's usual arithmetic that map to it, by name."""
    usual: Iterator[Golden] = (golden for golden in IN_FIELDS if not (golden.fields or golden.most))
    for golden in chain(usual, OF_MACHINES):
        candidate = example(target, golden.name)
        if isinstance(candidate, Example):
            yield golden.name, candidate


def mapped(target: Target) -> dict[str, Example]:
    """Return all of them."""
    return dict(mapping(target))


def some(target: Target) -> dict[str, Example]:
    """Return the first few of them."""
    return dict(islice(mapping(target), FEW))
