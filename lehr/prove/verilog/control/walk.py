"""The walk of an engine's scan through its tables of rows, columns and chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lehr.errors import FileRefused
from lehr.prove.solver import z3
from lehr.prove.verilog.control.order import Order
from lehr.prove.verilog.engines import Engine
from lehr.prove.verilog.induction import At, Term, widened
from lehr.prove.verilog.sums.images import read_words
from lehr.prove.verilog.yosys import WAY_OUT

_LAST = {
    "row": re.compile(r"wire +row_last = row_q\[(\d+)\];"),
    "column": re.compile(r"wire +column_last = column_q\[(\d+)\];"),
}
_IMAGE = re.compile(r'\.IMAGE\("(\w+)\.mem"\)\) (row|column|chunk)_rom')


@dataclass(frozen=True)
class Table:
    """A table of the scan.

    Attributes:
        name: row, column or chunk.
        words: what is in it.
        last: number of the bit that says that a tap is the last one; -1 of chunks, which have none.
    """

    name: str
    words: Sequence[int]
    last: int

    def holds(self, address: Term, q: Term) -> Term:
        """Return whether a word is that of an address; anything beyond the table."""
        read = q
        for at, word in enumerate(self.words[: 1 << address.size()]):
            read = z3.If(address == at, z3.BitVecVal(word, q.size()), read)
        return q == read

    def taps(self) -> list[int]:
        """Return how many taps come after each.

        Raises:
            FileRefused: where there is no last one.
        """
        left: list[int] = []
        for word in reversed(self.words):
            last = word >> self.last & 1
            if not last and not left:
                raise FileRefused(f"the {self.name}s of the scan never end; {WAY_OUT}")
            left.append(0 if last else left[-1] + 1)
        return left[::-1]

    def left(self, address: Term) -> Term:
        """Return how many taps come after that of an address."""
        taps = self.taps()
        bits = max(taps).bit_length() + 1
        left = z3.BitVecVal(0, bits)
        for at, after in enumerate(taps[: 1 << address.size()]):
            left = z3.If(address == at, z3.BitVecVal(after, bits), left)
        return left


class Walk:
    """A scan and its tables.

    Args:
        order: of the engine.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        engine = order.engine
        text = order.files[engine.file("lehr_scan")]
        self.tables = _tables(engine, text)

    def address(self, at: At, name: str) -> Term:
        """Return where a table is read in this clock."""
        return at(f"scan.{name}_rom.address")

    def here(self, at: At, name: str) -> Term:
        """Return the place in a table of the word that is looked at."""
        address = self.address(at, name)
        if name == "chunk":
            return address
        place = z3.Concat(at(f"scan.{name}"), at(f"scan.{name}_tap"))
        return z3.Extract(address.size() - 1, 0, place)

    def holds(self, at: At) -> Iterator[Term]:
        """Yield what holds in a clock: the tables' words are those of the taps."""
        scans = self.order.is_in(at, "SCAN")
        for name, table in self.tables.items():
            yield z3.Implies(scans, table.holds(self.here(at, name), at(f"scan.{name}_q")))
        for name in ("row", "column"):
            tap = at(f"scan.{name}_tap")
            none = z3.Concat(at(f"scan.{name}"), z3.BitVecVal(0, tap.size()))
            first = z3.Extract(self.address(at, name).size() - 1, 0, none)
            most = self.tables[name].left(first)
            yield z3.Implies(scans, z3.ULE(widened(tap), widened(most)))
        yield z3.Implies(scans, z3.ULE(at("scan.word"), at("scan.word_end")))
        for each in ("row_tap", "column_tap", "word"):
            idle = self.order.is_in(at, "IDLE")
            yield z3.Or(scans, idle, at(f"scan.{each}") == 0)

    def claims(self, now: At, then: At) -> Iterator[Term]:
        """Yield that no word is looked at twice for a chunk: they follow one another in the map."""
        scans = z3.And(now.on("scans"), z3.Not(now.on("scan_ends")))
        yield z3.Implies(scans, z3.UGT(then("look"), now("look")))

    def moves(self, now: At, then: At) -> Iterator[Term]:
        """Yield what the tables give in the next clock."""
        for name, table in self.tables.items():
            yield table.holds(self.address(now, name), then(f"scan.{name}_q"))

    def left(self, at: At) -> list[Term]:
        """Return how many rows, columns and words of a feed come after what is looked at."""
        end = at("scan.word_end") - at("scan.word")
        return [*(self.tables[x].left(self.here(at, x)) for x in ("row", "column")), end]


def _tables(engine: Engine, text: str) -> dict[str, Table]:
    tables = {}
    for image, name in _IMAGE.findall(text):
        last = -1
        if name in _LAST:
            found = _LAST[name].search(text)
            if found is None:
                raise FileRefused(f"lehr_scan.v says of no {name} that it is the last; {WAY_OUT}")
            last = int(found[1])
        tables[name] = Table(name, read_words(engine, f"{image}.mem"), last)
    if len(tables) != 3:
        raise FileRefused(f"lehr_scan.v has other tables than lehr's; {WAY_OUT}")
    return tables
