"""Events of training samples that are dropped, moved and mixed.

What becomes of known arrays, and that nothing else is touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny import SETTINGS

from lehr.errors import UsageError
from lehr.train.data import Dataset, Split, load_dataset
from lehr.train.keys.augment import Augment
from lehr.train.learning import loop
from lehr.train.learning.augment_events import augmented_events
from lehr.train.recipe import Recipe

N, STEPS, CHANNELS = 300, 12, 20


def samples(highest: int = 1, *shape: int) -> tuple[Any, Any]:
    """Samples of which each value above 0 says where it was, as far as uint8 goes; and labels."""
    drawn = np.random.default_rng(1)
    x = drawn.integers(1, highest + 1, (N, STEPS, *(shape or (CHANNELS,)))).astype(np.uint8)
    return x, drawn.integers(0, 5, N)


def changed(x: Any, y: Any, seed: int = 2, **keys: Any) -> Any:
    kept = x.copy()
    result = augmented_events(x, y, Augment(**keys), np.random.default_rng(seed))
    np.testing.assert_array_equal(x, kept)
    assert result[0].dtype == np.uint8
    assert result[0].shape == x.shape
    return result


def test_events_are_dropped_one_by_one() -> None:
    x, y = samples()
    left, _ = changed(x, y, drop=0.3)
    assert set(np.unique(left)) == {0, 1}
    assert left.mean() == pytest.approx(0.7, abs=0.01)
    assert not (left == left[:, :1]).all()
    counts, y = samples(200)
    fewer, _ = changed(counts, y, drop=0.3)
    assert (fewer <= counts).all()
    assert fewer.sum() / counts.sum() == pytest.approx(0.7, abs=0.01)
    assert ((fewer > 0) & (fewer < counts)).mean() > 0.9  # each event by itself, not all of a value


@pytest.mark.parametrize(
    ("key", "axis", "size"), [("drop_steps", 1, STEPS), ("drop_channels", 2, CHANNELS)]
)
def test_a_stretch_is_silent(key: str, axis: int, size: int) -> None:
    x, y = samples(9)
    left, _ = changed(x, y, **{key: 4})
    lost, starts = set(), set()
    for before, after in zip(x, left, strict=True):
        gone = ~after.any(2 - axis)
        assert gone.shape == (size,)
        places = np.flatnonzero(gone)
        lost.add(len(places))
        starts.update(places[:1].tolist())
        assert len(places) < 2 or (np.diff(places) == 1).all()
        kept = np.take(after, np.flatnonzero(~gone), axis - 1)
        np.testing.assert_array_equal(kept, np.take(before, np.flatnonzero(~gone), axis - 1))
    assert lost == {0, 1, 2, 3, 4}
    assert {0, size - 1} <= starts


@pytest.mark.parametrize(("key", "axis"), [("shift_steps", 1), ("shift_channels", 2)])
def test_samples_move_as_a_whole(key: str, axis: int) -> None:
    x, y = samples(250)
    moved, _ = changed(x, y, **{key: 2})
    seen = set()
    for before, after in zip(np.moveaxis(x, axis, 1), np.moveaxis(moved, axis, 1), strict=True):
        empty = np.flatnonzero(~after.any(1)).tolist()
        size = len(after)
        far = 0 if not empty else len(empty) if empty[0] == 0 else -len(empty)
        seen.add(far)
        expected = np.zeros_like(before)
        if far >= 0:
            expected[far:] = before[: size - far]
        else:
            expected[:far] = before[-far:]
        np.testing.assert_array_equal(after, expected)
    assert seen == {-2, -1, 0, 1, 2}


def test_labels_of_steps_move_with_them() -> None:
    x, _ = samples(250)
    by_step = np.random.default_rng(3).integers(0, 5, (N, STEPS))
    moved, labels = changed(x, by_step, shift_steps=3)
    seen = 0
    for sample in range(N):
        filled = ~moved[sample].any(1)
        assert (labels[sample][filled] == -1).all()
        where = [np.flatnonzero((x[sample] == step).all(1)) for step in moved[sample][~filled]]
        sources = [int(place[0]) for place in where]
        np.testing.assert_array_equal(labels[sample][~filled], by_step[sample][sources])
        seen += sources[0] != int(np.flatnonzero(~filled)[0])
    assert seen > N / 2


def test_a_mixed_sample_has_a_stretch_of_another_of_its_class() -> None:
    drawn = np.random.default_rng(4)
    y = drawn.integers(0, 5, N)
    # each sample is full of its own number; the class of a number is known
    x = np.broadcast_to((np.arange(N) % 250)[:, None, None], (N, STEPS, CHANNELS))
    x, y = x[:250].astype(np.uint8), y[:250]
    mixed, labels = changed(x, y, mix=0.5)
    np.testing.assert_array_equal(labels, y)
    others, lengths = 0, set()
    for sample, rows in enumerate(mixed):
        assert (rows == rows[:, :1]).all()  # whole steps
        numbers = rows[:, 0]
        foreign = np.flatnonzero(numbers != sample)
        if len(foreign):
            others += 1
            lengths.add(len(foreign))
            assert (np.diff(foreign) == 1).all()
            [source] = set(numbers[foreign].tolist())
            assert y[source] == y[sample]
    assert 0.35 < others / 250 < 0.65
    assert lengths == set(range(1, STEPS // 2 + 1))


def test_maps_of_one_row_are_lines_too() -> None:
    x, y = samples(9, 2, 1, CHANNELS)
    left, _ = changed(x, y, drop_channels=4, shift_channels=1)
    assert (left == 0).any()
    line, _ = changed(x[:, :, 0, 0], y, drop_channels=4, shift_channels=1)
    np.testing.assert_array_equal(left[:, :, 0, 0], line)


def spoken(**augment: Any) -> tuple[Recipe, Dataset]:
    """A recipe on lines of channels, with the tiny recipe's training."""
    x, y = samples()
    x = (x * (np.random.default_rng(5).random(x.shape) < 0.3)).astype(np.uint8)
    split = Split(x, y.astype(np.int64))
    layers = [
        {"type": "linear", "features": 16, "threshold": {"start": 1.0}},
        {"type": "linear", "features": 5, "threshold": {"start": 1.0}},
    ]
    recipe = Recipe.model_validate(
        {
            **SETTINGS,
            "data": {"name": "npz", "path": "x.npz", "steps": STEPS},
            "network": {"steps": STEPS, "beta": "3/4", "slope": 2.0, "layers": layers},
            "train": {**SETTINGS["train"], "augment": augment} if augment else SETTINGS["train"],
        }
    )
    return recipe, Dataset(split, split.take(50), split.take(50), 5, "spikes", STEPS)


