"""Products with parameters in forward, and sums with numbers: against snnTorch in float64."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn import functional
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

X = events(6, 7, 1, 8, 8)
ROWS = events(8, 7, 2, 12, rate=0.3)


def neuron(threshold: float = 0.75) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, init_hidden=True)


class Net(nn.Module):
    """Two layers of neurons, with parameters between them that no layer holds."""

    def __init__(
        self,
        forward: Callable[[Any, Tensor], Any],
        thresholds: Any = (0.75, 0.25),
        pool: Any = None,
    ) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.kernel = nn.Parameter(torch.randn(3, 1, 3, 3))
        self.row_kernel = nn.Parameter(torch.randn(3, 2, 3))
        self.weight = nn.Parameter(torch.randn(5, 48))
        self.bias = nn.Parameter(torch.tensor([0.125, -0.25, 0.125, -0.125, 0.25]))
        self.scale = nn.Parameter(torch.tensor([0.5, 0.25, 1.0, -2.0, 0.5]))
        self.register_buffer("mask", torch.randint(0, 2, (5, 48)).float())
        self.pool = pool
        self.clip = nn.Hardtanh(-1.0, 1.0)
        self.fc = dyadic(nn.Linear(48, 5))
        self.first, self.last = map(neuron, thresholds)
        self._forward = forward

    def forward(self, x: Tensor) -> Any:
        """Spikes."""
        return self.last(self._forward(self, x))


def convolved(net: Any, x: Tensor) -> Tensor:
    """48 spikes of a convolution by signs."""
    x = net.first(functional.conv2d(x, torch.sign(net.kernel), padding=1))
    return functional.max_pool2d(x, 2).flatten(1)


def in_rows(net: Any, x: Tensor) -> Any:
    return net.first(functional.conv1d(x, net.row_kernel.sign(), padding=1))


WAYS: dict[str, Callable[[Any, Tensor], Any]] = {
    "linear": lambda m, x: functional.linear(convolved(m, x), m.weight.sign(), m.bias),
    "linear, by name": lambda m, x: functional.linear(
        weight=torch.where(m.weight > 0, 0.5, -0.5).to(m.weight), input=convolved(m, x)
    ),
    "weights of a layer, masked": lambda m, x: functional.linear(
        convolved(m, x), m.fc.weight * m.mask, m.fc.bias
    ),
    "quantized by a module": lambda m, x: functional.linear(
        convolved(m, x), m.clip(torch.round(m.weight * 2))
    ),
    "a matrix": lambda m, x: convolved(m, x) @ m.weight.sign().t(),
    "matmul": lambda m, x: torch.matmul(convolved(m, x), m.weight.sign().T) + m.bias,
    "scaled behind": lambda m, x: m.scale * functional.linear(convolved(m, x), m.weight.sign()),
    "from numbers": lambda m, x: 1 - functional.linear(convolved(m, x), m.weight.sign()) / 2,
    "spikes turned round": lambda m, x: m.fc(1 - convolved(m, x)),
    "the input, scaled": lambda m, x: m.fc(convolved(m, (x - 0.5) * 2)),
}  # fmt: skip


def require_equal(model: nn.Module, x: Any = X) -> Any:
    """Assert that a model's integers are snnTorch's spikes, every one."""
    converted = from_torch(model, x)
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    trace = result_of(converted).trace
    right = stepped_by_snntorch(model, x)
    assert sorted(right) == ["first", "last"]
    for name, (spikes, _) in right.items():
        own = trace.spikes[name]
        np.testing.assert_array_equal(own.reshape(spikes.shape), spikes.numpy())
    assert differing(converted) == 0
    return converted


@pytest.mark.parametrize("forward", WAYS.values(), ids=WAYS)
def test_products_and_sums_with_numbers(forward: Callable[[Any, Tensor], Any]) -> None:
    model = Net(forward)
    converted = require_equal(model)
    for row, name in enumerate(("weight", "bias", "scale")):
        model.get_parameter(name).data[row] *= -1
    model.fc.weight.data[0] *= -1
    changed = stepped_by_snntorch(model, X)["last"][0].numpy()
    assert (changed != result_of(converted).trace.spikes["last"]).any()


def test_weights_of_plain_numbers() -> None:
    """In the model's own float32 these are float32, and where it runs in float64 they are that."""
    plain = Net(
        lambda m, x: functional.linear(convolved(m, x), torch.where(m.weight > 0, 0.5, -0.5))
    )
    converted = from_torch(plain, X)
    right = stepped_by_snntorch(Net(WAYS["linear, by name"]), X)["last"][0].numpy()
    np.testing.assert_array_equal(result_of(converted).trace.spikes["last"], right)
    assert torch.get_default_dtype() == torch.float32


OVER_ROWS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "average": lambda m, x: functional.avg_pool1d(in_rows(m, x), 4, 4),
    "maximum": lambda m, x: functional.max_pool1d(in_rows(m, x), 3, padding=1, stride=3),
    "maximum of torch": lambda m, x: torch.max_pool1d(in_rows(m, x), 3, ceil_mode=True),
    "adaptive average": lambda m, x: functional.adaptive_avg_pool1d(in_rows(m, x), 3),
    "adaptive maximum": lambda m, x: functional.adaptive_max_pool1d(in_rows(m, x), 4),
    "adaptive maximum, a layer": lambda m, x: m.pool(in_rows(m, x)),
}


@pytest.mark.parametrize("pool", OVER_ROWS.values(), ids=OVER_ROWS)
def test_convolutions_and_pools_over_one_axis(pool: Callable[[Any, Tensor], Tensor]) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        flat = pool(m, x).flatten(1)
        return functional.linear(flat, m.weight[:, : flat.shape[1]].sign())

    require_equal(Net(forward, pool=nn.AdaptiveMaxPool1d(4)), ROWS)


