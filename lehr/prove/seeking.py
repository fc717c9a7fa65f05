"""Inputs of a whole network that come near to what refutes a claim about one of its layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.network import INPUT as ENTRY
from lehr.network import Network
from lehr.paths import synapses
from lehr.simulate import Trace, simulate
from lehr.update import INPUT

Inputs = npt.NDArray[np.uint8]
BATCH = 32
"""Inputs that are run at once."""
ROUNDS, AT_ONCE = 24, 6
"""Generations of inputs, and how many of them pass until what is nearest is run in the artefact."""
PARENTS = 8
MOST_PAIRS = 1 << 24
"""Pairs of a source's value and a neuron, above which sums are not looked at."""
_SHARES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Goal:
    """What refutes a claim.

    Attributes:
        layer: it is about.
        values: of registers, parameters and of what comes, by their names.
    """

    layer: str
    values: Mapping[str, int]


def inputs(net: Network, golden: Inputs, goal: Goal | None, seed: int = 0) -> Iterator[Inputs]:
    """Yield batches of inputs, `[N, T, *shape]`: golden ones, random ones, and ones near a goal.

    Args:
        net: the network.
        golden: inputs that are there, `[N, T, *shape]`.
        goal: where to go; nowhere if None.
        seed: of what is random.
    """
    rng = np.random.default_rng(seed)
    yield golden
    steps = golden.shape[1]
    population = _random(net, steps, rng)
    yield population
    if goal is None or goal.layer not in net.neurons:
        return
    near = _Near(net, goal)
    distance = near.distances(population)
    for number in range(1, ROUNDS + 1):
        children = _children(net, population[np.argsort(distance)[:PARENTS]], near, rng)
        away = near.distances(children)
        population, distance = np.concatenate([population, children]), np.append(distance, away)
        best = np.argsort(distance, kind="stable")[:BATCH]
        population, distance = population[best], distance[best]
        if number % AT_ONCE == 0:
            yield population


def _random(net: Network, steps: int, rng: np.random.Generator) -> Inputs:
    """Return inputs of several densities, the last two with nothing and with all there is."""
    shape = (BATCH, steps, *net.input.shape)
    share = np.resize(_SHARES, BATCH).reshape(-1, *[1] * (len(shape) - 1))
    there = rng.random(shape) < share
    x = rng.integers(1, net.input.highest, shape, np.uint8, endpoint=True)
    x[~there], x[-2], x[-1] = 0, 0, net.input.highest
    return x


def _children(net: Network, parents: Inputs, near: _Near, rng: np.random.Generator) -> Inputs:
    """Return inputs that differ from some in a few places, in some steps, or in all of a step."""
    children = parents[rng.integers(len(parents), size=BATCH)].copy()
    steps = children.shape[1]
    for child in children:
        flat, kind = child.reshape(steps, -1), rng.integers(4)
        step = rng.integers(steps)
        if kind == 0:  # some places of one step
            at = rng.integers(flat.shape[1], size=1 + rng.integers(max(1, flat.shape[1] // 4)))
            flat[step, at] = rng.integers(0, net.input.highest, len(at), np.uint8, endpoint=True)
        elif kind == 1:  # one place of one step
            place = rng.integers(flat.shape[1])
            flat[step, place] = 0 if flat[step, place] else net.input.highest
        elif kind == 2:  # one step as another, or as all from there on
            flat[step if rng.random() < 0.5 else slice(step, None)] = flat[rng.integers(steps)]
        elif (weights := near.from_input) is not None:  # what drives a neuron up, or down
            sign = rng.choice((-1, 1))
            driven = sign * weights[:, rng.choice(near.neurons)] > 0
            flat[slice(step, step + 1 + rng.integers(steps))] = driven * net.input.highest
    return children


class _Near:
    """How far runs of a network stay from a goal."""

    def __init__(self, net: Network, goal: Goal) -> None:
        self.net, self.goal, self.neuron = net, goal, net.neurons[goal.layer]
        shape = net.shapes[goal.layer]
        alike = np.ones(shape, bool)
        for name in self.neuron.program.parameters:
            if name in goal.values:
                alike &= self.neuron.spread(name, shape) == goal.values[name]
        self.neurons = np.flatnonzero(alike if alike.any() else np.ones(shape, bool))
        sources = [ENTRY, *net.neurons]
        pairs = sum(math.prod(net.shapes[each]) for each in sources) * math.prod(shape)
        known = pairs <= MOST_PAIRS and self.neuron.program.loop is None
        self.wiring = synapses(net, goal.layer) if known else []
        self.from_input = next((m for source, _, m in self.wiring if source == ENTRY), None)

    def distances(self, x: Inputs) -> npt.NDArray[np.float64]:
        """Return how far each input's run stays from the goal, where it comes nearest."""
        layers = {self.goal.layer, *(s for s, *_ in self.wiring if s != ENTRY)}
        trace = simulate(self.net, x, trace=sorted(layers)).trace
        away = np.zeros((*x.shape[:2], len(self.neurons)))
        membrane = self.goal.values.get(self.neuron.program.membrane)
        if membrane is not None:
            v = trace.membranes[self.goal.layer].reshape(*x.shape[:2], -1)[..., self.neurons]
            before = np.concatenate([np.zeros_like(v[:, :1]), v[:, :-1]], axis=1)
            away += np.abs(before.astype(np.float64) - membrane)
        if INPUT in self.goal.values and self.wiring:
            away += np.abs(self._sums(x, trace) - float(self.goal.values[INPUT]))
        nearest: npt.NDArray[np.float64] = away.min(axis=(1, 2))
        return nearest

    def _sums(self, x: Inputs, trace: Trace) -> Int64:
        """Return what comes to each neuron that is looked at, `[N, T, neurons]`."""
        total: Int64 = np.zeros((*x.shape[:2], len(self.neurons)), np.int64)
        for source, late, matrix in self.wiring:
            values = x if source == ENTRY else trace.spikes[source]
            flat = values.reshape(*x.shape[:2], -1).astype(np.int64)
            if late:
                flat = np.concatenate([np.zeros_like(flat[:, :1]), flat[:, :-1]], axis=1)
            total += flat @ matrix[:, self.neurons]
        return total
