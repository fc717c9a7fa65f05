"""What a network becomes on the engine: layers, buffers of events, the program, and the width and depth of every memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from lehr.export.intervals import arriving, intervals
from lehr.network import INPUT, Network, Neuron
from lehr.targets.fpga.projections import Projection, projections, volume


def bits(highest: int) -> int:
    """Width of an unsigned number up to `highest`, at least one bit."""
    return max(1, highest.bit_length())


def signed_bits(low: int, high: int) -> int:
    """Width of a two's-complement number from `low` to `high`."""
    return max((v if v >= 0 else ~v).bit_length() for v in (low, high)) + 1


@dataclass(frozen=True)
class Layer:
    """A neuron layer on the engine: where its accumulators, membranes and constants begin, and which update it takes.

    Neurons lie row by row, column by column, channel by channel; `lanes` channels of a place share a word of accumulators.
    """

    name: str
    neuron: Neuron
    channels: int
    rows: int
    columns: int
    chunks: int
    first_word: int
    first_neuron: int
    first_constant: int
    kind: int
    static: bool

    @property
    def words(self) -> int:
        """Words of accumulators."""
        return self.rows * self.columns * self.chunks

    @property
    def size(self) -> int:
        """Neurons."""
        return self.rows * self.columns * self.channels


@dataclass(frozen=True)
class Source:
    """Something that events leave: a ring of `depth` buffers, numbered from `first_buffer`, of `size` events each."""

    name: str
    size: int
    depth: int
    first_buffer: int
    first_event: int


class Machine:
    """The plan of the generated design; templates and tables read it.

    Attributes:
        net: the network.
        lanes: accumulators that are updated at once.
        layers: the neuron layers, in order of evaluation.
        sources: `input` and the layers whose events somebody hears, by name.
        feeds: the projections of each layer, by name.
        kinds: the distinct updates; `Layer.kind` is an index.
    """

    def __init__(self, net: Network, lanes: int) -> None:
        self.net, self.lanes = net, lanes
        self.feeds: dict[str, list[Projection]] = {name: projections(net, name) for name in net.neurons}
        self.kinds = list(dict.fromkeys(neuron.arithmetic for neuron in net.neurons.values()))
        self.layers: list[Layer] = []
        word = neuron_at = constant = 0
        for name, neuron in net.neurons.items():
            channels, rows, columns = volume(net.shapes[name])
            chunks = math.ceil(channels / lanes)
            static = all(feed.source == INPUT and feed.lag == 0 for feed in self.feeds[name])
            kind = self.kinds.index(neuron.arithmetic)
            layer = Layer(name, neuron, channels, rows, columns, chunks, word, neuron_at, constant, kind, static)
            word, neuron_at, constant = word + layer.words, neuron_at + layer.size, constant + channels
            self.layers.append(layer)
        self.acc_words, self.neurons, self.constants = word, neuron_at, constant
        self.sources = self._sources()
        last = next(reversed(self.sources.values()))
        self.buffers, self.event_words = last.first_buffer + last.depth, last.first_event + last.depth * last.size

    def _sources(self) -> dict[str, Source]:
        heard = [feed for feeds in self.feeds.values() for feed in feeds]
        made: dict[str, Source] = {}
        buffer = event = 0
        for name in (INPUT, *self.net.neurons):
            lags = [feed.lag for feed in heard if feed.source == name]
            if name == INPUT or lags:
                made[name] = Source(name, math.prod(self.net.shapes[name]), max(lags, default=0) + 1, buffer, event)
                buffer, event = buffer + made[name].depth, event + made[name].depth * made[name].size
        return made

    @property
    def holds(self) -> bool:
        """Whether an input may be held: it is then sent once, and currents that nothing else adds to are summed once."""
        return self.sources[INPUT].depth == 1

    @property
    def output(self) -> Layer:
        """The layer that is read out."""
        return next(layer for layer in self.layers if layer.name == self.net.output)

    @property
    def classes(self) -> int:
        """Neurons that are counted and compared; 0 where the output is a feature map, whose events the host counts."""
        return self.output.channels if self.output.rows * self.output.columns == 1 else 0

    # ---------------------------------------------------------------- widths
    @property
    def value_bits(self) -> int:
        """Of an input value."""
        return bits(self.net.input.highest)

    @cached_property
    def acc_bits(self) -> int:
        """Of an accumulator: every partial sum fits."""
        known = intervals(self.net)
        largest = max(int(arriving(self.net, layer.name, known).magnitude.max()) for layer in self.layers)
        return signed_bits(-largest, largest)

    @property
    def state_bits(self) -> int:
        """Of the widest membrane."""
        return max(kind.state_bits for kind in self.kinds)

    @property
    def threshold_bits(self) -> int:
        """Of a threshold, with a sign."""
        return signed_bits(0, max(int(layer.neuron.threshold.max()) for layer in self.layers))

    @property
    def bias_bits(self) -> int:
        """Of a bias."""
        biases = [layer.neuron.bias for layer in self.layers]
        return signed_bits(min(int(b.min()) for b in biases), max(int(b.max()) for b in biases))

    def wide_bits(self, acc_bits: int) -> int:
        """In which a membrane is updated, products of the decay and sums of all terms included; for accumulators of `acc_bits`."""
        reach = 0
        for kind in self.kinds:
            state = 1 << (kind.state_bits - 1)
            added = (1 << (acc_bits - 1 + kind.fraction_bits)) + (1 << self.bias_bits) + (1 << self.threshold_bits)
            reach = max(reach, state * max(kind.decay_numerator, 1) + (1 << kind.decay_shift), state + added)
        return signed_bits(-reach, reach) + 1

    @cached_property
    def coordinate_bits(self) -> tuple[int, int, int]:
        """Of the channel, row and column of an event at any source."""
        return self._coordinate_bits(*self.sources)

    @cached_property
    def place_bits(self) -> tuple[int, int, int]:
        """The same of a neuron in any layer, or of an event."""
        return self._coordinate_bits(*self.sources, *self.net.neurons)

    def _coordinate_bits(self, *names: str) -> tuple[int, int, int]:
        c, y, x = (bits(max(axis) - 1) for axis in zip(*(volume(self.net.shapes[name]) for name in names), strict=True))
        return c, y, x

    @property
    def event_bits(self) -> int:
        """Of a stored event; a value of one bit is not stored."""
        return sum(self.coordinate_bits) + (self.value_bits if self.value_bits > 1 else 0)
