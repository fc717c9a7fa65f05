"""The nodes of the training twin: what each type makes of a span of time, with gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Neuron, SumPool2d
from lehr.nodes import MaxPool2d, Scale, Upsample2d
from lehr.programs import input_shift
from lehr.tables import Table
from lehr.train.floats.delays import held_back
from lehr.train.floats.events import Pool, connected, convolved
from lehr.train.floats.pooling import any_spike
from lehr.train.twin.neuron import rounded

if TYPE_CHECKING:
    from lehr.train.twin.network import Twin

NODES: Table[Callable[..., Tensor]] = Table("the training twin", "train without it")
"""From a run, the name of a node, the node and what arrives at it to what it puts out.

What arrives is `[steps or 1, N, *shape]`, and it puts out so many steps.
"""


class Run:
    """State that one run of the twin carries from span to span of time.

    Attributes:
        given: parameters of every neuron layer as integers, with gradients, by name.
        noise: on the weights of this run, a factor each, by name of the nodes that have some.
        steps: how many the span has that is being run.
    """

    def __init__(self, twin: Twin, batch: int, like: Tensor) -> None:
        self.twin, self.net, self.steps = twin, twin.net, 0
        zero = {name: like.new_zeros(1, batch, *shape) for name, shape in self.net.shapes.items()}
        self.before, self._levels = dict(zero), dict[str, Tensor]()
        self.given = {name: neuron.integers() for name, neuron in twin.neurons.items()}
        self.states = {name: neuron.begin(zero[name][0]) for name, neuron in twin.neurons.items()}
        self.line = {
            name: zero[name].repeat_interleave(d.longest, 0)
            for name, d in self.net.nodes.items()
            if isinstance(d, Delay) and twin.net.feedback  # or there is one span alone
        }
        drawn = {name: q.factor(twin.weights[name]) for name, q in twin.quantizers.items()}
        self.noise = {name: factor for name, factor in drawn.items() if factor is not None}
        self.spikes: dict[str, list[Tensor]] = {name: [] for name in self.net.neurons}
        self.membranes: dict[str, list[Tensor]] = {name: [] for name in self.net.neurons}

    def run(self, x: Tensor, steps: int) -> None:
        """Evaluate every node over `steps` steps; `x` is `[steps or 1, N, *shape]`."""
        self.steps, value = steps, {INPUT: x}
        for name in self.net.order:
            node = self.net.nodes[name]
            value[name] = NODES[type(node)](self, name, node, self._arriving(name, value))
        self.before = {name: v[-1:] for name, v in value.items()}

    def levels(self, name: str) -> Tensor:
        """Return the weights of a node, made once: integers, but for the noise of this run."""
        if name not in self._levels:
            levels = self.twin.levels(name)
            self._levels[name] = levels * self.noise[name] if name in self.noise else levels
        return self._levels[name]

    def _arriving(self, name: str, value: Mapping[str, Tensor]) -> Tensor:
        first, *rest = (
            (self.before if (s, name) in self.net.feedback else value)[s]
            for s in self.net.sources(name)
        )
        for other in rest:
            first = first + other
        return first

    def collected(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Spikes and membranes over all spans."""
        return {n: _joined(v) for n, v in self.spikes.items()}, {
            n: _joined(v) for n, v in self.membranes.items()
        }


def _joined(spans: list[Tensor]) -> Tensor:
    return spans[0] if len(spans) == 1 else torch.cat(spans)  # which would copy one span


@NODES.rule(Conv2d)
def _conv(run: Run, name: str, node: Conv2d, a: Tensor) -> Tensor:
    if name in run.twin.pooled.values():
        return a  # computed with its pooling
    return _each(a, lambda x: _convolved(x, run.levels(name), node, Pool()))


@NODES.rule(SumPool2d)
def _pool(run: Run, name: str, node: SumPool2d, a: Tensor) -> Tensor:
    if name in run.twin.maxima.values():
        return a  # summed up where the OR is taken
    if name in run.twin.pooled:
        conv = run.net.weighted[run.twin.pooled[name]]
        assert isinstance(conv, Conv2d)
        kernel, pool = run.levels(run.twin.pooled[name]), Pool(node.kernel, node.stride)
        return _each(a, lambda x: _convolved(x, kernel, conv, pool))
    return _summed(node, a)


def _summed(node: SumPool2d, a: Tensor) -> Tensor:
    (high, wide), size = node.padding, node.kernel
    return _each(
        a,
        lambda x: functional.avg_pool2d(
            functional.pad(x, (wide, wide, high, high)), size, node.stride, divisor_override=1
        ),
    )


@NODES.rule(MaxPool2d)
def _maximum(run: Run, name: str, node: MaxPool2d, a: Tensor) -> Tensor:
    """Give the gradient to the first of the greatest, as torch.nn.MaxPool2d does."""
    del run, name
    (top, left), (bottom, right) = node.padding, node.ends(tuple(a.shape[2:]))
    return _each(
        a,
        lambda x: functional.max_pool2d(
            functional.pad(x, (left, right, top, bottom), value=-math.inf),
            node.kernel,
            node.stride,
            0,
            node.dilation,
        ),
    )


def _convolved(x: Tensor, weight: Tensor, conv: Conv2d, pool: Pool) -> Tensor:
    # fast convolutions may return a sum of integers that is off by a fraction
    return rounded(
        convolved(x, weight, conv.stride, conv.padding, conv.dilation, conv.groups, pool)
    )


@NODES.rule(Linear)
def _linear(run: Run, name: str, node: Linear, a: Tensor) -> Tensor:
    del node
    sums = _each(a, lambda x: connected(x, run.levels(name)))
    return rounded(sums) if name in run.noise else sums


@NODES.rule(Upsample2d)
def _upsample(run: Run, name: str, node: Upsample2d, a: Tensor) -> Tensor:
    del run, name
    return a.repeat_interleave(node.scale[0], 3).repeat_interleave(node.scale[1], 4)


@NODES.rule(Flatten)
def _flatten(run: Run, name: str, node: Flatten, a: Tensor) -> Tensor:
    del run, name, node
    return a.flatten(start_dim=2)


@NODES.rule(Scale)
def _scale(run: Run, name: str, node: Scale, a: Tensor) -> Tensor:
    return a * torch.tensor(node.spread(run.net.shapes[name]), dtype=a.dtype, device=a.device)


@NODES.rule(Delay)
def _delay(run: Run, name: str, node: Delay, a: Tensor) -> Tensor:
    arrived = a.expand(run.steps, *a.shape[1:])
    if name in run.line:
        arrived = torch.cat([run.line[name], arrived])
        run.line[name] = arrived[run.steps :]
    return held_back(arrived, torch.tensor(node.steps, device=a.device), run.steps)


@NODES.rule(Neuron)
def _neuron(run: Run, name: str, node: Neuron, a: Tensor) -> Tensor:
    spikes: Tensor
    if name in run.twin.maxima:
        pool = run.net.nodes[run.twin.maxima[name]]
        assert isinstance(pool, SumPool2d)
        spikes = any_spike(a, pool.kernel)
        run.spikes[name].append(spikes)
        run.membranes[name].append(_summed(pool, a.detach()) * 2.0 ** input_shift(node.program))
        return spikes
    spikes, membranes, run.states[name] = run.twin.neurons[name](
        a, run.given[name], run.steps, run.states[name]
    )
    run.spikes[name].append(spikes)
    run.membranes[name].append(membranes)
    return spikes


def _each(a: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function to all steps and samples at once, as samples of one batch."""
    out = function(a.flatten(0, 1))
    return out.view(a.shape[:2] + out.shape[1:])
