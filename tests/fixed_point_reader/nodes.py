"""Nodes without state: each is a list of factors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from fixed_point_reader.graph import text

Shape = tuple[int, ...]


def index(shape: Shape, place: Shape) -> int:
    """Where a place of a map stands in one axis, the first axis slowest."""
    at = 0
    for size, i in zip(shape, place, strict=True):
        at = at * size + i
    return at


def taps(
    size: Shape, kernel: Shape, geometry: dict[str, Shape]
) -> Iterator[tuple[Shape, Shape, Shape]]:
    """Yield places of the output, kernel and input of every window; none outside the map."""
    spans = [d * (k - 1) + 1 for d, k in zip(geometry["dilation"], kernel, strict=True)]
    out = [
        (n + 2 * p - s) // t + 1
        for n, p, s, t in zip(size, geometry["padding"], spans, geometry["stride"], strict=True)
    ]
    for to in product(*map(range, out)):
        for tap in product(*map(range, kernel)):
            place = tuple(
                t * y + d * k - p
                for t, y, d, k, p in zip(
                    geometry["stride"],
                    to,
                    geometry["dilation"],
                    tap,
                    geometry["padding"],
                    strict=True,
                )
            )
            if all(0 <= i < n for i, n in zip(place, size, strict=True)):
                yield to, tap, place


def pair(value: Any) -> Shape:
    """Two integers of one or two."""
    return tuple(int(v) for v in np.broadcast_to(value, 2))


def synapses_of(fields: dict[str, Any], shape: Shape) -> tuple[list[list[tuple[int, int]]], Shape]:
    """For each input of a node its (output, factor), and the shape of the output.

    All nodes without state but maxima are sums of factors.
    """
    kind = text(fields["type"])
    if kind == "Linear":
        rows = fields["weight"].tolist()
        return [[(o, row[i]) for o, row in enumerate(rows)] for i in range(shape[0])], (len(rows),)
    if kind == "Flatten":
        return [[(i, 1)] for i in range(prod(shape))], (prod(shape),)
    if kind == "Scale":
        return [
            [(i, factor)] for i, factor in enumerate(fields["scale"].reshape(-1).tolist())
        ], shape
    if kind == "Upsample2d":
        return blocks_of(pair(fields["scale_factor"]), shape)
    if kind in ("Conv2d", "SumPool2d"):
        return windows_of(fields, shape, pooled=kind == "SumPool2d")
    raise SystemExit(f"a node is of type {kind}, of which this reader knows nothing")


def blocks_of(scale: Shape, shape: Shape) -> tuple[list[list[tuple[int, int]]], Shape]:
    """Return the same of an Upsample2d: each place has a block of its own."""
    channels, *size = shape
    out = (channels, size[0] * scale[0], size[1] * scale[1])
    links: list[list[tuple[int, int]]] = [[] for _ in range(prod(shape))]
    for c, y, x in product(*map(range, out)):
        links[index(shape, (c, y // scale[0], x // scale[1]))].append((index(out, (c, y, x)), 1))
    return links, out


def windows_of_maxima(fields: dict[str, Any], shape: Shape) -> tuple[list[list[int]], Shape]:
    """For each output of a MaxPool2d the inputs in its window, and the shape of the output."""
    channels, *size = shape
    kernel, stride, padding, dilation = (
        pair(fields[key]) for key in ("kernel_size", "stride", "padding", "dilation")
    )
    axes = []
    for axis, n in enumerate(size):
        k, t, p, d = kernel[axis], stride[axis], padding[axis], dilation[axis]
        room = n + 2 * p - d * (k - 1) - 1
        count = room // t + 1
        if int(fields["ceil_mode"]) and room % t:
            count += count * t < n + p  # not where the last window starts behind the map
        axes.append(
            [[i for i in (y * t - p + d * e for e in range(k)) if 0 <= i < n] for y in range(count)]
        )
    windows = [
        [index(shape, (c, y, x)) for y in rows for x in columns]
        for c in range(channels)
        for rows in axes[0]
        for columns in axes[1]
    ]
    return windows, (channels, len(axes[0]), len(axes[1]))


def windows_of(
    fields: dict[str, Any], shape: Shape, *, pooled: bool
) -> tuple[list[list[tuple[int, int]]], Shape]:
    """The same of a convolution or a pooling."""
    geometry = {key: pair(fields[key]) for key in ("stride", "padding")} | {
        "dilation": (1, 1) if pooled else pair(fields["dilation"])
    }
    kernel = pair(fields["kernel_size"]) if pooled else fields["weight"].shape[2:]
    places = list(taps(shape[1:], tuple(kernel), geometry))
    # windows that lie outside the map altogether put out 0, and count as places of the output
    spans = [d * (k - 1) + 1 for d, k in zip(geometry["dilation"], kernel, strict=True)]
    rows, columns = (
        (n + 2 * p - s) // t + 1
        for n, p, s, t in zip(
            shape[1:], geometry["padding"], spans, geometry["stride"], strict=True
        )
    )
    outs = shape[0] if pooled else len(fields["weight"])
    out: Shape = (outs, rows, columns)
    groups = shape[0] if pooled else int(fields["groups"])
    weight = None if pooled else fields["weight"].tolist()
    links: list[list[tuple[int, int]]] = [[] for _ in range(prod(shape))]
    for o in range(outs):
        for c in range(shape[0] // groups):
            channel = o * groups // outs * (shape[0] // groups) + c
            for to, (y, x), place in places:
                factor = 1 if weight is None else weight[o][c][y][x]
                links[index(shape, (channel, *place))].append((index(out, (o, *to)), factor))
    return links, out
