"""The definition: what an integer network computes, in numpy int64, one step after the other.

Plain and slow on purpose. Every engine, every target and the training twin are compared with this file. For each step `t`, in
topological order, feedback edges carrying the value of the step before:

    A = sum over the edges of weights * inputs
    V = decay(V)                                 or 0 where the neuron spiked, with reset "zero" in the next step
    V = V + (A << F) + B - Theta * s_prev        the last term with reset "subtract" in the next step
    V = bound(V)                                 saturate or wrap, once, after the whole update
    s = V > Theta                                or V >= Theta
    V = V - Theta * s  or  0 where s             with timing "same_step"

A neuron with a synapse state keeps a current between its input and its membrane, and the membrane takes that in place of the input:

    I = bound(decay(I) + (A << F))               plus B where the bias goes to the synapse; with the synapse's own decay and width
    V = V + I + B - Theta * s_prev               as above, without B where the bias went to the synapse

`V`, `I` and `s_prev` are 0 before the first step. A traced membrane is the one after the step, reset in the same step included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64, State
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.simulate.events import Synapses, event_step, synapses
from lehr.simulate.result import Recorder, Result, check_input, feeder, input_events

CHUNK = 256


def simulate(net: Network, x: npt.NDArray[np.uint8], *, trace: Iterable[str] = (), steps: int | None = None) -> Result:
    """Run a network on every sample of `x`.

    Args:
        net: the network.
        x: uint8 `[N, *shape]`, held for all steps, or `[N, T, *shape]`, one slice per step.
        trace: names of neuron layers whose spikes and membranes are kept.
        steps: how many steps to run; the network's own number (or T) if None.

    Raises:
        FileRefused: when `x` has the wrong type or shape, or values that the network's input does not take.
        UsageError: when `trace` names no neuron layer, or no step is asked for.
    """
    held, steps = check_input(net, x, steps)
    recorder = Recorder(net, len(x), steps, trace)
    recorder.add_events(input_events(x, held, steps))
    for start in range(0, len(x), CHUNK):
        batch = x[start : start + CHUNK]
        Machine(net, len(batch)).run(batch, held, steps, recorder, start)
    return recorder.result()


def stream(net: Network, samples: int = 1, trace: Iterable[str] = ()) -> Callable[[npt.NDArray[np.uint8]], Result]:
    """A run that goes on from the state in which it was left, and tells of each chunk of steps `[samples, T, *shape]` alone."""
    return feeder(net, samples, trace, Machine(net, samples).run)


def conv2d(x: Int64, node: Conv2d) -> Int64:
    """Cross-correlation of `x` `[N, C, H, W]` with the node's weights."""
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in node.padding)))
    (stride_y, stride_x), (step_y, step_x) = node.stride, node.dilation
    out_channels, _, height, width = node.weight.shape
    span = ((height - 1) * step_y + 1, (width - 1) * step_x + 1)
    windows = np.lib.stride_tricks.sliding_window_view(x, span, axis=(2, 3))
    windows = windows[:, :, ::stride_y, ::stride_x, ::step_y, ::step_x]
    n, channels, out_height, out_width = windows.shape[:4]
    per_group, out_per_group = channels // node.groups, out_channels // node.groups
    weight = node.weight.astype(np.int64).reshape(node.groups, out_per_group, -1)
    parts = []
    for group in range(node.groups):
        patch = windows[:, group * per_group : (group + 1) * per_group].transpose(0, 2, 3, 1, 4, 5)
        parts.append(patch.reshape(n * out_height * out_width, -1) @ weight[group].T)
    return np.concatenate(parts, axis=1).reshape(n, out_height, out_width, out_channels).transpose(0, 3, 1, 2)


def sum_pool2d(x: Int64, node: SumPool2d) -> Int64:
    """Sum of `x` `[N, C, H, W]` over windows."""
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in node.padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, node.kernel, axis=(2, 3))
    total: Int64 = windows[:, :, :: node.stride[0], :: node.stride[1]].sum(axis=(4, 5))
    return total


def apply(node: Node, x: Int64) -> Int64:
    """One node without state, on a batch."""
    if isinstance(node, Conv2d):
        return conv2d(x, node)
    if isinstance(node, Linear):
        return x @ node.weight.astype(np.int64).T
    if isinstance(node, SumPool2d):
        return sum_pool2d(x, node)
    assert isinstance(node, Flatten), node
    return x.reshape(len(x), -1)


