"""The words of spikes of an engine: each is read as the step wrote it that the feed asks for.

What is shown is of any word of the memory: the step in which it was last written is remembered
beside the circuit, and compared when it is read. That the maps of the layers are where the proof
supposes them helps to find it; the claim does not depend on that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lehr.prove.solver import z3
from lehr.prove.verilog.control.layer_plan import INPUT, Layer
from lehr.prove.verilog.control.order import Order
from lehr.prove.verilog.induction import WIDE, At, Term, all_of, number, one_of, widened

GHOSTS: Mapping[str, int] = {
    "places": WIDE,
    "places taken": WIDE,
    "places done": WIDE,
    "word": WIDE,
    "written in": 16,
    "written": 1,
    "neuron": WIDE,
    "updated in": 16,
    "updated": 1,
}
"""Places that are summed, taken by the neurons, and updated; and of any word and any neuron whether
it was written in this inference, and in which step."""
INSIDE = "the host sends no event from beyond the input"


class Words:
    """The words of spikes, and the states of neurons, of an engine.

    Args:
        order: of the engine.
        layers: of the engine, and its input where that is spikes.
    """

    def __init__(self, order: Order, layers: Sequence[Layer]) -> None:
        self.order, self.layers = order, layers
        self.heard = [layer for layer in layers if layer.begins]

    # ------------------------------------------------------------ what is remembered
    def moves(self, now: At, then: At) -> Iterator[Term]:
        """Yield how what is remembered changes."""
        takes = now.on("sums.take")
        if now.has("control.next_kept"):
            takes = z3.Or(takes, now.on("control.next_kept"))
        summed = z3.And(now.on("control.chunk_ends"), now.on("control.place_ends"))
        taken = z3.And(takes, now("neurons.chunk") == now("last_chunk"))
        done = z3.And(now.on("retire"), now("c") == now("last_c"))
        for name, goes_on in (("places", summed), ("places taken", taken), ("places done", done)):
            opened = z3.If(
                now.on("opens_layer"), z3.BitVecVal(0, WIDE), now(name) + number(goes_on)
            )
            yield then(name) == opened
        ram = "maps.spike_ram.write"
        writes = z3.And(now.on(ram), now.wide(f"{ram}_address") == now("word"))
        updates = z3.And(now.on("retire"), now.wide("neurons.retired") == now("neuron"))
        yield from _dated(now, then, "word", ("written in", "written"), writes)
        yield from _dated(now, then, "neuron", ("updated in", "updated"), updates)

    def assumed(self, at: At) -> Iterator[Term]:
        """Yield that events of spikes come from the input."""
        if at.has("maps.merging"):
            (taken,) = (layer for layer in self.layers if layer.number == INPUT)
            offset = at.wide("maps.merged_at") - taken.begin(at)
            yield z3.Implies(at.on("maps.stored"), z3.ULT(offset, taken.words))

    # ------------------------------------------------------------ what holds
    def holds(self, at: At) -> Iterator[Term]:
        """Yield what holds in a clock beside order and walk."""
        yield from self.summed(at)
        yield from self.updated(at)
        scans = self.order.is_in(at, "SCAN")
        sent = z3.ULE(at("lag"), at("control.step"))
        yield z3.Implies(scans, z3.And(at("control.base") == at("map_address"), sent))
        if at.has("control.slots"):
            for layer in self.heard:
                if layer.high >= 0:
                    idle = self.order.is_in(at, "IDLE")
                    yield z3.Or(idle, z3.ULT(layer.slot(at), len(layer.begins)))
        if at.has("maps.merging"):
            yield from self._merged(at)
        for layer in self.heard:
            yield from self._written(at, layer)

    def summed(self, at: At) -> Iterator[Term]:
        """Yield which chunks the neurons have taken."""
        works = self.order.works(at)
        places, taken = at("places"), at("places taken")
        across, chunks = at.wide("last_x") + 1, at.wide("last_chunk") + 1
        total = (at.wide("last_y") + 1) * across
        here = at.wide("y") * across + at.wide("x")
        goes_on = self.order.is_in(at, "PLACE", "SCAN", "KEPT")
        yield z3.Implies(goes_on, z3.And(places == here, z3.ULT(places, total)))
        ended = z3.And(places == total, at("chunk") == 0)
        yield z3.Implies(self.order.is_in(at, "FINISH"), ended)
        pending = widened(at("control.ending")) + number(at("sums.marks") != 0)
        next_one = at.wide("neurons.chunk")
        yield z3.Implies(works, z3.ULT(next_one, chunks))
        both = places * chunks + at.wide("chunk") == taken * chunks + next_one + pending
        yield z3.Implies(works, z3.And(both, z3.ULE(taken, places)))

    def updated(self, at: At) -> Iterator[Term]:
        """Yield which neurons have begun and ended, and when any one has ended last."""
        works, busy = self.order.works(at), z3.Not(self.order.is_in(at, "IDLE"))
        taken, done = at("places taken"), at("places done")
        channels, valid = at.wide("last_c") + 1, at("neurons.valid")
        begun = taken * channels + at.wide("neurons.chunk") * self.order.lanes
        on_way = at.wide("neurons.left")
        for stage in range(valid.size()):
            on_way = on_way + widened(z3.Extract(stage, stage, valid))
        yield z3.Implies(works, begun == done * channels + at.wide("c") + on_way)
        yield z3.Implies(works, z3.And(z3.ULE(done, taken), z3.ULE(at("c"), at("last_c"))))
        at_layer, neuron = at.wide("control.layer"), at("neuron")
        for layer in self.layers:
            if layer.number == INPUT:
                continue
            first, count = layer.neurons
            own = z3.And(works, at_layer == layer.number)
            ended = first + done * channels + at.wide("c")
            retired = at.wide("neurons.retired") == ended
            left = at.wide("neurons.left")
            in_order = at.wide("neurons.neuron") == ended + on_way - left
            yield z3.Implies(own, z3.And(retired, in_order))
            fresh = z3.Or(z3.UGT(at_layer, layer.number), z3.And(own, z3.ULT(neuron, ended)))
            age = z3.If(fresh, z3.BitVecVal(0, WIDE), z3.BitVecVal(1, WIDE))
            inside = z3.And(z3.UGE(neuron, first), z3.ULT(neuron, first + count))
            yield z3.Implies(z3.And(busy, inside), _age(at, age, "updated in", "updated"))

    def _merged(self, at: At) -> Iterator[Term]:
        """Yield where the events of the input are put."""
        (taken,) = (layer for layer in self.layers if layer.number == INPUT)
        begins = z3.And(self.order.is_in(at, "NEXT_LAYER"), at("control.layer") == 0)
        there = z3.Or(self.order.is_in(at, "LOAD"), begins)
        offset = at.wide("maps.merge_at") - taken.begin(at)
        inside = z3.And(there, z3.ULT(offset, taken.words))
        if at.has("control.held"):
            inside = z3.And(inside, z3.Or(z3.Not(at.on("control.held")), at.on("first_step")))
        yield z3.Implies(at.on("maps.merging"), inside)
        opened = self.order.is_in(at, "CLEAR", "LOAD")
        yield z3.Implies(opened, at.wide("control.base") == taken.begin(at))

    def _written(self, at: At, layer: Layer) -> Iterator[Term]:
        """Yield in which step the word was written, if it is in a map of the layer."""
        busy, works = z3.Not(self.order.is_in(at, "IDLE")), self.order.works(at)
        at_layer, word = at.wide("control.layer"), at("word")
        slot, depth = layer.slot(at), len(layer.begins)
        shift = (at("maps.spike_ram.data").size() - 1).bit_length()
        of_place = z3.LShR(at.wide("last_c"), shift) + 1
        filled = at("places done") * of_place + z3.LShR(at.wide("c"), shift)
        own = z3.And(works, at_layer == layer.number)
        if layer.number != INPUT:
            yield z3.Implies(own, at.wide("neurons.write_at") == layer.begin(at) + filled)
        for map_number, begin in enumerate(layer.begins):
            offset = word - begin
            inside = z3.And(z3.UGE(word, begin), z3.ULT(offset, layer.words))
            ago = z3.If(z3.UGE(slot, map_number), slot - map_number, slot + depth - map_number)
            fresh = z3.Or(z3.UGT(at_layer, layer.number), z3.And(own, z3.ULT(offset, filled)))
            if layer.number == INPUT:
                swept = z3.And(
                    self.order.is_in(at, "CLEAR"), z3.ULT(offset, at.wide("maps.clear_at"))
                )
                fresh = z3.Or(z3.Not(self.order.is_in(at, "OPEN", "CLEAR")), swept)
            late = z3.If(fresh, z3.BitVecVal(0, WIDE), z3.BitVecVal(depth, WIDE))
            age = z3.If(slot == map_number, late, ago)
            if layer.number == INPUT and at.has("control.held"):
                kept = z3.And(at.on("control.held"), z3.Not(at.on("control.first_step")))
                age = z3.If(kept, at.wide("control.step"), age)
            yield z3.Implies(z3.And(busy, inside), _age(at, age, "written in", "written"))

    # ------------------------------------------------------------ what is claimed
    def claims(self, now: At, then: At) -> Iterator[Term]:
        """Yield that words and states are read as the step left them that is asked for."""
        del then
        reads = [now.on("scans"), now.on("maps.spike_ram.read"), z3.Not(now.on("of_values"))]
        reads.append(now.wide("maps.spike_ram.read_address") == now("word"))
        when = now("control.step") - now("lag")
        if now.has("control.held"):
            inputs = [layer for layer in self.layers if layer.number == INPUT]
            of_input = one_of(
                z3.ULT(now("word") - begin, layer.words)
                for layer in inputs
                for begin in layer.begins
            )
            held = z3.And(now.on("control.held"), of_input)
            when = z3.If(held, z3.BitVecVal(0, 16), when)
        yield z3.Implies(all_of(reads), z3.And(now("written") == 1, now("written in") == when))
        reads = [now.on("issue"), now.wide("neurons.neuron") == now("neuron")]
        reads.append(z3.Not(now.on("first_step")))
        before = now("updated in") == now("control.step") - 1
        yield z3.Implies(all_of(reads), z3.And(now("updated") == 1, before))
        yield z3.Implies(now.on("first_step"), now("neurons.states") == 0)


def _dated(now: At, then: At, what: str, names: tuple[str, str], writes: Term) -> Iterator[Term]:
    step, ever = names
    none, one = z3.BitVecVal(0, 1), z3.BitVecVal(1, 1)
    yield then(what) == now(what)
    yield then(step) == z3.If(writes, now("control.step"), now(step))
    yield then(ever) == z3.If(now.on("begins"), none, z3.If(writes, one, now(ever)))


def _age(at: At, age: Term, step: str, ever: str) -> Term:
    """Return that something was last written so many steps ago, or never where that was before."""
    here = at.wide("control.step")
    since = z3.ULE(age, here)
    when = widened(at(step)) == here - age
    return z3.And((at(ever) == 1) == since, z3.Implies(since, when))
