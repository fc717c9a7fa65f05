"""Updates that are programs, in C: every machine, random programs, delays of their own steps, and what is refused by name."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_code import make, require_equal, write
from machine_networks import machine_network, program_network
from random_programs import side_by_side

from lehr.errors import NotMappable
from lehr.intervals import intervals
from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Delay, Input, Linear, Network, Neuron
from lehr.nodes import Node
from lehr.simulate import simulate
from lehr.simulate.reference import Machine, Reached
from lehr.simulate.result import Recorder
from lehr.targets.c import C, load
from lehr.targets.c.layout import Layout
from lehr.targets.c.nodes import NODES, rules
from lehr.targets.c.printer import RULES
from lehr.targets.c.ranges import Ranges
from lehr.targets.c.runner import CRunner
from lehr.targets.c.updates import ranges
from lehr.update import STATEMENTS
from lehr.update_text import program_of_lines

MISSING = CRunner().missing()
needs_compiler = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def sanitized(folder: Path, net: Network, x: Any) -> None:
    """Replay golden vectors under the sanitizers, where the compiler has them."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not on this machine")
    status, lines = make(write(folder, net, x), "CC=gcc", "sanitize")
    assert (status, lines[-1]) == (0, "PASS"), lines


def of(lines: str, threshold: int = 20) -> tuple[Network, Any]:
    """Two layers with the update that lines separated by ';' say."""
    return program_network(program_of_lines([line.strip() for line in lines.split(";")], "v"), threshold)


# -------------------------------------------------------------------- the same numbers
@needs_compiler
@pytest.mark.parametrize("name", MACHINES)
def test_machines(name: str, tmp_path: Path) -> None:
    require_equal(tmp_path / "out", *machine_network(name, spatial=True, per_neuron=True))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("per_neuron", [False, True])
@pytest.mark.parametrize("spatial", [False, True])
def test_machines_without_undefined_behaviour(spatial: bool, per_neuron: bool, tmp_path: Path) -> None:
    for name in MACHINES:
        sanitized(tmp_path / name, *machine_network(name, spatial=spatial, per_neuron=per_neuron))


@needs_compiler
@pytest.mark.parametrize(("count", "seed"), [(12, 1), *(pytest.param(40, seed, marks=pytest.mark.slow) for seed in range(2, 7))])
def test_random_programs_without_undefined_behaviour(count: int, seed: int, tmp_path: Path) -> None:
    net, x = side_by_side(count, seed, C())
    assert {type(s) for neuron in net.neurons.values() for s in neuron.program.all} == {*STATEMENTS}
    assert count < 40 or {update.bits for update in Layout(net).updates} == {32, 64}
    sanitized(tmp_path / "out", net, x)


SPELLED = """leak i multiply decay shift nearest_even; add i input 2; subtract i leak 1; bound i floor 400 saturate; leak v dash 0 2; add v i 0;
leak w linear 2 0; add w 7 1 times fired; bound w -9 60 saturate; subtract v w 0; bound v -64 63 wrap; leak u shift 7 3 floor; add u input 3; fire fired v ge 9 5;
subtract v 9 0 times fired; fire now u gt threshold 1; subtract u threshold 0 times now; bound u -90 90 saturate; put w 0 when i; add v u 0;
bound v -64 63 wrap"""


