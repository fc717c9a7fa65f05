"""The fields of one NIR node, as a file tells them: checked, and made a node of the float graph."""

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
"""Numbers above this are no weights, times or thresholds that anybody means, and their products need not be finite."""

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


def float_node(told: Fields) -> tuple[FloatNode, tuple[str, ...]]:
    """The node that fields describe, and what was read otherwise than it is written.

    Raises:
        FileRefused: when its type or a field is none that NIR has. The caller names the node.
    """
    kind = told.get("type")
    if isinstance(kind, str) and kind in _NEURONS:
        return _cells(kind, told), ()
    if not isinstance(kind, str) or kind not in _OTHERS:
        known = ", ".join((*_OTHERS, *_NEURONS, "NIRGraph"))
        raise FileRefused(f"is of type {short(kind)}, which NIR 1.0 does not have; use {known}")
    names, optional, made = _OTHERS[kind]
    check_keys(told, ("type", *names), kind, (*optional, "metadata"), AGAIN)
    return made(told)


def numbers(told: Fields, name: str, axes: tuple[int, ...] | None = None) -> Float:
    """A field as finite numbers in double precision, with one of the numbers of axes."""
    value = np.asarray(told[name])
    if value.dtype.kind not in "iuf" or value.size == 0 or (axes is not None and value.ndim not in axes):
        wanted = "" if axes is None else f" with {' or '.join(map(str, axes))} axes"
        raise FileRefused(f"{name} is {short(told[name])}; give numbers{wanted}")
    made = value.astype(np.float64)
    wrong = np.argwhere(~(np.abs(made) <= LARGEST))  # NaN too
    if len(wrong):
        at = wrong[0].tolist()
        raise FileRefused(f"{name} holds {made[tuple(at)]:g} at {at}; {AGAIN} with finite numbers of at most {LARGEST:g}")
    return made


def map_shape(shape: Shape) -> Shape:
    """The shape of a layer: one of channels and positions becomes a feature map of height 1."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def _layer(value: Float, name: str) -> Float:
    if value.ndim not in (1, 2, 3):
        raise FileRefused(f"{name} has shape {list(value.shape)}; give one number per neuron, on 1, 2 or 3 axes without the batch's")
    return value.reshape(map_shape(value.shape))


def _cells(kind: str, told: Fields) -> Cells:
    names = _NEURONS[kind]
    optional = [name for name, kinds in _OPTIONAL.items() if kind in kinds]
    check_keys(told, ("type", *names), kind, (*optional, "metadata"), AGAIN)
    values = {name: numbers(told, name) for name in (*names, *optional) if name in told}
    shape = values[names[0]].shape
    if "w_in" in values and values["w_in"].size == 1:  # NIR lets it be one number
        values["w_in"] = np.full(shape, values["w_in"].item())
    for name, value in values.items():
        if value.shape != shape:
            raise FileRefused(
                f"{name} has shape {list(value.shape)} and {names[0]} {list(shape)}; {AGAIN} with one number per neuron in each"
            )
    values = {"threshold" if name == "v_threshold" else name: _layer(value, name) for name, value in values.items()}
    if kind.startswith("Cuba"):
        values.setdefault("w_in", np.ones(map_shape(shape)))
    return Cells(kind, values, map_shape(shape))


def _linear(told: Fields) -> tuple[FloatNode, tuple[str, ...]]:
    weight = numbers(told, "weight", (2,))
    return Weights(weight, _bias(told, len(weight))), ()


def _bias(told: Fields, outputs: int) -> Float | None:
    if "bias" not in told:
        return None
    bias = numbers(told, "bias", (1,))
    if len(bias) != outputs:
        raise FileRefused(f"bias has {len(bias)} numbers for {outputs} outputs; {AGAIN}")
    return bias


def _conv(told: Fields) -> tuple[FloatNode, tuple[str, ...]]:
    flat = told["type"] == "Conv1d"
    weight = numbers(told, "weight", (3,) if flat else (4,))

    def geometry(name: str, least: int, upright: int) -> tuple[int, int]:
        value = whole(told, name)
        if flat:
            value = value[0] if isinstance(value, tuple) and len(value) == 1 else value
            if isinstance(value, tuple):
                raise FileRefused(f"{name} is {list(value)}; give one integer")
            value = (upright, value)
        return pair(value, name, least)

    stride, dilation = geometry("stride", 1, 1), geometry("dilation", 1, 1)
    weight = weight[:, :, None] if flat else weight
    if isinstance(told["padding"], str):
        padding = pair(named_padding(told["padding"], weight.shape[2:], stride, dilation), "padding", 0)
    else:
        padding = geometry("padding", 0, 0)
    groups = whole(told, "groups")
    if not isinstance(groups, int) or groups < 1 or len(weight) % groups:
        raise FileRefused(f"groups is {short(told['groups'])}; use a divisor of its {len(weight)} output channels")
    return Weights(weight, _bias(told, len(weight)), stride, padding, dilation, groups), ()


def _pool(told: Fields) -> tuple[FloatNode, tuple[str, ...]]:
    kernel, stride, padding = (pair(whole(told, name), name, least) for name, least in (("kernel_size", 1), ("stride", 1), ("padding", 0)))
    return Pool(kernel, stride, padding, told["type"] == "AvgPool2d"), ()


def _flatten(told: Fields) -> tuple[FloatNode, tuple[str, ...]]:
    start, end = whole(told, "start_dim"), whole(told, "end_dim")
    axes = np.size(told["input_type"]) if "input_type" in told else 0
    if start not in (0, 1) or end not in (-1, axes - 1, axes):
        raise FileRefused(f"flattens axes {start} to {end}; an integer network flattens all of them: use 0 to -1")
    note = "start_dim is 1: read as counting the batch's axis, as torch does, so that all axes are flattened"
    return Flat(), (note,) if start == 1 else ()


_Made = Callable[[Fields], tuple[FloatNode, tuple[str, ...]]]
_CONV = ("weight", "stride", "padding", "dilation", "groups", "bias")
_POOL = ("kernel_size", "stride", "padding")
_OTHERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], _Made]] = {
    "Affine": (("weight", "bias"), (), _linear),
    "Linear": (("weight",), (), _linear),
    "Scale": (("scale",), (), lambda told: (Scale(_layer(numbers(told, "scale"), "scale")), ())),
    "Conv1d": (_CONV, ("input_shape",), _conv),
    "Conv2d": (_CONV, ("input_shape",), _conv),
    "SumPool2d": (_POOL, (), _pool),
    "AvgPool2d": (_POOL, (), _pool),
    "Flatten": (("start_dim", "end_dim"), ("input_type",), _flatten),
    "Delay": (("delay",), (), lambda told: (Wait(_layer(numbers(told, "delay"), "delay")), ())),
}


def shape_of(told: Any, name: str) -> Shape:
    """The shape that an Input states."""
    value = np.asarray(told)
    if value.dtype.kind not in "iu" or value.ndim != 1 or not 1 <= value.size <= 3 or value.min() < 1:
        raise FileRefused(f"{name}: shape is {short(told)}; give 1 to 3 integers of at least 1, without the batch's axis")
    return tuple(int(v) for v in value)
