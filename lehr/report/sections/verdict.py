"""The verdict: what was compared, what came of it, and the numbers that one asks for first."""

from __future__ import annotations

from lehr.report.costs import fullest, per_inference
from lehr.report.facts import Accuracy, Facts
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Section, percent, plural, sentence
from lehr.shown import Table, shape_text

CAPTIONS = {
    "PASS": "Good: every value that was compared is equal. A single spike or membrane that differs "
    "would be a FAIL.",
    "FAIL": "Bad: at least one value that was compared differs, or the artefact is not as it was "
    "built. Do not use it.",
    "": "A verdict is given of what was compared in making this report, and of nothing else.",
}
SIMULATORS = (
    "Rates, layers, spikes and distributions (items 4, 5, 6 and 10) are those of the simulator, of "
    "the network that was to be built; they say nothing of this artefact."
)
MICRO, MILLI = 1e6, 1e3


def section(of: Gathered) -> Section:
    """Return the first item."""
    facts, word = of.facts, of.facts.verdict.word
    title = {"PASS": "Verdict: PASS", "FAIL": "Verdict: FAIL", "": "No verdict"}
    mark = {"PASS": "good", "FAIL": "bad", "": "watch"}[facts.verdict.word]
    findings = [Finding(mark, facts.verdict.sentence)]  # type: ignore[arg-type]
    findings += [Finding("bad", sentence(text)) for text in facts.warnings]
    if facts.verdict.word and not facts.verdict.membranes_shown:
        findings.append(
            Finding("watch", "Membranes were not compared: the target's tool does not show them.")
        )
    if facts.kind == "artefact" and word == "FAIL":
        findings.append(Finding("note", SIMULATORS))
    lacking = facts.lacking.get("verdict", "")
    table = Table("In short", ("what", "value"), rows(facts))
    return Section("verdict", title[word], CAPTIONS[word], findings, (), (table,), lacking)


def rows(facts: Facts) -> list[tuple[str, str]]:
    """Return what is known, a line each."""
    verdict, net, rows = facts.verdict, facts.network, list[tuple[str, str]]()
    if verdict.compared:
        rows.append(("compared", f"{verdict.compared}, {plural(verdict.samples, 'sample')}"))
        rows.append(
            (
                "differ",
                f"{verdict.membranes:,} of {verdict.values:,} membranes, "
                f"{verdict.spikes:,} of {verdict.values:,} spikes"
                if verdict.membranes_shown
                else f"{verdict.spikes:,} of {verdict.values:,} spikes",
            )
        )
    if verdict.misjudged:
        rows.append(("decisions that differ", f"{verdict.misjudged:,}"))
    if best := facts.headline:
        rows.append(("accuracy", accuracy_text(best)))
    for name, value in (
        ("target", facts.target),
        ("device", facts.device),
        ("run in", facts.judge),
    ):
        if value:
            rows.append((name, value))
    rows += cost_rows(facts)
    if net is not None:
        shape = f"{shape_text(tuple(net.input))} {net.kind}, {plural(net.steps, 'step')}"
        size = f"{net.neurons:,} neurons, {net.weights:,} weights"
        rows.append(("network", f"{shape}, {net.classes} classes; {size}"))
        rows.append(("digest of the network", net.digest))
    rows += [(name, value) for name, value in facts.recipe.items()]
    rows.append(("lehr", facts.lehr))
    return rows


def accuracy_text(each: Accuracy) -> str:
    """Return an accuracy with its interval and what it is of."""
    if not each.samples:
        return f"{percent(each.share)} ({each.station}; {each.of})"
    around = f"{percent(each.low)} to {percent(each.high)} with 95 % confidence"
    total = plural(each.samples, "sample")
    return f"{percent(each.share)}, {around} ({each.station}, {total}: {each.of})"


def with_interval(each: Accuracy) -> str:
    """Return an accuracy with the ends of its interval, in short."""
    if not each.samples:
        return percent(each.share)
    return f"{percent(each.share)} ({100 * each.low:.2f} to {100 * each.high:.2f})"


def cost_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return time, energy and the fullest part of the device, as far as they are known."""
    steps, rows = facts.network.steps if facts.network else 1, list[tuple[str, str]]()
    if time := per_inference(facts.costs, facts.tables, "s", steps):
        rows.append(("time", f"{time.value * MILLI:.4g} ms an inference, {time.origin}"))
    if energy := per_inference(facts.costs, facts.tables, "J", steps):
        rows.append(("energy", f"{energy.value * MICRO:.4g} uJ an inference, {energy.origin}"))
    if full := fullest(facts.costs, facts.tables):
        rows.append(
            ("share of the device", f"{percent(full[1], 1)} of {full[0]}, the fullest part")
        )
    return rows
