"""Images of memories: weights, taps of rows and columns, chunks, parameters, and their feeds.

Two-by-two pooling after a convolution lets one spike reach a neuron through up to four weights.
They lie in as many memories, by the parity of their row and column in the kernel, and are read and
added in one clock.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from lehr.network import INPUT
from lehr.targets.fpga.machine import Layer, Machine, bits, signed_bits
from lehr.targets.fpga.pipeline import storage
from lehr.targets.fpga.projections import Projection, Taps, volume

MAX_IN_LOGIC = 128
"""Words that may be made of logic: block RAMs are the scarcest thing on a small FPGA."""

Offsets = tuple[int | None, ...]
"""Row (column) of the kernel through which a row (column) of the source is heard, by parity."""
Tap = tuple[int, tuple[Offsets, ...]]
"""Place of a row, or of a column of words, of the source, and the offsets of its pixels.

There is an offset for each of the pixels side by side in a word.
"""
Int8 = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Place:
    """Row or column of a layer: what it hears, and whether a window's place there is on the map."""

    taps: tuple[Tap, ...]
    inside: bool


@dataclass(frozen=True)
class Image:
    """Read-only memory: its words as unsigned integers of `width` bits.

    Where it is `small`, it may be made of logic.
    """

    name: str
    width: int
    words: list[int]
    small: bool = False

    @property
    def text(self) -> bytes:
        """Text that $readmemh takes: one word a line."""
        digits = (self.width + 3) // 4
        return "".join(f"{word:0{digits}x}\n" for word in self.words).encode()


@dataclass(frozen=True, eq=False)
class Feed:
    """Instruction to add what a source sent to a place of a layer.

    It is what `projection.source` sent `projection.lag` steps ago.
    """

    projection: Projection
    first_row: int
    first_column: int
    first_chunk: int


