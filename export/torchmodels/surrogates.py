"""Functions that fire where a membrane is above its threshold, and pass gradients on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lehr.arithmetic import Fires
from lehr.errors import NotMappable

LEAST = 1e-9
"""The distance from the threshold, on both sides, at which firing is tried."""


def fires(surrogate: Callable[[Tensor], Tensor], name: str, others: str) -> Fires:
    """Return how a surrogate compares: it is tried at the threshold and on both sides of it.

    Args:
        surrogate: takes how far a membrane is above its threshold.
        name: of the attribute of the neuron that it is.
        others: the module that has such surrogates.

    Raises:
        NotMappable: when it is no step from 0 to 1. The caller names the neuron.
    """
    with torch.no_grad():
        spikes = surrogate(
            torch.tensor([-1.0, -LEAST, 0.0, LEAST, 1.0], dtype=torch.float64)
        ).tolist()
    if spikes == [0, 0, 0, 1, 1]:
        return "gt"
    if spikes == [0, 0, 1, 1, 1]:
        return "ge"
    raise NotMappable(
        f"its {name} gives {spikes} around the threshold, no step from 0 to 1; use one of {others} "
        "that is one"
    )
