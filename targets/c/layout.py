"""What a network becomes in C: which nodes are computed, how wide their values are, and where the state keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lehr.arithmetic import State
from lehr.export.intervals import intervals
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import INT32_MAX
from lehr.simulate import events
from lehr.simulate.events import Arrival

Path = tuple[str, ...]
TYPE_BYTES = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "int32_t": 4, "uint32_t": 4, "int64_t": 8}


def smallest_type(low: int, high: int) -> str:
    """The smallest signed C type that holds every integer from `low` to `high`, within 32 bits."""
    return next(f"int{bits}_t" for bits in (8, 16, 32) if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1))


def arrivals(net: Network, name: str) -> tuple[Arrival, ...]:
    """The events of layer `name` as the reference orders them, without the Flatten nodes: those leave every index as it is."""

    def without(path: Path) -> Path:
        return tuple(node for node in path if not isinstance(net.nodes[node], Flatten))

    return tuple(replace(arrival, paths=tuple(map(without, arrival.paths))) for arrival in events.arrivals(net, name))


@dataclass(frozen=True)
class Field:
    """One member of the state struct: its C type, name and dimensions, the node that it belongs to, and what it holds."""

    c_type: str
    name: str
    dims: tuple[int, ...]
    node: str
    note: str

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return TYPE_BYTES[self.c_type] * math.prod(self.dims)


class Layout:
    """The plan of the generated code; templates read it.

    Attributes:
        net: the network.
        number: of every node, in order of evaluation; names in C are made of it.
        largest: bound of the absolute value of every node's output, and of any partial sum on the way to it.
        events: arrivals of every layer with update "event".
        computed: nodes with a value in every step, in order of evaluation.
        scattered: weight and pooling nodes that are computed, or passed by single events.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self.number = {name: i for i, name in enumerate(net.order)}
        self.largest = {name: int(values.magnitude.max()) for name, values in intervals(net).items()}
        self.events = {name: arrivals(net, name) for name, neuron in net.neurons.items() if neuron.arithmetic.update == "event"}
        paths = {path for arriving in self.events.values() for arrival in arriving for path in arrival.paths}
        self._passed = {node for path in paths for node in path}
        self._pulsed = {node for path in paths for node in path[:-1]}
        self._shared = self._flattens_in_place()
        needed = self._needed()
        self.computed = [name for name in net.order if name in needed and name not in self._shared]
        self.scattered = [
            n for n in net.order if (n in needed or n in self._passed) and isinstance(net.nodes[n], (Conv2d, Linear, SumPool2d))
        ]
        self.fields = sorted(self._fields(), key=lambda field: -TYPE_BYTES[field.c_type])

    def _flattens_in_place(self) -> Mapping[str, str]:
        """Flatten nodes that only give another name to the values of one node, and that node."""
        shared: dict[str, str] = {}
        for name in self.net.order:
            sources = self.net.sources(name)
            if isinstance(self.net.nodes[name], Flatten) and len(sources) == 1 and (sources[0], name) not in self.net.feedback:
                shared[name] = shared.get(sources[0], sources[0])
        return shared

    def _needed(self) -> set[str]:
        """All neuron layers and delays, and what they read; single events need no values of the nodes that they pass."""
        needed = {name for name, node in self.net.nodes.items() if isinstance(node, (Neuron, Delay))}
        pending = [name for name in needed if name not in self.events]
        while pending:
            new = set(self.net.sources(pending.pop())) - needed - {INPUT}
            needed |= new
            pending.extend(new)
        return needed

    def reach(self, name: str) -> int:
        """Bound of the absolute value of the sum over the edges into a node."""
        return sum(self.largest[source] for source in self.net.sources(name))

    def size(self, name: str) -> int:
        """How many values a node has."""
        return math.prod(self.net.shapes[name])

    def c_type(self, name: str) -> str:
        """The type of one value of a node."""
        if name == INPUT or isinstance(self.net.nodes[name], Neuron):
            return "uint8_t"
        # Nodes that single events pass add into buffers of layers, so that all of them have one type.
        return "int32_t" if name in self._passed else smallest_type(-self.largest[name], self.largest[name])

    def value(self, name: str, late: bool = False) -> str:
        """The C expression of the array that holds a node's values, of this step or (`late`) of the step before."""
        name = self._shared.get(name, name)
        if late:
            return f"s->before_{'input' if name == INPUT else self.number[name]}"
        if name == INPUT:
            return "input"
        return f"s->{'spikes' if isinstance(self.net.nodes[name], Neuron) else 'values'}_{self.number[name]}"

    def arriving(self, name: str) -> str:
        """The C expression of the sum over the edges into a node, at index `i`."""
        sources = self.net.sources(name)
        cast = "(int32_t)" if len(sources) > 1 else ""
        return " + ".join(f"{cast}{self.value(source, (source, name) in self.net.feedback)}[i]" for source in sources)

    def reads_input(self, name: str) -> bool:
        """Whether the step function of a node takes the input beside the state."""
        read = [a.source for a in self.events[name] if not a.late] if name in self.events else self.net.sources(name)
        return any(self.value(source) == "input" for source in read)

    @property
    def remembered(self) -> list[str]:
        """Nodes whose values of the step before are read, `input` included; in order of evaluation."""
        late = {a.source for arriving in self.events.values() for a in arriving if a.late}
        late |= {self._shared.get(a, a) for a, b in self.net.feedback if b in self.computed and b not in self.events}
        return [name for name in (INPUT, *self.net.order) if name in late]

    def wide_type(self, name: str) -> str:
        """The type in which a neuron layer updates its states: int32_t where that cannot overflow."""
        neuron = self.net.neurons[name]
        how, synapse = neuron.arithmetic, neuron.synapse
        constants = int(neuron.threshold.max()) + max(abs(int(neuron.bias.min())), abs(int(neuron.bias.max())))
        drive = self.reach(name) << how.fraction_bits
        added = {how: (drive if synapse is None else -synapse.lowest) + constants} | ({synapse: drive + constants} if synapse else {})
        reach = max(max(-state.lowest << state.decay_shift, -state.lowest + more) for state, more in added.items())
        divides = all(state.rounding == "toward_zero" for state in added)
        return "int32_t" if reach <= INT32_MAX and divides else "int64_t"

    def state_type(self, state: State) -> str:
        """The type that stores a membrane or a synapse state."""
        return smallest_type(state.lowest, state.highest)

    @property
    def counts(self) -> bool:
        """Whether spikes are counted at the output, not membranes read out."""
        return self.net.readout == "count_argmax_lowest"

    @property
    def state_bytes(self) -> int:
        """Size of the state struct: widest members first, so that it is padded at its end alone."""
        total = sum(field.bytes for field in self.fields)
        return total + -total % TYPE_BYTES[self.fields[0].c_type]

    def _fields(self) -> list[Field]:
        output = self.net.output
        kept = ("uint32_t", "spikes") if self.counts else ("int64_t", "membranes, as they are read out,")
        made = [Field(kept[0], "counts" if self.counts else "scores", (self.size(output),), output, f"{kept[1]} since the reset")]
        for name in self.computed:
            node, number, c_type, size = self.net.nodes[name], self.number[name], self.c_type(name), self.size(name)
            made.append(Field(c_type, _member(self.value(name)), (size,), name, "spikes" if isinstance(node, Neuron) else "values"))
            if isinstance(node, Neuron):
                made.append(Field(self.state_type(node.arithmetic), f"membrane_{number}", (size,), name, "membranes"))
                if node.synapse is not None:
                    made.append(Field(self.state_type(node.synapse), f"synapse_{number}", (size,), name, "currents of the synapses"))
            elif isinstance(node, Delay):
                made.append(Field(c_type, f"line_{number}", (node.steps, size), name, "values on their way"))
                made.append(Field("uint32_t", f"next_{number}", (), name, "which of them leave next"))
        made += [
            Field(self.c_type(name), _member(self.value(name, late=True)), (self.size(name),), name, "the same, a step ago")
            for name in self.remembered
        ]
        for prefix, names, note in (("arriving", self.events, "what one event adds"), ("pulse", self._pulsed, "what it makes of one")):
            made += [Field("int32_t", f"{prefix}_{self.number[name]}", (self.size(name),), name, note) for name in sorted(names)]
        return made


def _member(expression: str) -> str:
    return expression.removeprefix("s->")
