"""The fast engine's kernels of layers with several states, or that update by event.

Each is run from its own source, with the numbers that the planner hands it: one line of neurons, or
one neuron, in one step. By event, a step without events is asked about, and one event from wherever
those before it may have led, so that the next one, and what comes after the last one, is too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from lehr.arithmetic import Int64
from lehr.prove.asking import Asked, Claims, version
from lehr.prove.engine.kernels import ASSUMED, CLAIM, Decayed
from lehr.prove.engine.parts import Part, one_of, result
from lehr.prove.engine.runs import Given, of_events, of_lines
from lehr.prove.obligations import Obligation
from lehr.prove.smt import INTEGERS, Term, Terms, follow, passes
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.prove.sums_reached import events_reached
from lehr.prove.widths.certificates import EVENTS
from lehr.prove.widths.guesses import Bounds
from lehr.simulate.fast.engine import Machine
from lehr.simulate.fast.plans.by_event import ByEvent
from lehr.simulate.fast.plans.layers import Update, by_neuron
from lehr.simulate.fast.plans.plan import plan
from lehr.update import FIRED, INPUT, MEMBRANE, MOST_SPIKES, Bound, Decay, Fire, Leak, written

LISTED = 32
"""Spikes of a step that are told apart."""


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each layer that these kernels compute.

    Args:
        subject: whose network it is.
        timeout: seconds for a question.
    """
    made = plan(subject.net, held=False, steps=subject.net.steps)
    ops = [op for stage in made.stages for op in stage.ops if isinstance(op, (Update, ByEvent))]
    if not ops:
        return
    worker = Machine(made, 1, 1, subject.net.neurons).worker
    for op in ops:
        kernel, arguments = op.wanted(worker, 0, 1)[-1]
        layer = Layer(subject, op.name, kernel.file, kernel.name, arguments)
        yield layer.proven(Asked(timeout))


@dataclass(frozen=True)
class Group:
    """Neurons whose numbers differ from their parameters by the same.

    Attributes:
        given: their parameters: the bounds of each.
        constants: what the kernel has: a number, or a parameter and what is added to it.
    """

    given: Mapping[str, Bounds]
    constants: Sequence[tuple[str, int]]


