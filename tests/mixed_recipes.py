"""Small recipes whose layers have weights of several kinds, a max pooling, and sums of spikes."""

from __future__ import annotations

from typing import Any

from lehr.train.recipe import Recipe

MIXED = (
    {
        "type": "conv",
        "channels": 4,
        "kernel": 3,
        "padding": 1,
        "weights": "int8",
        "weight_step": "fixed",
        "threshold": {"start": 0.5},
        "batch_norm": True,
    },
    {
        "type": "conv",
        "channels": 4,
        "kernel": 3,
        "padding": 1,
        "max_pool": 2,
        "threshold": {"start": 0.5},
        "batch_norm": True,
    },
    {"type": "linear", "features": 12, "weights": "ternary", "threshold": {"start": 1.0}},
    {"type": "linear", "features": 10, "weights": "int4", "threshold": {"start": 1.0}},
)
"""Four layers."""

RESIDUAL = (
    {**MIXED[0], "name": "stem"},
    {**MIXED[1], "max_pool": 1, "groups": 2},
    {"type": "add", "from": ["stem", "conv2"]},
    {**MIXED[1], "channels": 6, "dilation": 2, "padding": 2},
    *MIXED[2:],
)
"""The same with one more, and a sum of two."""


def mixed(*layers: dict[str, Any], **training: Any) -> Recipe:
    """Return a small recipe of digits, of some epochs."""
    return Recipe.model_validate(
        {
            "name": "mixed",
            "description": "several kinds of weights, and sums",
            "data": {"name": "digits", "train_samples": 96, "test_samples": 40},
            "network": {"steps": 5, "beta": "3/4", "slope": 2.0, "layers": layers or MIXED},
            "train": {"epochs": 2, "batch_size": 32, "lr": 5e-3, **training},
            "finetune": {"epochs": 1, "frozen_epochs": 1, "lr": 5e-4, "threshold_lr": 2e-3},
        }
    )
