"""The table of arms: what is trained, what is kept, what is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import accuracy
import pytest
import typer
from tiny import tiny_toml

from lehr.export.checkpoint import load_run
from lehr.simulate.reference import simulate as reference
from lehr.train.data import load_dataset
from lehr.train.recipefile import load
from lehr.train.runs.several import Training, trained_each
from lehr.workers.work import Facts


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the folders of the runs that are trained."""
    folders: list[Path] = []

    def each(trainings: Sequence[Training], *rest: Any) -> Iterator[tuple[Training, Facts]]:
        folders.extend(training.folder for training in trainings)
        return trained_each(trainings, *rest)

    monkeypatch.setattr(accuracy, "trained_each", each)
    return folders


def record(share: float, **costs: float) -> accuracy.Record:
    return {"accuracy": share, "validation": 1 - share, "tested": 100, "seconds": 90.0, **costs}


COSTS = {"spikes": 1000.4, "operations": 2e6, "weight_bytes": 125, "state_bytes": 30}


def test_arms_have_names_of_their_own_or_the_usual_ones() -> None:
    assert accuracy.arm_of("float") == ("float", ("network.weights=float",))
    assert accuracy.arm_of("plain=") == ("plain", ())
    assert accuracy.arm_of("wide=a.b=64; c=[1, 2]") == ("wide", ("a.b=64", "c=[1, 2]"))
    with pytest.raises(
        typer.BadParameter,
        match="'wide' is none of annealed, binarized, float; write an arm of your own as NAME= or "
        "NAME=KEY=VALUE;KEY=VALUE",
    ):
        accuracy.arm_of("wide")


def test_differences_are_paired_by_seed() -> None:
    runs = {
        "plain": {1: record(0.90, **COSTS), 2: record(0.94, **COSTS), 3: record(0.92, **COSTS)},
        "float": {2: record(0.96), 1: record(0.91)},
        "late": {},
    }
    # t is 4.303 of three runs, 12.706 of two; differences are 1 and 2 points
    assert accuracy.table(runs, "plain", "accuracy").splitlines() == [
        "| arm | runs | accuracy | minus plain | spikes | operations | bytes of weights | bytes of state | processor minutes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| plain | 3 | 92.00 +- 4.97 % |  | 1,000 | 2,000,000 | 125 | 30 | 1.5 |",
        "| float | 2 | 93.50 +- 31.77 % | +1.50 +- 6.35 |  |  |  |  | 1.5 |",
    ]
    assert "| plain | 3 | 8.00 +- 4.97 % |" in accuracy.table(runs, "plain", "validation")


def test_runs_are_trained_once_and_their_costs_are_those_of_the_reference(
    tmp_path: Path, trained: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, keep = tmp_path / "tiny.toml", tmp_path / "kept"
    recipe.write_text(tiny_toml())

    def print_table(**options: Any) -> str:
        arms = ["annealed", "ternary=network.weights=ternary"]
        accuracy.main([str(recipe)], seeds=1, arm=arms, keep=keep, **options)
        return capsys.readouterr().out

    printed = print_table()
    assert len(trained) == 2
    assert print_table(train=False) == printed == print_table()
    assert len(trained) == 2
    assert "`" + str(recipe) + "`, 80 test samples, seeds 5 to 5" in printed

    kept = json.loads((keep / "tiny" / "annealed-5.json").read_text())
    data = load_dataset(load(str(recipe)).data, None)
    net = load_run(keep / "tiny" / "annealed-5").network
    result = reference(net, data.test.x[:], trace=tuple(net.neurons))
    fired = [int(spikes.sum()) for spikes in result.trace.spikes.values()]
    assert all(fired)
    assert kept["accuracy"] == float((result.prediction == data.test.y[:]).mean())
    assert kept["spikes"] == sum(fired) / 80
    # 6 channels of 3x3, 8 of 6x2x2, 10 of 32: bits in whole bytes
    assert kept["weight_bytes"] == 7 + 24 + 40
    ternary = json.loads((keep / "tiny" / "ternary-5.json").read_text())
    assert ternary["weight_bytes"] == 14 + 48 + 80

    metrics = (keep / "tiny" / "annealed-5" / "metrics.jsonl").read_text().splitlines()
    assert kept["validation"] == max(
        entry["validation_accuracy"] for entry in map(json.loads, metrics) if entry["phase"] == "C"
    )


def test_a_record_of_another_recipe_is_not_taken(tmp_path: Path) -> None:
    recipe, keep = tmp_path / "tiny.toml", tmp_path / "kept"
    recipe.write_text(tiny_toml())
    (keep / "tiny").mkdir(parents=True)
    file = keep / "tiny" / "annealed-5.json"
    file.write_text(json.dumps({"recipe": tiny_toml(), **record(0.5)}))
    with pytest.raises(SystemExit) as refused:
        accuracy.main([str(recipe)], arm=["annealed"], keep=keep, changes=["train.epochs=9"])
    assert (
        str(refused.value)
        == f"{file} is of another recipe; remove it and its run, or --keep elsewhere"
    )


def test_what_is_not_there_cannot_be_printed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        accuracy.main(["digits"], keep=tmp_path, train=False)
    assert (
        str(refused.value)
        == f"{tmp_path / 'digits'} keeps no run of these arms; leave out --no-train"
    )
