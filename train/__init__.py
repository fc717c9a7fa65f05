"""Training with binarized weights and annealed thresholds, and the exact-integer twin."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if __name__ == "train":
    raise ImportError("import lehr.train, not train: the folder is part of the package lehr")

from lehr.callable import make_callable

if TYPE_CHECKING:
    from lehr.train.modules import binarize as binarize
    from lehr.train.neurons import ThresholdAnnealer as ThresholdAnnealer
    from lehr.train.own_delays import AxonalDelays as AxonalDelays
    from lehr.train.threshold import Threshold as Threshold
else:
    _HOMES = {
        "AxonalDelays": "own_delays",
        "binarize": "modules",
        "ThresholdAnnealer": "neurons",
        "Threshold": "threshold",
    }

    def __getattr__(name):
        """Torch is loaded by who uses it: the command line starts without."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from lehr.extras import needed_by

        with needed_by(f"{__name__}.{name}"):
            return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = ["AxonalDelays", "Threshold", "ThresholdAnnealer", "binarize"]

make_callable(__name__)
