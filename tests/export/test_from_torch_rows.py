"""Layers over one axis, in a network over maps of one row, against the torch model itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch_models import (
    differing,
    dyadic,
    events,
    require_machines_agree,
    result_of,
    stepped_by_snntorch,
)

from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.nodes import Conv2d, SumPool2d

X = events(8, 7, 2, 12, rate=0.5)
SAME = pytest.mark.filterwarnings("ignore:Using padding='same' with even:UserWarning")
"""torch says once that it copies its input."""


def neuron(threshold: Any = 0.75, **options: Any) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, init_hidden=True, **options)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(6)


def require_equal(model: nn.Module, x: Any = X) -> Any:
    """Assert that a model's integers are snnTorch's spikes, every one."""
    converted = from_torch(model, x)
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    trace = result_of(converted).trace
    for name, (spikes, _) in stepped_by_snntorch(model, x).items():
        own = trace.spikes[f"layer{name}"]
        np.testing.assert_array_equal(own.reshape(spikes.shape), spikes.numpy())
    assert differing(converted) == 0
    return converted


def test_convolutions_and_averages_over_one_axis(tmp_path: Path) -> None:
    first = dyadic(nn.Conv1d(2, 4, 3, stride=1, padding=2, dilation=2, groups=2))
    model = nn.Sequential(
        first,
        nn.AvgPool1d(2),
        neuron(torch.tensor([[0.125], [0.25], [0.125], [0.25]])),
        nn.Dropout1d(),
        dyadic(nn.Conv1d(4, 6, 3, padding="same", bias=False)),
        nn.AdaptiveAvgPool1d(3),
        neuron(0.125),
        nn.Flatten(),
        dyadic(nn.Linear(18, 5)),
        neuron(0.25),
    )
    converted = require_equal(model)
    net = converted.network
    assert net.input.shape == (2, 1, 12)
    conv, pool = net.nodes["layer0"], net.nodes["layer1"]
    assert isinstance(conv, Conv2d)
    assert (conv.weight.shape, conv.padding, conv.dilation) == ((4, 1, 1, 3), (0, 2), (1, 2))
    assert pool == SumPool2d((1, 2), (1, 2))
    (layer, *_) = converted.layers.values()
    assert "the input is [2, 12], and [2, 1, 12] in the network: a map of one row" in layer.notes
    require_machines_agree(net, converted.sample, tmp_path)
    first.weight.data[0] *= -1
    changed = from_torch(model, X)
    assert (result_of(changed).counts != result_of(converted).counts).any()


def test_a_maximum_over_one_axis_and_a_threshold_of_each_neuron() -> None:
    model = nn.Sequential(
        dyadic(nn.Conv1d(2, 4, 3, padding=1)),
        neuron(0.25 + torch.arange(48).reshape(4, 12) % 4 / 4),
        nn.MaxPool1d(3, 2, padding=1),
        nn.Flatten(),
        dyadic(nn.Linear(24, 5)),
        neuron(0.5),
    )
    require_equal(model, events(8, 7, 2, 12, rate=0.3))


@pytest.mark.few(4)
@SAME
@pytest.mark.parametrize(
    ("kernel", "dilation"), [((2, 4), 1), ((4, 3), 1), ((2, 2), 3), ((2, 3), (1, 2)), ((6, 4), (1, 3))]
)  # fmt: skip
@pytest.mark.parametrize("bias", [True, False])
def test_padding_same_with_even_kernels(kernel: Any, dilation: Any, bias: bool) -> None:
    model = nn.Sequential(
        dyadic(nn.Conv2d(1, 4, kernel, padding="same", dilation=dilation, bias=bias)), neuron()
    )
    converted = require_equal(model, events(6, 5, 1, 9, 8, rate=0.5))
    assert converted.network.shapes["layer1"] == (4, 9, 8)


@SAME
def test_padding_same_with_even_kernels_over_one_axis() -> None:
    require_equal(nn.Sequential(dyadic(nn.Conv1d(2, 4, 4, padding="same")), neuron()))


class Doubled(nn.Conv2d):
    """A convolution that computes its weights in forward."""

    def forward(self, input: Tensor) -> Any:  # noqa: A002  # torch's own name
        """Convolve with twice the weights."""
        return self._conv_forward(input, 2 * self.weight, self.bias)


@SAME
def test_padding_same_of_weights_that_are_computed() -> None:
    model = nn.Sequential(dyadic(Doubled(1, 4, 2, padding="same")), neuron())
    require_equal(model, events(6, 5, 1, 9, 8, rate=0.5))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.AdaptiveAvgPool1d(5), "1 (AdaptiveAvgPool1d): its windows over (1, 12) are of several sizes, for (1, 5) of them; use an output size that divides"),
        (nn.Upsample(scale_factor=1.5), "1 (Upsample): its scale_factor is 1.5: no value stands there a whole number of times; use whole numbers"),
        (nn.ConvTranspose1d(4, 2, 3), "1 (ConvTranspose1d): the integer network has no such layer; use Linear, Conv2d"),
        (nn.AvgPool1d(5, ceil_mode=True), "1 (AvgPool1d): its last windows are cut off (ceil_mode=True), so that it divides by 2 to 5; use ceil_mode=False"),
    ],
)  # fmt: skip
def test_layers_over_one_axis_that_are_refused(layer: nn.Module, message: str) -> None:
    model = nn.Sequential(dyadic(nn.Conv1d(2, 4, 3, padding=1)), layer, neuron())
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        from_torch(model, X)
