"""Layers of neurons read from others' models and graphs.

They wait for their fraction bits and integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lehr.arithmetic import MAX_FRACTION_BITS, MAX_STATE_BITS, Arithmetic, Synapse
from lehr.export.coarsen import leak_error
from lehr.export.decays import Decay, leak_errors
from lehr.export.digits import DOUBLE, digits
from lehr.export.fold import Affine, Float, Folded, fold, in_units
from lehr.nodes import Int32Array, Neuron, Shape
from lehr.programs import (
    CURRENT,
    firing_often,
    giving_back,
    program_of,
    with_decays,
    with_floor,
)
from lehr.update import MEMBRANE, MOST_SPIKES
from lehr.update import Decay as Leaking
from lehr.widths import LayerWidth


@dataclass(frozen=True)
class Dynamics:
    """Computation of one layer of neurons.

    Attributes:
        arithmetic: without fraction bits and state bits, which are found later; without leak where
            neurons have their own.
        decays: of the membrane and, where there is one, the synapse state.
        threshold: by channel, in the model's units, float64 `[channels]`; by neuron, in one axis,
            where there is a `shape`.
        synapse: how the current computes that stands between the input and the membrane, without
            state bits; it forgets everything where neurons have their own decays of it.
        shape: of the layer, where neurons of a channel differ, so that all numbers are one a
            neuron, in one axis.
        floor: how many thresholds below 0 a membrane is brought up to at the end of a step, whole
            numbers by channel or neuron; None where that is not done.
        most: how often a neuron fires in a step, at most, where it passes its threshold so often;
            None for any number, until it is known how many that can be.
        gives_back: they give a threshold back where one subtraction leaves a membrane above it.
    """

    arithmetic: Arithmetic
    decays: tuple[Decay, ...]
    threshold: Float
    synapse: Synapse | None
    shape: Shape | None = None
    floor: Float | None = None
    most: int | None = 1
    gives_back: bool = False

    @property
    def integrates(self) -> bool:
        """Return whether the neurons never fire."""
        return self.arithmetic.fires == "never"

    def by_neuron(self, shape: Shape) -> Dynamics:
        """Return the same neurons with one number each, where they had one a channel."""
        if self.shape is not None:
            return self
        each = math.prod(shape[1:])
        decays = tuple(
            replace(decay, numerator=np.repeat(decay.numerator, each)) if decay.own else decay
            for decay in self.decays
        )
        threshold = np.repeat(self.threshold, each)
        floor = None if self.floor is None else np.repeat(self.floor, each)
        return replace(self, decays=decays, threshold=threshold, floor=floor, shape=shape)

    def bits_lost(self, steps: int) -> int:
        """Return how many fraction bits leaking over a number of steps fills."""
        return max(
            decay.shift * (steps - 1) if np.any(decay.numerator) else 0 for decay in self.decays
        )

    def leak_error(self) -> Float:
        """Bound how far the rounding of leaks moves a membrane, in units of 2**-F.

        It is one number, or one for each neuron.
        """
        if any(decay.own for decay in self.decays):
            return leak_errors(self.decays)
        return np.array(leak_error(self.arithmetic, self.synapse))

    def neurons(
        self,
        threshold: Int32Array,
        bias: Int32Array,
        fraction_bits: int,
        shape: Shape | None = None,
    ) -> Neuron:
        """Return the layer with its integers, and states of the greatest width.

        Args:
            threshold: by channel, or by neuron, in one axis.
            bias: likewise.
            fraction_bits: F.
            shape: that numbers by neuron are laid out in; None leaves them in their one axis, as
                channels of their own.
        """
        fields = replace(self.arithmetic, fraction_bits=fraction_bits, state_bits=MAX_STATE_BITS)

        def laid(values: Int32Array) -> Int32Array:
            return values if shape is None else values.reshape(shape)

        own = {
            x: decay
            for x, decay in zip((MEMBRANE, CURRENT), self.decays, strict=False)
            if decay.own
        }
        if not own and not self.gives_back and self.floor is None and self.most == 1:
            return Neuron(laid(threshold), laid(bias), fields, self.synapse)
        leaks = {
            x: Leaking("multiply", _OWN[x], decay.shift, fields.rounding)
            for x, decay in own.items()
        }
        parameters = {
            _OWN[x]: laid(np.asarray(decay.numerator, np.int32)) for x, decay in own.items()
        }
        program = with_decays(program_of(fields, self.synapse), leaks)
        if self.gives_back:
            program = giving_back(program)
        if self.most != 1:
            program = firing_often(program, MOST_SPIKES if self.most is None else self.most)
        if self.floor is not None:
            program = with_floor(program, _FLOOR)
            parameters[_FLOOR] = laid((-self.floor * threshold).astype(np.int32))
        return Neuron(laid(threshold), laid(bias), program, parameters=parameters)


_FLOOR = "floor"
"""The parameter in which neurons have the least membrane that a step leaves."""

_OWN = {MEMBRANE: "decay", CURRENT: "synapse_decay"}
"""Parameters in which neurons have their own decays, by the register that leaks."""


@dataclass(frozen=True)
class Waiting:
    """A layer of neurons whose fraction bits are not yet chosen.

    Attributes:
        source: what it is called in the model.
        affine: the current of the model per integer that arrives; gains are not negative.
        dynamics: of the neurons.
        notes: what is not as it was in the model, in sentences.
        exact: nothing was rounded in the weights that lead to it.
        may_give_back: the model gives a threshold back where one subtraction leaves a membrane
            above it, if any gets there.
        dropped: by which share of its threshold weights that were left out could have moved a
            membrane, at most.
        digits: the most binary digits of any number that the model multiplies with on the way to
            the layer.
    """

    source: str
    affine: Affine
    dynamics: Dynamics
    notes: tuple[str, ...]
    exact: bool
    may_give_back: bool = False
    dropped: float = 0.0
    digits: int = 0


Rounded = Literal["weights", "decays", "thresholds", "leaks", "sums"]
"""Parts of a layer that need not be as they were.

