"""Refusals of an engine, word for word, and what it does not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategies import recurrent_network, small_network

from lehr.errors import FileRefused, LehrError, UsageError
from lehr.simulate import simulate

ROOT = Path(__file__).resolve().parents[2]
PIXELS, SPIKES = small_network()[0], recurrent_network()[0]


def zeros(*shape: int, dtype: Any = np.uint8) -> Any:
    """Make an input of zeros."""
    return np.zeros(shape, dtype)


WANTED = "the network takes uint8 [N, 1, 10, 10] or [N, T, 1, 10, 10]"
REFUSED: dict[str, tuple[Any, Any, dict[str, Any], type[LehrError], str]] = {
    "floats": (PIXELS, zeros(2, 1, 10, 10, dtype=np.float32), {}, FileRefused, f"input has dtype float32, {WANTED}; convert it"),
    "no batch": (PIXELS, zeros(1, 10, 10), {}, FileRefused, f"input has shape [1, 10, 10], {WANTED}; reshape it"),
    "other size": (PIXELS, zeros(2, 1, 10, 9), {}, FileRefused, f"input has shape [2, 1, 10, 9], {WANTED}; reshape it"),
    "other size per step": (PIXELS, zeros(2, 8, 1, 9, 10), {}, FileRefused, f"input has shape [2, 8, 1, 9, 10], {WANTED}; reshape it"),
    "too many axes": (PIXELS, zeros(2, 8, 1, 10, 10, 1), {}, FileRefused, f"input has shape [2, 8, 1, 10, 10, 1], {WANTED}; reshape it"),
    "no sample": (
        PIXELS, zeros(0, 1, 10, 10), {}, FileRefused,
        "input has shape [0, 1, 10, 10], which holds no sample or no step; give at least one",
    ),
    "no step": (
        PIXELS, zeros(2, 0, 1, 10, 10), {}, FileRefused,
        "input has shape [2, 0, 1, 10, 10], which holds no sample or no step; give at least one",
    ),
    "too few steps": (
        PIXELS, zeros(2, 5, 1, 10, 10), {"steps": 6}, FileRefused,
        "input has 5 steps, but 6 were asked for; ask for at most 5",
    ),
    "no step asked for": (PIXELS, zeros(2, 1, 10, 10), {"steps": 0}, UsageError, "0 steps were asked for; ask for at least 1"),
    "pixels for spikes": (
        SPIKES, zeros(2, 10, 12) + np.uint8(2), {}, FileRefused,
        "input holds 2, but the network takes spikes 0 and 1; encode it as spikes first",
    ),
    "trace of no layer": (
        PIXELS, zeros(2, 1, 10, 10), {"trace": ["conv1"]}, UsageError,
        "'conv1' is no neuron layer; trace one of lif1, lif2, out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_input_that_does_not_fit_is_refused(case: str) -> None:
    net, x, arguments, kind, message = REFUSED[case]
    with pytest.raises(kind) as caught:
        simulate(net, x, **arguments)
    assert str(caught.value) == message


def test_traces_hold_the_layers_asked_for_in_order_of_evaluation() -> None:
    net, x = small_network()
    trace = simulate(net, x, trace=["out", "lif1"]).trace
    assert list(trace.spikes) == list(trace.membranes) == ["lif1", "out"]
    assert trace.spikes["lif1"].dtype == np.uint8
    assert trace.membranes["lif1"].dtype == np.int32
    assert trace.spikes["lif1"].shape == trace.membranes["lif1"].shape == (6, 8, 4, 4, 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "imported", ["lehr.simulate", "lehr.targets.registry", "lehr.targets.build"]
)
def test_simulating_and_building_load_no_trainer(imported: str) -> None:
    script = (
        f"import sys, {imported}\n"
        "from lehr.targets.registry import entries\n"
        "assert all(entry.target for entry in entries())\n"
        "print([name for name in sys.modules if name in ('torch', 'lehr.train') or "
        "name.startswith(('torch.', 'lehr.train.'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr
