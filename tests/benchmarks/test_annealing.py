"""The tables of annealing: what is trained once, who chooses, and what is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import annealing
import numpy as np
import pytest
from annealing import CELLS, Cell, arms_of, digest, markdown
from scipy import stats
from typer.testing import CliRunner

from lehr.errors import NotMappable
from lehr.train.data import Dataset, Split, load_dataset
from lehr.train.recipe import DataRecipe

SMALL = Cell({"name": "digits", "train_samples": 96, "test_samples": 60}, (8,), 3, final=5.0)
SEEDS = 3


def made_up(cell: Cell) -> dict[str, dict[str, Any]]:
    """Runs of every arm and seed; where validation is highest the test accuracy is not."""
    runs = {}
    for seed in range(SEEDS):
        for number, arm in enumerate(cell.thresholds()):
            key = digest(cell, cell.table(arm, seed))
            runs[key] = {
                "digest": key,
                "arm": arm,
                "seed": seed,
                "validation": (0.5 + 0.1 * ((number + seed) % 3)),
                "accuracy": 0.9 - 0.1 * ((number + seed) % 3) + 0.01 * seed * number,
                "spikes": None if arm == "fixed 1" else 100.0 * (number + 1),
                "silent": arm == "fixed 1",
                "seconds": 6.0,
            }
    return runs


def test_the_best_of_several_is_each_seeds_own_and_chosen_by_validation_alone() -> None:
    runs = made_up(SMALL)
    rows = arms_of(SMALL, runs, SEEDS)
    assert list(rows) == [
        "start, 1",
        "best fixed",
        "final, 5",
        "annealed",
        "annealed, rate-controlled",
        "float",
    ]
    chosen = rows["best fixed"].runs
    for seed, run in enumerate(chosen):
        held = [other for other in runs.values() if other["seed"] == seed]
        held = [other for other in held if other["arm"].startswith("fixed")]
        assert run["validation"] == max(other["validation"] for other in held)
    assert len({run["arm"] for run in chosen}) == 2
    assert rows["best fixed"].chosen == " (1, 5)"
    assert rows["annealed"].chosen == ""


def test_differences_are_paired_by_seed_and_silent_runs_are_counted() -> None:
    rows = arms_of(SMALL, made_up(SMALL), SEEDS)
    lines = list(markdown("small", rows))
    paired = stats.ttest_rel(rows["annealed"].accuracies, rows["final, 5"].accuracies)
    low, high = paired.confidence_interval(0.95)
    cells = {line.split(" | ")[0]: line.split(" | ") for line in lines[4:-1]}
    assert cells["| final, 5"][2] == f"{(low + high) / 2:+.2f} +- {(high - low) / 2:.2f}"
    assert cells["| annealed"][2] == ""
    assert (cells["| start, 1"][3], cells["| start, 1"][4].strip(" |")) == ("", "3")
    assert cells["| annealed"][4].strip(" |") == ""


def test_a_seed_that_lacks_a_run_is_in_no_row() -> None:
    runs = made_up(SMALL)
    del runs[digest(SMALL, SMALL.table("annealed", 1))]
    for arm in arms_of(SMALL, runs, SEEDS).values():
        assert [run["seed"] for run in arm.runs] == [0, 2]


def test_an_interrupted_benchmark_goes_on_and_trains_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annealing, "CELLS", {"small": SMALL})
    trained, calls = annealing.trained, list[str]()

    def counted(cell: Cell, table: dict[str, Any], data: Dataset) -> dict[str, Any]:
        calls.append(f"{table['description']} {table['seed']}")
        if len(calls) == 4:
            raise KeyboardInterrupt
        return trained(cell, table, data)

    monkeypatch.setattr(annealing, "trained", counted)
    command = ["run", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--seeds", "2"]
    assert CliRunner().invoke(annealing.app, command).exit_code == 130
    assert len((tmp_path / "out" / "runs.jsonl").read_text().splitlines()) == 3
    ended = CliRunner().invoke(annealing.app, command)
    assert ended.exit_code == 0, ended.output
    wanted = [f"{arm} {seed}" for seed in (0, 1) for arm in SMALL.thresholds()]
    assert [*calls[:3], *calls[4:]] == wanted
    runs = annealing.known(tmp_path / "out")
    assert len(runs) == len(wanted)
    annealed = runs[digest(SMALL, SMALL.table("annealed", 0))]
    assert 0 < annealed["spikes"] < 3 * 18  # steps and neurons
    assert len(annealed["rates"]) == SMALL.epochs
    printed = CliRunner().invoke(
        annealing.app, ["tables", "--out", str(tmp_path / "out"), "--seeds", "2"]
    )
    assert "**small**, 2 seeds" in printed.output


def test_a_silent_output_answers_with_the_first_class() -> None:
    data = load_dataset(DataRecipe.model_validate(dict(SMALL.data)), None)
    table = SMALL.table("fixed 5", 0)
    for layer in table["network"]["layers"]:
        layer["threshold"] = {"start": 4000.0}
    run = annealing.trained(SMALL, table, data)
    assert run["silent"]
    assert run["accuracy"] == np.mean(data.test.y == 0) > 0
    assert run["spikes"] is None


@pytest.mark.parametrize("title", CELLS)
def test_every_arm_of_every_cell_is_a_recipe_that_can_be_trained(title: str) -> None:
    cell = CELLS[title]
    shape = (20, 700) if cell.data["name"] == "fsdd" else (8, 1, 28, 28)
    x = np.zeros((4, *(shape if "steps" in cell.data else shape[1:])), np.uint8)
    split = Split(x, np.zeros(4, np.int64))
    spikes = cell.data.get("steps")
    data = Dataset(split, split, split, 10, "spikes" if spikes else "u8", spikes)
    for arm in cell.thresholds():
        recipe = annealing.recipe_of(cell, cell.table(arm, 0), data)
        assert (recipe.target is None) == (cell.target is None or arm.startswith("float"))
        assert recipe.data.train_samples in (2000, None)


def test_a_prescribed_threshold_leaves_no_lower_one() -> None:
    title = "MNIST, 5 layers, loihi prescribes 1,280"
    cell, split = CELLS[title], Split(np.zeros((4, 8, 1, 28, 28), np.uint8), np.zeros(4, np.int64))
    data = Dataset(split, split, split, 10, "spikes", 8)
    for arm, prescribed in (("fixed 20", True), ("annealed", True), ("fixed 10", False)):
        thresholds = annealing.recipe_of(cell, cell.table(arm, 0), data).network.thresholds
        assert (thresholds.multiple == thresholds.highest == 1280) == prescribed
    table = cell.table("annealed", 0)
    for layer in table["network"]["layers"]:
        layer["threshold"] = {"start": 10.0}
    with pytest.raises(NotMappable, match="which is 640 in integers, below "):
        annealing.recipe_of(cell, table, data)
