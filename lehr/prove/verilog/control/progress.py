"""That an inference ends: a number that sinks in every clock in which the engine need not wait."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce

from lehr.errors import FileRefused
from lehr.prove.solver import z3
from lehr.prove.verilog.control.walk import Walk
from lehr.prove.verilog.induction import At, Term, all_of, one_of, widened
from lehr.prove.verilog.yosys import WAY_OUT

_SWEPT = re.compile(r"assign +cleared = sweeps && clear_at == \d+'d(\d+);")


class Progress:
    """What an engine has still to do, as a number of many digits, the first of which counts most.

    Args:
        walk: of its scan.
    """

    def __init__(self, walk: Walk) -> None:
        self.walk, self.order = walk, walk.order
        engine, files = self.order.engine, self.order.files
        self.swept = 0
        if engine.file("lehr_maps") in files:
            found = _SWEPT.search(files[engine.file("lehr_maps")])
            if found is None:
                raise FileRefused(f"lehr_maps.v does not say what it sweeps; {WAY_OUT}")
            self.swept = int(found[1])

    def holds(self, at: At) -> Iterator[Term]:
        """Yield what holds in a clock beside order and walk."""
        if not at.has("maps.clear_at"):
            yield z3.Not(self.order.is_in(at, "CLEAR"))
            return
        unswept = self.order.is_in(at, "IDLE", "OPEN")
        if at.has("control.sweeping"):
            unswept = z3.And(unswept, z3.Not(at.on("control.sweeping")))
        yield z3.Or(unswept, z3.ULE(at.wide("maps.clear_at"), self.swept))

    def waits(self, at: At) -> Term:
        """Return whether the engine waits: for events, for whoever takes what comes out."""
        frame = z3.And(self.order.is_in(at, "LOAD"), z3.Not(at.on("control.loaded")))
        out = z3.Not(at.on("advance"))
        waits = [frame, out]
        if at.has("room"):
            opens = z3.And(self.order.is_in(at, "NEXT_LAYER"), z3.Not(at.on("room")))
            waits.append(opens)
        return one_of(waits)

    def left(self, at: At) -> Term:
        """Return the number."""
        digits = [self._steps(at), self._state(at), *self._places(at), *self._events(at)]
        return reduce(z3.Concat, digits)

    def claims(self, now: At, then: At) -> Iterator[Term]:
        """Yield that it sinks, or stays where the engine waits, and that the end is said."""
        busy, waits = now.on("busy"), self.waits(now)
        before, after = self.left(now), self.left(then)
        yield z3.Implies(all_of([busy, z3.Not(waits)]), z3.ULT(after, before))
        yield z3.Implies(all_of([busy, waits]), z3.ULE(after, before))
        ends = all_of([busy, z3.Not(then.on("busy"))])
        yield then.on("done") == ends
        yield z3.Implies(ends, now("control.step") == now("control.last_step"))
        begins = z3.And(now.on("start"), z3.Not(busy))
        yield z3.Implies(begins, then.on("busy"))
        yield z3.Implies(begins, then("control.last_step") == now("steps") - 1)

    def _steps(self, at: At) -> Term:
        idle = self.order.is_in(at, "IDLE")
        left = at("control.last_step") - at("control.step")
        return z3.If(idle, z3.BitVecVal(0, left.size()), left)

    def _state(self, at: At) -> Term:
        """Return how far the step is: its input, then each layer's opening, places and end."""
        layers = self.order.layers
        left = widened(at("control.layer"))
        left = (z3.BitVecVal(layers, left.size()) - left) << 2
        term = left + 4
        for states, behind in ((("PLACE", "SCAN", "KEPT"), 3), (("FINISH",), 2)):
            term = z3.If(self.order.is_in(at, *states), left + behind, term)
        fixed = {"IDLE": 0, "NEXT_STEP": 1, "LOAD": 5, "CLEAR": 6, "OPEN": 7}
        for state, behind in fixed.items():
            value = behind if behind < 2 else 4 * layers + behind
            term = z3.If(self.order.is_in(at, state), z3.BitVecVal(value, term.size()), term)
        return term

    def _places(self, at: At) -> Iterator[Term]:
        here = self.order.is_in(at, "PLACE", "SCAN", "KEPT")
        for x in ("y", "x", "chunk"):
            left = at(f"control.last_{x}") - at(f"control.{x}")
            yield z3.If(here, left, z3.BitVecVal(0, left.size()))
        if at.has("maps.clear_at"):
            left = self.swept - at.wide("maps.clear_at")
            yield z3.If(self.order.is_in(at, "CLEAR"), left, z3.BitVecVal(0, left.size()))
        feeds = at("control.last_feed") - at("control.feed")
        placed = self.order.is_in(at, "PLACE", "SCAN")
        yield z3.If(placed, feeds, z3.BitVecVal(0, feeds.size()))
        yield z3.If(self.order.is_in(at, "PLACE"), z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))

    def _events(self, at: At) -> Iterator[Term]:
        """Yield what is left of a feed, of the events of a word, and of what is on its way."""
        for left in self.walk.left(at):
            yield z3.If(self.order.is_in(at, "SCAN"), left, z3.BitVecVal(0, left.size()))
        more = at.on("events.more")
        events = z3.BitVecVal(1, 1)
        if at.has("events.later"):
            later = at("events.later")
            one = z3.BitVecVal(1, later.size())
            events = z3.If(at.on("events.values"), one, later) if at.has("events.value") else later
        yield z3.If(more, events, z3.BitVecVal(0, events.size()))
        yield at("control.ending")
        if at.has("control.closing"):
            yield at("control.closing")
        marks, left, valid = at("sums.marks"), at("neurons.left"), at("neurons.valid")
        yield _reversed(marks)
        turn = at("neurons.phase") ^ z3.Extract(0, 0, at("neurons.neuron"))
        yield z3.Concat(left, z3.If(left == 0, z3.BitVecVal(0, 1), turn))
        yield _reversed(valid)
        if at.has("readout.busy"):
            yield at("readout.busy")


def _reversed(term: Term) -> Term:
    return reduce(z3.Concat, (z3.Extract(at, at, term) for at in range(term.size())))