class Tables:
    """Images of a machine, and the feeds that read them, layer by layer."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        feeds = [feed for layer in machine.layers for feed in machine.feeds[layer.name]]
        self.row_banks = 1 + any(_merges(feed.rows) for feed in feeds)
        self.column_banks = 1 + any(_merges(feed.columns) for feed in feeds)
        self.banks = self.row_banks * self.column_banks
        self.across = machine.sources[INPUT].across
        layers = {layer.name: layer for layer in machine.layers}
        blocks = [self._block(feed, layers[feed.target]) for feed in feeds]
        self.weight_bits = _weight_bits(blocks)
        # the first word is what a tap of fewer weights finds
        self._weights: list[list[int]] = [[0] for _ in range(self.banks)]
        self._chunks: list[tuple[int, int, int]] = []
        self._rows: list[Place] = []
        self._columns: list[Place] = []
        self._begins: dict[Hashable, int] = {}
        laid: dict[Projection, Feed] = {}
        # Kernels of one element lie in the first bank alone: they come last, so that the other
        # banks are shorter.
        for feed, block in sorted(
            zip(feeds, blocks, strict=True), key=lambda pair: pair[0].weight.shape[2:] == (1, 1)
        ):
            laid[feed] = self._lay_down(feed, layers[feed.target], block)
        self.feeds = {
            layer.name: [laid[feed] for feed in machine.feeds[layer.name]]
            for layer in machine.layers
        }
        self.row_tap_bits, self.column_tap_bits = (
            bits(max(len(place.taps) for place in axis) - 1) for axis in (self._rows, self._columns)
        )

    # ---------------------------------------------------------------- weights
    def _words(self, feed: Projection, layer: Layer, chunk: int) -> tuple[int, int]:
        """Return the words of a place of the source that the neurons of a chunk hear.

        They are the first word, and the one after the last.
        """
        outputs, inputs = feed.weight.shape[:2]
        per_group, lanes = outputs // feed.groups, self.machine.lanes
        low, high = (
            chunk * lanes // per_group,
            (min((chunk + 1) * lanes, layer.channels) - 1) // per_group,
        )
        grain = self.machine.sources[feed.source].grain
        return low * inputs // grain, -(-(high + 1) * inputs // grain)

    def _block(self, feed: Projection, layer: Layer) -> Int8:
        """Return weights `[chunk, kernel row, kernel column, channel heard, lane]`.

        They are 0 where there is no synapse, and 1 in lanes without a neuron.
        """
        outputs, inputs, height, width = feed.weight.shape
        per_group, lanes = outputs // feed.groups, self.machine.lanes
        grain, channels = self.machine.sources[feed.source].grain, inputs * feed.groups
        spans = [self._words(feed, layer, chunk) for chunk in range(layer.chunks)]
        heard = max(min(high * grain, channels) - low * grain for low, high in spans)
        block = np.ones((layer.chunks, height, width, heard, lanes), np.int8)
        for output in range(layer.channels):
            chunk, lane = divmod(output, lanes)
            first = spans[chunk][0] * grain
            start = output // per_group * inputs - first
            block[chunk, :, :, : channels - first, lane] = 0
            block[chunk, :, :, start : start + inputs, lane] = feed.weight[output].transpose(
                1, 2, 0
            )
        return block

    def _lay_down(self, feed: Projection, layer: Layer, block: Int8) -> Feed:
        """Return where tables and weights of a feed begin; what others have too is kept once."""
        _, _, width, heard, _ = block.shape
        source = self.machine.sources[feed.source]
        across = math.ceil(width / self.column_banks)
        rows = _places(
            _taps(feed.rows, layer.rows, source.row_step, self.row_banks, across * heard),
            feed.inside[0],
        )
        columns = _places(
            _taps(
                feed.columns,
                layer.columns,
                source.column_step,
                self.column_banks,
                heard,
                source.across,
            ),
            feed.inside[1],
        )
        return Feed(
            feed,
            self._begin(self._rows, "rows", rows),
            self._begin(self._columns, "columns", columns),
            self._weigh(feed, layer, block, across),
        )

    def _begin(self, axis: list[Place], name: str, places: tuple[Place, ...]) -> int:
        """Return where places stand in a table."""
        if (name, places) not in self._begins:
            self._begins[name, places] = len(axis)
            axis += places
        return self._begins[name, places]

    def _weigh(self, feed: Projection, layer: Layer, block: Int8, across: int) -> int:
        """Return the first chunk of a block of weights."""
        spans = tuple(self._words(feed, layer, chunk) for chunk in range(layer.chunks))
        key = (spans, layer.pack, block.shape, hashlib.sha256(block.tobytes()).digest())
        if key in self._begins:
            return self._begins[key]
        self._begins[key] = len(self._chunks)
        for chunk, (low, high) in enumerate(spans):
            base = max(map(len, self._weights))
            self._chunks.append((low, high - low - 1, base << layer.pack))
            for bank, held in enumerate(self._weights):
                row, column = divmod(bank, self.column_banks)
                mine = block[chunk, row :: self.row_banks, column :: self.column_banks]
                if mine.size:
                    mine = np.pad(mine, ((0, 0), (0, across - mine.shape[1]), (0, 0), (0, 0)))
                    held += [0] * (base - len(held)) + self._pack(
                        mine.reshape(-1, mine.shape[3]), layer.pack
                    )
        return self._begins[key]

    def _pack(self, weights: Int8, pack: int) -> list[int]:
        """Return weights `[word, lane]` as memory words.

        `2 ** pack` words of weights, of their first lanes, are in each, the first lane lowest.
        """
        weights = np.pad(weights, ((0, -len(weights) % (1 << pack)), (0, 0)))[
            :, : weights.shape[1] >> pack
        ]
        codes = (
            (weights > 0)[..., None]
            if self.weight_bits == 1
            else weights[..., None] >> np.arange(self.weight_bits) & 1
        )
        raw = np.packbits(
            codes.astype(np.uint8).reshape(len(weights) >> pack, -1), axis=1, bitorder="little"
        )
        return [int.from_bytes(word.tobytes(), "little") for word in raw]

    # ---------------------------------------------------------------- widths and images
    @property
    def weight_words(self) -> int:
        """Words of weights in the largest bank."""
        return max(map(len, self._weights))

    @property
    def counted(self) -> bool:
        """Whether lanes count weights of +1, of which all sums are made in the end.

        Sums that are compared are made with their signs.
        """
        return self.weight_bits == 1 and not self.machine.maxima

    @property
    def window_bits(self) -> int:
        """Bits of a place in a table by which it is known whether it is on the map, if need be."""
        return int(not all(place.inside for place in (*self._rows, *self._columns)))

    @property
    def sum_bits(self) -> int:
        """Bits of what one event adds to a lane, all banks together; a value not yet counted."""
        if self.counted:
            return bits(self.banks)
        most = self.banks << (self.weight_bits - 1)
        return signed_bits(-most, most)

    @property
    def offset_bits(self) -> int:
        """Bits of the offsets of chunk, row, column and element.

        They are added up to the number of a word of weights.
        """
        words = bits(self.weight_words - 1) + max(layer.pack for layer in self.machine.layers)
        return max(words, self.place_word_bits + (self.machine.word - 1).bit_length())

    @property
    def address_bits(self) -> int:
        """Bits of the address of a word in the maps of values or spikes."""
        return bits(max(self.machine.value_words, self.machine.spike_words) - 1)

    @property
    def place_word_bits(self) -> int:
        """Bits of the number of a word within a place."""
        return bits(max(max(low, last) for low, last, _ in self._chunks))

    @property
    def acc_bits(self) -> int:
        """Bits of an accumulator, and not less than what is added to it has."""
        return max(
            self.machine.acc_bits, self.narrow_bits + 1, self.sum_bits + self.machine.value_bits
        )

    @property
    def narrow_bits(self) -> int:
        """Bits of an accumulator where no values are heard.

        What lanes sum up of binary weights has no sign.
        """
        return max(self.machine.narrow_bits - self.counted, self.sum_bits + 1)

    def work(self, layer: Layer, feed: Feed) -> tuple[int, int]:
        """Return what a step looks at for a feed, over all places and chunks.

        It is the number of words of the source, and of the values in them.
        """
        source = feed.projection.source
        across = self.machine.sources[source].across
        rows, columns = (
            self._rows[feed.first_row :][: layer.rows],
            self._columns[feed.first_column :][: layer.columns],
        )
        taps = math.prod(sum(len(place.taps) for place in axis) for axis in (rows, columns))
        words = sum(last + 1 for _, last, _ in self._chunks[feed.first_chunk :][: layer.chunks])
        values = min(
            words * self.machine.sources[source].grain,
            layer.chunks * volume(self.machine.net.shapes[source])[0],
        )
        return taps * words, taps * values * across

    @property
    def images(self) -> list[Image]:
        """All read-only memories."""
        machine, w = self.machine, self.offset_bits
        p = self.place_word_bits
        chunks = [_pack((p, low), (p, last), (w, base)) for low, last, base in self._chunks]
        return [
            *(
                Image(f"weights{bank}", machine.lanes * self.weight_bits, words)
                for bank, words in enumerate(self._weights)
            ),
            Image(
                "rows", *self._axis(self._rows, self.row_tap_bits, self.row_banks, 1), small=True
            ),
            Image(
                "columns",
                *self._axis(self._columns, self.column_tap_bits, self.column_banks, self.across),
                small=True,
            ),
            Image("chunks", 2 * p + w, chunks, len(chunks) <= MAX_IN_LOGIC),
            Image(
                "constants",
                machine.constant_bits,
                self._constants,
                machine.constants <= MAX_IN_LOGIC,
            ),
        ]

    @property
    def _constants(self) -> list[int]:
        """Parameters of each channel, or neuron by neuron, place by place.

        They are 0 where an update reads none.
        """
        words = []
        for layer in self.machine.layers:
            neuron = layer.neuron
            places = math.prod(self.machine.net.shapes[layer.name][1:]) if layer.by_neuron else 1
            shape = (layer.channels, places)
            columns = []
            for name, reached in self.machine.parameters.items():
                value = neuron.values.get(name, np.zeros(layer.channels, np.int32))
                by_place = np.broadcast_to(value.reshape(layer.channels, -1), shape).T.ravel()
                columns.append([(storage(*reached)[0], int(number)) for number in by_place])
            words += [_pack(*word) for word in zip(*columns, strict=True)] or [0] * (
                layer.channels * places
            )
        return words

    def _axis(
        self, places: list[Place], tap_bits: int, banks: int, across: int
    ) -> tuple[int, list[int]]:
        """Width and words of a table of taps.

        A word is (whether the place of a window is on the map, last of its place, offset in the
        map, (heard, offset of the weight) for each parity, of `across` pixels of a word).
        """
        w, a, inside = self.offset_bits, self.address_bits, self.window_bits
        words = []
        for place in places:
            taps = place.taps
            padded = [*taps, *[(0, ())] * ((1 << tap_bits) - len(taps))]
            for number, (at, pixels) in enumerate(padded):
                every = [
                    offset
                    for pixel in (*pixels, *[(None,) * banks] * (across - len(pixels)))
                    for offset in pixel
                ]
                heard = [
                    field
                    for offset in every
                    for field in ((1, int(offset is not None)), (w, offset or 0))
                ]
                last = int(number >= len(taps) - 1)
                words.append(_pack((inside, int(place.inside)), (1, last), (a, at), *heard))
        return inside + 1 + a + across * banks * (1 + w), words


def _places(by_place: list[list[Tap]], inside: tuple[bool, ...]) -> tuple[Place, ...]:
    return tuple(Place(tuple(taps), there) for taps, there in zip(by_place, inside, strict=True))


def _merges(axis: tuple[Taps, ...]) -> bool:
    """Return whether a place of the layer hears one of the source by several kernel elements.

    They are neighbours in the kernel.
    """
    return any(
        len({k % 2 for k, o in taps if o == place}) > 1
        for taps in axis
        for place in {o for _, o in taps}
    )


def _weight_bits(blocks: list[Int8]) -> int:
    """Return the bits of a weight.

    One is enough where all weights are +1 and -1 and no lane of a neuron has to stay still; else
    they are those of two's complement.
    """
    if all((np.abs(block) == 1).all() for block in blocks):
        return 1
    return max(int(np.abs(block).max()) for block in blocks).bit_length() + 1


def _taps(
    axis: tuple[Taps, ...], size: int, step: int, banks: int, weight_step: int, across: int = 1
) -> list[list[Tap]]:
    """Return what each of `size` rows (columns) of a layer hears, `across` of them side by side.

    There is at least one tap, that of nothing.
    """
    by_target: list[list[Tap]] = [[] for _ in range(size)]

    def offsets(taps: Taps, target: int) -> list[Offsets]:
        mine = [k for k, o in taps if o == target]
        return list(
            zip_longest(
                *(
                    [k // banks * weight_step for k in mine if k % banks == parity]
                    for parity in range(banks)
                )
            )
        )

    for first in range(0, len(axis), across):
        pixels = axis[first : first + across]
        for target in sorted({o for taps in pixels for _, o in taps}):
            together = zip_longest(
                *(offsets(taps, target) for taps in pixels), fillvalue=(None,) * banks
            )
            by_target[target] += [(first // across * step, pair) for pair in together]
    return [taps or [(0, ())] for taps in by_target]


def _pack(*fields: tuple[int, int]) -> int:
    """Fields (width, value), the first on the left."""
    word = 0
    for width, value in fields:
        word = (word << width) | (value & ((1 << width) - 1))
    return word
