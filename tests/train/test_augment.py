"""Training images that are moved and mirrored.

What becomes of their pixels, and that nothing else is touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny import tiny_recipe

from lehr.errors import UsageError
from lehr.train.data import load_dataset
from lehr.train.keys.augment import Augment
from lehr.train.learning import loop
from lehr.train.learning.augment import augmented
from lehr.train.recipe import Recipe


def images(*shape: int) -> Any:
    return np.random.default_rng(1).integers(1, 256, shape).astype(np.uint8)


def test_mirrored_images_are_mirrored_or_not() -> None:
    x = images(200, 1, 5, 4)
    changed = augmented(x, Augment(mirror=0.25), np.random.default_rng(2))
    turned = (changed == x[..., ::-1]).all((1, 2, 3))
    assert ((changed == x).all((1, 2, 3)) ^ turned).all()
    assert 0.15 < turned.mean() < 0.35


@pytest.mark.parametrize(
    "shape", [(300, 2, 6, 5), (300, 3, 1, 6, 5)], ids=["held", "of several steps"]
)
def test_shifted_images_keep_the_pixels_that_stay_inside(shape: tuple[int, ...]) -> None:
    x = images(*shape)
    changed = augmented(x, Augment(shift=2), np.random.default_rng(3))
    assert changed.shape == x.shape
    assert changed.dtype == np.uint8
    seen = set()
    for image, moved in zip(x, changed, strict=True):
        inside = np.argwhere(moved.reshape(-1, 6, 5).any(0))
        (top, left), (bottom, right) = inside.min(0), inside.max(0)
        down, across = (int(top) or int(bottom) - 5), (int(left) or int(right) - 4)
        seen.add((down, across))
        rows, columns = np.clip([down, 6 + down], 0, 6), np.clip([across, 5 + across], 0, 5)
        expected = np.zeros_like(image)
        expected[..., slice(*rows), slice(*columns)] = image[
            ..., slice(*(rows - down)), slice(*(columns - across))
        ]
        np.testing.assert_array_equal(moved, expected)
    assert seen == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_the_images_themselves_stay_as_they_are() -> None:
    x = images(50, 1, 4, 4)
    kept = x.copy()
    for augment in (Augment(mirror=1.0), Augment(shift=1), Augment(shift=1, mirror=0.5)):
        augmented(x, augment, np.random.default_rng(0))
    np.testing.assert_array_equal(x, kept)


def test_only_training_samples_are_augmented(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = with_augment(Augment(mirror=0.5))
    data = load_dataset(recipe.data, None)
    taken: list[Any] = []

    def spied(x: Any, augment: Augment, random: np.random.Generator) -> Any:
        taken.append(x)
        return augmented(x, augment, random)

    monkeypatch.setattr(loop, "augmented", spied)
    loop.train(recipe, data)
    tuning = recipe.finetune
    assert tuning is not None
    assert sum(map(len, taken)) == len(data.train) * (
        recipe.train.epochs + tuning.epochs + tuning.frozen_epochs
    )
    known = {image.tobytes() for image in data.train.x}
    assert all(image.tobytes() in known for image in taken[0])


def test_samples_without_rows_and_columns_are_refused() -> None:
    recipe = with_augment(Augment(shift=1))
    data = load_dataset(
        recipe.data.model_copy(update={"name": "temporal", "steps": recipe.network.steps}), None
    )
    with pytest.raises(
        UsageError,
        match=r"train.augment moves images, but a sample has shape \(100,\), without rows and columns; leave it out",
    ):
        loop.train(recipe, data)


def test_augmenting_nothing_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match="'augment' is given, but changes nothing; give it 'shift' or another change, or leave it out",
    ):
        Augment()


def with_augment(augment: Augment) -> Recipe:
    recipe = tiny_recipe()
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"augment": augment})})
