"""Layers in numbers: sizes, widths that are needed, proven and observed, and the work of each."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.report.facts import LayerFacts
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Section, percent, without_empty
from lehr.shown import Table, shape_text

CAPTION = (
    "Proven bits hold every membrane whatever comes in; observed bits held those of these samples. "
    "Good: a layer has its proven bits, and never saturates. Bits beyond the observed ones are "
    "what 'lehr widths' may take away at a stated risk."
)


def section(of: Gathered) -> Section:
    """Return the table of layers."""
    facts = of.facts
    if not facts.layers:
        return Section("layers", "Layers", CAPTION, lacking=facts.lacking.get("layers", ""))
    weights = [each for each in facts.layers if each.weights or each.dense is not None]
    neurons = [each for each in facts.layers if each.neurons]
    tables = [_neurons(neurons, of.work)]
    if weights:
        tables.append(_weights(weights, of.work))
    return Section(
        "layers",
        "Layers",
        CAPTION,
        _findings(neurons),
        tables=tables,
        lacking=facts.lacking.get("layers", ""),
    )


def _neurons(layers: Sequence[LayerFacts], work: str) -> Table:
    rows = [
        (
            each.name,
            shape_text(tuple(each.shape)),
            _span(each.thresholds),
            _text(each.bits),
            _text(each.proven_bits),
            _text(each.observed_bits),
            _span(each.proven),
            _span(each.observed),
            "" if each.rate is None else f"{each.rate:.4f}",
            "" if each.dead is None else f"{each.dead:,} of {each.neurons:,}",
            _text(each.saturations),
            "" if each.work is None else percent(each.work, 1),
        )
        for each in layers
    ]
    columns = (
        "layer",
        "shape",
        "thresholds",
        "bits",
        "proven",
        "observed",
        "membrane, proven",
        "membrane, observed",
        "rate",
        "dead",
        "saturations",
        f"share of {work}" if work.startswith("clocks") else "share of time",
    )
    return without_empty(Table("Neurons", columns, rows))


def _weights(layers: Sequence[LayerFacts], work: str) -> Table:
    rows = [
        (
            each.name,
            each.type,
            shape_text(tuple(each.shape)),
            f"{each.weights:,}" if each.weights else "",
            each.weight_kind,
            percent(each.zero, 1) if each.weights else "",
            "" if each.dense is None else f"{each.dense:,.0f}",
            "" if each.events is None else f"{each.events:,.0f}",
            "" if not each.dense else percent((each.events or 0) / each.dense, 1),
            "" if each.work is None else percent(each.work, 1),
        )
        for each in layers
    ]
    columns = (
        "node",
        "type",
        "shape out",
        "weights",
        "kind",
        "zero",
        "operations a sample, dense",
        "by event",
        "by event / dense",
        f"share of {work}",
    )
    return without_empty(Table("Weights and operations", columns, rows))


def _findings(layers: Sequence[LayerFacts]) -> list[Finding]:
    found = []
    for each in layers:
        if each.saturations:
            text = f"{each.name}: {each.saturations:,} states left their width in these samples."
            found.append(Finding("watch", text))
        if each.bits is not None and each.proven_bits is not None and each.bits < each.proven_bits:
            text = f"{each.name} has {each.bits} bits; {each.proven_bits} would hold every input."
            found.append(Finding("watch", text))
        if each.dead and each.dead > each.neurons / 2:
            text = f"{each.name}: {each.dead:,} of {each.neurons:,} neurons never fired."
            found.append(Finding("watch", text))
    if layers and not found:
        text = "No state can leave its width"
        if any(each.proven_bits is None or each.bits is None for each in layers):
            text = "No state left its width in these samples"
        found.append(Finding("good", f"{text}."))
    return found


def _span(bounds: Sequence[int] | None) -> str:
    if bounds is None:
        return ""
    low, high = bounds
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _text(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