def test_only_training_samples_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, data = spoken(drop=0.2, mix=0.5, shift_steps=1, shift_channels=2, drop_steps=2)
    kept = data.train.x.copy()
    taken: list[int] = []

    def spied(x: Any, y: Any, augment: Augment, random: np.random.Generator) -> Any:
        taken.append(len(x))
        return augmented_events(x, y, augment, random)

    monkeypatch.setattr(loop, "augmented_events", spied)
    one = loop.train(recipe, data)
    assert sum(taken) == len(data.train) * 5  # epochs of all phases
    np.testing.assert_array_equal(data.train.x, kept)
    again = loop.train(recipe, data)
    assert one.network == again.network
    plain = loop.train(*spoken())
    assert plain.network != one.network


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (
            {"shift": 1},
            "train.augment moves images, but a sample has shape (20,), without rows and columns; "
            "leave it out",
        ),
        (
            {"shift_steps": 12},
            "train.augment.shift_steps is 12, but a sample has 12 steps; lower it",
        ),
    ],
)
def test_changes_that_events_do_not_take_are_refused(augment: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        loop.train(*spoken(**augment))
    assert str(error.value) == message


def test_changes_that_images_do_not_take_are_refused() -> None:
    recipe = Recipe.model_validate(
        {**SETTINGS, "train": {**SETTINGS["train"], "augment": {"drop": 0.1, "mix": 1.0}}}
    )
    with pytest.raises(UsageError) as error:
        loop.train(recipe, load_dataset(recipe.data, None))
    assert error.value.args == (
        "train.augment.drop is 0.1, but a sample is held for all steps, and has no events; leave "
        "it out, or set data.encoding",
        "train.augment.mix is 1, but a sample is held for all steps, and has no events; leave it "
        "out, or set data.encoding",
    )
    [sentence] = Augment(shift_channels=3, drop=0.1).contradictions((2, 34, 34), 8, by_step=True)
    assert sentence == (
        "train.augment.shift_channels is 3, but a step of a sample has shape (2, 34, 34), no line "
        "of channels; leave it out"
    )
    [sentence] = Augment(mix=0.5).contradictions((20,), 8, by_step=True)
    assert sentence == (
        "train.augment.mix is 0.5, but labels are given for each step, and a sample is of no one "
        "class; leave it out"
    )
