"""The fields of one NIR node in a file: checked, and made into a node of the float graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lehr.errors import FileRefused
from lehr.export.fold import Float
from lehr.export.nirgraph.graph import Cells, Flat, FloatNode, Pool, Scale, Wait, Weights
from lehr.nirnodes import Fields, check_keys, named_padding, short, whole
from lehr.nodes import Shape, pair

AGAIN = "export the graph again"
LARGEST = 1e15
"""The largest number that is taken for a weight, a time or a threshold.

Nobody means greater ones, and their products need not be finite.
"""

_NEURONS: Mapping[str, tuple[str, ...]] = {
    "Threshold": ("threshold",),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
}
_OPTIONAL = {"v_reset": ("IF", "LIF", "CubaLIF"), "w_in": ("CubaLI", "CubaLIF")}


def float_node(fields: Fields) -> tuple[FloatNode, tuple[str, ...]]:
    """Return the node that fields describe, and what was read otherwise than it is written.

    Neurons, scales and delays come as they are written; `lehr.export.nirgraph.shapes` lays them out
    over their input.

    Raises:
        FileRefused: when its type or a field is none that NIR has. The caller names the node.
    """
    # nodes in memory have fields of None
    fields = {name: value for name, value in fields.items() if value is not None}
    kind, notes = fields.get("type"), list[str]()
    if isinstance(kind, str) and kind in _NEURONS:
        return _cells(kind, fields), ()
    if not isinstance(kind, str) or kind not in _OTHERS:
        known = ", ".join((*_OTHERS, *_NEURONS, "NIRGraph"))
        raise FileRefused(f"is of type {short(kind)}, which NIR 1.0 does not have; use {known}")
    names, optional, make = _OTHERS[kind]
    check_keys(fields, ("type", *names), kind, (*optional, "metadata"), AGAIN)
    return make(fields, notes), tuple(notes)


def numbers(fields: Fields, name: str) -> Float:
    """Return a field as finite numbers in double precision."""
    value = np.asarray(fields[name])
    if value.dtype.kind not in "iuf" or value.size == 0:
        raise FileRefused(f"{name} is {short(fields[name])}; give numbers")
    doubles = value.astype(np.float64)
    wrong = np.argwhere(~(np.abs(doubles) <= LARGEST))  # NaN too
    if len(wrong):
        at = wrong[0].tolist()
        raise FileRefused(
            f"{name} holds {doubles[tuple(at)]:g} at {at}; {AGAIN} with finite numbers of at most "
            f"{LARGEST:g}"
        )
    return doubles


def map_shape(shape: Shape) -> Shape:
    """Return the shape of a layer.

    A shape of channels and positions becomes a feature map of height 1.
    """
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def leading_axis(what: str) -> str:
    """Say of `what` that its leading axis of 1 was left out."""
    return f"{what}: its leading axis of 1 is the batch's, and is left out"


def _cells(kind: str, fields: Fields) -> Cells:
    names = _NEURONS[kind]
    optional = [name for name, kinds in _OPTIONAL.items() if kind in kinds]
    check_keys(fields, ("type", *names), kind, (*optional, "metadata"), AGAIN)
    values = {name: numbers(fields, name) for name in (*names, *optional) if name in fields}
    return Cells(
        kind,
        {"threshold" if name == "v_threshold" else name: value for name, value in values.items()},
        (),
    )


def _weight(fields: Fields, axes: int, notes: list[str]) -> Float:
    weight = numbers(fields, "weight")
    if weight.ndim == axes + 1 and len(weight) == 1:
        notes.append(leading_axis(f"weight has shape {list(weight.shape)}"))
        return np.asarray(weight[0])
    if weight.ndim != axes:
        raise FileRefused(f"weight is {short(fields['weight'])}; give numbers with {axes} axes")
    return weight


def _linear(fields: Fields, notes: list[str]) -> Weights:
    weight = _weight(fields, 2, notes)
    return Weights(weight, _bias(fields, weight, notes))


def _bias(fields: Fields, weight: Float, notes: list[str]) -> Float | None:
    """Return one number per output.

    One number for all of them, and one with a batch's axis, have one meaning too.
    """
    if "bias" not in fields:
        return None
    bias, outputs = numbers(fields, "bias"), len(weight)
    if bias.ndim == 2 and len(bias) == 1:
        notes.append(leading_axis(f"bias has shape {list(bias.shape)}"))
        bias = bias[0]
    if bias.size == 1 and outputs > 1:
        notes.append(f"bias is one number, for each of the {outputs:,} outputs")
        return np.full(outputs, bias.item())
    if bias.ndim > 1:
        raise FileRefused(f"bias is {short(fields['bias'])}; give numbers with 1 axes")
    if bias.size != outputs:
        turned = (
            "is weight transposed? NIR has [outputs, inputs]"
            if weight.shape[1] == bias.size
            else AGAIN
        )
        raise FileRefused(f"bias has {bias.size} numbers for {outputs} outputs; {turned}")
    return bias.reshape(outputs)


def _conv(fields: Fields, notes: list[str]) -> Weights:
    flat = fields["type"] == "Conv1d"
    weight = _weight(fields, 3 if flat else 4, notes)

    def geometry(name: str, least: int, upright: int) -> tuple[int, int]:
        value = whole(fields, name)
        if flat:
            value = value[0] if isinstance(value, tuple) and len(value) == 1 else value
            if isinstance(value, tuple):
                raise FileRefused(f"{name} is {list(value)}; give one integer")
            value = (upright, value)
        return pair(value, name, least)

    stride, dilation = geometry("stride", 1, 1), geometry("dilation", 1, 1)
    weight = weight[:, :, None] if flat else weight
    if isinstance(fields["padding"], str):
        padding = pair(
            named_padding(fields["padding"], weight.shape[2:], stride, dilation), "padding", 0
        )
    else:
        padding = geometry("padding", 0, 0)
    groups = whole(fields, "groups")
    if not isinstance(groups, int) or groups < 1 or len(weight) % groups:
        raise FileRefused(
            f"groups is {short(fields['groups'])}; use a divisor of its {len(weight)} output "
            "channels"
        )
    return Weights(
        weight,
        _bias(fields, weight, notes),
        stride,
        padding,
        dilation,
        groups,
        _stated(fields, "input_shape"),
    )


def _pool(fields: Fields, _: list[str]) -> Pool:
    kernel, stride, padding = (
        pair(whole(fields, name), name, least)
        for name, least in (("kernel_size", 1), ("stride", 1), ("padding", 0))
    )
    return Pool(kernel, stride, padding, fields["type"] == "AvgPool2d")


def _flatten(fields: Fields, notes: list[str]) -> Flat:
    start, end, stated = (
        whole(fields, "start_dim"),
        whole(fields, "end_dim"),
        _stated(fields, "input_type"),
    )
    if start not in (0, 1) or end not in (-1, len(stated) - 1, len(stated)):
        raise FileRefused(
            f"flattens axes {start} to {end}; an integer network flattens all of them: use 0 to -1"
        )
    if start == 1:
        notes.append(
            "start_dim is 1: read as counting the batch's axis, as torch does, so that all axes "
            "are flattened"
        )
    return Flat(stated)


def _stated(fields: Fields, name: str) -> Shape:
    """Return the shape of the input that a field states; empty where it states none.

    The shape that counts follows from the edges.
    """
    value = np.asarray(fields[name]) if name in fields else np.zeros(0, np.int64)
    return (
        tuple(int(v) for v in value.ravel()) if value.dtype.kind in "iu" and value.ndim < 2 else ()
    )


_Make = Callable[[Fields, list[str]], FloatNode]
_CONV = ("weight", "stride", "padding", "dilation", "groups", "bias")
_POOL = ("kernel_size", "stride", "padding")
_OTHERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], _Make]] = {
    "Affine": (("weight", "bias"), (), _linear),
    "Linear": (("weight",), (), _linear),
    "Scale": (("scale",), (), lambda fields, _: Scale(numbers(fields, "scale"))),
    "Conv1d": (_CONV, ("input_shape",), _conv),
    "Conv2d": (_CONV, ("input_shape",), _conv),
    "SumPool2d": (_POOL, (), _pool),
    "AvgPool2d": (_POOL, (), _pool),
    "Flatten": (("start_dim", "end_dim"), ("input_type",), _flatten),
    "Delay": (("delay",), (), lambda fields, _: Wait(numbers(fields, "delay"))),
}


def shape_of(stated: Any, name: str) -> Shape:
    """Return the shape that an Input states, a batch's axis included."""
    value = np.asarray(stated)
    shape = (
        tuple(int(v) for v in value.ravel()) if value.dtype.kind in "iu" and value.ndim < 2 else ()
    )
    if not shape or min(shape) < 1 or any(size != 1 for size in shape[:-3]):
        raise FileRefused(
            f"{name}: shape is {short(stated)}; give 1 to 3 integers of at least 1, without the "
            "batch's axis"
        )
    return shape
