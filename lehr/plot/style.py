"""The style of all pictures: size, fonts, colours, and SVG in the colour of the text around it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from lehr.extras import needed_by

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK = "#1b1f24"
"""Of text and axes; `svg` writes currentColor instead, and nothing else is drawn in it."""
QUIET = "#808080"
"""Of grids and of what is beside the point: as far from white as from black."""
ALERT = "#d1495b"
"""Of what wants attention: dead layers, values that differ."""
COLOURS = ("#2a7fc1", "#d55e00", "#0b9a72", "#b5619a", "#a67c00", "#6f7dd6")
"""Of layers, in order: told apart by the colour-blind, and legible on white and on black.

They are near those of Okabe & Ito 2008, "Color Universal Design", with their lightness in the
middle.
"""
_STROKES = ("solid", "dashed", "dotted", "dashdot")
WIDTH = 5.0
"""Inches: on a phone of 400 pixels the text is still read."""
_DPI = 100
"""Of images in SVG: a raster of many spikes is one."""
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "grid.alpha": 0.35,
    "grid.color": QUIET,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "lehr",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 9,
    "ytick.color": INK,
    "ytick.labelsize": 9,
}


@contextmanager
def drawing(ax: Axes | None, height: float, width: float = WIDTH) -> Iterator[Axes]:
    """Give the Axes to draw on, and the style while it is drawn on.

    Args:
        ax: of the caller; a new one on a Figure of its own if None.
        height: of the new Figure, in inches.
        width: likewise.

    Raises:
        ToolMissing: when matplotlib is not installed.
    """
    with needed_by("lehr.plot"):
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    with rc_context(STYLE):
        yield (
            Figure((width, height), layout="constrained").add_subplot()  # pyplot would keep it
            if ax is None
            else ax
        )


def colour(number: int) -> str:
    """Return the colour of a layer by its number; they come round again."""
    return COLOURS[number % len(COLOURS)]


def stroke(number: int) -> str:
    """Return the style of a layer's line, which is another one where colours come round."""
    return _STROKES[number // len(COLOURS) % len(_STROKES)]


def whole_numbers(axis: Axis) -> None:
    """Let an axis that counts have ticks at whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def figure_of(ax: Axes) -> Figure:
    """Return the whole picture that an Axes is on."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # an Axes leaves its Figure only when it is removed
    return figure


def svg(ax: Axes, name: str, label: str = "") -> str:
    """Return the picture that an Axes is on as an SVG element to stand in a page.

    Text stays text, the background is transparent, what is in the colour of ink takes the colour of
    the page's text. The same picture gives the same SVG.

    Args:
        ax: of the picture.
        name: which starts every id in it, so that several pictures can stand in one page.
        label: what it shows, for readers who do not see it.
    """
    from matplotlib import rc_context

    kept = io.StringIO()
    with rc_context(STYLE):
        figure_of(ax).savefig(
            kept,
            format="svg",
            dpi=_DPI,
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = kept.getvalue()
    text = text[text.index("<svg") :].strip().replace(INK, "currentColor")
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(label or name)}" ', 1)
