"""Golden networks whose update is in fields: forms, arithmetics and parameters for a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import Network, Neuron, Readout
from lehr.targets.conformance.building import Images, Style
from lehr.targets.conformance.claims import VALUES, Claim, in_fields
from lehr.targets.conformance.forms import SMALLEST, Form, Parts, by_neuron
from lehr.targets.conformance.networks import SLOW
from lehr.targets.contract import Arithmetics, Target
from lehr.weights import WeightKind

TRIES = 4
"""Seeds that are tried before another form of a network is."""
DEFAULT = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
PLAIN = Style(biased=False, alike=True, reached=True)
"""One threshold for all neurons of a layer, and no bias: what the plainest machines take."""
EVERYWHERE = Style(reached=True, everywhere=True)
"""One threshold for all neurons of the network."""
COARSE = (Style(alike=True, reached=True, unit=64), replace(PLAIN, unit=64))
"""One threshold for all neurons of a layer, with coarse numbers, or without biases.

Threshold and bias lack the lowest six bits, as Loihi keeps them.
"""
RAILS = (
    Style(rails=1.0, reached=True),
    Style(rails=0.25, reached=True),
    Style(reached=True),
    PLAIN,
    Style(biased=False, rails=0.25, reached=True),
)


@dataclass(frozen=True)
class InFields:
    """A golden network whose update is in fields.

    Attributes:
        forms: that it may have, the first that the target takes is used.
        fields: of `Arithmetic` in which it differs from the target's usual ones.
        most: fields that are the most the target has.
        exercised: the fields that it is there to exercise.
        synapse: fields of the second state; None without one.
        kinds: of weights; the target's usual one if None.
        readout: of the network; the target's usual one if None.
        integrators: the last layer never fires.
        styles: of parameters, to be tried one after the other.
    """

    name: str
    forms: tuple[Form, ...] = SMALLEST
    fields: Mapping[str, Any] = field(default_factory=dict)
    synapse: Mapping[str, Any] | None = None
    most: tuple[str, ...] = ()
    exercised: tuple[str, ...] = ()
    kinds: tuple[WeightKind, ...] | None = None
    readout: Readout | None = None
    integrators: bool = False
    styles: tuple[Style, ...] = (Style(reached=True), PLAIN, EVERYWHERE, *COARSE)
    thresholds_by_neuron: bool = False

    def make(self, arithmetic: Arithmetic) -> tuple[Network, Images]:
        """Return the network in its first form, whatever targets take."""
        return self._grown(
            self.forms[0],
            self._parts(arithmetic, "binary", "count_argmax_lowest"),
            0,
            self.styles[0],
        )

    def groups(self, target: Target) -> Iterator[Iterator[tuple[Network, Images]]]:
        """Form after form, in each style."""
        if not in_fields(target):
            return
        try:
            arithmetic = Arithmetic(**self._fields(target))
        except FileRefused:  # what it is there for contradicts all that the target has
            return
        if arithmetic.update == "event" and (self.synapse is not None or self.integrators):
            return
        if self.synapse is not None and arithmetic.beta == 1:  # no synapse state without a leak
            return
        kind = "binary" if "binary" in target.weights else target.weights[0]
        readout = (
            "count_argmax_lowest"
            if "count_argmax_lowest" in target.readouts
            else target.readouts[0]
        )
        parts = self._parts(arithmetic, kind, readout)
        forms = [form for form in self.forms if form.has_only(target.nodes)]
        # a pixel would be up to 255 events
        forms = [form for form in forms if not (form.pixels and arithmetic.update == "event")]
        if _lacks(target, parts):
            forms = forms[:1]
        for form, style in product(
            forms, self.styles[:1] if _lacks(target, parts) else self.styles
        ):
            yield (self._grown(form, parts, seed, style) for seed in range(TRIES))

    def tells(self, target: Target) -> tuple[Claim, ...]:
        """Return what it exercises: fields, with the values that they have for a target."""
        if not in_fields(target):
            return ()
        own = self._fields(target)
        synapse = {name: value for name, value in (self.synapse or {}).items() if name in VALUES}
        if synapse.get("rounding") == "nearest_even":
            del synapse["decay_form"]  # both forms are the same
        return (
            *(Claim(name, own[name]) for name in self.exercised),
            *(Claim(name, value, True) for name, value in synapse.items()),
        )

    def _fields(self, target: Target) -> dict[str, Any]:
        limits = {
            "fraction_bits": target.arithmetics.max_fraction_bits,
            "state_bits": target.arithmetics.max_state_bits,
        }
        own = {
            **usual(target.arithmetics, target.example_fields),
            **{name: limits[name] for name in self.most},
            **self.fields,
        }
        if own["decay_form"] == "shift":
            own["decay_numerator"] = (1 << own["decay_shift"]) - 1
        return (
            {**own, "fires": "never", "reset": "none"}
            if self.integrators and own["fires"] == "never"
            else own
        )

    def _parts(self, arithmetic: Arithmetic, kind: WeightKind, readout: Readout) -> Parts:
        synapse = None
        if self.synapse is not None:
            leak = {
                name: getattr(arithmetic, name) for name in ("decay_form", "rounding", "overflow")
            }
            synapse = replace(
                SLOW,
                **{
                    **leak,
                    "state_bits": min(SLOW.state_bits, arithmetic.state_bits),
                    **self.synapse,
                },
            )
        return Parts(
            arithmetic, synapse, self.kinds or (kind,), self.readout or readout, self.integrators
        )

    def _grown(self, form: Form, parts: Parts, seed: int, style: Style) -> tuple[Network, Images]:
        net, x = _network(form, parts, seed, style)
        return (by_neuron(net) if self.thresholds_by_neuron else net), x


@lru_cache(maxsize=2048)
def _network(form: Form, parts: Parts, seed: int, style: Style) -> tuple[Network, Images]:
    """Return a network that several targets may be asked to take."""
    return form.make(parts, seed, style)


def _lacks(target: Target, parts: Parts) -> bool:
    """Return whether a machine refuses the parts.

    It then refuses whatever is made of them, and one network shows why.
    """
    last = Neuron(
        np.full(1, parts.last.fires != "never", np.int32),
        np.zeros(1, np.int32),
        parts.last,
        parts.synapse,
    )
    had = parts.kinds[0] in target.weights and parts.readout in target.readouts
    return not had or bool(target.neuron_problems("out", last))


def usual(machine: Arithmetics, needed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields that golden networks have where nothing else is said.

    They are the defaults, or what the machine has instead, or needs.
    """
    chosen = {f.name: getattr(DEFAULT, f.name) for f in fields(DEFAULT)}
    for name in machine.CHOICES:
        allowed = getattr(machine, name)
        firing = [value for value in allowed if value != "never"] or allowed
        chosen[name] = chosen[name] if chosen[name] in allowed else firing[0]
    chosen["fraction_bits"] = min(chosen["fraction_bits"], machine.max_fraction_bits)
    chosen["state_bits"] = min(chosen["state_bits"], machine.max_state_bits)
    return {**chosen, **(needed or {})}
