"""The simulator on torch, for GPUs: states in int64, sums of weights in float64.

Float64 holds every integer below 2**53.

It is imported on request alone, since nothing else in `lehr.simulate` imports torch. Results are
those of `lehr.simulate.reference`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lehr.arithmetic import Int64
from lehr.errors import NotMappable
from lehr.interval import BEYOND
from lehr.intervals import arriving, intervals
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Int32Array, MaxPool2d, Scale, Upsample2d
from lehr.paths import synapses
from lehr.simulate import Result, torch_update
from lehr.simulate.result import Recorder, check_input, feeder, input_events
from lehr.tables import Table
from lehr.update import FIRED, MOST_SPIKES
from lehr.update import INPUT as SUM

CHUNK = 256

NODES: Table[Callable[..., Tensor]] = Table("the torch engine")
"""Computes what a node puts out of its name, itself and what arrives, float64 `[N, *shape]`."""


def simulate(
    net: Network,
    x: npt.NDArray[np.uint8],
    *,
    trace: Iterable[str] = (),
    steps: int | None = None,
    device: str | None = None,
) -> Result:
    """Run a network on every sample of `x`, as `lehr.simulate.simulate` does, and as exactly.

    Args:
        net: the network.
        x: uint8 `[N, *shape]` or `[N, T, *shape]`.
        trace: names of neuron layers whose spikes and membranes are kept.
        steps: how many steps to run; the network's own number (or T) if None.
        device: where; a GPU if None and there is one.

    Raises:
        NotMappable: when there is no rule for a node or a statement, or sums could leave what
            float64 holds.
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
    """Return a run that goes on, chunk by chunk, as `lehr.simulate.reference.stream`."""
    _check(net)
    return feeder(net, samples, trace, _Machine(net, samples, _device(device)).run)


def _device(name: str | None) -> torch.device:
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def _check(net: Network) -> None:
    """Refuse what this engine does not compute exactly."""
    for name, node in net.nodes.items():
        try:
            _ = NODES[type(node)]
            for statement in node.program.all if isinstance(node, Neuron) else ():
                _ = torch_update.RULES[type(statement)]
        except NotMappable as error:
            raise NotMappable(f"{name}: {error}") from None
    known = intervals(net)
    for name in net.nodes:
        if (
            int(arriving(net, name, known).magnitude.max()) >= BEYOND
        ):  # the bounds of what is greater are cut to it
            raise NotMappable(
                f"{name}: its sums may pass 2**40, beyond what the torch engine proves exact; use "
                "the engine 'fast'"
            )


def _host(value: Tensor) -> Int64:
    integers: Int64 = value.to(torch.int64).numpy(force=True)
    return integers


