"""Programs in Python's integers, read from their lines of text, with nothing of lehr's.

They judge the width analysis.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MOST_SPIKES = 255
Span = tuple[int, int]


class TooManySpikes(Exception):
    """A neuron fired so often in a step that the run ends there."""


def divided(value: int, shift: int, rounding: str) -> int:
    whole = 1 << shift
    if rounding == "toward_zero":
        return value // whole if value >= 0 else -(-value // whole)
    below, rest = divmod(value, whole)
    if rounding == "floor":
        return below
    return below + (2 * rest > whole or (2 * rest == whole and below % 2 == 1))


def decayed(value: int, form: str, k: int, n: int, rounding: str) -> int:
    if form == "multiply":
        return divided(value * k, n, rounding)
    if form == "shift":
        return value - divided(value, n, rounding)
    sign = (value > 0) - (value < 0)
    if form == "linear":
        return sign * max(abs(value) - k, 0)
    lost = value // (1 << n)
    return value - (lost if lost else sign)


def counted(value: int, level: int, test: str, up_to: int) -> int:
    """Count by counting how often a neuron fires."""
    return sum(
        1
        for n in range(1, up_to + 1)
        if (value > n * level if test == "gt" else value >= n * level)
    )


@dataclass
class Plain:
    """A program that is run step by step.

    Attributes:
        lines: of its text.
        given: its parameters.
        held: by register, all that came to a Bound of it, or was read of it or kept; lowest and
            highest.
        written: the same of all that was written to it.
    """

    lines: Sequence[str]
    given: Mapping[str, int]
    held: dict[str, Span] = field(default_factory=dict)
    written: dict[str, Span] = field(default_factory=dict)
    fires: bool = False
    cut: bool = False

    @property
    def registers(self) -> set[str]:
        """Return the names that any line changes."""
        return {
            "fired",
            *(line.split()[1] for line in self.lines if line not in ("for each event", "end")),
        }

    def step(self, state: Mapping[str, int], weights: Sequence[int]) -> dict[str, int]:
        """Return all registers after one step, in which spikes of these weights arrive."""
        r = {x: state.get(x, 0) for x in self.registers}
        inside, total = False, sum(weights)
        body: list[str] = []
        for line in self.lines:
            if line == "for each event":
                inside = True
            elif line == "end":
                for weight in (w for w in weights if w):
                    for inner in body:
                        self.do(inner, r, weight)
                inside = False
            elif inside:
                body.append(line)
            else:
                self.do(line, r, total)
        for x, value in r.items():
            self.note(self.held, x, value)
        if r.get("fired", 0) > MOST_SPIKES:
            raise TooManySpikes
        return r

    def note(self, spans: dict[str, Span], x: str, value: int) -> None:
        low, high = spans.get(x, (0, 0))
        spans[x] = min(low, value), max(high, value)

    def do(self, line: str, r: dict[str, int], given_input: int) -> None:
        """Run one line."""
        verb, x, *words = line.split()

        def value(word: str) -> int:
            if word == "input":
                return given_input
            if word in r:
                self.note(self.held, word, r[word])
                return r[word]
            return self.given[word] if word in self.given else int(word)

        if verb == "leak":
            form, k, n = words[0], value(words[1]), value(words[2])
            r[x] = decayed(r[x], form, k, n, words[3] if len(words) > 3 else "")
        elif verb in ("add", "subtract"):
            term = (value(words[0]) << int(words[1])) * (value(words[3]) if len(words) > 2 else 1)
            r[x] += term if verb == "add" else -term
        elif verb == "put":
            if len(words) > 1 and value(words[2]) == 0:
                return
            r[x] = value(words[0])
        elif verb == "bound":
            low, high, before = value(words[0]), value(words[1]), r[x]
            self.note(self.held, x, before)
            r[x] = (
                min(max(before, low), high)
                if words[2] == "saturate"
                else (before - low) % (high - low + 1) + low
            )
            self.cut |= r[x] != before
        else:
            r[x] = counted(value(words[0]), value(words[2]), words[1], int(words[3]))
            self.fires |= r[x] > 0
        self.note(self.written, x, r[x])

    def search(
        self, weights: Sequence[int], states: Sequence[str], steps: int, forever: bool, most: int
    ) -> None:
        """Run every input in every state that can be reached, up to `most` states.

        With more, the search ends.
        """
        inputs = [
            [w for w, s in zip(weights, x, strict=True) if s]
            for x in itertools.product((0, 1), repeat=len(weights))
        ]
        known = {tuple(0 for _ in states)}
        for _ in range(steps):
            after = set(known) if forever else set()
            for state in known:
                after.update(self.after(dict(zip(states, state, strict=True)), inputs, states))
            if after == known or len(after) > most:
                return
            known = after

    def after(
        self, state: Mapping[str, int], inputs: Sequence[Sequence[int]], states: Sequence[str]
    ) -> Iterator[tuple[int, ...]]:
        """Yield the states that follow one, over all inputs."""
        for weights in inputs:
            held, written = dict(self.held), dict(self.written)
            try:
                r = self.step(state, weights)
            except TooManySpikes:
                self.held, self.written = held, written
                continue
            yield tuple(r[x] for x in states)
