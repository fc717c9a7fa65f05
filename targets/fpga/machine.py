"""Machine for a network: layers, buffers of events, the program, and every memory's size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from lehr.network import INPUT, Network, Neuron
from lehr.targets.fpga.circuit import Circuit
from lehr.targets.fpga.pipeline import storage
from lehr.targets.fpga.projections import Projection, projections, volume
from lehr.targets.fpga.reach import Range, Reach, largest_sums
from lehr.targets.fpga.statements import circuit_of

MAX_WORD = 16  # spikes that are looked at in a clock
STEP_BITS = 16  # of the number of a step
_CONSTANTS = {"threshold": 0, "bias": 2}  # the first and the last of a neuron's parameters


def bits(highest: int) -> int:
    """Width of an unsigned number up to `highest`, at least one bit."""
    return max(1, highest.bit_length())


def signed_bits(low: int, high: int) -> int:
    """Width of a two's-complement number from `low` to `high`."""
    return max((v if v >= 0 else ~v).bit_length() for v in (low, high)) + 1


@dataclass(frozen=True)
class Layer:
    """Neuron layer on the engine: where its membranes and constants begin, and its update.

    Neurons lie row by row, column by column, channel by channel; `lanes` channels of a place, a
    chunk, are summed at once. A layer with few channels leaves lanes unused: then `2 ** pack` words
    of its weights share a word of the memory. Constants are those of its channels, or of its
    neurons where one differs within a channel.
    """

    name: str
    neuron: Neuron
    channels: int
    rows: int
    columns: int
    chunks: int
    pack: int
    first_neuron: int
    first_constant: int
    by_neuron: bool
    kind: int
    static: bool

    @property
    def size(self) -> int:
        """Neurons."""
        return self.rows * self.columns * self.channels


@dataclass(frozen=True)
class Source:
    """Source that neurons hear, kept as a ring of `depth` maps of `size` words.

    The maps are numbered from `first_map`. A word holds the values of one channel of `across`
    pixels side by side, or the spikes of `grain` channels of a place. Its address is the sum of the
    steps of its row and column, a column of words, and of its number within the place.
    """

    name: str
    values: bool
    grain: int
    across: int
    row_step: int
    column_step: int
    size: int
    depth: int
    first_map: int
    first_word: int


@dataclass(frozen=True)
class Link:
    """Place of an engine in a chain, and how many spikes a word between two engines has."""

    first: bool
    last: bool
    word: int


