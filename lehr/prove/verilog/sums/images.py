"""What the memory images of an fpga artefact make of an event: they are followed word by word.

How words are visited and what their bits mean is stated here anew, from how the Verilog reads them;
that the Verilog does so is a claim of its own (`datapath`). Nothing is shared with what writes the
images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lehr.arithmetic import Int64
from lehr.errors import FileRefused
from lehr.prove.verilog.engines import Engine
from lehr.prove.verilog.program import Program
from lehr.prove.verilog.sums.reaching import Synapses
from lehr.prove.verilog.yosys import WAY_OUT
from lehr.reading import read_text

_BYTES = 1 << 26
_PARAMETER = re.compile(r"parameter (\w+) = (\d+)")
Images = Mapping[str, Sequence[int]]
"""Words by the name of the memory: rows, columns, chunks, weights0 and so on."""


def read_words(engine: Engine, file: str) -> list[int]:
    """Read a memory image: a number in hexadecimal a line.

    Raises:
        FileRefused: when it is none.
    """
    text = read_text(engine.folder / file, _BYTES, WAY_OUT)
    if not re.fullmatch(r"(?:[0-9a-f]{1,512}\n)+", text):
        raise FileRefused(f"{engine.folder / file} is no memory image; {WAY_OUT}")
    return [int(line, 16) for line in text.split()]


class Elsewhere(Exception):
    """Error of a word that is looked at where there is none; `at` says which."""

    def __init__(self, **at: int | str) -> None:
        super().__init__()
        self.at = at


class Tap(NamedTuple):
    """A word of the table of rows or of columns.

    Attributes:
        inside: whether the place of a window is on the map.
        last: whether no other word follows for the place.
        at: what it adds to the address in the map.
        heard: whether there is a weight, for each bank, one pixel of a word after another.
        offsets: what it adds to the number of that weight.
    """

    inside: bool
    last: bool
    at: int
    heard: tuple[bool, ...]
    offsets: tuple[int, ...]


@dataclass
class Heard:
    """What came together so far: by source and lag pieces of events, neurons and weights."""

    pieces: dict[tuple[str, int], list[tuple[Int64, Int64, Int64]]] = field(default_factory=dict)

    def add(self, key: tuple[str, int], events: Int64, neurons: Int64, weights: Int64) -> None:
        """Take in weights, one by one between an event and a neuron."""
        self.pieces.setdefault(key, []).append((events, neurons, weights))

    def add_all(self, key: tuple[str, int], events: Int64, neurons: Int64, weights: Int64) -> None:
        """Take in weights `[events, neurons]`."""
        at, lane = np.nonzero(weights)
        self.add(key, events[at], neurons[lane], weights[at, lane])

    def summed(self) -> dict[tuple[str, int], Synapses]:
        """Return what it comes to: weights between the same two are added up."""
        found = {}
        for key, pieces in self.pieces.items():
            events, neurons, weights = map(np.concatenate, zip(*pieces, strict=True))
            order = np.lexsort((neurons, events))
            events, neurons, weights = events[order], neurons[order], weights[order]
            if not len(events):
                continue
            new = np.diff(events, prepend=-1) | np.diff(neurons, prepend=-1)
            first = np.flatnonzero(new)
            total = np.add.reduceat(weights, first)
            kept = np.flatnonzero(total)
            if len(kept):
                found[key] = Synapses(events[first][kept], neurons[first][kept], total[kept])
        return found


def volume(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return a shape as channels, rows and columns; features are channels of one pixel."""
    rows = int(np.prod(shape[1:-1])) if len(shape) > 1 else 1
    return shape[0], rows, shape[-1] if len(shape) > 1 else 1


