"""The temporal task.

With thresholds of 1 or of 50 it is not learnt, with annealed ones the output follows the ramp.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.slow
SILENT = 0.110
"""Loss of an output that never fires and stands at its best constant membrane.

It is in squares of the ramp's top.
"""


@pytest.fixture(scope="module")
def temporal() -> ModuleType:
    """The example, as a module."""
    spec = importlib.util.spec_from_file_location(
        "temporal", Path(__file__).parents[2] / "examples" / "temporal.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def arms(temporal: ModuleType) -> dict[str, Any]:
    """Every arm, trained."""
    trained: dict[str, Any] = temporal.run(iterations=400)
    return trained


def test_threshold_1_is_too_coarse(arms: dict[str, Any]) -> None:
    arm = arms["threshold 1"]
    assert min(arm.loss) > 1.5 * SILENT
    assert not any(arm.timed)


def test_threshold_50_is_dead(arms: dict[str, Any]) -> None:
    arm = arms["threshold 50"]
    assert not any(arm.hidden)
    assert not arm.spikes
    assert arm.loss[-1] == pytest.approx(SILENT, abs=1e-3)


def test_annealed_thresholds_learn(arms: dict[str, Any]) -> None:
    arm = arms["annealed, 5 to 50"]
    assert min(arm.loss) < 0.6 * SILENT
    assert arm.hidden[-1] > 0.005
    assert any(arm.timed)


def test_the_plot_shows_every_arm(
    temporal: ModuleType, arms: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip(
        "matplotlib", reason="matplotlib is not installed: pip install 'lehr[report]'"
    )
    temporal.draw(arms, tmp_path / "temporal.svg")
    assert (tmp_path / "temporal.svg").read_text("utf-8").count('<g id="line2d_') > 3 * 2
