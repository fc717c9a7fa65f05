"""The reference as it stood before updates became programs, kept as an oracle.

It goes field by field, with no statement of lehr.update in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Arithmetic, Int64, State
from lehr.errors import NotMappable
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node, Upsample2d
from lehr.paths import Synapses, arrivals
from lehr.simulate.result import Recorder, Result, check_input, input_events

CHUNK, MAX_COUNT = 256, 255


def simulate(
    net: Network, x: npt.NDArray[np.uint8], *, trace: Iterable[str] = (), steps: int | None = None
) -> Result:
    """Run a network on every sample of `x`, as `lehr.simulate.simulate` does."""
    held, steps = check_input(net, x, steps)
    recorder = Recorder(net, len(x), steps, trace)
    recorder.add_events(input_events(x, held, steps))
    for start in range(0, len(x), CHUNK):
        batch = x[start : start + CHUNK]
        Machine(net, len(batch)).run(batch, held, steps, recorder, start)
    return recorder.result()


def divide(value: Int64, shift: int, rounding: str) -> Int64:
    """Return `value / 2**shift` by numpy's own division and rounding.

    A float64 holds every quotient exactly.
    """
    if rounding == "floor":
        return np.asarray(value // 2**shift, np.int64)
    if rounding == "toward_zero":
        return np.asarray(np.sign(value) * (np.abs(value) // 2**shift), np.int64)
    return np.asarray(np.rint(value / 2**shift), np.int64)


def decay(rules: State, value: Int64) -> Int64:
    """Return the value after one step of leak."""
    if rules.decay_form == "shift":
        return value - divide(value, rules.decay_shift, rules.rounding)
    return divide(value * rules.decay_numerator, rules.decay_shift, rules.rounding)


def bound(rules: State, value: Int64) -> Int64:
    """Return a value within its width."""
    if rules.overflow == "saturate":
        return np.clip(value, rules.lowest, rules.highest)
    return ((value - rules.lowest) & ((1 << rules.state_bits) - 1)) + rules.lowest


def fire(rules: Arithmetic, membrane: Int64, threshold: Int64) -> Int64:
    """Return 1 where the membrane reaches the threshold."""
    if rules.fires == "never":
        return np.zeros_like(membrane)
    reached = membrane > threshold if rules.fires == "gt" else membrane >= threshold
    return reached.astype(np.int64)


def synapses(net: Network, name: str) -> Synapses:
    """Return the effect of one event of each source on the neurons of a layer."""
    wiring = []
    for arrival in arrivals(net, name):
        shape = net.shapes[arrival.source]
        matrix = np.zeros((int(np.prod(shape)), int(np.prod(net.shapes[name]))), np.int64)
        for path in arrival.paths:
            pulse: Int64 = np.eye(len(matrix), dtype=np.int64).reshape(-1, *shape)
            for step in path:
                pulse = apply(net.nodes[step], pulse)
            matrix += pulse.reshape(matrix.shape)
        wiring.append((arrival.source, arrival.late, matrix))
    return wiring


def event_step(
    name: str,
    neuron: Neuron,
    membrane: Int64,
    arrivals: Mapping[tuple[str, bool], Int64],
    wiring: Synapses,
    within: Callable[[Int64], Int64],
) -> tuple[Int64, Int64]:
    """Run one step of an event-driven layer.

    Args:
        name: of the layer, for messages.
        neuron: the layer.
        membrane: `[N, *shape]`, after the step before.
        arrivals: spikes or counts `[N, *source shape]` of each source named in `wiring`.
        wiring: as `synapses` gives it.
        within: brings membranes into their width.

    Returns:
        The new membrane, and how often each neuron fired.
    """
    rules = neuron.fields
    batch, shape = len(membrane), membrane.shape[1:]
    per_channel = (1, -1, *[1] * (len(shape) - 1))
    spread = np.broadcast_to(
        neuron.threshold.astype(np.int64).reshape(per_channel), (1, *shape)
    ).reshape(-1)
    free = decay(rules, membrane) + neuron.bias.astype(np.int64).reshape(per_channel)
    v = within(free).reshape(batch, -1)
    fired = np.zeros_like(v)
    for sample in range(batch):
        for source, late, matrix in wiring:
            counts = arrivals[source, late][sample].reshape(-1)
            for index in np.flatnonzero(counts):
                for _ in range(int(counts[index])):
                    v[sample] = within(v[sample] + (matrix[index] << rules.fraction_bits))
                    spike = fire(rules, v[sample], spread) * (matrix[index] != 0)
                    fired[sample] += spike
                    if rules.reset == "subtract":
                        v[sample] -= spread * spike
                    elif rules.reset == "zero":
                        v[sample] *= 1 - spike
    if fired.max(initial=0) > MAX_COUNT:
        raise NotMappable(
            f"{name}: a neuron fired {int(fired.max())} times in one step, more than {MAX_COUNT}; "
            "raise its threshold"
        )
    return v.reshape(membrane.shape), fired.reshape(membrane.shape)


def conv2d(x: Int64, node: Conv2d) -> Int64:
    """Return the cross-correlation of `x` `[N, C, H, W]` with the node's weights."""
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
    return (
        np.concatenate(parts, axis=1)
        .reshape(n, out_height, out_width, out_channels)
        .transpose(0, 3, 1, 2)
    )


