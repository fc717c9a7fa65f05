"""Classes: which are taken for which, and after how many steps one knows."""

from __future__ import annotations

import numpy as np

from lehr import plot
from lehr.plot.classes import accuracy_by_step, enough_steps
from lehr.plot.style import svg
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Picture, Section, percent, plural
from lehr.shown import Table

CAPTION = (
    "Rows are labels, columns what the network says; what is off the diagonal is wrong. The curve "
    "is the accuracy had one stopped after each step: where it is flat, the steps after that cost "
    "time and energy for nothing."
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
    shares = accuracy_by_step(ran.all, ran.given.labels)
    enough = enough_steps(shares)
    matrix = f"Confusion matrix: {wrong:,} of {plural(int(counts.sum()), 'sample')} are wrong"
    curve = (
        f"Accuracy after each of {len(shares)} steps; {enough} are enough for "
        f"{percent(shares[enough - 1].value)}"
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
        _findings(counts, enough, len(shares)),
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


def _findings(counts: np.ndarray, enough: int, steps: int) -> list[Finding]:
    found = []
    off = counts.copy()
    np.fill_diagonal(off, 0)
    if off.any():
        label, other = divmod(int(off.argmax()), len(off))
        text = (
            f"Taken for another most often: {label} for {other}, {plural(int(off.max()), 'time')}."
        )
        found.append(Finding("watch", text))
    never = [str(n) for n in range(len(counts)) if counts[n].any() and not counts[:, n].any()]
    if never:
        found.append(Finding("bad", f"The network never says class {', '.join(never)}."))
    if enough < steps:
        text = (
            f"One may stop after {enough} of {steps} steps: from there on the accuracy stays "
            "within the interval of 95 % of the last."
        )
        found.append(Finding("good", text))
    else:
        found.append(Finding("watch", f"All {steps} steps are needed; more might help."))
    return found
