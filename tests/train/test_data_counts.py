"""Counts of events: learned from, exported, and fed to the network from a recording's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from recordings import nmnist_bytes
from tiny import SETTINGS

import lehr
from lehr.recordings import open_inputs
from lehr.train.data import load_dataset
from lehr.train.recipe import Recipe
from lehr.train.recipefile import to_toml

STEPS, STEP_US = 6, 8_000
FRAMES = f"step_us={STEP_US},start_us=0,steps={STEPS},downsample=2"
LAYERS = [
    SETTINGS["network"]["layers"][0],
    {"type": "linear", "features": 10, "threshold": {"start": 1.0, "final": 2.0, "rate": 0.05}},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """N-MNIST as published: a blob of events at a place of its digit."""
    for part, count in (("Train", 40), ("Test", 5)):
        for number in range(count):
            rng, digit = np.random.default_rng(number), number % 10
            time = np.sort(rng.integers(0, 8_192, 600))
            turns = np.sort(rng.integers(0, STEPS, 600))
            x, y = (rng.normal(5 + 5 * each, 3, 600).clip(0, 33) for each in divmod(digit, 5))
            events = list(zip(*(c.astype(int).tolist() for c in (turns, time, x, y)), strict=True))
            path = tmp_path / part / str(digit) / f"{number + 1:05}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            data = b""
            for turn in range(STEPS):
                of_turn = sorted(event[1:] for event in events if event[0] == turn)
                data += nmnist_bytes(*((t, x, y, (x + y) % 2) for t, x, y in of_turn))
                data += nmnist_bytes((0, 0, 240, 0))  # the clock of 13 bits runs over
            path.write_bytes(data)
    return tmp_path


@pytest.fixture
def recipe() -> Recipe:
    return Recipe.model_validate(
        {
            **SETTINGS,
            "data": {
                "name": "nmnist",
                "steps": STEPS,
                "step_ms": STEP_US / 1000,
                "downsample": 2,
                "frames": "count",
            },
            "network": {**SETTINGS["network"], "steps": STEPS, "layers": LAYERS},
            "train": {"epochs": 2, "batch_size": 8, "lr": 5e-3},
        }
    )


def test_a_network_trained_on_counts_gets_the_counts_of_a_recording(
    folder: Path, recipe: Recipe, tmp_path: Path
) -> None:
    test = load_dataset(recipe.data, folder).test
    (tmp_path / "counts.toml").write_bytes(to_toml(recipe))
    lehr.train(tmp_path / "counts.toml", tmp_path / "run", data=folder)
    net = lehr.export(tmp_path / "run").network
    assert net.input.kind == "u8"
    for number, x in enumerate(test.x):
        (path,) = folder.glob(f"Test/*/{number + 1:05}.bin")
        assert x.max() > 2
        assert np.array_equal(open_inputs(path, net.input, FRAMES).whole()[0], x)
        fed = lehr.simulate(net, path, frames=FRAMES, trace="all")
        assert all(0 < rate < 1 for rate in fed.rates.values())
        assert lehr.compare(lehr.simulate(net, x[None], trace="all"), fed).equal
        cut = lehr.simulate(net, path, frames=f"{FRAMES},most=1", trace="all")
        assert not lehr.compare(cut, fed).equal
        assert lehr.compare(lehr.simulate(net, np.minimum(x, 1)[None], trace="all"), cut).equal


def test_a_graph_that_takes_counts_is_quantized_on_those_of_a_recording(
    folder: Path, recipe: Recipe
) -> None:
    """`full_scale` says that it does: with none, inputs are spikes."""
    weights = np.random.default_rng(0).normal(0, 1, (4, 2 * 17 * 17))
    graph = nir.NIRGraph.from_list(
        nir.Flatten({"input": np.array([2, 17, 17])}, 0, -1),
        nir.Linear(weights),
        nir.IF(r=np.ones(4), v_threshold=np.full(4, 20.0)),
    )
    (path,) = folder.glob("Test/*/00001.bin")
    x = load_dataset(recipe.data, folder).test.x[:1]
    for full_scale, given in ((1, x), (None, np.minimum(x, 1))):
        options: dict[str, Any] = {"full_scale": full_scale, "integrate": "step", "weights": "int8"}
        fed = lehr.quantize(graph, path, frames=FRAMES, **options)
        assert all(0 < layer.rate < 1 for layer in fed.effect.layers.values())
        by_hand = lehr.quantize(graph, given, **options)
        assert fed.network.digest == by_hand.network.digest
        assert fed.effect.layers == by_hand.effect.layers
