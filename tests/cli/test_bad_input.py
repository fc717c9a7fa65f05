"""Bad input: one sentence with the thing, the value and the way out, and the right exit code.

Nothing is left half-written.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import Lehr, Ran

from lehr.targets import registry
from lehr.targets.c.runner import CRunner


def _refused(ran: Ran, code: int, message: str) -> None:
    assert ran.code == code, (ran.out, ran.err)
    assert message in ran.err
    assert ran.err.startswith("error: ")
    assert len(ran.err.strip().splitlines()) == 1, ran.err
    assert "Traceback" not in ran.out + ran.err
    assert ran.last == "FAIL"


@pytest.fixture
def model(line: Path, tmp_path: Path) -> Path:
    """Return a copy of the model that may be damaged."""
    return Path(shutil.copy(line / "model.nir", tmp_path / "damaged.nir"))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return a folder in which nothing may be left."""
    empty = tmp_path / "empty"
    empty.mkdir()
    return empty


def test_recipe_with_an_unknown_key(line: Path, lehr: Lehr, empty: Path) -> None:
    recipe = empty.parent / "r.toml"
    recipe.write_text(
        (line / "tiny.toml").read_text().replace("[train]", "[train]\nlearning_rate = 0.1")
    )
    ran = lehr("train", recipe, "-o", empty / "run")
    _refused(
        ran,
        2,
        "r.toml: unknown key 'train.learning_rate' (value 0.1); remove it or correct its spelling",
    )
    assert not any(empty.iterdir())


def test_missing_data_folder(lehr: Lehr, line: Path, empty: Path) -> None:
    ran = lehr(
        "train",
        line / "tiny.toml",
        "--set",
        "data.name=mnist",
        "--data",
        empty / "nowhere",
        "-o",
        empty / "run",
    )
    _refused(
        ran,
        2,
        "nowhere does not exist; give the folder that holds the mnist files with --data DIR, or in LEHR_DATA",
    )
    assert not any(empty.iterdir())


def test_truncated_gzip(lehr: Lehr, line: Path, empty: Path, tmp_path: Path) -> None:
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0")
    ran = lehr(
        "train",
        line / "tiny.toml",
        "--set",
        "data.name=mnist",
        "--data",
        tmp_path,
        "-o",
        empty / "run",
    )
    _refused(ran, 5, "train-images-idx3-ubyte.gz is not a whole gzip file")
    assert not any(empty.iterdir())


def _edit(model: Path, node: str, field: str, value: object) -> None:
    with h5py.File(model, "r+") as file:
        path = f"node/nodes/{node}/{field}"
        del file[path]
        if value is not None:
            file[path] = value


def test_nir_without_fixed_point_block(model: Path, lehr: Lehr, line: Path, empty: Path) -> None:
    with h5py.File(model, "r+") as file:
        del file["node/metadata"]
    ran = lehr("simulate", model, "-i", line / "in.npz", "-o", empty / "out.npz")
    _refused(
        ran, 5, "holds a float graph, no integer network: it has no fixed_point block anywhere"
    )
    assert not any(empty.iterdir())


def test_nir_with_weights_that_are_not_binary(
    model: Path, lehr: Lehr, line: Path, empty: Path
) -> None:
    _edit(model, "conv1", "weight", np.full((6, 1, 3, 3), 3, np.int8))
    ran = lehr("build", model, "--target", "c", "-o", empty / "out")
    _refused(ran, 5, "conv1: ")
    assert "holds 3" in ran.err
    assert not any(empty.iterdir())


