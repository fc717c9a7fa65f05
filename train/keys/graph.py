"""The layers of a recipe as a graph: whose spikes each layer takes.

Sums of spikes may nest; what counts is the layers with weights that they come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lehr.network import INPUT
from lehr.spelling import nearest
from lehr.train.keys.layer import Add, Convolution, Integrator, Layer

FROM_INPUT = -1
"""Stands for the input among the numbers of layers."""


@dataclass(frozen=True)
class Graph:
    """The layers with weights, numbered from 0, and where their spikes come from.

    Attributes:
        places: of each such layer in the recipe's list.
        sources: by layer the numbers of those whose spikes it takes, added up.
        names: by which each of them is called.
        problems: sentences that say what is wrong with the list.
    """

    places: tuple[int, ...]
    sources: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    problems: tuple[str, ...]


def graph(layers: Sequence[Layer]) -> Graph:
    """Follow `from` through a recipe's layers."""
    walk = _Walk(layers)
    return Graph(
        tuple(walk.places),
        tuple(walk.sources),
        tuple(walk.names[place] for place in walk.places),
        tuple(walk.problems),
    )


class _Walk:
    """One pass over the layers, from the first to the last."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        self.places = [at for at, layer in enumerate(layers) if not isinstance(layer, Add)]
        self.names = dict(enumerate(_names(layers)))
        self.sources: list[tuple[int, ...]] = []
        self.problems = [*self._twice()]
        self._taken: set[int] = set()
        """Places of the layers whose spikes another one takes."""
        ends: dict[int, tuple[int, ...]] = {}
        for place, layer in enumerate(layers):
            wanted = self._wanted(place, layer)
            self._taken.update(wanted)
            sources = [number for at in wanted for number in ends.get(at, (FROM_INPUT,))]
            if isinstance(layer, Add):
                self.problems += self._of_sum(place, layer, sources)
                ends[place] = tuple(sources)
            else:
                ends[place] = (len(self.sources),)
                self.sources.append(tuple(sources))
        if not self.problems:
            self.problems += self._idle()

    def _wanted(self, place: int, layer: Layer) -> list[int]:
        """Return the places of the layers that one takes, FROM_INPUT for the input."""
        if layer.from_ is None:
            return [place - 1]
        names = [layer.from_] if isinstance(layer.from_, str) else layer.from_
        return [at for name in names if (at := self._find(place, name)) is not None]

    def _find(self, place: int, name: str) -> int | None:
        key = f"network.layers.{place}.from"
        if name == INPUT:
            return FROM_INPUT
        found = [at for at, other in self.names.items() if other == name]
        earlier = [at for at in found if at < place]
        if not found:
            known = [INPUT, *(self.names[at] for at in range(place) if self.names[at])]
            remedy = nearest(name, known) or f"use {', '.join(known)}"
            self.problems.append(f"{key} has {name!r}, which is no layer; {remedy}")
        elif not earlier:
            self.problems.append(
                f"{key} has {name!r}, which is network.layers.{found[0]} and not before it; take "
                "layers before it"
            )
        elif isinstance(self.layers[earlier[0]], Integrator):
            self.problems.append(
                f"{key} has {name!r}, which integrates and fires no spike; take another layer"
            )
        else:
            return earlier[0]
        return None

    def _twice(self) -> Iterator[str]:
        first: dict[str, int] = {INPUT: FROM_INPUT}
        for place, name in self.names.items():
            if name and name in first:
                other = (
                    "which is what the network takes"
                    if name == INPUT
                    else f"as is network.layers.{first[name]}'s"
                )
                yield f"network.layers.{place}.name is {name!r}, {other}; give another name"
            first.setdefault(name, place)

    def _of_sum(self, place: int, layer: Add, sources: list[int]) -> Iterator[str]:
        key = f"network.layers.{place}"
        if place == 0:
            yield f"{key} is an add, but no layer is before it; put it behind those that it adds"
        if place == len(self.layers) - 1:
            yield f"{key} is an add, and the last layer; put one behind it that takes the sum"
        if len(layer.from_) < 2:
            yield f"{key}.from has {len(layer.from_)} names; give two or more"
        for number, times in Counter(sources).items():
            if times > 1:
                name = INPUT if number == FROM_INPUT else self.names[self.places[number]]
                yield (
                    f"{key} adds {name!r} {times} times, itself or in other sums; each edge is "
                    "there once: name it once"
                )

    def _idle(self) -> Iterator[str]:
        """Name the layers that nothing takes."""
        for place, layer in enumerate(self.layers[:-1]):
            if place not in self._taken and not isinstance(layer, Integrator):
                what = "adds" if isinstance(layer, Add) else "fires"
                yield (
                    f"network.layers.{place} {what} for nothing, as no layer takes it; name it in "
                    "the 'from' of one, or leave it out"
                )


def _names(layers: Sequence[Layer]) -> Iterator[str]:
    """Yield the names of layers; "" for a sum that has none."""
    number = 0
    for layer in layers:
        if isinstance(layer, Add):
            yield layer.name or ""
            continue
        number += 1
        kind = "conv" if isinstance(layer, Convolution) else "fc"
        yield layer.name or f"{kind}{number}"
