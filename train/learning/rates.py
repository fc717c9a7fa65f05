"""Firing rates in training: what each layer fires, and which are dead or saturated.

Those cannot learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lehr.errors import UsageError
from lehr.train import processes

DEAD = 1e-4
"""A layer under so many spikes per neuron and step is called dead.

That is one spike per neuron in a hundred samples of a hundred steps.
"""

SATURATED = 0.98
"""A layer above so many spikes per neuron and step is saturated: it tells the next one nothing."""


def firing_rates(spikes: Sequence[Tensor], samples: int) -> list[float]:
    """Return spikes per neuron and step of each layer, 0..1, over the parts of all processes.

    Args:
        spikes: of this process's part of a batch, `[T, N, *shape]` each (0 and 1).
        samples: of the whole batch.
    """
    # exact: of a sample's step in float32, which is fast, and of all of them in double
    each = [layer.detach().flatten(2).sum(2).sum(dtype=torch.float64) for layer in spikes]
    fired = torch.stack(each).cpu()
    of_all = processes.summed(fired).tolist()
    return [
        count / (len(layer) * samples * layer.shape[2:].numel())
        for count, layer in zip(of_all, spikes, strict=True)
    ]


class Epoch:
    """Firing rates over an epoch, layer by layer."""

    def __init__(self) -> None:
        self._spikes: list[float] = []
        self._samples = 0

    def add(self, rates: Sequence[float], samples: int) -> None:
        """Add a batch of `samples` samples, which has fired `rates`."""
        self._spikes = [
            total + rate * samples
            for total, rate in zip(self._spikes or [0.0] * len(rates), rates, strict=True)
        ]
        self._samples += samples

    def metrics(self) -> dict[str, Any]:
        """Return mean `rates` by layer, and the names of `dead` and `saturated` layers.

        Their names are those of the exported neurons.
        """
        rates = [total / self._samples for total in self._spikes]
        return {
            "rates": [round(rate, 6) for rate in rates],
            "dead": [f"lif{number}" for number, rate in enumerate(rates, start=1) if rate < DEAD],
            "saturated": [
                f"lif{number}" for number, rate in enumerate(rates, start=1) if rate > SATURATED
            ],
        }

    def require_output(self, phase: str, key: str) -> None:
        """End a run whose output is silent at the end of a phase: it answers every sample alike.

        So does one whose integrators are driven by a silent layer.

        Not earlier: the surrogate gradient reaches silent neurons too, and often wakes them
        (docs/training/index.md).

        Args:
            phase: its letter.
            key: of that layer in the recipe.

        Raises:
            UsageError: when that layer fired not one spike in the whole epoch.
        """
        if not self._spikes[-1]:
            layer = f"lif{len(self._spikes)}"
            raise UsageError(
                f"phase {phase}: {layer}, the last layer that fires, fired no spike in the "
                "whole last epoch; lower the thresholds up to "
                f"it ({key}.threshold), raise them more slowly, or lower the "
                "learning rate"
            )


def warnings(entry: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Say what in the metrics of an epoch a user may act upon, a sentence by phase and layer."""
    phase, sentences = entry["phase"], {}
    for what, way_out in (
        ("dead", "lower its threshold or raise it more slowly"),
        ("saturated", "raise its threshold"),
    ):
        for name in entry[what]:
            rate = entry["rates"][int(name.removeprefix("lif")) - 1]
            sentences[phase, name] = (
                f"{name} is {what} in phase {phase}: {rate:.4f} spikes per neuron and step; "
                f"{way_out}"
            )
    return sentences
