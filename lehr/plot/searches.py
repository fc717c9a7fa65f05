"""Pictures of a search: its trials by two of its measures, or one measure over the trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lehr.errors import UsageError
from lehr.plot.given import Place
from lehr.plot.style import COLOURS, QUIET, drawing, whole_numbers
from lehr.searches import HIGH, Searched, Trial, read_search, unknown_measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 3.2


def search(
    source: Searched | Place, x: str | None = None, y: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the trials of a search by two measures; those that no other beats are a line.

    Of a search with one objective, and with no `x`, the line is the best so far, by the trial's
    number.

    Args:
        source: the folder of a search, or what was read of it.
        x: a measure; the second objective if None.
        y: a measure; the first objective if None.
        ax: to draw on.

    Raises:
        UsageError: when there is no such measure, or no trial has both.
        FileRefused: when the folder's search.json is damaged.
        ToolMissing: when matplotlib is not installed.

    >>> import lehr
    >>> from lehr.searches import Searched, Trial
    >>> measured = [{"accuracy": 0.9, "spikes": 500}, {"accuracy": 0.8, "spikes": 300}]
    >>> trials = [Trial(n, "finished", {}, {}, each, {}) for n, each in enumerate(measured)]
    >>> done = Searched("s", "digits", "", "", False, [*measured[0]], "tpe", "none", 0, trials)
    >>> lehr.plot.search(done).get_xlabel()
    'spikes'
    """
    searched = source if isinstance(source, Searched) else read_search(Path(source))
    up = y or searched.objectives[0]
    right = x or next(iter(searched.objectives[1:]), None)
    known = list(dict.fromkeys(name for each in searched.trials for name in each.measures))
    for name in (up, right):
        if name is not None and name not in known:
            raise UsageError(unknown_measure(name, known or list(searched.objectives)))
    trials = [
        each
        for each in searched.trials
        if each.state in ("finished", "refused")
        and all(name in each.measures for name in (up, right) if name is not None)
    ]
    if not trials:
        raise UsageError(f"no trial of {searched.name} has measures to draw; search on")
    with drawing(ax, _HEIGHT) as ax:
        for state, mark, colour in (("refused", "x", QUIET), ("finished", "o", COLOURS[0])):
            points = [_point(each, right, up) for each in trials if each.state == state]
            if points:
                ax.plot(
                    *zip(*points, strict=True),
                    linestyle="none",
                    marker=mark,
                    color=colour,
                    alpha=0.6,
                    label=state,
                )
        best = _best_so_far(trials, up) if right is None else searched.front
        line = sorted(_point(each, right, up) for each in best)
        if line:
            ax.plot(
                *zip(*line, strict=True),
                drawstyle="steps-post",
                marker="o",
                color=COLOURS[1],
                label="best so far" if right is None else "front",
            )
        ax.set(xlabel=right or "trial", ylabel=_label(up))
        if right is None:
            whole_numbers(ax.xaxis)
        ax.grid(visible=True)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return ax


def _point(trial: Trial, x: str | None, y: str) -> tuple[float, float]:
    factor = 100 if y in HIGH else 1
    return (
        trial.number if x is None else trial.measures[x] * (100 if x in HIGH else 1),
        factor * trial.measures[y],
    )


def _label(measure: str) -> str:
    return f"{measure} (%)" if measure in HIGH else measure


def _best_so_far(trials: list[Trial], measure: str) -> list[Trial]:
    best: list[Trial] = []
    for each in trials:
        if each.state != "finished":
            continue
        value, sign = each.measures[measure], -1 if measure in HIGH else 1
        if not best or sign * value < sign * best[-1].measures[measure]:
            best.append(each)
    return best
