"""Every command on a trained network: its output, its files, its verdict and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from general import GENERAL, RUNNABLE
from states import integrating_network

from lehr import nirfile
from lehr.simulate import simulate
from lehr.targets import registry

VALUES = 6 * (6 * 3 * 3 + 8 * 2 * 2 + 10)
"""Steps times neurons of the tiny network."""


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom lehr.cli import app\ntry:\n    app.app(['--help'])\nexcept SystemExit:\n "
        "   pass\n"
        "print(sorted({'torch', 'numpy', 'nir', 'onnx', 'pydantic', 'rich'} & sys.modules.keys()), "
        "file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"
    assert "Exit codes: 0 fine" in ran.stdout


def test_train_writes_a_run_and_reports_accuracy(line: Path, lehr: Lehr) -> None:
    names = {path.name for path in (line / "run").iterdir()}
    assert names == {
        "checkpoint.safetensors",
        "last",
        "metrics.jsonl",
        "recipe.toml",
        "samples.npz",
        "state.json",
    }
    metrics = [json.loads(row) for row in (line / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [m["phase"] for m in metrics] == ["A", "A", "A", "B", "C"]


def test_training_again_gives_the_same_files(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    ran = lehr("train", line / "tiny.toml", "-o", tmp_path / "run", "--json")
    assert ran.code == 0
    assert "result" not in ran.facts  # nothing was compared
    files = [file for file in (line / "run").rglob("*") if file.is_file()]
    assert len(files) == 10
    for file in files:
        assert (
            file.read_bytes() == (tmp_path / "run" / file.relative_to(line / "run")).read_bytes()
        ), file.name


def test_several_seeds_report_mean_and_deviation(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    short = ("--set", "train.epochs=1", "--set", "data.train_samples=64")
    ran = lehr("train", line / "tiny.toml", "-o", tmp_path / "run", "--seeds", 2, *short, "--json")
    assert ran.code == 0, ran.err
    assert {path.name for path in tmp_path.iterdir()} == {"run-seed-5", "run-seed-6"}
    accuracies = [run_facts["accuracy"]["integer"] for run_facts in ran.facts["runs"]]
    assert accuracies == [
        json.loads((tmp_path / f"run-seed-{seed}" / "state.json").read_bytes())["accuracy"][
            "integer"
        ]
        for seed in (5, 6)
    ]
    summary = ran.facts["accuracy"]["integer"]
    assert summary["mean"] == pytest.approx(sum(accuracies) / 2)
    assert summary["deviation"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5)


def test_export_verifies_and_says_so(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    ran = lehr("export", line / "run", "-o", tmp_path / "m.nir")
    assert ran.code == 0
    assert f"0 of {VALUES * 64:,} spikes differ, 0 of {VALUES * 64:,} membranes differ" in ran.out
    assert ran.last == "PASS"
    assert (tmp_path / "m.nir").read_bytes() == (line / "model.nir").read_bytes()
    rates = lehr("export", line / "run", "-o", tmp_path / "m.nir", "--json").facts["rates"]
    assert all(0 < rate < 1 for rate in rates.values())


def test_simulated_accuracy_is_the_trained_one(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    ran = lehr(
        "simulate",
        line / "model.nir",
        "-i",
        line / "in.npz",
        "-o",
        tmp_path / "out.npz",
        "--trace",
        "all",
        "--json",
    )
    expected = json.loads((line / "run" / "state.json").read_bytes())["accuracy"]["integer"]
    assert ran.facts["accuracy"] == expected
    net, x = nirfile.read(line / "model.nir"), np.load(line / "in.npz")["input"]
    expected = simulate(net, x, trace=net.neurons)
    with np.load(tmp_path / "out.npz") as out:
        assert np.array_equal(out["counts"], expected.counts)
        assert np.array_equal(out["prediction"], expected.prediction)
        for name in net.neurons:
            assert np.array_equal(out[f"spikes.{name}"], expected.trace.spikes[name])
            assert np.array_equal(out[f"membrane.{name}"], expected.trace.membranes[name])
            assert out[f"spikes.{name}"].dtype == np.uint8
            assert out[f"membrane.{name}"].dtype == np.int32


@pytest.mark.few(1)
@pytest.mark.parametrize("engine", RUNNABLE)
def test_engines_give_the_same_file(line: Path, lehr: Lehr, tmp_path: Path, engine: str) -> None:
    few = tmp_path / "few.npz"
    assert (
        lehr(
            "recipes", "samples", line / "tiny.toml", "-o", few, "--set", "data.test_samples=12"
        ).code
        == 0
    )
    for name in ("reference", engine):
        ran = lehr(
            "simulate",
            line / "model.nir",
            "-i",
            few,
            "-o",
            tmp_path / name,
            "--trace",
            "all",
            "--engine",
            name,
        )
        assert ran.code == 0, ran.err
    assert (tmp_path / engine).read_bytes() == (tmp_path / "reference").read_bytes()


@pytest.mark.parametrize("light", [0, 1])
def test_a_build_tells_of_layers_that_its_golden_vectors_leave_silent(
    lehr: Lehr, tmp_path: Path, light: int
) -> None:
    net, x = integrating_network("membrane_last_argmax_lowest")
    lif = net.neurons["lif"]
    nirfile.write(
        replace(net, nodes={**net.nodes, "lif": replace(lif, bias=np.zeros_like(lif.bias))}),
        tmp_path / "model.nir",
    )
    np.savez(tmp_path / "in.npz", input=x * np.uint8(light))
    ran = lehr(
        "build",
        tmp_path / "model.nir",
        "--target",
        "c",
        "-o",
        tmp_path / "out",
        "-i",
        tmp_path / "in.npz",
    )
    assert ran.code == 0, ran.err
    # the output never fires, whatever it hears
    notes = [line for line in ran.out.splitlines() if line.startswith("note:")]
    silent = (
        f"note: on the inputs of {tmp_path / 'in.npz'}, lif never fires: nothing comes to it, as "
        "the input is silent, and its membranes reach 0 at most; the golden vectors say nothing of it"
    )
    assert notes == ([] if light else [silent])


@pytest.mark.few(2)
@pytest.mark.parametrize("target", RUNNABLE)
def test_build_and_verify(line: Path, lehr: Lehr, tmp_path: Path, target: str) -> None:
    out = tmp_path / "out"
    built = lehr(
        "build",
        line / "model.nir",
        "--target",
        target,
        "-o",
        out,
        "-i",
        line / "in.npz",
        "-n",
        5,
        "--archive",
        tmp_path / "x.zip",
    )
    assert built.code == 0, built.err
    assert {"manifest.json", "MODEL_CARD.md", "model.nir"} <= {p.name for p in out.iterdir()}
    ran = lehr("verify", out)
    assert ran.code == 0
    assert f"{target}, 5 samples: 0 of {VALUES * 5:,} membranes and 0 spikes differ" in ran.out
    assert ran.last == "PASS"
    assert lehr("verify", out, "-n", 2, "--json").facts["samples"] == 2
    again = tmp_path / "again"
    lehr(
        "build",
        line / "model.nir",
        "--target",
        target,
        "-o",
        again,
        "-i",
        line / "in.npz",
        "-n",
        5,
        "--archive",
        tmp_path / "y.zip",
    )
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "y.zip").read_bytes()
    # its own folder may be replaced
    assert lehr("build", line / "model.nir", "--target", target, "-o", out).code == 0


@pytest.mark.parametrize("target", GENERAL)
def test_check_lists_operators(line: Path, lehr: Lehr, target: str) -> None:
    ran = lehr("check", line / "model.nir", "--target", target, "--json")
    assert ran.code == 0
    assert {"operator": "Conv2d", "count": 2, "maps": True} in ran.facts["operators"]
    assert ran.facts["problems"] == []


def test_inspect_tells_every_node(line: Path, lehr: Lehr) -> None:
    ran = lehr("inspect", line / "model.nir")
    for word in ("conv1", "6x1x3x3", "multiply 3/2^2", "saturate", "6 steps"):
        assert word in ran.out
    facts = lehr("inspect", line / "model.nir", "--json").facts
    assert facts["network"] == nirfile.read(line / "model.nir").digest


def test_lists(lehr: Lehr, tmp_path: Path) -> None:
    assert {t["name"] for t in lehr("targets", "list", "--json").facts["targets"]} == {
        t.name for t in registry.targets()
    }
    assert lehr("targets", "show", "onnx", "--json").facts["arithmetics"]["fires"] == [
        "gt",
        "ge",
        "never",
    ]
    ran = lehr("targets", "ops", "--json")
    operators = ran.facts["operators"]
    assert "result" not in ran.facts  # nothing was checked
    assert operators["Conv2d"]["onnx"] is True
    assert operators["update event"]["onnx"] is False
    assert "digits" in {r["name"] for r in lehr("recipes", "list", "--json").facts["recipes"]}
    assert lehr("recipes", "copy", "digits", tmp_path / "mine.toml").code == 0
    assert lehr("train", tmp_path / "mine.toml", "--set", "nonsense=1").code == 2
    assert "torch" in lehr("doctor", "--json").facts["packages"]


def test_cli_file_works_uninstalled(tmp_path: Path) -> None:
    top = Path(__file__).parent.parent.parent
    ran = subprocess.run(
        [sys.executable, "-S", str(top / "cli.py"), "--version"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": _site()},
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("lehr ")


def _site() -> str:
    import typer

    return str(Path(typer.__file__).parent.parent)


@pytest.mark.parametrize("command", [(), ("simulate",), ("targets",), ("targets", "list")])
def test_help_has_a_short_name(lehr: Lehr, command: tuple[str, ...]) -> None:
    assert lehr(*command, "-h").out == lehr(*command, "--help").out
    assert "Usage:" in lehr(*command, "-h").out
