"""The search: its trials, and those that none beats."""

from __future__ import annotations

from lehr import plot
from lehr.plot.style import svg
from lehr.report.gather import Gathered
from lehr.report.searches import front_table, in_short, trials_table
from lehr.report.section import Finding, Picture, Section, without_empty
from lehr.searches import Searched

CAPTION = (
    "Every trial trained a network, and measured it on the validation samples: the test samples "
    "have no say. Good is a trial that no other beats in all objectives; a cross is one that a "
    "target, or training, refused."
)


def section(of: Gathered) -> Section:
    """Return the front of a search, and its trials."""
    searched = of.searched
    assert searched is not None
    pictures = [
        Picture(svg(plot.search(searched, x), f"search-{place}", _label(searched, x)), _caption(x))
        for place, x in enumerate(searched.objectives[1:] or [None])
        if searched.front
    ]
    front = searched.front
    best = Finding("good", f"{in_short(searched)}; none beats {len(front)} of them.")
    lacking = "" if front else "No trial has finished yet; search on."
    tables = [front_table(searched), without_empty(trials_table(searched))]
    return Section(
        "search",
        "Search",
        CAPTION,
        [best] if front else [],
        pictures,
        [table for table in tables if table.rows],
        lacking,
    )


def _label(searched: Searched, x: str | None) -> str:
    by = "the trial's number" if x is None else x
    return f"{in_short(searched)}; {searched.objectives[0]} by {by}"


def _caption(x: str | None) -> str:
    return "The best so far." if x is None else "The line joins the trials that no other beats."
