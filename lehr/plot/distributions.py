"""Distributions of rates, membranes, thresholds and signs of weights, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lehr.errors import UsageError
from lehr.network import Network
from lehr.plot.style import COLOURS, INK, QUIET, colour, drawing
from lehr.programs import widths_of
from lehr.simulate.result import Result
from lehr.spelling import one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = npt.NDArray[np.float64]
What = Literal["rates", "membranes", "thresholds", "signs"]
QUARTERS = (0, 25, 50, 75, 100)
_ROW = 0.36
"""Inches that a layer takes."""
_LOG = 20
"""How many times the least threshold the greatest is, on an axis that is logarithmic."""


def distributions(
    network: Network, result: Result | None = None, what: What = "rates", ax: Axes | None = None
) -> Axes:
    """Draw one distribution a layer, as a box and a line.

    The box goes from the first to the third quartile with the median in it, the line from the least
    value to the greatest.

    - "rates": spikes per neuron and step, of each neuron; how many are dead stands beside; layers
      that integrate alone, and never fire, are left out;
    - "membranes": after each step, as a share of what their width holds; at 100 % they saturate or
      wrap. Without a trace of a layer its range alone is drawn, and of one whose membrane has no
      width in bits, nothing;
    - "thresholds": of each neuron, on a logarithmic axis where they differ widely;
    - "signs": which share of the weights is below, at and above 0.

    Args:
        network: whose layers.
        result: a run of it, for rates and membranes.
        what: is drawn.
        ax: to draw on.

    Raises:
        UsageError: when `what` is none of these, a run is needed, or no layer has it.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> net = lehr.read("model.nir")
    >>> ax = lehr.plot.distributions(net, what="signs")
    >>> ax.get_xlabel()
    'share of weights (%)'
    """
    if what not in get_args(What):
        raise UsageError(f"{what!r} is not drawn; {one_of(str(what), get_args(What))}")
    if what == "signs":
        return _signs(network, ax)
    if what == "thresholds":
        return _boxes(_thresholds(network), "threshold", ax, "threshold", log=True)
    if result is None:
        raise UsageError(f"{what} are those of a run; give result=lehr.simulate(...)")
    if missing := [name for name in network.neurons if name not in result.layers]:
        raise UsageError(f"the run has no layer {missing[0]}; give a run of this network")
    if what == "rates":
        rates = rates_of(network, result)
        ax = _boxes(rates, "spikes per neuron and step", ax, "neuron that fires")
        dead = {name: result.layers[name].dead for name in rates}
        _beside(ax, [f"{count:,} dead" if count else "" for count in dead.values()])
        ax.set_xlim(left=0)
        return ax
    ax = _boxes(
        membranes_of(network, result), "membrane / its width (%)", ax, "membrane of a width in bits"
    )
    for edge in (-100, 100):
        ax.axvline(edge, color=QUIET, linestyle="dashed", linewidth=1)
    return ax


def rates_of(network: Network, result: Result) -> dict[str, Values]:
    """Return spikes per step of each neuron, by layer, of those that can fire."""
    layers = {n: result.layers[n] for n, neuron in network.neurons.items() if not neuron.integrates}
    return {name: layer.spikes.ravel() / layer.instants for name, layer in layers.items()}


def membranes_of(network: Network, result: Result) -> dict[str, Values]:
    """Return membranes after each step, in per cent of the greatest that a layer's width holds.

    Of a layer that was not traced the least and the greatest alone; of one whose membrane has no
    width, nothing.
    """
    shares: dict[str, Values] = {}
    for name, neuron in network.neurons.items():
        bits = widths_of(neuron.program).get(neuron.program.membrane)
        if bits is None:
            continue
        layer = result.layers[name]
        ends = np.array([layer.lowest, layer.highest])
        values = result.trace.membranes.get(name, ends).ravel()
        shares[name] = 100 * values / (2.0 ** (bits - 1) - 1)
    return shares


def _thresholds(network: Network) -> dict[str, Values]:
    return {
        name: neuron.spread("threshold", network.shapes[name]).ravel().astype(np.float64)
        for name, neuron in network.neurons.items()
        if not neuron.integrates and "threshold" in neuron.program.parameters
    }


def _boxes(
    layers: dict[str, Values],
    label: str,
    ax: Axes | None,
    lacking: str = "neuron",
    *,
    log: bool = False,
) -> Axes:
    if not layers:
        raise UsageError(f"no layer has a {lacking}; draw another distribution")
    boxes: list[dict[str, Any]] = []
    for name, values in layers.items():
        low, first, middle, third, high = np.percentile(values, QUARTERS)
        boxes.append(
            {"label": name, "whislo": low, "q1": first, "med": middle, "q3": third, "whishi": high}
        )
    with drawing(ax, 0.6 + _ROW * len(layers)) as ax:
        drawn = ax.bxp(
            boxes,
            positions=range(len(boxes)),
            orientation="horizontal",
            widths=0.5,
            showfliers=False,
            patch_artist=True,
            medianprops={"color": INK, "linewidth": 1.6},
            boxprops={"linewidth": 0},
            whiskerprops={"color": QUIET},
            capprops={"color": QUIET},
        )
        for number, box in enumerate(drawn["boxes"]):
            box.set(facecolor=colour(number), alpha=0.75)
        if log and max(b["whishi"] for b in boxes) > _LOG * min(b["whislo"] for b in boxes):
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.set(xlabel=label, ylim=(len(boxes) - 0.5, -0.5))
        ax.tick_params("y", length=0)
        ax.grid(axis="x")
    return ax


def _beside(ax: Axes, texts: list[str]) -> None:
    for row, text in enumerate(texts):
        ax.annotate(
            text,
            (1, row),
            (4, 0),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
            annotation_clip=False,
        )


def _signs(network: Network, ax: Axes | None) -> Axes:
    if not network.weighted:
        raise UsageError("no node has weights; draw another distribution")
    signs: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[np.bool_]]] = {
        "below 0": lambda weight: weight < 0,
        "0": lambda weight: weight == 0,
        "above 0": lambda weight: weight > 0,
    }
    rows, left = range(len(network.weighted)), np.zeros(len(network.weighted))
    with drawing(ax, 0.9 + _ROW * len(rows)) as ax:
        for (label, sign), hue in zip(signs.items(), (COLOURS[1], QUIET, COLOURS[0]), strict=True):
            shares = np.array(
                [100 * sign(node.weight).mean() for node in network.weighted.values()]
            )
            if shares.any():
                ax.barh(rows, shares, 0.6, left=left, color=hue, alpha=0.8, label=label)
            for row, start, share in zip(rows, left, shares, strict=True):
                if share >= 8:
                    place = start + share / 2, row
                    text = f"{share:.1f}"
                    ax.text(*place, text, ha="center", va="center", color="white", fontsize=8)
            left = left + shares
        ax.set_yticks(rows, list(network.weighted))
        ax.tick_params("y", length=0)
        ax.set(xlabel="share of weights (%)", xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5))
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return ax
