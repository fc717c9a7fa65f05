"""Firing rates in training: what each layer fires, and which layers are dead or saturated and so cannot learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lehr.errors import UsageError

DEAD = 1e-4
"""A layer under so many spikes per neuron and step is called dead: one spike per neuron in a hundred samples of a hundred steps."""

SATURATED = 0.98
"""A layer above so many spikes per neuron and step is called saturated: it tells the next one nothing."""


def firing_rates(spikes: Sequence[Tensor]) -> list[float]:
    """Spikes per neuron and step of each layer, 0..1, from its spikes `[T, N, *shape]` (0 and 1)."""
    return [float(layer.detach().mean()) for layer in spikes]


class Epoch:
    """Firing rates over an epoch, layer by layer."""

    def __init__(self) -> None:
        self._spikes: list[float] = []
        self._samples = 0

    def add(self, rates: Sequence[float], samples: int) -> None:
        """A batch of `samples` samples has fired `rates`."""
        self._spikes = [
            total + rate * samples
            for total, rate in zip(self._spikes or [0.0] * len(rates), rates, strict=True)
        ]
        self._samples += samples

    def metrics(self) -> dict[str, Any]:
        """Mean `rates` by layer, and the names of `dead` and `saturated` layers, which are those of the exported neurons."""
        rates = [total / self._samples for total in self._spikes]
        return {
            "rates": [round(rate, 6) for rate in rates],
            "dead": [f"lif{number}" for number, rate in enumerate(rates, start=1) if rate < DEAD],
            "saturated": [
                f"lif{number}" for number, rate in enumerate(rates, start=1) if rate > SATURATED
            ],
        }

    def require_output(self, phase: str) -> None:
        """End a run whose output, or the layer that drives its integrators, is silent at the end of a phase: it answers every sample alike.

        Not earlier: the surrogate gradient reaches silent neurons too, and often wakes them
        (docs/training.md).

        Raises:
            UsageError: when that layer fired not one spike in the whole epoch.
        """
        if not self._spikes[-1]:
            layer = len(self._spikes)
            raise UsageError(
                f"phase {phase}: lif{layer}, the last layer that fires, fired no spike in the "
                "whole last epoch; lower the thresholds up to "
                f"it (network.layers.{layer - 1}.threshold), raise them more slowly, or lower the "
                "learning rate"
            )


def warnings(entry: dict[str, Any]) -> dict[tuple[str, str], str]:
    """What the metrics of an epoch give a user to act upon, one sentence by phase and layer."""
    phase, found = entry["phase"], {}
    for what, way_out in (
        ("dead", "lower its threshold or raise it more slowly"),
        ("saturated", "raise its threshold"),
    ):
        for name in entry[what]:
            rate = entry["rates"][int(name.removeprefix("lif")) - 1]
            found[phase, name] = (
                f"{name} is {what} in phase {phase}: {rate:.4f} spikes per neuron and step; "
                f"{way_out}"
            )
    return found
