"""Certificates of widths: bounds of every register that no step leaves.

They are checked by z3, whatever found them.

Bounds that hold for ever are shown by induction: the states of the beginning, all 0, are within
them, and one step from anywhere within them, with any sum that can come, ends within them, brings
nothing to a Bound beyond what is said of it, and writes nothing beyond what is said either. Bounds
that hold for the steps of the network alone are shown step by step, from those of k steps to those
of k + 1. A layer that updates by event is asked about what comes before its events, about one
event, and about what comes after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from lehr.analysis.layers import Reach
from lehr.arithmetic import Int64
from lehr.prove.asking import Asked, version
from lehr.prove.obligations import Obligation
from lehr.prove.subject import Subject
from lehr.prove.sums_reached import Reached, events_of, events_reached
from lehr.prove.widths.guesses import Alike, Guess, Said, as_reached, as_said, settled
from lehr.prove.widths.runs import contradicting_run
from lehr.prove.widths.step import Move, Steps
from lehr.widths import bits_for

SUMS = "what comes to a neuron in a step is what its nodes make of inputs from lowest to highest"
FURTHER = 2**33
"""A sum that no register of 32 bits brings back: what comes with a fault is so much further."""
EVENTS = "an event brings a neuron one of its weights"


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each layer of neurons.

    Args:
        subject: whose network it is.
        timeout: seconds for a question.

    Raises:
        NotMappable: when a type of node or of statement has no rule.
    """
    claimed = claims(subject)
    for name in subject.net.neurons:
        yield certified(subject, name, claimed[name], timeout)


def claims(subject: Subject) -> dict[str, list[Reach]]:
    """Return what the analysis of widths says of each layer, of any number of steps or of 1, 2, ...

    Of any number, where registers then need no more bits than in the network's own steps.
    """
    own, ever = subject.reached, subject.reached_within(None)
    result = {
        name: [each]
        for name, each in ever.items()
        if each.settled and not each.beyond and _bits(each) == _bits(own[name])
    }
    rest = [name for name in own if name not in result]
    steps = range(1, subject.net.steps + 1) if rest else ()
    by_step = [subject.reached_within(each) for each in steps]
    return result | {name: [each[name] for each in by_step] for name in rest}


def _bits(said: Reach) -> dict[str, int]:
    return {x: bits_for(*said.limits(x)) for x in said.registers}


def certified(subject: Subject, name: str, claimed: Sequence[Reach], timeout: float) -> Obligation:
    """Check what is claimed of a layer.

    Args:
        subject: the network.
        name: of the layer.
        claimed: bounds for any number of steps, or for 1, 2, ... steps, from wherever.
        timeout: seconds for a question.
    """
    neuron = subject.net.neurons[name]
    asked, distinct = Asked(timeout), list(distinct_neurons(subject, name, claimed))
    ever = claimed[-1].settled
    failed: dict[str, Any] = {}
    reason = ""
    for each in distinct:
        if not (left := each.left(asked, ever=ever)):
            continue
        weights = events_of(subject.net, name, each.place) if neuron.program.loop else None
        run = contradicting_run(Steps(each.alike), each.said, asked, weights, ever=ever)
        failed = {"layer": name, "neuron": each.place, **run} if run else {}
        reason = f"a step may leave them, from where no run was seen to come: {left}"
        break
    found = not reason and bool(distinct[0].left(asked, ever=ever, further=FURTHER))
    state, reason = asked.outcome(failed, reason, seen=found)
    steps = "any number of steps" if ever else f"{len(claimed)} steps"
    return Obligation(
        "widths",
        name,
        f"no register leaves its bounds in {steps}, of {len(distinct)} distinct neurons",
        (EVENTS if neuron.program.loop else SUMS,),
        state,
        version(),
        asked.seconds,
        asked.queries,
        "sums or events far beyond their bounds" if found else "",
        failed,
        reason,
    )


@dataclass(frozen=True)
class Distinct:
    """Neurons that differ in nothing.

    Attributes:
        place: the flat index of one of them.
        alike: their update, parameters, and what comes to them.
        said: what is claimed of them, in any number of steps or after 1, 2, ...
    """

    place: int
    alike: Alike
    said: list[Said]

    def left(self, asked: Asked, *, ever: bool, further: int = 0) -> dict[str, Any]:
        """Return a step that leaves the claim, or every guess; empty if the claim is shown."""
        low, high = self.alike.comes
        total = self.alike.total[0] - further, self.alike.total[1] + further
        alike = replace(self.alike, comes=(low - further, high + further), total=total)
        steps = Steps(alike)
        left: dict[str, Any] = {}
        for guesses in self._guesses(ever=ever):
            starts: list[Guess | None] = [None, *guesses]
            said = [self.said[0], self.said[0]] if ever else self.said
            ends = [*guesses, guesses[-1]] if ever else guesses
            if not (left := steps.left(asked, list(map(Move, starts, said, ends)))) or further:
                break
        return left

    def _guesses(self, *, ever: bool) -> Iterator[list[Guess]]:
        yield [as_said(self.alike, said) for said in self.said]
        for swing in (False,) if self.alike.program.loop is None else (True, False):
            if not ever:
                yield list(islice(as_reached(self.alike, swing=swing, ever=False), len(self.said)))
            elif (guess := settled(self.alike, swing=swing)) is not None:
                yield [guess]


def distinct_neurons(subject: Subject, name: str, claimed: Sequence[Reach]) -> Iterator[Distinct]:
    """Yield the neurons of a layer that differ; those of a channel count as one.

    Where parameters are by neuron, each neuron counts.
    """
    neuron, shape = subject.net.neurons[name], subject.net.shapes[name]
    program = neuron.program
    parameters = {x: np.asarray(neuron.values[x], np.int64) for x in program.parameters}
    whole = max((each.size for each in parameters.values()), default=1) > shape[0]
    sums = subject.sums[name]
    comes = events_reached(subject.net, name) if program.loop else sums

    def hulls(reached: Reached) -> tuple[Int64, Int64]:
        low, high = reached.low.reshape(-1), reached.high.reshape(-1)
        if whole:
            return low, high
        return low.reshape(shape[0], -1).min(1), high.reshape(shape[0], -1).max(1)

    (low, high), (least, most) = hulls(comes), hulls(sums)

    def spread(values: Int64) -> Int64:
        return np.repeat(values.reshape(-1), len(low) // values.size)

    arrays = {x: spread(each) for x, each in parameters.items()}
    bounds = [{x: [*map(spread, ends)] for x, ends in each.registers.items()} for each in claimed]
    ends = (end for each in bounds for pair in each.values() for end in pair)
    columns = np.stack([low, high, least, most, *arrays.values(), *ends])
    for k in sorted(map(int, np.unique(columns, axis=1, return_index=True)[1])):
        given = {x: int(each[k]) for x, each in arrays.items()}
        said = [
            Said({x: (int(a[k]), int(b[k])) for x, (a, b) in each.items()}, of.written)
            for each, of in zip(bounds, claimed, strict=True)
        ]
        ends_of_input = (int(low[k]), int(high[k])), (int(least[k]), int(most[k]))
        alike = Alike(program, given, *ends_of_input)
        yield Distinct(k * (comes.low.size // len(low)), alike, said)
