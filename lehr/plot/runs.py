"""Pictures of a training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from lehr.errors import UsageError
from lehr.plot.history import History, Run, history
from lehr.plot.style import ALERT, COLOURS, QUIET, colour, drawing, stroke, whole_numbers
from lehr.spelling import one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

What = Literal["accuracy", "loss", "thresholds", "rates", "decays"]
_HEIGHT = 2.5
_MOST = 12
"""Layers that the legend names."""


def training(run: Run, what: What = "accuracy", ax: Axes | None = None) -> Axes:
    """Draw what became of one quantity over the epochs of a run; its phases are shaded.

    - "accuracy": that of training and of validation; a ring is where a phase's network went on;
    - "loss": the mean of each epoch;
    - "thresholds": of each layer as a share of where it goes. In phase A that is the recipe's final
      one; in B and C, whose thresholds are integers of another unit, the frozen one;
    - "rates": spikes per neuron and step of each layer; dead layers are crossed, saturated ones
      have a triangle;
    - "decays": of each layer that learns them in phase A, the mean over its channels, and the
      standard deviation on either side as a band.

    Args:
        run: its folder, or the entries of its epochs.
        what: is drawn.
        ax: to draw on.

    Raises:
        UsageError: when the folder is no run's, `what` is none of these, or it learned no decay.
        FileRefused: when the run is damaged.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> ax = lehr.plot.training("run", "rates")
    >>> ax.get_ylabel()
    'spikes per neuron and step'
    """
    if what not in _DRAW:
        raise UsageError(f"{what!r} is not drawn; {one_of(str(what), get_args(What))}")
    past = history(run)
    if what == "decays" and not past.decays:
        raise UsageError(
            "the run learned no decay; draw another, or give a layer beta = { start = '7/8', learn "
            "= 'layer' }"
        )
    with drawing(ax, _HEIGHT) as ax:
        _shade(ax, past)
        _DRAW[what](ax, past)
        ax.set(xlabel="epoch", xlim=(0.5, len(past.entries) + 0.5))
        whole_numbers(ax.xaxis)
        ax.grid(axis="y")
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.4)
    return ax


def _shade(ax: Axes, past: History) -> None:
    for number, (phase, (first, last)) in enumerate(past.phases.items()):
        ax.axvspan(first - 0.5, last + 0.5, color=QUIET, alpha=0.08 + 0.1 * number, linewidth=0)
        place = (first + last) / 2, 1.02
        ax.text(*place, phase, ha="center", transform=ax.get_xaxis_transform(), fontsize=9)


def _accuracy(ax: Axes, past: History) -> None:
    epochs = range(1, len(past.entries) + 1)
    for number, (key, label) in enumerate(
        (("validation_accuracy", "validation"), ("train_accuracy", "training"))
    ):
        values = [100 * entry[key] for entry in past.entries]
        ax.plot(epochs, values, color=COLOURS[number], label=label, linestyle=("-", "--")[number])
    rings = [
        (number, 100 * entry["validation_accuracy"])
        for number, entry in enumerate(past.entries, start=1)
        if past.kept.get(entry["phase"]) == entry["epoch"]
    ]
    if rings:
        ax.plot(
            *zip(*rings, strict=True),
            linestyle="none",
            marker="o",
            markerfacecolor="none",
            color=COLOURS[0],
            markersize=7,
            label="went on",
        )
    ax.set(ylabel="accuracy (%)", ylim=(0, 102))


def _loss(ax: Axes, past: History) -> None:
    for first, last in past.phases.values():
        values = [entry["loss"] for entry in past.entries[first - 1 : last]]
        ax.plot(range(first, last + 1), values, color=COLOURS[0], marker=_dot(values))
    ax.set(ylabel="loss", ylim=(0, None))


def _thresholds(ax: Axes, past: History) -> None:
    ax.axhline(1, color=QUIET, linewidth=1, linestyle="dotted")
    for number, name in enumerate(past.layers):
        values = past.thresholds(number)
        for first, last in past.phases.values():
            part = values[first - 1 : last]
            ax.plot(
                range(first, last + 1),
                part,
                color=colour(number),
                linestyle=stroke(number),
                linewidth=4.5 - 3 * number / max(len(past.layers) - 1, 1),  # they often coincide
                marker=_dot(part),
                label=name if first == 1 and number < _MOST else None,
            )
    ax.set(ylabel="threshold / final", ylim=(0, None))


def _rates(ax: Axes, past: History) -> None:
    epochs = range(1, len(past.entries) + 1)
    marks = {"dead": ("x", ALERT), "saturated": ("^", ALERT)}
    for number, name in enumerate(past.layers):
        values = [entry["rates"][number] for entry in past.entries]
        ax.plot(
            epochs,
            values,
            color=colour(number),
            linestyle=stroke(number),
            label=name if number < _MOST else None,
        )
    for state, (mark, hue) in marks.items():
        points = [
            (epoch, entry["rates"][past.layers.index(name)])
            for epoch, entry in zip(epochs, past.entries, strict=True)
            for name in entry[state]
            if name in past.layers
        ]
        if points:
            ax.plot(
                *zip(*points, strict=True),
                linestyle="none",
                marker=mark,
                color=hue,
                label=state,
                zorder=4,
                clip_on=False,
            )
    ax.set(ylabel="spikes per neuron and step", ylim=(0, None))


def _decays(ax: Axes, past: History) -> None:
    for number, (name, points) in enumerate(past.decays.items()):
        epochs, means, spreads = (np.array(column) for column in zip(*points, strict=True))
        ax.fill_between(
            epochs, means - spreads, means + spreads, color=colour(number), alpha=0.2, linewidth=0
        )
        ax.plot(
            epochs,
            means,
            color=colour(number),
            linestyle=stroke(number),
            marker=_dot(means.tolist()),
            label=name if number < _MOST else None,
        )
    ax.set(ylabel="decay in a step")


def _dot(values: list[float]) -> str:
    """Return a marker for a line of one point, which has no length."""
    return "o" if len(values) == 1 else ""


_DRAW: dict[str, Callable[[Axes, History], None]] = {
    "accuracy": _accuracy,
    "loss": _loss,
    "thresholds": _thresholds,
    "rates": _rates,
    "decays": _decays,
}
