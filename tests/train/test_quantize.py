"""Binarization: the sign of zero, the straight-through gradient, and layers that see nothing but -1 and +1."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lehr.train.layers import Quantized, QuantizedConv2d, QuantizedLinear
from lehr.train.quantize import Signs, sign


def test_zero_is_plus_one() -> None:
    values = torch.tensor([-2.0, -1e-30, -0.0, 0.0, 1e-30, 3.0])
    assert sign(values).tolist() == [-1, -1, 1, 1, 1, 1]


def test_gradient_passes_straight_through() -> None:
    values = torch.tensor([-5.0, 0.0, 0.3], requires_grad=True)
    (sign(values) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 2, 3]


@pytest.mark.parametrize("layer", [QuantizedConv2d(Signs(), 2, 3, 3, 2, 1), QuantizedLinear(Signs(), 8, 3)])
def test_layers_compute_with_signs_and_train_real_weights(layer: Quantized) -> None:
    x = torch.randint(0, 256, (4, 2, 5, 5) if isinstance(layer, QuantizedConv2d) else (4, 8)).float()
    binary = torch.where(layer.weight >= 0, 1.0, -1.0)
    expected = functional.conv2d(x, binary, None, 2, 1) if isinstance(layer, QuantizedConv2d) else x @ binary.T
    assert torch.equal(layer(x), expected)
    assert layer.bias is None
    before = layer.weight.detach().clone()
    layer(x).sum().backward()
    torch.optim.SGD(layer.parameters(), 1e-3).step()
    assert not torch.equal(layer.weight, before)
    assert len(layer.weight.unique()) > 2
