"""What holds of an engine in every clock after a reset: states, layers, places, sums on their way.

Written from what the engine is for, and proven to be kept by every clock of its Verilog, with
memories, lanes and the circuit of the neuron taken out: whatever they give, it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from lehr.errors import FileRefused
from lehr.prove.solver import z3
from lehr.prove.verilog.boxes import MEMORIES, with_boxes
from lehr.prove.verilog.engines import Engine
from lehr.prove.verilog.induction import At, Term, bit, number, one_of
from lehr.prove.verilog.yosys import WAY_OUT

TAGS = {"chunk tag": 2, "sum tag": 2, "word tag": 2, "hit tag": 2, "hit 3 tag": 2, "hit 4 tag": 2}
"""Which chunk is looked at, which one the accumulators sum up, and whose each event is, modulo 4"""


class Order:
    """The order in which an engine works.

    Args:
        engine: whose Verilog it is.
        layers: how many the engine has.
    """

    def __init__(self, engine: Engine, layers: int) -> None:
        self.engine, self.layers = engine, layers
        boxes = MEMORIES | {"lehr_neuron", "lehr_lane"}
        self.files: Mapping[str, str] = with_boxes(engine.folder, engine.module("lehr_core"), boxes)

    @cached_property
    def states(self) -> Mapping[str, int]:
        """Numbers of the states of the control, by name."""
        text = self.files[self.engine.file("lehr_control")]
        line = re.search(r"localparam \[3:0\] (IDLE = 0, .*);", text)
        if line is None:
            raise FileRefused(f"lehr_control.v names no states; {WAY_OUT}")
        return {name: int(value) for name, value in re.findall(r"(\w+) = (\d+)", line[1])}

    @cached_property
    def lanes(self) -> int:
        """How many neurons a chunk has, at most."""
        text = self.files[self.engine.file("lehr_neurons")]
        found = re.search(r"left <= chunk == last_chunk \? last_count : \d+'d(\d+);", text)
        if found is None:
            raise FileRefused(f"lehr_neurons.v has no chunks; {WAY_OUT}")
        return int(found[1])

    def is_in(self, at: At, *states: str) -> Term:
        """Return whether the control is in one of some states."""
        state = at("control.state")
        return one_of(state == self.states[each] for each in states if each in self.states)

    def works(self, at: At) -> Term:
        """Return whether the engine is at a layer."""
        return self.is_in(at, "PLACE", "SCAN", "FINISH", "KEPT")

    def holds(self, at: At) -> Iterator[Term]:
        """Yield what holds in a clock."""
        yield from self._states(at)
        yield from self._places(at)
        yield from self._steps(at)
        yield from self._sums(at)

    def _states(self, at: At) -> Iterator[Term]:
        works, ending = self.works(at), at.on("control.ending")
        yield z3.ULE(at("control.state"), max(self.states.values()))
        yield at.on("control.busy") == z3.Not(self.is_in(at, "IDLE"))
        yield z3.Implies(at.on("control.done"), self.is_in(at, "IDLE"))
        nothing = z3.And(at("neurons.left") == 0, at("neurons.valid") == 0, at("sums.marks") == 0)
        nothing = z3.And(nothing, z3.Not(ending), at("events.valid") == 0)
        if at.has("readout.busy"):
            nothing = z3.And(nothing, at("readout.busy") == 0)
        if at.has("control.closing"):
            nothing = z3.And(nothing, at("control.closing") == 0)
            yield z3.Implies(self.is_in(at, "SCAN", "KEPT"), at("control.closing") == 0)
        yield z3.Implies(z3.Not(works), nothing)
        yield z3.Implies(self.is_in(at, "SCAN", "KEPT"), z3.Not(ending))
        kept = z3.And(at("sums.marks") == 0, at("events.valid") == 0)
        yield z3.Implies(self.is_in(at, "KEPT"), kept)
        ended = z3.And(self.is_in(at, "FINISH"), z3.Not(ending))
        yield z3.Implies(ended, at("events.valid") == 0)
        if at.has("control.sweeping"):
            held, first = at.on("control.held"), at.on("control.first_step")
            swept = z3.Or(at.on("control.sweeping"), at.on("control.swept"))
            yield z3.Not(z3.And(at.on("control.sweeping"), at.on("control.swept")))
            later = z3.Or(self.is_in(at, "IDLE", "OPEN"), z3.And(held, z3.Not(first)))
            yield z3.Implies(swept, later)

    def _places(self, at: At) -> Iterator[Term]:
        works, layer = self.works(at), at.wide("control.layer")
        yield z3.ULE(layer, self.layers) | self.is_in(at, "IDLE")
        yield z3.Implies(works, z3.ULT(layer, self.layers))
        yield z3.Implies(self.is_in(at, "NEXT_STEP"), layer == self.layers)
        yield z3.Implies(self.is_in(at, "OPEN", "CLEAR", "LOAD"), layer == 0)
        goes_on = self.is_in(at, "PLACE", "SCAN", "KEPT")
        for x in ("chunk", "y", "x"):
            here, last = at(f"control.{x}"), at(f"control.last_{x}")
            yield z3.Implies(goes_on, z3.ULE(here, last))
            yield z3.Or(goes_on, self.is_in(at, "IDLE"), here == 0)
        feed, first = at("control.feed"), at("control.first_feed")
        there = z3.And(z3.ULE(first, feed), z3.ULE(feed, at("control.last_feed")))
        yield z3.Implies(self.is_in(at, "PLACE", "SCAN"), there)

    def _steps(self, at: At) -> Iterator[Term]:
        busy = z3.Not(self.is_in(at, "IDLE"))
        step, last = at("control.step"), at("control.last_step")
        yield z3.Implies(busy, z3.ULE(step, last))
        first = at.on("control.first_step")
        yield z3.Implies(busy, first == (step == 0))
        if at.has("control.held"):
            loads = z3.And(self.is_in(at, "OPEN", "CLEAR", "LOAD"), at.on("control.held"))
            yield z3.Implies(loads, first)
        begins = z3.And(self.is_in(at, "NEXT_LAYER"), at("control.layer") == 0)
        stale = z3.Or(self.is_in(at, "IDLE", "OPEN"), begins)
        yield z3.Or(stale, at.on("control.final_step") == (step == last))

    def _sums(self, at: At) -> Iterator[Term]:
        """Yield where the marks of chunks, and the events before and behind them, can be."""
        marks, left = at("sums.marks"), at.wide("neurons.left")
        yield marks & (marks - 1) == 0
        yield z3.ULE(left, self.lanes)
        in_turn = at("neurons.phase") == z3.Extract(0, 0, at("neurons.neuron"))
        for stage in range(marks.size()):
            few = z3.And(at.on("neurons.silent"), z3.ULE(left, 4 - stage), in_turn)
            yield z3.Implies(bit(marks, stage), z3.Or(left == 0, few))
        yield z3.Implies(bit(marks, 0), at("events.valid") == 0)
        for stage, event in enumerate(("events.hit", "sums.hit_3", "sums.hit_4"), 1):
            yield z3.Implies(bit(marks, stage), at(event) == 0)
        if at.has("control.closing"):
            return
        current, summed = at("chunk tag"), at("sum tag")
        marked = z3.Extract(1, 0, number(marks != 0))
        ending = z3.ZeroExt(1, at("control.ending"))
        yield current == summed + marked + ending
        yield z3.Implies(at.on("events.valid"), at("word tag") == summed + marked)
        later = {"events.hit": 1, "sums.hit_3": 2, "sums.hit_4": 3}
        for (event, stage), tag in zip(later.items(), ("hit", "hit 3", "hit 4"), strict=True):
            passed = z3.Extract(marks.size() - 1, stage, marks) != 0
            whose = summed + z3.Extract(1, 0, number(passed))
            yield z3.Implies(at.on(event), at(f"{tag} tag") == whose)

    def claims(self, now: At, _: At) -> Iterator[Term]:
        """Yield that no sum and no event is lost, and who may be on the way when a layer begins."""
        left, take = now("neurons.left"), now.on("sums.take")
        begun = z3.Or(left == 0, z3.And(left == 1, now.on("issue")))
        yield z3.Implies(take, begun)
        if now.has("control.next_kept"):
            kept = now.on("control.next_kept")
            yield z3.Implies(kept, z3.And(begun, z3.Not(take)))
        begins = z3.Or(now.on("begins"), now.on("opens_layer"))
        yield z3.Implies(begins, z3.And(left == 0, now("neurons.valid") == 0))
        if not now.has("control.closing"):
            own = z3.And(z3.Not(take), now("hit 4 tag") == now("sum tag"))
            yield z3.Implies(now.on("sums.hit_4"), own)

    def moves(self, now: At, then: At) -> Iterator[Term]:
        """Yield how the tags of chunks change."""
        if now.has("control.closing"):
            return
        ends = now.on("control.chunk_ends")
        if now.has("control.next_kept"):
            ends = z3.And(ends, z3.Not(now.on("control.next_kept")))
        none, one = z3.BitVecVal(0, 2), z3.BitVecVal(1, 2)
        for tag, moves in (("chunk tag", ends), ("sum tag", now.on("sums.take"))):
            later = z3.If(moves, now(tag) + one, now(tag))
            yield then(tag) == z3.If(now.on("rst"), none, later)
        looked = z3.If(now.on("events.more"), now("word tag"), now("chunk tag"))
        yield then("word tag") == looked
        for before, after in (("word", "hit"), ("hit", "hit 3"), ("hit 3", "hit 4")):
            yield then(f"{after} tag") == now(f"{before} tag")
