"""Updates in C: functions and what they share, names, types from bounds, refusals by name."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_code import of_lines, require_equal, sanitized
from machine_networks import machine_network
from random_programs import side_by_side

from lehr.errors import NotMappable
from lehr.intervals import intervals
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.nodes import Node
from lehr.simulate import simulate
from lehr.simulate.reference import Machine, Reached
from lehr.simulate.result import Recorder
from lehr.targets.c import C
from lehr.targets.c.layout import Layout
from lehr.targets.c.nodes import NODES, rules
from lehr.targets.c.printer import RULES
from lehr.targets.c.runner import CRunner
from lehr.targets.c.temporaries import RULES as TEMPORARIES
from lehr.targets.c.temporaries import reached as reached_of
from lehr.targets.c.updates import spans
from lehr.update import STATEMENTS, ForEachEvent
from lehr.update_text import program_of_lines

MISSING = CRunner().missing()
needs_compiler = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


# -------------------------------------------------------------------- functions, names and types
def functions(net: Network) -> list[str]:
    """Return the functions of updates, as they are written."""
    return re.findall(
        r"^static inline registers_\d+ (\w+)",
        C().plan(net, {}).files["lehr_model.c"].decode(),
        re.MULTILINE,
    )


def test_equal_programs_share_a_function_and_keep_their_types() -> None:
    net, _ = machine_network("refractory")
    assert functions(net) == ["update_1"]
    far = replace(net.neurons["out"], threshold=np.full(5, 2**31 - 1, np.int32))
    layout = Layout(replace(net, nodes={**net.nodes, "out": far}))
    # a threshold that is only compared with fits
    assert [update.bits for update in layout.updates] == [32]
    assert layout.layers["hidden"].types == {"fired": "uint8_t", "v": "int16_t", "r": "int8_t"}
    subtracting, _ = of_lines(
        "add v input 0; subtract v threshold 0 times fired; bound v -9 9 saturate; fire fired v gt "
        "threshold 1"
    )
    far = replace(subtracting.neurons["out"], threshold=np.full(5, 2**31 - 1, np.int32))
    both = replace(subtracting, nodes={**subtracting.nodes, "out": far})
    assert functions(both) == ["update_1", "update_2"]
    assert [update.wide for update in Layout(both).updates] == ["int32_t", "int64_t"]


def test_parts_of_a_loop() -> None:
    assert functions(machine_network("tinyodin")[0]) == [
        "update_1_begin",
        "update_1_event",
        "update_1_end",
    ]
    assert functions(machine_network("dynapcnn_by_event")[0]) == [
        "update_1_begin",
        "update_1_event",
    ]


@pytest.mark.slow
@needs_compiler
def test_work_registers_live_from_part_to_part_and_no_longer(tmp_path: Path) -> None:
    """`seen` counts events from 0 in every step; `was` is its value before an event.

    `sum` lives on.
    """
    net, x = of_lines(
        """add v bias 0; put fired 0; add sum 2 0; put seen 0; for each event; put was seen; add seen 1 0; bound seen 0 99 saturate; add v input 2; add v was 0;
        bound v -200 200 saturate; fire now v gt threshold 1; put v 0 when now; add fired now 0; end; add v seen 0; add v sum 0;
        subtract v was 0; bound v -200 200 saturate; bound sum 0 5 saturate"""
    )
    assert Layout(net).layers["hidden"].types.keys() == {"fired", "v", "sum", "seen", "was"}
    assert net.neurons["hidden"].program.states == ("v", "sum", "was")
    sanitized(tmp_path / "out", net, x)


@needs_compiler
def test_names_that_mean_something_in_c_are_written_otherwise(tmp_path: Path) -> None:
    net, x = of_lines(
        """add int input 3; add int_ int 0; bound int 0 90 saturate; bound int_ -300 300 saturate; put r int_; add r 1 1; put v r;
        leak v shift 7 3 nearest_even; put size_t v; put divide_nearest_even_32 size_t; put linux divide_nearest_even_32; put v linux;
        bound v -2147483648 2147483647 saturate; fire fired v gt threshold 1; put int 0 when fired; put int_ 0 when fired"""
    )
    require_equal(tmp_path / "out", net, x)


def test_members_and_tables_have_names_of_their_own() -> None:
    """Register `a_b` of layer `c`, and `a` of `b_c`; the same of parameters."""
    lines = "add {} input 0; bound {} low high saturate; put v {}; fire fired v gt 2 1"
    net, _ = of_lines("add v input 0; fire fired v gt 2 1; put v 0")
    zero = np.zeros(5, np.int32)

    def neuron(register: str, parameter: str) -> Neuron:
        text = (
            lines.replace("low", "-9")
            .replace("high", parameter)
            .format(register, register, register)
        )
        program = program_of_lines(text.split("; "), "v")
        return Neuron(
            zero, zero, program, parameters={parameter: np.array([1, 2, 3, 4, 5], np.int32)}
        )

    nodes: dict[str, Any] = {
        "fc": net.nodes["second"],
        "c": neuron("a_b", "p_b"),
        "b_c": neuron("a", "p"),
    }
    edges = ((INPUT, "fc"), ("fc", "c"), ("fc", "b_c"), ("c", OUTPUT))
    layout = Layout(Network(nodes, edges, Input((10,), "spikes"), 4))
    members = [field.name for field in layout.memory.fields]
    assert {"state_a_b_c", "state_a_b_c_2"} < {*members}
    assert len({*members}) == len(members)
    assert {*layout.parameters["c"].values()} | {*layout.parameters["b_c"].values()} == {
        "parameter_p_b_c",
        "parameter_p_b_c_2",
    }


@pytest.mark.slow
# -------------------------------------------------------------------- bounds
def test_nothing_leaves_its_bounds() -> None:
    """The definition stays within the bounds in 24 random programs.

    It is read before every Bound and after every step.
    """
    net, x = side_by_side(24, 9, C())
    reached: Reached = {}
    Machine(net, len(x), reached).run(
        x, False, net.steps, Recorder(net, len(x), net.steps, net.neurons)
    )
    trace, layout, tight = simulate(net, x, trace=net.neurons).trace, Layout(net), 0
    known = intervals(net)
    for name in net.neurons:
        bounds = spans(net, name, known)
        values = reached_of(net.neurons[name].program, bounds)
        for register, (low, high) in reached[name].items():
            assert values[register][0] <= low <= high <= values[register][1], (name, register)
        low, high = bounds.kept["v"]
        assert low <= trace.membranes[name].min() <= trace.membranes[name].max() <= high
        tight += high - low <= 4 * (
            int(trace.membranes[name].max()) - int(trace.membranes[name].min())
        )
        bits = int(layout.layers[name].types["v"][3:-2])
        assert -(1 << (bits - 1)) <= low <= high < 1 << (bits - 1)
    assert tight > 4, "bounds are far from what is reached: they say nothing"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "add v input 0; fire fired v gt threshold 1; add a 3 0 times fired",
            "hidden: nothing keeps its register v within 64 bits; bound v in its update",
        ),
        (
            "put v 0; add v input 16; add v threshold 16; fire fired v gt threshold 1",
            "hidden: its membrane v reaches 3,602,710,528, more than the 32 bits in which it is "
            "read; bound v in its update",
        ),
        (
            "for each event; add v input 0; bound v -9 9 saturate; fire now v gt threshold 1; put "
            "v 0 when now; add fired now 0; end; "
            "add v fired 0; bound v -9 9 saturate; put fired 0",
            "hidden: its update reads fired where it may be above 255, and then begins to count "
            "anew; count in another register",
        ),
    ],
)
def test_updates_that_do_not_map(lines: str, message: str) -> None:
    net, _ = of_lines(lines, threshold=40_000)
    assert str(C().check(net)[0]) == message
    with pytest.raises(NotMappable, match=re.escape(message)):
        C().require_mappable(net)


def test_a_count_that_the_definition_refuses_may_be_read() -> None:
    """The definition refuses more than 255 spikes if nothing forgets the count within the step."""
    once = "add v input 0; bound v -9 9 saturate; put v 0 when fired; fire now v gt threshold 1; add fired now 0"
    assert C().check(of_lines(f"put fired 0; for each event; {once}; end")[0]) == ()
    assert C().check(of_lines(f"put fired 0; for each event; put fired 0; {once}; end")[0]) == ()
    (problem, _) = C().check(
        of_lines(f"for each event; {once}; put v 1 when fired; end; put fired 0")[0]
    )
    assert (
        problem.reason
        == "its update reads fired where it may be above 255, and then begins to count anew"
    )


# -------------------------------------------------------------------- a closed world
def test_statements_and_nodes_are_those_of_the_tables() -> None:
    assert C.statements == RULES.kinds == {*STATEMENTS}
    assert {*STATEMENTS} - TEMPORARIES.kinds == {ForEachEvent}  # which is not done itself
    assert C.nodes == NODES.kinds


class Strange(Node):
    """A node that C does not know."""

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Unchanged."""
        return shape


