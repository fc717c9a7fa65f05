"""State of the generated code: which arrays it has, and which values share memory.

Those share it that live at different times.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lehr.network import INPUT

if TYPE_CHECKING:
    from lehr.targets.c.layout import Layout

TYPE_BYTES = {
    "int8_t": 1,
    "uint8_t": 1,
    "uint16_t": 2,
    "int16_t": 2,
    "int32_t": 4,
    "uint32_t": 4,
    "int64_t": 8,
}


def smallest_type(low: int, high: int) -> str:
    """Return the smallest signed C type, within 64 bits, for every integer from `low` to `high`."""
    return next(
        f"int{bits}_t"
        for bits in (8, 16, 32, 64)
        if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1)
    )


@dataclass(frozen=True)
class Field:
    """One member of the state struct.

    Attributes:
        c_type: of an element.
        name: of the member.
        dims: none for a single value.
        node: that it belongs to, the largest of them where several share it.
        note: what it holds.
        of_input: whether it holds what the input makes of the first weights, which a reset leaves
            alone.
    """

    c_type: str
    name: str
    dims: tuple[int, ...]
    node: str
    note: str
    of_input: bool = False

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return TYPE_BYTES[self.c_type] * math.prod(self.dims)

    @property
    def forgotten(self) -> bool:
        """Whether a reset clears it."""
        return not self.of_input and not self.name.startswith("shared_")


@dataclass(frozen=True)
class Place:
    """Place of an array of a node in the shared memory of its type."""

    c_type: str
    offset: int
    size: int
    node: str


class Memory:
    """The members of the state struct, widest first, so that it is padded at its end alone.

    Attributes:
        shared: places of arrays, by name, that live from the node that makes them to the last one
            that reads them.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.shared = self._share()
        self.fields = sorted(
            self._fields(), key=lambda field: (-TYPE_BYTES[field.c_type], field.forgotten)
        )

    @cached_property
    def bytes(self) -> int:
        """Size of the state struct."""
        total = sum(field.bytes for field in self.fields)
        return total + -total % TYPE_BYTES[self.fields[0].c_type]

    @property
    def forgotten(self) -> list[tuple[str, str | None]]:
        """Members that a reset clears with all behind them, up to another one or to the end."""
        runs: list[tuple[str, str | None]] = []
        begin = None
        for field in self.fields:
            if field.forgotten and begin is None:
                begin = field.name
            elif not field.forgotten and begin is not None:
                runs.append((begin, field.name))
                begin = None
        return runs if begin is None else [*runs, (begin, None)]

    def _share(self) -> dict[str, Place]:
        """Return the first gap that is large enough, for one node after another.

        What is alive at the same time does not meet.
        """
        layout = self._layout
        at = {name: i for i, name in enumerate(layout.computed)}
        end = {name: i for i, name in enumerate(layout.computed)}
        for reader in layout.computed:
            for name in layout.reads(reader) - {INPUT}:
                end[name] = max(end[name], at[reader])
        end.update(dict.fromkeys(layout.remembered, len(at)))  # copied when the step ends
        placed: dict[str, Place] = {}
        for name in layout.computed:
            for c_type, called, size in self._within_a_step(name):
                offset = 0
                alive = [
                    place
                    for place in placed.values()
                    if place.c_type == c_type and end[place.node] >= at[name]
                ]
                for place in sorted(alive, key=lambda place: place.offset):
                    if offset + size <= place.offset:
                        break
                    offset = max(offset, place.offset + place.size)
                placed[called] = Place(c_type, offset, size, name)
        return placed

    def _within_a_step(self, name: str) -> Iterator[tuple[str, str, int]]:
        """Type, name and length of the arrays that only live within a step."""
        layout, identifier = self._layout, self._layout.id[name]
        if name in layout.sliced and not layout.hears_input(name):
            yield "uint32_t", f"active_{identifier}", self._active(name)
        counts_elsewhere = name in layout.sliced and name not in layout.counted
        if layout.role(name) != "neurons" and name not in layout.taken and not counts_elsewhere:
            yield layout.c_type(name), f"values_{identifier}", layout.size(name)

    def _active(self, name: str) -> int:
        """Words that hold a bit for each value that a sliced node hears."""
        layout = self._layout
        return -(-layout.size(layout.net.sources(layout.adds(name))[0]) // 32)

    def _fields(self) -> Iterator[Field]:
        layout, output = self._layout, self._layout.net.output
        kept = (
            ("uint32_t", "spikes")
            if layout.counts
            else ("int64_t", "membranes, as they are read out,")
        )
        yield Field(
            kept[0],
            "counts" if layout.counts else "scores",
            (layout.size(output),),
            output,
            f"{kept[1]} since the reset",
        )
        if layout.keeps_input:
            yield Field(
                "uint8_t",
                "input",
                (layout.size(INPUT),),
                layout.computed[0],
                "the input of this step",
                of_input=True,
            )
        for name in layout.taken:
            yield Field(
                layout.c_type(name),
                f"values_{layout.id[name]}",
                (layout.size(name),),
                name,
                "sums of the input",
                of_input=True,
            )
        for name in layout.sliced:
            if layout.hears_input(name):
                yield Field(
                    "uint32_t",
                    f"active_{layout.id[name]}",
                    (self._active(name),),
                    name,
                    "a bit for each input",
                    of_input=True,
                )
        for name in layout.computed:
            yield from layout.rules[name].states(layout, name)
        for c_type in dict.fromkeys(place.c_type for place in self.shared.values()):
            here = {name: place for name, place in self.shared.items() if place.c_type == c_type}
            size, widest = (
                max(place.offset + place.size for place in here.values()),
                max(here.values(), key=lambda place: place.size).node,
            )
            yield Field(
                c_type,
                f"shared_{c_type.removesuffix('_t')}",
                (size,),
                widest,
                f"values within a step: {', '.join(here)}",
            )
        for name in layout.remembered:
            c_type, identifier = layout.c_type(name), layout.id.get(name, name)
            node = layout.computed[0] if name == INPUT else name
            yield Field(
                c_type, f"before_{identifier}", (layout.size(name),), node, "the same, a step ago"
            )
        for prefix, names, note in (
            ("arriving", layout.events, "what one event adds"),
            ("pulse", layout.pulsed, "what it makes of one"),
        ):
            for name in sorted(names):
                yield Field(
                    "int32_t", f"{prefix}_{layout.id[name]}", (layout.size(name),), name, note
                )