class Machine:
    """The plan of an engine; templates and tables read it.

    Attributes:
        net: the network, or the part of it that the engine computes.
        link: where the engine stands in a chain; None where there is but one.
        lanes: accumulators, one for each of as many channels of a place.
        layers: the neuron layers, in order of evaluation.
        word: spikes in a word of a map.
        sources: `input` and the layers whose spikes somebody hears, by name.
        feeds: the projections of each layer, by name.
        programs: the distinct updates; `Layer.kind` is an index.
    """

    def __init__(self, net: Network, lanes: int, link: Link | None = None) -> None:
        self.net, self.lanes, self.link = net, lanes, link
        self.feeds: dict[str, list[Projection]] = {
            name: projections(net, name) for name in net.neurons
        }
        self.programs = list(dict.fromkeys(neuron.program for neuron in net.neurons.values()))
        self.layers: list[Layer] = []
        neuron_at = constant = 0
        for name, neuron in net.neurons.items():
            channels, rows, columns = volume(net.shapes[name])
            static = all(feed.source == INPUT and feed.lag == 0 for feed in self.feeds[name])
            kind, by_neuron = self.programs.index(neuron.program), bool(neuron.per_neuron)
            pack = max(lanes.bit_length() - 1 - (channels - 1).bit_length(), 0)
            chunks = math.ceil(channels / lanes)
            layer = Layer(
                name,
                neuron,
                channels,
                rows,
                columns,
                chunks,
                pack,
                neuron_at,
                constant,
                by_neuron,
                kind,
                static,
            )
            neuron_at, constant = (
                neuron_at + layer.size,
                constant + (layer.size if by_neuron else channels),
            )
            self.layers.append(layer)
        self.neurons, self.constants = neuron_at, constant
        heard = max(
            (volume(net.shapes[n])[0] for n in self._heard if not self._is_values(n)), default=1
        )
        self.word = link.word if link else min(MAX_WORD, heard)
        self.sources = self._sources()
        self.maps = sum(source.depth for source in self.sources.values())

    @cached_property
    def _heard(self) -> dict[str, int]:
        """Steps back from which somebody listens to a source, by source."""
        feeds = [feed for feeds in self.feeds.values() for feed in feeds]
        heard = {INPUT: 0}
        for name in (INPUT, *self.net.neurons):
            lags = [feed.lag for feed in feeds if feed.source == name]
            if lags:
                heard[name] = max(lags)
        return heard

    def _is_values(self, name: str) -> bool:
        return name == INPUT and self.net.input.kind == "u8"

    def _sources(self) -> dict[str, Source]:
        sources: dict[str, Source] = {}
        number = 0
        words = {True: 0, False: 0}
        for name, lag in self._heard.items():
            channels, rows, columns = volume(self.net.shapes[name])
            values = self._is_values(name)
            grain = 1 if values else self.word
            across = 2 if values and columns > 1 else 1
            columns = math.ceil(columns / across)
            column_step = math.ceil(channels / grain)
            row_step = column_step * columns
            size = row_step * rows
            linked = name == INPUT and self.linked
            lag += linked  # the engine before writes the map of the next step
            # an event writes there: its coordinates, side by side, are the address
            if name == INPUT and not linked:
                column_step = 1 << (column_step - 1).bit_length()
                row_step = column_step << (columns - 1).bit_length()
                size = row_step << (rows - 1).bit_length()
            sources[name] = Source(
                name,
                values,
                grain,
                across,
                row_step,
                column_step,
                size,
                lag + 1,
                number,
                words[values],
            )
            number, words[values] = number + lag + 1, words[values] + (lag + 1) * size
        self.value_words, self.spike_words = words[True], words[False]
        return sources

    @property
    def linked(self) -> bool:
        """Whether the input is the spikes of the engine before, word by word; else it is events."""
        return self.link is not None and not self.link.first

    @property
    def forwards(self) -> bool:
        """Whether the spikes go to an engine behind; else they are read out."""
        return self.link is not None and not self.link.last

    @property
    def link_words(self) -> int:
        """Words of spikes that the engine before writes; they are the first ones."""
        source = self.sources[INPUT]
        return source.size * source.depth if self.linked else 0

    @property
    def holds(self) -> bool:
        """Whether an input may be held.

        It is then sent once, and currents that nothing else adds to are summed once.
        """
        return self.sources[INPUT].depth == 1

    @property
    def sweeps_early(self) -> bool:
        """Whether nobody looks at a held input after the first step.

        Its map is then swept for the next input in the steps after it.
        """
        return self.holds and all(
            layer.static or all(feed.source != INPUT for feed in self.feeds[layer.name])
            for layer in self.layers
        )

    @property
    def sums(self) -> int:
        """Number of currents that are kept while the input is held.

        They are those of the neurons up to the last that hears nothing else.
        """
        kept = (layer.first_neuron + layer.size for layer in self.layers if layer.static)
        return max(kept, default=0) if self.holds else 0

    @property
    def output(self) -> Layer:
        """The layer that is read out."""
        return next(layer for layer in self.layers if layer.name == self.net.output)

    @property
    def classes(self) -> int:
        """Number of neurons whose scores are kept and compared.

        It is 0 where the output is a feature map, whose events the host counts.
        """
        return (
            self.output.channels
            if self.output.rows * self.output.columns == 1 and not self.forwards
            else 0
        )

    @property
    def score_bits(self) -> int:
        """Bits of a score, in whole bytes.

        A score is a count of spikes, a membrane, or its sum over as many steps as can be counted.
        """
        membrane = signed_bits(*self.reaches[self.output.name].membrane)
        bits_of = {"count": STEP_BITS, "membrane_sum": membrane + STEP_BITS}
        return 8 * math.ceil(
            bits_of.get(self.net.readout.removesuffix("_argmax_lowest"), membrane) / 8
        )

    @property
    def maxima(self) -> int:
        """Most terms of a layer that are the greatest of some sums."""
        return max(sum(feed.leaves for feed in feeds) for feeds in self.feeds.values())

    # ---------------------------------------------------------------- widths
    @property
    def value_bits(self) -> int:
        """Bits of an input value."""
        return bits(self.net.input.highest)

    @cached_property
    def _largest(self) -> dict[str, int]:
        return largest_sums(self.net)

    def _acc_bits(self, layers: list[Layer]) -> int:
        largest = max((self._largest[layer.name] for layer in layers), default=0)
        return signed_bits(-largest, largest)

    @property
    def acc_bits(self) -> int:
        """Bits of an accumulator."""
        return self._acc_bits(self.layers)

    @cached_property
    def value_lanes(self) -> int:
        """Number of lanes, from the first, that layers which hear pixels use.

        Only there are weights multiplied.
        """
        used = [
            layer.channels
            for layer in self.layers
            if any(self._is_values(feed.source) for feed in self.feeds[layer.name])
        ]
        return min(self.lanes, max(used, default=0))

    @property
    def narrow_bits(self) -> int:
        """Bits of the accumulators of the other lanes."""
        return self._acc_bits(
            [layer for layer in self.layers if min(layer.channels, self.lanes) > self.value_lanes]
        )

    @cached_property
    def reaches(self) -> dict[str, Reach]:
        """Ranges of the registers, by layer."""
        return {
            layer.name: Reach(self.net, layer.name, self._largest[layer.name])
            for layer in self.layers
        }

    @cached_property
    def circuit(self) -> Circuit:
        """The update of all neurons."""
        reaches = [
            [self.reaches[layer.name] for layer in self.layers if layer.kind == kind]
            for kind in range(len(self.programs))
        ]
        return circuit_of(self.programs, reaches, self.parameters)

    @cached_property
    def parameters(self) -> dict[str, Range]:
        """Range of each parameter that the updates read of a neuron, by name; bias last."""
        ranges: dict[str, list[int]] = {}
        for layer in self.layers:
            for name in layer.neuron.program.parameters:
                value = layer.neuron.values[name]
                ranges.setdefault(name, []).extend((int(value.min()), int(value.max())))
        return {
            name: (min(ends), max(ends))
            for name, ends in sorted(ranges.items(), key=lambda item: _CONSTANTS.get(item[0], 1))
        }

    @property
    def own_constants(self) -> bool:
        """Whether some layer's parameters differ within a channel."""
        return any(layer.by_neuron for layer in self.layers)

    @property
    def state_bits(self) -> int:
        """Bits of the widest membrane."""
        return max(signed_bits(*reach.membrane) for reach in self.reaches.values())

    @property
    def constant_bits(self) -> int:
        """Bits of all parameters of a neuron."""
        return max(1, sum(storage(*reached)[0] for reached in self.parameters.values()))

    @property
    def input_bits(self) -> tuple[int, int, int]:
        """Bits of the channel, row and column of an input event."""
        return self._coordinate_bits(INPUT)

    @property
    def place_bits(self) -> tuple[int, int, int]:
        """Bits of the channel, row and column of a neuron in any layer."""
        return self._coordinate_bits(*self.net.neurons)

    def _coordinate_bits(self, *names: str) -> tuple[int, int, int]:
        c, y, x = (
            bits(max(axis) - 1)
            for axis in zip(*(volume(self.net.shapes[name]) for name in names), strict=True)
        )
        return c, y, x