def test_a_convolution_over_one_axis_whose_weights_a_layer_computes() -> None:
    class Signed(nn.Conv1d):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's own name
            """Convolve with signs."""
            return functional.conv1d(input, self.weight.sign(), self.bias, padding=1)

    torch.manual_seed(4)
    layer = Signed(2, 3, 3)
    layer.bias.data.copy_(torch.tensor([0.5, -0.25, 0.25]))  # type: ignore[union-attr]
    model = nn.Sequential(layer, neuron(1.0), nn.Flatten(), dyadic(nn.Linear(36, 4)), neuron(0.25))
    converted = from_torch(model, ROWS)
    assert converted.exact
    assert differing(converted) == 0
    fired = stepped_by_snntorch(model, ROWS)["4"][0].numpy()
    np.testing.assert_array_equal(result_of(converted).trace.spikes["layer4"], fired)


MAPS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "adaptive maximum of all": lambda m, x: functional.adaptive_max_pool2d(x, 1).flatten(1),
    "adaptive maximum, a layer": lambda m, x: m.pool(x).flatten(1),
    "windows cut off": lambda m, x: functional.avg_pool2d(
        x, 3, 2, ceil_mode=True, divisor_override=4
    ).flatten(1),
    "windows cut off, of averages": lambda m, x: functional.avg_pool2d(
        functional.avg_pool2d(x, 2, 1), (3, 4), (2, 3), (1, 2), True, False, 8
    ).flatten(1),
    "none cut off": lambda m, x: functional.avg_pool2d(x, 2, ceil_mode=True).flatten(1),
}


@pytest.mark.parametrize("pool", MAPS.values(), ids=MAPS)
def test_pools_over_maps(pool: Callable[[Any, Tensor], Tensor], tmp_path: Path) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        spikes = m.first(functional.conv2d(x, m.kernel.sign(), padding=1))
        flat = pool(m, spikes)
        return functional.linear(flat, m.weight[:, : flat.shape[1]].sign())

    converted = require_equal(Net(forward, (3.0, 0.25), nn.AdaptiveMaxPool2d((2, None))))
    require_machines_agree(converted.network, X, tmp_path)


class Fixed(Net):
    """A loop over time that says how many samples it takes, as many tutorials do."""

    def forward(self, x: Tensor) -> Any:
        """Return the spikes of all steps."""
        first, last, spikes = self.first.init_leaky(), self.last.init_leaky(), []
        for step in range(x.size(0)):
            spk, first = self.first(functional.conv2d(x[step], self.kernel.sign()), first)
            spk = functional.max_pool2d(spk, 2).view(32, -1)
            spk, last = self.last(functional.linear(spk, self.weight[:, :27].sign()), last)
            spikes.append(spk)
        return torch.stack(spikes)


def test_a_number_of_samples_that_forward_says() -> None:
    model = Fixed(lambda _, x: x)
    model.first, model.last = (snn.Leaky(beta=0.5, threshold=level) for level in (0.75, 0.25))
    x = events(37, 7, 1, 8, 8)
    converted = from_torch(model, x)
    assert converted.exact
    assert differing(converted) == 0
    double = model.double()
    for neurons in (double.first, double.last):
        neurons.spike_grad = lambda above: (above > 0).double()
    with torch.no_grad():
        given = double(torch.from_numpy(x[:32].swapaxes(0, 1)).double()).numpy()
    own = result_of(converted).trace.spikes["last"]
    np.testing.assert_array_equal(own[:32].swapaxes(0, 1), given)
    model.weight.data[0] *= -1
    assert (result_of(from_torch(model, x)).trace.spikes["last"] != own).any()


def test_a_number_of_samples_in_one_step() -> None:
    model = Net(lambda m, x: m.fc(convolved(m, x).reshape((20, 48))))
    converted = from_torch(model, X)
    assert differing(converted) == 0
    plain = Net(lambda m, x: m.fc(convolved(m, x)))
    np.testing.assert_array_equal(
        result_of(converted).trace.spikes["last"], stepped_by_snntorch(plain, X)["last"][0].numpy()
    )


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda m, x: m.fc(convolved(m, x)) * torch.ones(2, 1), "mul (ByNumbers): its numbers have shape [2, 1], not one a channel; give them shape [5]"),
        (lambda m, x: m.fc(convolved(m, x)) / 0, "truediv (ByNumbers): what it makes of numbers is not finite; let it divide by no 0"),
        (lambda m, x: functional.linear(convolved(m, x), m.weight + torch.randn_like(m.weight)), "add: add gives something else each time (test_from_torch_products.py:"),
        (lambda m, x: functional.linear(convolved(m, x), m.weight[0]), "linear: linear multiplies no signal with weights; compute its weights from parameters alone, outputs first"),
        (lambda m, x: (y := convolved(m, x)) @ y.t(), "matmul: matmul multiplies no signal with weights"),
        (lambda m, x: functional.linear(convolved(m, x), m.weight.reshape(7, 7)), "reshape: .reshape() cannot be computed (RuntimeError: shape '[7, 7]' is invalid for input of size 240; test_from_torch_products.py:"),
        (lambda m, x: functional.linear(convolved(m, x), m.weight / 0), "linear (Linear): its weight is not finite (infinite); train it again"),
        (lambda m, x: m.fc(convolved(m, x).view(20, 48).view(10, 96)), "view_1: what it makes of what it takes cannot be known"),
    ],
)  # fmt: skip
def test_what_is_refused(forward: Callable[[Any, Tensor], Any], message: str) -> None:
    with pytest.raises(NotMappable, match=re.escape(message)):
        from_torch(Net(forward), X)
