"""Training with binarized weights and annealed thresholds, and the exact-integer twin."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if __name__ == "train":
    raise ImportError("import lehr.train, not train: the folder is part of the package lehr")

from lehr.callable import make_callable

if TYPE_CHECKING:
    from lehr.train.keys.threshold import Threshold as Threshold
    from lehr.train.own.delays import AxonalDelays as AxonalDelays
    from lehr.train.own.modules import binarize as binarize
    from lehr.train.own.neurons import ThresholdAnnealer as ThresholdAnnealer
else:
    _HOMES = {
        "AxonalDelays": "own.delays",
        "binarize": "own.modules",
        "ThresholdAnnealer": "own.neurons",
        "Threshold": "keys.threshold",
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
