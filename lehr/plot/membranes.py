"""The membrane of one neuron over time, and where two runs part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import UsageError
from lehr.network import Network
from lehr.plot.given import layer_in, sample_in, trace_of
from lehr.plot.style import ALERT, COLOURS, QUIET, drawing, figure_of, whole_numbers
from lehr.simulate.compare import Comparison, Difference
from lehr.simulate.levels import levels
from lehr.simulate.result import Result, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AROUND = 5
"""Steps that are shown before and after the one that is looked at."""
_HEIGHT, _HEIGHT_OF_TWO = 2.8, 4.0


def membrane(
    result: Result | Trace,
    layer: str | Difference | Comparison,
    neuron: int | Sequence[int] = 0,
    sample: int = 0,
    expected: Result | Trace | None = None,
    step: int | None = None,
    ax: Axes | None = None,
    *,
    threshold: Network | npt.ArrayLike | None = None,
) -> Axes:
    """Draw the membrane of a neuron after each step against its threshold, and its spikes above.

    The membrane is that after the step, so after a reset too: what crossed the threshold is seen by
    its spike. Beside an expected run both are drawn, their difference below, and the first step in
    which they differ is marked, with both values. Around a step some steps are shown, else all.

    Args:
        result: what is drawn: a run or a trace.
        layer: its name; or the first difference of a comparison, which names layer, neuron, sample
            and step.
        neuron: its number in the layer, or its index in the layer's shape.
        sample: its number in the trace.
        expected: a run or a trace that is right.
        step: that is looked at.
        ax: to draw on.
        threshold: the network; or the neuron's threshold, a number or one for each step. Of neurons
            that adapt a network has that of each step, by the spikes of `result`. Without it no
            threshold is drawn.

    Raises:
        UsageError: when the trace lacks that layer, neuron, sample, step, or its membranes; when
            the network's threshold depends on more than spikes.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> net = lehr.read("model.nir")
    >>> result = lehr.simulate(net, "in.npz", trace="all")
    >>> ax = lehr.plot.membrane(result, net.output, neuron=3, threshold=net)
    >>> ax.get_xlabel()
    'step'
    """
    first = layer.first if isinstance(layer, Comparison) else layer
    if first is None:
        raise UsageError("not one value differs; name the layer whose membrane is to be drawn")
    if isinstance(first, Difference):
        neuron, sample, step = first.neuron, first.sample, first.step
    layer = first.layer if isinstance(first, Difference) else first
    got = _neuron(trace_of(result), layer, neuron, sample)
    right = None if expected is None else _neuron(trace_of(expected), layer, neuron, sample)
    if got.membrane is None and (right is None or right.membrane is None):
        raise UsageError(
            f"the trace holds no membranes of {layer}; give expected=, a run of an engine that "
            "shows them"
        )
    if right is not None and len(right.spikes) != len(got.spikes):
        raise UsageError(
            f"{len(got.spikes)} steps meet {len(right.spikes)} that are expected; run both for as "
            "many"
        )
    if step is None and right is not None:
        step = first_step(got, right)
    if step is not None and not 0 <= step < len(got.spikes):
        raise UsageError(f"there is no step {step}; give 0 to {len(got.spikes) - 1}")
    with drawing(ax, _HEIGHT if right is None else _HEIGHT_OF_TWO) as ax:
        if right is not None:
            _draw(ax, right, "expected", COLOURS[0], 0.90, zorder=2)
        _draw(ax, got, "got" if right is not None else "membrane", COLOURS[1], 0.96, zorder=3)
        heights = _threshold(threshold, layer, got)
        if heights is not None:
            _draw_threshold(ax, heights)
        _show_steps(ax, step, [got] if right is None else [got, right], heights)
        if right is not None:
            _show_difference(ax, got, right, step)
        where = ", ".join(map(str, got.index))
        ax.set(xlabel="step", ylabel=f"membrane of {layer} ({where})")
        whole_numbers(ax.xaxis)
        ax.grid(axis="y")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.4)
    return ax


@dataclass(frozen=True)
class OneNeuron:
    """A neuron in one sample.

    Attributes:
        index: in the layer's shape.
        spikes: `[T]`.
        membrane: `[T]`, None where the trace has none.
    """

    index: tuple[int, ...]
    spikes: Int64
    membrane: Int64 | None


def first_step(got: OneNeuron, expected: OneNeuron) -> int | None:
    """Return the first step in which two neurons differ; None where they are equal."""
    differ = got.spikes != expected.spikes
    if got.membrane is not None and expected.membrane is not None:
        differ = differ | (got.membrane != expected.membrane)
    return int(differ.argmax()) if differ.any() else None


def _neuron(trace: Trace, layer: str, neuron: int | Sequence[int], sample: int) -> OneNeuron:
    spikes = trace.spikes[layer_in(trace.spikes, layer)]
    shape, number = spikes.shape[2:], sample_in(len(spikes), sample)
    try:
        index = (
            np.unravel_index(neuron, shape)
            if isinstance(neuron, (int, np.integer))
            else np.unravel_index(np.ravel_multi_index(tuple(neuron), shape), shape)
        )
    except (ValueError, TypeError):
        raise UsageError(
            f"{layer} has no neuron {neuron}; its shape is {shape}, count from 0"
        ) from None
    place = tuple(map(int, index))
    at: Any = (number, slice(None), *place)
    membranes = trace.membranes.get(layer)
    return OneNeuron(
        place,
        spikes[at].astype(np.int64),
        None if membranes is None else membranes[at].astype(np.int64),
    )


def _threshold(
    given: Network | npt.ArrayLike | None, layer: str, neuron: OneNeuron
) -> npt.NDArray[Any] | None:
    """Return the threshold in each step, `[T]`, if there is any."""
    steps = len(neuron.spikes)
    if given is None:
        return None
    if not isinstance(given, Network):
        heights = np.asarray(given)
        if heights.shape not in ((), (steps,)):
            raise UsageError(
                f"threshold has shape {heights.shape}; give one number, or one for each of the "
                f"{steps} steps"
            )
        return np.broadcast_to(heights, steps)
    node = given.neurons[layer_in(given.neurons, layer, "is no neuron layer of the network")]
    if node.integrates:
        return None
    passed = levels(node, given.shapes[layer], neuron.index, neuron.spikes)
    if passed is None:
        raise UsageError(
            f"the threshold of {layer} depends on more than its spikes, which no trace holds; give "
            "threshold= a number for each step, or leave it out"
        )
    return passed


def _draw_threshold(ax: Axes, heights: npt.NDArray[Any]) -> None:
    """Draw a line, with a step for each step where it is not the same in all."""
    look: dict[str, Any] = {"color": QUIET, "linestyle": "dashed", "linewidth": 1.2}
    if (heights == heights[0]).all():
        ax.axhline(heights[0], label="threshold", **look)
    else:
        ax.plot(heights, drawstyle="steps-mid", label="threshold", **look)


def _draw(
    ax: Axes, neuron: OneNeuron, label: str, colour: str, above: float, zorder: float
) -> None:
    steps = np.arange(len(neuron.spikes))
    if neuron.membrane is not None:
        mark = "o" if len(steps) <= 40 and label != "expected" else ""
        wide: dict[str, Any] = (
            {"linewidth": 4.5, "alpha": 0.5} if label == "expected" else {"markersize": 3}
        )
        ax.plot(
            steps, neuron.membrane, color=colour, label=label, zorder=zorder, marker=mark, **wide
        )
    fired = np.flatnonzero(neuron.spikes)
    ax.scatter(
        fired,
        np.full(len(fired), above),
        marker="|",
        s=40,
        linewidths=list(1.4 * neuron.spikes[fired]),
        color=colour,
        transform=ax.get_xaxis_transform(),
        label=f"spikes {label}" if label != "membrane" else "spikes",
    )


def _show_steps(
    ax: Axes, step: int | None, neurons: Sequence[OneNeuron], heights: npt.NDArray[Any] | None
) -> None:
    """Show all steps, or those around one, with room for the spikes above."""
    last = len(neurons[0].spikes) - 1
    first, end = (0, last) if step is None else (max(step - AROUND, 0), min(step + AROUND, last))
    ax.set_xlim(first - 0.5, end + 0.5)
    kept = [n.membrane[first : end + 1] for n in neurons if n.membrane is not None]
    values = np.concatenate([*kept, [] if heights is None else heights[first : end + 1]])
    low, high = float(values.min()), float(values.max())
    room = high - low or 1.0
    ax.set_ylim(low - 0.06 * room, high + 0.25 * room)
    if step is not None:
        ax.axvspan(step - 0.5, step + 0.5, color=ALERT, alpha=0.15, linewidth=0)


def _show_difference(ax: Axes, got: OneNeuron, expected: OneNeuron, step: int | None) -> None:
    """Name the first difference, and draw by how much membranes differ below them.

    There a difference of 1 is seen.
    """
    if step is not None:
        ax.set_title(_difference(got, expected, step), color=ALERT, loc="left")
    place = ax.get_subplotspec()
    if got.membrane is None or expected.membrane is None or place is None:
        return
    parts = place.subgridspec(2, 1, height_ratios=(3, 1))
    ax.set_subplotspec(parts[0])
    below = figure_of(ax).add_subplot(parts[1])
    low, high = ax.get_xlim()
    shown = np.arange(max(math.ceil(low), 0), min(math.floor(high) + 1, len(got.membrane)))
    gap = (got.membrane - expected.membrane)[shown]
    below.bar(shown, gap, 0.6, color=ALERT, alpha=0.8)
    below.axhline(0, color=QUIET, linewidth=1)
    below.set(xlim=(low, high), xlabel="step", ylabel="got - expected")
    whole_numbers(below.xaxis)
    whole_numbers(below.yaxis)
    below.grid(axis="y")


def _difference(got: OneNeuron, expected: OneNeuron, step: int) -> str:
    """Return what differs in a step, in words."""
    values = [("spikes", got.spikes, expected.spikes)]
    if got.membrane is not None and expected.membrane is not None:
        values.insert(0, ("membrane", got.membrane, expected.membrane))
    parts = [
        f"{what} {int(a[step]):,}, expected {int(b[step]):,}"
        for what, a, b in values
        if a[step] != b[step]
    ]
    return f"step {step}: {'; '.join(parts)}" if parts else ""
