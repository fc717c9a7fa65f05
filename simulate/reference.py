"""The results of an integer network, one step after the other, in numpy int64.

Plain and slow on purpose: with `lehr.simulate.definition`, which does the update of a neuron, it is
the definition. Every engine, every target and the training twin are compared with it. In each step
the nodes are evaluated in topological order; feedback edges carry the value of the step before, and
0 before the first step. What arrives at a node is the sum over its edges; what it makes of that is
`Node.sums`, and for a layer of neurons its program. A traced membrane is the one after the step,
reset in the same step included.

Where a layer updates by event, the events of a step arrive one after another: first those that
travelled along feedback edges, then the others; sources in order of evaluation; within a source by
ascending flat index; a count of c is c events in a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import NotMappable
from lehr.network import INPUT, Delay, Network, Neuron
from lehr.nodes import Node
from lehr.paths import Synapses, synapses
from lehr.simulate import definition
from lehr.simulate.result import Recorder, Result, check_input, feeder, input_events
from lehr.update import FIRED, MOST_SPIKES
from lehr.update import INPUT as SUM

MOST_SAMPLES = 256
MOST_VALUES = 2**23
"""Samples that run together, and values that their nodes make in a step, 8 bytes each."""
Reached = dict[str, dict[str, tuple[int, int]]]
"""By layer and register, the least and greatest value."""


def simulate(
    net: Network, x: npt.NDArray[np.uint8], *, trace: Iterable[str] = (), steps: int | None = None
) -> Result:
    """Run a network on every sample of `x`.

    Args:
        net: the network.
        x: uint8 `[N, *shape]`, held for all steps, or `[N, T, *shape]`, one slice per step.
        trace: names of neuron layers whose spikes and membranes are kept.
        steps: how many steps to run; the network's own number (or T) if None.

    Raises:
        FileRefused: when `x` has the wrong type or shape, or values that the network's input does
            not take.
        UsageError: when `trace` names no neuron layer, or no step is asked for.
        NotMappable: when a neuron fires more than 255 times in a step, or its membrane is beyond 32
            bits.
    """
    held, steps = check_input(net, x, steps)
    recorder = Recorder(net, len(x), steps, trace)
    recorder.add_events(input_events(x, held, steps))
    for start, batch in batches(net, x):
        Machine(net, len(batch)).run(batch, held, steps, recorder, start)
    return recorder.result()


def batches(net: Network, x: npt.NDArray[np.uint8]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yield samples that run together, at least one, each time after the number of the first."""
    values = sum(math.prod(shape) for shape in net.shapes.values())
    size = max(1, min(MOST_SAMPLES, MOST_VALUES // values))
    for start in range(0, len(x), size):
        yield start, x[start : start + size]


def stream(
    net: Network, samples: int = 1, trace: Iterable[str] = ()
) -> Callable[[npt.NDArray[np.uint8]], Result]:
    """Return a run that goes on from its state, for chunks of steps `[samples, T, *shape]`.

    Each result is of its chunk alone.
    """
    return feeder(net, samples, trace, Machine(net, samples).run)


class Machine:
    """The state of a batch: registers, spikes of the step before, delay lines, feedback values."""

    def __init__(self, net: Network, batch: int, reached: Reached | None = None) -> None:
        """Begin with all states 0.

        `reached` takes what the registers of each layer reach before their Bounds.
        """
        self.net = net
        self.reached = reached
        zero = {name: np.zeros((batch, *shape), np.int64) for name, shape in net.shapes.items()}
        self.value = dict(zero)
        self.before = dict(zero)
        self.states = {
            name: dict.fromkeys(node.program.states, zero[name])
            for name, node in net.neurons.items()
        }
        self.given = {
            name: {
                parameter: node.spread(parameter, net.shapes[name])[None]
                for parameter in node.program.parameters
            }
            for name, node in net.neurons.items()
        }
        self.line = {
            name: [zero[name]] * node.longest
            for name, node in net.nodes.items()
            if isinstance(node, Delay)
        }
        self.saturations = dict.fromkeys(net.neurons, 0)
        self.wiring: dict[str, Synapses] = {
            name: synapses(net, name) for name, node in net.neurons.items() if node.by_event
        }

    @property
    def membrane(self) -> dict[str, Int64]:
        """The register of each layer that is traced."""
        return {
            name: self.states[name][node.program.membrane]
            for name, node in self.net.neurons.items()
        }

    def run(
        self, x: npt.NDArray[np.uint8], held: bool, steps: int, recorder: Recorder, start: int = 0
    ) -> None:
        """Go on for some steps of inputs, and record them from sample `start` on."""
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
            if isinstance(node, Neuron):
                self.value[name] = (
                    self.by_event(name, node) if name in self.wiring else self.by_step(name, node)
                )
            elif isinstance(node, Delay):
                self.value[name] = self.held_back(name, node)
            else:
                self.value[name] = self.passed_on(name, node)

    def passed_on(self, name: str, node: Node) -> Int64:
        """Return what a node that keeps nothing makes of what arrives at it."""
        return node.sums(self.arriving(name))

    def arriving(self, name: str) -> Int64:
        """Return the sum over the edges into `name`."""
        first, *rest = (
            (self.before if (source, name) in self.net.feedback else self.value)[source]
            for source in self.net.sources(name)
        )
        return sum(rest, start=first)

    def held_back(self, name: str, node: Delay) -> Int64:
        """Return what a delay lets go, each value after its own number of steps."""
        line = self.line[name]
        steps = node.spread(self.net.shapes[name])
        out = np.zeros_like(line[0])
        for number in np.unique(steps):
            out = np.where(steps == number, line[-int(number)], out)
        self.line[name] = [*line[1:], self.arriving(name)]
        return out

    def by_step(self, name: str, neuron: Neuron) -> Int64:
        """Update the neurons of one layer once and return their spikes."""
        given = {**self.given[name], SUM: self.arriving(name)}
        registers = definition.Registers(definition.begin(neuron.program, self.states[name]), given)
        self.update(name, neuron, registers)
        self.states[name] = {state: registers.values[state] for state in neuron.program.states}
        return registers.values[FIRED]

    def by_event(self, name: str, neuron: Neuron) -> Int64:
        """Update one layer event by event and sample by sample; return how often neurons fired."""
        before, states = (
            self.states[name],
            {state: value.copy() for state, value in self.states[name].items()},
        )
        fired = np.zeros_like(before[neuron.program.membrane])
        for sample in range(len(fired)):
            own = {state: value[sample : sample + 1] for state, value in before.items()}
            registers = definition.Registers(
                definition.begin(neuron.program, own),
                dict(self.given[name]),
                self.events(name, sample),
            )
            self.update(name, neuron, registers)
            for state, value in states.items():
                value[sample] = registers.values[state][0]
            fired[sample] = registers.values[FIRED][0]
        self.states[name] = states
        return fired

    def events(self, name: str, sample: int) -> Iterator[Int64]:
        """Yield the weights of one event after another, `[1, *shape]`."""
        for source, late, matrix in self.wiring[name]:
            counts = (self.before if late else self.value)[source][sample].reshape(-1)
            for index in np.flatnonzero(counts):
                weights = matrix[index].reshape(1, *self.net.shapes[name])
                yield from [weights] * int(counts[index])

    def update(self, name: str, neuron: Neuron, registers: definition.Registers) -> None:
        """Do one step of a layer's program, and count how often a Bound changes a value."""
        if self.reached is not None:
            registers.reached = self.reached.setdefault(name, {})
        definition.run(neuron.program, registers)
        self.saturations[name] += registers.saturations
        most = int(registers.values[FIRED].max(initial=0))
        if most > MOST_SPIKES:
            raise NotMappable(
                f"{name}: a neuron fired {most} times in one step, more than {MOST_SPIKES}; raise "
                "its threshold"
            )
