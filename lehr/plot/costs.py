"""Costs of an artefact: estimates beside measurements, each against what the device has."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lehr.artifact import AGAIN, read_manifest
from lehr.errors import FileRefused, UsageError
from lehr.plot.given import Place
from lehr.plot.style import COLOURS, INK, QUIET, drawing
from lehr.reading import JSON_BYTES, parse_json, read_bytes
from lehr.targets.build import Built
from lehr.targets.contract import Figure
from lehr.targets.report import FOLDER, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ESTIMATE, _MEASURED = f"{FOLDER}/estimate.json", f"{FOLDER}/measured.json"
_OF = re.compile(r"of ([0-9][0-9,]*)\b\s*(.*)")
_TIME = re.compile(r"\b([num]?s|[numk]?J|[num]?W|seconds)\b")
_ROW = 0.3
"""Inches that a row takes."""
_MOST = 16
"""Rows that are drawn."""
_HUES = {"estimated": COLOURS[0], "measured": COLOURS[1]}


class Cost(NamedTuple):
    """One figure of an artefact.

    Attributes:
        name: as "RAM" or "energy".
        unit: as "bytes" or "nJ per inference".
        estimated: None where nothing estimates it.
        measured: None where no tool has measured it.
        limit: what the device has of it; None where nothing says so.
    """

    name: str
    unit: str
    estimated: float | None = None
    measured: float | None = None
    limit: float | None = None

    @property
    def highest(self) -> float:
        """The greater of the two figures."""
        return max(self.estimated or 0.0, self.measured or 0.0)


Rows = Built | Place | Iterable[Cost | Figure]


def resources(rows: Rows, ax: Axes | None = None) -> Axes:
    """Draw what an artefact costs as one bar a figure, estimated beside measured, with its number.

    Where the device's own amount is known, it is the frame of the bar; a bar that leaves its frame
    does not fit. Without one, the length compares figures of the same unit alone, and a figure that
    is alone in its unit has no bar. What has a frame stands first, time and energy next, and parts
    below their wholes.

    Args:
        rows: what `lehr.build` returned, or the folder that it wrote; or costs, or figures of an
            estimate.
        ax: to draw on.

    Raises:
        UsageError: when there is nothing to draw.
        FileRefused: when the folder's report is damaged.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> from lehr.plot import Cost
    >>> ax = lehr.plot.resources([Cost("cells", "LUT", 3900, 4100, limit=5280)])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['cells']
    """
    shown = in_order(costs(rows))
    if not shown:
        raise UsageError("there is no figure to draw; build with measure=True, or give costs")
    left_out, shown = len(shown) - _MOST, shown[:_MOST]
    longest: dict[str, float] = {}
    values = Counter[str]()
    for cost in shown:
        longest[cost.unit] = max(longest.get(cost.unit, 0.0), cost.highest)
        values[cost.unit] += len(_known(cost))
    with drawing(ax, 0.7 + _ROW * len(shown)) as ax:
        for row, cost in enumerate(shown):
            whole = cost.limit or longest[cost.unit] or 1.0
            if cost.limit:
                ax.barh(row, 100, 0.76, facecolor="none", edgecolor=QUIET, linewidth=0.8)
            known = _known(cost) if cost.limit or values[cost.unit] > 1 else []
            thick = 0.6 / max(len(known), 1)
            for place, kind in enumerate(known):
                width = 100 * getattr(cost, kind) / whole
                middle = row + (place - (len(known) - 1) / 2) * thick
                ax.barh(middle, width, thick, color=_HUES[kind], alpha=0.8)
            end = max(100 * cost.highest / whole, 100 if cost.limit else 0) if known else 0
            _write(ax, _words(cost), end, row)
        for kind in [k for k in _HUES if any(k in _known(cost) for cost in shown)]:
            ax.barh(0, 0, color=_HUES[kind], alpha=0.8, label=kind)
        ax.set_yticks(range(len(shown)), [cost.name for cost in shown])
        ax.tick_params("y", length=0)
        ax.set_xlim(0, max(100.0, *(100 * c.highest / c.limit for c in shown if c.limit), 100.0))
        if any(cost.limit for cost in shown):
            ax.set_xlabel("share of the device (%), where there is a frame")
        else:
            ax.set(xticks=[], xlabel="length: among figures of the same unit")
            ax.spines["bottom"].set_visible(False)
        ax.set_ylim(len(shown) - 0.4, -0.6)
        if left_out > 0:
            ax.set_xlabel(f"{ax.get_xlabel()}\nand {left_out} more figures")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return ax


def costs(rows: Rows) -> list[Cost]:
    """Return the figures of an artefact, estimated and measured ones of the same name together.

    A unit such as "of 128 cores" says what the device has.

    Raises:
        UsageError: when a folder is no artefact.
        FileRefused: when its report is damaged.
    """
    if isinstance(rows, Built):
        estimate = _figures(rows.plan.files[_ESTIMATE])
        return _joined(estimate, rows.measured)
    if isinstance(rows, (str, os.PathLike)):
        folder = Path(rows)
        read_manifest(folder)
        try:
            estimate, measured = (
                _figures(read_bytes(folder / name, JSON_BYTES, AGAIN))
                if (folder / name).exists() or name == _ESTIMATE
                else []
                for name in (_ESTIMATE, _MEASURED)
            )
        except (ValueError, LookupError, TypeError) as error:
            raise FileRefused(
                f"the report in {folder / FOLDER} cannot be read ({error}); {AGAIN}"
            ) from None
        return _joined(estimate, measured)
    each = list(rows)
    figures = _joined([row for row in each if isinstance(row, Figure)], ())
    return [row for row in each if isinstance(row, Cost)] + figures


def in_order(given: Sequence[Cost]) -> list[Cost]:
    """Return costs in order: what the device limits, time and energy; wholes before parts."""
    names = {cost.name for cost in given}
    units = list(dict.fromkeys(cost.unit for cost in given))
    wholes = Counter(cost.name.split(" of ")[0] for cost in given if " of " in cost.name)

    def key(cost: Cost) -> tuple[bool, bool, bool, int, bool]:
        whole, _, of = cost.name.partition(" of ")
        one_of_many = bool(of) and wholes[whole] > 1
        unit = 0 if cost.limit else units.index(cost.unit)
        part = bool(of) and whole in names
        return cost.limit is None, not _TIME.search(cost.unit), one_of_many, unit, part

    return sorted(given, key=key)


def _figures(data: bytes) -> list[Figure]:
    return [
        Figure(str(f["name"]), float(f["value"]), str(f["unit"]), str(f["source"]))
        for f in parse_json(data)
    ]


def _joined(estimated: Iterable[Figure], measured: Iterable[Figure]) -> list[Cost]:
    sides: Mapping[str, dict[tuple[str, str], float]] = {
        "estimated": {(f.name, f.unit): f.value for f in estimated},
        "measured": {(f.name, f.unit): f.value for f in measured},
    }
    rows = []
    for name, unit in dict.fromkeys([*sides["estimated"], *sides["measured"]]):
        values: dict[str, Any] = {kind: side.get((name, unit)) for kind, side in sides.items()}
        limited = _OF.match(unit)
        limit = float(limited[1].replace(",", "")) if limited else None
        rows.append(Cost(name, limited[2] if limited else unit, **values, limit=limit))
    return rows


def _known(cost: Cost) -> list[str]:
    return [kind for kind in _HUES if getattr(cost, kind) is not None]


def _words(cost: Cost) -> str:
    from matplotlib.ticker import EngFormatter

    first, _, rest = cost.unit.partition(" ")
    shown = EngFormatter(first, places=2) if first in ("J", "W", "s") else number
    values = [shown(getattr(cost, kind)) for kind in _known(cost)]
    of = f" of {number(cost.limit)}" if cost.limit else ""
    return f"{' / '.join(values)}{of} {cost.unit if shown is number else rest}".strip()


def _write(ax: Axes, text: str, end: float, row: int) -> None:
    ax.annotate(
        text,
        (end, row),
        (4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=INK,
        annotation_clip=False,
    )