@needs_compiler
@pytest.mark.parametrize(
    ("printed", "mutant"),
    [
        (r"r\.fired = r\.v >= 9", "r.fired = r.v > 9"),
        (r"r\.v / 9 : 0", "(r.v - 1) / 9 : 0"),
        (r"r\.fired > 5 \? 5 : r\.fired", "r.fired > 4 ? 4 : r.fired"),
        (r"r\.v -= 9 \* r\.fired;", "r.v = r.fired != 0 ? 0 : r.v;"),
        *(
            pytest.param(*mutant, marks=pytest.mark.slow)
            for mutant in (
                (r"r\.i = r\.i < floor .*", ""),
                (r"r\.i < floor \? floor", "r.i < floor + 1 ? floor + 1"),
                (r"r\.now = r\.u > threshold", "r.now = r.u >= threshold"),
                (r"r\.u -= threshold;", "r.u = 0;"),
                (r"r\.u -= divide_floor_32\(r\.u, 3\)", "r.u -= r.u / 8"),
                (r"r\.v = \(int32_t\)\(\(.*", ""),
                (r"divide_nearest_even_32\(r\.i", "divide_floor_32(r.i"),
                (r"rest == unit && ", "rest == unit && 0 * "),
                (r"-1 - \(\(-1 - a\) >> n\)", "-(-a >> n)"),
                (r"lost != 0 \? lost : a > 0", "lost"),
                (r"r\.w > 2 \? r\.w - 2 : r\.w < -2 \? r\.w \+ 2 : 0", "r.w - 2"),
                (r"input \* 4", "input * 2"),
                (r"if \(r\.i != 0\)", "if (r.i > 0)"),
                (r"leak \* 2", "leak"),
            )
        ),
    ],
)
def test_a_printer_that_is_nearly_right_is_noticed(printed: str, mutant: str, tmp_path: Path) -> None:
    net, x = of(SPELLED)
    folder = write(tmp_path / "out", net, x)
    model = folder / "lehr_model.c"
    text, count = re.subn(printed, mutant, model.read_text(), count=1)
    assert count == 1, printed
    model.write_text(text)
    assert "FAIL" in make(folder, "STRICT=-std=c99", "check")[1]


@needs_compiler
def test_what_the_mutants_are_made_of_is_equal(tmp_path: Path) -> None:
    require_equal(tmp_path / "out", *of(SPELLED))


# -------------------------------------------------------------------- delays
def delayed(by: str) -> tuple[Network, Any]:
    """Spikes and sums of six channels of 2 x 3 held back by steps by channel or by neuron."""
    rng = np.random.default_rng(3)
    net, _ = machine_network("reckon", spatial=True)
    shape = {"channel": (4,), "neuron": (4, 4, 4)}[by]
    steps = rng.integers(1, 5, shape, dtype=np.int32)
    nodes = dict(net.nodes)
    nodes |= {"slow": Delay(steps), "sums": Delay(rng.integers(1, 4, (10,) if by == "neuron" else shape, dtype=np.int32))}
    nodes.pop("sums")
    names = ["first", "hidden", "slow", "flat", "second", "late", "out"]
    nodes["late"] = Delay(rng.integers(1, 4, 5, dtype=np.int32))
    made = Network({name: nodes[name] for name in names}, tuple(pairwise((INPUT, *names, OUTPUT))), net.input, net.steps)
    return made, (rng.random((4, net.steps, *net.input.shape)) < 0.4).astype(np.uint8)


@needs_compiler
@pytest.mark.parametrize("by", ["channel", "neuron"])
def test_delays_of_their_own_steps(by: str, tmp_path: Path) -> None:
    net, x = delayed(by)
    require_equal(tmp_path / "out", net, x)
    steps: Any = net.nodes["slow"].steps  # type: ignore[attr-defined]
    line = next(field for field in Layout(net).memory.fields if field.name == "line_slow")
    assert line.dims == (int(np.broadcast_to(steps.reshape(4, -1), (4, 16)).sum() if by == "channel" else steps.sum()),)
    other = steps.copy()
    other.flat[np.argmax(steps)] -= 1
    changed = replace(net, nodes={**net.nodes, "slow": Delay(other)})
    one, two = (simulate(n, x, trace=["out"]).trace.spikes["out"] for n in (net, changed))
    assert not np.array_equal(one, two), "a change of one step changes nothing"


@needs_compiler
def test_rings_of_a_reset_network_are_empty() -> None:
    net, x = delayed("neuron")
    model, expected = load(net), simulate(net, x, trace=["out"])
    for _ in range(2):  # the second run begins with a reset in the middle of every ring
        assert np.array_equal(model.run(x, trace=["out"]).trace.membranes["out"], expected.trace.membranes["out"])


# -------------------------------------------------------------------- functions, names and types
def functions(net: Network) -> list[str]:
    """The functions of updates, as they are written."""
    return re.findall(r"^static inline registers_\d+ (\w+)", C().plan(net, {}).files["lehr_model.c"].decode(), re.MULTILINE)


