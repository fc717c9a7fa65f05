"""The tools that run, or judge, what is built for Loihi, each in an environment of its own."""

from __future__ import annotations

from lehr.targets.environments import Environment

LAVA = Environment(
    "lava",
    "lava-nc",
    (("lava-nc==0.10.0",), ("--no-deps", "lava-dl==0.6.0"), ("h5py==3.16.0",)),
    python="3.10",
)
"""Intel's Lava, whose models are bit-accurate, and the reader of `.net` files of lava-dl.

It comes without the torch that training there needs.
"""
BRIAN = Environment(
    "brian2-loihi",
    "brian2-loihi",
    (("brian2-loihi==0.5.2", "brian2==2.9.0", "numpy==2.2.6"),),
    python="3.11",
)
"""Michaelis et al.'s model of Loihi in Brian 2, without rails and biases."""
SANAFE = Environment(
    "sanafe", "sanafe", (("sanafe==2.2.9", "numpy==2.4.6", "pyyaml==6.0.4"),), python="3.11"
)
"""SANA-FE, which tells energy and time; under the GPL, so that it is run and not imported."""
