"""Layers whose forward computes its weights, read as layers that hold them.

The right weights are written down here, by numpy; the right spikes come from snnTorch, stepped in
float64 with torch's own layers.
"""

# pyright: reportIncompatibleMethodOverride=false
# People name the argument of `forward` as they like; torch names it `input`.

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch_models import differing, dyadic, events, result_of, stepped

from lehr.errors import NotMappable
from lehr.export import from_torch

X = events(8, 12, 16)
WAY_OUT = "compute its weights from parameters alone, and give nn.functional.linear or conv2d the input as it is"


def neuron(**options: Any) -> Any:
    return snn.Leaky(**{"beta": 0.5, "threshold": 0.75, "init_hidden": True, **options})


class Ste(torch.autograd.Function):
    """Signs with a straight-through gradient, as many write them."""

    @staticmethod
    def forward(_: Any, weight: Tensor) -> Tensor:
        """Return -1 and +1."""
        return torch.where(weight >= 0, 1.0, -1.0).to(weight.dtype)


def signs(layer: Any) -> Any:
    return np.where(layer.weight.detach().numpy() >= 0, 1.0, -1.0)


ste: Any = Ste.apply


class Scaled(nn.Linear):
    """Signs times a magnitude an output, which is a parameter."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.magnitude = nn.Parameter(0.5 ** torch.arange(1.0, 1 + outputs)[:, None] * 2)
        dyadic(self)
        self.weight.data.normal_()

    def forward(self, x: Tensor) -> Tensor:
        """Compute with scaled signs."""
        return functional.linear(x, torch.sign(self.weight) * self.magnitude, self.bias)

    def right(self) -> Any:
        """Return the weights and the bias that it computes with."""
        return signs(self) * self.magnitude.detach().numpy(), self.bias.detach().numpy()


class ScaledAfter(Scaled):
    """The same, with magnitudes and bias where the product is done, and a quantizer of its own."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute with signs, then scale and shift."""
        y = functional.linear(input=x, weight=ste(self.weight))
        y = (y * self.magnitude.flatten()).div_(2)
        return 0.25 - (self.bias.unsqueeze(0) - y)

    def right(self) -> Any:
        """Return the weights and the bias that it computes with."""
        weight, bias = super().right()
        return weight / 2, 0.25 - bias


class Ternary(nn.Module):
    """A layer of one's own, derived from none of torch's, with an inner module for the levels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.randn(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        """Compute with -1, 0 and +1."""
        return functional.linear(x, (self.latent * 1.5).round().clamp(-1, 1))

    def right(self) -> Any:
        """Return the weights, and no bias."""
        return np.clip(np.rint(self.latent.detach().double().numpy() * 1.5), -1, 1), np.zeros(
            len(self.latent)
        )


class Held(nn.Linear):
    """Weights that are a property, under a forward that is torch's."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.latent = nn.Parameter(torch.randn(outputs, inputs))
        dyadic(self)
        del self._parameters["weight"]

    weight: Any = property(lambda self: torch.sign(self.latent))

    def right(self) -> Any:
        """Return the weights and the bias that it computes with."""
        return np.sign(self.latent.detach().numpy()), self.bias.detach().numpy()


@pytest.mark.parametrize("kind", [Scaled, ScaledAfter, Ternary, Held])
def test_weights_that_forward_computes(kind: Callable[[int, int], Any]) -> None:
    torch.manual_seed(3)
    layer = kind(16, 4)
    converted = from_torch(nn.Sequential(layer, neuron()), X)
    assert converted.exact, [each.notes for each in converted.layers.values()]
    assert differing(converted) == 0
    weight, bias = layer.right()
    fired = result_of(converted).trace.spikes["layer1"]
    plain = nn.Linear(16, 4)
    plain.weight.data, plain.bias.data = torch.tensor(weight), torch.tensor(bias)
    right = stepped(plain, neuron(init_hidden=False), X, 1)[0].numpy()
    np.testing.assert_array_equal(fired, right)
    plain.weight.data[0, 0] += 1
    assert (stepped(plain, neuron(init_hidden=False), X, 1)[0].numpy() != right).any()


