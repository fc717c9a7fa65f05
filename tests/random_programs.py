"""Random programs, and networks that compute many of them side by side.

They have every statement with every kind of source, and spikes flow.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, get_args

import numpy as np
from strategies import Images

from lehr.arithmetic import Rounding
from lehr.errors import FileRefused, NotMappable
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate import simulate
from lehr.targets.contract import Target
from lehr.update import Add, Bound, Decay, Fire, ForEachEvent, Form, Leak, Program, Put, Statement

SIZE, STEPS = 6, 14
STATES = ("v", "i", "a", "w")
PARAMETERS = {
    "threshold": (1, 60),
    "bias": (-9, 9),
    "num": (0, 16),
    "den": (4, 7),
    "hold": (0, 9),
    "low": (-300, -1),
    "high": (0, 300),
}


class Draw:
    """Statements drawn from a generator of random numbers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def one(self, *choices: Any) -> Any:
        """Return one of some values."""
        return choices[int(self.rng.integers(len(choices)))]

    def leak(self) -> Leak:
        """Return any decay, with numbers and parameters in every place that takes them."""
        form: Form = self.one(*get_args(Form))
        rounding: Rounding = self.one(*get_args(Rounding))
        shift = self.one("den", int(self.rng.integers(0, 9)))
        if form == "multiply":
            whole = 16 if shift == "den" else 1 << int(shift)
            number = self.one(int(self.rng.integers(0, whole + 1)), whole * 7 // 8)
            decay = Decay(
                form,
                self.one("num", number) if shift == "den" or whole >= 16 else number,
                shift,
                rounding,
            )
        elif form == "shift":
            n = int(self.rng.integers(0, 9))
            decay = Decay(form, (1 << n) - 1, n, rounding)
        elif form == "dash":
            decay = Decay(form, 0, shift)
        else:
            decay = Decay(form, self.one("hold", 1, 5), 0)
        return Leak(self.one(*STATES), decay)

    def add(self, *more: str) -> Add:
        """Return a sum of any source.

        `more` are sources beside registers, parameters and numbers.
        """
        source = self.one(
            *STATES, "bias", "threshold", "hold", int(self.rng.integers(-20, 21)), *more
        )
        shift, times = int(self.rng.integers(0, 3)), self.one("", "", "fired", "fired", "now")
        return Add(self.one(*STATES), source, shift, bool(self.rng.integers(2)), times)

    def put(self) -> Put:
        """Return an assignment, under a condition more often than not."""
        return Put(
            self.one(*STATES),
            self.one(*STATES, "hold", 0, -3, 4),
            self.one("", "fired", "now", "r", "a"),
        )

    def bound(self) -> Bound:
        """Return a range in numbers or parameters, or a width that wraps.

        The width is in two's complement or not.
        """
        x = self.one(*STATES)
        if self.rng.integers(3) == 0:
            bits, low = int(self.rng.integers(5, 12)), int(self.rng.integers(-40, 41))
            low = self.one(low, -(1 << (bits - 1)), -(1 << (bits - 1)))
            return Bound(x, low, low + (1 << bits) - 1, "wrap")
        return Bound(
            x,
            self.one("low", int(self.rng.integers(-400, 1))),
            self.one("high", int(self.rng.integers(1, 401))),
        )

    def fire(self, into: str) -> Fire:
        """Return a test, or a count, of any register against any level."""
        up_to = self.one(1, 1, 3, 31)
        level = self.one(
            "threshold", "threshold", int(self.rng.integers(1, 40)), *(("a",) if up_to == 1 else ())
        )
        return Fire(self.one("v", "v", "i"), level, self.one("gt", "ge"), up_to, into)

    def some(self, most: int, *more: str) -> list[Statement]:
        """Return up to so many statements."""
        kinds = (
            self.leak,
            self.leak,
            lambda: self.add(*more),
            lambda: self.add(*more),
            self.put,
            self.bound,
        )
        return [self.one(*kinds)() for _ in range(int(self.rng.integers(1, most + 1)))]

    def program(self) -> Program:
        """Return a program that takes its input and fires, by step or by event.

        Every state is bounded in it.
        """
        take = Add("v", INPUT, int(self.rng.integers(0, 4)))
        held: list[Statement] = (
            [Put("r", 3, "now"), Leak("r", Decay("linear", 1))]
            if self.rng.integers(2)
            else [Put("r", 0)]
        )
        most = self.one(500, 30_000, 2**31 - 1)
        ends: list[Statement] = [Bound(x, -most - 1, most) for x in STATES]
        if self.rng.integers(3):
            fires = (self.fire("now"), self.fire("fired"))
            return Program(
                (
                    *self.some(3, INPUT),
                    take,
                    *self.some(3, INPUT),
                    *fires,
                    *self.some(3),
                    *held,
                    *ends,
                )
            )
        body = (
            *self.some(2),
            take,
            Bound("v", -300, 300),
            self.fire("now"),
            *self.some(2),
            *ends,
            Add("fired", "now"),
        )
        return Program(
            (*self.some(2), *held, *ends, Put("fired", 0), ForEachEvent(body), *self.some(2), *ends)
        )

    def neuron(self, program: Program) -> Neuron:
        """Return neurons with parameters by channel."""
        drawn = {
            name: self.rng.integers(low, high + 1, SIZE, dtype=np.int32)
            for name, (low, high) in PARAMETERS.items()
        }
        zero = np.zeros(SIZE, np.int32)
        threshold, bias = (
            drawn.pop(name) if name in program.parameters else zero
            for name in ("threshold", "bias")
        )
        return Neuron(
            threshold,
            bias,
            program,
            parameters={n: v for n, v in drawn.items() if n in program.parameters},
        )


def side_by_side(count: int, seed: int, target: Target) -> tuple[Network, Images]:
    """Return layers behind one layer of weights, each with a program that `target` takes.

    Spikes flow in each.
    """
    rng = np.random.default_rng(seed)
    draw, x = Draw(rng), (rng.random((3, STEPS, 12)) < 0.4).astype(np.uint8)
    fc = Linear(rng.choice(np.array((-1, 1), np.int8), (SIZE, 12)))
    nodes: dict[str, Any] = {"fc": fc}
    while len(nodes) <= count:
        try:
            alone = _network({"fc": fc, "lif": draw.neuron(draw.program())})
        except FileRefused:  # a statement that contradicts another
            continue
        if not target.check(alone) and _flows(alone, x):
            nodes[f"lif{len(nodes)}"] = alone.nodes["lif"]
    last = list(nodes)[-1]
    chain = _network({"fc": fc, last: nodes[last]})
    return replace(
        chain,
        nodes=nodes,
        edges=(*chain.edges, *(("fc", name) for name in nodes if name not in ("fc", last))),
    ), x


def _network(nodes: dict[str, Any]) -> Network:
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((12,), "spikes"), STEPS)


def _flows(net: Network, x: Images) -> bool:
    try:
        result = simulate(net, x, trace=["lif"])
    except NotMappable:  # it fired more than 255 times in a step
        return False
    spikes, membranes = result.trace.spikes["lif"], result.trace.membranes["lif"]
    return bool(0 < np.count_nonzero(spikes) < spikes.size and len(np.unique(membranes)) > 8)