def test_equal_programs_share_a_function_and_keep_their_types() -> None:
    net, _ = machine_network("refractory")
    assert functions(net) == ["update_1"]
    far = replace(net.neurons["out"], threshold=np.full(5, 2**31 - 1, np.int32))
    layout = Layout(replace(net, nodes={**net.nodes, "out": far}))
    assert [update.bits for update in layout.updates] == [32]  # a threshold that is only compared with fits
    assert layout.layers["hidden"].types == {"fired": "uint8_t", "v": "int16_t", "r": "int8_t"}
    subtracting, _ = of("add v input 0; subtract v threshold 0 times fired; bound v -9 9 saturate; fire fired v gt threshold 1")
    far = replace(subtracting.neurons["out"], threshold=np.full(5, 2**31 - 1, np.int32))
    both = replace(subtracting, nodes={**subtracting.nodes, "out": far})
    assert functions(both) == ["update_1", "update_2"]
    assert [update.wide for update in Layout(both).updates] == ["int32_t", "int64_t"]


def test_parts_of_a_loop() -> None:
    assert functions(machine_network("tinyodin")[0]) == ["update_1_begin", "update_1_event", "update_1_end"]
    assert functions(machine_network("dynapcnn_by_event")[0]) == ["update_1_begin", "update_1_event"]


@needs_compiler
def test_work_registers_live_from_part_to_part_and_no_longer(tmp_path: Path) -> None:
    """`seen` counts events from 0 in every step; `was` is what it was before an event; `sum` lives on."""
    net, x = of(
        """add v bias 0; put fired 0; add sum 2 0; put seen 0; for each event; put was seen; add seen 1 0; bound seen 0 99 saturate; add v input 2; add v was 0;
        bound v -200 200 saturate; fire now v gt threshold 1; put v 0 when now; add fired now 0; end; add v seen 0; add v sum 0;
        subtract v was 0; bound v -200 200 saturate; bound sum 0 5 saturate"""
    )
    assert Layout(net).layers["hidden"].types.keys() == {"fired", "v", "sum", "seen", "was"}
    assert net.neurons["hidden"].program.states == ("v", "sum", "was")
    sanitized(tmp_path / "out", net, x)


@needs_compiler
def test_names_that_mean_something_in_c_are_written_otherwise(tmp_path: Path) -> None:
    net, x = of(
        """add int input 3; add int_ int 0; bound int 0 90 saturate; bound int_ -300 300 saturate; put r int_; add r 1 1; put v r;
        leak v shift 7 3 nearest_even; put size_t v; put divide_nearest_even_32 size_t; put linux divide_nearest_even_32; put v linux;
        bound v -2147483648 2147483647 saturate; fire fired v gt threshold 1; put int 0 when fired; put int_ 0 when fired"""
    )
    require_equal(tmp_path / "out", net, x)


def test_members_and_tables_have_names_of_their_own() -> None:
    """Register `a_b` of layer `c`, and `a` of `b_c`; the same of parameters."""
    lines = "add {} input 0; bound {} low high saturate; put v {}; fire fired v gt 2 1"
    net, _ = of("add v input 0; fire fired v gt 2 1; put v 0")
    zero = np.zeros(5, np.int32)

    def neuron(register: str, parameter: str) -> Neuron:
        text = lines.replace("low", "-9").replace("high", parameter).format(register, register, register)
        program = program_of_lines(text.split("; "), "v")
        return Neuron(zero, zero, program, parameters={parameter: np.array([1, 2, 3, 4, 5], np.int32)})

    nodes: dict[str, Any] = {"fc": net.nodes["second"], "c": neuron("a_b", "p_b"), "b_c": neuron("a", "p")}
    edges = ((INPUT, "fc"), ("fc", "c"), ("fc", "b_c"), ("c", OUTPUT))
    layout = Layout(Network(nodes, edges, Input((10,), "spikes"), 4))
    members = [field.name for field in layout.memory.fields]
    assert {"state_a_b_c", "state_a_b_c_2"} < {*members}
    assert len({*members}) == len(members)
    assert {*layout.parameters["c"].values()} | {*layout.parameters["b_c"].values()} == {"parameter_p_b_c", "parameter_p_b_c_2"}


