"""The width analysis of a loop over the events of a step, however many there are and in whatever order they come.

A register that takes the weight of each event is its rest, and a part of the step's sum. That part
lies between the sum of all negative events and that of all positive ones; whatever else happens to
the register moves the bounds of its rest only as far as it goes against them. So the bounds of the
rest hold for any number of events as soon as one more does not change them, and each rule that is
monotonic and never lengthens a distance (every statement but an Add is both) does to the rest what
it does to the value. A register to which the loop only adds something else (a count of spikes) is
bounded by what one event adds and by how many events there can be. All others are followed until
one more event changes nothing, in growing strides if need be.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from lehr.analysis.ground import Ground, product
from lehr.analysis.rows import HIGH, LOW, REACH, Rows, joined, together
from lehr.analysis.rules import RULES, Numbered, run
from lehr.analysis.strides import strides
from lehr.analysis.sums import Sums
from lehr.arithmetic import Int64
from lehr.update import (
    FIRED,
    INPUT,
    MOST_SPIKES,
    Add,
    ForEachEvent,
    Statement,
    sources,
    walk,
    written,
)

PATIENCE, HURRY, BACK = 4, 10, 3
"""Events until the strides begin, until they go all the way, and to take back what was too much."""
_ONE_EVENT = "{} in one event"


@RULES.rule(ForEachEvent)
def _events(ground: Ground, rows: Rows, s: ForEachEvent, number: int) -> Rows:
    reached = np.flatnonzero(rows.given("events", ground.events) > 0)
    if not len(reached):
        return rows
    if len(rows) > ground.drive.shape[1]:
        rows = joined(rows, rows.at)[0]
        reached = np.flatnonzero(rows.given("events", ground.events) > 0)
    inside = rows.take(reached)
    loop = _Loop(ground, inside, s.body, number)
    head = loop.fixed()
    parts = (
        [head]
        if len(reached) == len(rows)
        else [head, rows.take(np.setdiff1d(np.arange(len(rows)), reached))]
    )
    out = together(parts)
    if rows.sums is not None:
        out.sums = Sums()
    return out


@cache
def _changed(body: tuple[Statement, ...]) -> tuple[str, ...]:
    """Return the registers that a body writes."""
    return tuple(dict.fromkeys(written(s) for s in body if not isinstance(s, ForEachEvent)))


@cache
def _followers(body: tuple[Statement, ...]) -> dict[str, int]:
    """Return the registers that take the input and nothing of it away, and how often they take it."""
    takes = {
        x: [s for s in body if isinstance(s, Add) and s.x == x and s.source == INPUT]
        for x in _changed(body)
    }
    return {
        x: sum(1 << s.shift for s in adds)
        for x, adds in takes.items()
        if adds and not any(s.negative or s.times for s in adds)
    }


@cache
def _growing(body: tuple[Statement, ...]) -> tuple[str, ...]:
    """Return the registers to which a body only adds what does not depend on them directly, other than the input."""
    others = [x for x in _changed(body) if x not in _followers(body)]
    return tuple(
        x
        for x in others
        if all(isinstance(s, Add) and x not in sources(s) for s in body if written(s) == x)  # type: ignore[arg-type]
    )


@cache
def _numbered(body: tuple[Statement, ...], first: int) -> tuple[Numbered, ...]:
    """Return the body with its numbers; what a growing register takes is added up a second time, for one event."""
    out: list[Numbered] = []
    for number, s in enumerate(walk(body), first + 1):
        out.append((number, s))
        if isinstance(s, Add) and s.x in _growing(body):
            out.append((-number, replace(s, x=_ONE_EVENT.format(s.x))))
    return tuple(out)


class _Loop:
    """The events of one step on some rows, each of which is a neuron of its own here."""

    def __init__(self, outer: Ground, rows: Rows, body: tuple[Statement, ...], number: int) -> None:
        at = rows.at if outer.outer is None else outer.outer[rows.at]
        given = {name: values[rows.at] for name, values in outer.given.items()}
        scale = _followers(body)
        self.ground = replace(
            outer,
            given=given,
            drive=outer.drive[:, rows.at],
            events=outer.events[rows.at],
            scale=scale,
            outer=at,
            record=None,
        )
        self.outer, self.rows, self.body = outer, rows, _numbered(body, number)
        self.growing, self.changed = _growing(body), _changed(body)
        self.followed = tuple(x for x in self.changed if x not in self.growing)
        self.start = {
            x: np.stack([rows.of(x)] * 2) if x in self.changed else rows.of(x) for x in rows.bounds
        }

    def fixed(self) -> Rows:
        """Bounds after any number of events, on the given rows; they are recorded as well."""
        head, step = dict(self.start), self._no_growth()
        for event in range(0 if self.ground.is_spent else PATIENCE + 2 * HURRY):
            if event == PATIENCE:
                self.ground = replace(self.ground, careful=True)
            after, one = self._one_event(head)
            wider = {x: _hull(head[x], after[x]) for x in self.followed}
            growth = {x: _hull(step[x], one[x]) for x in self.growing}
            same = all(np.array_equal(wider[x], head[x]) for x in wider) and all(
                np.array_equal(growth[x], step[x]) for x in growth
            )
            if same:
                break
            if event >= PATIENCE:
                wider = {
                    x: strides(head[x], w, event >= PATIENCE + HURRY) for x, w in wider.items()
                }
                growth = {
                    x: strides(step[x], g, event >= PATIENCE + HURRY) for x, g in growth.items()
                }
            head, step = {**self.start, **wider, **self._grown(growth)}, growth
        else:
            self.ground = replace(self.ground, careful=True)
            anything = np.broadcast_to(np.array([[-REACH], [REACH]]), (2, 2, len(self.rows)))
            head, event = {**self.start, **dict.fromkeys(self.changed, anything)}, PATIENCE + 1
        for _ in range(
            BACK if event > PATIENCE else 0
        ):  # strides went too far: what one event makes of them holds, too
            after, one = self._one_event(head)
            head = {
                **self.start,
                **{x: _hull(self.start[x], after[x]) for x in self.followed},
                **self._grown(one),
            }
        if self.outer.record is not None:
            self._one_event(head, recording=True)
        return Rows(self.rows.at, {x: b[0] if b.ndim == 3 else b for x, b in head.items()})

    def _no_growth(self) -> dict[str, Int64]:
        return {x: np.zeros((2, len(self.rows)), np.int64) for x in self.growing}

    def _grown(self, step: dict[str, Int64]) -> dict[str, Int64]:
        """Return the growing registers after any number of events, each of which adds what lies between the bounds `step`."""
        out = {}
        for x, one in step.items():
            least, most = np.minimum(one[LOW], 0), np.maximum(one[HIGH], 0)
            total = np.stack(
                [product(least, self.ground.events, True), product(most, self.ground.events, True)]
            )
            bounds = np.clip(self.start[x][0] + total, -REACH, REACH)
            if (
                x == FIRED and self.ground.keeps_count
            ):  # more than that is refused at the end of the step
                bounds = np.minimum(bounds, MOST_SPIKES)
            out[x] = np.stack([bounds] * 2)
        return out

    def _one_event(
        self, head: dict[str, Int64], *, recording: bool = False
    ) -> tuple[dict[str, Int64], dict[str, Int64]]:
        """What the registers come to by one more event, and what it adds to the growing ones."""
        shadows = {_ONE_EVENT.format(x): zero for x, zero in self._no_growth().items()}
        rows = Rows(np.arange(len(self.rows)), {**head, **shadows})
        ground = replace(self.ground, record=self.outer.record) if recording else self.ground
        out = joined_by_row(run(ground, rows, self.body))
        return out.bounds, {x: out.of(_ONE_EVENT.format(x)) for x in self.growing}


def joined_by_row(rows: Rows) -> Rows:
    """One row for each neuron, in order."""
    return joined(rows, rows.at)[0]


def _hull(a: Int64, b: Int64) -> Int64:
    """Bounds that hold wherever one of two does."""
    return np.stack(
        [np.minimum(a[..., LOW, :], b[..., LOW, :]), np.maximum(a[..., HIGH, :], b[..., HIGH, :])],
        axis=-2,
    )
