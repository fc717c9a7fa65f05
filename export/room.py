"""Room in 32-bit states, proven: fraction bits of a layer of neurons, and what they round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lehr.analysis.layers import reach
from lehr.arithmetic import MAX_FRACTION_BITS, MAX_STATE_BITS
from lehr.export.fold import Affine, Float, in_units
from lehr.export.pending import Waiting, folded, leak_share, moved_share, needed_bits
from lehr.export.silence import Channels
from lehr.interval import Interval
from lehr.nodes import INT32_MAX
from lehr.programs import widths_of

ALONE = 2.0 ** (MAX_STATE_BITS - MAX_FRACTION_BITS - 4)
"""The bound of states, without fraction bits, in a layer without any weights.

It leaves room for all fraction bits.
"""


@dataclass(frozen=True)
class Room:
    """A layer that waits for its fraction bits, and how many its states have room for.

    Attributes:
        wait: the layer.
        arriving: bounds of the integers that come to it.
        steps: of an inference.
    """

    wait: Waiting
    arriving: Interval
    steps: int

    def fits(self, bits: int) -> Channels:
        """Return the channels whose states need at most 32 bits with so many fraction bits.

        There is a bool for each, `[channels]`.
        """
        dynamics = self.wait.dynamics
        theta, bias = in_units(self.wait.affine, dynamics.threshold, bits)
        theta = np.zeros_like(theta) if dynamics.integrates else np.maximum(np.rint(theta), 1)
        held = (theta <= INT32_MAX) & (np.abs(bias) <= INT32_MAX)
        neuron = dynamics.neurons(
            np.where(held, theta, 1 - dynamics.integrates).astype(np.int32),
            np.where(held, np.rint(bias), 0).astype(np.int32),
            bits,
        )
        registers = reach({"": (neuron, self.arriving)}, self.steps)[""].registers
        for x in widths_of(neuron.program):
            low, high = registers[x]
            held &= (low >= -(2 ** (MAX_STATE_BITS - 1))) & (high < 2 ** (MAX_STATE_BITS - 1))
        return held

    @cached_property
    def most(self) -> int:
        """Return the most fraction bits with which every channel fits.

        It is -1 where one does not fit without any.
        """
        low, high = -1, MAX_FRACTION_BITS
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.fits(middle).all() else (low, middle - 1)
        return low

    @cached_property
    def needed(self) -> int:
        """Return the fraction bits with which nothing is rounded."""
        return needed_bits(self.wait, self.steps, self.most)

    def error(self, bits: int) -> float:
        """Bound the share of a threshold by which anything is moved, with `bits` that fit."""
        moved = max(self.wait.dropped, moved_share(self.wait, folded(self.wait, bits)))
        return moved if bits >= self.needed else max(moved, leak_share(self.wait, bits))

    @property
    def exact(self) -> bool:
        """Return whether there is room for so many bits that nothing is rounded."""
        return self.wait.exact and not self.wait.dropped and self.needed <= self.most

    @property
    def least_error(self) -> float:
        """Return the error with the most fraction bits; infinite where there is no room at all."""
        return self.error(self.most) if self.most >= 0 else np.inf

    @property
    def reach(self) -> Float:
        """Return the greatest magnitude that comes to each channel in a step."""
        reach: Float = np.maximum(-self.arriving.low, self.arriving.high).astype(np.float64)
        return reach

    @property
    def growth(self) -> Float:
        """Return what a membrane comes to, at most, where 1 arrives in every step.

        It is one number, or one for each neuron.
        """
        grown = np.ones(())
        for decay in self.wait.dynamics.decays:
            beta = decay.beta
            left = np.where(beta == 1, 1.0, 1 - beta)
            grown = grown * np.where(beta == 1, self.steps, (1 - beta**self.steps) / left)
        return grown

    @property
    def influence(self) -> Float:
        """Bound the share of a threshold by which each channel's weights move its membrane.

        The bound holds as long as nothing fires.

        Integrators have no threshold that it could be little of.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            moved = self.wait.affine.gain * self.reach * self.growth / self.wait.dynamics.threshold
        return np.where(moved > 0, np.inf, moved) if self.wait.dynamics.integrates else moved

    def without(self, silent: Channels) -> Room:
        """Return the layer with weights of 0 in some channels.

        The scale of these is a power of two: a threshold is at least what one weight is worth, and
        as much more as needs no wider states than any other channel does.
        """
        if not silent.any():
            return self
        wait, arrives = self.wait, self.arriving
        theta = wait.dynamics.threshold
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            span = theta + np.abs(wait.affine.offset) * self.growth
            others = span / wait.affine.gain + self.reach * self.growth
            narrowest = np.min(others, where=~silent, initial=ALONE if silent.all() else INT32_MAX)
            own = np.exp2(np.floor(np.log2(np.minimum(theta, span / narrowest))))
        gain = np.where(silent, np.maximum(own, np.finfo(np.float64).tiny), wait.affine.gain)
        bounds = (
            np.where(silent, 0, each) for each in (arrives.low, arrives.high, arrives.magnitude)
        )
        dropped = float(self.influence[silent].max())
        wait = replace(wait, affine=Affine(gain, wait.affine.offset), dropped=dropped)
        return replace(self, wait=wait, arriving=Interval(*bounds))
