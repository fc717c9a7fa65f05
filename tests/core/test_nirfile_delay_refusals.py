"""Delays and edges of a `.nir` file that contradict its network are refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nir_edits import DIGEST, change, file_to_edit, put, refused

DELAY_EDITS = {
    "half a step": (
        put("nodes/slow_spikes/delay", np.full(8, 0.0025)),
        "slow_spikes: delay holds 0.0025 s, which is no whole number of steps of 0.001 s",
    ),
    "no delay": (
        put("nodes/slow_spikes/delay", np.zeros(8)),
        "slow_spikes: Delay steps is 0; use 1 to 65,536",
    ),
    "endless": (
        put("nodes/slow_spikes/delay", np.full(8, np.inf)),
        "slow_spikes: delay holds inf s, which is no whole number of steps",
    ),
    "beyond float": (
        put("nodes/slow_spikes/delay", np.full(8, 1e308)),
        "slow_spikes: delay holds 1e+308 s, which is no whole number",
    ),
    "text": (put("nodes/slow_spikes/delay", "2 ms"), "slow_spikes: delay is '2 ms'; give seconds"),
    "of another shape": (
        put("nodes/slow_spikes/delay", np.full(7, 0.002)),
        "slow_spikes: delay has shape (7,), but its input has (8,); ",
    ),
    "one of them longer": (change("nodes/slow_spikes/delay", 3, 0.003), f"the graph {DIGEST}"),
    "one of them uneven": (
        change("nodes/slow_spikes/delay", 3, 0.0031),
        "slow_spikes: delay holds 0.0031 s, which is no whole number of steps of 0.001 s; round it",
    ),
    "one of them too long": (
        change("nodes/slow_spikes/delay", 3, 65.537),
        "slow_spikes: Delay steps is 65537; use 1 to 65,536",
    ),
    "one of them not finite": (
        change("nodes/slow_spikes/delay", 3, np.nan),
        "slow_spikes: delay holds nan s, which is no whole number",
    ),
    "self-loop of weights": (
        lambda f: put("edges", [*f["node/edges"][()].tolist(), [b"fc3", b"fc3"]])(f),
        "fc3 form a cycle without a neuron",
    ),
}


@pytest.mark.few(5)
@pytest.mark.parametrize("case", DELAY_EDITS)
def test_a_wrong_delay_is_refused(case: str, tmp_path: Path) -> None:
    edit, message = DELAY_EDITS[case]
    refused(file_to_edit("delayed", tmp_path), edit, message, tmp_path)
