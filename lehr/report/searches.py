"""What a search has found, in tables and in a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lehr.report.section import percent, plural
from lehr.searches import HIGH, Searched, Trial
from lehr.shown import Table
from lehr.targets.report import number


def measure_text(name: str, value: float) -> str:
    """Return a measure as people read it."""
    return percent(value) if name in HIGH else number(value)


def in_short(searched: Searched) -> str:
    """Return how many trials there are, and of which kind."""
    states = Counter(trial.state for trial in searched.trials)
    shown = ", ".join(f"{count:,} {state}" for state, count in states.items())
    return f"{plural(len(searched.trials), 'trial')} of {searched.recipe}: {shown or 'none yet'}"


def front_table(searched: Searched) -> Table:
    """Return the trials that no other beats."""
    wanted = " and ".join(
        f"{name} {'high' if name in HIGH else 'low'}" for name in searched.objectives
    )
    return _table(f"No trial beats these ({wanted})", searched, searched.front)


def trials_table(searched: Searched) -> Table:
    """Return all trials, with what became of each."""
    table = _table("All trials", searched, searched.trials)
    rows = [
        (row[0], trial.state, *row[1:], "; ".join(f"{n}: {r}" for n, r in trial.refused.items()))
        for trial, row in zip(searched.trials, table.rows, strict=True)
    ]
    return Table(table.title, (table.columns[0], "state", *table.columns[1:], "refused"), rows)


def _table(title: str, searched: Searched, trials: Sequence[Trial]) -> Table:
    measures = list(dict.fromkeys((*searched.objectives, "accuracy", "spikes")))
    keys = list(dict.fromkeys(key for trial in searched.trials for key in trial.keys))
    options = list(
        dict.fromkeys(
            (target, name)
            for trial in searched.trials
            for target, given in trial.options.items()
            for name in given
        )
    )
    rows = [
        (
            trial.folder,
            *(
                measure_text(name, trial.measures[name]) if name in trial.measures else ""
                for name in measures
            ),
            *(_value(trial.keys[key]) if key in trial.keys else "" for key in keys),
            *(trial.options.get(target, {}).get(name, "") for target, name in options),
        )
        for trial in trials
    ]
    named = [f"{target} {name}" for target, name in options]
    return Table(title, ("run", *measures, *keys, *named), rows)


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
