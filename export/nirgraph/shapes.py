"""Shapes of the inputs of a float graph's nodes, and their numbers laid out over them.

Numbers are those of neurons, scales and delays.

NIR has one number per neuron. Its tools also write one number for a whole layer, one per channel
(`[channels, 1, 1]`), or the batch's axis of 1; each of these has one meaning where the shape of the
input is known, and is said. Anything else is refused.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lehr.errors import FileRefused
from lehr.export.fold import Float
from lehr.export.nirgraph.fields import AGAIN, leading_axis, map_shape
from lehr.export.nirgraph.graph import Cells, Flat, FloatNode, Scale, Wait, Weights, stand_in
from lehr.network import INPUT, Edge
from lehr.nodes import Shape, ShapeMismatch
from lehr.refusals import Refusals

LARGEST_LAYER = 1 << 24
"""The most values that a node may put out: a few bytes of a file can ask for any number."""


@dataclass(frozen=True)
class Fitted:
    """Nodes whose numbers have the shapes of their inputs.

    Attributes:
        nodes: by name.
        shapes: of what each node puts out, `input` included; a node of which nothing is known is
            missing.
        notes: what was read otherwise than it is written, in sentences.
    """

    nodes: Mapping[str, FloatNode]
    shapes: Mapping[str, Shape]
    notes: tuple[str, ...]


def fit(
    nodes: Mapping[str, FloatNode],
    edges: Iterable[Edge],
    shape: Shape,
    refusals: Refusals,
    unread: Iterable[str] = (),
) -> Fitted:
    """Follow an input through a graph, and lay the nodes' numbers out over what comes to them.

    What does not fit goes to `refusals`, the first fault of each node by its name; what comes after
    such a node, or after one that is `unread` since a fault was found in it before, is looked at as
    far as its own numbers say what it puts out.
    """
    sources: dict[str, list[str]] = {name: [] for name in (*nodes, *unread)}
    targets: dict[str, list[str]] = {name: [] for name in (INPUT, *nodes, *unread)}
    for a, b in edges:
        # the network refuses an edge into the input or out of the output
        if a in targets and b in sources:
            sources[b].append(a)
            targets[a].append(b)
    fitted, shapes, notes = dict(nodes), {INPUT: shape}, list[str]()
    reached = _reached(targets)
    for name in [name for name in reached if name in nodes]:
        arriving = next((shapes[source] for source in sources[name] if source in shapes), None)
        with refusals.collect(f"{name}: "):
            if arriving is not None:
                fitted[name], said = _laid_out(nodes[name], arriving)
                notes += [f"{name}: {each}" for each in said]
                shapes[name] = _output_shape(fitted[name], arriving)
            elif own := _own_shape(nodes[name]):
                shapes[name] = own
                fitted[name] = (
                    _laid_out(nodes[name], own)[0]
                    if isinstance(nodes[name], Cells)
                    else nodes[name]
                )
    for name in [name for name in nodes if name not in reached]:
        refusals.add(
            FileRefused(f"{name} cannot be reached from the input; connect it or remove it")
        )
    for name in [name for name in shapes if name != INPUT]:
        known = {source: shapes[source] for source in sources[name] if source in shapes}
        if len(set(known.values())) > 1:
            differing = ", ".join(f"{source} {shape}" for source, shape in known.items())
            refusals.add(
                FileRefused(f"{name}: its inputs differ in shape ({differing}); make them equal")
            )
    return Fitted(fitted, shapes, tuple(notes))


def same_numbers(one: Shape, other: Shape) -> bool:
    """Return whether two shapes differ in axes of 1 alone.

    The same numbers then stand in the same order in both.
    """
    return [size for size in one if size != 1] == [size for size in other if size != 1]


def spread(value: Float, shape: Shape) -> Float | None:
    """Lay numbers out over a layer; return None where they have no one meaning there.

    They are one number, or one per neuron, or have an axis of 1 wherever they do not differ;
    leading axes of 1 say nothing.
    """
    if value.size == 1:
        return np.broadcast_to(value.reshape(()), shape)
    if same_numbers(value.shape, shape):
        return value.reshape(shape)
    while True:
        for axes in (value.shape, map_shape(value.shape) if shape[1:2] == (1,) else value.shape):
            if len(axes) == len(shape) and all(
                size in (1, wanted) for size, wanted in zip(axes, shape, strict=True)
            ):
                return np.broadcast_to(value.reshape(axes), shape)
        if value.ndim == 1 or len(value) > 1:
            return None
        value = value[0]


def _reached(targets: Mapping[str, list[str]]) -> dict[str, None]:
    """Return the nodes that the input comes to, nearest first."""
    reached, pending = dict.fromkeys(targets[INPUT]), deque(dict.fromkeys(targets[INPUT]))
    while pending:
        new = [name for name in dict.fromkeys(targets[pending.popleft()]) if name not in reached]
        reached |= dict.fromkeys(new)
        pending.extend(new)
    return reached


def _laid_out(node: FloatNode, shape: Shape) -> tuple[FloatNode, list[str]]:
    """Return a node over an input of `shape`, and what was read otherwise than it is written."""
    match node:
        case Cells():
            values, notes = _fields(node.values, shape)
            if node.cuba:
                values.setdefault("w_in", np.ones(shape))  # what NIR takes it for
            return replace(node, values=values, shape=shape), notes
        case Scale():
            values, notes = _fields({"scale": node.scale}, shape)
            return Scale(values["scale"]), notes
        case Wait():
            values, notes = _fields({"delay": node.seconds}, shape)
            return Wait(values["delay"]), notes
        case Weights(stated=(_, *_)):
            return node, _of_stated("input_shape", node.stated, (shape, shape[1:]))
        case Flat(stated=(_, *_)):
            return node, _of_stated("input_type", node.stated, (shape,))
        case _:
            return node, []


def _of_stated(field: str, stated: Shape, meant: tuple[Shape, ...]) -> list[str]:
    if not any(same_numbers(stated, shape) for shape in meant):
        return [
            f"{field} says {list(stated)}, but the input is {list(meant[0])}, which is what counts"
        ]
    return [leading_axis(f"{field} is {list(stated)}")] if has_batch(stated, meant[0]) else []


def has_batch(written: Shape, shape: Shape) -> bool:
    """Return whether a shape has an axis of 1 before those of another one of the same numbers."""
    return len(written) > 1 and written[0] == 1 and (shape[0] != 1 or len(written) > len(shape))


def _fields(values: Mapping[str, Float], shape: Shape) -> tuple[dict[str, Float], list[str]]:
    laid = {field: spread(value, shape) for field, value in values.items()}
    for field in values:
        if laid[field] is None:
            raise FileRefused(_misfit(field, values, shape))
    said: dict[str, list[str]] = {}
    for field, value in values.items():
        said.setdefault(_spread_note(value.shape, shape), []).append(field)
    notes = [f"{', '.join(fields)}: {what}" for what, fields in said.items() if what]
    return {field: value for field, value in laid.items() if value is not None}, notes


def _spread_note(written: Shape, shape: Shape) -> str:
    """Say how numbers of one shape were laid out over another; nothing where that is plain."""
    neurons = math.prod(shape)
    if math.prod(written) == 1:
        return f"one number, for each of the {neurons:,} neurons" if neurons > 1 else ""
    if not same_numbers(written, shape):
        return (
            f"numbers of shape {list(written)}, for the layer's {list(shape)} neurons alike along "
            "its axes of 1"
        )
    return leading_axis(f"shape {list(written)}") if has_batch(written, shape) else ""


def _misfit(field: str, values: Mapping[str, Float], shape: Shape) -> str:
    value = values[field]
    alone = len({each.shape for each in values.values() if each.size > 1}) == 1
    if len(shape) > 1 and same_numbers(value.shape, shape[:1]):
        per_channel = [shape[0], *[1] * (len(shape) - 1)]
        way = f"where it is one number per channel, give it shape {per_channel}"
    else:
        way = (
            "check the layer before it" if alone else f"{AGAIN} with one number per neuron in each"
        )
    return (
        f"{'' if alone else f'{field} '}has shape {list(value.shape)} but gets {list(shape)}; {way}"
    )


def _output_shape(node: FloatNode, arriving: Shape) -> Shape:
    integer = stand_in(node)
    try:
        shape = integer.output_shape(arriving)
    except ShapeMismatch as error:
        raise FileRefused(f"{type(integer).__name__} {error}; {_way_out(node, arriving)}") from None
    if math.prod(shape) > LARGEST_LAYER:
        raise FileRefused(
            f"puts out {list(shape)}, {math.prod(shape):,} values; the limit is {LARGEST_LAYER:,}: "
            "use a smaller layer"
        )
    return shape


def _way_out(node: FloatNode, arriving: Shape) -> str:
    """Say what to do about weights that do not fit.

    They may be transposed, if another axis than that of the inputs would fit.
    """
    axes, channels = node.weight.shape if isinstance(node, Weights) else (), arriving[0]
    if len(axes) == 2 and len(arriving) > 1 and axes[1] == math.prod(arriving):
        return "put a Flatten before it"
    if len(axes) == 2 and arriving == axes[:1]:
        return f"its weight is {list(axes)}: transposed? NIR has [outputs, inputs]"
    if len(axes) == 4 and len(arriving) == 3:
        # inputs first, [height, width, inputs, outputs], or [outputs, height, width, inputs]
        last = (axes[2] == channels and axes[0] == axes[1]) or (
            axes[3] == channels and axes[1] == axes[2]
        )
        if axes[0] == channels or last:
            return (
                f"its weight is {list(axes)}: transposed? NIR has [outputs, inputs / groups, "
                "height, width]"
            )
    return "check the layer before it"


def _own_shape(node: FloatNode) -> Shape:
    """Return the shape that a node puts out by its own numbers; empty if they do not say it."""
    match node:
        case Weights() if node.weight.ndim == 2:
            return node.weight.shape[:1]
        case Cells():
            shapes = {value.shape for value in node.values.values() if value.size > 1}
            return map_shape(shapes.pop()) if len(shapes) == 1 else ()
        case _:
            return ()
