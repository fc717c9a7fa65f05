"""Rasters: every spike of one sample a class, those that are classified wrong first."""

from __future__ import annotations

from lehr import plot
from lehr.plot.style import drawing, svg
from lehr.report.facts import SampleFacts
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Picture, Section, plural
from lehr.shown import Table

CAPTION = (
    "Every spike of one sample a class, those that are classified wrong first. Good: the row of "
    "the right class alone is busy at the bottom. Bad: rows that are busy in every sample, or "
    "layers that are empty."
)
READ_OUT = (
    "Every spike of one sample a class, those that are classified wrong first. {output}, which "
    "decides, never fires: its membranes are read out, and the item on membranes draws one. Bad: "
    "rows that are busy in every sample, or layers that are empty."
)
SIZE = 3.1, 4.0
"""Height and width of a raster, in inches: three stand in a row on a desk."""


def section(of: Gathered) -> Section:
    """Return a raster for each sample that is shown."""
    facts, ran = of.facts, of.ran
    if ran is None:
        return Section("rasters", "Spikes", CAPTION, lacking=facts.lacking.get("rasters", ""))
    assert of.network is not None
    pictures, rows, neurons = [], [], of.network.neurons
    names = [name for name in ran.traced.trace.spikes if not neurons[name].integrates]
    if not names:
        text = "No layer of this network fires: membranes alone are read out."
        return Section("rasters", "Spikes", text)
    reads_out = neurons[of.network.output].integrates
    for place, sample in enumerate(ran.shown):
        spikes = {n: int(ran.traced.trace.spikes[n][place].sum()) for n in names}
        counted = ", ".join(f"{name} {count:,}" for name, count in spikes.items())
        text = _words(sample)
        with drawing(None, *SIZE) as ax:
            plot.raster(ran.traced, place, names, ax=ax)
        label = f"{text}; spikes: {counted}"
        pictures.append(Picture(svg(ax, f"raster-{place}", label), f"{text}."))
        label = "" if sample.label is None else str(sample.label)
        rows.append(
            (
                str(sample.number),
                label,
                str(sample.prediction),
                "wrong" if sample.wrong else "right" if label else "",
                *(f"{count:,}" for count in spikes.values()),
            )
        )
    columns = ("sample", "label", "class", "is", *(f"spikes of {name}" for name in names))
    return Section(
        "rasters",
        "Spikes",
        READ_OUT.format(output=of.network.output) if reads_out else CAPTION,
        _findings(of),
        pictures,
        (Table("Spikes of the samples that are shown", columns, rows),),
        _left_out(of),
        "small",
    )


def _words(sample: SampleFacts) -> str:
    where = f"Sample {sample.number:,}"
    if sample.label is None:
        return f"{where}, taken for class {sample.prediction}"
    if sample.wrong:
        return f"{where}, class {sample.label} taken for {sample.prediction}: wrong"
    return f"{where}, class {sample.label}: right"


def _left_out(of: Gathered) -> str:
    """Say how many classes are not shown."""
    assert of.ran is not None
    labels = of.ran.all.prediction if of.ran.given.labels is None else of.ran.given.labels
    there, shown = len(set(labels.tolist())), len(of.ran.shown)
    return f"{shown} of {there} classes are shown; a page does not hold more." * (shown < there)


def _findings(of: Gathered) -> list[Finding]:
    assert of.ran is not None
    assert of.network is not None
    if of.network.neurons[of.network.output].integrates:
        return []
    pairs = zip(of.ran.shown, of.ran.traced.counts, strict=True)
    silent = [str(sample.number) for sample, counts in pairs if not counts.any()]
    if not silent:
        return []
    which, many = ", ".join(silent), plural(len(silent), "sample")
    return [Finding("watch", f"The output fires no spike in {many}: {which}.")]
