"""`lehr.train`: the same training from Python as on the command line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
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


def test_settings_may_be_numbers_of_numpy(line: Path, tmp_path: Path) -> None:
    """They are taken to the last bit, also in lists and tables."""
    threshold = {"start": np.float16(0.5), "final": 1, "rate": np.float32(0.1)}
    given = {
        "seed": np.uint8(7),
        "data.train_samples": np.int64(64),
        "train.epochs": np.int32(1),
        "train.lr": np.float32(0.01),
        "network.slope": np.float64(1.7),
        "network.layers.0.kernel": np.array([3, 2]),
        "network.layers.0.batch_norm": np.bool_(0),
        "network.layers.1.threshold": threshold,
        "finetune.epochs": np.array(1),
    }
    plain = {
        "seed": 7,
        "data.train_samples": 64,
        "train.epochs": 1,
        "train.lr": 10737418 / 2**30,  # the float32 nearest to 0.01
        "network.slope": 1.7,
        "network.layers.0.kernel": [3, 2],
        "network.layers.0.batch_norm": False,
        "network.layers.1.threshold": {"start": 0.5, "final": 1.0, "rate": 13421773 / 2**27},
        "finetune.epochs": 1,
    }
    runs = [
        lehr.train(line / "tiny.toml", tmp_path / name, settings=settings)
        for name, settings in (("given", given), ("plain", plain))
    ]
    assert runs[0].recipe == runs[1].recipe
    assert runs[0].recipe.train.lr == 10737418 / 2**30 != 0.01
    for file in ("recipe.toml", "checkpoint.safetensors"):
        assert (tmp_path / "given" / file).read_bytes() == (tmp_path / "plain" / file).read_bytes()


def test_settings_may_name_a_file(line: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none.npz does not exist"):
        lehr.train(
            line / "tiny.toml",
            tmp_path / "run",
            settings={"data": {"name": "npz", "path": tmp_path / "none.npz"}},
        )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.epochs", None, "train.epochs is None, a NoneType"),
        ("train.lr", np.longdouble(1), "train.lr is {!r}, a longdouble"),
        ("network.layers.0.kernel", [3, 2j], "network.layers.0.kernel is 2j, a complex"),
        ("train", {"lr": Fraction(1, 3)}, "train.lr is Fraction(1, 3), a Fraction"),
    ],
)
def test_what_no_recipe_holds_is_named(line: Path, key: str, value: object, message: str) -> None:
    with pytest.raises(UsageError) as error:
        lehr.train(line / "tiny.toml", settings={key: value})
    assert str(error.value) == (
        f"settings: {message.format(value)}; give a number, a text, a list or a dict, or leave the "
        "key out"
    )


@pytest.mark.parametrize("value", [np.int64(0), np.float64(2.5), np.bool_(True)])
def test_numbers_of_numpy_are_refused_as_python_s_are(line: Path, value: Any) -> None:
    said = []
    for each in (value, value.item()):
        with pytest.raises(UsageError, match="'train.epochs' is") as error:
            lehr.train(line / "tiny.toml", settings={"train.epochs": each})
        said.append(str(error.value))
    assert said[0] == said[1]


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
