"""The nodes of an integer network: what each one holds, and what shape it makes of its input.

Shapes leave the batch out: `(channels, height, width)` for feature maps, `(features,)` after a Flatten. Arrays are read-only
numpy of the stated dtype; a node checks itself when it is made.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused
from lehr.weights import Int8Array, WeightKind, declared_weight, frozen_array

Shape = tuple[int, ...]
Pair = tuple[int, int]
InputKind = Literal["u8", "spikes"]
Int32Array = npt.NDArray[np.int32]

INT32_MAX = 2**31 - 1
MAX_DELAY = 2**16
MAX_VALUES, MAX_ALL_VALUES = 2**28, 2**30  # that one node puts out a step, and all nodes together: 1 and 4 GiB at 4 bytes each


class ShapeMismatch(FileRefused):
    """What arrives at a node has not the shape that the node takes."""


def pair(value: int | tuple[int, ...], name: str, least: int) -> Pair:
    """Turn one integer or two into (height, width), each at least `least`."""
    two = (value, value) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(two) != 2 or min(two) < least:
        raise FileRefused(f"{name} is {value}; give two integers of at least {least}")
    return two[0], two[1]


def values_in(name: str, shape: Shape, before: int = 0) -> int:
    """How many values all nodes put out a step: those of `name`, which has this shape, added to the ones `before` it.

    Raises:
        FileRefused: when there are too many; a few bytes of padding or of input shape can ask for any amount of memory.
    """
    values = math.prod(shape)
    for total, limit, whose in ((values, MAX_VALUES, "a node"), (before + values, MAX_ALL_VALUES, "all nodes together")):
        if total > limit:
            brings = "" if total == values else f", and brings those of all nodes to {total:,}"
            raise FileRefused(
                f"{name}: has shape {shape}, which are {values:,} values a step in {4 * values:,} bytes{brings}, but {whose} may have "
                f"{limit:,}; use less padding or a smaller input"
            )
    return before + values


class Node(ABC):
    """A node: compared by content, so that two networks are equal when every number in them is."""

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`; raises ShapeMismatch where it does not fit."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))  # type: ignore[arg-type]
        return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Conv2d(Node):
    """Cross-correlation, as torch.nn.Conv2d without bias.

    `weight` is int8 `[out channels, in channels / groups, kernel height, kernel width]`; `kind` declares what it may hold.
    """

    weight: Int8Array
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    kind: WeightKind = "binary"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", declared_weight(self.weight, self.kind, 4, "Conv2d"))
        for name, least in (("stride", 1), ("padding", 0), ("dilation", 1)):
            object.__setattr__(self, name, pair(getattr(self, name), f"Conv2d {name}", least))
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise FileRefused(f"Conv2d groups is {self.groups}; use a divisor of its {self.weight.shape[0]} output channels")

    def output_shape(self, shape: Shape) -> Shape:
        """(out channels, height, width) for (channels, height, width)."""
        channels = self.weight.shape[1] * self.groups
        if len(shape) != 3 or shape[0] != channels:
            raise ShapeMismatch(f"takes ({channels}, height, width) but gets {shape}")
        spans = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.weight.shape[2:], strict=True)]
        return (self.weight.shape[0], *_windows(shape[1:], spans, self.stride, self.padding))


@dataclass(frozen=True, eq=False)
class Linear(Node):
    """Fully connected weights, int8 `[out features, in features]`, no bias; `kind` declares what they may hold."""

    weight: Int8Array
    kind: WeightKind = "binary"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", declared_weight(self.weight, self.kind, 2, "Linear"))

    def output_shape(self, shape: Shape) -> Shape:
        """(out features,) for (in features,)."""
        if shape != (self.weight.shape[1],):
            raise ShapeMismatch(f"takes ({self.weight.shape[1]},) but gets {shape}")
        return (self.weight.shape[0],)


@dataclass(frozen=True, eq=False)
class SumPool2d(Node):
    """Sum over windows: average pooling times the window's area, which is folded into the thresholds."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0)):
            object.__setattr__(self, name, pair(getattr(self, name), f"SumPool2d {name}", least))

    def output_shape(self, shape: Shape) -> Shape:
        """(channels, height, width) of the windows."""
        if len(shape) != 3:
            raise ShapeMismatch(f"takes (channels, height, width) but gets {shape}")
        return (shape[0], *_windows(shape[1:], self.kernel, self.stride, self.padding))


@dataclass(frozen=True, eq=False)
class Flatten(Node):
    """All axes into one, channel first (C order)."""

    def output_shape(self, shape: Shape) -> Shape:
        """One axis, as long as all of them."""
        return (math.prod(shape),)


@dataclass(frozen=True, eq=False)
class Delay(Node):
    """Holds its input back by a whole number of steps; zero until then."""

    steps: int

    def __post_init__(self) -> None:
        if type(self.steps) is not int or not 1 <= self.steps <= MAX_DELAY:
            raise FileRefused(f"Delay steps is {self.steps!r}; use 1 to {MAX_DELAY:,}")

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape


@dataclass(frozen=True, eq=False)
class Neuron(Node):
    """A layer of neurons: integrate-and-fire, or a leaky integrator where `arithmetic.fires` is `never`.

    Attributes:
        threshold: int32 `[channels]`, each at least 1, in units of 2**-fraction_bits weights; all 0 in an integrator, which has none.
        bias: int32 `[channels]`, added every step, in the same units.
        arithmetic: how the layer computes.
        synapse: how its second state computes, the current; None where the input goes straight to the membrane.
    """

    threshold: Int32Array
    bias: Int32Array
    arithmetic: Arithmetic
    synapse: Synapse | None = None

    def __post_init__(self) -> None:
        for name in ("threshold", "bias"):
            made = frozen_array(getattr(self, name), np.int32, f"Neuron {name}")
            if made.ndim != 1 or made.size == 0:
                raise FileRefused(f"Neuron {name} has shape {made.shape}; give one integer per channel")
            object.__setattr__(self, name, made)
        if self.bias.shape != self.threshold.shape:
            raise FileRefused(f"Neuron has {self.threshold.size} thresholds and {self.bias.size} biases; give one of each per channel")
        low = int(self.threshold.min())
        if self.integrates and self.threshold.any():
            raise FileRefused(f"Neuron threshold holds {int(self.threshold.max()) or low}, but fires is 'never'; make all of them 0")
        if not self.integrates and low < 1:
            raise FileRefused(f"Neuron threshold holds {low}; a threshold is an integer of at least 1")
        if self.synapse is not None and self.arithmetic.update == "event":
            raise FileRefused("Neuron has a synapse state, which changes once a step, but update is 'event'; set it to 'step'")
        if self.synapse is not None and self.arithmetic.beta == 1:
            raise FileRefused("Neuron has a synapse state, but its membrane does not leak; use a decay below 1 or no synapse state")

    @property
    def integrates(self) -> bool:
        """Whether the neurons never fire: leaky integrators, whose membrane is read out."""
        return self.arithmetic.fires == "never"

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged; the first axis is the channels'."""
        if shape[0] != self.threshold.size:
            raise ShapeMismatch(f"has {self.threshold.size} channels but gets {shape}")
        return shape


def _windows(size: Shape, spans: list[int] | Pair, stride: Pair, padding: Pair) -> Shape:
    out = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, spans, stride, padding, strict=True))
    if min(out) < 1:
        raise ShapeMismatch(f"covers {tuple(spans)} pixels but gets {size} with padding {padding}")
    return out
