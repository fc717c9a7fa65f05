"""Small random neurons in every arithmetic, and all that they can reach.

It is found by trying every input in every state, in Python's integers, with nothing of lehr's but
the fields of the neuron.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic, State, Synapse
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron, Readout

STATES = 1500
"""Reachable states of a neuron beyond which the search ends; what was reached until then counts."""
SETTLED_STEPS = 40
Reached = tuple[int, int, int]
"""A membrane, whether it fired, and a synapse state."""


@dataclass(frozen=True)
class Case:
    """One neuron on a few spikes, for some steps."""

    weights: tuple[int, ...]
    threshold: int
    bias: int
    arithmetic: Arithmetic
    synapse: Synapse | None
    steps: int

    def network(self) -> Network:
        neuron = Neuron(
            np.array([self.threshold], np.int32),
            np.array([self.bias], np.int32),
            self.arithmetic,
            self.synapse,
        )
        nodes = {"fc": Linear(np.array([self.weights], np.int8), "int8"), "lif": neuron}
        edges = ((INPUT, "fc"), ("fc", "lif"), ("lif", OUTPUT))
        readout: Readout = (
            "membrane_last_argmax_lowest" if neuron.integrates else "count_argmax_lowest"
        )
        return Network(nodes, edges, Input((len(self.weights),), "spikes"), self.steps, readout)


def random_case(seed: int) -> Case:
    draw = random.Random(seed)
    by_event = draw.random() < 0.4
    timing = "same_step" if by_event else draw.choice(["same_step", "next_step"])
    never = not by_event and draw.random() < 0.1
    fields: dict[str, Any] = {
        **_leak(draw, [0, 1, 2, 3, 4, 8], whole=draw.random() < 0.2),
        "reset": "none" if never else draw.choice(["subtract", "zero", "none"]),
        "reset_timing": timing,
        "fires": "never" if never else draw.choice(["gt", "ge"]),
        "fraction_bits": draw.choice([0, 0, 1, 3]),
        "state_bits": draw.choice([8, 8, 9, 10]),
        "update": "event" if by_event else "step",
    }
    arithmetic = Arithmetic(**fields)
    synapse = None
    if not by_event and arithmetic.beta < 1 and draw.random() < 0.3:
        fields = {"state_bits": 8, "bias_to": draw.choice(["membrane", "synapse"])}
        synapse = Synapse(**_leak(draw, [1, 2, 3, 4]), **fields)
    largest = draw.choice([1, 7, 127])
    weights = [draw.randint(-largest, largest) for _ in range(draw.randint(1, 4))]
    threshold = draw.choice([1, 2, draw.randint(1, 200), draw.randint(1, 3000)])
    bias = draw.choice([0, draw.randint(-5, 5), draw.randint(-100, 100), draw.randint(-3000, 3000)])
    steps = draw.choice([1, 2, 3, 6, 12])
    return Case(tuple(weights), 0 if never else threshold, bias, arithmetic, synapse, steps)


def _leak(draw: random.Random, shifts: list[int], *, whole: bool = False) -> dict[str, Any]:
    """Draw a decay, and what happens at the rails; with `whole` one that keeps everything."""
    form, shift = draw.choice(["multiply", "shift"]), 0 if whole else draw.choice(shifts)
    numerator = (1 << shift) - 1 if form == "shift" else draw.randrange(1 << shift)
    if whole:
        form, numerator = "multiply", 1
    return {
        "decay_form": form,
        "decay_numerator": numerator,
        "decay_shift": shift,
        "rounding": draw.choice(["toward_zero", "floor", "nearest_even"]),
        "overflow": draw.choice(["saturate", "wrap"]),
    }


# ---------------------------------------------------------------- the arithmetic, in Python's
# integers
def divided(value: int, shift: int, rounding: str) -> int:
    whole = 1 << shift
    if rounding == "toward_zero":
        return value // whole if value >= 0 else -(-value // whole)
    below, rest = divmod(value, whole)
    if rounding == "floor":
        return below
    return below + (2 * rest > whole or (2 * rest == whole and below % 2 == 1))


def decayed(state: State, value: int) -> int:
    if state.decay_form == "shift":
        return value - divided(value, state.decay_shift, state.rounding)
    return divided(value * state.decay_numerator, state.decay_shift, state.rounding)


def kept(state: State, value: int) -> int:
    half = 1 << (state.state_bits - 1)
    if state.overflow == "saturate":
        return min(max(value, -half), half - 1)
    return (value + half) % (2 * half) - half


class Search:
    """Every state of a neuron, step by step.

    Attributes:
        membrane, synapse: lowest and highest of each state before it was brought into its width.
    """

    def __init__(self, case: Case) -> None:
        self.case, self.fields = case, case.arithmetic
        self.membrane = self.synapse = (0, 0)
        self.inputs = list(itertools.product((0, 1), repeat=len(case.weights)))
        self.sums = {sum(w for w, s in zip(case.weights, x, strict=True) if s) for x in self.inputs}

    def run(self, steps: int, *, forever: bool) -> None:
        states: set[Reached] = {(0, 0, 0)}
        for _ in range(steps):
            after = {new for state in states for new in self.step(*state)}
            if forever:
                after |= states
            if after == states or len(after) > STATES:
                return
            states = after

    def step(self, membrane: int, fired: int, current: int) -> set[Reached]:
        left = decayed(self.fields, membrane)
        if self.fields.update == "event":
            start = self.keep_membrane(left + self.case.bias)
            return {(self.take_events(start, x), 0, 0) for x in self.inputs}
        return {self.take_sum(left, fired, current, total) for total in self.sums}

    def take_events(self, v: int, x: tuple[int, ...]) -> int:
        for weight, spike in zip(self.case.weights, x, strict=True):
            if spike and weight:
                v = self.keep_membrane(v + (weight << self.fields.fraction_bits))
                v = self.after_spike(v) if self.fires(v) else v
        return v

    def take_sum(self, left: int, fired: int, current: int, total: int) -> Reached:
        fields, synapse, bias = self.fields, self.case.synapse, self.case.bias
        late = fields.reset_timing == "next_step"
        v = 0 if late and fired and fields.reset == "zero" else left
        drive = total << fields.fraction_bits
        if synapse is None:
            v += drive + bias
        else:
            to_synapse = synapse.bias_to == "synapse"
            current = decayed(synapse, current) + drive + (bias if to_synapse else 0)
            self.synapse = min(self.synapse[0], current), max(self.synapse[1], current)
            current = kept(synapse, current)
            v += current + (0 if to_synapse else bias)
        if late and fired and fields.reset == "subtract":
            v -= self.case.threshold
        v = self.keep_membrane(v)
        spike = self.fires(v)
        return (self.after_spike(v) if spike and not late else v), int(spike), current

    def keep_membrane(self, v: int) -> int:
        self.membrane = min(self.membrane[0], v), max(self.membrane[1], v)
        return kept(self.fields, v)

    def fires(self, v: int) -> bool:
        if self.fields.fires == "never":
            return False
        return v > self.case.threshold if self.fields.fires == "gt" else v >= self.case.threshold

    def after_spike(self, v: int) -> int:
        return {"subtract": v - self.case.threshold, "zero": 0, "none": v}[self.fields.reset]
