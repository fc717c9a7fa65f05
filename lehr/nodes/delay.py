"""Values held back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from lehr.arithmetic import Int64
from lehr.errors import FileRefused, NotMappable
from lehr.interval import Interval
from lehr.nirnodes import DT, Fields, short
from lehr.nodes.base import INT32_MAX, Int32Array, Node, Shape, ShapeMismatch
from lehr.nodes.parameters import parameter_array

MAX_DELAY = 2**16
RELATIVE = 1e-9
"""Distance of seconds from a whole number of steps, at most, as a share of them."""


@dataclass(frozen=True, eq=False)
class Delay(Node):
    """A node that holds its input back by whole numbers of steps; its output is zero until then.

    Attributes:
        steps: one number for all; or int32 by channel `[channels]`, or by neuron in the input's own
            shape, as learned axonal delays have it. An array that holds one number alone is kept as
            that number.
    """

    nir_types = MappingProxyType({"Delay": ("delay",)})
    by_channel: ClassVar[bool] = True
    copies: ClassVar[bool] = True

    steps: int | Int32Array

    def __post_init__(self) -> None:
        if type(self.steps) is not int:
            if np.ndim(self.steps) == 0:
                raise FileRefused(f"Delay steps is {self.steps!r}; use 1 to {MAX_DELAY:,}")
            array = parameter_array(self.steps, "Delay steps")
            object.__setattr__(self, "steps", array if np.ptp(array) else int(array.flat[0]))
        low, high = int(np.min(self.steps)), int(np.max(self.steps))
        if not 1 <= low <= high <= MAX_DELAY:
            raise FileRefused(f"Delay steps is {low if low < 1 else high}; use 1 to {MAX_DELAY:,}")

    @cached_property
    def longest(self) -> int:
        """The most steps that any value is held back."""
        return int(np.max(self.steps))

    @property
    def alike(self) -> int:
        """The steps that all values are held back by.

        Raises:
            NotMappable: when they differ.
        """
        if not isinstance(self.steps, int):
            raise NotMappable(
                "its steps differ from value to value; use a station that takes delays by channel "
                "or by neuron"
            )
        return self.steps

    def spread(self, shape: Shape) -> Int64:
        """Return the steps of every value, as a read-only view of int64 in the input's shape."""
        steps = np.asarray(self.steps, np.int64)
        return np.broadcast_to(steps.reshape(*steps.shape, *[1] * (len(shape) - steps.ndim)), shape)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape; ShapeMismatch if the steps do not fit it."""
        own = np.shape(self.steps)
        if own and (own[0] != shape[0] or (len(own) > 1 and own != shape)):
            raise ShapeMismatch(f"has steps of shape {own} but gets {shape}")
        return shape

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        """Return the same bounds; 0 is within them."""
        del taken
        return x

    def nir_fields(self, taken: Shape) -> dict[str, Any]:
        """Return the fields of NIR's Delay: seconds, of every value."""
        return {"type": "Delay", "delay": self.spread(taken) * DT}

    @classmethod
    def of_nir(cls, fields: Fields) -> Delay:
        """Return the delay of these fields: whole numbers of steps, by value or one for all."""
        seconds = np.asarray(fields["delay"])
        if seconds.dtype.kind not in "iuf" or seconds.size == 0:
            raise FileRefused(f"delay is {short(fields['delay'])}; give seconds")
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values are refused below
            steps = seconds.astype(np.float64) / DT
            near = np.rint(steps)
            uneven = ~(
                np.isfinite(steps)
                & (np.abs(steps - near) <= RELATIVE * np.maximum(np.abs(steps), np.abs(near)))
            )
        if uneven.any():
            raise FileRefused(
                f"delay holds {seconds[uneven].flat[0]} s, which is no whole number of steps of "
                f"{DT} s; round it"
            )
        whole = np.clip(near, -INT32_MAX, INT32_MAX).astype(np.int32)
        return cls(int(whole) if whole.ndim == 0 else whole)
