"""The costs of an artefact: its figures, estimated beside measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median_low

from lehr.plot.costs import Cost, in_order
from lehr.report.facts import CostFacts, TableFacts
from lehr.targets.contract import Figure, Table

_OF = re.compile(r"\s*\bof ([\d,]+)\b\s*")
_PER = re.compile(r"([fpnum]?)([Js]) per (inference|sample|step)\Z")
_UNIT = re.compile(r"([fpnum]?)([Js])")
_SIZES = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}
_NOT_OURS = "benchmark"
"""Of a figure that a chip's makers published of a network of their own."""


def cost(figure: Figure, origin: str) -> CostFacts:
    """Return a figure, with its share of the device where its unit says how much there is."""
    there = _OF.search(figure.unit)
    limit = float(there[1].replace(",", "")) if there else None
    unit = _OF.sub("", figure.unit, count=1)
    return CostFacts(figure.name, float(figure.value), unit, figure.source, origin, limit)


def drawn(costs: Sequence[CostFacts]) -> list[Cost]:
    """Return costs as they are drawn: estimated beside measured, limits and wholes first."""
    figures: dict[tuple[str, str], Cost] = {}
    for each in costs:
        key = each.name, each.unit
        kept = figures.get(key, Cost(*key, limit=each.limit))
        if each.origin == "estimated":
            figures[key] = kept._replace(estimated=each.value)
        else:
            figures[key] = kept._replace(measured=each.value)
    return in_order(list(figures.values()))


def per_inference(
    costs: Sequence[CostFacts], tables: Sequence[TableFacts], quantity: str, steps: int
) -> CostFacts | None:
    """Return the energy ("J") or the time ("s") of an inference, in J or s.

    What was measured goes before what was estimated, and a figure before a table of inferences, of
    which the median is taken. A figure that was published of another network is none.
    """
    ranks = {"measured": 0, "of the run": 0, "estimated": 1}
    figures = []
    for each in costs:
        unit = _PER.match(each.unit)
        if unit is None or unit[2] != quantity or of_another(each):
            continue
        times = steps if unit[3] == "step" else 1
        value = each.value * _SIZES[unit[1]] * times
        figures.append(CostFacts(each.name, value, quantity, each.source, each.origin))
    best = min(figures, key=lambda each: ranks[each.origin], default=None)
    return best or _of_tables(tables, quantity)


def _of_tables(tables: Sequence[TableFacts], quantity: str) -> CostFacts | None:
    """Return the median of a table of inferences, the lower of two, in J or s.

    Rows are not in the order of that column: a sample with more spikes may take less time.
    """
    for table in tables:
        if "inference" not in table.title:
            continue
        for number, column in enumerate(table.columns):
            unit = _UNIT.fullmatch(column)
            values = [value for row in table.rows if (value := _number(row[number]))]
            if unit and unit[2] == quantity and values:
                value = median_low(values) * _SIZES[unit[1]]
                origin = f"{table.title}, median {column} of {len(values)} rows"
                return CostFacts(column, value, quantity, table.title, origin)
    return None


def fullest(costs: Sequence[CostFacts], tables: Sequence[TableFacts]) -> tuple[str, float] | None:
    """Return what of the device is used most, and its share, by figures and by tables.

    Several parts that are as full are named together.
    """
    shares = [
        (each.name.removesuffix(" of the device"), each.share)
        for each in costs
        if each.share is not None
    ]
    for table in tables:
        if {"used", "there"} <= set(table.columns):
            used, there = (list(table.columns).index(name) for name in ("used", "there"))
            shares += [
                (row[0], _number(row[used]) / limit)
                for row in table.rows
                if (limit := _number(row[there]))
            ]
    most = max((share for _, share in shares), default=None)
    if most is None:
        return None
    return " and ".join(name for name, share in shares if share == most), most


def of_another(cost: CostFacts) -> bool:
    """Say whether a figure is one that a chip's makers published of a network of their own."""
    return _NOT_OURS in cost.name


def table(shown: Table) -> TableFacts:
    """Return a target's table as texts."""
    return TableFacts(
        shown.title, tuple(shown.columns), tuple(tuple(map(str, row)) for row in shown.rows)
    )


def _number(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return 0.0
