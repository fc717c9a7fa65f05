"""The temporal task: with thresholds of 1 or of 50 it is not learnt, with annealed ones the output follows the ramp."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ITERATIONS = {"threshold 1": 250, "threshold 50": 250, "annealed, 5 to 50": 500}
SILENT = 0.110
"""What an output that fires nothing and stands at its best constant membrane loses, in squares of the ramp's top."""


@pytest.fixture(scope="module")
def temporal() -> ModuleType:
    """The example, as a module."""
    spec = importlib.util.spec_from_file_location("temporal", Path(__file__).parents[2] / "examples" / "temporal.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def histories(temporal: ModuleType) -> dict[str, Any]:
    """Every arm, trained."""
    return {arm: temporal.train(told, iterations=ITERATIONS[arm]) for arm, told in temporal.ARMS.items()}


def test_threshold_1_is_too_coarse(histories: dict[str, Any]) -> None:
    history = histories["threshold 1"]
    assert min(history.loss) > 1.5 * SILENT
    assert history.timed() == 0


def test_threshold_50_is_dead(histories: dict[str, Any]) -> None:
    history = histories["threshold 50"]
    assert not any(history.hidden)
    assert not any(history.fired)
    assert history.loss[-1] == pytest.approx(SILENT, abs=1e-3)


def test_annealed_thresholds_learn(histories: dict[str, Any]) -> None:
    history = histories["annealed, 5 to 50"]
    assert history.loss[-1] < 0.75 * SILENT
    assert history.hidden[-1] > 0.005
    assert history.timed() > 20