# -------------------------------------------------------------------- bounds
@pytest.mark.parametrize(
    ("lines", "bounds"),
    [
        ("add v input 2; bound v -100 50 saturate; fire fired v gt t 1; subtract v t 0 times fired", (-100, 50)),
        ("add v input 2; bound v -100 50 saturate; fire fired v gt t 1; subtract v t 1 times fired", (-116, 50)),
        ("add v input 2; bound v -100 50 saturate; fire fired v ge t 9; bound v 0 5 saturate; subtract v t 0 times fired", (-72, 5)),
        ("add v input 2; bound v 1 50 saturate; fire fired v ge t 9; subtract v t 0 times fired", (0, 50)),
        ("put v 3 when fired; leak v linear 1 0; fire fired v gt t 1", (0, 2)),
        ("leak v multiply 3 2 floor; add v input 0", (-16, 14)),
        ("leak v shift 3 2 toward_zero; add v input 0", (-16, 15)),
        ("leak v dash 0 2; add v input 0; bound v -7 1000 saturate", (-7, 15)),
        ("add v input 0; bound v 3 10 wrap; fire fired v gt t 1", (0, 10)),
        ("add v input 8; bound v -2147483648 2147483647 wrap", (-(2**31), 2**31 - 1)),
        ("put v 0; for each event; add v input 0; bound v -20 20 saturate; fire now v gt t 1; subtract v t 0 times now; end", (-32, 31)),
    ],
)
def test_bounds_of_updates(lines: str, bounds: tuple[int, int]) -> None:
    """Inputs of -4 to 3 and thresholds `t` of 2 to 8; by hand, where what keeps growing goes to the ends of wider integers."""
    found = Ranges(program_of_lines(lines.split("; "), "v"), {"input": (-4, 3), "t": (2, 8)})
    assert found.kept["v"] == bounds


def test_nothing_leaves_its_bounds() -> None:
    """What the definition reaches in 24 random programs, before every Bound and after every step."""
    net, x = side_by_side(24, 9, C())
    reached: Reached = {}
    Machine(net, len(x), reached).run(x, False, net.steps, Recorder(net, len(x), net.steps, net.neurons))
    trace, layout, tight = simulate(net, x, trace=net.neurons).trace, Layout(net), 0
    known = intervals(net)
    for name in net.neurons:
        found = ranges(net, name, known)
        for register, (low, high) in reached[name].items():
            assert found.reached[register][0] <= low <= high <= found.reached[register][1], (name, register)
        low, high = found.kept["v"]
        assert low <= trace.membranes[name].min() <= trace.membranes[name].max() <= high
        tight += high - low <= 4 * (int(trace.membranes[name].max()) - int(trace.membranes[name].min()))
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
            "hidden: its membrane v reaches 3,602,972,672, more than the 32 bits in which it is read; bound v in its update",
        ),
        (
            "for each event; add v input 0; bound v -9 9 saturate; fire now v gt threshold 1; put v 0 when now; add fired now 0; end; "
            "add v fired 0; bound v -9 9 saturate; put fired 0",
            "hidden: its update reads fired where it may be above 255, and then begins to count anew; count in another register",
        ),
    ],
)
def test_updates_that_do_not_map(lines: str, message: str) -> None:
    net, _ = of(lines, threshold=40_000)
    assert str(C().check(net)[0]) == message
    with pytest.raises(NotMappable, match=re.escape(message)):
        C().require_mappable(net)


def test_a_count_that_the_definition_refuses_may_be_read() -> None:
    """Where nothing forgets it within the step, the definition refuses more than 255 spikes."""
    once = "add v input 0; bound v -9 9 saturate; put v 0 when fired; fire now v gt threshold 1; add fired now 0"
    assert C().check(of(f"put fired 0; for each event; {once}; end")[0]) == ()
    assert C().check(of(f"put fired 0; for each event; put fired 0; {once}; end")[0]) == ()
    (problem, _) = C().check(of(f"for each event; {once}; put v 1 when fired; end; put fired 0")[0])
    assert problem.reason == "its update reads fired where it may be above 255, and then begins to count anew"


# -------------------------------------------------------------------- a closed world
def test_statements_and_nodes_are_those_of_the_tables() -> None:
    assert C.statements == RULES.kinds == {*STATEMENTS}
    assert C.nodes == NODES.kinds


class Strange(Node):
    """A node that C does not know."""

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Unchanged."""
        return shape


def test_an_unknown_node_is_refused_by_name() -> None:
    with pytest.raises(NotMappable, match=r"^target c computes no Strange; use another target or engine$"):
        rules(Strange())
    assert isinstance(rules(Linear(np.ones((1, 1), np.int8))).words(Linear(np.ones((1, 1), np.int8))), str)
