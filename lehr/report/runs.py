"""The facts of a run's folder about its training; read without torch."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lehr.errors import FileRefused, NotMappable
from lehr.export.checkpoint import load_run
from lehr.network import Network
from lehr.plot.history import RECIPE, History, history
from lehr.reading import read_text
from lehr.report.facts import Accuracy
from lehr.runstate import AGAIN, STATE, read_state

RECIPE_BYTES = 1 << 20
_NUMBERS = "loss", "train_accuracy", "validation_accuracy"
_LISTS = "rates", "thresholds"
_NAMES = "dead", "saturated"


@dataclass(frozen=True)
class Training:
    """A run.

    Attributes:
        folder: of the run.
        network: the integer network; None for a float baseline.
        state: what state.json says beside the network.
        recipe: the recipe, as its file has it.
        history: its epochs.
        stated: whether the run states the digests of its files.
    """

    folder: Path
    network: Network | None
    state: Mapping[str, Any]
    recipe: Mapping[str, Any]
    history: History
    stated: bool

    @property
    def warnings(self) -> tuple[str, ...]:
        """What training found that gives reason to doubt the network, in sentences."""
        return tuple(self.state.get("warnings", ()))

    @property
    def arm(self) -> str:
        """Kind of the weights and thresholds of phase A."""
        if _under(self.recipe, "network", "weights") == "float":
            return "float weights"
        annealed = _under(self.recipe, "train", "thresholds") != "final"
        return "annealed and binarized" if annealed else "binarized"

    @property
    def about(self) -> dict[str, str]:
        """The recipe in a few words."""
        named = {
            "recipe": self.recipe.get("name"),
            "description": self.recipe.get("description"),
            "data": _under(self.recipe, "data", "name"),
            "seed": self.recipe.get("seed"),
        }
        return {name: str(value) for name, value in named.items() if value is not None}

    def accuracies(self, arm: str) -> tuple[Accuracy, ...]:
        """Return the accuracies that training measured, on the whole test set."""
        tested = self.state.get("tested", 0)
        stations = {"phase A": self.arm, "integer": "integer"}
        return tuple(
            Accuracy.counted(arm, stations[name], share, tested, "test set, measured by lehr train")
            for name, share in self.state["accuracy"].items()
            if name in stations
        )


def read_training(folder: Path) -> Training:
    """Read a run's folder.

    Raises:
        UsageError: when it holds no run.
        FileRefused: when its files contradict each other, or are not what lehr writes.
    """
    state, network = read_state(folder), None
    with suppress(NotMappable):  # a float baseline
        network = load_run(folder).network
    try:
        _check(state)
        recipe = tomllib.loads(read_text(folder / RECIPE, RECIPE_BYTES, AGAIN))
        kept = history(folder)
        kept = replace(kept, entries=tuple(map(_epoch, kept.entries)))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise FileRefused(
            f"{folder} is no whole run ({type(error).__name__}: {error}); {AGAIN}"
        ) from None
    return Training(folder, network, state, recipe, kept, "digest" in state)


def _check(state: Mapping[str, Any]) -> None:
    shares = state["accuracy"].values()
    if not all(isinstance(share, (int, float)) and 0 <= share <= 1 for share in shares):
        raise ValueError(f"{STATE} tells accuracies that are no shares")
    if type(state.get("tested", 0)) is not int or state.get("tested", 0) < 0:
        raise ValueError(f"{STATE} tells {state['tested']!r} test samples")
    warnings = state.get("warnings", [])
    if not isinstance(warnings, list) or not all(isinstance(text, str) for text in warnings):
        raise ValueError(f"{STATE} tells warnings that are no sentences")


def _epoch(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of metrics.jsonl, whose numbers are numbers."""
    values: dict[str, Any] = {"phase": str(entry["phase"]), "epoch": int(entry["epoch"])}
    values |= {name: _finite(entry[name]) for name in _NUMBERS}
    values |= {name: [_finite(value) for value in entry[name]] for name in _LISTS}
    if "decays" in entry:
        values["decays"] = {
            str(layer): {
                str(key): {name: _finite(factor[name]) for name in ("mean", "spread")}
                for key, factor in factors.items()
            }
            for layer, factors in entry["decays"].items()
        }
    return values | {name: [str(layer) for layer in entry[name]] for name in _NAMES}


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _under(values: Any, *names: str) -> Any:
    """Return what stands below some names in nested mappings; None where there is nothing."""
    for name in names:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values
