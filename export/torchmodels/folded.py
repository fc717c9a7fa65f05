"""Layers that compute their weights as they run, as plain layers that hold those weights.

The `forward` of a class derived from `nn.Linear` may take signs of its weights. It is called with a
symbol in place of its input: what it computes from weights alone, it computes itself, and torch.fx
records what becomes of the input. Where that is one product with weights, and then sums with and
products with numbers of its channels, the layer is a plain one with other weights; nothing else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from lehr.errors import NotMappable
from lehr.export.levels import Levels
from lehr.export.torchmodels.brevitas import is_quant_tensor, quant_levels
from lehr.export.torchmodels.products import (
    ByNumbers,
    Weighted,
    bare_operation,
    by_numbers,
    is_product,
    product_of,
)
from lehr.export.torchmodels.tracer import InDouble
from lehr.export.torchmodels.values import not_finite
from lehr.nodes import Shape

AGREE = 1e-9
"""How far, by the greatest value, sums of another order may lie apart in double precision."""


@dataclass(frozen=True)
class Folded:
    """A layer of which the weights have been computed.

    Attributes:
        layer: a plain one that computes the same, in double precision.
        levels: its weights as the library says them that quantized them; None if none did.
    """

    layer: Weighted
    levels: Levels | None


class _Tracer(fx.Tracer):
    """Tracer to which only the input is a symbol: parameters and buffers are themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[fx.Node, Any] = {}

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:  # noqa: ARG002
        """Return what the module holds."""
        return attr_val

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        """Look into all modules."""
        return False

    def create_arg(self, a: Any) -> Any:
        """Keep what has been computed, where it meets the input."""
        if not isinstance(a, Tensor) and not is_quant_tensor(a):
            return super().create_arg(a)
        node = self.create_node("get_attr", f"number{len(self.numbers)}", (), {})
        self.numbers[node] = a
        return node


def folded(module: nn.Module, shape: Shape) -> Folded:
    """Return a layer with the weights that its forward computes.

    Args:
        module: in double precision and evaluation mode.
        shape: of what it takes, without batch.

    Raises:
        NotMappable: when its forward is not one product of its input with weights, or computes
            others each time. The caller names the module.
    """
    first, second = _read(module), _read(module)
    if not all(
        torch.equal(one, other)
        for one, other in zip(first.layer.parameters(), second.layer.parameters(), strict=True)
    ):
        raise NotMappable(
            "its forward computes other weights each time; let it compute the same in evaluation "
            "mode"
        )
    _require_same(module, first.layer, shape)
    return first


def is_over_one_axis(module: nn.Module) -> bool:
    """Return whether the product that a layer's forward computes is a convolution over one axis."""
    try:
        return isinstance(_read(module).layer, nn.Conv1d)
    except NotMappable:
        return False


def _read(module: nn.Module) -> Folded:
    tracer = _Tracer()
    try:
        with torch.no_grad(), InDouble():
            graph = tracer.trace(module)
    except Exception as error:  # whatever the user's forward raises when it is called with a symbol
        reason = str(error).partition("\n")[0]
        raise NotMappable(
            f"its forward cannot be followed ({type(error).__name__}: {reason}); {_WAY_OUT}"
        ) from error
    walk = _Walk(tracer.numbers)
    for node in graph.nodes:
        walk.take(node)
    if walk.layer is None or next(reversed(graph.nodes)).args[0] is not walk.signal:
        raise NotMappable(f"its forward gives no product of what it takes; {_WAY_OUT}")
    return Folded(walk.layer, walk.levels)


_WAY_OUT = (
    "compute its weights from parameters alone, and give nn.functional.linear or conv2d the input "
    "as it is"
)


class _Walk:
    """Visitor of what was recorded, in the order in which it ran."""

    def __init__(self, numbers: Mapping[fx.Node, Any]) -> None:
        self.numbers = numbers
        self.signal: fx.Node | None = None
        self.layer: Weighted | None = None
        self.levels: Levels | None = None

    def take(self, node: fx.Node) -> None:
        """Take in one operation.

        Raises:
            NotMappable: when it is none that is known.
        """
        if node.op == "placeholder" and self.signal is None:
            self.signal = node
        elif node.op in ("get_attr", "output") or (node.op == "placeholder" and not node.users):
            return
        elif self.layer is None and is_product(node):
            self._product(node)
        elif self.layer is not None and (made := by_numbers(node, self._number)):
            self._affine(node, *made)
        else:
            called = getattr(node.target, "__name__", str(node.target))
            if node.target is getattr:
                called = f".{node.args[1]}"
            taken = "what it takes" if self.layer is None else "what its product gives"
            raise NotMappable(f"its forward calls {called} on {taken}; {_WAY_OUT}")

    def _product(self, node: fx.Node) -> None:
        product = product_of(node, self._number)
        if product is None or product.signal is not self.signal:
            raise NotMappable(f"its forward gives no product of what it takes; {_WAY_OUT}")
        if is_quant_tensor(product.held):
            self.levels = quant_levels(product.held)
        self.layer, self.signal = product.layer, node

    def _affine(self, node: fx.Node, made: ByNumbers, taken: tuple[fx.Node]) -> None:
        layer, name = self.layer, bare_operation(node)
        assert layer is not None
        if taken != (self.signal,):
            raise NotMappable(
                f"its forward calls {name} on something else than what its product gives; "
                f"{_WAY_OUT}"
            )
        spatial = [1] * (layer.weight.ndim - 2)
        try:
            affine = made.by_channel((len(layer.weight), *spatial))
        except NotMappable as error:
            raise NotMappable(f"its forward calls {name}: {error}") from None
        if not (affine.gain == 1).all():
            self.levels = None
        gain, offset = torch.from_numpy(affine.gain), torch.from_numpy(affine.offset)
        weight = layer.weight * gain.reshape(-1, 1, *spatial)
        bias = offset if layer.bias is None else gain * layer.bias + offset
        layer.weight = nn.Parameter(weight, requires_grad=False)
        layer.bias = nn.Parameter(bias, requires_grad=False)
        self.signal = node

    def _number(self, argument: Any) -> Any:
        """Return what has been computed, where an argument is that."""
        return self.numbers.get(argument) if isinstance(argument, fx.Node) else None


def _require_same(module: nn.Module, layer: nn.Module, shape: Shape) -> None:
    """Refuse a layer that gives something else than its plain one, on random inputs."""
    if reason := not_finite(layer.named_parameters()):
        raise NotMappable(f"its forward computes with weights of which {reason}; train it again")
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(8, *shape, dtype=torch.float64, generator=draw)
    x[4:] = (x[4:] > 0).double()
    try:
        with torch.no_grad(), InDouble():
            given, right = module(x.clone()), layer(x)
    except Exception as error:  # whatever the user's forward raises
        reason = str(error).partition("\n")[0]
        raise NotMappable(
            f"it does not run on {list(shape)} ({type(error).__name__}: {reason}); give it the "
            "shape that the layer before it makes"
        ) from error
    alike = isinstance(given, Tensor) and given.shape == right.shape
    if not alike or not bool((given - right).abs().max() <= AGREE * (1 + right.abs().max())):
        raise NotMappable(
            "its forward does not give the product that it calls, as where it changes its input in "
            f"place; {_WAY_OUT}"
        )
