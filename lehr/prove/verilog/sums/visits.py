"""The walk of an fpga artefact's engine through its tables, clock by clock, whatever is in them.

Of lehr_core.v with its control, program, scan and maps; memories, lanes and neurons are taken out,
and what they give can be anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lehr.prove.solver import z3
from lehr.prove.verilog.boxes import MEMORIES
from lehr.prove.verilog.program import Ring
from lehr.prove.verilog.questions import Questions, Undecided
from lehr.prove.verilog.yosys import Circuit, Clocks

BOXES = MEMORIES | {"lehr_lane", "lehr_neurons", "lehr_readout"}
"""Modules that are taken out of the circuits that are asked."""
PLACE, SCAN, FINISH = 5, 6, 7
Term = Any


def bit(term: Term) -> Term:
    """Return that a wire of one bit is 1."""
    return term == 1


def low_bits(term: Term, count: int) -> Term:
    """Return the lowest bits of a term, with zeros on their left where it has fewer."""
    if term.size() >= count:
        return z3.Extract(count - 1, 0, term)
    return z3.ZeroExt(count - term.size(), term)


class Wires:
    """Wires of an engine in one clock.

    Args:
        clocks: of the circuit.
        at: which of them.
    """

    def __init__(self, clocks: Clocks, at: int) -> None:
        self.clocks, self.at = clocks, at

    def __getitem__(self, wire: str) -> Term:
        return self.clocks.at(self.at, wire)

    def __contains__(self, wire: str) -> bool:
        return wire in self.clocks.circuit.wires

    def on(self, wire: str) -> Term:
        """Return that a wire of one bit is 1."""
        return bit(self[wire])

    # ---------------------------------------------------------------- words of tables
    @property
    def offset(self) -> int:
        """Bits of the number of a weight."""
        return int(self["scan.offsets"].size() // self["scan.heard"].size())

    def tap(self, side: str) -> dict[str, Term]:
        """Return the fields of a word of the table of rows or columns: inside, last and at."""
        word = self[f"scan.{side}_q"]
        window, bits, address = "scan.on_map" in self, word.size(), self["scan.look"].size()
        high = bits - 1 - window
        return {
            "inside": bit(z3.Extract(bits - 1, bits - 1, word)),
            "last": bit(z3.Extract(high, high, word)),
            "at": z3.Extract(high - 1, high - address, word),
        }

    def weights(self, side: str) -> list[tuple[Term, Term]]:
        """Return whether there is a weight, and what is added to its number, field by field."""
        word, width = self[f"scan.{side}_q"], 1 + self.offset
        window, address = "scan.on_map" in self, self["scan.look"].size()
        fields = (word.size() - window - 1 - address) // width
        lows = [(fields - 1 - number) * width for number in range(fields)]
        return [
            (
                bit(z3.Extract(low + self.offset, low + self.offset, word)),
                z3.Extract(low + self.offset - 1, low, word),
            )
            for low in lows
        ]

    def chunk(self) -> tuple[Term, Term, Term]:
        """Return the first word of a chunk, its last one from there, and the weights' offset."""
        word, place = self["scan.chunk_q"], self["scan.word"].size()
        of_last = self.offset + place
        return (
            z3.Extract(of_last + place - 1, of_last, word),
            z3.Extract(of_last - 1, self.offset, word),
            z3.Extract(self.offset - 1, 0, word),
        )

    def word_ends(self) -> Term:
        """Return that the word that is looked at is the last of a place's."""
        return self["scan.word"] == self.chunk()[1]

    def feed_ends(self) -> Term:
        """Return that all of a feed is looked at, or that nothing was sent yet that it could be."""
        done = z3.And(self.word_ends(), self.tap("column")["last"], self.tap("row")["last"])
        looked = z3.And(self.state(SCAN), z3.Not(self.on("more")), done)
        return z3.Or(looked, z3.And(self.on("control.goes"), z3.Not(self.sent())))

    def sent(self) -> Term:
        """Return that there were as many steps before as the feed is late."""
        return z3.ULE(self["lag"], self["control.step"])

    def state(self, number: int) -> Term:
        """Return that the control is in a state."""
        return self["control.state"] == number


