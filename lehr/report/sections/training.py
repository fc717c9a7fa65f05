"""Training: loss, accuracy, thresholds and rates over the epochs of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lehr import plot
from lehr.plot.history import History
from lehr.plot.runs import What
from lehr.plot.style import svg
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Picture, Section, percent, without_empty
from lehr.shown import Table

CAPTION = (
    "Phases are shaded: A anneals thresholds in floats, B trains integers, C trains weights with "
    "thresholds frozen. Good: the loss falls, thresholds arrive at 1 of their final ones before A "
    "ends, and no layer is dead (a cross) or saturated (a triangle)."
)
NEAR = 0.01
"""Of a final threshold: what is this near has arrived."""
CAPTIONS: Mapping[What, str] = {
    "loss": "Loss, the mean of each epoch; it should fall and level out. It starts anew in each "
    "phase.",
    "accuracy": "Accuracy in training and validation; a wide gap between them is overfitting. "
    "Rings: the epochs whose network went on.",
    "thresholds": "Thresholds as a share of where they go; the line at 1 should be reached in "
    "phase A.",
    "rates": "Spikes per neuron and step of each layer; near 0 a layer is dead and learns "
    "nothing, near 1 it tells nothing.",
    "decays": "Decays that are learned, the mean of each layer's channels, with their standard "
    "deviation as a band; at 1 neurons never forget, near 0 at once.",
}


def section(of: Gathered) -> Section:
    """Return the curves of a run."""
    facts, history = of.facts, of.history
    if history is None:
        return Section("training", "Training", CAPTION, lacking=facts.lacking.get("training", ""))
    pictures = [
        Picture(
            svg(plot.training(history, what), f"training-{what}", _label(history, what)),
            caption,
        )
        for what, caption in CAPTIONS.items()
        if what != "decays" or history.decays
    ]
    return Section(
        "training",
        "Training",
        CAPTION,
        findings(history),
        pictures,
        (_epochs(history), _thresholds(history), *_decays(history)),
    )


def findings(history: History) -> list[Finding]:
    """Say whether thresholds arrived, whether layers are dead, whether anything was learned."""
    entries, findings = history.entries, list[Finding]()
    in_a = [entry for entry in entries if entry["phase"] == "A"]
    last = (in_a or entries)[-1]
    late = [
        f"{name} {value:.3g} of {final:.3g}"
        for name, value, final in zip(
            history.layers, last["thresholds"], history.finals, strict=True
        )
        if in_a and final and abs(value - final) > NEAR * final
    ]
    if late:
        way_out = "raise train.epochs, or the rate of the schedule"
        findings.append(
            Finding(
                "bad",
                f"Thresholds had not arrived when phase A ended: {', '.join(late)}; {way_out}.",
            )
        )
    elif any(history.finals) and in_a:
        findings.append(Finding("good", "Every threshold had arrived when phase A ended."))
    end = entries[-1]
    for state, way_out in (
        ("dead", "lower its threshold or raise it more slowly"),
        ("saturated", "raise its threshold"),
    ):
        if end[state]:
            names = ", ".join(end[state])
            findings.append(Finding("bad", f"{names}: {state} after the last epoch; {way_out}."))
    if not end["dead"] and not end["saturated"]:
        findings.append(Finding("good", "No layer is dead or saturated after the last epoch."))
    gap = end["train_accuracy"] - end["validation_accuracy"]
    if gap > 0.1:
        text = f"Training is {100 * gap:.1f} points above validation: it overfits."
        findings.append(Finding("watch", text))
    return findings


def _label(history: History, what: str) -> str:
    """Return what a picture shows, for those who do not see it."""
    first, last = history.entries[0], history.entries[-1]
    epochs = f"over {len(history.entries)} epochs"
    if what == "loss":
        return f"Loss {epochs}: from {first['loss']:.4g} to {last['loss']:.4g}"
    if what == "accuracy":
        ends = percent(first["validation_accuracy"]), percent(last["validation_accuracy"])
        return f"Validation accuracy {epochs}: from {ends[0]} to {ends[1]}"
    if what == "decays":
        means = {name: points[-1][1] for name, points in history.decays.items()}
        listed = _listed([*means], [*means.values()])
    else:
        listed = _listed(history.layers, last[what])
    return f"{what.capitalize()} {epochs}, at the end: {listed}"


def _listed(names: Sequence[str], values: Sequence[float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in zip(names, values, strict=True))


def _epochs(history: History) -> Table:
    columns = ("phase", "epoch", "loss", "training", "validation")
    rows = [(*_numbers(entry), *_rates(entry), _marks(entry)) for entry in history.entries]
    rates = tuple(f"rate {name}" for name in history.layers)
    return without_empty(Table("Epochs", (*columns, *rates, "marks"), rows))


def _numbers(entry: Mapping[str, Any]) -> tuple[str, ...]:
    shares = percent(entry["train_accuracy"]), percent(entry["validation_accuracy"])
    return entry["phase"], str(entry["epoch"]), f"{entry['loss']:.4f}", *shares


def _rates(entry: Mapping[str, Any]) -> list[str]:
    return [f"{rate:.4f}" for rate in entry["rates"]]


def _marks(entry: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {state}" for state in ("dead", "saturated") for name in entry[state])


def _thresholds(history: History) -> Table:
    rows = []
    for number, name in enumerate(history.layers):
        of_layer = [(e["phase"], e["thresholds"][number]) for e in history.entries]
        in_a = [value for phase, value in of_layer if phase == "A"]
        final = history.finals[number]
        rows.append(
            (
                name,
                f"{in_a[0]:.4g}" if in_a else "",
                f"{in_a[-1]:.4g}" if in_a else "",
                "none" if final is None else f"{final:.4g}",
                f"{of_layer[-1][1]:,.4g}",
            )
        )
    columns = ("layer", "after the first epoch", "at the end of A", "final", "frozen, mean")
    return Table("Thresholds", columns, rows)


def _decays(history: History) -> list[Table]:
    """Return the table of the decays that are learned; none where there are none."""
    rows = [
        (name, *(f"{mean:.4g} +- {spread:.2g}" for _, mean, spread in (points[0], points[-1])))
        for name, points in history.decays.items()
    ]
    columns = ("decay", "after the first epoch", "at the end of A")
    return [Table("Learned decays", columns, rows)] if rows else []