A threshold counts with the biases, a weight that was left out as a threshold; `sums` are the
model's own, which its floats round.
"""


@dataclass(frozen=True)
class LayerReport:
    """Report of one layer of neurons: its integers, and what is not as it was.

    Attributes:
        source: qualified name of the module.
        folded: its integer thresholds and biases, and the scale that they are in.
        width: proven bounds of its membranes.
        rounded: what is not as it was in the model.
        notes: the same in sentences.
    """

    source: str
    folded: Folded
    width: LayerWidth
    rounded: frozenset[Rounded]
    notes: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Return whether this layer is proven to compute what the module does.

        The proof is for every input and over all steps of the network.
        """
        return not self.rounded


def folded(wait: Waiting, bits: int) -> Folded:
    """Return integer thresholds, 0 where nothing fires, and biases with so many fraction bits.

    Raises:
        NotMappable: when 32 bits do not hold one of them.
    """
    if wait.dynamics.integrates:
        integers = fold(wait.affine, 0.0 * wait.dynamics.threshold, bits)
        return replace(integers, threshold=np.zeros_like(integers.threshold))
    return fold(wait.affine, wait.dynamics.threshold, bits)


def moved_share(wait: Waiting, integers: Folded) -> float:
    """Return the largest share by which rounding moved a threshold or a bias.

    A bias counts in thresholds; both are compared with what the model says.
    """
    threshold, bias = in_units(wait.affine, wait.dynamics.threshold, integers.fraction_bits)
    moved = np.abs(integers.bias - bias)
    if not wait.dynamics.integrates:
        moved = np.maximum(moved, np.abs(integers.threshold - threshold))
    return float((moved / threshold).max())


def leak_share(wait: Waiting, bits: int) -> float:
    """Bound the share of a threshold by which the rounding of leaks moves a membrane.

    The bound holds as long as nothing fires.
    """
    return float(
        (wait.dynamics.leak_error() / in_units(wait.affine, wait.dynamics.threshold, bits)[0]).max()
    )


def needed_bits(wait: Waiting, steps: int, most: int) -> int:
    """Return the fraction bits with which nothing is ever rounded.

    Thresholds and biases take some, and each step of leaking its shift.

    Where `most` are not enough for thresholds and biases, they count as MAX_FRACTION_BITS.
    """
    exact = (bits for bits in range(most + 1) if moved_share(wait, folded(wait, bits)) == 0)
    return next(exact, MAX_FRACTION_BITS) + wait.dynamics.bits_lost(steps)


def rounded_by_model(wait: Waiting, integers: Folded, widest: int) -> bool:
    """Return whether the model's own sums, in double precision, need not be exact.

    They are where all of them are whole multiples of one number, and few enough: as integers take
    so many bits, `widest`, and the number so many digits, that double precision holds their
    product.
    """
    affine, unit = wait.affine, 2.0**integers.fraction_bits
    if max(wait.digits, digits(affine.gain)) + widest > DOUBLE:
        return True
    theta = integers.threshold * np.abs(affine.gain) != unit * wait.dynamics.threshold
    bias = integers.bias * np.abs(affine.gain) != unit * affine.offset
    return bool(bias.any()) or (not wait.dynamics.integrates and bool(theta.any()))


def report(wait: Waiting, bits: int, width: LayerWidth, steps: int) -> LayerReport:
    """Report what became of a layer of chosen fraction bits, `bits`, and bounded membranes."""
    integers = folded(wait, bits)
    notes, moved = list(wait.notes), moved_share(wait, integers)
    if moved:
        notes.append(
            f"{wait.source}: thresholds or biases rounded, by up to {moved:.2g} of a threshold"
        )
    leaks = bits < needed_bits(wait, steps, bits) and wait.dynamics.bits_lost(steps) > 0
    if leaks:
        notes.append(f"{wait.source}: the leak is rounded to {bits} fraction bits in each step")
    inexact = bool(moved or wait.dropped or leaks)
    sums = not inexact and rounded_by_model(
        wait, integers, max(width.bits, width.synapse_bits or 0)
    )
    if sums:
        worth = f"{float(wait.affine.gain.min()):.6g}"
        notes.append(
            f"{wait.source}: the model's floats round sums of {worth}, so that at its threshold a "
            "membrane may fire or not"
        )
    changes: dict[Rounded, bool] = {
        "weights": not wait.exact,
        "decays": any(decay.moved for decay in wait.dynamics.decays),
        "thresholds": bool(moved or wait.dropped),
        "leaks": leaks,
        "sums": sums,
    }
    rounded = frozenset(name for name, changed in changes.items() if changed)
    return LayerReport(wait.source, integers, width, rounded, tuple(notes))
