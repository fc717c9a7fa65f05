"""Pixels to spikes: what each code means, and that it is the same everywhere and always."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from lehr.errors import UsageError
from lehr.train.data import load_dataset
from lehr.train.data.encode import delta, encode, latency, rate
from lehr.train.recipe import DataRecipe

EVERY = np.arange(256, dtype=np.uint8).reshape(1, 256)


def test_latency_is_one_spike_the_brighter_the_sooner() -> None:
    spikes = latency(EVERY, 5)
    assert spikes.shape == (1, 5, 256)
    assert spikes.sum(axis=1)[0].tolist() == [0] + [1] * 255
    when = spikes.argmax(axis=1)[0, 1:]
    assert when.tolist() == [(255 - p) * 5 // 255 for p in range(1, 256)]
    assert (when[0], when[-1]) == (4, 0)


@pytest.mark.parametrize("steps", [1, 4, 5, 16, 255, 300])
def test_delta_counts_the_steps_up_from_dark(steps: int) -> None:
    spikes = delta(EVERY, steps)
    height = -(-255 // steps)
    assert spikes.sum(axis=1, dtype=int)[0].tolist() == [p // height for p in range(256)]
    # a burst from the first step on, that nothing interrupts
    assert (np.diff(spikes.astype(int), axis=1) <= 0).all()


def test_rate_is_the_specified_generator() -> None:
    x = np.random.default_rng(0).integers(0, 256, (3, 1, 5, 3), np.uint8)
    spikes = rate(x, 7, (11, 2))
    words = np.random.PCG64(np.random.SeedSequence((11, 2))).random_raw(40)
    drawn = [int(word) >> shift & 255 for word in words for shift in range(0, 64, 8)]
    expected = [
        drawn[((n * 7 + t) * 15) + i] < x[n].ravel()[i]
        for n in range(3)
        for t in range(7)
        for i in range(15)
    ]
    assert spikes.ravel().tolist() == expected
    assert np.array_equal(rate(x[:2], 7, (11, 2)), spikes[:2])
    assert not np.array_equal(rate(x, 7, (11, 1)), spikes)


def test_rate_has_the_chance_it_should() -> None:
    spikes = rate(EVERY, 20_000, (0, 0))
    chance = np.arange(256) / 256
    deviation = np.sqrt(chance * (1 - chance) / 20_000)
    assert (np.abs(spikes.mean(axis=1)[0] - chance) <= 4.5 * deviation).all()


def test_rate_is_pinned() -> None:
    """These bits may never change: a recipe is a promise."""
    x = np.arange(0, 256, 5, dtype=np.uint8).reshape(4, 13)
    digest = hashlib.sha256(np.packbits(encode(x, "rate", 9, (1, 0))).tobytes()).hexdigest()
    assert digest[:16] == "bd54dd3fcc942b12"


@pytest.mark.parametrize("encoding", ["rate", "latency", "delta"])
def test_recipes_choose_the_code(encoding: str) -> None:
    recipe = DataRecipe.model_validate(
        {
            "name": "digits",
            "encoding": encoding,
            "steps": 6,
            "train_samples": 30,
            "test_samples": 20,
        }
    )
    data, plain = load_dataset(recipe, None), load_dataset(DataRecipe(name="digits"), None)
    assert (data.kind, data.steps, data.shape) == ("spikes", 6, (1, 8, 8))
    assert (data.train.x.shape, data.test.x.shape) == ((30, 6, 1, 8, 8), (20, 6, 1, 8, 8))
    assert set(np.unique(data.train.x)) == {0, 1}
    counts = data.train.x.sum(axis=1, dtype=float)
    if encoding != "latency":
        assert np.corrcoef(counts.ravel(), plain.train.x[:30].ravel())[0, 1] > 0.9
    # the splits draw numbers of their own
    whole = load_dataset(recipe.model_copy(update={"train_samples": None}), None)
    assert np.array_equal(whole.train.x[:30], data.train.x)
    other = load_dataset(recipe.model_copy(update={"seed": 1}), None)
    assert np.array_equal(other.train.x, data.train.x) == (encoding != "rate")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"name": "digits", "encoding": "rate"},
            "data.encoding is 'rate', but data.steps is not given; set it to network.steps",
        ),
        (
            {"name": "digits", "steps": 3},
            "data.steps is 3, which data set digits does not take; remove it",
        ),
        (
            {"name": "digits", "path": "x"},
            "data.path is 'x', which data set digits does not take; remove it",
        ),
        (
            {"name": "nmnist", "step_ms": 3},
            "data set nmnist needs data.steps, which is not given; add it to the recipe",
        ),
        (
            {"name": "shd", "steps": 3},
            "data set shd needs data.step_ms, which is not given; add it to the recipe",
        ),
        (
            {"name": "nmnist", "steps": 3, "step_ms": 2, "encoding": "rate"},
            "data.encoding is 'rate', which data set nmnist does not take; remove it",
        ),
        (
            {"name": "shd", "steps": 3, "step_ms": 2, "downsample": 2},
            "data.downsample is 2, which data set shd does not take; remove it",
        ),
        ({"name": "npz"}, "data set npz needs data.path, which is not given; add it to the recipe"),
    ],
)
def test_keys_must_go_with_the_data_set(keys: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_dataset(DataRecipe.model_validate(keys), None)
    assert str(caught.value) == message
