"""The demo, with a smaller recipe: every station in its table, everything in its folder.

One unit of difference gives exit code 4.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr

from lehr import nirfile
from lehr.artifact import BuildPlan
from lehr.cli import demo
from lehr.network import Network, Neuron
from lehr.targets import registry
from lehr.targets.contract import Options
from lehr.targets.onnx import Onnx

RUNNABLE = [
    title
    for name, title in demo.TARGETS.items()
    if (runner := registry.get(name).runner()) is not None and runner.missing() is None
]


@pytest.fixture
def small(line: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo train the tiny recipe."""
    monkeypatch.setattr(demo, "RECIPE", str(line / "tiny.toml"))
    monkeypatch.setattr(demo, "BASELINE", ("train.epochs=1",))


@pytest.mark.usefixtures("small")
def test_every_station_and_every_file(lehr: Lehr, tmp_path: Path) -> None:
    ran = lehr("demo", "-o", tmp_path / "demo")
    assert ran.code == 0, ran.err
    assert ran.last == "PASS"
    for station in ("float weights", "annealed and binarized", "integer", "reference simulator"):
        assert station in ran.out
    assert ran.out.count("0 of 46,080 membranes differ, 0 spikes") == 1 + len(RUNNABLE)
    facts = json.loads((tmp_path / "demo" / "summary.json").read_bytes())
    assert set(facts["accuracy"]) == {
        "float weights",
        "annealed and binarized",
        "integer",
        "reference simulator",
        *RUNNABLE,
    }
    assert len({facts["accuracy"][s] for s in ("integer", "reference simulator", *RUNNABLE)}) == 1
    assert all(0 < rate < 1 for rate in facts["spike_rates"].values())
    for name in (
        "run/state.json",
        "model.nir",
        "in.npz",
        "out.npz",
        "onnx/manifest.json",
        "c/manifest.json",
        "c/golden/golden.json",
    ):
        assert (tmp_path / "demo" / name).is_file(), name
    assert (
        lehr(
            "simulate",
            tmp_path / "demo" / "model.nir",
            "-i",
            tmp_path / "demo" / "in.npz",
            "--json",
        ).facts["accuracy"]
        == facts["accuracy"]["integer"]
    )
    for title, name in ((title, name) for name, title in demo.TARGETS.items() if title in RUNNABLE):
        assert lehr("verify", tmp_path / "demo" / name).code == 0, title
    assert lehr("demo", "-o", tmp_path / "demo").code == 0  # its own folder may be replaced


@pytest.mark.usefixtures("small")
def test_one_unit_of_difference_ends_in_exit_code_4(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Onnx.plan

    def wrong(self: Onnx, net: Network, options: Options) -> BuildPlan:
        neuron = net.neurons["lif1"]
        raised = Neuron(neuron.threshold + np.int32(1), neuron.bias, neuron.fields)
        return right(self, replace(net, nodes={**net.nodes, "lif1": raised}), options)

    monkeypatch.setattr(Onnx, "plan", wrong)
    ran = lehr("demo", "-o", tmp_path / "demo")
    assert ran.code == 4
    assert ran.last == "FAIL"
    assert "ONNX Runtime: first difference: lif1: " in ran.out
    assert nirfile.read(tmp_path / "demo" / "model.nir")  # what there is to look at stays


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_without_a_compiler_c_is_skipped_by_name(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    ran = lehr("demo", "-o", tmp_path / "demo", "--json")
    assert ran.code == 0
    assert "install" in ran.facts["skipped"]["C"]
    assert "C" not in ran.facts["accuracy"]
    assert (tmp_path / "demo" / "c" / "lehr_model.c").is_file()