class Reader:
    """The memories of an engine, and how its circuit reads them.

    Args:
        program: of the engine.
        images: its memories.
        sums: text of lehr_sums.v, whose parameters say how wide words of weights are.
    """

    def __init__(self, program: Program, images: Images, sums: str) -> None:
        self.program, self.images = program, images
        self.address = program.bits("scan.look")
        self.offset = program.bits("scan.offsets") // program.bits("scan.heard")
        self.banks = program.bits("events.event_offsets") // self.offset
        self.across = program.bits("scan.heard") // self.banks
        self.place_word = program.bits("scan.word")
        self.window = int(program.has("scan.on_map"))
        self.word = program.bits("events.bits") if program.has("events.bits") else 1
        self.row_banks = self._fields("scan.row_q")
        self.column_banks = self._fields("scan.column_q") // self.across
        given = {name: int(value) for name, value in _PARAMETER.findall(sums)}
        self.lanes, self.weight = given["LANES"], given["WEIGHT"]
        self._unpacked: dict[tuple[int, int], Int64] = {}

    def _fields(self, wire: str) -> int:
        return (self.program.bits(wire) - self.window - 1 - self.address) // (1 + self.offset)

    # ---------------------------------------------------------------- words
    def place(self, table: str, first: int, number: int) -> list[Tap]:
        """Return the words of a layer's row or column in their table, up to the last one.

        Args:
            table: `rows` or `columns`.
            first: place of the first row or column.
            number: of the row or column.

        Raises:
            Elsewhere: where the table has no such word.
        """
        side = table.removesuffix("s")
        bits, tap_bits = (self.program.bits(f"scan.{side}{each}") for each in ("_q", "_tap"))
        high = bits - 1 - self.window
        fields = self._fields(f"scan.{side}_q")
        place = (first + number) % (1 << self.program.bits(f"scan.{side}"))
        taps = []
        for tap in range(1 << tap_bits):
            word = self._at(table, place << tap_bits | tap)
            lows = [(fields - 1 - n) * (1 + self.offset) for n in range(fields)]
            read = Tap(
                not self.window or bool(word >> bits - 1),
                bool(word >> high & 1),
                word >> high - self.address & (1 << self.address) - 1,
                tuple(bool(word >> low + self.offset & 1) for low in lows),
                tuple(word >> low & (1 << self.offset) - 1 for low in lows),
            )
            taps.append(read)
            if read.last:
                return taps
        raise Elsewhere(table=table, place=place, taps="without a last one")

    def chunk(self, number: int) -> tuple[int, int, int]:
        """Return the first and the last word of a place, from the first, and a chunk's offset."""
        word = self._at("chunks", number % (1 << self.program.bits("scan.chunk")))
        last = word >> self.offset & (1 << self.place_word) - 1
        return word >> self.offset + self.place_word, last, word & (1 << self.offset) - 1

    def _at(self, memory: str, address: int) -> int:
        if address >= len(self.images[memory]):
            raise Elsewhere(memory=memory, word=address, words=len(self.images[memory]))
        return self.images[memory][address]

    def weights(self, bank: int, pack: int) -> Int64:
        """Return the weights of a memory, int64 `[numbers, lanes]`; a bit that counts is 0 or 1.

        With `pack`, so many powers of two of them share a word: the first lanes of each.
        """
        if (bank, pack) not in self._unpacked:
            words = self.images[f"weights{bank}"]
            size = -(-self.lanes * self.weight // 8)
            raw = np.frombuffer(b"".join(w.to_bytes(size, "little") for w in words), np.uint8)
            bits = np.unpackbits(raw.reshape(len(words), size), axis=1, bitorder="little")
            fields = bits[:, : self.lanes * self.weight].reshape(len(words), self.lanes, -1)
            worth = 1 << np.arange(self.weight, dtype=np.int64)
            if self.weight > 1:
                worth[-1] = -worth[-1]
            whole = fields @ worth
            part = self.lanes >> pack
            shared = np.repeat(whole, 1 << pack, axis=0)
            if pack:
                shared[:, :part] = whole[:, : part << pack].reshape(-1, part)
            self._unpacked[bank, pack] = shared
        return self._unpacked[bank, pack]

    # ---------------------------------------------------------------- events
    def events(
        self,
        taps: tuple[Tap, Tap],
        chunk: tuple[int, int, int],
        pack: int,
        lies: Int64,
        *,
        of_values: bool,
    ) -> Iterator[tuple[Int64, Int64]]:
        """Yield which events there can be in the words that two taps look at, and what lanes add.

        Args:
            taps: of a row and of a column.
            chunk: as `chunk` returns it.
            pack: logarithm of how many words of weights share one of the memory.
            lies: which value of the source lies where, as `map_of` returns it.
            of_values: whether it holds values; else bits.

        Returns:
            Events, int64 `[events]`, and weights, int64 `[events, lanes]`.

        Raises:
            Elsewhere: where there is no such word or weight.
        """
        (rows, columns), (low, last, first) = taps, chunk
        looked = (rows.at + columns.at + low + np.arange(last + 1)) % (1 << self.address)
        if looked.max() >= len(lies):
            raise Elsewhere(word=int(looked.max()), words=len(lies))
        step = 1 if of_values else 1 << (self.word - 1).bit_length()
        for place in range(lies.shape[1]):
            there = np.flatnonzero(lies[looked, place] >= 0)
            if not len(there):
                continue
            side = place if of_values else 0
            element = (there * step + place - side) % (1 << self.offset)
            total, count = np.zeros((len(there), self.lanes), np.int64), 0
            for bank in range(self.banks):
                row, column = divmod(bank, self.column_banks)
                column += side * self.column_banks
                number = np.zeros(len(there), np.int64)
                if rows.heard[row] and columns.heard[column]:
                    offset = first + rows.offsets[row] + columns.offsets[column]
                    number, count = (offset + element) % (1 << self.offset), count + 1
                held = self.weights(bank, pack)
                if self.weight == 1 and held[0].any():
                    raise Elsewhere(memory=f"weights{bank}", word=0, holds="a weight")
                if number.max() >= len(held):
                    raise Elsewhere(memory=f"weights{bank}", word=int(number.max() >> pack))
                total += held[number]
            yield lies[looked[there], place], 2 * total - count if self.weight == 1 else total


def map_of(shape: tuple[int, int, int], grain: int, across: int, *, events: bool) -> Int64:
    """Return which value of a source lies where, int64 `[words, places]`; -1 where none does.

    Args:
        shape: channels, rows and columns of the source.
        grain: channels in a word.
        across: pixels in a word.
        events: whether it is filled by events of the input, at their coordinates side by side; else
            by words of neurons, place by place.
    """
    channels, _, columns = shape
    c, y, x = (each.ravel() for each in np.indices(shape))
    if not events:
        word = (y * columns + x) * -(-channels // grain) + c // grain
        place = c % grain
    else:
        low = (grain - 1).bit_length()
        of_c = max((channels - 1).bit_length() - low, 0)
        of_x = max((columns - 1).bit_length() - (across - 1), 0)
        word = (y << of_x + of_c) | (x >> across - 1 << of_c) | (c >> low)
        place = x % across if across > 1 else c & (1 << low) - 1
    lies = np.full((int(word.max()) + 1, int(place.max()) + 1), -1, np.int64)
    lies[word, place] = np.arange(len(c))
    return lies
