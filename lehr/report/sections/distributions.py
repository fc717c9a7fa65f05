"""Distributions: rates, membranes against their width, thresholds, and signs of weights."""

from __future__ import annotations

import numpy as np

from lehr import plot
from lehr.errors import UsageError
from lehr.plot.distributions import What, membranes_of, rates_of
from lehr.plot.style import svg
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Picture, Section, percent
from lehr.shown import Table

CAPTION = (
    "A box holds the middle half of a layer's neurons, the line in it the median. Good: rates that "
    "are low and above 0, membranes that use their width without reaching 100 %, thresholds "
    "of one magnitude, signs in balance."
)
CAPTIONS: dict[What, str] = {
    "rates": "Spikes per neuron and step, of each neuron; a box at 0 is a layer that is mostly "
    "silent.",
    "membranes": "Membranes as a share of what their width holds; at 100 % they saturate or wrap. "
    "A short box is width to spare.",
    "thresholds": "Thresholds of each neuron; a long box is a layer whose channels differ much.",
    "signs": "Signs of the weights; one sign alone would be a layer that only excites or inhibits.",
}
QUARTERS = (0, 25, 50, 75, 100)


def section(of: Gathered) -> Section:
    """Return the four distributions."""
    facts, net, ran = of.facts, of.network, of.ran
    lacking = facts.lacking.get("distributions", "")
    if net is None:
        return Section("distributions", "Distributions", CAPTION, lacking=lacking)
    result = None if ran is None else ran.over_all
    pictures, tables = [], []
    for what, caption in CAPTIONS.items():
        if result is None and what in ("rates", "membranes"):
            continue
        try:
            ax = plot.distributions(net, result, what)
        except UsageError:  # no layer has any
            continue
        label = f"Distribution of {what}, layer by layer"
        pictures.append(Picture(svg(ax, f"distribution-{what}", label), caption))
    if result is not None:
        tables += [
            _quarters("Rates", rates_of(net, result), 4),
            _quarters("Membranes, % of their width", membranes_of(net, result), 1),
        ]
    tables += [_thresholds(of), _signs(of)]
    return Section(
        "distributions",
        "Distributions",
        CAPTION,
        _findings(of),
        pictures,
        [table for table in tables if table.rows],
        lacking,
    )


def _quarters(title: str, layers: dict[str, np.ndarray], digits: int) -> Table:
    columns = ("layer", "least", "first quarter", "median", "third quarter", "greatest")
    rows = [
        (name, *(_number(value, digits) for value in np.percentile(values, QUARTERS)))
        for name, values in layers.items()
    ]
    return Table(title, columns, rows)


def _number(value: float, digits: int) -> str:
    """Return a number; one that is rounded to nothing has no sign."""
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def _thresholds(of: Gathered) -> Table:
    assert of.network is not None
    layers = {
        name: neuron.threshold.ravel().astype(np.float64)
        for name, neuron in of.network.neurons.items()
        if not neuron.integrates and "threshold" in neuron.program.parameters
    }
    return _quarters("Thresholds", layers, 0)


def _signs(of: Gathered) -> Table:
    assert of.network is not None
    rows = [
        (
            name,
            percent(float((node.weight < 0).mean()), 1),
            percent(float((node.weight == 0).mean()), 1),
            percent(float((node.weight > 0).mean()), 1),
        )
        for name, node in of.network.weighted.items()
    ]
    return Table("Signs of weights", ("node", "below 0", "0", "above 0"), rows)


def _findings(of: Gathered) -> list[Finding]:
    assert of.network is not None
    found = []
    for name, node in of.network.weighted.items():
        above = float((node.weight > 0).mean())
        below = float((node.weight < 0).mean())
        if node.weight.size > 1 and not (above and below):
            found.append(Finding("watch", f"The weights of {name} have one sign alone."))
    if of.network.weighted and not found:
        found.append(Finding("good", "The weights of every node have both signs."))
    return found
