"""Recipes of every kind of layer and option that a training keeps something of."""

from __future__ import annotations

from typing import Any

from lehr.train.recipe import Recipe

LEARNED = {"start": 1.0, "schedule": "learned"}
BY_CHANNEL = {"start": "0.8", "learn": "channel"}
HIDDEN: dict[str, Any] = {"type": "linear", "features": 16, "threshold": {"start": 1.0}}
CONV: dict[str, Any] = {"type": "conv", "channels": 6, "kernel": 3, "padding": 1, "pool": 2}
LAST: dict[str, Any] = {"type": "linear", "features": 10, "threshold": {"start": 1.0}}
DELAY = {"max": 4, "until": 0.6}  # between the ends of epochs 2 and 3 of 4
RESTARTING = {"start": 0.5, "final": 1.0, "schedule": "restarts"}
READ_OUT = {"type": "integrator", "features": 10, "beta": BY_CHANNEL, "alpha": BY_CHANNEL}

KINDS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "delays": (
        [{**HIDDEN, "delay": DELAY, "batch_norm": "step"}, {**LAST, "delay": DELAY}],
        {},
    ),
    "recurrent, learned thresholds and decays": (
        [
            {**HIDDEN, "recurrent": True, "beta": BY_CHANNEL, "threshold": LEARNED},
            {**HIDDEN, "recurrent": True, "alpha": BY_CHANNEL, "batch_norm": True},
            READ_OUT,
        ],
        {"objective": "cross-entropy", "weight_noise": {"deviation": 0.2}},
    ),
    "constrained": (
        [{**HIDDEN, "recurrent": True, "delay": DELAY, "weights": "ternary"}, LAST],
        {"constrained": {"rate": 0.1, "after": 0.3, "interval": 1, "period": 2}},
    ),
    "the greatest of windows": (
        [
            {**CONV, "pooling": "max", "batch_norm": True, "threshold": LEARNED},
            {**HIDDEN, "dropout": 0.2},
            LAST,
        ],
        {},
    ),
    "patience": (
        [{**HIDDEN, "recurrent": True, "delay": {"max": 4, "until": 0.3}}, LAST],
        {"patience": 1, "optimizer": "adamw"},
    ),
    "adapting, in cycles": (
        [
            {
                **HIDDEN,
                "delay": DELAY,
                "threshold": RESTARTING,
                "adaptation": {"type": "threshold", "jump": 0.2, "beta": "3/4"},
                "dropout": 0.2,
            },
            {**LAST, "weights": "int4"},
        ],
        {"lr_schedule": "restarts", "cycles": 2, "prune": 0.3},
    ),
}


def recipe(kind: str) -> Recipe:
    """Return a recipe of encoded digits, of 4 + 1 + 2 epochs."""
    layers, training = KINDS[kind]
    events = {"encoding": "rate", "steps": 6}
    return Recipe.model_validate(
        {
            "name": "kept",
            "description": kind,
            "seed": 3,
            "data": {"name": "digits", "train_samples": 96, "test_samples": 40, **events},
            "network": {"steps": 6, "beta": "3/4", "slope": 2.0, "layers": layers},
            "train": {"epochs": 4, "batch_size": 24, "lr": 5e-3, **training},
            "finetune": {"epochs": 1, "frozen_epochs": 2, "lr": 5e-4, "threshold_lr": 2e-3},
        }
    )
