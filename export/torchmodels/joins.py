"""Where several signals of a torch model meet: sums, and concatenation along the channels."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn

from lehr.errors import NotMappable

_ADDS = (operator.add, operator.iadd, torch.add)
_CATS = (torch.cat, torch.concat, torch.concatenate)


class Sum(nn.Module):
    """The sum of several signals of one shape."""

    def forward(self, *taken: Tensor) -> Tensor:
        """Add them."""
        return torch.stack(taken).sum(0)


class Concatenation(nn.Module):
    """Several signals beside each other, along the channels."""

    def forward(self, *taken: Tensor) -> Tensor:
        """Concatenate them."""
        return torch.cat(taken, 1)


def join_of(node: fx.Node) -> tuple[nn.Module, tuple[Any, ...]] | None:
    """Return the join that a function or method is, and what it takes; None where it is none.

    Raises:
        NotMappable: when it is one, and is not called as a join of signals would be.
    """
    adds = node.target in _ADDS or (node.op == "call_method" and node.target in ("add", "add_"))
    if adds:
        taken = (*node.args, *node.kwargs.values())
        if len(taken) != 2 or not all(isinstance(each, fx.Node) for each in taken):
            return None
        return Sum(), taken
    if node.target not in _CATS:
        return None
    given = dict(zip(("tensors", "dim"), node.args, strict=False)) | dict(node.kwargs)
    axis = given.get("dim", given.get("axis", 0))
    if axis != 1:
        raise NotMappable(
            f"{node.name}: it concatenates along axis {axis}; use axis 1, that of the channels"
        )
    signals: Any = given["tensors"]
    return Concatenation(), tuple(signals)