def test_nir_with_threshold_zero(model: Path, lehr: Lehr, empty: Path) -> None:
    _edit(model, "lif3", "v_threshold", np.zeros(10, np.int32))
    ran = lehr("inspect", model)
    _refused(ran, 5, "lif3: ")
    assert "threshold" in ran.err


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((2, 1, 9, 8), np.uint8),
            "input has shape [2, 1, 9, 8], the network takes uint8 [N, 1, 8, 8] or [N, T, 1, 8, "
            "8]; reshape it",
        ),
        (
            np.zeros((2, 64), np.uint8),
            "input has shape [2, 64], the network takes uint8 [N, 1, 8, 8] or [N, T, 1, 8, 8]; "
            "reshape it",
        ),
        (
            np.zeros((2, 1, 8, 8), np.float32),
            "input is float32 [2, 1, 8, 8]; save it as uint8 with the samples on the first axis",
        ),
        (
            np.zeros((0, 1, 8, 8), np.uint8),
            "input has shape [0, 1, 8, 8], which holds no sample or no step; give at least one",
        ),
    ],
)
def test_input_of_the_wrong_shape(
    lehr: Lehr,
    line: Path,
    empty: Path,
    tmp_path: Path,
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    message: str,
) -> None:
    np.savez(tmp_path / "x.npz", input=array)
    ran = lehr("simulate", line / "model.nir", "-i", tmp_path / "x.npz", "-o", empty / "out.npz")
    _refused(ran, 5, message)
    assert not any(empty.iterdir())


def test_input_that_is_no_npz(lehr: Lehr, line: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK\x03\x04 nothing")
    _refused(
        lehr("simulate", line / "model.nir", "-i", path),
        5,
        "x.npz is not a whole .npz file (BadZipFile); write it with numpy.savez",
    )
    np.savez(path, data=np.zeros(3))
    _refused(
        lehr("simulate", line / "model.nir", "-i", path),
        5,
        "x.npz has no array 'input', but data; save it as numpy.savez(path, input=..., labels=...)",
    )
    np.savez(path, input=np.zeros((2, 1, 8, 8), np.uint8), labels=np.zeros(3, np.int64))
    _refused(
        lehr("simulate", line / "model.nir", "-i", path),
        5,
        "labels are int64 [3] for 2 samples; give one integer per sample",
    )
    _refused(
        lehr("simulate", line / "model.nir", "-i", tmp_path / "no.npz"),
        2,
        "no.npz does not exist; give an .npz file with an array 'input'",
    )


@pytest.mark.slow
def test_names_that_do_not_exist(lehr: Lehr, line: Path, empty: Path) -> None:
    known = ", ".join(t.name for t in registry.targets())
    _refused(
        lehr("check", line / "model.nir", "--target", "brain"),
        2,
        f"no target is called 'brain'; use one of {known}",
    )
    ran = lehr("simulate", line / "model.nir", "-i", line / "in.npz", "--trace", "lif9")
    _refused(
        ran, 2, "'lif9' is no neuron layer; did you mean 'lif3'? trace one of lif1, lif2, lif3"
    )
    _refused(
        lehr(
            "build", line / "model.nir", "--target", "c", "-o", empty / "o", "--option", "lanes=4"
        ),
        2,
        "target c has no option 'lanes'; it has ",
    )
    _refused(
        lehr("export", empty, "-o", empty / "m.nir"),
        2,
        "holds no state.json; give a folder that 'lehr train' made",
    )
    _refused(
        lehr("verify", empty), 2, "holds no manifest.json; give a folder that 'lehr build' made"
    )
    _refused(
        lehr("train", line / "tiny.toml", "-o", empty / "no" / "run"),
        2,
        "is not a folder; make it first or choose another output folder",
    )
    assert not any(empty.iterdir())


def test_what_does_not_map_names_every_node(lehr: Lehr, tmp_path: Path, line: Path) -> None:
    from dataclasses import replace

    from lehr import nirfile
    from lehr.network import Neuron

    net = nirfile.read(line / "model.nir")
    arithmetic = replace(net.neurons["lif2"].fields, update="event", reset_timing="same_step")
    event = Neuron(net.neurons["lif2"].threshold, net.neurons["lif2"].bias, arithmetic)
    nirfile.write(replace(net, nodes={**net.nodes, "lif2": event}), tmp_path / "event.nir")
    ran = lehr("check", tmp_path / "event.nir", "--target", "onnx")
    assert ran.code == 3
    assert ran.last == "FAIL"
    assert "update is 'event', the machine has 'step'" in ran.out
    _refused(
        lehr("build", tmp_path / "event.nir", "--target", "onnx", "-o", tmp_path / "o"),
        3,
        "the network does not map to onnx: lif2: update is 'event'",
    )
    assert not (tmp_path / "o").exists()


def test_work_of_others_is_not_overwritten(lehr: Lehr, line: Path, empty: Path) -> None:
    (empty / "notes.txt").write_text("mine")
    for command in (
        ("build", line / "model.nir", "--target", "c"),
        ("train", line / "tiny.toml"),
        ("demo",),
    ):
        _refused(lehr(*command, "-o", empty), 2, "is not empty and was not made by lehr")
    assert (empty / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("mark", "command"), [("state.json", ("train", "tiny.toml")), ("summary.json", ("demo",))]
)
def test_a_folder_of_lehr_with_work_of_others_is_not_replaced(
    lehr: Lehr, line: Path, empty: Path, mark: str, command: Sequence[str]
) -> None:
    (empty / mark).touch()
    (empty / "notes.txt").write_text("mine")
    name, *recipe = command
    _refused(
        lehr(name, *(line / it for it in recipe), "-o", empty),
        2,
        f"{empty} holds notes.txt, which lehr did not write there",
    )
    assert (empty / "notes.txt").read_text() == "mine"


def test_errors_as_json(lehr: Lehr, empty: Path) -> None:
    ran = lehr("verify", empty, "--json")
    assert ran.code == 2
    facts = json.loads(ran.out)
    assert facts["result"] == "FAIL"
    assert facts["exit_code"] == 2
    assert facts["error"].endswith("give a folder that 'lehr build' made")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["c", "fpga"])
