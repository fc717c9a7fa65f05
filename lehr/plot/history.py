"""The record of a training run, epoch by epoch."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lehr.errors import FileRefused, UsageError
from lehr.folders import require_marked
from lehr.plot.given import Place
from lehr.reading import JSON_BYTES, parse_json, read_bytes
from lehr.runstate import AGAIN, STATE

METRICS, RECIPE = "metrics.jsonl", "recipe.toml"
_NUMBERS = ("loss", "train_accuracy", "validation_accuracy")
_LISTS = ("rates", "thresholds")


@dataclass(frozen=True)
class History:
    """The epochs of a run, over all its phases.

    Attributes:
        entries: one for each epoch, as metrics.jsonl has them.
        finals: of each layer the threshold at which phase A is to arrive, None where none is named.
        kept: by phase the epoch whose network went on.
    """

    entries: Sequence[Mapping[str, Any]]
    finals: Sequence[float | None]
    kept: Mapping[str, int]

    @property
    def layers(self) -> list[str]:
        """Names of the layers that fire, as the exported network has them."""
        return [f"lif{number + 1}" for number in range(len(self.entries[0]["rates"]))]

    @property
    def decays(self) -> dict[str, list[tuple[int, float, float]]]:
        """Points of each decay that is learned, by layer and key: epoch, mean, and spread.

        Epochs are counted over all phases from 1; the spread is the standard deviation over the
        layer's channels. Decays are learned in phase A alone.
        """
        points: dict[str, list[tuple[int, float, float]]] = {}
        for number, entry in enumerate(self.entries, start=1):
            for name, factors in _decays(entry).items():
                points.setdefault(name, []).append((number, *factors))
        return points

    @property
    def phases(self) -> dict[str, tuple[int, int]]:
        """The first and the last epoch of each phase, counted over all of them from 1."""
        spans: dict[str, tuple[int, int]] = {}
        for number, entry in enumerate(self.entries, start=1):
            first, _ = spans.get(entry["phase"], (number, 0))
            spans[entry["phase"]] = first, number
        return spans

    def thresholds(self, layer: int) -> list[float]:
        """Return a layer's threshold after each epoch, as a share of where it goes.

        In phase A that is the final threshold of the recipe, or the last one of the phase where it
        names none. Folding turns thresholds into integers of another unit: in the later phases it
        is the last one, which is frozen.
        """
        values = [float(entry["thresholds"][layer]) for entry in self.entries]
        in_a = [v for v, e in zip(values, self.entries, strict=True) if e["phase"] == "A"]
        final = self.finals[layer] or (in_a[-1] if in_a else values[-1])
        return [
            value / (final if entry["phase"] == "A" else values[-1])
            for value, entry in zip(values, self.entries, strict=True)
        ]


Run = History | Place | Sequence[Mapping[str, Any]]
"""A run's folder, or the entries of its epochs."""


def history(run: Run) -> History:
    """Return the epochs of a run.

    Args:
        run: its folder; or its entries, as `metrics` of what `lehr.train` returns.

    Raises:
        UsageError: when the folder is no run's, or no epoch is there.
        FileRefused: when its files are damaged.
    """
    if isinstance(run, History):
        return run
    if isinstance(run, (str, os.PathLike)):
        return _read(Path(run))
    checked = [_checked(entry) for entry in run]
    if not checked:
        raise UsageError("there is no epoch; give a run that was trained for at least one")
    return History(checked, [None] * len(checked[0]["rates"]), {})


def _read(folder: Path) -> History:
    require_marked(folder, STATE, "lehr train")
    try:
        lines = read_bytes(folder / METRICS, JSON_BYTES, AGAIN).splitlines()
        entries = [_checked(parse_json(line)) for line in lines]
        state = parse_json(read_bytes(folder / STATE, JSON_BYTES, AGAIN))
        recipe = tomllib.loads(read_bytes(folder / RECIPE, JSON_BYTES, AGAIN).decode())
        layers = recipe["network"]["layers"]
        finals = [layer.get("threshold", {}).get("final") for layer in layers]
        kept = {str(phase): int(epoch) for phase, epoch in state.get("epochs", {}).items()}
    except (ValueError, LookupError, TypeError, AttributeError, UsageError) as error:
        raise FileRefused(f"{folder} is no whole run ({error}); {AGAIN}") from None
    if not entries:
        raise UsageError(f"{folder} has no epoch; train it for at least one")
    count = len(entries[0]["rates"])
    finals += [None] * (count - len(finals))
    return History(entries, finals[:count], kept)


def _checked(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an entry that has what is drawn.

    Raises:
        UsageError: when something is missing.
    """
    lacking = [
        key
        for key in ("phase", "epoch", *_NUMBERS, *_LISTS, "dead", "saturated")
        if key not in entry
    ]
    if lacking:
        raise UsageError(f"an epoch lacks {', '.join(lacking)}; give the metrics of a run of lehr")
    try:
        _decays(entry)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise UsageError(
            "an epoch has decays that are no mean and spread; give the metrics of a run of lehr"
        ) from None
    return entry


def _decays(entry: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return mean and spread of each decay that is learned, by layer and key."""
    return {
        f"{layer} {key}": (float(factor["mean"]), float(factor["spread"]))
        for layer, factors in entry.get("decays", {}).items()
        for key, factor in factors.items()
    }
