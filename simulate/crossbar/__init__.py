"""Memristive crossbars: what becomes of a network's spikes when its weights are conductances.

Weights are pairs of cells that have levels, vary, stick, drift and are read with noise; neurons
stay integer. Of ideal cells every spike is the exact network's; of others nothing is claimed to be.
"""

from lehr.simulate.crossbar.device import Converter, Device, Drift, Stuck, Variation, read_device
from lehr.simulate.crossbar.machine import simulate
from lehr.simulate.crossbar.trials import Spread, Trial, Trials, run_trials

__all__ = [
    "Converter",
    "Device",
    "Drift",
    "Spread",
    "Stuck",
    "Trial",
    "Trials",
    "Variation",
    "read_device",
    "run_trials",
    "simulate",
]
