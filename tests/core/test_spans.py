"""Bounds of registers before each statement, in any number of steps.

They are compared with bounds by hand, and with an update in Python's integers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from machine_networks import machine_network
from python_update import PythonStep
from random_programs import SIZE, Draw

from lehr.analysis.bounds import AFTER, Bounds
from lehr.analysis.spans import Place, Spans
from lehr.errors import FileRefused
from lehr.machines import MACHINES
from lehr.network import Neuron
from lehr.simulate import simulate
from lehr.update import FIRED, INPUT, MOST_SPIKES, STATEMENTS, ForEachEvent, Program, written
from lehr.update_text import program_of_lines

GIVEN: dict[str, Bounds] = {"input": (-4, 3), "t": (2, 8)}


def program(lines: str) -> Program:
    return program_of_lines(lines.split("; "), "v")


@pytest.mark.parametrize(
    ("lines", "bounds"),
    [
        (
            "add v input 2; bound v -100 50 saturate; fire fired v gt t 1; subtract v t 0 times "
            "fired",
            (-100, 50),
        ),
        (
            "add v input 2; bound v -100 50 saturate; fire fired v gt t 1; subtract v t 1 times "
            "fired",
            (-116, 50),
        ),
        (
            "add v input 2; bound v -100 50 saturate; fire fired v ge t 9; bound v 0 5 saturate; "
            "subtract v t 0 times fired",
            (-72, 5),
        ),
        (
            "add v input 2; bound v 1 50 saturate; fire fired v ge t 9; subtract v t 0 times fired",
            (0, 50),
        ),
        ("put v 3 when fired; leak v linear 1 0; fire fired v gt t 1", (0, 2)),
        ("leak v multiply 3 2 floor; add v input 0", (-16, 9)),
        ("leak v shift 3 2 toward_zero; add v input 0", (-16, 12)),
        ("leak v dash 0 2; add v input 0; bound v -7 1000 saturate", (-7, 12)),
        ("leak v multiply 7 3 toward_zero; add v input 0", (-32, 24)),
        ("add v input 0; bound v 3 10 wrap; fire fired v gt t 1", (0, 10)),
        ("add v input 8; bound v -2147483648 2147483647 wrap", (-(2**31), 2**31 - 1)),
        (
            "for each event; subtract x t 0 times now; put v x; add x input 0; bound x 0 20 "
            "saturate; fire now x gt t 1; end; put x 0",
            (-8, 20),
        ),
        (
            "for each event; add x input 0; bound x 0 20 saturate; fire now x gt t 1; end; "
            "subtract x t 0 times now; put v x; put x 0",
            (-8, 20),
        ),
        (
            "put v 0; for each event; add v input 0; bound v -20 20 saturate; fire now v gt t 1; "
            "subtract v t 0 times now; end",
            (-20, 20),
        ),
    ],
)
def test_bounds_of_updates(lines: str, bounds: tuple[int, int]) -> None:
    """Inputs of -4 to 3 and thresholds `t` of 2 to 8; by hand.

    What keeps growing goes to the ends of wider integers and back.

    A neuron that no event reaches may have fired in the step before.
    """
    assert Spans(program(lines), GIVEN).kept["v"] == bounds


def test_bounds_before_each_statement() -> None:
    """Values that come to a Bound, and a counter where it is read.

    The numbers and the input lie between what they are.
    """
    lines = "add v input 2; bound v -9 20 saturate; put v 0 when r; leak r linear 1 0; fire fired v gt t 1; put r 3 when fired"
    places = Spans(program(lines), GIVEN).places
    assert [written(place.statement) for place in places] == ["v", "v", "v", "r", FIRED, "r"]
    assert [place.get("v") for place in places] == [
        (-9, 20),
        (-25, 32),
        (-9, 20),
        (-9, 20),
        (-9, 20),
        (-9, 20),
    ]
    assert [place.get("r") for place in places] == [(0, 3), (0, 3), (0, 3), (0, 3), (0, 2), (0, 2)]
    assert [place.after for place in places] == [
        (-25, 32),
        (-9, 20),
        (-9, 20),
        (0, 2),
        (0, 1),
        (0, 3),
    ]
    assert {(place.get(INPUT), place.get("t"), place.get(-5)) for place in places} == {
        ((-4, 3), (2, 8), (-5, -5))
    }


def test_counts_of_spikes() -> None:
    """The definition refuses too many at the end of a step.

    C holds them at the most there are as soon as they are counted.
    """
    once = "add v input 0; bound v -9 9 saturate; fire now v gt t 200; add fired now 0"
    counting = program(f"{once}; add fired now 0; put v fired; put fired 0")
    assert Spans(counting, GIVEN).kept["v"] == (0, 400)
    assert Spans(counting, GIVEN, saturating=True).kept["v"] == (0, MOST_SPIKES)
    going_on = program("add v input 0; bound v -9 9 saturate; fire now v gt t 1; add fired now 0")
    assert Spans(going_on, GIVEN).places[-1].after == (0, MOST_SPIKES + 1)
    assert Spans(going_on, GIVEN).kept[FIRED] == (0, MOST_SPIKES)


def test_statements_are_those_of_the_table() -> None:
    assert {*STATEMENTS} - AFTER.kinds == {ForEachEvent}  # which is followed event by event


# -------------------------------------------------------------------- against the definition
def drawn(count: int, seed: int) -> Iterator[Neuron]:
    """Yield layers of random programs."""
    draw = Draw(np.random.default_rng(seed))
    while count:
        try:
            yield draw.neuron(draw.program())
            count -= 1
        except FileRefused:  # a statement that contradicts another
            continue


def numbered(places: tuple[Place, ...] | list[Place], program: Program) -> Iterator[list[Place]]:
    """Yield the places of each statement of a program; of a loop all that are in it."""
    rest = iter(places)
    for s in program.statements:
        yield [next(rest) for _ in (s.body if isinstance(s, ForEachEvent) else (s,))]


def followed(neuron: Neuron, spans: Spans, rng: np.random.Generator) -> tuple[int, int]:
    """Count the values of 40 steps that lie in their bounds, and those at an end of them.

    Inputs are between -9 and 9.
    """
    held = at_ends = 0
    channel = int(rng.integers(SIZE))
    given = {name: int(values[channel]) for name, values in neuron.values.items()}
    step = PythonStep(dict.fromkeys(neuron.program.registers, 0), given, [])
    for _ in range(40):
        step.registers |= {x: 0 for x in neuron.program.registers if x not in neuron.program.states}
        for places in numbered(spans.places, neuron.program):
            loops = places[0].statement not in neuron.program.statements
            for a in rng.integers(-9, 10, int(rng.integers(4)) if loops else 1).tolist():
                step.given[INPUT] = a
                for place in places:
                    x = written(place.statement)
                    before = dict(step.registers)
                    step.do((place.statement,))
                    seen = [(place.before[name], value) for name, value in before.items()]
                    for (low, high), value in (*seen, (place.after, step.registers[x])):
                        assert low <= value <= high, (neuron.program, place.statement)
                        held, at_ends = held + 1, at_ends + (low < high and value in (low, high))
        if step.registers[FIRED] > MOST_SPIKES:  # which the definition refuses
            break
    return held, at_ends


@pytest.mark.slow
def test_nothing_leaves_its_bounds() -> None:
    """Before and after each statement of 60 random programs, with loops over events and without."""
    rng, held, at_ends = np.random.default_rng(5), 0, 0
    for neuron in drawn(60, 3):
        spans = Spans.of(neuron, (-9, 9))
        some, ends = followed(neuron, spans, rng)
        held, at_ends = held + some, at_ends + ends
    assert held > 20_000
    assert at_ends > held // 20, "bounds are far from what is reached: they say nothing"


@pytest.mark.parametrize(
    "name", [name for name, program in MACHINES.items() if program.loop is None]
)
def test_membranes_of_machines_stay_in_their_bounds(name: str) -> None:
    net, x = machine_network(name)
    result = simulate(net, x)
    assert result.rates["hidden"] > 0
    low, high = Spans.of(net.neurons["hidden"], (-14, 14)).kept[
        net.neurons["hidden"].program.membrane
    ]
    assert low <= result.layers["hidden"].lowest < result.layers["hidden"].highest <= high
