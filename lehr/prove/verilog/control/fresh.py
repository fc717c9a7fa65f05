"""With what an inference begins: nothing that it uses is left from the one before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from lehr.prove.solver import z3
from lehr.prove.verilog.control.layer_plan import Layer
from lehr.prove.verilog.control.order import Order
from lehr.prove.verilog.induction import WIDE, At, Term, all_of, one_of

GHOSTS: Mapping[str, int] = {
    "pixel": WIDE,
    "swept pixel": 1,
    "loaded pixel": 1,
    "sum": WIDE,
    "sum of": WIDE,
    "kept sum": 1,
}
"""Any word of pixels: whether it was swept and not loaded since, or loaded in this frame; and any
kept sum: whether it was written in this inference, and for which neuron."""
ZEROS: tuple[str, ...] = (
    "control.step",
    "control.layer",
    "control.chunk",
    "control.y",
    "control.x",
    "scan.word",
)
ZEROS += ("scan.row_tap", "scan.column_tap", "neurons.phase", "neurons.gathered", "control.slots")
ZEROS += ("cycles", "spikes", "saturations", "sums.all", "neurons.left", "neurons.valid")
ZEROS += ("sums.marks", "control.ending", "events.valid", "control.closing")
OPENED = {
    "neurons.neuron": "first_neuron",
    "neurons.retired": "first_neuron",
    "neurons.constant": "first_constant",
    "neurons.write_at": "map_address",
}
STARTS_AT = ("neurons.chunk", "neurons.c", "neurons.y", "neurons.x")


class Fresh:
    """What an inference begins with.

    Args:
        order: of the engine.
        layers: of the engine.
        swept: the last word of a map of the input.
    """

    def __init__(self, order: Order, layers: Sequence[Layer], swept: int) -> None:
        self.order, self.layers, self.swept = order, layers, swept
        control = order.files[order.engine.file("lehr_control")]
        self.one_map = not re.search(r"slots\[.* // input$", control, re.M)

    def _pixels(self, at: At) -> bool:
        """Return whether pixels have a memory, and one map: of several each is swept in turn."""
        return self.one_map and at.has("maps.value_ram.write")

    def moves(self, now: At, then: At) -> Iterator[Term]:
        """Yield how what is remembered changes."""
        none, one = z3.BitVecVal(0, 1), z3.BitVecVal(1, 1)
        if self._pixels(now):
            yield then("pixel") == now("pixel")
            here = now.wide("maps.value_ram.address") == now("pixel")
            writes = all_of([here, now.on("maps.value_ram.enable"), now.on("maps.value_ram.write")])
            clears = now.on("clears")
            swept = z3.If(writes, z3.If(clears, one, none), now("swept pixel"))
            yield then("swept pixel") == z3.If(now.on("rst"), none, swept)
            loaded = z3.If(writes, z3.If(clears, none, one), now("loaded pixel"))
            yield then("loaded pixel") == z3.If(now.on("opens"), none, loaded)
        if now.has("neurons.sums_ram.write"):
            yield then("sum") == now("sum")
            here = now.wide("neurons.sums_ram.address") == now("sum")
            ram = ("neurons.sums_ram.enable", "neurons.sums_ram.write")
            writes = all_of([here, *(now.on(each) for each in ram)])
            yield then("sum of") == z3.If(writes, now.wide("neurons.neuron"), now("sum of"))
            kept = z3.If(writes, one, now("kept sum"))
            yield then("kept sum") == z3.If(now.on("begins"), none, kept)

    def holds(self, at: At) -> Iterator[Term]:
        """Yield what holds in a clock beside the order and what holds of words."""
        idle = self.order.is_in(at, "IDLE")
        if self._pixels(at):
            inside = z3.ULE(at("pixel"), self.swept)
            swept, clean = at("swept pixel") == 1, at("swept pixel") | at("loaded pixel")
            sweeps = self.order.is_in(at, "CLEAR")
            done = z3.BoolVal(False)
            if at.has("control.sweeping"):
                sweeps = z3.Or(sweeps, at.on("control.sweeping"))
                done = at.on("control.swept")
            behind = z3.And(sweeps, z3.ULT(at("pixel"), at.wide("maps.clear_at")))
            yield z3.Implies(z3.And(inside, z3.Or(done, behind)), swept)
            waits = z3.Or(idle, self.order.is_in(at, "OPEN"), sweeps)
            yield z3.Or(waits, at("maps.clear_at") == 0)
            open_ = z3.Or(idle, self.order.is_in(at, "OPEN", "CLEAR"))
            yield z3.Implies(z3.And(inside, z3.Not(open_), z3.Not(sweeps)), clean == 1)
        if at.has("control.kept_sums"):
            sums = self.order.is_in(at, "PLACE", "SCAN")
            yield z3.Implies(sums, z3.Not(at.on("control.kept_sums")))
        if at.has("neurons.sums_ram.write"):
            yield from self._kept(at, idle)

    def _kept(self, at: At, idle: Term) -> Iterator[Term]:
        layer, works = at.wide("control.layer"), self.order.works(at)
        later = z3.Not(at.on("first_step"))
        bits = at("neurons.sums_ram.address").size()
        for each in self.layers:
            if not each.static:
                continue
            first, count = each.neurons
            own = z3.And(works, layer == each.number)
            neuron = at("sum")
            begun = z3.And(own, z3.ULT(neuron, at.wide("neurons.neuron")))
            written = one_of([later, z3.UGT(layer, each.number), begun])
            inside = z3.And(z3.UGE(neuron, first), z3.ULT(neuron, min(first + count, 1 << bits)))
            right = z3.And(at("kept sum") == 1, at("sum of") == neuron)
            yield z3.Implies(all_of([z3.Not(idle), inside, written]), right)

    def claims(self, now: At, then: At) -> Iterator[Term]:
        """Yield what is 0 when an inference begins, what is set with a layer, what is read."""
        begins = now.on("begins")
        for each in ZEROS:
            if now.has(each):
                yield z3.Implies(begins, then(each) == 0)
        yield z3.Implies(begins, then.on("first_step"))
        yield z3.Implies(begins, now.on("sums.clear"))
        opens = now.on("opens_layer")
        for register, source in OPENED.items():
            yield z3.Implies(opens, then.wide(register) == now.wide(source))
        for register in STARTS_AT:
            yield z3.Implies(opens, then(register) == 0)
        if self._pixels(now):
            reads = [now.on("scans"), now.on("of_values")]
            reads.append(now.wide("maps.value_ram.address") == now("pixel"))
            fresh = now("swept pixel") | now("loaded pixel")
            yield z3.Implies(all_of(reads), z3.And(fresh == 1, z3.Not(now.on("clears"))))
        if now.has("neurons.sums_ram.write"):
            reads = [now.on("issue"), now.on("kept_sums")]
            reads.append(now.wide("neurons.sums_ram.address") == now("sum"))
            own = now("sum of") == now.wide("neurons.neuron")
            yield z3.Implies(all_of(reads), z3.And(now("kept sum") == 1, own))
        if now.has("readout.total"):
            first = z3.And(now.on("readout.busy"), now.on("first_step"))
            yield z3.Implies(first, now("readout.total") == now("readout.added"))
            best = z3.And(now.on("readout.compared"), now("readout.compared_c") == 0)
            yield z3.Implies(best, then("readout.best") == now("readout.score_in"))
            yield z3.Implies(best, then("readout.prediction") == 0)
