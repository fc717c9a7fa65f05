"""Products of a signal with weights, and sums and products with numbers, as functions say them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from lehr.errors import NotMappable
from lehr.export.fold import Affine
from lehr.export.torchmodels.brevitas import is_quant_tensor
from lehr.nodes import Shape

Weighted = nn.Linear | nn.Conv1d | nn.Conv2d

_LINEAR = ("input", "weight", "bias")
_CONV = (*_LINEAR, "stride", "padding", "dilation", "groups")
_LAYERS: Mapping[Any, tuple[type[nn.Module], tuple[str, ...]]] = {
    functional.linear: (nn.Linear, _LINEAR),
    torch.conv1d: (nn.Conv1d, _CONV),
    torch.conv2d: (nn.Conv2d, _CONV),
}
"""The products that are read: the layer that computes each, and the names of what it takes."""

_MATRICES = frozenset({operator.matmul, torch.matmul, torch.mm, "matmul", "mm"})
"""Products with a matrix that has an output a column."""

_AFFINE: Mapping[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "add": lambda gain, offset, c: (gain, offset + c),
    "sub": lambda gain, offset, c: (gain, offset - c),
    "mul": lambda gain, offset, c: (gain * c, offset * c),
    "truediv": lambda gain, offset, c: (gain / c, offset / c),
    "div": lambda gain, offset, c: (gain / c, offset / c),
}
"""Operations of torch and of Python, by name, on `gain * x + offset` and numbers `c`."""

_EITHER_SIDE = ("add", "mul")


@dataclass(frozen=True)
class Product:
    """A product with weights.

    Attributes:
        signal: what is multiplied.
        layer: a plain one that computes it, in double precision.
        held: the weights as they were given, which Brevitas may have wrapped.
    """

    signal: fx.Node
    layer: Weighted
    held: Any


def is_product(node: fx.Node) -> bool:
    """Return whether an operation is a product that can be one with weights."""
    return node.op in ("call_function", "call_method") and (
        node.target in _LAYERS or node.target in _MATRICES
    )


def product_of(node: fx.Node, number: Callable[[Any], Any]) -> Product | None:
    """Return the product of a signal with weights that an operation is; None where it is none.

    Args:
        node: of which `is_product` is true.
        number: returns what an argument has been computed to be, and None of a signal.
    """
    kind, names = _LAYERS.get(node.target, (nn.Linear, ("input", "weight")))
    given: dict[str, Any] = dict(zip(names, node.args, strict=False)) | {
        "weight" if key in ("other", "mat2") else key: value for key, value in node.kwargs.items()
    }
    signal, held = given.pop("input", None), number(given.pop("weight", None))
    bias = given.pop("bias", None)
    shift = number(bias)
    if not isinstance(signal, fx.Node) or number(signal) is not None or held is None:
        return None
    if (bias is None) != (shift is None):
        return None
    weight = plain(held)
    if node.target in _MATRICES and weight.ndim == 2:
        weight = weight.t()
    if weight.ndim != {nn.Linear: 2, nn.Conv1d: 3, nn.Conv2d: 4}[kind]:
        return None
    if kind is nn.Linear:
        layer: Any = nn.Linear(weight.shape[1], weight.shape[0], bias=shift is not None)
    else:
        inputs = weight.shape[1] * given.get("groups", 1)
        layer = kind(inputs, len(weight), tuple(weight.shape[2:]), bias=shift is not None, **given)
    layer.double().requires_grad_(False)
    layer.weight.copy_(weight)
    if shift is not None:
        layer.bias.copy_(plain(shift))
    return Product(signal, layer, held)


def plain(number: Any) -> Tensor:
    """Return numbers in double precision; of quantized ones those that they stand for."""
    values: Any = number.value if is_quant_tensor(number) else number
    return torch.as_tensor(values).detach().double()


class ByNumbers(nn.Module):
    """A sum with numbers, or a product with some.

    Attributes:
        operation: its name, as "add".
        number: what is added, or multiplied with, in double precision.
        first: whether the numbers stand before the signal.
    """

    def __init__(self, operation: str, number: Tensor, *, first: bool) -> None:
        super().__init__()
        self.operation, self.first = operation, first
        self.number = nn.Parameter(number, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute it."""
        gain, offset = self._on(torch.ones_like(x), torch.zeros_like(x), self.number)
        return gain * x + offset

    def by_channel(self, shape: Shape) -> Affine:
        """Return it for signals of a shape, without batch.

        Raises:
            NotMappable: when the numbers are not one a channel. The caller names the operation.
        """
        channels, spatial = shape[0], [1] * (len(shape) - 1)
        try:
            number = self.number.broadcast_to(1, channels, *spatial).reshape(-1)
        except RuntimeError:
            raise NotMappable(
                f"its numbers have shape {list(self.number.shape)}, not one a channel; give them "
                f"shape {[channels, *spatial]}"
            ) from None
        gain, offset = self._on(
            torch.ones(channels).double(), torch.zeros(channels).double(), number
        )
        if not bool(torch.isfinite(torch.stack([gain, offset])).all()):
            raise NotMappable("what it makes of numbers is not finite; let it divide by no 0")
        return Affine(gain.numpy(), offset.numpy())

    def _on(self, gain: Tensor, offset: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        if self.first and self.operation == "sub":
            return -gain, number - offset
        return _AFFINE[self.operation](gain, offset, number)


def by_numbers(
    node: fx.Node, number: Callable[[Any], Any]
) -> tuple[ByNumbers, tuple[fx.Node]] | None:
    """Return the sum or product of a signal with numbers that an operation is, and the signal.

    Args:
        node: an operation.
        number: returns what an argument has been computed to be, and None of a signal.
    """
    name = bare_operation(node)
    if name not in _AFFINE or len(node.args) != 2 or node.kwargs:
        return None
    values = [each if isinstance(each, int | float) else number(each) for each in node.args]
    first = values[1] is None
    if first and name not in (*_EITHER_SIDE, "sub"):
        return None
    signal, value = (node.args[1], values[0]) if first else (node.args[0], values[1])
    if value is None or not isinstance(signal, fx.Node) or number(signal) is not None:
        return None
    return ByNumbers(name, plain(value), first=first), (signal,)


def bare_operation(node: fx.Node) -> str:
    """Return the name of an operation, in place or not."""
    name = getattr(node.target, "__name__", str(node.target))
    bare = name.removesuffix("_")
    return bare.removeprefix("i") if bare.removeprefix("i") in _AFFINE else bare
