"""The update of neurons, one after another."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fixed_point_reader.nodes import Shape

Values = list[int]


def divided(x: int, n: int, rounding: str) -> int:
    """x / 2**n as an integer."""
    if rounding == "floor":
        return x >> n
    if rounding == "toward_zero":
        return x >> n if x >= 0 else -(-x >> n)
    if rounding == "nearest_even":
        floor, rest = x >> n, 2 * (x & ((1 << n) - 1))
        return floor + (rest > 1 << n or (rest == 1 << n and floor % 2 == 1))
    raise SystemExit(f"rounding is {rounding}, of which this reader knows nothing")


def leaked(x: int, form: str, k: int, n: int, rounding: str) -> int:
    """What a leak leaves of x."""
    if form == "multiply":
        return divided(x * k, n, rounding)
    if form == "shift":
        return x - divided(x, n, rounding)
    sign = (x > 0) - (x < 0)
    if form == "dash":
        return x - ((x >> n) or sign)
    if form == "linear":
        return sign * max(abs(x) - k, 0)
    raise SystemExit(f"a leak is {form}, of which this reader knows nothing")


def do(words: list[str], r: dict[str, int], given: dict[str, int]) -> None:
    """Do one statement on the registers `r` of one neuron."""

    def value(word: str) -> int:
        return int(word) if word.lstrip("-").isdigit() else r[word] if word in r else given[word]

    match words:
        case ["leak", x, form, k, n, *rounding]:
            r[x] = leaked(r[x], form, value(k), value(n), *rounding or [""])
        case [("add" | "subtract") as verb, x, source, shift, *times]:
            term = (value(source) << int(shift)) * (value(times[1]) if times else 1)
            r[x] += term if verb == "add" else -term
        case ["put", x, source, *when]:
            if not when or value(when[1]) != 0:
                r[x] = value(source)
        case ["bound", x, low, high, "saturate"]:
            r[x] = min(max(r[x], value(low)), value(high))
        case ["bound", x, low, high, "wrap"]:
            r[x] = (r[x] - value(low)) % (value(high) - value(low) + 1) + value(low)
        case ["fire", into, x, test, level, up_to]:
            count = 0
            while count < int(up_to) and (
                r[x] > (count + 1) * value(level)
                if test == "gt"
                else r[x] >= (count + 1) * value(level)
            ):
                count += 1
            r[into] = count
        case _:
            raise SystemExit(
                f"{' '.join(words)!r} is a statement of which this reader knows nothing"
            )


def program_of(block: dict[str, Any]) -> list[str]:
    """The lines that a block in fields stands for."""
    synapse = {
        key.removeprefix("synapse_"): value
        for key, value in block.items()
        if key.startswith("synapse_")
    }

    def leak(x: str, fields: dict[str, Any]) -> list[str]:
        k, n = fields["decay_numerator"], fields["decay_shift"]
        return (
            [] if k == 1 << n else [f"leak {x} {fields['decay_form']} {k} {n} {fields['rounding']}"]
        )

    def bound(x: str, fields: dict[str, Any]) -> str:
        top = 1 << (fields["state_bits"] - 1)
        return f"bound {x} {-top} {top - 1} {fields['overflow']}"

    def fire(into: str) -> list[str]:
        return [] if block["fires"] == "never" else [f"fire {into} v {block['fires']} threshold 1"]

    def reset(spikes: str) -> list[str]:
        return {
            "subtract": [f"subtract v threshold 0 times {spikes}"],
            "zero": [f"put v 0 when {spikes}"],
            "none": [],
        }[block["reset"]]

    take = f"input {block['fraction_bits']}"
    if block["update"] == "event":
        loop = [f"add v {take}", bound("v", block), *fire("now"), *reset("now"), "add fired now 0"]
        return [
            *leak("v", block),
            "add v bias 0",
            bound("v", block),
            "put fired 0",
            "for each event",
            *loop,
            "end",
        ]
    current, drive = [], [f"add v {take}", "add v bias 0"]
    if synapse:
        to_synapse = synapse["bias_to"] == "synapse"
        current = [
            *leak("i", synapse),
            f"add i {take}",
            *(["add i bias 0"] if to_synapse else []),
            bound("i", synapse),
        ]
        drive = ["add v i 0", *([] if to_synapse else ["add v bias 0"])]
    late, zero = block["reset_timing"] == "next_step", block["reset"] == "zero"
    first, second = (
        (reset("fired") if late and zero else []),
        (reset("fired") if late and not zero else []),
    )
    return [
        *current,
        *leak("v", block),
        *first,
        *drive,
        *second,
        bound("v", block),
        *fire("fired"),
        *([] if late else reset("fired")),
    ]


class Layer:
    """A layer of neurons: the lines of its update, its parameters and registers by neuron."""

    def __init__(self, fields: dict[str, Any], block: dict[str, Any], shape: Shape) -> None:
        general = block["schema"] == "fixed-point-update/1"
        if not general and block["schema"] not in ("fixed-point-lif/1", "fixed-point-cuba/1"):
            raise SystemExit(
                f"a block is of schema {block['schema']}, of which this reader knows nothing"
            )
        lines = [line.split() for line in (block["update"] if general else program_of(block))]
        self.membrane = block["membrane"] if general else "v"
        self.before = (
            lines[: lines.index(["for", "each", "event"])]
            if ["for", "each", "event"] in lines
            else lines
        )
        loop = lines[len(self.before) + 1 :]
        self.loop = loop[: loop.index(["end"])] if loop else []
        self.after = loop[len(self.loop) + 1 :] if loop else []
        self.by_event = len(self.before) < len(lines)
        given = {**block.get("parameters", {}), "bias": block["bias"]}
        if "v_threshold" in fields:
            given["threshold"] = fields["v_threshold"]
        spread = {name: self.by_neuron(np.asarray(value), shape) for name, value in given.items()}
        self.given = [
            {name: int(value[n]) for name, value in spread.items()} for n in range(prod(shape))
        ]
        written = [words[1] for words in [*self.before, *self.loop, *self.after]]
        self.registers = [dict.fromkeys(("fired", *written), 0) for _ in range(prod(shape))]
        self.states = self.states_of()

    @staticmethod
    def by_neuron(value: Any, shape: Shape) -> Values:
        """A parameter of the layer's shape, or by channel, in one axis."""
        return [
            int(v)
            for v in np.broadcast_to(
                value.reshape(*value.shape, *[1] * (len(shape) - value.ndim)), shape
            ).reshape(-1)
        ]

    def states_of(self) -> set[str]:
        """The registers that live from step to step: read before they are surely written."""
        states, sure = {self.membrane}, set[str]()

        def follow(lines: list[list[str]], sure: set[str]) -> None:
            for words in lines:
                # what a statement reads: all its names, but what a put without `when` or a fire
                # writes
                reads = set(
                    words[2:]
                    if words[0] == "fire" or (words[0] == "put" and "when" not in words)
                    else words[1:]
                )
                states.update(name for name in reads & self.registers[0].keys() if name not in sure)
                if not (words[0] == "put" and "when" in words):
                    sure.add(words[1])

        follow(self.before, sure)
        follow(self.loop, set(sure))
        follow(self.after, sure)
        return states

    def step(self, arriving: Values, events: list[list[tuple[int, int]]]) -> Values:
        """One step of all neurons.

        `arriving` is the sum A of each, `events` (neuron, weight) of one event after another.
        """
        for r in self.registers:
            for name in r:
                if name not in self.states and name != "fired":
                    r[name] = 0
        for n, r in enumerate(self.registers):
            self.all(self.before, r, {**self.given[n], "input": arriving[n]})
        for reached in events if self.by_event else ():
            for n, weight in reached:
                self.all(self.loop, self.registers[n], {**self.given[n], "input": weight})
        for n, r in enumerate(self.registers):
            self.all(self.after, r, self.given[n])
        return [r["fired"] for r in self.registers]

    @staticmethod
    def all(lines: list[list[str]], r: dict[str, int], given: dict[str, int]) -> None:
        """Do statements in order."""
        for words in lines:
            do(words, r, given)
