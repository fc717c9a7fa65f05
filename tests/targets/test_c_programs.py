"""C equals the reference on programs: every machine, random ones, delays of their own steps.

Printers that are nearly right are noticed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_code import make, of_lines, require_equal, sanitized, write
from machine_networks import machine_network
from random_programs import side_by_side

from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Delay, Network
from lehr.simulate import compare, simulate
from lehr.targets.c import C, load
from lehr.targets.c.layout import Layout
from lehr.targets.c.runner import CRunner
from lehr.update import STATEMENTS

MISSING = CRunner().missing()
needs_compiler = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.mark.few(1)
# -------------------------------------------------------------------- the same numbers
@needs_compiler
@pytest.mark.parametrize("name", MACHINES)
def test_machines(name: str, tmp_path: Path) -> None:
    require_equal(tmp_path / "out", *machine_network(name, spatial=True, per_neuron=True))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("per_neuron", [False, True])
@pytest.mark.parametrize("spatial", [False, True])
def test_machines_without_undefined_behaviour(
    spatial: bool, per_neuron: bool, tmp_path: Path
) -> None:
    for name in MACHINES:
        sanitized(tmp_path / name, *machine_network(name, spatial=spatial, per_neuron=per_neuron))


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(
    ("count", "seed"),
    [(12, 1), *(pytest.param(40, seed, marks=pytest.mark.slow) for seed in range(2, 7))],
)
def test_random_programs_without_undefined_behaviour(count: int, seed: int, tmp_path: Path) -> None:
    net, x = side_by_side(count, seed, C())
    assert {type(s) for neuron in net.neurons.values() for s in neuron.program.all} == {*STATEMENTS}
    assert count < 40 or {update.bits for update in Layout(net).updates} == {32, 64}
    sanitized(tmp_path / "out", net, x)


@needs_compiler
@pytest.mark.parametrize("parameter", ["bias", "dash_mem", "threshold"])
def test_one_unit_of_one_neuron_is_seen(parameter: str) -> None:
    """Change the first neuron of a map in which the reference sees it."""
    net, x = machine_network("xylo", spatial=True, per_neuron=True)
    expected, neuron = simulate(net, x, trace=net.neurons).trace, net.neurons["hidden"]
    assert parameter in neuron.per_neuron

    def changed(place: int) -> Network:
        value = neuron.values[parameter] + np.eye(64, dtype=np.int32)[place].reshape(4, 4, 4)
        fields = (
            {parameter: value}
            if parameter in ("bias", "threshold")
            else {"parameters": {**neuron.parameters, parameter: value}}
        )
        other: Any = replace(neuron, **fields)
        return replace(net, nodes={**net.nodes, "hidden": other})

    one, seen = next(
        (other, trace)
        for other in map(changed, range(64))
        if not compare(expected, trace := simulate(other, x, trace=net.neurons).trace).equal
    )
    got = load(one).run(x, trace=net.neurons).trace
    assert compare(seen, got).equal
    assert not compare(expected, got).equal


SPELLED = """leak i multiply decay shift nearest_even; add i input 2; subtract i leak 1; bound i floor 400 saturate; leak v dash 0 2; add v i 0;
leak w linear 2 0; add w 7 1 times fired; bound w -9 60 saturate; subtract v w 0; bound v -64 63 wrap; leak u shift 7 3 floor; add u input 3; fire fired v ge 9 5;
subtract v 9 0 times fired; fire now u gt threshold 1; subtract u threshold 0 times now; bound u -90 90 saturate; put w 0 when i; add v u 0;
bound v -64 63 wrap"""


@pytest.mark.few(2)
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
def test_a_printer_that_is_nearly_right_is_noticed(
    printed: str, mutant: str, tmp_path: Path
) -> None:
    net, x = of_lines(SPELLED)
    folder = write(tmp_path / "out", net, x)
    model = folder / "lehr_model.c"
    text, count = re.subn(printed, mutant, model.read_text(), count=1)
    assert count == 1, printed
    model.write_text(text)
    assert "FAIL" in make(folder, "STRICT=-std=c99", "check")[1]


@needs_compiler
def test_what_the_mutants_are_made_of_is_equal(tmp_path: Path) -> None:
    require_equal(tmp_path / "out", *of_lines(SPELLED))


# -------------------------------------------------------------------- delays
def delayed(by: str) -> tuple[Network, Any]:
    """Return spikes of four channels of 4 x 4 held back by steps by channel or by neuron.

    Sums of five neurons are held back each by their own.
    """
    rng = np.random.default_rng(3)
    net, x = machine_network("reckon", spatial=True)
    steps = rng.integers(1, 5, {"channel": (4,), "neuron": (4, 4, 4)}[by], dtype=np.int32)
    nodes = {
        **net.nodes,
        "slow": Delay(steps),
        "late": Delay(rng.integers(1, 4, 5, dtype=np.int32)),
    }
    names = ["first", "hidden", "slow", "flat", "second", "late", "out"]
    return Network(
        {name: nodes[name] for name in names},
        tuple(pairwise((INPUT, *names, OUTPUT))),
        net.input,
        net.steps,
    ), x


@pytest.mark.few(1)
@needs_compiler
@pytest.mark.parametrize("by", ["channel", "neuron"])
def test_delays_of_their_own_steps(by: str, tmp_path: Path) -> None:
    net, x = delayed(by)
    require_equal(tmp_path / "out", net, x)
    steps: Any = net.nodes["slow"].steps  # type: ignore[attr-defined]
    line = next(field for field in Layout(net).memory.fields if field.name == "line_slow")
    assert line.dims == (
        int(
            np.broadcast_to(steps.reshape(4, -1), (4, 16)).sum() if by == "channel" else steps.sum()
        ),
    )
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
        assert np.array_equal(
            model.run(x, trace=["out"]).trace.membranes["out"], expected.trace.membranes["out"]
        )


@needs_compiler
def test_a_decay_to_nothing_by_places_of_each_neuron(tmp_path: Path) -> None:
    lines = "put u v; leak v multiply 0 shift floor; add v input 4; add v u 0; bound v -99 99 saturate; fire fired v gt threshold 1"
    sanitized(tmp_path / "out", *of_lines(f"{lines}; put v 0 when fired"))
