"""Refusing numbers that are NaN or infinite before signs or integers are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from lehr.errors import UsageError, together
from lehr.export.torchmodels.classes import name_of
from lehr.export.torchmodels.values import not_finite, trained_tensors

Tensors = Iterable[tuple[str, Tensor]]


def require_finite(layers: Mapping[str, Tensors], when: str) -> None:
    """Refuse layers whose numbers are not finite.

    Args:
        layers: named tensors, by the layer's name.
        when: what comes after "is not finite (NaN)", such as "after epoch 3".

    Raises:
        UsageError: naming every such layer and tensor.
    """
    problems = {name: reason for name, tensors in layers.items() if (reason := not_finite(tensors))}
    if problems:
        way_out = "lower the learning rate, or clip gradients"
        reasons = [f"{name}: {reason} {when}; {way_out}" for name, reason in problems.items()]
        raise UsageError(*together(reasons))


def by_layer(model: nn.Module) -> dict[str, Tensors]:
    """Return what training sets in all modules of a model, by "name (Class)".

    What stands behind a parametrization is its layer's.
    """
    parts = (
        (name, module)
        for name, module in model.named_modules()
        if "parametrizations" not in name.split(".")
    )
    return {
        f"{name or 'model'} ({name_of(module)})": trained_tensors(module) for name, module in parts
    }
