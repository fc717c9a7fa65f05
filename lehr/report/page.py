"""The page: one HTML file that holds everything, for a phone, a desk, paper, light and dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lehr.report.facts import Facts, Verdict
from lehr.report.gather import Gathered
from lehr.report.section import Section, plural, sentence, thinned
from lehr.report.sections import SEARCH, SECTIONS
from lehr.report.sections.verdict import cost_rows, with_interval
from lehr.shown import Table

TEMPLATES = Path(__file__).parent / "templates"
SHORT = 28
"""Letters of a text that is not broken into lines."""
_NUMBER = re.compile(r"[<>]? ?-?[\d.,]+( %)?")
KINDS = {
    "run": "Training run",
    "model": "Network",
    "artefact": "Built artefact",
    "search": "Search",
}


def sections(of: Gathered) -> list[Section]:
    """Return every item of the report, in order."""
    environment = [make(of) for make in (SECTIONS if of.searched is None else SEARCH)]
    return [replace(each, tables=tuple(map(thinned, each.tables))) for each in environment]


def page(facts: Facts, items: Sequence[Section]) -> str:
    """Return the page; every text that is not a picture of ours is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # names in files are anybody's
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["picture"] = Markup
    return environment.get_template("page.html").render(
        facts=facts,
        sections=items,
        kind=KINDS[facts.kind],
        chips=chips(facts),
        align=align,
        sentence=sentence,
        plural=plural,
    )


def chips(facts: Facts) -> list[tuple[str, str]]:
    """Return the few words that stand under the title."""
    words: list[tuple[str, str]] = []
    if facts.target:
        words.append(("target", facts.target))
    if facts.device:
        words.append(("device", facts.device))
    if best := facts.headline:
        words.append(("accuracy", with_interval(best)))
    if facts.verdict.values:
        words.append(("differ", _differ(facts.verdict)))
    words += [(name, value.partition(",")[0]) for name, value in cost_rows(facts)]
    if facts.network is not None:
        words.append(("digest", facts.network.digest[:12]))
    return words


def _differ(verdict: Verdict) -> str:
    if not verdict.membranes and not verdict.spikes:
        return f"0 of {verdict.values:,}"
    return f"{plural(verdict.membranes, 'membrane')}, {plural(verdict.spikes, 'spike')}"


def align(table: Table, column: int) -> str:
    """Return the class of a column: numbers stand to the right, short texts are not broken."""
    cells = [row[column] for row in table.rows if row[column]]
    if cells and all(map(_NUMBER.fullmatch, cells)):
        return "n"
    return "s" if max(map(len, cells), default=0) <= SHORT else "l"
