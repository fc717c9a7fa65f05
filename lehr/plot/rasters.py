"""Spikes of layers over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lehr.errors import UsageError
from lehr.plot.given import Spikes, layer_in, sample_in, trace_of
from lehr.plot.style import QUIET, colour, drawing, figure_of, whole_numbers
from lehr.shown import shape_text
from lehr.simulate.result import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 12
"""Neurons of a layer that are numbered, at most."""
VECTORS = 300
"""Spikes that are drawn one by one; of more an image is made, which is smaller in SVG."""
_HEIGHT = 4.2
_LETTER, _DIGIT = 6, 0.8
"""Points of a neuron's number, and how much of them a digit is high, with some room."""
_GAP = 0.05
"""Between two layers, as a share of all their heights."""
_EACH = 0.03
"""The height of a neuron that is numbered, as a share of all large layers'."""


def raster(
    result: Spikes, sample: int = 0, layers: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw every spike of one sample: steps to the right, layers from top to bottom.

    A layer's neurons are in the order of its shape, channel after channel, the first on top. Large
    layers are as high as the root of their numbers of neurons, and a few outputs high enough to be
    seen beside a thousand others; the y axis of one layer alone counts its neurons. What fires several times in a
    step is drawn thicker.

    Args:
        result: a run or a trace; or spikes by layer, `[N, T, *shape]`.
        sample: its number in the trace.
        layers: from top to bottom; all that were traced if None.
        ax: to draw on.

    Raises:
        UsageError: when there is no such trace, sample or layer.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> result = lehr.simulate("model.nir", "in.npz", trace="all")
    >>> ax = lehr.plot.raster(result, sample=3)
    >>> ax.get_xlabel()
    'step'
    """
    trace = trace_of(result)
    names = [layer_in(trace.spikes, name) for name in (trace.spikes if layers is None else layers)]
    if not names:
        raise UsageError("no layer is named; leave layers out for all that were traced")
    spikes = {name: spikes_of(trace, name, sample) for name in names}
    alone, few = len(names) == 1, sum(map(np.count_nonzero, spikes.values())) <= VECTORS
    heights = _heights({name: each.shape[1] for name, each in spikes.items()})
    gap, last = _GAP * sum(heights.values()), max(len(each) for each in spikes.values()) - 0.5
    with drawing(ax, _HEIGHT) as ax:
        top, middles = -0.5 if alone else 0.0, list[float]()
        inches = ax.get_position().height * figure_of(ax).get_figheight()
        for number, (name, each) in enumerate(spikes.items()):
            if number:
                ax.axhline(top + gap / 2, color=QUIET, linewidth=0.6)
                top += gap
            step, neuron = np.nonzero(each)
            fired = each[step, neuron]
            row = heights[name] / each.shape[1]
            points = 72 * inches * row / (sum(heights.values()) * (1 + _GAP * (len(names) - 1)))
            ax.scatter(
                step,
                top + (neuron + 0.5) * row,
                s=min(max(0.85 * points, 1.0), 9.0) ** 2,
                marker="|",
                linewidths=1.2 if (fired == 1).all() else list(1.2 * fired),  # one is faster
                color=colour(number),
                rasterized=not few,
                label=name,
            )
            middles.append(top + heights[name] / 2)
            if each.shape[1] <= FEW and not alone:
                each_nth = math.ceil(_DIGIT * _LETTER / points)
                _number_neurons(ax, range(0, each.shape[1], each_nth), top, row, last)
            top += heights[name]
        ax.set(xlabel="step", xlim=(-0.5, last), ylim=(top, -0.5 if alone else 0.0))
        whole_numbers(ax.xaxis)
        if alone:
            ax.set_ylabel(f"neuron of {names[0]}")
            whole_numbers(ax.yaxis)
        else:
            shapes = [shape_text(trace.spikes[name].shape[2:]) for name in names]
            ax.set_yticks(middles, [f"{n}\n{s}" for n, s in zip(names, shapes, strict=True)])
            ax.tick_params("y", length=0)
    return ax


def spikes_of(trace: Trace, layer: str, sample: int) -> npt.NDArray[np.int64]:
    """Return the spikes of a layer in one sample, `[T, neurons]`."""
    spikes = trace.spikes[layer]
    one: npt.NDArray[np.int64] = spikes[sample_in(len(spikes), sample)].astype(np.int64)
    return one.reshape(len(one), -1)


def _heights(neurons: dict[str, int]) -> dict[str, float]:
    """Return how high each layer is; of one layer alone, and of small ones, a neuron is 1."""
    large = sum(math.sqrt(count) for count in neurons.values() if count > FEW)
    if len(neurons) == 1 or not large:
        return {name: float(count) for name, count in neurons.items()}
    return {
        name: math.sqrt(count) if count > FEW else _EACH * large * count
        for name, count in neurons.items()
    }


def _number_neurons(ax: Axes, neurons: range, top: float, row: float, last: float) -> None:
    for neuron in neurons:
        place = last, top + (neuron + 0.5) * row
        ax.annotate(
            str(neuron),
            place,
            (3, 0),
            textcoords="offset points",
            fontsize=_LETTER,
            va="center",
            annotation_clip=False,
        )
