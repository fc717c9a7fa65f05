"""Kernel in place of all that lies between a source and a layer of neurons, as a core computes it.

The kernel is square. Convolutions, sums over windows and dense weights are all correlations, and
one after the other is one again: kernels and strides multiply. That is exact in every sum, and for
single events as well, since an event adds what all its ways add up to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lehr.arithmetic import Int64
from lehr.nodes import Conv2d, Flatten, Linear, Node, Pair, Shape, SumPool2d
from lehr.targets.kernels import undilated, ungrouped

Map = tuple[int, int, int]
"""Features, height and width."""


class Unmapped(Exception):
    """Refusal of a way that is no kernel of the chip: the node, the reason, the way out."""


@dataclass(frozen=True)
class Kernel:
    """Correlation: int64 `[out, in, height, width]`, its strides and its padding, height first."""

    weight: Int64
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)

    def size(self, shape: Map) -> Map:
        """Return the map that it makes of a map."""
        height, width = ((n + 2 * p - k) // s + 1 for n, p, k, s in self._axes(shape))
        return self.weight.shape[0], height, width

    def _axes(self, shape: Map) -> zip[tuple[int, int, int, int]]:
        return zip(shape[1:], self.padding, self.weight.shape[2:], self.stride, strict=True)

    def then(self, later: Kernel) -> Kernel:
        """Return this one and a `later` one, which has no padding, as one."""
        (out, _, height, width), (_, taken, own_height, own_width) = (
            later.weight.shape,
            self.weight.shape,
        )
        (step_y, step_x) = self.stride
        whole = np.zeros(
            (out, taken, (height - 1) * step_y + own_height, (width - 1) * step_x + own_width),
            np.int64,
        )
        for y in range(height):
            for x in range(width):
                part = np.einsum("ob,bihw->oihw", later.weight[:, :, y, x], self.weight)
                whole[
                    :, :, y * step_y : y * step_y + own_height, x * step_x : x * step_x + own_width
                ] += part
        return Kernel(whole, (step_y * later.stride[0], step_x * later.stride[1]), self.padding)

    def squared(self, shape: Map) -> Kernel | None:
        """Return the same with as many rows as columns; None where that moves its places.

        Zeros go around it, and it gets more padding.
        """
        rows, columns = self.weight.shape[2:]
        side, best = max(rows, columns), self
        for axis, own in enumerate((rows, columns)):
            more = (side - own + 1) // 2
            around = [(0, 0)] * 4
            around[2 + axis] = (more, side - own - more)
            wider = np.pad(best.weight, around)
            padding = [p + more * (a == axis) for a, p in enumerate(best.padding)]
            # of a map of one row any stride makes one row
            for step in (best.stride[axis], 1, 2, 4, 8):
                stride = [step if a == axis else s for a, s in enumerate(best.stride)]
                tried = Kernel(wider, (stride[0], stride[1]), (padding[0], padding[1]))
                places = self.size(shape)[1 + axis]
                if tried.size(shape)[1 + axis] == places and (
                    step == best.stride[axis] or places == 1
                ):
                    best = tried
                    break
            else:
                return None
        return best


def identity(features: int) -> Kernel:
    """Return the kernel that leaves every value as it is."""
    return Kernel(np.eye(features, dtype=np.int64)[:, :, None, None])


def as_map(shape: Shape) -> Map:
    """Return a shape of the network as features, height and width.

    A vector has maps of one place.
    """
    features, height, width = (*shape, 1, 1)[:3]
    return features, height, width


def composed(nodes: tuple[tuple[str, Node], ...], shape: Shape) -> Kernel:
    """Return the kernel of some nodes, by name, on values of a shape.

    Raises:
        Unmapped: when they have none.
    """
    whole: Kernel | None = None
    here, flat = shape, False
    for name, node in nodes:
        if isinstance(node, Flatten):
            flat = flat or len(here) > 1
            continue
        if flat and not isinstance(node, Linear):
            raise Unmapped(
                name,
                "it takes a map as a vector, which only a kernel of the map's size does",
                "use Linear there",
            )
        after = kernel_of(name, node, as_map(here), flat)
        here, flat = (
            (len(after.weight),) if isinstance(node, Linear) else after.size(as_map(here)),
            False,
        )
        whole = after if whole is None else _joined(whole, name, after)
    if flat:
        raise Unmapped(
            nodes[-1][0],
            "neurons behind it take a map as a vector, which no kernel does",
            "put Linear between them",
        )
    return identity(as_map(shape)[0]) if whole is None else whole


def _joined(before: Kernel, name: str, after: Kernel) -> Kernel:
    if not max(after.padding):
        return before.then(after)
    if before.weight.shape[2:] == (1, 1) and before.stride == (1, 1) and not max(before.padding):
        return replace(before.then(after), padding=after.padding)
    raise Unmapped(
        name,
        "it pads sums, where a kernel pads spikes",
        "put a neuron layer before it, or use no padding",
    )


def kernel_of(name: str, node: Node, taken: Map, flat: bool) -> Kernel:
    """Return the kernel of one node on a map; `flat` where it takes the map as a vector.

    Raises:
        Unmapped: when it has none.
    """
    match node:
        case Linear():
            return Kernel(
                node.weight.astype(np.int64).reshape(-1, *(taken if flat else (taken[0], 1, 1)))
            )
        case Conv2d():
            return Kernel(ungrouped(undilated(node), node.groups), node.stride, node.padding)
        case SumPool2d():
            window = np.ones(node.kernel, np.int64)
            return Kernel(
                np.eye(taken[0], dtype=np.int64)[:, :, None, None] * window,
                node.stride,
                node.padding,
            )
    raise Unmapped(
        name,
        f"{type(node).__name__} is no kernel",
        "use convolutions, dense weights and sums over windows alone",
    )


def entries(kernel: Kernel, shape: Map) -> tuple[int, int]:
    """Return the entries of kernel memory and of neuron memory that a core needs.

    Addresses are made of whole bits. Source: sinabs, `DynapcnnLayer.memory_summary`; samna's
    validator counts the same.
    """
    out, taken, height, width = kernel.weight.shape
    _, rows, columns = kernel.size(shape)
    return taken << (_bits(height * width) + _bits(out)), out << (_bits(rows) + _bits(columns))


def _bits(values: int) -> int:
    return math.ceil(math.log2(values))
