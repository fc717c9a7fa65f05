"""What becomes of a word that an fpga artefact's engine looks at: events, weights, lanes, sums.

Of lehr_core.v with its events and sums; memories, lanes and neurons are taken out, and what they
give can be anything. A lane is proven alone (`lehr.prove.verilog.sums.adders`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lehr.prove.solver import z3
from lehr.prove.verilog.questions import Questions
from lehr.prove.verilog.sums.visits import SCAN, Term, Wires, bit, contradicted, low_bits
from lehr.prove.verilog.yosys import Circuit, Clocks

_LANE = re.compile(r"sums\.lanes\[(\d+)\]\.((?:\w+\.)?)adder\.kept")


def _part(term: Term, number: int, bits: int) -> Term:
    """Return one of the parts of a term, of so many bits each."""
    return z3.Extract((number + 1) * bits - 1, number * bits, term)


def _ones(term: Term, bits: int) -> Term:
    """Return how many bits of a term are 1."""
    total = z3.BitVecVal(0, bits)
    for number in range(term.size()):
        total += low_bits(z3.Extract(number, number, term), bits)
    return total


# ---------------------------------------------------------------- events
def leave(circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
    """Return what contradicts that events leave their word with the numbers of their weights."""
    clocks = Clocks(circuit, 1)
    now, after = Wires(clocks, 0), Wires(clocks, 1)
    assumed = [*clocks.facts, now["rst"] == 0]
    if "events.value" not in now:
        assumed.append(now["events.values"] == 0)
    more, valid = now.on("more"), now.on("events.valid")
    taken = {
        "offsets_1": now["scan.offsets"],
        "heard_1": now["scan.heard"],
        "fresh": z3.BitVecVal(1, 1),
    }
    taken |= {"valid": now["scans"], "values": now["of_values"], "element": _element(now, after)}
    held = {each: now[f"events.{each}"] for each in taken if each != "fresh"} | {
        "fresh": z3.BitVecVal(0, 1)
    }
    claims = {
        "word": [
            after[f"events.{each}"] == z3.If(more, held[each], term) for each, term in taken.items()
        ],
        "event": [
            z3.Implies(z3.Not(valid), after["events.hit"] == 0),
            *(z3.Implies(valid, each) for each in _event(now, after)),
        ],
    }
    if "events.value" not in now:  # no feed of the program is of values
        claims["word"].append(after["events.values"] == 0)
    if "events.second" in now:
        pixel = after["events.second"].size()
        claims["word"].append(after["events.second"] == _part(now["events.value"], 1, pixel))
    shown = {x: now[f"events.{x}"] for x in ("values", "fresh", "element", "heard_1")}
    occurs = {"an event": z3.And(valid, after.on("events.hit"))}
    return contradicted(assumed, claims, shown, asked, occurs=occurs)


def _element(now: Wires, after: Wires) -> Term:
    """Return the number of the first channel of a word that is looked at; any where none is."""
    element = low_bits(now["scan.word"], now.offset)
    spikes = after["events.element"]
    if "events.bits" in now:
        spikes = element << (now["events.bits"].size() - 1).bit_length()
    return z3.If(now.on("of_values"), element, spikes)


def _event(now: Wires, after: Wires) -> Iterator[Term]:
    """Yield what leaves a word, or two pixels side by side, in a clock."""
    bits = now.offset
    banks = now["events.event_offsets"].size() // bits
    across = now["events.heard_1"].size() // banks
    values = now.on("events.values")
    right, there, more, value = _pixels(now, across)
    if "events.bits" in now:
        spikes = now["events.here"] != 0
        index = low_bits(now["events.index"], bits)
        later = now["events.here"] & (now["events.here"] - 1)
        there, more = z3.If(values, there, spikes), z3.If(values, more, later != 0)
        value = z3.If(values, value, z3.BitVecVal(1, value.size())) if value is not None else None
    else:
        index, there = z3.BitVecVal(0, bits), z3.And(values, there)
    yield bit(after["events.hit"]) == there
    yield now.on("events.more") == more
    if value is not None and "events.event_value" in now:
        yield z3.Implies(there, after["events.event_value"] == value)
    side = z3.And(values, right)
    heard = _part(now["events.heard_1"], 0, banks)
    if across > 1:
        heard = z3.If(side, _part(now["events.heard_1"], 1, banks), heard)
    element = now["events.element"] + z3.If(values, z3.BitVecVal(0, bits), index)
    for bank in range(banks):
        offset = _part(now["events.offsets_1"], bank, bits)
        if across > 1:
            offset = z3.If(side, _part(now["events.offsets_1"], banks + bank, bits), offset)
        number = z3.If(bit(_part(heard, bank, 1)), offset + element, z3.BitVecVal(0, bits))
        yield _part(after["events.event_offsets"], bank, bits) == number
    if "events.count" in now:
        count = after["events.count"]
        yield count == _ones(heard, count.size())


def _pixels(now: Wires, across: int) -> tuple[Term, Term, Term, Term]:
    """Return whether the second pixel leaves, whether one does, whether one more, and its value."""
    no = z3.BoolVal(False)
    if "events.value" not in now:
        return no, no, no, None
    every = now["events.value"]
    size = every.size() // across
    first = _part(every, 0, size)
    if across == 1:
        return no, first != 0, no, first
    other, fresh = _part(every, 1, size), now.on("events.fresh")
    right = z3.Not(z3.And(fresh, first != 0))
    value = z3.If(fresh, z3.If(first != 0, first, other), now["events.second"])
    there = z3.Or(z3.Not(fresh), first != 0, other != 0)
    return right, there, z3.And(fresh, first != 0, other != 0), value


# ---------------------------------------------------------------- weights and lanes
def meet_lanes(
    weight: int, packs: Sequence[int], circuit: Circuit, asked: Questions
) -> dict[str, Any] | None:
    """Return what contradicts that lanes get the weights of an event, and what else they need.

    Args:
        weight: bits of a weight.
        packs: logarithms of how many words of weights share one of the memory.
        circuit: of the engine.
        asked: what counts questions.
    """
    clocks = Clocks(circuit, 2)
    now, then, last = (Wires(clocks, at) for at in range(3))
    assumed = [*clocks.facts, *(each["rst"] == 0 for each in (now, then))]
    pack = now["sums.pack"]
    assumed += [pack == then["sums.pack"], z3.Or(z3.BoolVal(False), *(pack == p for p in packs))]
    bits, lanes = now.offset, lanes_of(circuit)
    banks = now["events.event_offsets"].size() // bits
    addressed, weighed = [], []
    for bank in range(banks):
        number = _part(now["events.event_offsets"], bank, bits)
        rom = f"sums.weight_rom_{bank}"
        address = now[f"{rom}.address"]
        word = z3.LShR(number, low_bits(pack, bits))
        addressed += [address == low_bits(word, address.size())]
        addressed += [now[f"{rom}.enable"] == now["events.hit"]]
        chosen = _unpacked(then[f"{rom}.q"], number, pack, packs, len(lanes) * weight)
        for lane, name in lanes.items():
            weights = _part(then[f"{name}.weights"], bank, weight)
            weighed.append(weights == _part(chosen, lane, weight))
    claims = {
        "words of weights": addressed,
        "weights of lanes": weighed,
        "event": list(_event_of_lanes(lanes, now, then, last)),
        "lanes": list(_chain(lanes, last)),
    }
    shown = {"pack": pack, "offsets": now["events.event_offsets"]}
    occurs = {f"pack is {p}": z3.And(now.on("events.hit"), pack == p) for p in packs}
    return contradicted(assumed, claims, shown, asked, occurs=occurs)


def lanes_of(circuit: Circuit) -> dict[int, str]:
    """Return the lanes of an engine by number, with what stands before the names of their ports."""
    names = (_LANE.fullmatch(wire) for wire in circuit.wires)
    found = {int(m[1]): f"sums.lanes[{m[1]}].{m[2]}adder" for m in names if m}
    return dict(sorted(found.items()))


def _unpacked(word: Term, number: Term, pack: Term, packs: Sequence[int], bits: int) -> Term:
    """Return a word of weights, with one of those that share it in its first lanes."""
    chosen = word
    for p in packs:
        for part in range(1 << p if p else 0):
            own = (bits >> p) if bits % (1 << p) == 0 else 0
            lanes = z3.Extract((part + 1) * own - 1, part * own, word)
            shared = z3.Concat(z3.Extract(bits - 1, own, word), lanes)
            here = z3.And(pack == p, z3.Extract(p - 1, 0, number) == part)
            chosen = z3.If(here, shared, chosen)
    return chosen


def _event_of_lanes(
    lanes: Mapping[int, str], now: Wires, then: Wires, last: Wires
) -> Iterator[Term]:
    """Yield that an event comes to all lanes two clocks after, with its value."""
    one = "sums.value_4" not in now
    for name in lanes.values():
        yield last[f"{name}.add"] == now["events.hit"]
        value = last[f"{name}.value"]
        yield value == (1 if one else now["events.event_value"])
        triple = last[f"{name}.triple"]
        yield triple == 3 * low_bits(value, triple.size())
        if f"{name}.count" in now:
            yield then[f"{name}.count"] == now["events.count"]


def _chain(lanes: Mapping[int, str], now: Wires) -> Iterator[Term]:
    """Yield that lanes hand on their sums, the first to the neuron, and begin and end together."""
    take = now.on("take")
    counted = "sums.all_kept" in now
    sums = now["sum"].size()
    kept = {lane: now[f"{name}.kept"] for lane, name in lanes.items()}
    for lane, name in lanes.items():
        following = now[f"{name}.next"]
        given = z3.BitVecVal(0, sums)
        if lane + 1 in kept:
            given = _widened(kept[lane + 1], sums, signed=not counted)
        yield following == low_bits(given, following.size())
        yield now.on(f"{name}.take") == take
        yield now.on(f"{name}.clear") == z3.Or(now.on("begins"), take)
        yield now[f"{name}.shift"] == now["issue"]
    first = _widened(kept[0], sums, signed=not counted)
    if counted:
        yield now["sum"] == 2 * first - now["sums.all_kept"]
    else:
        yield now["sum"] == first


def _widened(term: Term, bits: int, *, signed: bool) -> Term:
    return (z3.SignExt if signed else z3.ZeroExt)(bits - term.size(), term)


# ---------------------------------------------------------------- the end of a chunk
def counts_all(circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
    """Return what contradicts that all weights of a chunk are counted, times their values."""
    clocks = Clocks(circuit, 1)
    now, after = Wires(clocks, 0), Wires(clocks, 1)
    assumed = [*clocks.facts, *_sane(now)]
    claims = {"numbers of weights": list(_sane(after))}
    every, bits = now["sums.all"], now["sums.all"].size()
    value = low_bits(now["sums.value_4"], bits) if "sums.value_4" in now else 1
    count = low_bits(now["sums.count_4"], bits)
    take = now.on("take")
    added = z3.If(now.on("sums.hit_4"), every + count * value, every)
    zero = z3.BitVecVal(0, bits)
    claims["number of all"] = [
        after["sums.all"] == z3.If(z3.Or(now.on("begins"), take), zero, added),
        after["sums.all_kept"] == z3.If(take, every, now["sums.all_kept"]),
        z3.Implies(now["rst"] == 0, after["sums.hit_4"] == now["sums.hit_3"]),
        after["sums.count_4"] == now["sums.count_3"],
        after["sums.count_3"] == now["events.count"],
    ]
    shown = {"all": every, "count": now["sums.count_4"], "heard": now["events.heard_1"]}
    occurs = {"an event": now.on("sums.hit_4"), "the end": take}
    return contradicted(assumed, claims, shown, asked, occurs=occurs)


def _sane(now: Wires) -> Iterator[Term]:
    """Yield that weights are meant by rows and columns: none, one, two or four of them."""
    banks = now["events.event_offsets"].size() // now.offset
    heard = now["events.heard_1"]
    for side in range(heard.size() // banks):
        count = _ones(_part(heard, side, banks), banks)
        yield z3.Implies(
            now.on("events.valid"), z3.Or(*(count == n for n in (0, 1, 2, 4) if n <= banks))
        )
    for hit, wire in (
        ("events.hit", "events.count"),
        ("sums.hit_3", "sums.count_3"),
        ("sums.hit_4", "sums.count_4"),
    ):
        meant = z3.Or(*(now[wire] == n for n in (0, 1, 2, 4) if n <= banks))
        yield z3.Implies(now.on(hit), meant)


def windows_end(circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
    """Return what contradicts that places of windows end with their last event, each once."""
    clocks = Clocks(circuit, 1)
    now, after = Wires(clocks, 0), Wires(clocks, 1)
    assumed = [*clocks.facts, *_apart(now)]
    claims = {
        "events and ends": list(_apart(after)),
        "ends": [z3.Implies(z3.Or(now.on("mark"), now.on("close")), now["more"] == 0)],
        "places of windows": list(_windows(now, after)),
    }
    shown = {"closes": now["sums.closes"], "valid": now["events.valid"], "hit": now["events.hit"]}
    occurs = {"the end of a place": now.on("close"), "an event": now.on("events.valid")}
    return contradicted(assumed, claims, shown, asked, occurs=occurs)


def _apart(now: Wires) -> Iterator[Term]:
    """Yield that no event is on its way beside an end, and no word is looked at before one."""
    events = ("events.valid", "events.hit", "sums.hit_3", "sums.hit_4")
    for each in ("marks", "closes"):
        waits = "control.ending" if each == "marks" else "control.closing"
        yield z3.Implies(now.on(waits), z3.Not(now.state(SCAN)))
        for number, event in enumerate(events):
            ended = bit(_part(now[f"sums.{each}"], number, 1))
            yield z3.Implies(ended, now[event] == 0)


def _windows(now: Wires, after: Wires) -> Iterator[Term]:
    """Yield that each place of a window is closed once, and is known to be on the map or not."""
    ends = now.feed_ends()
    closing = z3.Or(
        z3.And(now.on("closes"), ends), z3.And(now.on("control.closing"), now["close"] == 0)
    )
    yield z3.Implies(now["rst"] == 0, after.on("control.closing") == closing)
    yield after["leave"] == z3.If(ends, now["leaves"], now["leave"])
    running = {"closes": now["close"], "leaves": now["leave"]}
    there = z3.BitVecVal(1, 1)
    if "there" in now:
        there = now["there"]
        closed = z3.And(now.on("closes"), ends)
        on_map = z3.And(after.tap("row")["inside"], after.tap("column")["inside"])
        yield after.on("there") == z3.If(closed, on_map, now.on("there"))
    running["theres"] = there
    for wire, given in running.items():
        moved = z3.Concat(z3.Extract(2, 0, now[f"sums.{wire}"]), given)
        yield z3.Implies(now["rst"] == 0, after[f"sums.{wire}"] == moved)
    closes, leaves, theres = (bit(_part(now[f"sums.{w}"], 3, 1)) for w in running)
    some = now.on("sums.some")
    kept = z3.If(closes, z3.And(z3.Not(leaves), z3.Or(some, theres)), some)
    over = z3.Or(now.on("begins"), now.on("take"))
    yield after.on("sums.some") == z3.And(z3.Not(over), kept)
    for name in lanes_of(now.clocks.circuit).values():
        yield now.on(f"{name}.close") == closes
        yield now.on(f"{name}.leave") == leaves
        yield now.on(f"{name}.there") == theres
        yield now.on(f"{name}.some") == some


# ---------------------------------------------------------------- memories
def gives_words(circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
    """Return what contradicts that a memory gives the word at an address a clock later."""
    clocks = Clocks(circuit, 1)
    now, after = Wires(clocks, 0), Wires(clocks, 1)
    words, q = now["words"], now["q"]
    address = low_bits(now["address"], words.size())
    word = z3.Extract(q.size() - 1, 0, z3.LShR(words, address * q.size()))
    there = z3.ULT(address * q.size(), words.size())
    claims = {
        "word": [
            z3.Implies(there, after["q"] == z3.If(now.on("enable"), word, q)),
            after["words"] == words,
        ]
    }
    shown = {"address": now["address"]}
    return contradicted(clocks.facts, claims, shown, asked, occurs={"a word": there})
