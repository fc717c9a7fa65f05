"""Functions of torch and methods of its tensors, each as the layer that computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from lehr.errors import NotMappable

_SAME = frozenset(
    {
        "clone",
        "contiguous",
        "cpu",
        "cuda",
        "data",
        "detach",
        "detach_",
        "double",
        "float",
        "requires_grad_",
    }
)
"""Methods, functions and attributes of a tensor that give its values in their order."""

_REAL = (torch.float32, torch.float64)
_DROPOUTS = (
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.alpha_dropout,
    functional.feature_alpha_dropout,
)
_RESHAPES = frozenset({"flatten", "reshape", "squeeze", "unsqueeze", "unflatten", "view"})


def _max_pool(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Return what makes the module of arguments that stand in another order in the function."""

    def layer(
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> nn.Module:
        return make(kernel_size, stride, padding, dilation, return_indices, ceil_mode)

    return layer


def _upsample(
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> nn.Module:
    """Return the module; antialias is for modes that are refused."""
    del antialias
    return nn.Upsample(size, scale_factor, mode, align_corners, recompute_scale_factor)


_LAYERS: Mapping[Any, Callable[..., nn.Module]] = {
    functional.avg_pool2d: nn.AvgPool2d,
    functional.max_pool2d: _max_pool(nn.MaxPool2d),
    torch.max_pool2d: _max_pool(nn.MaxPool2d),
    functional.avg_pool1d: nn.AvgPool1d,
    functional.max_pool1d: _max_pool(nn.MaxPool1d),
    torch.max_pool1d: _max_pool(nn.MaxPool1d),
    functional.adaptive_avg_pool1d: nn.AdaptiveAvgPool1d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    functional.adaptive_max_pool1d: nn.AdaptiveMaxPool1d,
    functional.adaptive_max_pool2d: nn.AdaptiveMaxPool2d,
    functional.interpolate: _upsample,
    functional.relu: nn.ReLU,
    torch.relu: nn.ReLU,
}


def called(node: fx.Node) -> str:
    """Return how the user's code names an operation, as relu or .view()."""
    if node.op == "call_method":
        return f".{node.target}()"
    return getattr(node.target, "__name__", str(node.target))


def bare_name(node: fx.Node) -> str:
    """Return the name of a function or method, and nothing for other operations."""
    return called(node).strip(".()") if node.op in ("call_function", "call_method") else ""


def drop_identities(graph: fx.Graph) -> None:
    """Take out of a record what gives the values that it takes."""
    for node in list(graph.nodes):
        if _is_identity(node):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def _is_identity(node: fx.Node) -> bool:
    if not node.args or not isinstance(node.args[0], fx.Node):
        return False
    if node.target in _DROPOUTS:
        return not _trains(node)
    if node.op == "call_method" and node.target == "to":
        given = [*node.args[1:], *node.kwargs.values()]
        return all(each in _REAL for each in given if isinstance(each, torch.dtype))
    if node.target is getattr:
        return node.args[1] in _SAME
    return bare_name(node) in _SAME


def _trains(node: fx.Node) -> bool:
    """Return whether a functional dropout is called as in training, as it is by default."""
    return bool(node.kwargs.get("training", node.args[2] if len(node.args) > 2 else True))


def is_reshape(node: fx.Node) -> bool:
    """Return whether an operation only gives its values another shape."""
    return bare_name(node) in _RESHAPES


def said_batches(graph: fx.Graph) -> set[int]:
    """Return the numbers of samples that reshapes say, as the 128 of x.view(128, -1)."""
    said = set()
    for node in graph.nodes:
        if bare_name(node) in ("reshape", "view"):
            sizes = [*node.args[1:], *node.kwargs.values()]
            first = next(iter(sizes[0] if isinstance(sizes[0], list | tuple) else sizes))
            said |= {first} if isinstance(first, int) and first > 0 else set()
    return said


def in_place(graph: fx.Graph) -> list[str]:
    """Return what changes a tensor, which whoever takes it later would not show, once a line."""
    problems: dict[str, str] = {}
    for node in graph.nodes:
        if bare_name(node).endswith("_") and not bare_name(node).endswith("__"):
            where = node.meta["line"]
            problems.setdefault(
                where,
                f"model: its forward changes {node.args[0]} in place, by {called(node)} ({where}); "
                "make a new tensor of it, as x = x * 2 does",
            )
    return [*problems.values()]


def merge_reshapes(graph: fx.Graph) -> None:
    """Take a reshape of a reshape, whose shapes are known, for one of what the first takes."""
    for node in filter(is_reshape, list(graph.nodes)):
        before = node.args[0]
        while is_reshape(before) and len(before.users) == 1:
            node.replace_input_with(before, before.args[0])
            graph.erase_node(before)
            before = node.args[0]


def layer_of(node: fx.Node) -> nn.Module | None:
    """Return the layer that computes what a function or method does; None where there is none.

    Raises:
        NotMappable: when it is known, and is not called as a layer would be.
    """
    if is_reshape(node):
        return _reshape(node)
    if node.target in _DROPOUTS:
        raise NotMappable(
            f"{node.name}: {called(node)} is called with training=True, as it is by default, and "
            "draws at random in evaluation, too; give it training=self.training"
        )
    if node.op == "call_method" and node.target == "relu":
        return nn.ReLU()
    make = _LAYERS.get(node.target)
    if make is None:
        return None
    options = {key: value for key, value in node.kwargs.items() if key not in ("inplace", "input")}
    return make(*node.args[1:], **options)


def _reshape(node: fx.Node) -> nn.Module:
    """Return the layer by the shapes before and after, in which alone reshapes differ."""
    before, after = (each.meta.get("shape") for each in (node.all_input_nodes[0], node))
    if before is None or after is None:
        raise NotMappable(
            f"{node.name}: what it makes of what it takes cannot be known; use nn.Flatten()"
        )
    if after == before:
        return nn.Identity()
    if len(after) == 2 and after[0] == before[0]:
        return nn.Flatten()
    shapes = [_in_samples(each, before[0]) for each in (before, after)]
    raise NotMappable(
        f"{node.name}: {called(node)} makes {shapes[1]} of {shapes[0]}; flatten each sample "
        "wholly, as x.flatten(1) does, or leave its shape as it is"
    )


def _in_samples(shape: torch.Size, batch: int) -> str:
    """Print a shape of so many samples as one of N."""
    if not shape or shape[0] % batch:
        return str(list(shape))
    times = shape[0] // batch
    return f"[{', '.join(['N' if times == 1 else f'{times}N', *map(str, shape[1:])])}]"
