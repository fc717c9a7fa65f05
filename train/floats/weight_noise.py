"""Noise on the quantized weights while a network is trained, for weights that will be conductances.

What it learns then is right not of one set of weights, but of all that a device may turn them into
(`lehr.simulate.crossbar`). Gradients pass to the latents as if the noisy weights were the levels.

Source: Joshi et al. 2020, "Accurate deep neural network inference using computational phase-change
memory", who add it to real-valued weights in every batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lehr.train.keys.training import WeightNoise


def factors(noise: WeightNoise, weight: Tensor) -> Tensor:
    """Draw a factor for each weight from torch's generator, without a gradient."""
    normal = torch.randn_like(weight.detach())
    if noise.distribution == "normal":
        return (1 + noise.deviation * normal).clamp(min=0)
    square = math.log1p(noise.deviation**2)  # of the logarithm's standard deviation
    return torch.exp(math.sqrt(square) * normal - square / 2)
