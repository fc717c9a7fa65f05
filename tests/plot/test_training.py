"""A run's epochs: what is drawn is what its files hold."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lehr import plot
from lehr.errors import FileRefused, UsageError
from lehr.plot.history import history


def epoch(phase: str, number: int, **other: Any) -> dict[str, Any]:
    """Return the metrics of an epoch of two layers."""
    return {
        "phase": phase,
        "epoch": number,
        "loss": 1 / number,
        "train_accuracy": 0.1 * number,
        "validation_accuracy": 0.2,
        "rates": [0.3, 0.1],
        "thresholds": [1.0, 2.0],
        "dead": [],
        "saturated": [],
        **other,
    }


RUN = [
    epoch("A", 1, thresholds=[0.5, 1.0], rates=[0.0, 0.99], dead=["lif1"], saturated=["lif2"]),
    epoch("A", 2, thresholds=[1.0, 4.0]),
    epoch("B", 1, thresholds=[90.0, 30.0]),
    epoch("C", 1, thresholds=[100.0, 20.0]),
]


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def lines(ax: Any, label: str) -> list[Any]:
    return [each for each in ax.lines if each.get_label() == label]


@pytest.mark.parametrize("as_text", [False, True])
def test_a_folder_is_drawn_as_its_metrics_say(line: Path, as_text: bool) -> None:
    run: Any = str(line / "run") if as_text else line / "run"
    entries = metrics(line / "run")
    ax = plot.training(run, "accuracy")
    for label, key in (("validation", "validation_accuracy"), ("training", "train_accuracy")):
        (curve,) = lines(ax, label)
        assert np.allclose(curve.get_ydata(), [100 * each[key] for each in entries])
    (rings,) = lines(ax, "went on")
    kept = json.loads((line / "run/state.json").read_text())["epochs"]
    expected = [n for n, e in enumerate(entries, 1) if kept[e["phase"]] == e["epoch"]]
    assert list(rings.get_xdata()) == expected
    assert len(expected) == 3
    ax = plot.training(run, "rates")
    for number in range(3):
        (curve,) = lines(ax, f"lif{number + 1}")
        assert list(curve.get_ydata()) == [each["rates"][number] for each in entries]
    drawn = [
        float(y) for each in plot.training(run, "loss").lines for y in np.asarray(each.get_ydata())
    ]
    assert drawn == [each["loss"] for each in entries]


def test_thresholds_are_shares_of_the_recipes_final_ones_and_then_of_the_frozen(line: Path) -> None:
    entries = metrics(line / "run")
    recipe = tomllib.loads((line / "run/recipe.toml").read_text())
    ax = plot.training(line / "run", "thresholds")
    for number, layer in enumerate(recipe["network"]["layers"]):
        final = layer["threshold"]["final"]
        expected = [e["thresholds"][number] / final for e in entries if e["phase"] == "A"]
        (curve,) = lines(ax, f"lif{number + 1}")
        assert np.allclose(curve.get_ydata(), expected)
    assert history(line / "run").thresholds(0)[-1] == 1


def test_entries_alone_are_drawn_too() -> None:
    past = history(RUN)
    assert past.layers == ["lif1", "lif2"]
    assert past.phases == {"A": (1, 2), "B": (3, 3), "C": (4, 4)}
    assert past.thresholds(0) == [0.5, 1.0, 0.9, 1.0]
    assert past.thresholds(1) == [0.25, 1.0, 1.5, 1.0]


def test_phases_are_shaded_and_named() -> None:
    ax = plot.training(RUN, "loss")
    spans = [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]  # type: ignore[attr-defined]
    assert spans == [(0.5, 2.5), (2.5, 3.5), (3.5, 4.5)]
    assert [t.get_text() for t in ax.texts] == ["A", "B", "C"]
    assert ax.get_xlabel() == "epoch"
    assert ax.get_ylabel() == "loss"


def test_dead_and_saturated_layers_are_marked() -> None:
    ax = plot.training(RUN, "rates")
    for label, point in (("dead", (1, 0.0)), ("saturated", (1, 0.99))):
        (marks,) = lines(ax, label)
        assert list(zip(marks.get_xdata(), marks.get_ydata(), strict=True)) == [point]
    assert not lines(plot.training(RUN[1:], "rates"), "dead")


LEARNED = [
    epoch("A", 1, decays={"layer 1": {"beta": {"mean": 0.75, "spread": 0.125}}}),
    epoch("A", 2, decays={"layer 1": {"beta": {"mean": 0.5, "spread": 0.25}}}),
    epoch("B", 1),
]


def test_decays_that_are_learned_are_drawn_with_their_spread() -> None:
    ax = plot.training(LEARNED, "decays")
    (curve,) = lines(ax, "layer 1 beta")
    assert list(zip(curve.get_xdata(), curve.get_ydata(), strict=True)) == [(1, 0.75), (2, 0.5)]
    (band,) = ax.collections
    corners = {(x, y) for x, y in np.asarray(band.get_paths()[0].vertices).tolist()}
    assert corners == {(1, 0.625), (1, 0.875), (2, 0.25), (2, 0.75)}
    with pytest.raises(UsageError, match="^the run learned no decay; draw another, or give a "):
        plot.training(RUN, "decays")
    for wrong in ({"layer 1": {"beta": {"mean": 0.5}}}, {"layer 1": 3}, [1]):
        with pytest.raises(UsageError, match="^an epoch has decays that are no mean and spread; "):
            plot.training([epoch("A", 1, decays=wrong)], "decays")


@pytest.mark.parametrize("what", ["accuracy", "loss", "thresholds", "rates"])
def test_one_epoch_is_drawn_too(what: Any) -> None:
    ax = plot.training([epoch("A", 1)], what)
    assert ax.lines
    if what in ("loss", "thresholds"):  # a line of one point would not be seen
        assert ax.lines[-1].get_marker() == "o"


def test_what_cannot_be_drawn_is_named(line: Path, tmp_path: Path) -> None:
    wrong: Any = "rate"
    with pytest.raises(UsageError, match="'rate' is not drawn; did you mean 'rates'.*thresholds"):
        plot.training(RUN, wrong)
    with pytest.raises(UsageError, match="there is no epoch; give a run that was trained"):
        plot.training([])
    with pytest.raises(UsageError, match="an epoch lacks phase, epoch, loss"):
        plot.training([{"rates": [1], "thresholds": []}])
    with pytest.raises(UsageError, match="nothere: no such folder; give one that 'lehr train'"):
        plot.training(tmp_path / "nothere")
    with pytest.raises(UsageError, match=r"holds no state.json"):
        plot.training(tmp_path)
    for name, text in (
        ("metrics.jsonl", "{"),
        ("metrics.jsonl", '{"phase": "A"}'),
        ("metrics.jsonl", "[1]"),
        ("recipe.toml", "x ="),
        ("recipe.toml", "x = 1"),
        ("state.json", "[]"),
    ):
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(line / "run", run)
        (run / name).write_text(text)
        with pytest.raises(FileRefused, match="run is no whole run .*; copy it anew"):
            plot.training(run)
