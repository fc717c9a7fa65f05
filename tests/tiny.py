"""A recipe small enough to be trained in a second: for tests of what comes after training."""

from __future__ import annotations

from typing import Any

from lehr.train.recipe import Recipe
from lehr.train.recipefile import to_toml

SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "description": "two small convolutions on a few digits",
    "seed": 5,
    "data": {"name": "digits", "train_samples": 192, "test_samples": 80},
    "network": {
        "steps": 6,
        "beta": "3/4",
        "slope": 2.0,
        "layers": [
            {
                "type": "conv",
                "channels": 6,
                "kernel": 3,
                "pool": 2,
                "batch_norm": True,
                "threshold": {"start": 0.5, "final": 1.0, "rate": 0.05},
            },
            {
                "type": "conv",
                "channels": 8,
                "kernel": 2,
                "batch_norm": True,
                "threshold": {"start": 0.5, "final": 1.0, "rate": 0.05},
            },
            {
                "type": "linear",
                "features": 10,
                "threshold": {"start": 1.0, "final": 3.0, "rate": 0.05},
            },
        ],
    },
    "train": {"epochs": 3, "batch_size": 32, "lr": 5e-3},
    "finetune": {"epochs": 1, "frozen_epochs": 1, "lr": 5e-4, "threshold_lr": 2e-3},
}


def tiny_recipe() -> Recipe:
    """Return the recipe."""
    return Recipe.model_validate(SETTINGS)


def tiny_toml() -> str:
    """Return the recipe as a file's text."""
    return to_toml(tiny_recipe()).decode()
