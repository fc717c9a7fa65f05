"""Damage to a run is seen: whatever bit of whatever file is flipped, nothing is exported."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from commands import Lehr

from lehr.errors import FileRefused
from lehr.export.checkpoint import load_run
from lehr.sums import SUMS, with_sums

FILES = ("state.json", "recipe.toml", "metrics.jsonl", "checkpoint.safetensors", "samples.npz")
OTHERS = FILES[1:]


@pytest.fixture
def run(line: Path, tmp_path: Path) -> Path:
    """Copy a trained run."""
    return Path(shutil.copytree(line / "run", tmp_path / "run"))


def states(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((run / "state.json").read_bytes())
    return state


def test_a_run_and_its_last_epoch_state_the_sum_of_every_file_and_the_networks_digest(
    line: Path,
) -> None:
    for run in (line / "run", line / "run" / "last"):
        state = states(run)
        assert state["digest"] == load_run(run).network.digest
        sums = state.pop("sha256")
        assert sums.keys() == {*FILES}
        for name in OTHERS:
            assert sums[name] == hashlib.sha256((run / name).read_bytes()).hexdigest()
        own = json.dumps(state, indent=2, sort_keys=True) + "\n"
        assert sums["state.json"] == hashlib.sha256(own.encode()).hexdigest()


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_seen(run: Path, name: str) -> None:
    path = run / name
    whole, right = path.read_bytes(), load_run(run).network
    rng = np.random.default_rng(len(whole))
    for at in rng.integers(0, len(whole), 60):
        path.write_bytes(
            whole[:at] + bytes([whole[at] ^ (1 << int(rng.integers(8)))]) + whole[at + 1 :]
        )
        with pytest.raises(FileRefused):
            load_run(run)
    path.write_bytes(whole)
    assert load_run(run).network == right


def test_a_flipped_threshold_is_not_exported(run: Path, lehr: Lehr, tmp_path: Path) -> None:
    path = run / "checkpoint.safetensors"
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    at = 8 + size + json.loads(whole[8 : 8 + size])["lif2.threshold"]["data_offsets"][0]
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    before, after = (
        safetensors.numpy.load(data)["lif2.threshold"] for data in (whole, path.read_bytes())
    )
    assert np.abs(after - before).tolist() == [1] + [0] * 7
    ran = lehr("export", run, "-o", tmp_path / "model.nir")
    assert (ran.code, ran.last) == (5, "FAIL")
    damaged = "run is damaged (checkpoint.safetensors has another sha256 than state.json states); copy it anew from where it was trained, or "
    assert damaged in ran.err
    assert not (tmp_path / "model.nir").exists()
    assert lehr("export", run / "last", "-o", tmp_path / "model.nir").code == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state["network"].update(steps=7),
            "holds another network than the one whose digest state.json states",
        ),
        (
            lambda state: state["network"]["nodes"]["lif3"]["arithmetic"].update(fires="ge"),
            "holds another network than the one",
        ),
        (
            lambda state: state["network"]["nodes"]["lif1"]["arithmetic"].update(decay_numerator=1),
            "holds another network than the one",
        ),
        (
            lambda state: state.update(digest="0" * 64),
            "holds another network than the one whose digest state.json states",
        ),
        (
            lambda state: state.update(digest=None),
            "holds another network than the one whose digest state.json states",
        ),
    ],
)
def test_a_network_of_another_digest_is_refused_though_the_sums_are_right(
    run: Path, change: Any, message: str
) -> None:
    state = states(run)
    change(state)
    del state["sha256"]
    (run / "state.json").write_bytes(
        with_sums("state.json", state, {name: (run / name).read_bytes() for name in OTHERS})[
            "state.json"
        ]
    )
    with pytest.raises(FileRefused, match=message):
        load_run(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state["accuracy"].update(integer=1.0),
            r"state\.json has another sha256 than it states",
        ),
        (lambda state: state.pop("sha256"), "state.json does not state the sha256 of each file"),
        (
            lambda state: state["sha256"].pop("samples.npz"),
            "state.json does not state the sha256 of each file",
        ),
        (lambda state: state.update(sha256=7), "state.json does not state the sha256 of each file"),
        (
            lambda state: state.update(schema="lehr-run/1"),
            "its schema is 'lehr-run/1', not 'lehr-run/2'",
        ),
    ],
)
def test_statements_that_are_wrong_or_missing(run: Path, change: Any, message: str) -> None:
    state = states(run)
    change(state)
    (run / "state.json").write_text(json.dumps(state))
    with pytest.raises(FileRefused, match=message):
        load_run(run)


def test_a_file_that_is_missing_is_named(run: Path) -> None:
    (run / "samples.npz").unlink()
    with pytest.raises(
        FileRefused,
        match=r"run is damaged \(it holds no file samples\.npz\); copy it anew from where it was trained, or train it",
    ):
        load_run(run)


def test_an_older_run_is_exported_and_said_to_state_nothing(
    run: Path, lehr: Lehr, tmp_path: Path
) -> None:
    state = states(run)
    del state["digest"], state[SUMS]
    (run / "state.json").write_text(json.dumps({**state, "schema": "lehr-run/1"}))
    assert not load_run(run).stated
    message = "run is an older lehr's and states no digests, so that damage to its weights cannot be seen; train it again to have them"
    ran = lehr("export", run, "-o", tmp_path / "model.nir")
    assert ran.code == 0
    assert message in ran.out
    assert lehr("export", run, "-o", tmp_path / "model.nir", "--json").facts["notes"] == [
        f"{tmp_path}/{message}"
    ]
