"""A network as a graph, in the order in which a step evaluates it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lehr.errors import UsageError
from lehr.network import INPUT, OUTPUT, Network
from lehr.plot.given import layer_in
from lehr.plot.style import COLOURS, INK, QUIET, drawing
from lehr.shown import shape_text
from lehr.simulate.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

_ROW = 0.46
"""Inches from a row of nodes to the next."""
_MOST = 60
"""Rows that are drawn."""
_PALE, _DARK = "#e8eef4", "#14181d"


def network(
    network: Network, rates: Mapping[str, float] | Result | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a network's nodes from top to bottom, each below what it is computed from.

    Layers of neurons are coloured by their rate, where rates are given. An edge that carries the
    value of the step before is dashed, and goes up on the right.

    Args:
        network: to draw.
        rates: a run, or spikes per neuron and step by layer.
        ax: to draw on.

    Raises:
        UsageError: when a rate is of no layer.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> net = lehr.read("model.nir")
    >>> ax = lehr.plot.network(net, lehr.simulate(net, "in.npz"))
    >>> len(ax.texts) == len(net.nodes) + 2
    True
    """
    known = rates.rates if isinstance(rates, Result) else dict(rates or {})
    for name in known:
        layer_in({INPUT: 0, **network.neurons}, name, "is no layer of neurons")
    rows = _rows(network)
    if len(rows) > _MOST:
        raise UsageError(f"the network is {len(rows)} nodes deep; a picture shows {_MOST}")
    places = {
        name: ((column + 0.5) / len(row) - 0.5, float(number))
        for number, row in enumerate(rows)
        for column, name in enumerate(row)
    }
    with drawing(ax, _ROW * len(rows) + 0.1) as ax:
        from matplotlib.colors import LinearSegmentedColormap, Normalize

        shades = LinearSegmentedColormap.from_list("rate", ["#cfe0ee", COLOURS[0], "#123a5c"])
        norm = Normalize(0, max([rate for n, rate in known.items() if n != INPUT], default=0) or 1)
        boxes: dict[str, Text] = {}
        for name, place in places.items():
            rate = known.get(name) if name in network.neurons else None
            fill = "none" if rate is None else shades(norm(rate))
            dark = rate is not None and norm(rate) > 0.45
            ink = INK if rate is None else _PALE if dark else _DARK
            boxes[name] = ax.text(
                *place,
                _text(network, name, known.get(name)),
                ha="center",
                va="center",
                color=ink,
                fontsize=9 if max(map(len, rows)) < 3 else 7,
                bbox={
                    "boxstyle": "round,pad=0.35",
                    "facecolor": fill,
                    "edgecolor": QUIET,
                    "linewidth": 0.8,
                    "linestyle": "solid" if name in network.nodes else "dotted",
                },
            )
        for edge in network.edges:
            _edge(ax, boxes[edge[0]], boxes[edge[1]], feedback=edge in network.feedback)
        ax.set(xlim=(-0.5, 0.5), ylim=(len(rows) - 0.5, -0.5))
        ax.set_axis_off()
        if known:
            ax.set_title("colour and number: spikes per neuron and step", fontsize=8)
    return ax


def _rows(net: Network) -> list[list[str]]:
    """Return the nodes by how many stand before them on the longest way from the input."""
    depth = {INPUT: 0}
    for name in (*net.order, OUTPUT):
        before = [depth[s] for s in net.sources(name) if (s, name) not in net.feedback]
        depth[name] = 1 + max(before, default=0)
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name, row in depth.items():
        rows[row].append(name)
    return rows


def _text(net: Network, name: str, rate: float | None) -> str:
    if name == OUTPUT:
        return OUTPUT
    fired = "" if rate is None else f" · {rate:.4f}"
    if name == INPUT:
        return f"{INPUT} · {shape_text(net.input.shape)}{fired}"
    return f"{name} · {type(net.nodes[name]).__name__} · {shape_text(net.shapes[name])}{fired}"


def _edge(ax: Axes, start: Text, end: Text, *, feedback: bool) -> None:
    """Draw an arrow from node to node; past others in a bow, to the left, or where it goes back, to the right."""
    from matplotlib.patches import FancyArrowPatch

    (x, y), (there, below) = start.get_position(), end.get_position()
    rows = abs(below - y)
    bow = 0.0 if rows == 1 and not feedback else min(0.6, 0.9 / max(rows, 1))
    ax.add_patch(
        FancyArrowPatch(
            (x, y),
            (there, below),
            patchA=start.get_bbox_patch(),
            patchB=end.get_bbox_patch(),
            arrowstyle="-|>",
            mutation_scale=9,
            connectionstyle=f"arc3,rad={bow}",
            linestyle="dashed" if feedback else "solid",
            color=COLOURS[1] if feedback else QUIET,
            linewidth=1.1,
            zorder=4,  # after the texts, whose boxes are known when they are drawn
            gid="feedback" if feedback else "edge",
        )
    )
