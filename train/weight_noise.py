"""Noise on the quantized weights while a network is trained, for weights that will be conductances.

What it learns then is right not of one set of weights, but of all that a device may turn them into
(`lehr.simulate.crossbar`). Gradients pass to the latents as if the noisy weights were the levels.

Source: Joshi et al. 2020, "Accurate deep neural network inference using computational phase-change
memory", who add it to real-valued weights in every batch.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from lehr.strict import Strict


class WeightNoise(Strict):
    """Noise by which every weight is multiplied, in all phases, in training alone.

    Attributes:
        deviation: relative standard deviation.
        distribution: `lognormal` of mean 1; or `normal`, cut off at 0.
    """

    deviation: Annotated[float, Field(gt=0, le=10)]
    distribution: Literal["lognormal", "normal"] = "lognormal"

    def factor(self, weight: Tensor) -> Tensor:
        """Draw a factor for each weight from torch's generator, without a gradient."""
        normal = torch.randn_like(weight.detach())
        if self.distribution == "normal":
            return (1 + self.deviation * normal).clamp(min=0)
        square = math.log1p(self.deviation**2)  # of the logarithm's standard deviation
        return torch.exp(math.sqrt(square) * normal - square / 2)
