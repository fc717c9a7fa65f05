"""The width analysis of random programs, and of every machine, by exhaustive search.

It is compared with all that a neuron can reach.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from machine_networks import machine_network
from plain_programs import Plain

from lehr.analysis.layers import reach
from lehr.errors import FileRefused, NotMappable
from lehr.intervals import arriving, intervals
from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.programs import widths_of
from lehr.simulate.reference import simulate
from lehr.update import MEMBRANE, Bound, Program
from lehr.update_text import lines_of, program_of_lines
from lehr.widths import LayerWidth, analyse, bits_for, fit_state_bits

STATES, SETTLED_STEPS = 300, 30
OTHERS = {
    "leak": (0, 2),
    "floor": (-40, 0),
    "alpha": (24_000, 32_767),
    "du": (0, 3_000),
    "dv": (2_000, 4_000),
}
OTHERS |= {"dash_mem": (0, 4), "dash_syn": (1, 3)}


@dataclass(frozen=True)
class Case:
    """A neuron on a few spikes."""

    program: Program
    given: dict[str, int]
    weights: tuple[int, ...]
    steps: int

    def network(self) -> Network:
        names = {
            name: np.array([value], np.int32)
            for name, value in self.given.items()
            if name not in ("threshold", "bias")
        }
        first, bias = (
            np.array([self.given.get(name, 0)], np.int32) for name in ("threshold", "bias")
        )
        nodes = {
            "fc": Linear(np.array([self.weights], np.int8), "int8"),
            "n": Neuron(first, bias, self.program, parameters=names),
        }
        edges = ((INPUT, "fc"), ("fc", "n"), ("n", OUTPUT))
        readout = "count_argmax_lowest" if self.program.fires else "membrane_last_argmax_lowest"
        return Network(nodes, edges, Input((len(self.weights),), "spikes"), self.steps, readout)  # type: ignore[arg-type]

    def searched(self, layer: LayerWidth) -> Plain:
        plain = Plain(lines_of(self.program), self.given)
        steps = SETTLED_STEPS if layer.settled else self.steps
        plain.search(self.weights, self.program.states, steps, layer.settled, STATES)
        return plain


def drawn_case(draw: random.Random, program: Program, level: int) -> Case:
    given = {}
    for name in program.parameters:
        ranges = {"threshold": (1, level), "bias": (-9, 9), **OTHERS}
        given[name] = draw.randint(*ranges.get(name, (-20, 20) if name == "p" else (1, 20)))
    largest = draw.choice((1, 7, 127))
    weights = [draw.randint(-largest, largest) for _ in range(draw.randint(1, 4))]
    return Case(program, given, tuple(weights), draw.choice((1, 2, 3, 6, 12)))


class Lines:
    """Random lines over some registers."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.some = list(dict.fromkeys(("v", *draw.sample(("v", "u", "w"), draw.randint(1, 3)))))

    def source(self, *more: str) -> str:
        return self.draw.choice(
            (
                *self.some,
                "fired",
                "now",
                "threshold",
                "bias",
                "p",
                str(self.draw.randint(-9, 9)),
                *more,
            )
        )

    def line(self, *more: str) -> str:
        kind = self.draw.choice(
            (
                self.leak,
                self.add,
                self.add,
                self.add,
                self.put,
                self.bound,
                self.bound,
                self.fire,
                self.fire,
            )
        )
        return kind(self.draw.choice(self.some), *more)

    def leak(self, x: str, *_: str) -> str:
        n, form = self.draw.randint(0, 4), self.draw.choice(("multiply", "shift", "dash", "linear"))
        k = {
            "multiply": self.draw.randint(0, 1 << n),
            "shift": (1 << n) - 1,
            "dash": 0,
            "linear": self.draw.randint(0, 9),
        }[form]
        rounding = (
            self.draw.choice((" toward_zero", " floor", " nearest_even"))
            if form in ("multiply", "shift")
            else ""
        )
        return f"leak {x} {form} {k} {0 if form == 'linear' else n}{rounding}"

    def add(self, x: str, *more: str) -> str:
        times = (
            f" times {self.draw.choice((*self.some, 'fired', 'fired', 'now'))}"
            if self.draw.random() < 0.4
            else ""
        )
        source = self.draw.choice(more) if more and self.draw.random() < 0.5 else self.source(*more)
        verb = self.draw.choice(("add", "add", "subtract"))
        return f"{verb} {x} {source} {self.draw.choice((0, 0, 0, 1, 3))}{times}"

    def put(self, x: str, *more: str) -> str:
        when = (
            f" when {self.draw.choice((*self.some, 'fired', 'now'))}"
            if self.draw.random() < 0.7
            else ""
        )
        return f"put {x} {self.source(*more)}{when}"

    def bound(self, x: str, *_: str) -> str:
        if self.draw.random() < 0.3:
            half = 1 << self.draw.randint(2, 7)
            return f"bound {x} {-half} {half - 1} wrap"
        low = self.draw.choice((0, -8, -100, -128, 5))
        return f"bound {x} {low} {low + self.draw.choice((0, 7, 60, 255))} saturate"

    def fire(self, x: str, *_: str) -> str:
        level = self.draw.choice(
            ("threshold", "threshold", str(self.draw.randint(1, 30)), *self.some)
        )
        up_to = 1 if level in self.some else self.draw.choice((1, 1, 2, 5, 255))
        into = self.draw.choice(("fired", "now"))
        return f"fire {into} {x} {self.draw.choice(('gt', 'ge'))} {level} {up_to}"

    def all(self) -> list[str]:
        """Return the lines of a program, with or without a loop.

        Most registers are bounded at its end.
        """
        lines = [self.line() for _ in range(self.draw.randint(0, 4))]
        taken = f"add {self.draw.choice(self.some)} input {self.draw.choice((0, 2))}"
        inner = [taken, *(self.line("input") for _ in range(self.draw.randint(0, 5)))]
        if self.draw.random() < 0.4:
            self.draw.shuffle(inner)
            counts = ["add fired now 0"] if self.draw.random() < 0.6 else []
            lines += [
                *self.draw.choice(([], ["put fired 0"])),
                "for each event",
                *inner,
                *counts,
                "end",
            ]
            lines += [self.line() for _ in range(self.draw.randint(0, 2))]
        else:
            lines += inner
        return [*lines, *(self.bound(x) for x in self.some if self.draw.random() < 0.8)]


