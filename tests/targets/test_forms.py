"""Forms of machines: which updates are their own, with which numbers, and within which width."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lehr.arithmetic import Arithmetic
from lehr.machines import LOIHI, MACHINES
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.nodes import Node
from lehr.programs import program_of
from lehr.simulate import simulate
from lehr.targets.changes import changes
from lehr.targets.contract import Problem
from lehr.targets.forms import matched
from lehr.targets.rooms import outside
from lehr.targets.training_form import said_by
from lehr.update import Program
from lehr.update_text import program_of_lines

FORM = """
    ? leak v multiply {numerator:name} {shift} toward_zero
    add v input {fraction}
    add v bias 0
    bound v {low} {high} saturate
    fire fired v gt threshold 1
    put v 0 when fired
"""
ARITHMETIC = Arithmetic(
    decay_numerator=15,
    decay_shift=4,
    fraction_bits=6,
    reset="zero",
    reset_timing="same_step",
    fires="gt",
    rounding="toward_zero",
    state_bits=24,
)


def test_numbers_stand_in_the_holes() -> None:
    assert matched(program_of(ARITHMETIC), FORM) == {
        "numerator": "15",
        "shift": "4",
        "fraction": "6",
        "low": str(-(2**23)),
        "high": str(2**23 - 1),
    }


def test_an_optional_line_may_be_missing() -> None:
    values = matched(program_of(replace(ARITHMETIC, decay_numerator=16)), FORM)
    assert isinstance(values, dict)
    assert "numerator" not in values


def test_a_parameter_stands_where_the_form_takes_names() -> None:
    form = """
        leak u multiply {du:name} 12 toward_zero
        add u input {f}
        bound u -8388607 8388608 wrap
        leak v multiply {dv:name} 12 toward_zero
        add v u 0
        add v bias 0
        bound v -8388607 8388607 saturate
        fire fired v gt threshold 1
        put v 0 when fired
    """
    assert matched(LOIHI, form) == {"du": "du", "f": "6", "dv": "dv"}
    assert "line 1 of its update is 'leak u" in str(
        matched(LOIHI, form.replace("{du:name}", "{du}"))
    )


@pytest.mark.parametrize(
    ("changed", "line", "said"),
    [
        ({"rounding": "floor"}, 1, "leak v multiply 15 4 floor"),
        ({"fires": "ge"}, 5, "fire fired v ge threshold 1"),
        ({"overflow": "wrap"}, 4, "bound v -8388608 8388607 wrap"),
        ({"reset": "none"}, 6, None),
        ({"reset": "subtract"}, 6, "subtract v threshold 0 times fired"),
    ],
)
def test_the_first_line_that_differs_is_named(
    changed: dict[str, str], line: int, said: str | None
) -> None:
    shown = "nothing more" if said is None else f"'{said}'"
    arithmetic = replace(ARITHMETIC, **changed)  # type: ignore[arg-type]
    assert (
        matched(program_of(arithmetic), FORM)
        == f"line {line} of its update is {shown}, which the machine does not compute there"
    )


def test_one_hole_stands_for_one_number() -> None:
    form = "\n".join(
        (
            "add v input {f}",
            "add v bias {f}",
            "bound v {low} {high} saturate",
            "fire fired v gt threshold 1",
            "put v 0 when fired",
        )
    )
    arithmetic = replace(ARITHMETIC, decay_numerator=16)
    assert isinstance(matched(program_of(arithmetic), form), str)
    assert isinstance(matched(program_of(replace(arithmetic, fraction_bits=0)), form), dict)


def test_no_machine_is_taken_for_another() -> None:
    for name, program in MACHINES.items():
        assert isinstance(matched(program, FORM), str), name


# -------------------------------------------------------------------- rooms
def narrow(state_bits: int, fan_in: int = 12, weight: int = 1) -> Network:
    arithmetic = Arithmetic(
        decay_numerator=1, decay_shift=1, fraction_bits=2, rounding="floor", state_bits=state_bits
    )
    lif = Neuron(np.full(3, 5, np.int32), np.zeros(3, np.int32), arithmetic)
    edges = ((INPUT, "fc"), ("fc", "lif"), ("lif", OUTPUT))
    weights = np.full((3, fan_in), weight, np.int8)
    return Network({"fc": Linear(weights), "lif": lif}, edges, Input((fan_in,), "spikes"), 40)


def reached(net: Network) -> int:
    """Return the highest membrane that any input brings about: all spikes, for ever."""
    x = np.ones((1, net.steps, *net.input.shape), np.uint8)
    return int(simulate(net, x, trace=net.neurons).trace.membranes["lif"].max())


def test_a_state_may_come_to_the_end_of_its_range_and_not_beyond() -> None:
    net = narrow(20)
    low, high = -16, reached(net)
    assert outside(net, "lif", {"v": (low, high + 5)}) == []
    (problem,) = outside(net, "lif", {"v": (low, high - 1)})
    assert problem.node == "lif"
    assert f"must stay within {low}..{high - 1:,}" in problem.reason


def test_the_networks_own_width_counts_where_it_is_narrower() -> None:
    net = narrow(8, 80)
    assert outside(net, "lif", {"v": (-(2**15), 2**15 - 1)})
    assert outside(net, "lif", {"v": (-128, 127)}, same_rails=True) == []
    assert outside(net, "lif", {"v": (-128, 127)})
    assert outside(net, "lif", {"other": (0, 0)}) == []


def floored(*bounds: str, floor: tuple[int, ...] = (-9, -4, -7)) -> Network:
    """Return three neurons, each with one weight of -1 and a floor of its own.

    In one step their membranes reach -1..0.
    """
    program = program_of_lines(
        [*bounds[:1], "add v input 0", *bounds[1:], "fire fired v ge threshold 1"], "v"
    )
    low = np.array(floor, np.int32)
    lif = Neuron(
        np.full(3, 5, np.int32),
        np.zeros(3, np.int32),
        program,
        parameters={"floor": low} if "floor" in program.parameters else {},
    )
    edges = ((INPUT, "fc"), ("fc", "lif"), ("lif", OUTPUT))
    return Network(
        {"fc": Linear(np.full((3, 1), -1, np.int8)), "lif": lif}, edges, Input((1,), "spikes"), 1
    )


FLOOR, WIDE = "bound v floor 100 saturate", "bound v -500 500 saturate"


def test_an_end_that_is_a_parameter_counts_as_what_it_is_in_the_strictest_neuron() -> None:
    for floor in (-1, 0):
        net = floored(WIDE, FLOOR, floor=(-9, floor, -7))
        x = np.ones((1, 1, 1), np.uint8)
        cut = int(
            simulate(net, x, trace=["lif"])
            .trace.membranes["lif"]
            .min(initial=0, where=np.array([False, True, False]))
        )
        assert cut == max(-1, floor)
        problems = [problem.reason for problem in outside(net, "lif", {"v": (-200, 200)})]
        assert problems == (
            []
            if floor == -1
            else ["its v reaches -1..0, partial sums included, and must stay within 0..100"]
        )


def test_all_bounds_of_a_state_count() -> None:
    """Bound a state narrowly first, then last.

    Neither says that a neuron beyond the bound does as the machine does.
    """
    narrowest = "bound v -1 0 saturate"
    for bounds in ((narrowest, WIDE), (WIDE, narrowest)):
        assert outside(floored(*bounds), "lif", {"v": (-200, 200)}) == []
        (problem,) = outside(floored(*bounds), "lif", {"v": (0, 200)}, same_rails=True)
        assert "must stay within 0..0" in problem.reason


def test_rails_that_are_parameters_are_the_machines_where_all_neurons_have_them() -> None:
    ranges = {"v": (0, 100)}
    assert outside(floored(FLOOR, FLOOR, floor=(0, 0, 0)), "lif", ranges, same_rails=True) == []
    assert outside(floored(FLOOR, FLOOR, floor=(0, -1, 0)), "lif", ranges, same_rails=True)
    assert outside(floored(FLOOR, FLOOR, floor=(0, 0, 0)), "lif", ranges)


def test_problems_with_one_way_out_are_one_change() -> None:
    given = (
        Problem("a", "x is 1", "train with x = 2"),
        Problem("b", "y", "use z"),
        Problem("c", "x is 3", "train with x = 2"),
    )
    first, second = changes(given)
    assert (first.hint, first.nodes, first.reason) == ("train with x = 2", ("a", "c"), "x is 1")
    assert str(second) == "use z (b: y)"


# -------------------------------------------------------------------- another machine's words
def test_layers_of_one_machine_are_said_by_another_and_the_rest_stays() -> None:
    def neuron(program: Program) -> Neuron:
        given = {"floor": np.array([-3, -4, -5], np.int32)} if "floor" in program.parameters else {}
        return Neuron(
            np.array([2, 3, 4], np.int32),
            np.array([0, -1, 1] if "bias" in program.parameters else [0, 0, 0], np.int32),
            program,
            parameters=given,
        )

    def network(*programs: Program) -> Network:
        nodes: dict[str, Node] = {}
        for number, program in enumerate(programs):
            nodes |= {
                f"fc{number}": Linear(np.ones((3, 3), np.int8)),
                f"n{number}": neuron(program),
            }
        return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((3,), "spikes"), 4)

    by_step, by_event, akida = (
        MACHINES[name] for name in ("dynapcnn", "dynapcnn_by_event", "akida")
    )
    net = network(by_step, akida, by_step)
    said = said_by(net, "dynapcnn", "dynapcnn_by_event")
    assert said.digest == network(by_event, akida, by_event).digest != net.digest
    assert said_by(said, "dynapcnn_by_event", "dynapcnn").digest == net.digest
    assert said_by(net, "loihi", "akida").digest == net.digest
