"""Firing rates in training.

Measured as the simulator measures them, dead and saturated layers named, a silent output refused.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commands import Lehr
from tiny import SETTINGS, tiny_recipe

from lehr.errors import UsageError
from lehr.train.data import load_dataset
from lehr.train.learning import rates
from lehr.train.learning.loop import train
from lehr.train.learning.rates import DEAD, SATURATED, Epoch, firing_rates, warnings
from lehr.train.recipe import Recipe
from lehr.train.recipefile import ARMS, bundled, load, parse, to_toml


def _tiny(*overrides: str) -> Recipe:
    return parse(to_toml(tiny_recipe()).decode(), "tiny", overrides)


def test_rates_are_spikes_per_neuron_and_step_over_all_samples() -> None:
    few, many = torch.zeros(4, 1, 5), torch.zeros(4, 3, 5)
    few[0, 0, :2] = 1  # 2 of 20
    many[:, 2] = 1  # 20 of 60
    epoch = Epoch()
    for batch in (few, many):
        epoch.add(firing_rates([batch], batch.shape[1]), batch.shape[1])
    assert epoch.metrics() == {"rates": [pytest.approx(22 / 80)], "dead": [], "saturated": []}


def test_dead_and_saturated_layers_are_named() -> None:
    epoch = Epoch()
    epoch.add([0.0, DEAD * 0.99, DEAD, 0.3, SATURATED, 0.999], 8)
    metrics = epoch.metrics()
    assert metrics["dead"] == ["lif1", "lif2"]
    assert metrics["saturated"] == ["lif6"]
    assert warnings({"phase": "A", **metrics}) == {
        (
            "A",
            "lif1",
        ): "lif1 is dead in phase A: 0.0000 spikes per neuron and step; lower its threshold or raise it more slowly",
        (
            "A",
            "lif2",
        ): "lif2 is dead in phase A: 0.0001 spikes per neuron and step; lower its threshold or raise it more slowly",
        (
            "A",
            "lif6",
        ): "lif6 is saturated in phase A: 0.9990 spikes per neuron and step; raise its threshold",
    }


def test_every_epoch_of_every_phase_tells_the_rates() -> None:
    recipe = _tiny(
        "train.epochs=2",
        "train.lr=1e-9",
        "finetune.lr=1e-9",
        "finetune.threshold_lr=1e-9",
        "train.thresholds=start",
    )
    data = load_dataset(recipe.data, None)
    trained = train(recipe, data)
    assert [m["phase"] for m in trained.metrics] == ["A", "A", "B", "C"]
    assert all(0 < rate < 1 for m in trained.metrics for rate in m["rates"])
    assert trained.twin is not None
    spikes = trained.twin.layers(torch.from_numpy(data.train.x).float())[
        0
    ]  # nothing moved in phase C
    assert trained.metrics[-1]["rates"] == pytest.approx(
        [float(s.detach().mean()) for s in spikes.values()], abs=1e-5
    )


def test_rate_controlled_training_needs_no_final_and_keeps_every_layer_alive() -> None:
    fields = {
        **SETTINGS,
        "network": {
            **SETTINGS["network"],
            "layers": [dict(layer) for layer in SETTINGS["network"]["layers"]],
        },
    }
    for layer in fields["network"]["layers"]:
        layer["threshold"] = {
            "start": 0.1,
            "schedule": "rate-controlled",
            "floor": 0.2,
            "rate": 0.1,
        }
    recipe = Recipe.model_validate(fields)
    metrics = [
        m for m in train(recipe, load_dataset(recipe.data, None)).metrics if m["phase"] == "A"
    ]
    assert all(
        threshold > 0.3 for threshold in metrics[-1]["thresholds"][:2]
    )  # they fired more than the floor all along
    assert 0.1 < metrics[-1]["thresholds"][2] < 0.3  # this one soon fell under it
    assert all(rate > 0.02 for rate in metrics[-1]["rates"])


def test_a_silent_output_ends_the_run_and_warns_once_a_layer(lehr: Lehr, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_bytes(to_toml(tiny_recipe()))
    silent = ("--set", "network.layers.2.threshold.start=1e6", "--set", "train.thresholds=start")
    ran = lehr("train", tmp_path / "tiny.toml", "-o", tmp_path / "run", *silent)
    assert ran.code == 2
    assert (
        ran.err.count(
            "warning: lif3 is dead in phase A: 0.0000 spikes per neuron and step; lower its "
            "threshold or"
        )
        == 1
    )
    assert (
        "error: phase A: lif3, the last layer that fires, fired no spike in the whole last epoch; "
        "lower the thresholds up to it "
        "(network.layers.2.threshold), raise them more slowly, or lower the learning rate"
        in ran.err
    )
    assert not (tmp_path / "run").exists()


def test_a_silent_epoch_that_is_not_the_last_ends_nothing() -> None:
    recipe = _tiny(
        "network.layers.2.threshold={start = 1e6, final = 1.0, schedule = 'linear', until = 0.6}",
        "train.epochs=4",
    )
    metrics = train(recipe, load_dataset(recipe.data, None)).metrics
    assert metrics[0]["dead"] == ["lif3"]
    assert metrics[-1]["dead"] == []


def test_a_layer_is_warned_of_once_a_phase(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        rates, "SATURATED", 0.01
    )  # every layer of the tiny network fires more, in every epoch
    (tmp_path / "tiny.toml").write_bytes(to_toml(tiny_recipe()))
    ran = lehr("train", tmp_path / "tiny.toml", "-o", tmp_path / "run", "--json")
    assert [m["saturated"] for m in ran.facts["runs"][0]["metrics"]] == [
        ["lif1", "lif2", "lif3"]
    ] * 5
    warned = [
        line.partition(":")[2].split(": ")[0]
        for line in ran.err.splitlines()
        if line.startswith("warning:") and "saturated" in line
    ]
    assert warned == [
        f" {name} is saturated in phase {phase}"
        for phase in "ABC"
        for name in ("lif1", "lif2", "lif3")
    ]


@pytest.mark.parametrize("arm", ARMS)
def test_arms(arm: str) -> None:
    recipe = _tiny(*ARMS[arm], "train.epochs=1", "finetune.epochs=0", "finetune.frozen_epochs=0")
    trained = train(recipe, load_dataset(recipe.data, None))
    assert (trained.network is None) == (arm == "float")
    ends = [threshold.final for threshold in recipe.network.annealed]
    assert (trained.metrics[0]["thresholds"] == ends) == (arm == "binarized")


def test_every_bundled_recipe_has_every_arm(lehr: Lehr) -> None:
    for name in bundled():
        assert len({to_toml(load(name, overrides)) for overrides in ARMS.values()}) == len(ARMS), (
            name
        )
    listed = lehr("recipes", "list").out
    for overrides in ARMS.values():
        assert all(f"--set {override}" in listed for override in overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("train.cycles=3",),
            "train.cycles is 3; a schedule named 'restarts' needs 2 or more, all others 1",
        ),
        (
            ("train.lr_schedule=restarts",),
            "train.cycles is 1; a schedule named 'restarts' needs 2 or more, all others 1",
        ),
        (
            (
                "network.layers.1.threshold={start=1.0, schedule='rate-controlled'}",
                "train.thresholds=final",
            ),
            "train.thresholds is 'final', but network.layers.1.threshold has no 'final' to be held "
            "at",
        ),
    ],
)
def test_schedules_that_contradict_the_training_are_refused(
    overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        _tiny(*overrides)
    assert message in str(error.value)
