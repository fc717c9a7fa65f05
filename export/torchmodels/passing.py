"""Layers without weights that a signal of a torch model goes through."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from lehr.errors import NotMappable
from lehr.export.digits import digits
from lehr.export.fold import Float
from lehr.export.offsets import by_value, changed, through_average
from lehr.export.torchmodels.classes import HoldsBack
from lehr.export.torchmodels.meeting import Meeting
from lehr.export.torchmodels.nodes import (
    any_of,
    cut_off,
    cut_sums,
    equal_windows,
    has_sums,
    maximum_of,
    norm_of,
    upsampled_by,
    why_cut_off,
)
from lehr.export.torchmodels.rows import as_row
from lehr.nodes import Delay, Flatten, Shape, ShapeMismatch, SumPool2d
from lehr.weights import WeightKind


class Passing(Meeting):
    """A signal that goes through layers without weights, a method each.

    Attributes:
        sources: qualified name of the module that each layer of spikes comes from, by node name.
        rows: whether what the model has as `[channels, n]` is a map of one row.
    """

    def __init__(self, shape: Shape, gain: Float, spikes: bool, rounded: WeightKind | None) -> None:
        super().__init__(shape, gain, spikes, rounded)
        self.sources: dict[str, str] = {}
        self.rows = False

    def modelled(self, shape: Shape) -> Shape:
        """Return the shape that the model has where the network has another."""
        return as_row(shape) if self.rows else shape

    def _pass(self, source: str, module: nn.Module) -> None:
        """Pass over dropout, which does nothing in evaluation."""

    def _relu(self, _: str, __: nn.Module) -> None:
        """Pass over a ReLU of what is never below 0: spikes, inputs, and averages of them."""
        if self._currents or (self._gain < 0).any() or (self._offset < 0).any():
            raise NotMappable(
                "it clips currents at 0, which no integer layer does; leave it out, for neurons "
                "take currents below 0, and train without it"
            )

    def _flatten(self, source: str, module: Any) -> None:
        if (module.start_dim, module.end_dim) != (1, -1):
            raise NotMappable(
                f"it flattens axes {module.start_dim} to {module.end_dim}; use nn.Flatten()"
            )
        if len(self.shape) > 1:
            before, taken = self.shape[0], self.shape
            self._put(self._name(source), Flatten())
            self._gain = np.repeat(self._gain, self.shape[0] // before)
            self._offset = by_value(self._offset, taken).ravel()

    def _norm(self, _: str, module: Any) -> None:
        norm = norm_of(module, self.shape)
        self._digits = max(
            self._digits, digits(module.running_mean.numpy(), norm.gain, norm.offset)
        )
        self._gain = norm.gain * self._gain
        self._offset = changed(self._offset, norm.gain, norm.offset, self.shape)
        self._spikes = False

    def _by_numbers(self, _: str, module: Any) -> None:
        affine = module.by_channel(self.modelled(self.shape))
        self._digits = max(self._digits, digits(affine.gain, affine.offset))
        self._gain = affine.gain * self._gain
        self._offset = changed(self._offset, affine.gain, affine.offset, self.shape)
        self._spikes = False

    def _average(self, source: str, module: Any) -> None:
        pool = SumPool2d(module.kernel_size, module.stride, module.padding)
        divisor = module.divisor_override
        if any(pool.padding) and not module.count_include_pad and not divisor:
            raise NotMappable(
                "its padding counts neither as spikes nor as currents (count_include_pad=False); "
                "use padding=0"
            )
        if module.ceil_mode and (more := cut_off(pool, self.shape)) != (0, 0):
            if not divisor:
                raise NotMappable(why_cut_off(pool, self.shape, over_maps=not self.rows))
            currents = self._currents
            self._weighted(source, cut_sums(pool, self.shape[0], more, divisor))
            self._currents = currents
            return
        divisor = divisor or pool.kernel[0] * pool.kernel[1]
        taken = self.shape
        self._put(self._name(source), pool)
        if self._offset.any():
            self._offset = through_average(pool, divisor, self._offset, taken)
        self._digits = max(self._digits, digits(1 / divisor))
        self._gain = self._gain / divisor
        self._spikes = False

    def _adaptive_average(self, source: str, module: nn.Module) -> None:
        self._average(source, nn.AvgPool2d(equal_windows(module, self.shape)))

    def _adaptive_maximum(self, source: str, module: Any) -> None:
        windows = equal_windows(module, self.shape)
        self._maximum(source, nn.MaxPool2d(windows, return_indices=module.return_indices))

    def _maximum(self, source: str, module: Any) -> None:
        pool = maximum_of(module)
        if not (self._spikes and has_sums(pool, self.shape)):
            self._greatest(source, pool)
            return
        self._put(self._name(source, ".sum"), SumPool2d(pool.kernel, pool.stride, pool.padding))
        name = self._name(source)
        self.sources[name] = source
        self._put(name, any_of(self.shape[0]))
        self._begin(1.0, spikes=True)

    def _upsample(self, source: str, module: nn.Module) -> None:
        if len(self.shape) != 3:
            raise ShapeMismatch(f"takes (channels, height, width) but gets {self.shape}")
        node = upsampled_by(module, self.modelled(self.shape)[1:])
        self._put(self._name(source), node)
        if self._offset.ndim > 1:
            rows, columns = node.scale
            self._offset = self._offset.repeat(rows, axis=1).repeat(columns, axis=2)

    def _held_back(self, source: str, module: HoldsBack) -> None:
        if self._offset.any():
            raise NotMappable(
                "what it takes is biased or normalized, and a current that has not come yet would "
                "lack that; put it behind spiking neurons"
            )
        steps = module.whole()
        if len(steps) != self.shape[0]:
            raise NotMappable(
                f"it has delays of {len(steps)} channels and gets {self.shape}; make them equal"
            )
        if not np.array_equal(steps, module.get_parameter("steps").detach().numpy()):
            raise NotMappable(
                "its delays are no whole steps yet; train on to where they are rounded, or call "
                "its hold()"
            )
        self._put(self._name(source), Delay(steps))
