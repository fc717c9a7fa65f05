"""Weights that torchao quantized: the right integers are its own, the spikes snnTorch's in float64.

Without torchao the tests are skipped.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn
from torch_models import differing, events, result_of, stepped_by_snntorch

from lehr.errors import NotMappable
from lehr.export import from_torch

ao = pytest.importorskip("torchao.quantization", reason="torchao is not installed")

INT4 = getattr(torch, "int4")  # noqa: B009  # which torch's types do not know
X = events(16, 12, 16)


def neuron(threshold: float = 0.25) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, init_hidden=True)


def model(config: Any) -> nn.Sequential:
    """Two layers of weights, which torchao quantizes."""
    torch.manual_seed(3)
    made = nn.Sequential(nn.Linear(16, 8), neuron(), nn.Linear(8, 4), neuron(0.125))
    ao.quantize_(made, config)
    return made


def of_four_bits() -> Any:
    return ao.IntxWeightOnlyConfig(weight_dtype=INT4, granularity=ao.PerAxis(0))


def test_weights_are_the_integers_of_torchao() -> None:
    quantized = model(of_four_bits())
    converted = from_torch(quantized, X)
    assert differing(converted) == 0
    plain = nn.Sequential(nn.Linear(16, 8), neuron(), nn.Linear(8, 4), neuron(0.125)).double()
    for number in (0, 2):
        layer: Any = quantized[number]
        node: Any = converted.network.nodes[f"layer{number}"]
        integers = layer.weight.qdata.numpy()
        assert -8 <= integers.min() < 0 < integers.max() <= 7
        np.testing.assert_array_equal(node.weight, integers)
        other: Any = plain[number]
        other.weight.data = layer.weight.qdata.double() * layer.weight.scale.double()
        other.bias.data = layer.bias.detach().double()
    right = stepped_by_snntorch(plain, X)
    trace = result_of(converted).trace
    for name in ("1", "3"):
        np.testing.assert_array_equal(trace.spikes[f"layer{name}"], right[name][0].numpy())
    plain[0].weight.data[0] += quantized[0].weight.scale[0].double()  # type: ignore[index,operator,union-attr]
    assert (stepped_by_snntorch(plain, X)["1"][0] != right["1"][0]).any()


def test_eight_bits_are_rounded_where_a_level_is_128() -> None:
    quantized = model(ao.Int8WeightOnlyConfig())
    first: Any = quantized[0]
    assert int(first.weight.qdata.min()) == -128
    with pytest.raises(NotMappable, match=r"^0 \(Linear\).* have them rounded with --weights int8"):
        from_torch(quantized, X)
    converted = from_torch(quantized, X, weights="int8")
    node: Any = converted.network.nodes["layer0"]
    kept = (first.weight.qdata > -128).all(1).numpy()
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_array_equal(node.weight[kept], first.weight.qdata.numpy()[kept])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ao.Int8DynamicActivationInt8WeightConfig, "its weight is of torchao's Int8Tensor and quantizes what its layer takes as well; use Int8WeightOnlyConfig, or IntxWeightOnlyConfig"),
        (lambda: ao.IntxWeightOnlyConfig(weight_dtype=INT4, granularity=ao.PerGroup(8)), "0 (Linear): its weights are real numbers"),
    ],
)  # fmt: skip
def test_what_is_refused(config: Any, message: str) -> None:
    with pytest.raises(NotMappable, match=re.escape(message)):
        from_torch(model(config()), X)