class _Machine:
    """The state of one batch; values between nodes are float64, registers of neurons int64."""

    def __init__(self, net: Network, batch: int, where: torch.device) -> None:
        self.net, self.where = net, where
        zero = {
            name: torch.zeros((batch, *shape), dtype=torch.float64, device=where)
            for name, shape in net.shapes.items()
        }
        self.value, self.before = dict(zero), dict(zero)
        self.zero = {name: zero[name].to(torch.int64) for name in net.neurons}
        self.states = {
            name: dict.fromkeys(node.program.states, self.zero[name])
            for name, node in net.neurons.items()
        }
        self.given = {
            name: {
                each: self._parameter(node.values[each], len(net.shapes[name]))
                for each in node.program.parameters
            }
            for name, node in net.neurons.items()
        }
        self.weight = {
            name: torch.from_numpy(node.weight.astype(np.float64)).to(where)
            for name, node in net.weighted.items()
        }
        delays = {name: node for name, node in net.nodes.items() if isinstance(node, Delay)}
        self.line = {name: [zero[name]] * node.longest for name, node in delays.items()}
        self.late = {
            name: self._late(node.spread(net.shapes[name])) for name, node in delays.items()
        }
        self.wiring = {
            name: self._wiring(name) for name, node in net.neurons.items() if node.by_event
        }
        self.saturations = {
            name: torch.zeros((), dtype=torch.int64, device=where) for name in net.neurons
        }

    def _parameter(self, value: Int32Array, axes: int) -> Tensor:
        """One by neuron, or by channel and broadcast over the rest of a layer's axes."""
        return self._whole(value.reshape(*value.shape, *[1] * (axes - value.ndim)))

    def factor(self, name: str, node: Scale) -> Tensor:
        """Return the factors of a Scale, one by channel broadcast over the rest of its axes."""
        return self._parameter(node.factor, len(self.net.shapes[name])).to(torch.float64)

    def _whole(self, value: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(value.astype(np.int64)).to(self.where)

    def _late(self, steps: Int64) -> list[tuple[int, Tensor]]:
        """Return the values of a delay that are held back by each number of steps."""
        return [
            (int(number), torch.from_numpy(steps == number).to(self.where))
            for number in np.unique(steps)
        ]

    def _wiring(self, name: str) -> list[tuple[str, bool, Tensor]]:
        """Return the synapses of a layer that updates by event; the last row has those of none."""
        return [
            (source, late, self._whole(np.pad(matrix, ((0, 1), (0, 0)))))
            for source, late, matrix in synapses(self.net, name)
        ]

    @torch.inference_mode()
    def run(
        self, x: npt.NDArray[np.uint8], held: bool, steps: int, recorder: Recorder, start: int = 0
    ) -> None:
        """Go on for some steps of inputs, and record them from sample `start` on."""
        given = torch.from_numpy(x.copy()).to(self.where)  # torch warns of memory that is read only
        self.saturations = {name: torch.zeros_like(lost) for name, lost in self.saturations.items()}
        for t in range(steps):
            self.step((given if held else given[:, t]).to(torch.float64))
            spikes = {name: _host(self.value[name]) for name in self.net.neurons}
            membranes = {
                name: _host(self.states[name][node.program.membrane])
                for name, node in self.net.neurons.items()
            }
            recorder.add(start, t, spikes, membranes)
        recorder.add_saturations({name: int(lost) for name, lost in self.saturations.items()})

    def step(self, x: Tensor) -> None:
        """Evaluate the whole network once."""
        self.before, self.value = self.value, {INPUT: x}
        for name in self.net.order:
            node = self.net.nodes[name]
            first, *rest = (
                (self.before if (s, name) in self.net.feedback else self.value)[s]
                for s in self.net.sources(name)
            )
            self.value[name] = NODES[type(node)](self, name, node, sum(rest, start=first))

    def events(self, name: str) -> Iterator[Tensor]:
        """Yield the weights of one event after another of each sample, `[N, *shape]`.

        They are 0 for a sample that has no more of a source's.
        """
        for source, late, matrix in self.wiring[name]:
            counts = (self.before if late else self.value)[source].flatten(1).to(torch.int64)
            ends = counts.cumsum(1)
            order = torch.arange(int(ends[:, -1].max()), device=self.where)
            index = torch.searchsorted(ends, order.expand(len(ends), -1).contiguous(), right=True)
            for each in index.unbind(1):
                yield matrix[each].view(-1, *self.net.shapes[name])


@NODES.rule(Conv2d)
def _conv(m: _Machine, name: str, node: Conv2d, a: Tensor) -> Tensor:
    integers = functional.conv2d(
        a, m.weight[name], None, node.stride, node.padding, node.dilation, node.groups
    )
    return integers.round()  # a fast convolution may be off by a fraction


@NODES.rule(Linear)
def _linear(m: _Machine, name: str, node: Linear, a: Tensor) -> Tensor:
    del node
    return functional.linear(a, m.weight[name])


@NODES.rule(SumPool2d)
def _pool(m: _Machine, name: str, node: SumPool2d, a: Tensor) -> Tensor:
    del m, name
    padded = functional.pad(a, (node.padding[1], node.padding[1], node.padding[0], node.padding[0]))
    return functional.avg_pool2d(padded, node.kernel, node.stride, divisor_override=1)


@NODES.rule(MaxPool2d)
def _maximum(m: _Machine, name: str, node: MaxPool2d, a: Tensor) -> Tensor:
    del m, name
    (top, left), (bottom, right) = node.padding, node.ends(tuple(a.shape[1:]))
    padded = functional.pad(a, (left, right, top, bottom), value=-math.inf)
    return functional.max_pool2d(padded, node.kernel, node.stride, 0, node.dilation)


@NODES.rule(Upsample2d)
def _upsample(m: _Machine, name: str, node: Upsample2d, a: Tensor) -> Tensor:
    del m, name
    return a.repeat_interleave(node.scale[0], 2).repeat_interleave(node.scale[1], 3)


@NODES.rule(Flatten)
def _flatten(m: _Machine, name: str, node: Flatten, a: Tensor) -> Tensor:
    del m, name, node
    return a.flatten(1)


@NODES.rule(Scale)
def _scale(m: _Machine, name: str, node: Scale, a: Tensor) -> Tensor:
    return a * m.factor(name, node)


@NODES.rule(Delay)
def _delay(m: _Machine, name: str, node: Delay, a: Tensor) -> Tensor:
    """Let each value go after its own number of steps."""
    del node
    out, line = torch.zeros_like(a), m.line[name]
    for number, these in m.late[name]:
        out = torch.where(these, line[-number], out)
    m.line[name] = [*line[1:], a]
    return out


@NODES.rule(Neuron)
def _neuron(m: _Machine, name: str, node: Neuron, a: Tensor) -> Tensor:
    """Update the neurons of one layer once and return their spikes."""
    program, states = node.program, m.states[name]
    values = {register: states.get(register, m.zero[name]) for register in program.registers}
    events = m.events(name) if node.by_event else ()
    r = torch_update.Registers(
        values, {**m.given[name], SUM: a.to(torch.int64)}, m.saturations[name], events
    )
    torch_update.run(program.statements, r)
    m.states[name] = {state: r.values[state] for state in program.states}
    m.saturations[name] = r.saturations
    if program.most_spikes >= MOST_SPIKES and (most := int(r.values[FIRED].max())) > MOST_SPIKES:
        raise NotMappable(
            f"{name}: a neuron fired {most} times in one step, more than {MOST_SPIKES}; raise its "
            "threshold"
        )
    return r.values[FIRED].to(torch.float64)
