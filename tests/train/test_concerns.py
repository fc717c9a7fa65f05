"""What a finished training gives reason to doubt.

Each concern where it is due, and nowhere else.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from tiny import tiny_recipe

from lehr.export.checkpoint import load_run
from lehr.simulate import simulate
from lehr.train.data import Dataset, load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.learning.evaluation import activity
from lehr.train.learning.loop import Trained, train
from lehr.train.recipe import Recipe
from lehr.train.recipefile import parse, to_toml
from lehr.train.runs.concerns import concerns
from lehr.train.twin.network import Twin

ARRIVING = tuple(f"network.layers.{layer}.threshold.rate=0.5" for layer in range(3))
FAST = "network.layers.0.threshold.rate=0.41 (now 0.05), network.layers.1.threshold.rate=0.41 (now 0.05), network.layers.2.threshold.rate=0.41 (now 0.05)"


def _tiny(*overrides: str) -> Recipe:
    return parse(to_toml(tiny_recipe()).decode(), "tiny", overrides)


@cache
def _data() -> Dataset:
    return load_dataset(tiny_recipe().data, None)


@cache
def _trained(*overrides: str) -> Trained:
    return train(_tiny(*overrides), _data())


def _about(words: str, warnings: list[str]) -> list[str]:
    return [warning for warning in warnings if words in warning]


def test_thresholds_that_had_not_arrived_are_named_with_what_brings_them_there() -> None:
    (warning,) = _about("thresholds", _trained().warnings)
    assert warning == (
        "thresholds had not arrived at their final values when phase A ended: lif1 0.8014 of 1 "
        "(60 % of its way), lif2 0.8014 of 1 (60 % of its way), lif3 2.206 of 3 (60 % of its way); "
        f"train longer, train.epochs=30 (now 3), or anneal faster, {FAST}"
    )


@pytest.mark.parametrize("key", [r"train\.epochs=\d+", r"network\.\S+\.rate=[\d.]+"])
def test_they_arrive_with_what_is_suggested(key: str) -> None:
    (warning,) = _about("thresholds", _trained().warnings)
    suggested = re.findall(key, warning)
    assert suggested
    recipe = _tiny(*suggested)
    per_epoch = math.ceil(len(_data().train) / recipe.train.batch_size)
    for schedule in recipe.network.annealed:
        assert schedule.rate is not None
        assert (1 - schedule.rate) ** (recipe.train.epochs * per_epoch) < 0.01


@pytest.mark.parametrize("overrides", [ARRIVING, ("train.thresholds=final",)])
def test_thresholds_that_have_arrived_or_are_held_are_none(overrides: tuple[str, ...]) -> None:
    assert not _about("thresholds", _trained(*overrides).warnings)


def _guessing(trained: Trained) -> FloatNet:
    """The network with an output that fires always, so that class 0 wins."""
    trained.model.layers[-1].neurons.threshold.fill_(-100.0)
    return trained.model


def test_a_network_that_guesses_is_at_chance_level() -> None:
    recipe = _tiny("network.weights=float", "train.epochs=1")
    trained = train(recipe, _data())
    model = _guessing(trained)
    (warning,) = _about("chance", concerns(recipe, model, trained.metrics, _data()))
    zeros = int((_data().validation.y == 0).sum())
    assert len(_data().validation) == 300
    assert warning == (
        f"the float network is at chance level: {zeros / 3:.2f} % of 300 validation samples are "
        "right, and who guesses among 10 classes has 6.67 % to 13.67 % (95 % interval); train "
        "longer, train.epochs (now 1), on more samples, data.train_samples (now 192), or with "
        "another train.lr (now 0.005)"
    )


def test_the_interval_holds_nineteen_of_twenty_who_guess() -> None:
    """Judged by people who guess, drawn by numpy.

    The interval is of whole samples, and a little wider.
    """
    shares = np.random.default_rng(0).binomial(300, 0.1, 100_000) / 300
    within = ((shares >= 0.0667 - 1e-4) & (shares <= 0.1367 + 1e-4)).mean()
    assert 0.95 <= within < 0.97


def test_a_network_that_has_learnt_is_not_at_chance_level() -> None:
    trained = _trained(*ARRIVING, "train.epochs=12")
    assert trained.metrics[-1]["validation_accuracy"] > 0.2
    assert not _about("chance", trained.warnings)


def test_neurons_that_never_or_always_fire_are_counted_with_the_key_to_change() -> None:
    recipe = _tiny("train.epochs=1")
    trained = train(recipe, _data())
    assert not _about("fired on", trained.warnings)
    trained.model.layers[1].neurons.threshold.fill_(1e6)
    trained.model.layers[2].neurons.threshold.fill_(-100.0)
    assert _about("fired on", concerns(recipe, trained.model, trained.metrics, _data())) == [
        "lif2: 32 of 32 neurons (100 %) never fired on the 300 validation samples; lower "
        "network.layers.1.threshold.final (now 1) or network.layers.1.threshold.start (now 0.5), "
        "or anneal more slowly: lower network.layers.1.threshold.rate (now 0.05)",
        "lif3: 10 of 10 neurons (100 %) always fired on the 300 validation samples; raise "
        "network.layers.2.threshold.final (now 3) or network.layers.2.threshold.start (now 1)",
    ]


@pytest.mark.parametrize(
    ("threshold", "way_out"),
    [
        ("{start = 2.0}", "lower network.layers.1.threshold.start (now 2)"),
        (
            "{start = 1.0, final = 2.0, schedule = 'linear', until = 0.7}",
            "anneal more slowly: raise network.layers.1.threshold.until (now 0.7)",
        ),
        (
            "{start = 1.0, schedule = 'rate-controlled'}",
            "lower network.layers.1.threshold.start (now 1), or anneal more slowly: raise network.layers.1.threshold.floor",
        ),
    ],
)
def test_the_key_is_one_of_the_schedule(threshold: str, way_out: str) -> None:
    recipe = _tiny(f"network.layers.1.threshold={threshold}")
    model = FloatNet(recipe.network, _data().shape).eval()
    model.layers[1].neurons.threshold.fill_(1e6)
    metrics = [
        {"phase": "A", "epoch": 1, "candidate": False, "thresholds": [1.0, 1.0, 3.0]},
    ]
    warnings = concerns(recipe, model, metrics, _data())
    assert _about("lif2", warnings)[0].endswith(way_out)


def test_neurons_are_counted_as_the_simulator_counts_them() -> None:
    net = _trained().network
    assert net is not None
    lif = net.neurons["lif2"]
    threshold = np.array([2**20, 1, *lif.threshold[2:]], np.int32)
    bias = np.array([0, 4000, *lif.bias[2:]], np.int32)
    net = replace(net, nodes={**net.nodes, "lif2": replace(lif, threshold=threshold, bias=bias)})
    layers = simulate(net, _data().validation.x).layers
    counted = activity(Twin(net), _data().validation)
    assert [(c.neurons, c.silent, c.always_on) for c in counted] == [
        (layer.spikes.size, layer.dead, layer.always_on) for layer in layers.values()
    ]
    assert counted[1].silent == counted[1].always_on == 4


def test_a_run_keeps_its_warnings_and_the_command_prints_them(lehr: Lehr, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_bytes(to_toml(_tiny("train.epochs=1")))
    ran = lehr("train", tmp_path / "tiny.toml", "-o", tmp_path / "run", "--json")
    assert ran.code == 0, ran.err
    kept = load_run(tmp_path / "run").facts["warnings"]
    assert _about("thresholds", kept)
    assert ran.facts["warnings"] == ran.facts["runs"][0]["warnings"] == kept
    printed = [line.removeprefix("warning: ") for line in ran.err.splitlines()]
    assert [line for line in printed if line in kept] == kept
    assert json.loads((tmp_path / "run/state.json").read_bytes())["warnings"] == kept


def test_without_reason_there_is_no_warning(lehr: Lehr, tmp_path: Path) -> None:
    recipe = _tiny(*ARRIVING, "train.epochs=12")
    (tmp_path / "tiny.toml").write_bytes(to_toml(recipe))
    ran = lehr("train", tmp_path / "tiny.toml", "-o", tmp_path / "run", "--json")
    assert ran.code == 0, ran.err
    assert ran.facts["warnings"] == []
    assert "warning" not in ran.err
