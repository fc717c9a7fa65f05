"""Accuracy from station to station: what is lost on the way, and where."""

from __future__ import annotations

from collections.abc import Sequence

from lehr import plot
from lehr.plot.style import svg
from lehr.report.facts import TRAINED, Accuracy, Facts
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Picture, Section, percent, plural
from lehr.shown import Table

ORDER = (*TRAINED, "integer", "simulator")
CAPTION = (
    "The line of stations, from float weights to the artefact. Good: from the integer network on "
    "nothing is lost, as everything after it is compared bit by bit. A loss between annealed and "
    "integer is the price of frozen thresholds. Where intervals of 95 % overlap, a difference may "
    "be chance."
)
DIFFERENT = (
    "The line of stations, from float weights to the artefact. Each bar has its number of samples, "
    "n. These are not the same samples: what is lost from one station to the next cannot be read "
    "from bars of different ones."
)


def section(of: Gathered) -> Section:
    """Return the bars of accuracies, arms beside one another."""
    facts = of.facts
    accuracies = in_order(facts)
    if not accuracies:
        return Section("accuracy", "Accuracy", CAPTION, lacking=facts.lacking.get("accuracy", ""))
    arms: dict[str, dict[str, plot.Share | float]] = {}
    for each in accuracies:
        share = plot.Share(round(each.share * each.samples), each.samples)
        arms.setdefault(each.arm, {})[each.station] = share if each.samples else each.share
    ax = plot.accuracy(arms if len(arms) > 1 else next(iter(arms.values())))
    label = "Accuracy: " + ", ".join(f"{e.arm} {e.station} {percent(e.share)}" for e in accuracies)
    picture = Picture(
        svg(ax, "accuracy", label),
        "Accuracy of each station on n samples; lines are intervals of 95 % (Wilson).",
        wide=True,
    )
    rows = [
        (
            each.arm,
            each.station,
            percent(each.share),
            f"{percent(each.low)} to {percent(each.high)}" if each.samples else "not known",
            f"{each.samples:,}" if each.samples else "not known",
            each.of,
        )
        for each in accuracies
    ]
    table = Table(
        "Accuracies", ("of", "station", "accuracy", "95 % interval", "samples", "which"), rows
    )
    return Section(
        "accuracy",
        "Accuracy",
        DIFFERENT if of_different_samples(accuracies) else CAPTION,
        [*_samples(accuracies), *_findings(accuracies)],
        (picture,),
        (table,),
        facts.lacking.get("accuracy", ""),
    )


def in_order(facts: Facts) -> list[Accuracy]:
    """Return the accuracies in the order of the line, those of others after one's own."""
    arms = list(dict.fromkeys(each.arm for each in facts.accuracies))

    def place(each: Accuracy) -> tuple[int, int]:
        station = ORDER.index(each.station) if each.station in ORDER else len(ORDER)
        return station, arms.index(each.arm)

    return sorted(facts.accuracies, key=place)


def of_different_samples(accuracies: Sequence[Accuracy]) -> bool:
    """Say whether accuracies are of different numbers of samples, or of some that nobody counted.

    Samples of the same number may have several names: a run keeps those it was tested on.
    """
    return len({each.samples for each in accuracies}) > 1


def _samples(accuracies: Sequence[Accuracy]) -> list[Finding]:
    """Say of which samples bars are, where they are not of the same."""
    named = {(each.samples, each.of): None for each in accuracies}
    if len(named) < 2:
        return []
    which = "; ".join(
        f"{plural(samples, 'sample') if samples else 'nobody knows how many'}: {of}"
        for samples, of in named
    )
    if of_different_samples(accuracies):
        return [Finding("watch", f"Bars are of different samples ({which}).")]
    return [Finding("note", f"Bars compare if these are the same samples ({which}).")]


def _findings(accuracies: list[Accuracy]) -> list[Finding]:
    """Return what is lost between a trained network and its integers on the same samples."""
    integer = {each.arm: each for each in accuracies if each.station == "integer"}
    findings = []
    for each in accuracies:
        other = integer.get(each.arm)
        if each.station not in TRAINED or other is None or each.of != other.of:
            continue
        lost = each.share - other.share
        text = f"{each.arm}: from {each.station} to integer {-100 * lost:+.2f} points"
        if lost <= 0:
            findings.append(Finding("good", f"{text}: nothing is lost."))
        elif not each.samples:
            findings.append(Finding("watch", f"{text}; of how many samples is not known."))
        elif other.high >= each.low:
            findings.append(Finding("good", f"{text}, within the intervals of 95 %."))
        else:
            way_out = "more epochs of finetuning (finetune.epochs) may bring them back"
            findings.append(Finding("watch", f"{text}, more than chance; {way_out}."))
    return findings
