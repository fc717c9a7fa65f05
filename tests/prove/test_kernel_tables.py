"""Kernels of several states, and by event, from their source: proven, and refuted if changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("z3")

from strategies import Builder

from lehr.arithmetic import Arithmetic, Synapse
from lehr.network import Input
from lehr.prove.engine import lanes, runs
from lehr.prove.engine.tables import prove
from lehr.prove.obligations import Obligation
from lehr.prove.subject import Subject
from lehr.simulate.fast.plans.layers import Update
from lehr.targets.conformance.machines import machine_network

SECONDS = 120.0
USUAL: dict[str, object] = {"decay_numerator": 7, "decay_shift": 3, "state_bits": 16}
BY_EVENT = USUAL | {"update": "event", "reset_timing": "same_step"}
SYNAPSE = Synapse(decay_numerator=3, decay_shift=2, state_bits=16)
CASES: dict[str, tuple[dict[str, object], Synapse | None]] = {
    "two states": (USUAL, SYNAPSE),
    "two states, 253/256 and 255/256": (
        {"decay_numerator": 253, "decay_shift": 8, "state_bits": 28, "fraction_bits": 12},
        Synapse(decay_numerator=255, decay_shift=8, state_bits=28, bias_to="synapse"),
    ),
    "two states, wraps": (
        USUAL | {"state_bits": 9, "fraction_bits": 4},
        Synapse(decay_numerator=13, decay_shift=4, state_bits=10, overflow="wrap"),
    ),
    "two states, saturates": (
        USUAL | {"state_bits": 8, "fraction_bits": 4},
        Synapse(decay_numerator=3, decay_shift=2, state_bits=10),
    ),
    "event": (BY_EVENT, None),
    "event, ge": (BY_EVENT | {"fires": "ge"}, None),
    "event, zero, floor, wraps": (
        BY_EVENT | {"reset": "zero", "rounding": "floor", "overflow": "wrap", "state_bits": 8},
        None,
    ),
    "event, 253/256, nearest": (
        BY_EVENT
        | {"decay_numerator": 253, "decay_shift": 8, "rounding": "nearest_even"}
        | {"fraction_bits": 4},
        None,
    ),
}


def proven(name: str) -> Obligation:
    """Return what is said of a layer of eight neurons on twelve spikes."""
    fields, synapse = CASES[name]
    net = Builder(Input((12,), "spikes"), np.random.default_rng(2))
    net.linear("fc", 8)
    net.neuron("lif", Arithmetic(**fields), synapse)  # type: ignore[arg-type]
    (obligation,) = prove(Subject(net.network(20)), SECONDS)
    return obligation


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_computes_the_update(name: str) -> None:
    obligation = proven(name)
    assert obligation.state == "proven", obligation
    assert obligation.fault


SLOW = pytest.mark.slow
MACHINES = (
    pytest.param("akida", marks=SLOW),
    "dynapcnn_by_event",
    pytest.param("hiaer", marks=SLOW),
    pytest.param("loihi", marks=SLOW),
    pytest.param("reckon", marks=SLOW),
    pytest.param("xylo", marks=SLOW),
)


@pytest.mark.parametrize("name", MACHINES)
def test_programs_of_machines_are_proven(name: str) -> None:
    said = list(prove(Subject(machine_network(name)[0]), SECONDS))
    assert len(said) == 2
    for each in said:
        assert each.state == "proven", each


def test_what_counts_more_spikes_than_are_followed_is_undecided_by_name() -> None:
    for each in prove(Subject(machine_network("dynapcnn")[0]), SECONDS):
        assert (each.state, each.queries) == ("undecided", 0)
        assert "it counts up to 255 spikes" in each.reason


@pytest.mark.parametrize(
    ("name", "file", "line", "changed"),
    [
        ("two states", "operations", "v = add(v, term)\n        elif op == SUB:",
         "v = sub(v, term)\n        elif op == SUB:"),
        ("two states", "operations", "part = add(part, shift_left(load_line(",
         "part = sub(part, shift_left(load_line("),
        ("two states, saturates", "operations", "select(greater(inside, high), high, inside)", "inside"),
        ("two states", "table", "_copy(r, membrane, traced,", "_copy(r, fired, traced,"),
        ("two states", "table", "unequal(spikes, 0))", "unequal(spikes, 1))"),
        ("two states, 253/256 and 255/256", "neurons", "(1 << p.places) - 1))",
         "(1 << p.places) - 2))"),
        ("two states, wraps", "operations", "high - low), low)", "high - low), high)"),
        ("event", "events", "if v[i] > layer[i]:", "if v[i] >= layer[i]:"),
        ("event", "events", "fired[:] = 0", "fired[:] = 1"),
        ("event, ge", "events", "v[i] -= layer[size + i]", "v[i] -= layer[i]"),
        ("event, zero, floor, wraps", "events", "lost += v[i] != free\n            for entry",
         "lost += v[i] == free\n            for entry"),
        ("event, 253/256, nearest", "events", "rest > half or", "rest >= half or"),
    ],
)  # fmt: skip
def test_a_change_of_its_source_is_refuted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, file: str, line: str, changed: str
) -> None:
    for each in lanes.KERNELS.glob("*.py"):
        text = each.read_text("utf-8")
        if each.stem == file:
            assert text.count(line) == 1
            text = text.replace(line, changed)
        (tmp_path / each.name).write_text(text)
    for module in (lanes, runs):
        monkeypatch.setattr(module, "KERNELS", tmp_path)
    obligation = proven(name)
    assert obligation.state == "refuted", obligation
    assert obligation.counterexample["layer"] == "lif"


def test_another_constant_of_the_planner_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Update.call

    def changed(self: Update, *given: int) -> object:
        self.constants[0, 3] += 1
        return call(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Update, "call", changed)
    assert proven("two states").state == "refuted"


def test_the_operations_of_a_row_by_event_are_those_of_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for each in lanes.KERNELS.glob("*.py"):
        text = each.read_text("utf-8")
        (tmp_path / each.name).write_text(
            text.replace("result = 1 if y > m", "result = 1 if y >= m")
        )
    for module in (lanes, runs):
        monkeypatch.setattr(module, "KERNELS", tmp_path)
    first, _ = prove(Subject(machine_network("dynapcnn_by_event")[0]), SECONDS)
    assert first.state == "refuted"
    assert {"v before the event", "input", "threshold"} <= first.counterexample.keys()
