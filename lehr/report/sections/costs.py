"""Costs: resources, latency and energy against the device, estimated beside measured."""

from __future__ import annotations

from collections.abc import Sequence

from lehr import plot
from lehr.plot.costs import Cost
from lehr.plot.style import svg
from lehr.report.costs import drawn, fullest, of_another
from lehr.report.facts import CostFacts, Facts
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Picture, Section, percent, without_empty
from lehr.shown import Table
from lehr.targets.report import number

CAPTION = (
    "Totals first. An estimate follows from the network and published numbers, named as its "
    "source; what was measured comes from a tool. A frame is what the device has: good is a bar "
    "well within it. Figures of different units do not compare."
)
PUBLISHED = "Published of another network: nothing here is of this artefact"
FULL = 0.9


def section(of: Gathered) -> Section:
    """Return the costs of an artefact."""
    facts = of.facts
    lacking = facts.lacking.get("costs", "")
    if not facts.costs:
        return Section("costs", "Resources, latency, energy", CAPTION, lacking=lacking)
    published = [each for each in facts.costs if of_another(each)]
    own = [each for each in facts.costs if not of_another(each)]
    costs = drawn(own)
    shown = [f"{cost.name} {number(cost.highest)} {cost.unit}" for cost in costs[:8]]
    label = f"What {facts.target} needs: {', '.join(shown)}"
    picture = Picture(
        svg(plot.resources(costs), "costs", label),
        f"What the artefact needs{f' of {facts.device}' if facts.device else ''}.",
        wide=True,
    )
    tables = [_figures(costs, own)]
    tables += [Table(t.title, t.columns, t.rows) for t in facts.tables]
    if published:
        rows = [(each.name, number(each.value), each.unit, each.source) for each in published]
        tables.append(Table(PUBLISHED, ("figure", "value", "unit", "source"), rows))
    return Section(
        "costs",
        "Resources, latency, energy",
        CAPTION,
        _findings(facts),
        (picture,),
        tables,
        lacking,
    )


def _figures(costs: Sequence[Cost], facts: Sequence[CostFacts]) -> Table:
    sources: dict[str, list[str]] = {}
    for each in facts:
        sources.setdefault(each.name, []).append(each.source)
    rows = [
        (
            cost.name,
            "" if cost.estimated is None else number(cost.estimated),
            "" if cost.measured is None else number(cost.measured),
            cost.unit,
            "" if not cost.limit else number(cost.limit),
            "" if not cost.limit else percent(cost.highest / cost.limit, 1),
            "; ".join(dict.fromkeys(sources[cost.name])),
        )
        for cost in costs
    ]
    columns = ("figure", "estimated", "measured", "unit", "there", "share of the device", "source")
    return without_empty(Table("Figures", columns, rows))


def _findings(facts: Facts) -> list[Finding]:
    full = fullest(facts.costs, facts.tables)
    if full is None:
        text = "This target's estimate names no amount of the device, so no share can be given."
        return [Finding("note", text)]
    name, share = full
    text = f"The fullest part of the device is {name}: {percent(share, 1)}"
    if share > 1:
        return [Finding("bad", f"{text}, more than there is.")]
    if share == 1:
        return [Finding("watch", f"{text}; a network that needs more of it does not fit.")]
    if share > FULL:
        return [Finding("watch", f"{text}; there is little room for a larger network.")]
    return [Finding("good", f"{text}.")]
