"""The simulator on torch, for GPUs: states in int64, sums of weights in float64, which holds every integer below 2**53.

It is imported on request alone, since nothing else in `lehr.simulate` imports torch. Results are those of `lehr.simulate.reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lehr.arithmetic import Int64, State
from lehr.errors import NotMappable
from lehr.interval import BEYOND
from lehr.intervals import arriving, intervals
from lehr.network import INPUT, Conv2d, Delay, Linear, Network, Neuron, SumPool2d
from lehr.simulate import Result
from lehr.simulate.result import Recorder, check_input, feeder, input_events

CHUNK = 256


def simulate(
    net: Network, x: npt.NDArray[np.uint8], *, trace: Iterable[str] = (), steps: int | None = None, device: str | None = None
) -> Result:
    """Run a network on every sample of `x`, as `lehr.simulate.simulate` does, and as exactly.

    Args:
        net: the network.
        x: uint8 `[N, *shape]` or `[N, T, *shape]`.
        trace: names of neuron layers whose spikes and membranes are kept.
        steps: how many steps to run; the network's own number (or T) if None.
        device: where; a GPU if None and there is one.

    Raises:
        NotMappable: when a layer updates by event, or sums could leave what float64 holds.
        FileRefused, UsageError: as the reference.
    """
    _check(net)
    held, steps = check_input(net, x, steps)
    recorder = Recorder(net, len(x), steps, trace)
    recorder.add_events(input_events(x, held, steps))
    where = _device(device)
    for start in range(0, len(x), CHUNK):
        batch = x[start : start + CHUNK]
        _Machine(net, len(batch), where).run(batch, held, steps, recorder, start)
    return recorder.result()


def stream(
    net: Network, samples: int = 1, trace: Iterable[str] = (), *, device: str | None = None
) -> Callable[[npt.NDArray[np.uint8]], Result]:
    """A run that goes on, chunk by chunk, as `lehr.simulate.reference.stream`."""
    _check(net)
    return feeder(net, samples, trace, _Machine(net, samples, _device(device)).run)


def _device(name: str | None) -> torch.device:
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def _check(net: Network) -> None:
    """Refuse what this engine does not compute exactly."""
    known = intervals(net)
    for name, neuron in net.neurons.items():
        if neuron.fields.update == "event":
            raise NotMappable(f"{name}: update is 'event', which the torch engine does not compute; use the engine 'fast'")
    for name in net.nodes:
        if int(arriving(net, name, known).magnitude.max()) >= BEYOND:  # the bounds of what is greater are cut to it
            raise NotMappable(f"{name}: its sums may pass 2**40, beyond what the torch engine proves exact; use the engine 'fast'")


def _host(value: Tensor) -> Int64:
    made: Int64 = value.to(torch.int64).numpy(force=True)
    return made


def _decay(value: Tensor, how: State) -> Tensor:
    numerator = 1 if how.decay_form == "shift" else how.decay_numerator
    product = value * numerator
    floor = product >> how.decay_shift
    rest = product - (floor << how.decay_shift)
    if how.decay_shift and how.rounding == "toward_zero":
        floor = floor + ((product < 0) & (rest != 0))
    elif how.decay_shift and how.rounding == "nearest_even":
        half = 1 << (how.decay_shift - 1)
        floor = floor + ((rest > half) | ((rest == half) & (floor & 1 == 1)))
    return value - floor if how.decay_form == "shift" else floor


def _bound(value: Tensor, how: State) -> Tensor:
    if how.overflow == "saturate":
        return value.clamp(how.lowest, how.highest)
    return ((value - how.lowest) & ((1 << how.state_bits) - 1)) + how.lowest


class _Machine:
    """The state of one batch; values between nodes are float64, states int64."""

    def __init__(self, net: Network, batch: int, where: torch.device) -> None:
        self.net, self.where = net, where
        zero = {name: torch.zeros((batch, *shape), dtype=torch.float64, device=where) for name, shape in net.shapes.items()}
        self.value, self.before = dict(zero), dict(zero)
        self.membrane = {name: zero[name].to(torch.int64) for name in net.neurons}
        self.current = {name: self.membrane[name] for name in net.neurons}
        self.line = {name: [zero[name]] * node.alike for name, node in net.nodes.items() if isinstance(node, Delay)}
        self.saturations = {name: torch.zeros((), dtype=torch.int64, device=where) for name in net.neurons}
        self.weight = {name: torch.from_numpy(node.weight.astype(np.float64)).to(where) for name, node in net.weighted.items()}
        self.layer = {name: self._per_channel(node, len(net.shapes[name]), where) for name, node in net.neurons.items()}

    @staticmethod
    def _per_channel(node: Neuron, axes: int, where: torch.device) -> tuple[Tensor, Tensor]:
        shape = (1, -1, *[1] * (axes - 1))
        theta, bias = (torch.from_numpy(value.astype(np.int64)).reshape(shape).to(where) for value in (node.threshold, node.bias))
        return theta, bias

    @torch.inference_mode()
    def run(self, x: npt.NDArray[np.uint8], held: bool, steps: int, recorder: Recorder, start: int = 0) -> None:
        """Go on for some steps of inputs, and record them as those of the samples from `start` on."""
        given = torch.from_numpy(x.copy()).to(self.where)  # torch warns of memory that is read only
        self.saturations = {name: torch.zeros_like(lost) for name, lost in self.saturations.items()}
        for t in range(steps):
            self.step((given if held else given[:, t]).to(torch.float64))
            spikes = {name: _host(self.value[name]) for name in self.net.neurons}
            recorder.add(start, t, spikes, {name: _host(membrane) for name, membrane in self.membrane.items()})
        recorder.add_saturations({name: int(lost) for name, lost in self.saturations.items()})

    def step(self, x: Tensor) -> None:
        """Evaluate the whole network once."""
        self.before, self.value = self.value, {INPUT: x}
        for name in self.net.order:
            node = self.net.nodes[name]
            first, *rest = ((self.before if (s, name) in self.net.feedback else self.value)[s] for s in self.net.sources(name))
            a = sum(rest, start=first)
            if isinstance(node, Neuron):
                self.value[name] = self._integrate(name, node, a.to(torch.int64))
            elif isinstance(node, Delay):
                self.value[name], self.line[name] = self.line[name][0], [*self.line[name][1:], a]
            else:
                self.value[name] = self._apply(name, a)

    def _apply(self, name: str, a: Tensor) -> Tensor:
        node = self.net.nodes[name]
        if isinstance(node, Conv2d):
            made = functional.conv2d(a, self.weight[name], None, node.stride, node.padding, node.dilation, node.groups)
            return made.round()  # a fast convolution may be off by a fraction
        if isinstance(node, Linear):
            return functional.linear(a, self.weight[name])
        if isinstance(node, SumPool2d):
            padded = functional.pad(a, (node.padding[1], node.padding[1], node.padding[0], node.padding[0]))
            return functional.avg_pool2d(padded, node.kernel, node.stride, divisor_override=1)
        return a.flatten(1)

    def _integrate(self, name: str, node: Neuron, a: Tensor) -> Tensor:
        how, synapse, (theta, bias) = node.fields, node.synapse, self.layer[name]
        drive = a << how.fraction_bits
        if synapse is None:
            drive = drive + bias
        else:
            early = synapse.bias_to == "synapse"
            drive = self._kept(name, _decay(self.current[name], synapse) + drive + (bias if early else 0), synapse)
            self.current[name] = drive
            drive = drive if early else drive + bias
        v, before = _decay(self.membrane[name], how), self.before[name].to(torch.int64)
        late = how.reset_timing == "next_step"
        if late and how.reset == "zero":
            v = v * (1 - before)
        v = v + drive
        if late and how.reset == "subtract":
            v = v - theta * before
        v = self._kept(name, v, how)
        spikes = torch.zeros_like(v) if node.integrates else (v > theta if how.fires == "gt" else v >= theta).to(torch.int64)
        if not late and how.reset == "subtract":
            v = v - theta * spikes
        elif not late and how.reset == "zero":
            v = v * (1 - spikes)
        self.membrane[name] = v
        return spikes.to(torch.float64)

    def _kept(self, name: str, value: Tensor, how: State) -> Tensor:
        inside = _bound(value, how)
        self.saturations[name] = self.saturations[name] + (inside != value).sum()
        return inside
