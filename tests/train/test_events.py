"""Sums over spikes, event by event: torch's sums to the last bit, and torch's gradients."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from lehr.train.floats.events import DENSEST, FEWEST, NARROWEST, Pool, connected, convolved

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
IN_TORCH = AssertionError("computed by torch")


def spikes(*shape: int, rate: float = 0.1) -> Tensor:
    """Random ones, whose gradient is wanted."""
    return (torch.rand(*shape) < rate).float().requires_grad_()


def levels(*shape: int) -> Tensor:
    """Random integers from -3 to 3, likewise."""
    return torch.randint(-3, 4, shape).float().requires_grad_()


def assert_same(got: Tensor, expected: Tensor, given: tuple[Tensor, Tensor]) -> None:
    """Assert equal sums, and gradients within a millionth of those in double."""
    assert torch.equal(got.double(), expected)
    assert expected.abs().max() > 0
    toward = torch.randn_like(got)
    gradients = torch.autograd.grad((got * toward).sum(), given)
    exact = torch.autograd.grad((expected * toward.double()).sum(), given)
    for one, other in zip(gradients, exact, strict=True):
        assert float((one - other).norm()) <= 1e-6 * float(other.norm())
        assert other.abs().max() > 0


@budget(20, 200)
@given(
    st.integers(0, 2**31 - 1),
    st.integers(1, 20),
    st.integers(NARROWEST, 90),
    *[PAIR] * 5,
    st.tuples(st.integers(7, 10), st.integers(7, 10)),
)
def test_convolutions_and_sums_over_windows_are_those_of_torch(
    seed: int,
    channels: int,
    width: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    window: tuple[int, int],
    step: tuple[int, int],
    size: tuple[int, int],
) -> None:
    torch.manual_seed(seed)
    x, weight = spikes(FEWEST + 5, channels, *size), levels(width, channels, *kernel)
    convolution = functional.conv2d(x.double(), weight.double(), None, stride, padding)
    expected = functional.avg_pool2d(convolution, window, step, divisor_override=1)
    with patch.object(functional, "conv2d", side_effect=IN_TORCH):
        got = convolved(x, weight, stride, padding, pool=Pool(window, step))
    assert_same(got, expected, (x, weight))


def test_pooled_products_of_dense_inputs_are_those_of_torch() -> None:
    torch.manual_seed(0)
    x, weight = spikes(7, 5, 9, 11, rate=0.9), levels(4, 5, 3, 2)
    convolution = functional.conv2d(x.double(), weight.double(), None, (1, 2), (2, 1))
    expected = functional.avg_pool2d(convolution, (2, 3), (2, 1), divisor_override=1)
    with patch.object(functional, "conv2d", wraps=functional.conv2d) as in_torch:
        got = convolved(x, weight, (1, 2), (2, 1), pool=Pool((2, 3), (2, 1)))
    assert in_torch.called
    assert_same(got, expected, (x, weight))


@pytest.mark.parametrize(("taken", "width"), [(3, 16), (700, 20), (64, 300), (65, 64)])
def test_connections_are_those_of_torch(taken: int, width: int) -> None:
    torch.manual_seed(0)
    x, weight = spikes(FEWEST + 5, taken), levels(width, taken)
    with patch.object(functional, "linear", side_effect=IN_TORCH):
        got = connected(x, weight)
    expected = functional.linear(x.double(), weight.double())
    assert_same(got, expected, (x, weight))
    x.data[7, 2] = 1 - x[7, 2]
    assert not torch.equal(connected(x, weight), got)


@pytest.mark.parametrize(
    "fields",
    [
        {"value": 2.0},
        {"value": -1.0},
        {"value": 0.5},
        {"value": torch.nan},
        {"rate": 1.2 * DENSEST},
        {"width": NARROWEST - 2},
        {"rows": FEWEST - 1},
        {"groups": 2},
        {"dilation": (1, 2)},
    ],
    ids=repr,
)
@pytest.mark.parametrize("size", [(9, 8), (5, 3)])  # more inputs than a word has, and fewer
def test_torch_computes_all_else(size: tuple[int, int], fields: dict[str, Any]) -> None:
    torch.manual_seed(0)
    x = spikes(fields.get("rows", FEWEST), 4, *size, rate=fields.get("rate", 0.1)).detach()
    x[-1, -1, -1, -1] = fields.get("value", 1.0)
    groups, dilation = fields.get("groups", 1), fields.get("dilation", (1, 1))
    weight = levels(fields.get("width", NARROWEST), 4 // groups, 2, 2)
    expected = functional.conv2d(x, weight, None, 1, 1, dilation, groups)
    with patch.object(functional, "conv2d", wraps=functional.conv2d) as in_torch:
        got = convolved(x, weight, (1, 1), (1, 1), dilation, groups)
    assert in_torch.called
    assert torch.equal(got.nan_to_num(99), expected.nan_to_num(99))