def sum_pool2d(x: Int64, node: SumPool2d) -> Int64:
    """Return the sum of `x` `[N, C, H, W]` over windows."""
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in node.padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, node.kernel, axis=(2, 3))
    total: Int64 = windows[:, :, :: node.stride[0], :: node.stride[1]].sum(axis=(4, 5))
    return total


def apply(node: Node, x: Int64) -> Int64:
    """Run one node without state, on a batch."""
    if isinstance(node, Conv2d):
        return conv2d(x, node)
    if isinstance(node, Linear):
        return x @ node.weight.astype(np.int64).T
    if isinstance(node, SumPool2d):
        return sum_pool2d(x, node)
    if isinstance(node, Upsample2d):
        return np.kron(x, np.ones(node.scale, np.int64))
    assert isinstance(node, Flatten), node
    return x.reshape(len(x), -1)


class Machine:
    """The state of one batch.

    It holds membranes, spikes of the step before, delay lines, and values on feedback edges.
    """

    def __init__(self, net: Network, batch: int) -> None:
        self.net = net
        zero = {name: np.zeros((batch, *shape), np.int64) for name, shape in net.shapes.items()}
        self.value = dict(zero)
        self.before = dict(zero)
        self.membrane = {name: zero[name] for name in net.neurons}
        self.current = {
            name: zero[name] for name, node in net.neurons.items() if node.synapse is not None
        }
        self.line = {
            name: [zero[name]] * node.alike
            for name, node in net.nodes.items()
            if isinstance(node, Delay)
        }
        self.saturations = dict.fromkeys(net.neurons, 0)
        self.wiring: dict[str, Synapses] = {
            name: synapses(net, name)
            for name, node in net.neurons.items()
            if node.fields.update == "event"
        }

    def run(
        self, x: npt.NDArray[np.uint8], held: bool, steps: int, recorder: Recorder, start: int = 0
    ) -> None:
        """Run some more steps of inputs, and record them as of the samples from `start` on."""
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
                arrivals = {
                    (s, late): (self.before if late else self.value)[s]
                    for s, late, _ in self.wiring[name]
                }
                bound = partial(self.bound, name, node.fields)
                self.membrane[name], self.value[name] = event_step(
                    name, node, self.membrane[name], arrivals, self.wiring[name], bound
                )
                continue
            a = self.arriving(name)
            if isinstance(node, Neuron):
                self.value[name] = self.integrate(name, node, a)
            elif isinstance(node, Delay):
                self.value[name], self.line[name] = self.line[name][0], [*self.line[name][1:], a]
            else:
                self.value[name] = apply(node, a)

    def arriving(self, name: str) -> Int64:
        """Return the sum over the edges into `name`."""
        total: Int64 | int = 0
        for source in self.net.sources(name):
            total = (
                total + (self.before if (source, name) in self.net.feedback else self.value)[source]
            )
        assert not isinstance(total, int)
        return total

    def integrate(self, name: str, neuron: Neuron, a: Int64) -> Int64:
        """Update the membranes of one layer with the input `a` and return its spikes."""
        rules = neuron.fields
        per_channel = (1, -1, *[1] * (a.ndim - 2))
        theta = neuron.threshold.astype(np.int64).reshape(per_channel)
        bias = neuron.bias.astype(np.int64).reshape(per_channel)
        v, s_prev = self.membrane[name], self.before[name]
        late = rules.reset_timing == "next_step"
        v = decay(rules, v)
        if late and rules.reset == "zero":
            v = v * (1 - s_prev)
        v = v + self.drive(name, neuron, a, bias)
        if late and rules.reset == "subtract":
            v = v - theta * s_prev
        inside = self.bound(name, rules, v)
        s = fire(rules, inside, theta)
        if not late and rules.reset == "subtract":
            inside = inside - theta * s
        elif not late and rules.reset == "zero":
            inside = inside * (1 - s)
        self.membrane[name] = inside
        return s

    def drive(self, name: str, neuron: Neuron, a: Int64, bias: Int64) -> Int64:
        """Return the input and the bias as the membrane takes them, by way of any synapse state."""
        drive, synapse = a << neuron.fields.fraction_bits, neuron.synapse
        if synapse is None:
            return drive + bias
        to_membrane = synapse.bias_to == "membrane"
        current = decay(synapse, self.current[name]) + (drive if to_membrane else drive + bias)
        self.current[name] = inside = self.bound(name, synapse, current)
        return inside + bias if to_membrane else inside

    def bound(self, name: str, rules: State, value: Int64) -> Int64:
        """Bring a state of layer `name` into its width; count how often that changes it."""
        inside = bound(rules, value)
        self.saturations[name] += int((inside != value).sum())
        return inside
