"""The ONNX target's operators: proven, and refuted where the model was changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("z3")
pytest.importorskip("onnx")

import onnx
from strategies import Builder

import lehr
from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused, NotMappable
from lehr.network import Input
from lehr.prove.obligations import Obligation
from lehr.prove.onnx_graph import FILE, prove
from lehr.prove.subject import read_subject

SECONDS = 30.0
USUAL: dict[str, object] = {"decay_numerator": 7, "decay_shift": 3, "state_bits": 16}
CASES: dict[str, dict[str, object]] = {
    "usual": USUAL,
    "253/256, nearest": {"decay_numerator": 253, "decay_shift": 8, "rounding": "nearest_even"},
    "shift, floor, zero": USUAL
    | {"decay_form": "shift", "rounding": "floor", "reset": "zero", "fires": "ge"},
    "same step, wraps": USUAL
    | {"reset_timing": "same_step", "overflow": "wrap", "state_bits": 8, "fraction_bits": 4},
}


def built(folder: Path, fields: dict[str, object], synapse: Synapse | None = None) -> Path:
    net = Builder(Input((12,), "spikes"), np.random.default_rng(2))
    net.linear("fc", 8)
    net.neuron("lif", Arithmetic(**fields), synapse)  # type: ignore[arg-type]
    lehr.build(net.network(20), "onnx", folder)
    return folder


def proven(folder: Path) -> Obligation:
    (obligation,) = prove(read_subject(folder), SECONDS)
    return obligation


@pytest.mark.parametrize("name", CASES)
def test_the_operators_are_the_update(tmp_path: Path, name: str) -> None:
    obligation = proven(built(tmp_path / "out", CASES[name]))
    assert obligation.state == "proven", obligation
    assert obligation.fault


def test_two_states_are_the_update(tmp_path: Path) -> None:
    synapse = Synapse(decay_numerator=3, decay_shift=2, state_bits=16)
    assert proven(built(tmp_path / "out", USUAL, synapse)).state == "proven"


def test_no_layer_that_updates_by_event_is_left_out_of_a_proof(tmp_path: Path) -> None:
    fields = USUAL | {"update": "event", "reset_timing": "same_step"}
    with pytest.raises(NotMappable, match="lif: update is 'event', the machine has 'step'"):
        built(tmp_path / "out", fields)


@pytest.mark.parametrize(
    ("operator", "other"), [("Greater", "GreaterOrEqual"), ("Sub", "Add"), ("Add", "Sub")]
)
def test_a_model_with_another_operator_is_refuted(
    tmp_path: Path, operator: str, other: str
) -> None:
    folder = built(tmp_path / "out", USUAL)
    model = onnx.load(folder / FILE)
    (scan,) = (node for node in model.graph.node if node.op_type == "Scan")
    (body,) = (each.g for each in scan.attribute if each.name == "body")
    own = [n for n in body.node if n.name.startswith("lif/") and n.op_type == operator]
    own[-1].op_type = other
    onnx.save(model, folder / FILE)
    obligation = proven(folder)
    assert obligation.state == "refuted"
    assert {"v", "input", "threshold"} <= obligation.counterexample.keys()


def test_a_model_with_another_threshold_is_refuted(tmp_path: Path) -> None:
    folder = built(tmp_path / "out", USUAL)
    model = onnx.load(folder / FILE)
    (scan,) = (node for node in model.graph.node if node.op_type == "Scan")
    (body,) = (each.g for each in scan.attribute if each.name == "body")
    arrays = {each.name: each for each in body.initializer}
    (fire,) = (n for n in body.node if n.op_type == "Greater")
    held = onnx.numpy_helper.to_array(arrays[fire.input[1]]).copy()
    held.flat[3] += 1
    arrays[fire.input[1]].CopyFrom(onnx.numpy_helper.from_array(held, fire.input[1]))
    onnx.save(model, folder / FILE)
    assert proven(folder).state == "refuted"


def test_a_layer_that_does_not_hear_its_sums_is_refuted(tmp_path: Path) -> None:
    folder = built(tmp_path / "out", USUAL)
    model = onnx.load(folder / FILE)
    (scan,) = (node for node in model.graph.node if node.op_type == "Scan")
    (body,) = (each.g for each in scan.attribute if each.name == "body")
    own = [n for n in body.node if n.name.startswith("lif/")]
    inside = {x for n in own for x in n.output} | {x.name for x in body.initializer}
    inside |= {x.name for x in body.input}
    (hears,) = (n for n in own if any(x not in inside for x in n.input))
    first = next(n for n in own if n.op_type == "Cast").output[0]
    hears.input[:] = [x if x in inside else first for x in hears.input]
    onnx.save(model, folder / FILE)
    assert proven(folder).state == "refuted"


def test_an_operator_of_another_domain_is_refused(tmp_path: Path) -> None:
    folder = built(tmp_path / "out", USUAL)
    model = onnx.load(folder / FILE)
    (scan,) = (node for node in model.graph.node if node.op_type == "Scan")
    (body,) = (each.g for each in scan.attribute if each.name == "body")
    next(n for n in body.node if n.name.startswith("lif/")).domain = "mine"
    onnx.save(model, folder / FILE)
    with pytest.raises(FileRefused, match="is of another domain"):
        proven(folder)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    folder = built(tmp_path / "out", USUAL)
    (folder / FILE).write_bytes(b"\x00\x01")
    with pytest.raises(FileRefused, match=r"model.onnx .*; build the artefact again"):
        proven(folder)
