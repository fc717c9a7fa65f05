"""Inputs with a mean and a deviation, and batch norms that no neurons follow, against snnTorch.

An offset that comes before a convolution is not felt where that pads with zeros.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn
from torch_models import (
    differing,
    dyadic,
    events,
    require_machines_agree,
    result_of,
    stepped_by_snntorch,
)

from lehr.errors import NotMappable, UsageError
from lehr.export import from_torch
from lehr.export.torchmodels.network import FromTorch
from lehr.export.verified import export_model
from lehr.simulate import simulate


def leaky(threshold: Any = 0.75) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, init_hidden=True)


def norm(kind: Any, channels: int) -> Any:
    """Make a batch norm as one that has seen data, of powers of two, some of them negative."""
    made = kind(channels, eps=0.0)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([0.5, -1.0, 2.0, 1.0])[torch.arange(channels) % 4])
        made.bias.copy_(torch.tensor([0.25, -0.5, 0.75])[torch.arange(channels) % 3])
        made.running_mean.copy_(torch.tensor([0.5, -0.25])[torch.arange(channels) % 2])
        made.running_var.fill_(4.0)
    return made


def pixels(*shape: int, most: int = 16) -> Any:
    return np.random.default_rng(3).integers(0, most, shape, dtype=np.uint8)


def held(x: Any, scaled: Any, steps: int) -> Any:
    """Return what the model takes, `[N, T, *shape]`."""
    return np.repeat(scaled(x.astype(np.float64))[:, None], steps, 1)


def require_equal(model: nn.Module, converted: FromTorch, taken: Any) -> None:
    """Assert that nothing is rounded, and every spike is snnTorch's on what the model takes."""
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    assert differing(converted) == 0
    trace, right = result_of(converted).trace, stepped_by_snntorch(model, taken)
    for name, layer in converted.layers.items():
        np.testing.assert_array_equal(trace.spikes[name], right[layer.source][0].numpy())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(7)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("std", [0.25, (0.25, 0.5)], ids=["one", "by channel"])
def test_pixels_less_a_mean_over_a_deviation(padding: int, std: Any, tmp_path: Path) -> None:
    model = nn.Sequential(
        dyadic(nn.Conv2d(2, 4, 3, padding=padding)),
        nn.AvgPool2d(2),
        leaky(),
        nn.Flatten(),
        dyadic(nn.Linear(4 * (2 + padding) ** 2, 4)),
        leaky(0.25),
    )
    x = pixels(12, 2, 6, 6)
    converted = from_torch(model, x, steps=5, full_scale=16, mean=(0.5, 0.375), std=std)
    mean, deviation = (np.reshape(v, (-1, 1, 1)) for v in ((0.5, 0.375), std))
    require_equal(model, converted, held(x, lambda v: (v / 16 - mean) / deviation, 5))
    first = converted.network.neurons["layer2"]
    assert (first.bias.ndim == 3) == bool(padding)
    require_machines_agree(converted.network, x, tmp_path)
    if padding:  # what an offset felt at the edges, too, would be
        inside = replace(first, bias=np.broadcast_to(first.bias[:, 1:2, 1:2], first.bias.shape))
        nodes = {**converted.network.nodes, "layer2": inside}
        other = simulate(replace(converted.network, nodes=nodes), x, trace=["layer2"]).trace
        assert np.any(other.spikes["layer2"] != result_of(converted).trace.spikes["layer2"])


def test_vectors_with_one_mean(tmp_path: Path) -> None:
    model = nn.Sequential(dyadic(nn.Linear(12, 16)), leaky(), dyadic(nn.Linear(16, 4)), leaky(0.25))
    x = pixels(20, 12, most=256)
    converted = from_torch(model, x, steps=6, full_scale=256, mean=0.5, std=0.5)
    require_equal(model, converted, held(x, lambda v: (v / 256 - 0.5) / 0.5, 6))
    verified = export_model(converted, tmp_path / "m.nir")
    assert verified.differ == {"layer1": 0, "layer3": 0}
    plain = from_torch(model, x, steps=6, full_scale=256)
    assert plain.network != converted.network


