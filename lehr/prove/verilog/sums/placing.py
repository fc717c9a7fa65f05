"""Where an fpga artefact's engine puts what is sent: events of the input, and spikes of layers.

`lehr.prove.verilog.sums.images.map_of` supposes that they lie there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lehr.prove.solver import z3
from lehr.prove.verilog.questions import Questions
from lehr.prove.verilog.sums.visits import Term, Wires, contradicted, low_bits
from lehr.prove.verilog.yosys import Circuit, Clocks

LOAD = 3


def puts_events(
    shape: tuple[int, int, int], circuit: Circuit, asked: Questions
) -> dict[str, Any] | None:
    """Return what contradicts that an event of the input is put at its coordinates, side by side.

    Args:
        shape: channels, rows and columns of the input.
        circuit: of the engine.
        asked: what counts questions.
    """
    clocks = Clocks(circuit, 1)
    now, after = Wires(clocks, 0), Wires(clocks, 1)
    assumed = [*clocks.facts, now["rst"] == 0]
    assumed += [each["control.clears"] == 0 for each in (now, after)]
    sent = z3.And(now.state(LOAD), now.on("in_valid"), now.on("in_ready"), now["in_value"] != 0)
    if "maps.value_ram.address" in now:
        sides = [x for x in ("maps.value_ram", "maps.beside_ram") if f"{x}.address" in now]
        place = _place(now, shape, 0, len(sides) - 1)
        claims = {
            "event": [
                each
                for side, memory in enumerate(sides)
                for each in _written(now, memory, sent, place, side if len(sides) > 1 else None)
            ]
        }
    else:
        merged = [z3.Implies(sent, each) for each in _merged(now, after, shape)]
        claims = {"event": [*merged, after.on("maps.merging") == sent]}
    if "control.hold" in now:  # the only map of the input is the first
        claims["map"] = [z3.Implies(now.on("opens"), now["map_address"] == 0)]
    if "maps.spike_ram.write_address" in now:
        claims["spikes of layers"] = list(_spikes(now))
    shown = {x: now[x] for x in ("in_c", "in_y", "in_x", "in_value")}
    return contradicted(assumed, claims, shown, asked, occurs={"an event": sent})


def _place(now: Wires, shape: tuple[int, int, int], grain: int, across: int) -> Term:
    """Return the address of the word of an event, whose lowest bits say where it is in the word."""
    bits = [(size - 1).bit_length() for size in shape]
    size = now["look"].size()
    parts, above = [], 0
    for wire, width, low in (
        ("in_c", bits[0], grain),
        ("in_x", bits[2], across),
        ("in_y", bits[1], 0),
    ):
        if width > low:
            field = z3.Extract(width - 1, low, now[wire])
            parts.append(low_bits(field, size) << above)
            above += width - low
    place = sum(parts[1:], parts[0]) if parts else z3.BitVecVal(0, size)
    return place if "control.hold" in now else place + now["base"]


def _written(now: Wires, memory: str, sent: Term, place: Term, side: int | None) -> Iterator[Term]:
    """Yield that a value is written to the memory of its side, and to no other."""
    address = now[f"{memory}.address"]
    mine = sent if side is None else z3.And(sent, z3.Extract(0, 0, now["in_x"]) == side)
    yield z3.Implies(now.state(LOAD), now.on(f"{memory}.enable") == mine)
    yield z3.Implies(
        mine,
        z3.And(
            now.on(f"{memory}.write"),
            address == low_bits(place, address.size()),
            now[f"{memory}.data"] == now["in_value"],
        ),
    )


def _merged(now: Wires, after: Wires, shape: tuple[int, int, int]) -> Iterator[Term]:
    """Yield that a spike is put into its word, which is read and written back a clock later."""
    word = after["maps.spike_ram.data"].size()
    grain = (word - 1).bit_length()
    place = _place(now, shape, grain, 0)
    read, write = now["maps.spike_ram.read_address"], after["maps.spike_ram.write_address"]
    yield now.on("maps.spike_ram.read")
    yield read == low_bits(place, read.size())
    yield after.on("maps.spike_ram.write")
    yield write == low_bits(place, write.size())
    index = low_bits(low_bits(now["in_c"], max(grain, 1)), word)
    bit = z3.BitVecVal(1, word) << index
    yield after["maps.spike_ram.data"] == after["maps.bits"] | bit


def _spikes(now: Wires) -> Iterator[Term]:
    """Yield that the spikes of layers are written where they are to be."""
    free = now.on("maps.writes")
    if "maps.merging" in now:
        free = z3.And(free, now["maps.merging"] == 0)
    address = now["maps.spike_ram.write_address"]
    yield z3.Implies(free, now.on("maps.spike_ram.write"))
    yield z3.Implies(free, address == low_bits(now["maps.write_at"], address.size()))
    yield z3.Implies(free, now["maps.spike_ram.data"] == now["maps.written"])


def gathers_spikes(circuit: Circuit, asked: Questions) -> dict[str, Any] | None:
    """Return what contradicts that neurons' spikes are written word by word, place by place.

    Args:
        circuit: of lehr_neurons.v.
        asked: what counts questions.
    """
    clocks = Clocks(circuit, 1)
    now, after = Wires(clocks, 0), Wires(clocks, 1)
    retire, opens, writes = now.on("retire"), now.on("opens"), now.on("writes")
    written, c = now["written"], now["c"]
    word = written.size()
    index = low_bits(c, max((word - 1).bit_length(), 1))
    full = z3.Or(c == now["last_c"], index == word - 1)
    zero = z3.BitVecVal(0, word)
    bit = low_bits(now["spike"], word) << low_bits(index, word)
    gathered = z3.If(retire, z3.If(full, zero, written), now["gathered"])
    moved = z3.If(writes, now["write_at"] + 1, now["write_at"])
    claims = {
        "word": [
            written == now["gathered"] | bit,
            writes == z3.And(retire, now.on("heard"), full),
            after["gathered"] == z3.If(now.on("restart"), zero, gathered),
            after["write_at"] == z3.If(opens, now["first_word"], moved),
        ],
        "place": list(_next_neuron(now, after, retire, opens)),
        "sum": [
            after["sum_1"] == z3.If(now.on("advance"), now["sum"], now["sum_1"]),
        ],
    }
    shown = {x: now[x] for x in ("c", "x", "y", "last_c", "gathered", "spike")}
    return contradicted(clocks.facts, claims, shown, asked, occurs={"a word": writes})


def _next_neuron(now: Wires, after: Wires, ends: Term, opens: Term) -> Iterator[Term]:
    for wire, last in (("c", "last_c"), ("x", "last_x"), ("y", "")):
        zero, here = z3.BitVecVal(0, now[wire].size()), now[wire]
        done = here == now[last] if last else z3.BoolVal(False)
        counted = z3.If(ends, z3.If(done, zero, here + 1), here)
        yield after[wire] == z3.If(opens, zero, counted)
        ends = z3.And(ends, done)