class Machine:
    """The state of one batch: membranes, spikes of the step before, delay lines, values on feedback edges."""

    def __init__(self, net: Network, batch: int) -> None:
        self.net = net
        zero = {name: np.zeros((batch, *shape), np.int64) for name, shape in net.shapes.items()}
        self.value = dict(zero)
        self.before = dict(zero)
        self.membrane = {name: zero[name] for name in net.neurons}
        self.current = {name: zero[name] for name, node in net.neurons.items() if node.synapse is not None}
        self.line = {name: [zero[name]] * node.steps for name, node in net.nodes.items() if isinstance(node, Delay)}
        self.saturations = dict.fromkeys(net.neurons, 0)
        self.wiring: dict[str, Synapses] = {
            name: synapses(net, name, lambda step, pulse: apply(net.nodes[step], pulse))
            for name, node in net.neurons.items()
            if node.arithmetic.update == "event"
        }

    def run(self, x: npt.NDArray[np.uint8], held: bool, steps: int, recorder: Recorder, start: int = 0) -> None:
        """Go on for some steps of inputs, and record them as those of the samples from `start` on."""
        self.saturations = dict.fromkeys(self.saturations, 0)
        for t in range(steps):
            self.step((x if held else x[:, t]).astype(np.int64))
            recorder.add(start, t, self.value, self.membrane)
        recorder.add_saturations(self.saturations)

    def step(self, x: Int64) -> None:
        """Evaluate the whole network once on inputs `[N, *shape]`."""
        self.before, self.value = self.value, {INPUT: x}
        for name in self.net.order:
            node = self.net.nodes[name]
            if isinstance(node, Neuron) and name in self.wiring:
                arrivals = {(s, late): (self.before if late else self.value)[s] for s, late, _ in self.wiring[name]}
                bound = partial(self.bound, name, node.arithmetic)
                self.membrane[name], self.value[name] = event_step(name, node, self.membrane[name], arrivals, self.wiring[name], bound)
                continue
            a = self.arriving(name)
            if isinstance(node, Neuron):
                self.value[name] = self.integrate(name, node, a)
            elif isinstance(node, Delay):
                self.value[name], self.line[name] = self.line[name][0], [*self.line[name][1:], a]
            else:
                self.value[name] = apply(node, a)

    def arriving(self, name: str) -> Int64:
        """The sum over the edges into `name`."""
        total: Int64 | int = 0
        for source in self.net.sources(name):
            total = total + (self.before if (source, name) in self.net.feedback else self.value)[source]
        assert not isinstance(total, int)
        return total

    def integrate(self, name: str, neuron: Neuron, a: Int64) -> Int64:
        """Update the membranes of one layer with the input `a` and return its spikes."""
        how = neuron.arithmetic
        per_channel = (1, -1, *[1] * (a.ndim - 2))
        theta = neuron.threshold.astype(np.int64).reshape(per_channel)
        bias = neuron.bias.astype(np.int64).reshape(per_channel)
        v, s_prev = self.membrane[name], self.before[name]
        late = how.reset_timing == "next_step"
        v = how.decay(v)
        if late and how.reset == "zero":
            v = v * (1 - s_prev)
        v = v + self.drive(name, neuron, a, bias)
        if late and how.reset == "subtract":
            v = v - theta * s_prev
        inside = self.bound(name, how, v)
        s = how.fire(inside, theta)
        if not late and how.reset == "subtract":
            inside = inside - theta * s
        elif not late and how.reset == "zero":
            inside = inside * (1 - s)
        self.membrane[name] = inside
        return s

    def drive(self, name: str, neuron: Neuron, a: Int64, bias: Int64) -> Int64:
        """What the membrane takes in: the input and the bias, by way of the synapse state where there is one."""
        drive, synapse = a << neuron.arithmetic.fraction_bits, neuron.synapse
        if synapse is None:
            return drive + bias
        to_membrane = synapse.bias_to == "membrane"
        current = synapse.decay(self.current[name]) + (drive if to_membrane else drive + bias)
        self.current[name] = inside = self.bound(name, synapse, current)
        return inside + bias if to_membrane else inside

    def bound(self, name: str, how: State, value: Int64) -> Int64:
        """Bring a state of layer `name` into its width; how often that changes it is counted."""
        inside = how.bound(value)
        self.saturations[name] += int((inside != value).sum())
        return inside