def random_program(draw: random.Random) -> Program:
    while True:
        try:
            return program_of_lines(Lines(draw).all(), MEMBRANE)
        except FileRefused:
            continue


def outside(case: Case, layer: LayerWidth, plain: Plain) -> list[str]:
    """Return what was reached beyond the bounds."""
    problems = []
    for x, (low, high) in plain.held.items():
        ends = [
            (s.low, s.high)
            for s in case.program.all
            if isinstance(s, Bound) and s.x == x and s.overflow == "wrap"
        ]
        least, most = layer.registers[x]
        least, most = (
            min([least, *(int(a) for a, _ in ends)]),
            max([most, *(int(b) for _, b in ends)]),
        )
        if not least <= low <= high <= most and not (x == "fired" and high > 255):
            problems.append(f"{x} held {low}..{high}, proven {least}..{most}")
    for x, (low, high) in plain.written.items():
        least, most = layer.written[x]
        if not least <= low <= high <= most and not (x == "fired" and high > 255):
            problems.append(f"{x} written {low}..{high}, proven {least}..{most}")
    return problems


def tightened(layer: LayerWidth) -> LayerWidth:
    """Make bounds wrong by one wherever they are reached."""
    return replace(
        layer,
        registers={
            x: (low + (low < 0), high - (high > 0)) for x, (low, high) in layer.registers.items()
        },
    )


