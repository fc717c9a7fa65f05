"""A network as a graph, in the order in which a step evaluates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lehr.errors import UsageError
from lehr.network import INPUT, OUTPUT, Edge, Network
from lehr.plot.given import layer_in
from lehr.plot.style import COLOURS, INK, QUIET, WIDTH, drawing, figure_of
from lehr.shown import shape_text
from lehr.simulate.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

_ROW = 0.46
"""Inches from a row of nodes to the next."""
_COLUMN = 1.9
"""Inches from a node to the next in its row."""
_LANE = 0.03
"""From a lane in which an edge goes back to the next, as a share of the width."""
_LOOP = 0.14
"""Half the height of a loop, in rows."""
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
    widest = max(map(len, rows))
    with drawing(ax, _ROW * len(rows) + 0.1, max(WIDTH, _COLUMN * widest)) as ax:
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
                fontsize=9 if widest < 3 else 7,
                bbox={
                    "boxstyle": "round,pad=0.35",
                    "facecolor": fill,
                    "edgecolor": QUIET,
                    "linewidth": 0.8,
                    "linestyle": "solid" if name in network.nodes else "dotted",
                },
            )
        back = sorted(network.feedback)
        for source, target in (edge for edge in network.edges if edge not in network.feedback):
            _forward(ax, boxes[source], boxes[target])
        ax.set(xlim=(-0.5, 0.5 + _LANE * len(back)), ylim=(len(rows) - 0.5, -0.5))
        ax.set_axis_off()
        if known:
            ax.set_title("colour and number: spikes per neuron and step", fontsize=8)
        if back:
            _back(ax, boxes, back)
    return ax


def _rows(net: Network) -> list[list[str]]:
    """Return the nodes by how many stand before them on the longest way from the input.

    In a row those with an edge that goes back stand on the right, where it goes up.
    """
    depth = {INPUT: 0}
    for name in (*net.order, OUTPUT):
        before = [depth[s] for s in net.sources(name) if (s, name) not in net.feedback]
        depth[name] = 1 + max(before, default=0)
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name, row in depth.items():
        rows[row].append(name)
    back = {name for name, _ in net.feedback}
    return [sorted(row, key=back.__contains__) for row in rows]


def _text(net: Network, name: str, rate: float | None) -> str:
    if name == OUTPUT:
        return OUTPUT
    fired = "" if rate is None else f" · {rate:.4f}"
    if name == INPUT:
        return f"{INPUT} · {shape_text(net.input.shape)}{fired}"
    return f"{name} · {type(net.nodes[name]).__name__} · {shape_text(net.shapes[name])}{fired}"


def _forward(ax: Axes, start: Text, end: Text) -> None:
    """Draw an arrow from node to node, past others in a bow to the left."""
    from matplotlib.patches import FancyArrowPatch

    (x, y), (there, below) = start.get_position(), end.get_position()
    bow = 0.0 if below - y == 1 else min(0.6, 1.2 / (below - y))
    ax.add_patch(
        FancyArrowPatch(
            (x, y),
            (there, below),
            patchA=start.get_bbox_patch(),
            patchB=end.get_bbox_patch(),
            arrowstyle="-|>",
            mutation_scale=9,
            connectionstyle=f"arc3,rad={bow}",
            color=QUIET,
            linewidth=1.1,
            zorder=4,  # after the texts, whose boxes are known when they are drawn
            label="edge",
        )
    )


def _back(ax: Axes, boxes: Mapping[str, Text], edges: Sequence[Edge]) -> None:
    """Draw the edges that go back, each in a lane of its own on the right."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    figure_of(ax).draw_without_rendering()  # how wide a box is, its text decides
    to_data = ax.transData.inverted()
    right: dict[str, float] = {}
    for name, text in boxes.items():
        patch = text.get_bbox_patch()
        assert patch is not None
        right[name] = float(to_data.transform((patch.get_window_extent().x1, 0))[0])
    for number, (source, target) in enumerate(edges):
        (_, low), (_, high) = boxes[source].get_position(), boxes[target].get_position()
        if source == target:
            low, high = low + _LOOP, high - _LOOP
        passed = [
            right[name] for name, text in boxes.items() if high <= text.get_position()[1] <= low
        ]
        lane = max([right[source], right[target], *passed]) + _LANE * (number + 1)
        places = [(right[source], low), (lane, low), (lane, high), (right[target], high)]
        ax.add_patch(
            FancyArrowPatch(
                path=Path(places),
                arrowstyle="-|>",
                mutation_scale=9,
                linestyle="dashed",
                color=COLOURS[1],
                linewidth=1.1,
                label="feedback",
            )
        )