class Layer:
    """A layer, and the call of the kernel that computes it.

    Args:
        subject: the network.
        name: of the layer.
        file: of the kernel.
        kernel: its name.
        arguments: that it is called with.
    """

    def __init__(
        self, subject: Subject, name: str, file: str, kernel: str, arguments: Sequence[Any]
    ) -> None:
        self.subject, self.name = subject, name
        self.given = Given(file, kernel, arguments)
        self.program = subject.net.neurons[name].program
        self.reached = subject.reached[name]

    def proven(self, asked: Asked) -> Obligation:
        """Ask whether the kernel does what the update says, and whether a fault would be seen."""
        failed: dict[str, Any] = {}
        groups = list(self.groups())
        cases = (None,) if self.program.loop is None else (0, 1)
        most = max((s.up_to for s in self.program.fires), default=0)
        if most > LISTED:
            asked.undecided = f"it counts up to {most} spikes; no more than {LISTED} are followed"
        for group in groups if most <= LISTED else ():
            for events in cases:
                if not failed and (found := self.refuted(asked, group, events)):
                    failed = {"layer": self.name, **found}
        seen = not failed and not asked.undecided
        seen = seen and bool(self.refuted(asked, groups[0], cases[-1], fault=1))
        state, reason = asked.outcome(failed, seen=seen)
        return Obligation(
            "arithmetic",
            f"{self.name}, fast engine",
            f"{CLAIM}, in lanes of {self.given.bits} bits",
            (*ASSUMED, *((EVENTS,) if self.program.loop else ())),
            state,
            version(),
            asked.seconds,
            asked.queries,
            "a membrane that is greater by one" if seen else "",
            failed,
            reason,
        )

    def groups(self) -> Iterator[Group]:
        """Yield the neurons by what the planner made of their parameters."""
        net, name = self.subject.net, self.name
        neuron, shape = net.neurons[name], net.shapes[name]
        known = {x: by_neuron(neuron, x, shape).astype(np.int64) for x in self.program.parameters}
        size = int(np.prod(shape))
        rows = [self._linked(row[:size], known) for row in self.given.constants]
        told = [known[x] for x in self._fixed]
        keys = np.stack([*(distance for _, distance in rows), *told, np.zeros(size, np.int64)])
        links = [x for x, _ in rows]
        for key in np.unique(keys, axis=1).T:
            mine = (keys == key[:, None]).all(0)
            given = {x: (int(v[mine].min()), int(v[mine].max())) for x, v in known.items()}
            yield Group(given, list(zip(links, map(int, key), strict=False)))

    @property
    def _fixed(self) -> list[str]:
        """The parameters that are asked about value by value: those of decays."""
        decays = [s.decay for s in self.program.all if isinstance(s, Leak)]
        names = {source for decay in decays for source in (decay.numerator, decay.shift)}
        return [x for x in self.program.parameters if x in names]

    def _linked(self, row: Int64, known: Mapping[str, Int64]) -> tuple[str, Int64]:
        """Return a parameter, and by how much numbers differ from it; none where they are alike."""
        apart = {x: row - v for x, v in known.items()}
        link = min(apart, key=lambda x: len(np.unique(apart[x])), default="")
        if link in ("", *self._fixed) or (row == row[0]).all():
            return "", row
        return link, apart[link]

    def refuted(
        self, asked: Asked, group: Group, events: int | None, fault: int = 0
    ) -> dict[str, Any]:
        """Return what the kernel computes otherwise; empty if there is nothing.

        Args:
            asked: who is asked.
            group: the neurons.
            events: how many come; None for a sum.
            fault: what is added to the membrane that the update gives.
        """
        numbers = {
            x: INTEGERS.number(low) if low == high else z3.Int(x)
            for x, (low, high) in group.given.items()
        }
        constants = [
            numbers[x] + distance if x else INTEGERS.number(distance)
            for x, distance in group.constants
        ]
        within = [z3.And(numbers[x] >= a, numbers[x] <= b) for x, (a, b) in group.given.items()]
        own = [*within]
        given: dict[str, Term] = {
            x: group.given[x][0] if x in self._fixed else term for x, term in numbers.items()
        }
        states = {x: self._state(x) for x in self.program.states}
        comes = z3.Int(INPUT)
        given[INPUT] = comes
        run = of_lines if events is None else of_events
        between = {x: z3.Int(f"{x} before the event") for x in self.program.registers}
        ended = run(self.given, self.program, constants, states, comes, between, events)
        cuts: list[_Cut] = []
        if events is None:
            parts = [self._begun(states, given)]
            cuts = self._cut(parts[0])
        else:
            parts = self._followed(states, given, between, events)
        last = parts[-1]
        claims = [
            term == last.values[x] + (fault if x == self.program.membrane else 0)
            for x, term in ended.after.items()
        ]
        claims += [ended.saturations == z3.Sum([_lost(part) for part in parts])]
        if events:
            before = {*self.program.states, *map(written, self._plain(0))}
            claims += [term == parts[0].values[x] for x, term in ended.head.items() if x in before]
        if len(cuts) != len(ended.apart):
            return {"decays and counts": len(ended.apart), "of the update": len(cuts)}
        for cut, part in zip(cuts, ended.apart, strict=True):
            claims += [a == b for a, b in zip(part.taken, cut.taken, strict=True)]
        low, high = self._comes()
        within += [comes >= low, comes <= high, *ended.assumed, last.values[FIRED] <= MOST_SPIKES]
        within += [comes != 0] if events else []
        shown = {
            **states,
            **({term.decl().name(): term for term in between.values()} if events else {}),
        }
        for x, term in (*states.items(), *between.items()):
            within += _between(term, self.reached.limits(x))
        for done in parts:
            for _, x, term in done.written:
                within += _between(term, self.reached.written[x])
        for cut, part in zip(cuts, ended.apart, strict=True):
            if not fault and (found := self._alone(asked, cut, part, own)):
                return found
            within += cut.ends
        unknown = {x: term for x, term in numbers.items() if not z3.is_int_value(term)}
        return asked.refuted(
            within, [Claims((), [*claims, *ended.claims])], {**shown, INPUT: comes, **unknown}
        )

    def _alone(self, asked: Asked, cut: _Cut, part: Part, own: Sequence[Term]) -> dict[str, Any]:
        """Return a number of which a part makes something else; empty if there is none."""
        s = cut.statement
        if isinstance(s, Leak):
            leak, rule = replace(s, x=MEMBRANE), part.rule
            kernel = SimpleNamespace(**{**rule._asdict(), "leak": rule.form})
            return Decayed(kernel, self.given.bits, [leak], self._ends(cut.x)).refuted(asked)
        claims = [passes(part.of, cut.taken[1], s.test, s.up_to) == part.gives, *part.claims]
        reached = [*own, *_between(part.of, self.reached.limits(cut.x))]
        return asked.refuted(reached, [Claims((), claims)], {f"{cut.x}, counted": part.of})

    def _ends(self, x: str) -> Bounds:
        """Return bounds of what comes to a decay: what is written, and what is kept."""
        (low, high), (least, most) = self.reached.limits(x), self.reached.written[x]
        return min(low, least), max(high, most)

    def _comes(self) -> Bounds:
        sums = (
            self.subject.sums[self.name]
            if self.program.loop is None
            else events_reached(self.subject.net, self.name)
        )
        return int(sums.low.min()), int(sums.high.max())

    def _state(self, x: str) -> Term:
        """Return a state as a term: spikes as one of several numbers, which can be multiplied."""
        low, high = self.reached.limits(x)
        if x != FIRED or low or high >= LISTED:
            return z3.Int(x)
        return one_of(z3.Int(x), high)

    def _plain(self, part: int) -> list[Any]:
        """Return the statements before the loop, in it, or behind it."""
        statements, loop = self.program.statements, self.program.loop
        if loop is None:
            return [*statements] if part == 0 else []
        at = statements.index(loop)
        return [[*statements[:at]], [*loop.body], [*statements[at + 1 :]]][part]

    def _followed(
        self,
        states: Mapping[str, Term],
        given: dict[str, Term],
        between: Mapping[str, Term],
        events: int | None,
    ) -> list[Terms]:
        """Return the parts of a step, as the update says them."""
        terms = self._begun(states, given)
        follow(self._plain(0), terms)
        if not events:
            follow(self._plain(2), terms)
            return [terms]
        event = Terms(dict(between), given)
        follow([*self._plain(1), *self._plain(2)], event)
        return [terms, event]

    def _begun(self, states: Mapping[str, Term], given: dict[str, Term]) -> Terms:
        zero = INTEGERS.number(0)
        return Terms({x: states.get(x, zero) for x in self.program.registers}, given)

    def _cut(self, terms: Terms) -> list[_Cut]:
        """Follow all statements, with any number in place of what a decay leaves, or of a count."""
        cuts: list[_Cut] = []
        for s in self._plain(0):
            place = len(cuts)
            if isinstance(s, Fire) and s.up_to > 1:
                cuts.append(_Cut(s, s.x, [terms.term(s.x), terms.term(s.level)], []))
                terms.put(s, s.into, one_of(result(place), s.up_to))
            elif isinstance(s, Leak) and _divides(s.decay):
                x, (low, high) = terms.term(s.x), self._ends(s.x)
                most = max(-low, high)
                cuts.append(_Cut(s, s.x, [x], _between(result(place), (-most, most))))
                left = result(place) if s.decay.form == "multiply" else x - result(place)
                terms.put(s, s.x, left)
            else:
                follow([s], terms)
        return cuts


@dataclass(frozen=True)
class _Cut:
    """A decay or a count that is asked about alone.

    Attributes:
        statement: that says it.
        x: the register that it is of.
        taken: what is given to it.
        ends: bounds of what a decay gives, which is no further from 0 than what it is of.
    """

    statement: Leak | Fire
    x: str
    taken: list[Term]
    ends: list[Term]


def _divides(decay: Decay) -> bool:
    """Return whether the planner divides by one known factor, and not by 1."""
    n, k = decay.shift, 1 if decay.form == "shift" else decay.numerator
    known = isinstance(n, int) and isinstance(k, int)
    return decay.form in ("multiply", "shift") and known and k != 1 << int(n)


def _between(term: Term, ends: Bounds) -> list[Term]:
    return [term >= ends[0], term <= ends[1]]


def _lost(terms: Terms) -> Term:
    """Return how many Bounds changed what came to them."""
    kept = [term for s, _, term in terms.written if isinstance(s, Bound)]
    changes = [
        z3.If(after != before, 1, 0) for (_, before), after in zip(terms.bounded, kept, strict=True)
    ]
    return z3.Sum([INTEGERS.number(0), *changes])