def searched(seeds: range) -> Counter[str]:
    """Count the neurons of some seeds by kind; none of them left its bounds."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        draw = random.Random(seed)
        case = drawn_case(draw, random_program(draw), 30)
        try:
            layer = analyse(case.network()).layers["n"]
        except NotMappable:
            seen["refused"] += 1
            continue
        plain = case.searched(layer)
        assert not outside(case, layer, plain), (seed, case, outside(case, layer, plain))
        seen["neurons"] += 1
        seen["by event"] += case.program.loop is not None
        seen["fire"] += plain.fires
        seen["are cut"] += plain.cut
        seen["settled"] += layer.settled
        for x in plain.held:
            seen["bounds"] += 2
            seen["reached"] += sum(
                a == b for a, b in zip(plain.held[x], layer.registers[x], strict=True)
            )
        seen["wrong bounds caught"] += bool(outside(case, tightened(layer), plain))
    return seen


def check(seeds: range) -> None:
    seen, count = searched(seeds), len(seeds)
    assert seen["refused"] < count / 10, seen
    assert all(seen[kind] > count / 5 for kind in ("by event", "fire", "are cut", "settled")), seen
    assert seen["reached"] > seen["bounds"] / 2, seen
    assert seen["wrong bounds caught"] > count / 2, seen


@pytest.mark.slow
def test_no_reachable_state_of_random_programs_is_outside_the_proven_bounds() -> None:
    check(range(250))


@pytest.mark.slow
def test_bounds_for_any_number_of_steps_hold_as_well() -> None:
    seen: Counter[str] = Counter()
    for seed in range(80):
        draw = random.Random(seed)
        case = drawn_case(draw, random_program(draw), 30)
        net = case.network()
        bounds = reach({"n": (net.neurons["n"], arriving(net, "n", intervals(net)))}, None)["n"]
        if bounds.beyond:
            seen["refused"] += 1
            continue
        registers = {x: bounds.limits(x) for x in bounds.registers}
        layer = LayerWidth((0, 0), MEMBRANE, registers, bounds.written, settled=True, float32="")
        plain = case.searched(layer)
        assert not outside(case, layer, plain), (seed, case, outside(case, layer, plain))
        seen["wrong bounds caught"] += bool(outside(case, tightened(layer), plain))
    assert 0 < seen["refused"] < 40, seen
    assert seen["wrong bounds caught"] > 30, seen


@pytest.mark.slow
def test_no_reachable_state_of_five_thousand_random_programs_is_outside_the_proven_bounds() -> None:
    check(range(250, 5_250))


@pytest.mark.slow
@pytest.mark.parametrize("name", MACHINES)
def test_no_machine_leaves_its_proven_bounds(name: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(25):
        draw = random.Random(seed)
        case = drawn_case(
            draw,
            MACHINES[name],
            draw.choice((3, 40))
            << (6 if name == "loihi" else 4 if name in ("reckon", "hiaer") else 0),
        )
        layer = analyse(case.network()).layers["n"]
        plain = case.searched(layer)
        assert not outside(case, layer, plain), (seed, case, outside(case, layer, plain))
        seen["fire"] += plain.fires
        seen["wrong bounds caught"] += bool(outside(case, tightened(layer), plain))
    assert seen["fire"] > 5, seen
    assert seen["wrong bounds caught"] > 12, seen


def xylo(weights: tuple[int, ...], threshold: int, steps: int = 3000) -> Case:
    return Case(
        MACHINES["xylo"],
        {"threshold": threshold, "bias": 3, "dash_syn": 2, "dash_mem": 4},
        weights,
        steps,
    )


def test_xylo_never_saturates_where_its_registers_are_known_as_sums_of_earlier_values() -> None:
    """v + (decay(v) - v + i) is decay(v) + i.

    Bounds of each addend by itself would grow with every step.
    """
    case = xylo((-6, 8), 100)
    layer = analyse(case.network()).layers["n"]
    assert layer.settled
    plain = Plain(lines_of(case.program), case.given)
    for weights in ([-6], [8]):  # what constant inputs come to
        state: dict[str, int] = {}
        for _ in range(300):
            state = plain.step(state, weights)
    assert plain.fires
    for x in ("i", "d", "v"):
        low, high = layer.registers[x]
        assert low <= plain.held[x][0] < plain.held[x][1] <= high
        assert -32768 < 4 * low < 4 * high < 32767


def test_a_parameter_by_neuron_counts_with_every_neuron() -> None:
    """A floor of one neuron of a channel decides what the channel can come to."""
    net, _ = machine_network("dynapcnn", spatial=True, per_neuron=True)
    before = analyse(net).layers["hidden"].membrane
    neuron, lowest = net.neurons["hidden"], int(analyse(net).nodes["first"].low[1])
    floor = neuron.parameters["floor"].copy()
    floor[1, 2, 3] = -500
    changed = replace(neuron, parameters={**neuron.parameters, "floor": floor})
    assert changed.per_neuron
    after = analyse(replace(net, nodes={**net.nodes, "hidden": changed})).layers["hidden"].membrane
    assert after[0] == net.steps * (lowest + int(neuron.bias[1, 2, 3])) < before[0]
    assert after[1] == before[1]


def test_layers_that_differ_in_width_alone_are_what_they_are_by_themselves() -> None:
    """They are followed together, as so many neurons side by side."""
    net, _ = machine_network("adaptive")
    wide = net.neurons["hidden"].with_bits({"v": 10, "a": 9})
    mixed = replace(net, nodes={**net.nodes, "hidden": wide})
    alone = {name: _alone(mixed, name) for name in mixed.neurons}
    assert analyse(mixed).layers == alone
    assert alone["hidden"] != analyse(net).layers["hidden"]


def _alone(net: Network, name: str) -> LayerWidth:
    """Return the same layer beside one of Akida's, which is another program."""
    other = next(n for n in net.neurons if n != name)
    size = net.neurons[other].channels
    plain = Neuron(np.ones(size, np.int32), np.zeros(size, np.int32), MACHINES["akida"])
    return analyse(replace(net, nodes={**net.nodes, other: plain})).layers[name]


@pytest.mark.parametrize("name", MACHINES)
def test_fitted_widths_of_a_machine_never_cut_and_one_bit_less_may(name: str) -> None:
    net, x = machine_network(name)
    fitted = fit_state_bits(net)
    result = simulate(fitted, x, trace=fitted.neurons)
    # their floors are no widths
    assert any(result.saturations.values()) == (name == "dynapcnn" or name == "dynapcnn_by_event")
    layers = analyse(fitted).layers
    for layer, neuron in fitted.neurons.items():
        for register, bits in widths_of(neuron.program).items():
            assert bits == bits_for(*layers[layer].registers[register])