class Signed(nn.Conv2d):
    """A convolution by signs."""

    def forward(self, x: Tensor) -> Any:
        """Convolve with signs, and scale each output."""
        scale: Any = 0.5 ** torch.arange(self.out_channels).view(1, -1, 1, 1)
        return scale * self._conv_forward(x, ste(self.weight), self.bias)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"stride": 2, "padding": "valid", "bias": False},
        {"groups": 2, "dilation": 2, "padding": "same"},
    ],
)
def test_convolutions_of_signs(options: dict[str, Any]) -> None:
    torch.manual_seed(5)
    layer = Signed(2, 4, 3, **options)
    if layer.bias is not None:
        layer.bias.data.fill_(0.25)
    model = nn.Sequential(layer, nn.AvgPool2d(2), neuron(threshold=0.25))
    converted = from_torch(model, events(6, 9, 2, 8, 8))
    assert converted.exact, [each.notes for each in converted.layers.values()]
    node: Any = converted.network.nodes["layer0"]
    assert node.kind == "binary"
    np.testing.assert_array_equal(node.weight, signs(layer))
    plain = nn.Conv2d(2, 4, 3, **options)
    plain.weight.data = torch.tensor(signs(layer) * 0.5 ** np.arange(4).reshape(-1, 1, 1, 1))
    if layer.bias is not None:
        plain.bias.data = layer.bias.detach() * 0.5 ** torch.arange(4)  # type: ignore[union-attr]
    other = from_torch(
        nn.Sequential(plain, nn.AvgPool2d(2), neuron(threshold=0.25)), converted.sample
    )
    for mine, right in zip(converted.spikes().values(), other.spikes().values(), strict=True):
        np.testing.assert_array_equal(mine, right)
    assert differing(converted) == 0


