"""Layout of a network in C: which nodes are computed, how wide their values are, their names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from lehr import paths
from lehr.intervals import intervals
from lehr.network import INPUT, Conv2d, Linear, Network, SumPool2d
from lehr.paths import Arrival
from lehr.targets.c.memory import Memory, smallest_type
from lehr.targets.c.nodes import Role, rules
from lehr.targets.c.printer import Update
from lehr.targets.c.slices import MOST_BYTES, MOST_WORDS, Slices, slices
from lehr.targets.c.updates import layers
from lehr.targets.names import identifiers
from lehr.update import FIRED

Path = tuple[str, ...]
RATE = 0.1
"""Spikes per neuron and step where nothing else is known."""


def arrivals(net: Network, name: str) -> tuple[Arrival, ...]:
    """Return the events of layer `name` as the reference orders them.

    Nodes that leave every index as it is are left out.
    """

    def without(path: Path) -> Path:
        return tuple(node for node in path if rules(net.nodes[node]).role != "renames")

    return tuple(
        replace(arrival, paths=tuple(map(without, arrival.paths)))
        for arrival in paths.arrivals(net, name)
    )


class Layout:
    """The plan of the generated code; templates read it.

    Attributes:
        net: the network.
        id: the C identifier of every node.
        rules: what C makes of each node.
        largest: bound of the absolute value of every node's output, and of any partial sum on the
            way to it.
        layers: the update of every layer of neurons.
        registers, parameters: of every layer, the members of the state and the tables that hold
            them, by their names in the update.
        events: arrivals of every layer that takes events one after another.
        weights_of: pools whose values a convolution adds up by itself, and that convolution.
        computed: nodes with a value in every step, in order of evaluation.
        scattered: weight and pooling nodes that are computed, or passed by single events.
        taken: computed nodes that add up the input alone, value by value as it comes.
        sliced: computed nodes whose sums are counted 32 at a time, and their counters.
        counted: nodes with a step in which sums are counted, and whose: neurons count what they
            alone read, others count for themselves.
        stepped: computed nodes that have a step of their own.
        memory: where all values are kept.
    """

    def __init__(self, net: Network, rate: float = RATE) -> None:
        self.net = net
        self.rules = {name: rules(node) for name, node in net.nodes.items()}
        self.id = identifiers(net.order)
        known = intervals(net)
        self.largest = {name: int(values.magnitude.max()) for name, values in known.items()}
        self.layers = layers(net, known)
        self.registers, self.parameters = self._called()
        self.events = {
            name: arrivals(net, name) for name, neuron in net.neurons.items() if neuron.by_event
        }
        paths = {
            path
            for arriving in self.events.values()
            for arrival in arriving
            for path in arrival.paths
        }
        self._passed = {node for path in paths for node in path}
        self.pulsed = sorted({node for path in paths for node in path[:-1]})
        self._alias = self._flattens_in_place()
        needed = self._needed()
        self.weights_of = self._pools_in_place(needed)
        inside = set(self.weights_of.values()) | self._alias.keys()
        self.computed = [name for name in net.order if name in needed and name not in inside]
        self.sliced = {
            name: counters
            for name in self.computed
            if (counters := self._counters(name, rate)) is not None
        }
        self.counted = self._counted()
        counting = {self.adds(name) for name in self.sliced}
        scattering = (needed | self._passed) - self.weights_of.keys() - counting
        self.scattered = [n for n in net.order if n in scattering and self.role(n) == "sums"]
        self.taken = [
            n
            for n in self.computed
            if self.adds(n) in self.scattered and net.sources(self.adds(n)) == (INPUT,)
        ]
        inside = {node for nodes in self.counted.values() for node in nodes} - self.counted.keys()
        self.stepped = [n for n in self.computed if n not in self.taken and n not in inside]
        self.memory = Memory(self)

    def _called(self) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
        """Return the C names of each layer's registers and parameters, by those in the update.

        Those of registers are members of the state, those of parameters are tables.
        """
        fixed = {"threshold", "bias"}
        wanted = {
            (name, register): f"state {register} {self.id[name]}"
            for name, layer in self.layers.items()
            for register in layer.types
        }
        given = {
            (name, p): f"parameter {p} {self.id[name]}"
            for name, n in self.net.neurons.items()
            for p in n.program.parameters
        }
        states, tables = identifiers(wanted.values()), identifiers(given.values())
        registers: dict[str, dict[str, str]] = {name: {} for name in self.layers}
        for (name, register), text in wanted.items():
            usual = {FIRED: "spikes", self.net.neurons[name].program.membrane: "membrane"}.get(
                register
            )
            registers[name][register] = f"{usual}_{self.id[name]}" if usual else states[text]
        parameters: dict[str, dict[str, str]] = {name: {} for name in self.layers}
        for (name, parameter), text in given.items():
            parameters[name][parameter] = (
                f"{parameter}_{self.id[name]}" if parameter in fixed else tables[text]
            )
        return registers, parameters

    def _flattens_in_place(self) -> Mapping[str, str]:
        """Flatten nodes that only give another name to the values of one node, and that node."""
        alias: dict[str, str] = {}
        for name in self.net.order:
            sources = self.net.sources(name)
            if (
                self.role(name) == "renames"
                and len(sources) == 1
                and (sources[0], name) not in self.net.feedback
            ):
                alias[name] = alias.get(sources[0], sources[0])
        return alias

    def _needed(self) -> set[str]:
        """Return all neuron layers and delays, and what they read.

        Single events need no values of the nodes that they pass.
        """
        needed = {name for name in self.net.nodes if self.role(name) in ("neurons", "delays")}
        pending = [name for name in needed if name not in self.events]
        while pending:
            new = set(self.net.sources(pending.pop())) - needed - {INPUT}
            needed |= new
            pending.extend(new)
        return needed

    def _pools_in_place(self, needed: set[str]) -> Mapping[str, str]:
        """Return pools without overlap behind one convolution that nothing else reads.

        Each of its sums belongs to one window at most.
        """
        pools = {}
        for name in needed - self._passed:
            node, (source, *others) = self.net.nodes[name], self.net.sources(name)
            plain = (
                isinstance(node, SumPool2d)
                and node.stride == node.kernel
                and not others
                and (source, name) not in self.net.feedback
            )
            alone = (
                isinstance(self.net.nodes.get(source), Conv2d)
                and self.net.targets(source) == (name,)
                and source not in self._passed
            )
            if plain and alone:
                pools[name] = source
        return pools

    def _counters(self, name: str, rate: float) -> Slices | None:
        """Return counters for a computed node, where it may and should have some.

        Nothing may pass it by event.
        """
        node = self.net.nodes[self.adds(name)]
        if (
            not isinstance(node, (Conv2d, Linear))
            or node.kind != "binary"
            or not self.hears_spikes(self.adds(name))
        ):
            return None
        if self.adds(name) in self._passed:
            return None
        return slices(node, self.net.shapes[name], self.largest[name], rate)

    def _counted(self) -> dict[str, list[str]]:
        """Return nodes with a step in which sums are counted, and whose.

        A layer of neurons takes in sums that it alone reads, in this step, as far as they have one
        geometry.
        """
        counted: dict[str, list[str]] = {}
        for name, counters in self.sliced.items():
            readers = [reader for reader in self.computed if name in self.reads(reader)]
            (reader, *others) = readers or [name]
            alone = not others and name not in self.remembered
            if alone and reader in self.net.neurons and reader not in self.events:
                beside = counted.setdefault(reader, [])
                if all(self.sliced[node].geometry == counters.geometry for node in beside):
                    beside.append(name)
                    continue
            counted[name] = [name]
        return counted

    @property
    def levels(self) -> int:
        """Bits of the counters that count most, in whole bytes."""
        most = max(sum(self.sliced[node].most for node in nodes) for nodes in self.counted.values())
        return 8 * -(-most.bit_length() // 8)

    @property
    def widths(self) -> list[Slices]:
        """Counters with every width of rows that there is, one each."""
        return list({counters.gather: counters for counters in self.sliced.values()}.values())

    def block(self, counters: Slices) -> int:
        """Return how many words of a row are counted at once."""
        most = min(MOST_WORDS, 8 * MOST_BYTES // self.levels)
        return max(words for words in range(1, most + 1) if counters.words % words == 0)

    @property
    def blocks(self) -> int:
        """Words of a row that are counted at once, at most."""
        return max(map(self.block, self.sliced.values()))

    def active(self, name: str) -> str:
        """Return the C expression of the bits that hold the spikes which a sliced node hears."""
        called = f"active_{self.id[name]}"
        return called if called in self.memory.shared else f"s->{called}"

    @property
    def packs(self) -> bool:
        """Whether spikes of neurons are counted, which then are packed into bits."""
        return not all(map(self.hears_input, self.sliced))

    def hears_input(self, name: str) -> bool:
        """Return whether a sliced node counts the input's spikes."""
        return self.net.sources(self.adds(name)) == (INPUT,)

    def adds(self, name: str) -> str:
        """Return the node whose weights make the values of a node.

        It is the node itself, or the convolution before a pool.
        """
        return self.weights_of.get(name, name)

    def sums(self, name: str) -> str:
        """Return the node that a node's weights give values to: itself, or the pool behind it."""
        return next((pool for pool, conv in self.weights_of.items() if conv == name), name)

    def home(self, name: str) -> str:
        """Return the node whose values a node's are: itself, or what a Flatten only renames."""
        return self._alias.get(name, name)

    def reads(self, name: str) -> set[str]:
        """Return the nodes, `input` among them, whose values of this step a computed node reads."""
        if name in self.events:
            return {self.home(arrival.source) for arrival in self.events[name] if not arrival.late}
        adds = self.adds(name)
        return {
            self.home(source)
            for source in self.net.sources(adds)
            if (source, adds) not in self.net.feedback
        }

    @cached_property
    def remembered(self) -> list[str]:
        """Nodes whose values of the step before are read, in order of evaluation.

        `input` is among them.
        """
        late = {
            self.home(a.source) for arriving in self.events.values() for a in arriving if a.late
        }
        adding = {self.adds(name) for name in self.computed if name not in self.events}
        late |= {self.home(a) for a, b in self.net.feedback if b in adding}
        return [name for name in (INPUT, *self.net.order) if name in late]

    @cached_property
    def keeps_input(self) -> bool:
        """Whether anything reads the input as a whole, which then is part of the state."""
        return INPUT in self.remembered or any(
            INPUT in self.reads(name)
            for name in self.computed
            if name not in self.taken and not (name in self.sliced and self.hears_input(name))
        )

    def size(self, name: str) -> int:
        """Return how many values a node has."""
        return math.prod(self.net.shapes[name])

    def c_type(self, name: str) -> str:
        """Return the type of one value of a node."""
        if name == INPUT or self.role(name) == "neurons":
            return "uint8_t"
        # Nodes that single events pass add into buffers of layers, so that all of them have one
        # type.
        return (
            "int32_t"
            if name in self._passed
            else smallest_type(-self.largest[name], self.largest[name])
        )

    def value(self, name: str, late: bool = False) -> str:
        """Return the C expression of the array that holds a node's values.

        They are those of this step or (`late`) of the step before.
        """
        name = self.home(name)
        if late:
            return f"s->before_{self.id.get(name, name)}"
        if name == INPUT:
            return "s->input"
        called = f"{'spikes' if self.role(name) == 'neurons' else 'values'}_{self.id[name]}"
        return called if called in self.memory.shared else f"s->{called}"

    def arriving(self, name: str) -> str:
        """Return the C expression of the sum over the edges into a node, at index `i`."""
        sources = self.net.sources(name)
        cast = "(int32_t)" if len(sources) > 1 else ""
        terms = [
            f"{cast}{self.value(source, (source, name) in self.net.feedback)}[i]"
            for source in sources
            if self.home(source) not in self.counted.get(name, ())
        ]
        return " + ".join([*terms, *(["sum"] if len(terms) < len(sources) else [])])

    def hears_spikes(self, name: str) -> bool:
        """Return whether what arrives at a node is 0 or 1."""
        source = self.home(self.net.sources(name)[0])
        one = {
            INPUT: self.net.input.highest,
            **{layer: neuron.program.most_spikes for layer, neuron in self.net.neurons.items()},
        }
        single = one.get(source, 2) <= 1
        return len(self.net.sources(name)) == 1 and single

    @property
    def updates(self) -> list[Update]:
        """The updates of all layers, each once."""
        return list(dict.fromkeys(layer.update for layer in self.layers.values()))

    def parameter(self, name: str, parameter: str, channel: str) -> str:
        """Return the C expression of a parameter of neuron `i`, whose channel is `channel`."""
        alike = self.alike(name, parameter)
        if alike is not None:
            return str(alike)
        index = "i" if parameter in self.net.neurons[name].per_neuron else channel
        return f"{self.parameters[name][parameter]}[{index}]"

    def alike(self, name: str, parameter: str) -> int | None:
        """Return the value of a parameter that all neurons of a layer share, or None."""
        first, *others = np.unique(self.net.neurons[name].values[parameter]).tolist()
        return None if others else first

    def role(self, name: str) -> Role:
        """Return what a node does with its values."""
        return self.rules[name].role

    @property
    def counts(self) -> bool:
        """Whether spikes are counted at the output, not membranes read out."""
        return self.net.readout == "count_argmax_lowest"
