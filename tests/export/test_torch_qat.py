"""Layers of torch.ao, whose weights, and what they take, are quantized as they run.

The right integers are worked out by numpy from the real weights and their greatest magnitudes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
import torch.ao.quantization as quantization
from torch import nn
from torch.ao.nn import qat
from torch_models import differing, events, result_of

from lehr.errors import NotMappable
from lehr.export import from_torch

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated:DeprecationWarning", "ignore:.*deprecated:UserWarning"
)
X = events(32, 12, 16)


def neuron() -> Any:
    return snn.Leaky(beta=0.5, threshold=0.25, init_hidden=True)


def fake(observer: Any, scheme: Any, least: int = -127) -> Any:
    """Return a configuration that quantizes weights alone."""
    options: Any = {"ch_axis": 0} if scheme == torch.per_channel_symmetric else {}
    weight = quantization.FakeQuantize.with_args(
        observer=observer,
        quant_min=least,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=scheme,
        **options,
    )
    return quantization.QConfig(activation=nn.Identity, weight=weight)


BY_TENSOR = fake(quantization.MinMaxObserver, torch.per_tensor_symmetric)
BY_OUTPUT = fake(quantization.PerChannelMinMaxObserver, torch.per_channel_symmetric)


@pytest.mark.parametrize("by_output", [False, True])
def test_weights_of_a_fake_quantize(by_output: bool) -> None:
    torch.manual_seed(0)
    layer = qat.Linear(16, 8, qconfig=BY_OUTPUT if by_output else BY_TENSOR)
    layer(torch.randn(2, 16))  # by which it observes its weights
    converted = from_torch(nn.Sequential(layer, neuron()), X)
    assert differing(converted) == 0
    weight = layer.weight.detach().double().numpy()
    scale = np.abs(weight).max(axis=1 if by_output else None, keepdims=True) / 127
    node: Any = converted.network.nodes["layer0"]
    np.testing.assert_array_equal(node.weight, np.rint(weight / scale))
    assert node.kind == "int8"
    fired = result_of(converted).trace.spikes["layer1"]

    def by_hand(levels: Any) -> Any:
        bias, membrane, kept = layer.bias.detach().double().numpy(), np.zeros((len(X), 8)), []
        for t in range(X.shape[1]):
            reset = membrane > 0.25
            membrane = 0.5 * membrane + X[:, t] @ (levels * scale).T + bias - 0.25 * reset
            kept.append(membrane > 0.25)
        return np.stack(kept, 1)

    np.testing.assert_array_equal(fired, by_hand(node.weight))
    assert (fired != by_hand(node.weight.astype(float) + 1)).any()


def test_convolutions_of_a_fake_quantize() -> None:
    torch.manual_seed(1)
    layer = qat.Conv2d(1, 4, 3, padding=1, qconfig=BY_OUTPUT)
    layer(torch.randn(1, 1, 6, 6))
    converted = from_torch(nn.Sequential(layer, neuron()), events(8, 12, 1, 6, 6))
    assert differing(converted) == 0
    weight = layer.weight.detach().double().numpy()
    scale = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 127
    node: Any = converted.network.nodes["layer0"]
    np.testing.assert_array_equal(node.weight, np.rint(weight / scale))


def observed(config: Any) -> Any:
    layer = qat.Linear(16, 8, qconfig=config)
    layer.weight.data[0, :2] = torch.tensor([-1.0, 0.5])
    layer(torch.randn(2, 16))
    layer.weight_fake_quant.disable_observer()
    layer.weight.data[0, 0] = -2
    return layer


def prepared() -> Any:
    """Return a model of which activations are quantized as well, as prepare_qat makes it."""
    net: Any = nn.Sequential(nn.Linear(16, 8), neuron()).train()
    net.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    return quantization.prepare_qat(net)[0]


def dynamic() -> Any:
    net = nn.Sequential(nn.Linear(16, 8))
    return quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)[0]


AFFINE = fake(quantization.MinMaxObserver, torch.per_tensor_affine)
WIDE = fake(quantization.MinMaxObserver, torch.per_tensor_symmetric, -128)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: observed(WIDE), "0 (Linear): its weights are quantized down to -128, and int8 here holds -127 to 127; give its FakeQuantize quant_min=-127"),
        (lambda: observed(AFFINE), "0 (Linear): the zero_point of its weights is 42; quantize them around 0, with qscheme=torch.per_channel_symmetric"),
        (prepared, "2 refusals:\n  0 (Linear): it has a forward hook (_observer_forward_hook), which may change what it gives; remove it"),
        (dynamic, "0 (Linear): it is a layer of torch.ao, which quantizes as it runs; build the model of plain torch.nn layers, and copy its quantized weights, layer.weight().dequantize(), into them"),
    ],
)  # fmt: skip
def test_what_quantizes_otherwise_is_named(layer: Callable[[], nn.Module], message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        from_torch(nn.Sequential(layer(), neuron()), X)
