"""Where the definition of a node puts a value, in C that says how often one weight goes where.

Written from what a node's output is of its inputs (docs/arithmetic.md), place by place; the
generated code goes from an input to its places. Places and weights are made of their coordinates,
so that nothing is divided here but the index that the generated code divides, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lehr.network import Network
from lehr.nodes import Conv2d, Linear, Scale, Shape, SumPool2d, Upsample2d
from lehr.tables import Table

PLACED: Table[Callable[..., Placed]] = Table("the proof", "its sums are not proven")
WIDTH = 8
"""Bits of a word of binary weights; a row of them begins with a word."""


@dataclass(frozen=True)
class Placed:
    """What is asked of a node, in C.

    Attributes:
        below: coordinates, each from 0 up to a number.
        output: the index of the place, of coordinates.
        weight: the index of the weight in its table, of coordinates.
        lines: that make `times`, of the coordinates and the input `i`.
    """

    below: Mapping[str, int]
    output: str
    weight: str
    lines: tuple[str, ...]


def placed(net: Network, name: str, pool: str) -> Placed:
    """Return how often a weight of a node goes from an input to a place.

    Args:
        net: the network.
        name: the node.
        pool: the pool whose sums its values are added to at once; empty if none.

    Raises:
        NotMappable: for a type of node that has no rule here.
    """
    node, source = net.nodes[name], net.shapes[net.sources(name)[0]]
    window = net.nodes[pool] if pool else None
    return PLACED[type(node)](node, source, net.shapes[name], window, net.shapes[pool or name])


def _of_input(source: Shape) -> str:
    """Return the declaration of channel, row and column of the input."""
    channels, height, width = source
    channel = f"i / {height * width}" if channels > 1 else "0"
    return f"const size_t ic = {channel}, iy = i / {width} % {height}, ix = i % {width};"


def _of_output(target: Shape) -> tuple[dict[str, int], str]:
    """Return coordinates of a place, and its index."""
    channels, height, width = target
    return {"c": channels, "y": height, "x": width}, f"(c * {height} + y) * {width} + x"


def _row(node: Conv2d | Linear, outputs: int) -> int:
    """Return how many entries of the table a row takes."""
    return -(-outputs // WIDTH) * WIDTH if node.kind == "binary" else outputs


@PLACED.rule(Linear)
def _linear(node: Linear, source: Shape, shape: Shape, *_: object) -> Placed:
    row = _row(node, shape[0])
    below = {"c": shape[0], "of": source[0], "entry": row}
    return Placed(below, "c", f"of * {row} + entry", ("times = of == i && entry == c;",))


@PLACED.rule(Conv2d)
def _conv(
    node: Conv2d, source: Shape, shape: Shape, window: SumPool2d | None, target: Shape
) -> Placed:
    outputs, inputs, height, width = node.weight.shape
    of_group = outputs // node.groups
    row = _row(node, of_group)
    (sy, sx), (py, px), (dy, dx) = node.stride, node.padding, node.dilation
    below, output = _of_output(target)
    below |= {"group": node.groups, "ky": height, "kx": width, "ci": inputs, "entry": row}
    weight = f"(((group * {height} + ky) * {width} + kx) * {inputs} + ci) * {row} + entry"
    alike = (
        f"const int alike = entry < {of_group} && ic == group * {inputs} + ci "
        f"&& c == group * {of_group} + entry;"
    )
    here = f"iy + {py} == oy * {sy} + ky * {dy} && ix + {px} == ox * {sx} + kx * {dx}"
    if window is None:
        lines = ["const size_t oy = y, ox = x;", f"times = alike && {here};"]
    else:
        (wy, wx), (ay, ax), (by, bx) = window.kernel, window.stride, window.padding
        lines = [
            f"for (size_t a = 0; a < {wy}; a++)",
            f"    for (size_t b = 0; b < {wx}; b++) {{",
            f"        const size_t oy = y * {ay} + a - {by}, ox = x * {ax} + b - {bx};",
            f"        if (oy < {shape[1]} && ox < {shape[2]} && alike && {here})",
            "            times++;",
            "    }",
        ]
    return Placed(below, output, weight, (_of_input(source), alike, *lines))


@PLACED.rule(SumPool2d)
def _pool(node: SumPool2d, source: Shape, shape: Shape, *_: object) -> Placed:
    (ky, kx), (sy, sx), (py, px) = node.kernel, node.stride, node.padding
    below, output = _of_output(shape)
    lines = (
        _of_input(source),
        f"const size_t a = iy + {py} - y * {sy}, b = ix + {px} - x * {sx};",
        f"times = c == ic && a < {ky} && b < {kx};",
    )
    return Placed(below, output, "0", lines)


@PLACED.rule(Upsample2d)
def _upsample(node: Upsample2d, source: Shape, shape: Shape, *_: object) -> Placed:
    below, output = _of_output(shape)
    line = f"times = c == ic && y / {node.scale[0]} == iy && x / {node.scale[1]} == ix;"
    return Placed(below, output, "0", (_of_input(source), line))


@PLACED.rule(Scale)
def _scale(node: Scale, source: Shape, shape: Shape, *_: object) -> Placed:
    del source
    alike, size = 1, 1
    for at, each in enumerate(shape):
        alike *= each if at >= node.factor.ndim else 1
        size *= each
    below = {"c": size, "of": node.factor.size}
    return Placed(below, "c", "of", (f"times = c == i && of == i / {alike};",))
