"""Programs in ONNX: every machine by step, parameters and delays by neuron, random programs.

The rest is refused by name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from machine_networks import machine_network, program_network
from random_programs import side_by_side
from strategies import Images, delayed_network

from lehr.machines import MACHINES
from lehr.network import Delay, Network
from lehr.simulate import compare, simulate
from lehr.targets.onnx import Onnx
from lehr.targets.onnx.graph import INT32, INT64
from lehr.targets.onnx.runner import OnnxRuntime
from lehr.targets.onnx.temporaries import RULES as TYPES
from lehr.targets.onnx.temporaries import types_of
from lehr.update_text import program_of_lines

TARGET = Onnx()
BY_STEP = [name for name, program in MACHINES.items() if program.loop is None]


def require_exact(net: Network, x: Images, folder: Path) -> None:
    """Assert that ONNX Runtime computes every spike and membrane of the reference.

    Spikes flow.
    """
    assert not TARGET.check(net)
    TARGET.plan(net, {}).with_manifest({}).write(folder)
    expected = simulate(net, x, trace=net.neurons)
    assert all(
        0 < expected.rates[name] < neuron.program.most_spikes
        for name, neuron in net.neurons.items()
    )
    compare(expected.trace, OnnxRuntime().run(folder, x)).require_equal("onnx")


@pytest.mark.few(18)
@pytest.mark.parametrize("per_neuron", [False, True])
@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("name", BY_STEP)
def test_machines_are_exact(name: str, spatial: bool, per_neuron: bool, tmp_path: Path) -> None:
    net, x = machine_network(name, spatial=spatial, per_neuron=per_neuron)
    require_exact(net, x, tmp_path / "built")


def test_a_changed_unit_of_a_parameter_is_noticed(tmp_path: Path) -> None:
    net, x = machine_network("loihi", spatial=True, per_neuron=True)
    hidden = net.neurons["hidden"]
    other = hidden.parameters["dv"].copy()
    other.flat[3] += 1
    changed = replace(
        net,
        nodes={
            **net.nodes,
            "hidden": replace(hidden, parameters={**hidden.parameters, "dv": other}),
        },
    )
    TARGET.plan(changed, {}).with_manifest({}).write(tmp_path / "built")
    got = OnnxRuntime().run(tmp_path / "built", x)
    assert not compare(simulate(net, x, trace=net.neurons).trace, got).equal
    compare(simulate(changed, x, trace=net.neurons).trace, got).require_equal("onnx")


@pytest.mark.parametrize("name", ["slow_spikes", "slow_current"])
def test_delays_by_neuron_are_exact(name: str, tmp_path: Path) -> None:
    net, x = delayed_network()
    steps = np.arange(1, 1 + net.shapes[name][0], dtype=np.int32) % 5 + 1
    require_exact(replace(net, nodes={**net.nodes, name: Delay(steps)}), x, tmp_path / "built")


@pytest.mark.parametrize("name", ["tinyodin", "dynapcnn_by_event"])
def test_loops_over_events_are_refused_by_name(name: str) -> None:
    net, _ = machine_network(name)
    assert str(TARGET.check(net)[0]) == (
        "hidden: its update is a program with ForEachEvent, which the machine does not compute; "
        "say it in fields of Arithmetic, or use a"
        " target that takes programs"
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_random_programs_are_exact(seed: int, tmp_path: Path) -> None:
    require_side_by_side(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 14))
def test_many_random_programs_are_exact(seed: int, tmp_path: Path) -> None:
    require_side_by_side(seed, tmp_path)


def require_side_by_side(seed: int, tmp_path: Path) -> None:
    """Assert that 24 random programs in one network are exact, each of which has spikes."""
    net, x = side_by_side(24, seed, TARGET)
    TARGET.plan(net, {}).with_manifest({}).write(tmp_path / "built")
    expected = simulate(net, x, trace=net.neurons).trace
    comparison = compare(expected, OnnxRuntime().run(tmp_path / "built", x))
    assert comparison.values > 5_000
    comparison.require_equal(f"seed {seed}")


@pytest.mark.parametrize(("line", "wide"), [
    ("bound v 0 2147483647 wrap", INT64),  # as many values as int32 has no number for
    ("bound v 0 1073741823 wrap", INT32),
    ("bound v -1073741823 99 saturate; fire now v gt 1073741824 1; subtract v 1073741824 0 times now", INT32),
    ("bound v -1073741824 99 saturate; fire now v gt 1073741824 1; subtract v 1073741824 0 times now", INT64),  # of all, and not used
])  # fmt: skip
def test_types_hold_what_operators_come_to(line: str, wide: int, tmp_path: Path) -> None:
    lines = [
        "add v input 4",
        *line.split("; "),
        "fire fired v gt threshold 1",
        "put v 0 when fired",
    ]
    net, x = program_network(program_of_lines(lines, "v"), 40)
    assert types_of(net.neurons["hidden"], 14)[0] == wide
    require_exact(net, x, tmp_path / "built")


def test_statements_have_types() -> None:
    assert TYPES.kinds == TARGET.statements