@budget(10, 200)
@given(seed=st.integers(0, 2**32 - 1), most=st.sampled_from([1, 2, 7, 127]))
def test_levels_of_any_rounding_are_found(seed: int, most: int) -> None:
    """Weights are a power of two times whole numbers, an output its own."""

    class Rounded(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return functional.linear(x, self.levels() * self.get_buffer("step"), self.bias)

        def levels(self) -> Tensor:
            return (self.weight / self.weight.abs().amax(1, keepdim=True) * most).round()

    torch.manual_seed(seed)
    layer: Any = Rounded(16, 3, bias=False)
    layer.register_buffer("step", 0.5 ** torch.randint(0, 6, (3, 1)))
    converted = from_torch(nn.Sequential(layer, neuron()), X)
    levels = layer.double().levels().detach().numpy().astype(np.int64)
    node: Any = converted.network.nodes["layer0"]
    read = node.weight.astype(np.int64)
    assert np.abs(read).max() <= most
    greatest = (np.abs(each).max(axis=1, keepdims=True) for each in (levels, read))
    there, here = greatest
    np.testing.assert_array_equal(read * there, levels * here)


def linear(forward: Callable[[Any, Tensor], Any]) -> nn.Module:
    """Return a layer derived from nn.Linear, with another forward."""
    layer: nn.Module = type("OwnLinear", (nn.Linear,), {"forward": forward})(16, 4)
    return layer


def in_place(self: Any, x: Tensor) -> Tensor:
    """Binarize the input where it is, of which torch.fx sees nothing."""
    x.data = torch.ones(len(self.weight), self.weight.shape[1]).double()
    return functional.linear(x, torch.sign(self.weight))


def low_rank(self: Any, x: Tensor) -> Tensor:
    """Return what two products give together."""
    return functional.linear(x, self.weight.sign()) + functional.linear(x, self.weight)


def random_weights(self: Any, x: Tensor) -> Tensor:
    """Draw the signs."""
    return functional.linear(x, torch.bernoulli(self.weight.sigmoid()) * 2 - 1)


def branch(self: Any, x: Tensor) -> Tensor:
    """Do something else where there is an input."""
    return functional.linear(x, self.weight.sign()) if x.sum() > 0 else x


def not_finite(self: Any, x: Tensor) -> Tensor:
    """Divide by 0."""
    return functional.linear(x, self.weight / (self.weight - self.weight))


LINEAR = "0 (OwnLinear): its forward"


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda self, x: functional.linear(x.sign(), self.weight.sign()), f"{LINEAR} calls sign on what it takes; {WAY_OUT}"),
        (lambda self, x: functional.linear(x / x.abs().amax(), self.weight.sign()), f"{LINEAR} calls abs on what it takes; {WAY_OUT}"),
        (lambda self, x: functional.linear(x, self.weight.sign() * x.mean()), f"{LINEAR} calls mean on what it takes; {WAY_OUT}"),
        (lambda self, x: functional.linear(x, self.weight.sign()).relu(), f"{LINEAR} calls relu on what its product gives; {WAY_OUT}"),
        (lambda self, x: functional.linear(x, self.weight.sign()) + x.shape[0], f"{LINEAR} calls .shape on what its product gives; {WAY_OUT}"),
        (lambda self, x: 1 / functional.linear(x, self.weight.sign()), f"{LINEAR} calls truediv on what its product gives; {WAY_OUT}"),
        (lambda self, x: functional.linear(x, self.weight.sign()) * 0 + (x * 2), f"{LINEAR} calls mul on something else than what its product gives; {WAY_OUT}"),
        (lambda self, x: functional.linear(x, self.weight.sign()) * self.weight, f"{LINEAR} calls mul: its numbers have shape [4, 16], not one a channel; give them shape [4]"),
        (lambda self, x: functional.linear(self.weight, x), f"{LINEAR} gives no product of what it takes; {WAY_OUT}"),
        (lambda self, x: functional.linear(x, self.weight[0].sign()), f"{LINEAR} gives no product of what it takes; {WAY_OUT}"),
        (lambda self, x: functional.linear(x, self.weight.sign().repeat(4, 1)) + x, f"{LINEAR} calls add on what its product gives; {WAY_OUT}"),
        (lambda self, x: x, f"{LINEAR} gives no product of what it takes; {WAY_OUT}"),
        (low_rank, f"{LINEAR} calls linear on what its product gives; {WAY_OUT}"),
        (in_place, f"{LINEAR} does not give the product that it calls, as where it changes its input in place; {WAY_OUT}"),
        (random_weights, f"{LINEAR} computes other weights each time; let it compute the same in evaluation mode"),
        (branch, f"{LINEAR} cannot be followed (TraceError: symbolically traced variables cannot be used as inputs to control flow); {WAY_OUT}"),
        (not_finite, f"{LINEAR} computes with weights of which its weight is not finite (infinite); train it again"),
        (lambda self, x: functional.linear(x, self.weight[:, :8].sign()), "0 (OwnLinear): it does not run on [16] (RuntimeError: "),
        (lambda self, x: functional.linear(x, self.nothing), f"{LINEAR} cannot be followed (AttributeError: 'OwnLinear' object has no attribute 'nothing'); {WAY_OUT}"),
        (lambda self, x: functional.linear(x, self.weight), "0 (OwnLinear): its weights are real numbers, not -1 and +1 or up to 127 levels of one step; train it"),
    ],
)  # fmt: skip
def test_what_is_no_product_with_weights_is_named(
    forward: Callable[[Any, Tensor], Any], message: str
) -> None:
    torch.manual_seed(1)
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        from_torch(nn.Sequential(linear(forward), neuron()), X)


def test_numbers_behind_signs_are_seen_to_be_finite() -> None:
    layer = linear(lambda self, x: functional.linear(x, ste(self.weight)))
    layer.get_parameter("weight").data[0, 0] = torch.nan
    with pytest.raises(
        NotMappable, match=re.escape("0 (OwnLinear): its weight is not finite (NaN)")
    ):
        from_torch(nn.Sequential(layer, neuron()), X)


def test_a_padding_mode_of_a_derived_convolution_is_refused() -> None:
    layer = Signed(1, 2, 3, padding=1, padding_mode="reflect")
    with pytest.raises(NotMappable, match=r"0 \(Signed\): its forward calls pad on what it takes"):
        from_torch(nn.Sequential(layer, neuron()), events(4, 5, 1, 6, 6))


def test_real_weights_that_forward_computes_are_rounded_where_that_is_asked_for() -> None:
    layer = linear(lambda self, x: functional.linear(x, self.weight.tanh(), self.bias))
    converted = from_torch(nn.Sequential(layer, neuron(threshold=0.25)), X, weights="int8")
    assert not converted.exact
    node: Any = converted.network.nodes["layer0"]
    weight = np.tanh(layer.get_parameter("weight").detach().double().numpy())
    step = (weight * node.weight).sum(1) / (node.weight.astype(float) ** 2).sum(1)
    assert np.abs(weight / step[:, None] - node.weight).max() <= 0.5 + 1e-9