def test_an_unknown_node_is_refused_by_name() -> None:
    with pytest.raises(
        NotMappable, match=r"^target c computes no Strange; use another target or engine$"
    ):
        rules(Strange())
    assert isinstance(
        rules(Linear(np.ones((1, 1), np.int8))).words(Linear(np.ones((1, 1), np.int8))), str
    )


@pytest.mark.parametrize(("most", "acts"), [(4_000, False), (30, True)])
def test_bounds_that_nothing_reaches_are_left_out(most: int, acts: bool, tmp_path: Path) -> None:
    bound = f"bound v -{most} {most} saturate"
    net, x = of_lines(
        f"leak v multiply 1 1 toward_zero; add v input 3; {bound}; fire fired v gt threshold 1"
    )
    code = C().plan(net, {}).files["lehr_model.c"].decode()
    assert (f"? {most} :" in code) == acts
    assert (f"; nothing goes beyond {bound}. */" in code) != acts
    require_equal(tmp_path / "out", net, x)


def test_a_register_that_nothing_but_its_bound_writes_stays_one(tmp_path: Path) -> None:
    net, x = of_lines(
        "leak v multiply 1 1 toward_zero; add v input 3; bound i -4 4 saturate; add v i 0; "
        "bound v -4000 4000 saturate; fire fired v gt threshold 1"
    )
    require_equal(tmp_path / "out", net, x)