def test_missing_compiler(
    lehr: Lehr, line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    assert lehr("build", line / "model.nir", "--target", target, "-o", tmp_path / "out").code == 0
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    ran = lehr("verify", tmp_path / "out")
    assert ran.code == 6
    assert "install" in ran.err


def _with_full_disk(limit: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run lehr with files of at most `limit` bytes: every write behaves as on a full disk."""
    return subprocess.run(
        [sys.executable, "-m", "lehr", *map(str, arguments)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_results_that_cannot_be_printed(line: Path, options: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "lehr", "inspect", str(line / "model.nir"), *options]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 5
    reason = (
        "the result cannot be printed"
        if options
        else "a temporary file or the result cannot be written"
    )
    assert re.fullmatch(rf"error: {reason}: No space left on device; [^\n]+\n", ran.stderr), (
        ran.stderr
    )


@pytest.mark.slow
def test_a_full_disk_is_not_taken_for_a_damaged_artefact(
    line: Path, lehr: Lehr, tmp_path: Path
) -> None:
    if why := CRunner().missing():
        pytest.skip(why)
    assert (
        lehr("build", line / "model.nir", "--target", "c", "-o", tmp_path / "out", "-n", 1).code
        == 0
    )
    ran = _with_full_disk(2048, "verify", tmp_path / "out")
    assert ran.returncode == 5
    assert (
        "cannot be written: File too large; free space there, or let TMPDIR be another folder"
        in ran.stderr
    )


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "what", [pytest.param("export", marks=pytest.mark.slow), "build", "simulate"]
)
def test_full_disk_leaves_nothing_and_loses_nothing(
    line: Path, lehr: Lehr, empty: Path, what: str
) -> None:
    commands = {
        "export": ("export", line / "run", "-o", empty / "out"),
        "build": (
            "build",
            line / "model.nir",
            "--target",
            "c",
            "-o",
            empty / "out",
            "-i",
            line / "in.npz",
        ),
        "simulate": (
            "simulate",
            line / "model.nir",
            "-i",
            line / "in.npz",
            "-o",
            empty / "out",
            "--trace",
            "all",
        ),
    }
    ran = _with_full_disk(2048, *commands[what])
    assert ran.returncode == 5, ran.stderr
    assert (
        "out cannot be written: File too large; free space there or choose another place (nothing "
        "was changed)" in ran.stderr
    )
    assert not any(empty.iterdir())
    assert lehr(*commands[what]).code == 0
    before = {p: p.read_bytes() for p in empty.rglob("*") if p.is_file()}
    assert _with_full_disk(2048, *commands[what]).returncode == 5
    assert {p: p.read_bytes() for p in empty.rglob("*") if p.is_file()} == before
