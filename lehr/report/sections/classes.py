"""Classes: which are taken for which, and after how many steps one knows."""

from __future__ import annotations

import numpy as np

from lehr import plot
from lehr.plot.classes import PAIRED, Stop, enough_steps, right_by_step, shares_of
from lehr.plot.style import svg
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Picture, Section, percent, plural
from lehr.shown import Table

CAPTION = (
    "Rows are labels, columns what the network says; what is off the diagonal is wrong. The curve "
    "is the accuracy had one stopped after each step, on these samples. What stopping early loses "
    "is counted sample by sample against the end; other samples may need more steps."
)
MOST = 24
"""Classes of which the whole matrix stands in a table."""
PAIRS = 20


def section(of: Gathered) -> Section:
    """Return the confusion matrix and the accuracy by steps."""
    facts, ran = of.facts, of.ran
    if ran is None or ran.given.labels is None:
        return Section(
            "classes", "Classes and steps", CAPTION, lacking=facts.lacking.get("classes", "")
        )
    counts = np.array(facts.confusion)
    wrong = int(counts.sum() - counts.trace())
    right = right_by_step(ran.all, ran.given.labels)
    shares = shares_of(right)
    matrix = f"Confusion matrix: {wrong:,} of {plural(int(counts.sum()), 'sample')} are wrong"
    curve = (
        f"Accuracy after each of {len(shares)} steps: {percent(shares[0].value)} after the first, "
        f"{percent(shares[-1].value)} at the end"
    )
    pictures = (
        Picture(svg(plot.confusion(ran.all, ran.given.labels), "confusion", matrix), f"{matrix}."),
        Picture(svg(plot.steps(ran.all, ran.given.labels), "steps", curve), f"{curve}."),
    )
    rows = [
        (str(number), percent(s.value), f"{percent(s.interval[0])} to {percent(s.interval[1])}")
        for number, s in enumerate(shares, start=1)
    ]
    return Section(
        "classes",
        "Classes and steps",
        CAPTION,
        [*_confused(counts), _stopping(enough_steps(right), *right.shape)],
        pictures,
        (_matrix(counts), Table("Accuracy by steps", ("steps", "accuracy", "95 %"), rows)),
    )


def _matrix(counts: np.ndarray) -> Table:
    """Return the whole matrix, or of many classes the pairs that are taken for one another most."""
    if len(counts) <= MOST:
        rows = [
            (str(label), *(f"{n:,}" if n else "" for n in row)) for label, row in enumerate(counts)
        ]
        return Table("Samples by label and class", ("label", *map(str, range(len(counts)))), rows)
    off = counts.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(at), len(counts)) for at in order if off.flat[at]]
    rows = [(str(a), str(b), f"{off[a, b]:,}") for a, b in pairs]
    return Table("Classes that are taken for one another most", ("label", "class", "samples"), rows)


def _confused(counts: np.ndarray) -> list[Finding]:
    findings = []
    off = counts.copy()
    np.fill_diagonal(off, 0)
    if off.max() > 1:
        label, other = divmod(int(off.argmax()), len(off))
        text = f"Taken for another most often: {label} for {other}, {off.max():,} times."
        findings.append(Finding("watch", text))
    never = [str(n) for n in range(len(counts)) if counts[n].any() and not counts[:, n].any()]
    if never:
        findings.append(Finding("bad", f"The network never says class {', '.join(never)}."))
    return findings


def _stopping(stop: Stop | None, steps: int, samples: int) -> Finding:
    """Say what is lost by stopping early, if there are samples enough to say so."""
    if stop is None:
        text = f"too few samples to say: {samples}; give {PAIRED} or more with -i"
        return Finding("note", f"Whether fewer of the {steps} steps would do: {text}.")
    if stop.steps == steps:
        text = f"Stopping before the last of {steps} steps loses samples: more than 1 %, or more"
        return Finding("watch", f"{text} than chance would.")
    text = (
        f"After {stop.steps} of {steps} steps, {-100 * stop.loss + 0.0:+.2f} points against the "
        f"end: of {samples:,} samples {stop.lost:,} are lost and {stop.won:,} won. From there on "
        "no step loses more than 1 % of these samples, or more than chance would (McNemar, 5 %)."
    )
    return Finding("note", text)
