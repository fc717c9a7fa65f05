"""Packing: a card has the command lines that were run, and the figures that they printed."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from lehr.zoo import index, pack
from lehr.zoo.index import CARD, MODEL, RECIPE, SAMPLES, asset
from lehr.zoo.plans import PLANS, Plan

SHORT = ("train.epochs=1", "finetune.epochs=1", "finetune.frozen_epochs=1", "data.train_samples=64")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> pack.Packed:
    """Pack a network that has hardly learnt."""
    plan = replace(PLANS[0], changes=SHORT)
    return pack.packed(plan, tmp_path_factory.mktemp("work") / "digits", None)


def wilson(right: int, samples: int) -> tuple[float, float]:
    """E. B. Wilson 1927, for 95 %."""
    z, p = 1.959963984540054, right / samples
    middle = p + z * z / (2 * samples)
    spread = z * math.sqrt(p * (1 - p) / samples + z * z / (4 * samples * samples))
    return (middle - spread) / (1 + z * z / samples), (middle + spread) / (1 + z * z / samples)


@pytest.mark.slow
def test_figures_are_those_of_the_files(packed: pack.Packed, tmp_path: Path) -> None:
    import lehr

    entry = packed.entry
    assert packed.files.keys() == {CARD, MODEL, RECIPE, SAMPLES}
    for name, data in packed.files.items():
        assert entry.files[name].sha256 == sha256(data).hexdigest()
        (tmp_path / name).write_bytes(data)
    with np.load(tmp_path / SAMPLES) as kept:
        result = lehr.simulate(tmp_path / MODEL, kept["input"])
        assert len(kept["labels"]) == entry.kept.samples == 16
        assert int((result.prediction == kept["labels"]).sum()) == entry.kept.right
    assert entry.accuracy.samples == 300
    ends = (entry.accuracy.low, entry.accuracy.high)
    assert ends == pytest.approx(wilson(entry.accuracy.right, 300))
    card = packed.files[CARD].decode()
    changes = " ".join(f"--set {change}" for change in SHORT)
    assert f"    lehr train digits {changes} -o run\n    lehr export run -o model.nir\n" in card
    assert all(file.sha256 in card for name, file in entry.files.items() if name != CARD)


@pytest.mark.slow
def test_all_become_assets_and_small_ones_come_along(packed: pack.Packed, tmp_path: Path) -> None:
    home, output = tmp_path / "home", tmp_path / "dist" / "models"
    home.mkdir()
    pack.write(packed, home, output)
    assert {p.name: p.read_bytes() for p in (home / "models" / "digits").iterdir()} == packed.files
    far = replace(packed, entry=replace(packed.entry, name="far", bundled=False))
    pack.write(far, home, output)
    assert [path.name for path in (home / "models").iterdir()] == ["digits"]
    names = {
        asset(model, name): data
        for model in ("digits", "far")
        for name, data in packed.files.items()
    }
    assert {path.name: path.read_bytes() for path in output.iterdir()} == names
    models = json.loads((home / index.INDEX).read_bytes())["models"]
    assert {name: index.from_json(name, models[name]) for name in models} == {
        "digits": packed.entry,
        "far": far.entry,
    }
    grown = replace(packed, entry=replace(packed.entry, bundled=False))
    pack.write(grown, home, output)
    assert not (home / "models" / "digits").exists()


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_every_line_is_a_command_of_lehr(plan: Plan) -> None:
    """All are but the two that make a network by event; none has a path of this machine."""
    lines = pack.commands(plan)
    others = [line for line in lines if line[0] != "lehr"]
    assert len(others) == (plan.name in ("digits-speck", "digits-tinyodin"))
    assert not re.search(r"(^|[ '\"])/", " ".join(word for line in lines for word in line))
    assert (plan.target != "") == any(line[:2] == ["lehr", "check"] for line in lines)
