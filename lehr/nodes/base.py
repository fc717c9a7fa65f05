"""Base of all nodes of an integer network: shapes, and equality by content.

Shapes leave the batch out: `(channels, height, width)` for feature maps, `(features,)` after a
Flatten. Arrays are read-only numpy of the stated dtype; a node checks itself when it is made.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused, NotMappable
from lehr.interval import Interval
from lehr.nirnodes import Fields

Shape = tuple[int, ...]
Pair = tuple[int, int]
InputKind = Literal["u8", "spikes"]
Int32Array = npt.NDArray[np.int32]
Number = TypeVar("Number", np.int64, np.float64)

INT32_MAX = 2**31 - 1
MAX_VALUES, MAX_ALL_VALUES = 2**28, 2**30
"""Values of one node in a step, and of all nodes together: 1 and 4 GiB at 4 bytes each."""


class ShapeMismatch(FileRefused):
    """An input whose shape is not the one that the node takes."""


def pair(value: int | tuple[int, ...], name: str, least: int) -> Pair:
    """Turn one integer or two into (height, width), each at least `least`."""
    two = (value, value) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(two) != 2 or min(two) < least:
        raise FileRefused(f"{name} is {value}; give two integers of at least {least}")
    return two[0], two[1]


def values_in(name: str, shape: Shape, before: int = 0) -> int:
    """Return how many values all nodes put out a step.

    They are those of the node `name`, which has this shape, added to the ones `before` it.

    Raises:
        FileRefused: when there are too many; a few bytes of padding or of input shape can ask for
            any amount of memory.
    """
    values = math.prod(shape)
    for total, limit, whose in (
        (values, MAX_VALUES, "a node"),
        (before + values, MAX_ALL_VALUES, "all nodes together"),
    ):
        if total > limit:
            brings = "" if total == values else f", and brings those of all nodes to {total:,}"
            raise FileRefused(
                f"{name}: has shape {shape}, which are {values:,} values a step in {4 * values:,} "
                f"bytes{brings}, but {whose} may have "
                f"{limit:,}; use less padding or a smaller input"
            )
    return before + values


class Node(ABC):
    """A node: compared by content, so that two networks are equal when every number in them is.

    Attributes:
        nir_types: its types in a `.nir` file, each with the fields that it has there; none where a
            file does not hold it.
        nir_taken: the fields that `of_nir` takes as they are; all others follow from these and from
            the node's input.
        one_to_one: whether each value that it puts out comes of one value alone, so that an event
            makes no more than one.
        additive: whether what it makes of a sum is the sum of what it makes of the parts, so that
            events can be taken in one by one, in any order.
        copies: whether each value that it puts out is one that it takes, or took before,
            from the same place in every step.
        by_channel: whether what it makes of a channel comes of that channel alone, and is 0 where
            all of it is.
        monotonic: whether each value that it puts out either only grows or only falls, with every
            value that it takes.
    """

    nir_types: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    nir_taken: ClassVar[frozenset[str]] = frozenset()
    one_to_one: ClassVar[bool] = False
    additive: ClassVar[bool] = True
    copies: ClassVar[bool] = False
    by_channel: ClassVar[bool] = False
    monotonic: ClassVar[bool] = False

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for an input of `shape`.

        It raises ShapeMismatch if that does not fit.
        """

    def sums(self, x: Int64) -> Int64:
        """Compute the node's output for a batch `[N, *shape]`.

        This is the definition, for a node that keeps nothing from step to step.

        Raises:
            NotMappable: when a type of node does not say it.
        """
        del x
        raise NotMappable(
            f"the definition computes no {type(self).__name__}; give the type of node the method "
            "sums"
        )

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return the bounds of the output, from those of the input, whose shape is `taken`.

        Raises:
            NotMappable: when a type of node does not say it.
        """
        del x, taken
        raise NotMappable(
            f"the width analysis bounds no {type(self).__name__}; give the type of node the method "
            "bounds"
        )

    @property
    def present(self) -> Node | None:
        """The node with a weight of 1 for every one other than 0, or None if it has no weights.

        Events are counted by it.
        """
        return None

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return its NIR fields, for an input of shape `taken`; arrays may be read-only views.

        Raises:
            NotMappable: when a type of node does not say it.
        """
        del taken
        raise NotMappable(
            f"the .nir file holds no {type(self).__name__}; give the type of node the method "
            "nir_fields"
        )

    @classmethod
    def of_nir(cls, fields: Fields) -> Self:
        """Return the node that its NIR fields describe, whose names were checked.

        Raises:
            NotMappable: when a type of node does not say it.
            FileRefused: when a value is none that the node can have. The caller names the node.
        """
        del fields
        raise NotMappable(
            f"the .nir file holds no {cls.__name__}; give the type of node the method of_nir"
        )

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))  # type: ignore[arg-type]
        return all(_equal(a, b) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


def _equal(a: object, b: object) -> bool:
    """Return whether two fields are equal, arrays and mappings of arrays by content."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in a)
    arrays = isinstance(a, np.ndarray) or isinstance(b, np.ndarray)
    return np.array_equal(a, b) if arrays else a == b  # type: ignore[arg-type]


def windows(size: Shape, spans: list[int] | Pair, stride: Pair, padding: Pair) -> Shape:
    """Return the height and width of the output of windows of `spans` pixels over a map."""
    out = tuple(
        (n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, spans, stride, padding, strict=True)
    )
    if min(out) < 1:
        raise ShapeMismatch(f"covers {tuple(spans)} pixels but gets {size} with padding {padding}")
    return out


def views(
    x: npt.NDArray[Number], spans: tuple[int, ...] | list[int], stride: Pair, padding: Pair
) -> npt.NDArray[Number]:
    """Return the windows of a batch of maps `[N, C, H, W]`.

    They are a view `[N, C, rows, columns, span, span]` of the padded maps.
    """
    padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, tuple(spans), axis=(2, 3))
    return seen[:, :, :: stride[0], :: stride[1]]
