"""Comparison of two traces: how many values differ, and the first one by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from lehr.errors import NotBitExact
from lehr.shown import Shown, Table
from lehr.simulate.result import Trace

Quantity = Literal["membrane", "spike"]
QUANTITIES: tuple[Quantity, ...] = ("membrane", "spike")
Values = Mapping[str, npt.NDArray[np.uint8]] | Mapping[str, npt.NDArray[np.int32]]


@dataclass(frozen=True)
class Difference:
    """The first value in which two traces differ: first by sample, then by step, then by layer.

    Attributes:
        layer: name of the neuron layer.
        quantity: `membrane` or `spike`.
        sample, step: counted from 0.
        neuron: index in the layer's shape.
        expected, got: the two values.
    """

    layer: str
    quantity: str
    sample: int
    step: int
    neuron: tuple[int, ...]
    expected: int
    got: int

    def __str__(self) -> str:
        where = ", ".join(map(str, self.neuron))
        return (
            f"{self.layer}: {self.quantity} of neuron ({where}) at step {self.step} of sample "
            f"{self.sample}"
            f" is {self.got}, expected {self.expected}"
        )


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """Outcome of comparing two traces.

    Attributes:
        values: of each quantity, how many were compared.
        membranes, spikes: how many differ.
        first: the first difference, None when the traces are equal.
        quantities: what was compared; a machine may not show its membranes.
    """

    values: int
    membranes: int
    spikes: int
    first: Difference | None
    quantities: tuple[Quantity, ...] = QUANTITIES

    @property
    def equal(self) -> bool:
        """Return whether no value differs."""
        return self.first is None

    def _table(self) -> Table:
        counts = {"membrane": self.membranes, "spike": self.spikes}
        rows = [(f"{each}s", f"{self.values:,}", f"{counts[each]:,}") for each in self.quantities]
        return Table(str(self), ("quantity", "compared", "differ"), rows)

    def __str__(self) -> str:
        if self.quantities == ("spike",):
            differ = f"{self.spikes:,} of {self.values:,} spikes differ"
        elif self.quantities == ("membrane",):
            differ = f"{self.membranes:,} of {self.values:,} membranes differ"
        else:
            differ = (
                f"{self.membranes:,} of {self.values:,} membranes and {self.spikes:,} spikes differ"
            )
        return differ if self.first is None else f"{differ}; first: {self.first}"

    def of(self, samples: Sequence[int]) -> Comparison:
        """Call the samples of this comparison by these numbers."""
        return (
            self
            if self.first is None
            else replace(self, first=replace(self.first, sample=samples[self.first.sample]))
        )

    def then(self, later: Comparison, samples: int) -> Comparison:
        """Join this comparison, of `samples` samples, with that of the samples after them."""
        first = self.first
        if first is None and later.first is not None:
            first = replace(later.first, sample=later.first.sample + samples)
        total = (
            self.values + later.values,
            self.membranes + later.membranes,
            self.spikes + later.spikes,
        )
        return Comparison(*total, first, self.quantities)

    def require_equal(self, what: str) -> None:
        """Raise NotBitExact, naming `what` was compared, unless the traces are equal."""
        if self.first is not None:
            raise NotBitExact(
                f"{what}: {self}; rebuild it, or report the difference as a bug of lehr if nobody "
                "changed the files"
            )


def compare(
    expected: Trace, got: Trace, quantities: tuple[Quantity, ...] = QUANTITIES
) -> Comparison:
    """Compare two traces value by value, over all layers of `expected`.

    Args:
        expected: what is right.
        got: what is compared with it.
        quantities: what is compared of every layer.

    Raises:
        NotBitExact: when a layer is missing in `got` or has another shape.
    """
    values = membranes = spikes = 0
    firsts: list[tuple[tuple[int, int, int, int], Difference]] = []
    for depth, name in enumerate(expected.spikes):
        sides: tuple[tuple[Values, Values], ...] = (
            (expected.membranes, got.membranes),
            (expected.spikes, got.spikes),
        )
        for kind, (left, right) in enumerate(sides):
            quantity = QUANTITIES[kind]
            if quantity not in quantities:
                continue
            if name not in right or right[name].shape != left[name].shape:
                shape = right[name].shape if name in right else "nothing"
                raise NotBitExact(
                    f"{name}: expected a trace of shape {left[name].shape}, got {shape}; trace the "
                    "same layers and steps in both"
                )
            wrong = left[name] != right[name]
            count = int(wrong.sum())
            values += wrong.size if quantity == quantities[0] else 0
            if quantity == "membrane":
                membranes += count
            else:
                spikes += count
            if count:
                at = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
                difference = Difference(
                    name, quantity, at[0], at[1], at[2:], int(left[name][at]), int(right[name][at])
                )
                firsts.append(((at[0], at[1], depth, kind), difference))
    return Comparison(
        values,
        membranes,
        spikes,
        min(firsts, key=lambda item: item[0])[1] if firsts else None,
        quantities,
    )
