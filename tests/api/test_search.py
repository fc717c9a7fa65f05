"""`lehr.search` is `lehr search`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import run
from tiny import tiny_toml

pytest.importorskip("optuna")

import lehr
from lehr.errors import LehrError
from lehr.searches import FILE

SPACE = {
    "objectives": ["accuracy", "c.flash"],
    "trials": 1,
    "keys": {"network.layers.0.channels": {"low": 4, "high": 8}},
    "builds": {"c": {}},
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(tiny_toml())
    return tmp_path / "tiny.toml"


def test_it_writes_what_the_command_writes(recipe: Path, tmp_path: Path) -> None:
    ended: list[int] = []
    epochs: list[tuple[int, int]] = []
    searched = lehr.search(
        recipe,
        SPACE,
        tmp_path / "a" / "s",
        settings={"train.epochs": 1},
        report=lambda trial, entry: epochs.append((trial.number, entry["epoch"])),
        ended=lambda trial: ended.append(trial.number),
    )
    space = 'objectives = ["accuracy", "c.flash"]\ntrials = 1\n[builds.c]\n[keys]\n'
    (tmp_path / "space.toml").write_text(
        f"{space}network.layers.0.channels = {{ low = 4, high = 8 }}"
    )
    (tmp_path / "b").mkdir()
    words = ("--set", "train.epochs=1", "-o", tmp_path / "b" / "s")
    run("search", recipe, "--space", tmp_path / "space.toml", *words)
    for name in (FILE, "trial-0000/checkpoint.safetensors"):
        one, other = (tmp_path / folder / "s" / name for folder in ("a", "b"))
        assert one.read_bytes() == other.read_bytes()
    assert ended == [0]
    assert epochs[0] == (0, 1)
    assert searched.front[0].measures["c.flash"] > 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"space": None}, "tiny.toml has no [search]; give what varies as the space"),
        ({"space": {"keyz": {}}}, "the space: unknown key 'keyz'"),
        ({"trials": 0}, "the space: 'trials' is 0; give at least 1"),
        ({"space": "none.toml"}, "none.toml: no such file; give the TOML file of a space"),
    ],
)
def test_a_mistake_is_said(
    recipe: Path, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(LehrError) as refused:
        lehr.search(**{"recipe": recipe, "space": SPACE, "output": tmp_path / "s", **changes})
    assert refused.value.exit_code == 2
    assert sentence in str(refused.value)
    assert not (tmp_path / "s").exists()
