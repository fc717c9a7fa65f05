"""`lehr.train`: the same training from Python as on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lehr
from lehr.errors import NotMappable, UsageError


def test_a_run_is_trained_as_the_command_trains_it(line: Path, tmp_path: Path) -> None:
    epochs: list[dict[str, Any]] = []
    run = lehr.train(line / "tiny.toml", tmp_path / "deep" / "run", report=epochs.append)
    for file in ("checkpoint.safetensors", "samples.npz", "recipe.toml"):
        assert (tmp_path / "deep" / "run" / file).read_bytes() == (line / "run" / file).read_bytes()
    assert [entry["epoch"] for entry in epochs] == [1, 2, 3, 1, 1]
    assert epochs == run.trained.metrics
    assert lehr.export(run).network == lehr.read(line / "model.nir")
    assert f"integer {100 * run.accuracy['integer']:.2f} %" in repr(run)
    assert len(run.summary().splitlines()) == 2 + len(epochs)
    assert not (tmp_path / "deep" / "run.unfinished").exists()


def test_settings_are_values_of_python(line: Path, tmp_path: Path) -> None:
    short = {"train.epochs": 1, "finetune.epochs": 1, "finetune.frozen_epochs": 0, "seed": 7}
    run = lehr.train(line / "tiny.toml", tmp_path / "run", settings=short)
    assert run.recipe.seed == 7
    assert len(run.trained.metrics) == 2
    with pytest.raises(UsageError, match=r"train.epochs.*'many'"):
        lehr.train(line / "tiny.toml", tmp_path / "run", settings={"train.epochs": "many"})


def test_what_cannot_be_trained_is_named(line: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'digits'"):
        lehr.train("digit", tmp_path / "run")
    with pytest.raises(UsageError, match="no target is called 'onxx'; did you mean 'onnx'"):
        lehr.train(line / "tiny.toml", tmp_path / "run", target="onxx")
    with pytest.raises(NotMappable, match="recipe tiny does not train for target odin"):
        lehr.train(line / "tiny.toml", tmp_path / "run", target="odin")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="mine"):
        lehr.train(line / "tiny.toml", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