def test_numbers_that_double_precision_rounds_are_said() -> None:
    """1/255 and 0.1307 are no binary fractions: the model's own sums are rounded."""
    model = nn.Sequential(dyadic(nn.Linear(12, 16)), leaky())
    x = pixels(50, 12, most=256)
    converted = from_torch(model, x, steps=6, full_scale=255, mean=0.1307, std=0.3081)
    layer = converted.layers["layer1"]
    assert layer.rounded <= {"thresholds", "sums", "leaks"}
    assert not converted.exact
    right = stepped_by_snntorch(model, held(x, lambda v: (v / 255 - 0.1307) / 0.3081, 6))["1"][0]
    got = simulate(converted.network, x, steps=6, trace=["layer1"]).trace.spikes["layer1"]
    assert 0 < got.mean() < 1
    np.testing.assert_array_equal(got, right.numpy())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (0.1, 0.2)}, "--mean has 2 numbers, the input 3 channels; give one number, or"),
        ({"std": 0.0}, "--std is 0; use numbers above 0"),
        ({"mean": float("nan")}, "--mean holds nan; use finite numbers"),
        ({"full_scale": 0.0}, "--full-scale is 0; use a number above 0, 255 for pixels"),
    ],
)
def test_what_is_no_mean_or_deviation(options: dict[str, Any], message: str) -> None:
    model = nn.Sequential(dyadic(nn.Conv2d(3, 2, 3)), leaky())
    with pytest.raises(UsageError, match=f"^{message}"):
        from_torch(model, events(2, 3, 3, 5, 5), **options)


@pytest.mark.parametrize("padding", [0, 1])
def test_a_batch_norm_of_the_input(padding: int, tmp_path: Path) -> None:
    model = nn.Sequential(
        norm(nn.BatchNorm2d, 2), dyadic(nn.Conv2d(2, 4, 3, padding=padding)), leaky()
    ).eval()
    x = events(8, 6, 2, 6, 6)
    converted = from_torch(model, x)
    require_equal(model, converted, x)
    require_machines_agree(converted.network, x, tmp_path)


@pytest.mark.parametrize(
    ("padding", "pooled", "side"), [(0, False, 6), (1, False, 8), (0, True, 2), (1, True, 5)]
)
def test_a_batch_norm_of_spikes(padding: int, pooled: bool, side: int, tmp_path: Path) -> None:
    model = nn.Sequential(
        dyadic(nn.Conv2d(1, 4, 3, padding=1)),
        leaky(),
        norm(nn.BatchNorm2d, 4),
        nn.AvgPool2d(2, padding=padding) if pooled else nn.Identity(),
        dyadic(nn.Conv2d(4, 4, 3, padding=padding, groups=2)),
        leaky(),
        nn.Flatten(),
        norm(nn.BatchNorm1d, 4 * side**2),
        dyadic(nn.Linear(4 * side**2, 4)),
        leaky(0.5),
    ).eval()
    x = events(6, 5, 1, 8, 8)
    converted = from_torch(model, x)
    require_equal(model, converted, x)
    require_machines_agree(converted.network, x, tmp_path)


def test_two_layers_of_weights_without_neurons_between() -> None:
    model = nn.Sequential(
        dyadic(nn.Linear(12, 8)), norm(nn.BatchNorm1d, 8), dyadic(nn.Linear(8, 4)), leaky()
    ).eval()
    x = events(10, 6, 12)
    converted = from_torch(model, x)
    require_equal(model, converted, x)


def test_gains_that_leave_weights_no_common_step() -> None:
    made = norm(nn.BatchNorm1d, 16)
    with torch.no_grad():
        made.weight.uniform_(0.5, 2.0)
    model = nn.Sequential(
        dyadic(nn.Linear(12, 16)), leaky(), made, dyadic(nn.Linear(16, 4)), leaky()
    ).eval()
    x = events(10, 6, 12)
    with pytest.raises(NotMappable, match=r"3 \(Linear\): its weights are real numbers"):
        from_torch(model, x)
    converted = from_torch(model, x, weights="int8")
    assert "weights" in converted.layers["layer4"].rounded
    assert "weights" not in converted.layers["layer1"].rounded
    differ = differing(converted)
    assert differ < converted.spikes()["layer4"].size // 20
