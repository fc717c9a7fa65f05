"""The memory images: weights, taps of rows and columns, channels, thresholds and biases, and the program that binds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lehr.targets.fpga.machine import Machine, bits
from lehr.targets.fpga.projections import Projection, Taps, volume

MAX_IN_LOGIC = 128
"""Channels whose constants are made of logic: block RAMs are the scarcest thing on a small FPGA."""


@dataclass(frozen=True)
class Image:
    """A read-only memory: its words as unsigned integers of `width` bits; `logic`: rather made of logic than of block RAM."""

    name: str
    width: int
    words: list[int]
    logic: bool = False

    @property
    def text(self) -> bytes:
        """As $readmemh takes it: one word a line."""
        digits = (self.width + 3) // 4
        return "".join(f"{word:0{digits}x}\n" for word in self.words).encode()


@dataclass(frozen=True)
class Scatter:
    """An instruction: spread the events that `projection.source` sent `projection.lag` steps ago over a layer."""

    projection: Projection
    first_buffer: int
    depth: int
    static: bool
    first_channel: int
    first_row: int
    first_column: int
    chunks: int


class Tables:
    """All images of a machine, and the instructions that read them, layer by layer."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        feeds = [feed for layer in machine.layers for feed in machine.feeds[layer.name]]
        self.tap_bits = bits(max(len(taps) for feed in feeds for axis in (feed.rows, feed.columns) for taps in axis) - 1)
        spans = [self._span(feed) for feed in feeds]
        self.weight_bits = self._weight_bits(feeds)
        self._weights: list[int] = []
        self._channels: list[tuple[int, int]] = []
        self._rows: list[tuple[int, int, int, int]] = []
        self._columns: list[tuple[int, int, int, int, int]] = []
        self.scatters: dict[str, list[Scatter]] = {layer.name: [] for layer in machine.layers}
        for feed, (firsts, chunks) in zip(feeds, spans, strict=True):
            self._lay_down(feed, firsts, chunks)
        # An address has at least as many bits as the coordinate of an event and the number of a tap, side by side.
        _, y, x = machine.coordinate_bits
        self._rows += [(0, 1, 0, 0)] * ((1 << (y + self.tap_bits - 1)) + 1 - len(self._rows))
        self._columns += [(0, 1, 0, 0, 0)] * ((1 << (x + self.tap_bits - 1)) + 1 - len(self._columns))

    def _span(self, feed: Projection) -> tuple[list[int], int]:
        """For each group the first chunk of channels that its weights reach, and how many chunks every group takes."""
        lanes, outputs = self.machine.lanes, feed.weight.shape[0] // feed.groups
        low = [group * outputs // lanes for group in range(feed.groups)]
        high = [((group + 1) * outputs - 1) // lanes for group in range(feed.groups)]
        chunks = max(last - first + 1 for first, last in zip(low, high, strict=True))
        return [min(first, high[-1] + 1 - chunks) for first in low], chunks

    def _weight_bits(self, feeds: list[Projection]) -> int:
        """One where all weights are +1 and -1 and no lane of a neuron has to stay still, else those of two's complement."""
        lanes = self.machine.lanes
        aligned = all(feed.groups == 1 or feed.weight.shape[0] // feed.groups % lanes == 0 for feed in feeds)
        if aligned and all((np.abs(feed.weight) == 1).all() for feed in feeds):
            return 1
        most = max(int(np.abs(feed.weight).max()) for feed in feeds)
        return most.bit_length() + 1

    def _lay_down(self, feed: Projection, firsts: list[int], chunks: int) -> None:
        layer = next(layer for layer in self.machine.layers if layer.name == feed.target)
        outputs, inputs, height, width = feed.weight.shape
        per_group = outputs // feed.groups
        source = self.machine.sources[feed.source]
        made = Scatter(
            feed,
            source.first_buffer,
            source.depth,
            layer.static,
            len(self._channels),
            len(self._rows),
            len(self._columns),
            chunks,
        )
        self.scatters[feed.target].append(made)
        for channel in range(volume(self.machine.net.shapes[feed.source])[0]):
            group, within = divmod(channel, inputs)
            self._channels.append((len(self._weights), firsts[group]))
            block = np.zeros((height, width, chunks * self.machine.lanes), np.int64)
            start = group * per_group - firsts[group] * self.machine.lanes
            taken = feed.weight[group * per_group : (group + 1) * per_group, within]
            block[:, :, start : start + per_group] = taken.transpose(1, 2, 0)
            self._weights += [self._word(lanes) for lanes in block.reshape(-1, self.machine.lanes)]
        place = layer.columns * layer.chunks
        for taps in feed.rows:
            self._rows += self._entries(taps, width * chunks, place, layer.first_word)
        for taps in feed.columns:
            entries = self._entries(_apart(taps), chunks, layer.chunks)
            follow = [*entries[1 : max(len(taps), 1)], entries[0]]
            waits = [int(chunks == 1 and a[3] == b[3]) for a, b in zip(entries, follow, strict=False)]
            self._columns += [(*entry[:2], wait, *entry[2:]) for entry, wait in zip(entries, [*waits, *[0] * len(entries)], strict=False)]

    def _entries(self, taps: Taps, weight_step: int, place_step: int, place_at: int = 0) -> list[tuple[int, int, int, int]]:
        """(reaches anything, last, offset of the weights, offset of the accumulators), padded to the table's stride."""
        made = [(1, int(i == len(taps) - 1), k * weight_step, place_at + o * place_step) for i, (k, o) in enumerate(taps)]
        return made + [(0, 1, 0, 0)] * ((1 << self.tap_bits) - len(made))

    def _word(self, lanes: Iterable[int]) -> int:
        word = 0
        for lane, weight in enumerate(lanes):
            code = int(weight > 0) if self.weight_bits == 1 else int(weight) & ((1 << self.weight_bits) - 1)
            word |= code << (lane * self.weight_bits)
        return word

    # ---------------------------------------------------------------- widths and images
    @property
    def weight_words(self) -> int:
        """Words of weights."""
        return len(self._weights)

    @property
    def weight_address_bits(self) -> int:
        """Of an address of weights, and of the offsets that are added up to one."""
        return max(bits(len(self._weights) - 1), self.chunk_bits)

    @property
    def acc_address_bits(self) -> int:
        """The same of accumulators."""
        return max(bits(self.machine.acc_words - 1), self.chunk_bits)

    @property
    def channel_address_bits(self) -> int:
        """Of an address of channels."""
        return bits(len(self._channels) - 1)

    @property
    def row_address_bits(self) -> int:
        """Of an address of rows' taps."""
        return bits(len(self._rows) - 1)

    @property
    def column_address_bits(self) -> int:
        """Of an address of columns' taps."""
        return bits(len(self._columns) - 1)

    @property
    def acc_bits(self) -> int:
        """Of an accumulator, and more than a weight or an input value has."""
        return max(self.machine.acc_bits, self.weight_bits + 1, self.machine.value_bits + 1)

    @property
    def worst_clocks(self) -> int:
        """Bound of the clocks that a step spends on events, if every neuron fires."""
        reached = {s.projection.source: 0 for scatters in self.scatters.values() for s in scatters}
        for scatter in (s for scatters in self.scatters.values() for s in scatters):
            feed = scatter.projection
            taps = sum(map(len, feed.rows)) * sum(map(len, feed.columns)) * volume(self.machine.net.shapes[feed.source])[0]
            reached[feed.source] += 2 * taps * scatter.chunks + 4 * self.machine.sources[feed.source].size
        return sum(reached.values())

    @property
    def chunk_bits(self) -> int:
        """Of a chunk's number."""
        return bits(max(layer.chunks for layer in self.machine.layers) - 1)

    @property
    def images(self) -> list[Image]:
        """All read-only memories."""
        machine, w, a = self.machine, self.weight_address_bits, self.acc_address_bits
        t, b = machine.threshold_bits, machine.bias_bits
        columns = [_pack((1, v), (1, last), (1, waits), (w, wo), (a, ao)) for v, last, waits, wo, ao in self._columns]
        few = max(machine.constants, len(self._channels)) <= MAX_IN_LOGIC
        constants = [
            (int(theta), int(bias))
            for layer in machine.layers
            for theta, bias in zip(layer.neuron.threshold, layer.neuron.bias, strict=True)
        ]
        return [
            Image("weights", machine.lanes * self.weight_bits, self._weights),
            Image("channels", w + self.chunk_bits, [_pack((w, at), (self.chunk_bits, first)) for at, first in self._channels], few),
            Image("rows", 2 + w + a, [_pack((1, v), (1, last), (w, wo), (a, ao)) for v, last, wo, ao in self._rows], logic=True),
            Image(
                "columns",
                3 + w + a,
                columns,
                logic=True,
            ),
            Image("constants", t + b, [_pack((t, theta), (b, bias)) for theta, bias in constants], few),
        ]


def _pack(*fields: tuple[int, int]) -> int:
    """Fields (width, value), the first on the left."""
    word = 0
    for width, value in fields:
        word = (word << width) | (value & ((1 << width) - 1))
    return word


def _apart(taps: Taps) -> Taps:
    """The same taps, those that meet the same accumulator not one after another where that can be: the adder then need not wait."""
    left = list(taps)
    ordered: list[tuple[int, int]] = []
    while left:
        counts = {place: sum(o == place for _, o in left) for _, place in left}
        before = ordered[-1][1] if ordered else None
        best = max((place for place in counts if place != before), key=lambda place: (counts[place], -place), default=before)
        one = next(tap for tap in left if tap[1] == best)
        left.remove(one)
        ordered.append(one)
    return tuple(ordered)
