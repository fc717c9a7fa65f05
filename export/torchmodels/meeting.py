"""Signals of a torch model that meet: added, or beside each other.

Spikes that are worth the same are added as they are. Where currents are added, or spikes to
currents, all have weights, which get one step per output, so that their integers can be added.
Signals beside each other go through weights of their own, which are the columns of the next ones.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.export.levels import Levels, kind_of, read_levels
from lehr.export.offsets import by_value, narrowed
from lehr.export.torchmodels.nodes import node_of
from lehr.export.torchmodels.signal import Part, Read, Signal

Place = Mapping[str, Any]


class Meeting(Signal):
    """A signal that others may meet."""

    @abstractmethod
    def _weighted(self, source: str, module: Any) -> None:
        """Go through weights."""

    def _require_one_shape(self, places: Sequence[Place], axes: slice) -> None:
        shapes = [place["shape"] for place in places]
        if len({(len(shape), shape[axes]) for shape in shapes}) > 1:
            raise NotMappable(
                f"it takes shapes {', '.join(str(list(shape)) for shape in shapes)}; make them "
                "equal"
            )

    def _collect(self, places: Sequence[Place]) -> None:
        """Take over what the signals have in common: their notes, and how exact they are."""
        self._notes = list(dict.fromkeys(note for each in places for note in each["_notes"]))
        self._exact = all(each["_exact"] for each in places)
        self._digits = max(each["_digits"] for each in places)
        self._passed_over = any(each["_passed_over"] for each in places)
        self._currents = any(each["_currents"] for each in places)
        self._spikes = False

    def _concatenate(self, places: Sequence[Place]) -> None:
        """Lay signals beside each other."""
        self._require_one_shape(places, slice(1, None))
        shape = (sum(place["shape"][0] for place in places), *places[0]["shape"][1:])
        spikes = all(place["_spikes"] for place in places)
        parts: list[Part] = []
        fixed = []
        for place in places:
            self.go_to(place)
            self.fix()
            parts += self.parts or [(self.last, self.shape[0])]
            fixed.append(self.here())
        self._collect(fixed)
        self.shape, self.last, self.parts = shape, (), tuple(parts)
        self._gain = np.concatenate([place["_gain"] for place in places])
        self._offset = narrowed(
            np.concatenate([by_value(place["_offset"], place["shape"]) for place in places])
        )
        self._weights, self._spikes = None, spikes

    def _split(self, weight: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return the columns of weights, outputs first, of each signal beside the others."""
        sizes = [size for _, size in self.parts]
        return np.split(weight, np.cumsum(sizes)[:-1], axis=1)

    def _put_weights(self, name: str, module: Any, read: Levels) -> tuple[str, ...]:
        """Go through weights: a node of them, or one for each of the signals beside each other."""
        if not self.parts:
            self._put(name, node_of(module, read.levels, read.kind))
            return (name,)
        for number, levels in enumerate(self._split(read.levels)):
            own = self._name(f"{name}.{number}")
            self.nodes[own] = node_of(module, levels, kind_of(levels))
            self.edges += [(source, own) for source in self.parts[number][0]]
            self.last = (*self.last, own)
        self.shape = node_of(module, read.levels, read.kind).output_shape(self.shape)
        return self.last

    def _merge(self, source: str) -> None:
        """Make one signal of those beside each other, or give one weights, by weights of 1."""
        currents, spikes = self._currents, self._spikes
        size = self.shape[0]
        one: Any = (
            nn.Linear(size, size, bias=False)
            if len(self.shape) == 1
            else nn.Conv2d(size, size, 1, bias=False)
        ).double()
        with torch.no_grad():
            one.weight.copy_(torch.eye(size, dtype=torch.float64).reshape(one.weight.shape))
        self._weighted(source, one)
        self._currents = currents
        self._spikes = spikes and bool((self._gain == 1).all())

    def _sum(self, source: str, places: Sequence[Place]) -> None:
        """Add signals."""
        self._require_one_shape(places, slice(0, None))
        last = [name for place in places for name in place["last"]]
        gains = np.concatenate([place["_gain"] for place in places])
        plain = not any(place["_weights"] or place["parts"] for place in places)
        if not (plain and np.ptp(gains) == 0 and len(set(last)) == len(last)):
            places = [self._with_weights(f"{source}.{i}", each) for i, each in enumerate(places)]
            self._share_step(places)
            return
        self._collect(places)
        self.shape, self.last, self.parts = places[0]["shape"], tuple(last), ()
        self._weights, self._gain = None, places[0]["_gain"]
        self._offset = self._added(places)

    @staticmethod
    def _added(places: Sequence[Place]) -> Float:
        offsets = [place["_offset"] for place in places]
        if len({offset.ndim for offset in offsets}) > 1:
            offsets = [by_value(place["_offset"], place["shape"]) for place in places]
        return np.asarray(sum(offsets))

    def _with_weights(self, source: str, place: Place) -> Place:
        """Return where a signal is behind weights that are its own."""
        self.go_to(place)
        before, rows = self._weights, None
        if before is not None and len(self._gain) % len(before.real) == 0:
            rows = self._gain.reshape(len(before.real), -1)
        if rows is None or (rows != rows[:, :1]).any():
            self._tell_moved()
            self._merge(source)
        return self.here()

    def _share_step(self, places: Sequence[Place]) -> None:
        """Add currents of weights, which get one step per output."""
        reads: list[Read] = [place["_weights"] for place in places]
        worth = [
            read.real.reshape(len(read.real), -1)
            * place["_gain"].reshape(len(read.real), -1)[:, :1]
            for read, place in zip(reads, places, strict=True)
        ]
        if len({len(each) for each in worth}) > 1 or any(
            len(place["_gain"]) != len(places[0]["_gain"]) for place in places
        ):
            raise NotMappable(
                "it adds currents of weights whose outputs are laid out otherwise; flatten after "
                "the sum"
            )
        read = read_levels(np.concatenate(worth, axis=1), self._rounded)
        nodes = tuple(name for each in reads for name in each.nodes)
        real = np.concatenate(worth, axis=1) / read.step[:, None]
        self._collect(places)
        names = " and ".join(dict.fromkeys(each.sources for each in reads))
        self._weights = Read(nodes, names, real, read.moved)
        self._set_levels(self._weights, read.levels)
        self.shape, self.parts = places[0]["shape"], ()
        self.last = tuple(name for place in places for name in place["last"])
        self._gain = np.repeat(read.step, len(places[0]["_gain"]) // len(real))
        self._offset = self._added(places)
        self._currents = True