def contradicted(
    assumed: Sequence[Term],
    claims: Mapping[str, Sequence[Term]],
    shown: Mapping[str, Term],
    asked: Questions,
    *,
    occurs: Mapping[str, Term],
) -> dict[str, Any] | None:
    """Return values that contradict a claim, and which; None where nothing does.

    Args:
        assumed: in every claim.
        claims: terms that hold, by what they are about.
        shown: terms by name.
        asked: what counts questions.
        occurs: what claims are about, each of which must be able to occur.

    Raises:
        Undecided: where nothing meets what is assumed, or the time was not enough.
    """
    for what, there in occurs.items():
        if asked.met([*assumed, there]) is None:
            raise Undecided(f"nothing can meet what is assumed: {what}")
    for what, claim in claims.items():
        wrong = z3.Or(z3.BoolVal(False), *(z3.Not(each) for each in claim))
        if (found := asked.met([*assumed, wrong], shown)) is not None:
            return {"wrong": what, **found}
    return None


def looks(circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
    """Return what contradicts that words, taps and chunks are visited as the tables say."""
    clocks = Clocks(circuit, 2)
    before, now, after = (Wires(clocks, at) for at in range(3))
    assumed = [*clocks.facts, *(each["rst"] == 0 for each in (before, now))]
    assumed.append(z3.Implies(before.state(SCAN), before["base"] == before["map_address"]))
    scanning = now.state(SCAN)
    low, last, _ = now.chunk()
    del last
    address = now["look"].size()
    row, column = now.tap("row"), now.tap("column")
    place = low_bits(low, address) + low_bits(now["scan.word"], address)
    tables = [z3.Implies(scanning, _addressed(before, now, side)) for side in ("row", "column")]
    chunk = now["first_chunk"] + low_bits(now["chunk"], now["first_chunk"].size())
    tables.append(
        z3.Implies(
            scanning,
            before["scan.chunk_rom.address"]
            == low_bits(chunk, before["scan.chunk_rom.address"].size()),
        )
    )
    claims = {
        "words of tables": tables,
        "map": [z3.Implies(scanning, now["base"] == now["map_address"])],
        "word": [now["look"] == now["base"] + row["at"] + column["at"] + place],
        "memory": [z3.Implies(scanning, each) for each in _read(now)],
        "weights": list(_offsets(now)),
        "next word": list(_next_word(now, after)),
        "not sent yet": [z3.Implies(z3.And(before.state(PLACE), scanning), before.sent())],
    }
    shown = {x: now[x] for x in ("layer", "feed", "y", "x", "chunk", "look")}
    occurs = {"a word is looked at": z3.And(scanning, now["more"] == 0, now.word_ends())}
    return contradicted(assumed, claims, shown, asked, occurs=occurs)


def _addressed(before: Wires, now: Wires, side: str) -> Term:
    """Return that the word of a tap was asked for a clock before."""
    first, at = (now["first_row"], now["y"]) if side == "row" else (now["first_column"], now["x"])
    place = z3.Concat(first + low_bits(at, first.size()), now[f"scan.{side}_tap"])
    address = before[f"scan.{side}_rom.address"]
    return address == low_bits(place, address.size())


def _read(now: Wires) -> Iterator[Term]:
    """Yield that the memory of the map is read where the scan looks."""
    look, values = now["look"], now.on("of_values")
    swept = now.on("control.clears")
    for memory in ("maps.value_ram", "maps.beside_ram"):
        if f"{memory}.address" in now:
            address = now[f"{memory}.address"]
            there = [now.on(f"{memory}.enable"), now[f"{memory}.write"] == 0]
            there.append(address == low_bits(look, address.size()))
            yield z3.Implies(z3.And(values, z3.Not(swept)), z3.And(*there))
    for memory in ("maps.spike_ram", "link.link_ram"):
        if f"{memory}.read_address" in now:
            address = now[f"{memory}.read_address"]
            there = [now.on(f"{memory}.read"), address == low_bits(look, address.size())]
            yield z3.Implies(z3.Not(values), z3.And(*there))


def _offsets(now: Wires) -> Iterator[Term]:
    """Yield which weights a word is heard through, and what their numbers begin with."""
    rows, columns, (_, _, first) = now.weights("row"), now.weights("column"), now.chunk()
    bits = now.offset
    banks = now["events.event_offsets"].size() // bits
    across = now["scan.heard"].size() // banks
    beside = len(columns) // across
    for number in range(across * banks):
        side, bank = divmod(number, banks)
        row = rows[bank // beside]
        column = columns[side * beside + bank % beside]
        low = number * bits
        offset = z3.Extract(low + bits - 1, low, now["scan.offsets"])
        yield offset == first + row[1] + column[1]
        heard = bit(z3.Extract(number, number, now["scan.heard"]))
        yield heard == z3.And(row[0], column[0])


def _next_word(now: Wires, after: Wires) -> Iterator[Term]:
    """Yield that words follow one another, then columns, then rows, then the feed ends."""
    begins = now.on("begins")
    looked = z3.And(now.state(SCAN), z3.Not(now.on("more")))
    place = z3.And(looked, now.word_ends())
    line = z3.And(place, now.tap("column")["last"])
    done = z3.And(line, now.tap("row")["last"])
    for wire, counts, ends in (
        ("scan.word", looked, place),
        ("scan.column_tap", place, line),
        ("scan.row_tap", line, done),
    ):
        zero = z3.BitVecVal(0, now[wire].size())
        counted = z3.If(ends, zero, z3.If(counts, now[wire] + 1, now[wire]))
        yield after[wire] == z3.If(begins, zero, counted)
    yield now.on("scan_ends") == done


def in_order(rings: Sequence[Ring], circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
    """Return what contradicts that feeds, chunks, places, layers and maps follow one another."""
    clocks = Clocks(circuit, 1)
    now, after = Wires(clocks, 0), Wires(clocks, 1)
    assumed = [*clocks.facts, now["rst"] == 0]
    last, kept = now["feed"] == now["last_feed"], z3.BoolVal(False)
    if "next_kept" in now:
        kept = now.on("next_kept")
    feed_ends = now.feed_ends()
    chunk_ends = z3.Or(z3.And(last, feed_ends), kept)
    opened, begins = now.on("opens_layer"), now.on("begins")
    feed = z3.If(feed_ends, now["feed"] + 1, now["feed"])
    feed = z3.If(z3.Or(opened, chunk_ends), now["first_feed"], feed)
    claims = {
        "next feed": [after["feed"] == feed],
        "next chunk": list(_next_place(now, after, chunk_ends, begins)),
        "next layer": [after["layer"] == _layer(now)],
    }
    if rings:
        claims["next map"] = list(_next_map(rings, now, after))
    shown = {x: now[x] for x in ("layer", "feed", "y", "x", "chunk", "control.state")}
    occurs = {"a chunk ends": chunk_ends, "a feed ends": z3.And(feed_ends, z3.Not(last))}
    return contradicted(assumed, claims, shown, asked, occurs=occurs)


def _next_place(now: Wires, after: Wires, ends: Term, begins: Term) -> Iterator[Term]:
    for wire in ("chunk", "x", "y"):
        zero, last = z3.BitVecVal(0, now[wire].size()), now[wire] == now[f"last_{wire}"]
        counted = z3.If(ends, z3.If(last, zero, now[wire] + 1), now[wire])
        yield after[wire] == z3.If(begins, zero, counted)
        ends = z3.And(ends, last)
    yield z3.Implies(ends, after.state(FINISH))


def _layer(now: Wires) -> Term:
    zero = z3.BitVecVal(0, now["layer"].size())
    done = z3.And(now.state(FINISH), now.on("quiet"), now["control.ending"] == 0)
    anew = z3.Or(now.on("begins"), now.on("ends_step"))
    return z3.If(anew, zero, z3.If(done, now["layer"] + 1, now["layer"]))


def _next_map(rings: Sequence[Ring], now: Wires, after: Wires) -> Iterator[Term]:
    for ring in rings:
        number = ring.of(now["slots"])
        zero = z3.BitVecVal(0, number.size())
        moved = z3.If(now.on("ends_step"), ring.next(number), number)
        yield ring.of(after["slots"]) == z3.If(now.on("begins"), zero, moved)
