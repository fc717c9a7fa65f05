"""Weights as the conductances of pairs of cells, and the weights that such pairs amount to.

A weight w is a pair: |w| levels above g_min, or |w| times as many as there is room for, in the cell
of its sign, and g_min in the other. Where a kind of weights has magnitudes for which there are not
enough levels, its greatest is at g_max, and the others at the nearest level. The current of a pair
is its input times the difference of the two; that of a weight of 1, if it were exact, is the unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.errors import UsageError
from lehr.network import Network
from lehr.nodes import Conv2d, Linear
from lehr.simulate.crossbar.device import Device, Variation
from lehr.spelling import one_of
from lehr.weights import LARGEST

Float64 = npt.NDArray[np.float64]
Weighted = Conv2d | Linear
_VARIES, _STICKS, _DRIFTS, _READS = range(4)
"""Each effect draws from a generator of its own: one more leaves what the others drew."""


@dataclass(frozen=True)
class Crossbar:
    """The cells of one node, in units of its weights.

    Attributes:
        weight: float64 in the node's shape, what the pairs amount to.
        squares: float64 in the same shape, the sum of the squares of both conductances, which read
            noise is proportional to; None where reads have none.
    """

    weight: Float64
    squares: Float64 | None


def crossbars(net: Network, device: Device, seed: int) -> dict[str, Crossbar]:
    """Draw the crossbars of one device, by the name of the node with weights.

    Raises:
        UsageError: when the device names a node that has no weights.
    """
    for name in device.nodes or ():
        if name not in net.weighted:
            way_out = one_of(name, net.weighted, "use nodes with weights:")
            raise UsageError(f"'nodes' names {name!r}, which has no weights; {way_out}")
    chosen = net.weighted if device.nodes is None else device.nodes
    return {
        name: _crossbar(net.weighted[name], device, _Draws(seed, number))
        for number, name in enumerate(net.weighted)
        if name in chosen
    }


def unit(node: Weighted, device: Device) -> float:
    """Return the difference of conductances that counts as one weight."""
    largest = LARGEST[node.kind]
    steps = (device.levels - 1) // largest
    share = steps / (device.levels - 1) if steps else 1 / largest
    return share * (device.g_max - device.g_min)


def programmed(node: Weighted, device: Device) -> Float64:
    """Return the conductances that are written, `[2, *weight shape]`: of weights above, below 0."""
    weight, last = node.weight.astype(np.float64), device.levels - 1
    parts, largest = np.stack([np.maximum(weight, 0), np.maximum(-weight, 0)]), LARGEST[node.kind]
    levels = parts * (last // largest) if last >= largest else np.rint(parts / largest * last)
    return np.asarray(device.g_min + levels / last * (device.g_max - device.g_min))


def read_generator(seed: int, number: int, start: int) -> np.random.Generator:
    """Return what draws the noise of reads.

    Args:
        seed: of the device.
        number: of the node, among those with weights.
        start: the first sample that is read.
    """
    return np.random.default_rng([seed, number, _READS, start])


@dataclass(frozen=True)
class _Draws:
    """Random numbers for the cells of one node of one device."""

    seed: int
    number: int

    def of(self, effect: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.number, effect])


def _crossbar(node: Weighted, device: Device, draws: _Draws) -> Crossbar:
    cells = _drifted(_varied(programmed(node, device), device.variation, draws), device, draws)
    plus, minus = _stuck(cells, device, draws)
    one = unit(node, device)
    squares = (plus**2 + minus**2) / one**2 if device.variation.read else None
    return Crossbar((plus - minus) / one, squares)


def _varied(cells: Float64, variation: Variation, draws: _Draws) -> Float64:
    """Return each cell times a factor of mean 1 and the standard deviation that is stated."""
    if not variation.deviation:
        return cells
    normal = draws.of(_VARIES).standard_normal(cells.shape)
    if variation.distribution == "normal":
        return np.asarray(cells * np.maximum(1 + variation.deviation * normal, 0))
    square = np.log1p(variation.deviation**2)  # of the logarithm's standard deviation
    return np.asarray(cells * np.exp(np.sqrt(square) * normal - square / 2))


def _drifted(cells: Float64, device: Device, draws: _Draws) -> Float64:
    drift = device.drift
    if drift is None:
        return cells
    exponent: Float64 | float = drift.exponent
    if drift.deviation:
        normal = draws.of(_DRIFTS).standard_normal(cells.shape)
        exponent = drift.exponent + drift.deviation * normal
    return np.asarray(cells * np.power(drift.time / drift.reference, -exponent))


def _stuck(cells: Float64, device: Device, draws: _Draws) -> Float64:
    stuck = device.stuck
    if not stuck.low + stuck.high:
        return cells
    chance = draws.of(_STICKS).random(cells.shape)
    cells = np.where(chance < stuck.low, device.g_min, cells)
    return np.where(chance >= 1 - stuck.high, device.g_max, cells)


def steps_of_converters(
    net: Network, device: Device, limits: Mapping[str, tuple[int, int]]
) -> dict[str, int]:
    """Return how many weights one code of each node's converter is.

    Args:
        net: the network.
        device: says how many bits a code has, and may say the step.
        limits: the least and greatest sum that each node of the exact network can make.
    """
    bits, step = device.converter.bits, device.converter.step
    if step is not None or bits is None:
        return dict.fromkeys(net.weighted, step or 1)
    lowest, highest = 1 << (bits - 1), (1 << (bits - 1)) - 1
    return {
        name: max(1, -(limits[name][0] // lowest), -(-limits[name][1] // highest))
        for name in net.weighted
    }
