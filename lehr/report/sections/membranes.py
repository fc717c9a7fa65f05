"""Membranes against thresholds; of an artefact that differs, the first neuron that does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lehr import plot
from lehr.arithmetic import Int64
from lehr.plot.style import svg
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Picture, Section
from lehr.shown import Table
from lehr.simulate.levels import levels
from lehr.simulate.result import Trace
from lehr.targets.verification import Around

CAPTION = (
    "The membrane after each step, and after a reset, of a neuron of each layer that fires in "
    "about half of the steps, in the first sample that is shown. Good: it crosses its threshold "
    "now and then. Bad: it stays above it in every step, or never comes near it."
)
DIFFERS = (
    "What was expected and what the artefact did, in the first neuron that differs: first sample, "
    "first step, first layer. What is wrong is wrong at this step or just before it."
)
STEPS = 8
"""Before and after the first difference, in the table."""
MOST = 6
"""Layers that are drawn."""


def section(of: Gathered) -> Section:
    """Return membranes of each layer, or the first difference."""
    facts = of.facts
    if facts.verdict.first is not None:
        return _differing(of)
    if of.ran is None or of.network is None:
        return Section(
            "membranes", "Membranes", CAPTION, lacking=facts.lacking.get("membranes", "")
        )
    pictures, rows = [], []
    sample = of.ran.shown[0]
    for name, node in list(of.network.neurons.items())[:MOST]:
        spikes = of.ran.traced.trace.spikes[name][0].reshape(
            -1, int(np.prod(of.network.shapes[name]))
        )
        membranes = of.ran.traced.trace.membranes[name][0].reshape(spikes.shape)
        neuron = _telling(spikes, membranes)
        index = tuple(map(int, np.unravel_index(neuron, of.network.shapes[name])))
        heights = levels(node, of.network.shapes[name], index, spikes[:, neuron].astype(np.int64))
        where = f"{name} {index}".replace(",)", ")")
        ax = plot.membrane(of.ran.traced, name, neuron, threshold=heights)
        fired, least, most = (
            int(spikes[:, neuron].sum()),
            membranes[:, neuron].min(),
            membranes[:, neuron].max(),
        )
        label = f"Membrane of neuron {where}: {least:,} to {most:,}, {fired} spikes"
        pictures.append(
            Picture(
                svg(ax, f"membrane-{name}", label), f"Neuron {where}, sample {sample.number:,}."
            )
        )
        rows.append(
            (
                where,
                _span(heights),
                f"{least:,}",
                f"{most:,}",
                f"{fired:,}",
            )
        )
    table = Table(
        f"Membranes in sample {sample.number:,}",
        ("neuron", "threshold", "lowest", "highest", "spikes"),
        rows,
    )
    return Section("membranes", "Membranes", CAPTION, (), pictures, (table,))


def _span(heights: Int64 | None) -> str:
    """Return the threshold in words: one number, or what it went between."""
    if heights is None:
        return ""
    low, high = int(heights.min()), int(heights.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _telling(spikes: npt.NDArray[np.generic], membranes: npt.NDArray[np.generic]) -> int:
    """Return the neuron that fires in about half of the steps, or in a silent layer the highest."""
    counts = spikes.sum(axis=0, dtype=np.int64)
    if not counts.any():
        return int(membranes.max(axis=0).argmax())
    away = np.abs(2 * counts - len(spikes))
    return int(np.where(counts > 0, away, away.max() + 1).argmin())


def _differing(of: Gathered) -> Section:
    first = of.facts.verdict.first
    assert first is not None
    layer, neuron, step = str(first["layer"]), tuple(first["neuron"]), int(first["step"])
    where = f"{layer} ({', '.join(map(str, neuron))})"
    text = (
        f"{where}: {first['quantity']} at step {step} of sample {first['sample']} is "
        f"{first['got']:,}, expected {first['expected']:,}."
    )
    around = of.around
    pictures, tables = [], []
    if around is not None:
        if around.expected_membranes:
            pictures.append(_picture(of, around, layer, neuron, step, where))
        tables.append(_steps(around, step, where))
    return Section(
        "membranes", "The first difference", DIFFERS, (Finding("bad", text),), pictures, tables
    )


def _picture(
    of: Gathered, around: Around, layer: str, neuron: tuple[int, ...], step: int, where: str
) -> Picture:
    heights = None
    if of.network is not None:
        spikes = np.array(around.got_spikes, np.int64)
        heights = levels(of.network.neurons[layer], of.network.shapes[layer], neuron, spikes)
    ax = plot.membrane(
        _trace(layer, around.got_spikes, around.got_membranes),
        layer,
        expected=_trace(layer, around.expected_spikes, around.expected_membranes),
        step=step,
        threshold=heights,
    )
    ax.set_ylabel(f"membrane of {where}")
    label = f"Membrane of {where} about step {step}, expected and got"
    return Picture(svg(ax, "difference", label), f"{label}.", wide=True)


def _trace(layer: str, spikes: tuple[int, ...], membranes: tuple[int, ...]) -> Trace:
    """Return the trace of a neuron by itself."""

    def of(values: tuple[int, ...], dtype: type) -> npt.NDArray[np.generic]:
        return np.array(values, dtype).reshape(1, -1, 1)

    kept = {layer: of(membranes, np.int32)} if membranes else {}
    return Trace({layer: of(spikes, np.uint8)}, kept)  # type: ignore[arg-type, dict-item]


def _steps(around: Around, step: int, where: str) -> Table:
    steps = range(max(0, step - STEPS), min(len(around.expected_spikes), step + STEPS + 1))
    rows = [
        (
            str(t),
            f"{around.expected_membranes[t]:,}",
            f"{around.got_membranes[t]:,}" if around.got_membranes else "not shown",
            str(around.expected_spikes[t]),
            str(around.got_spikes[t]),
            "first difference" if t == step else "",
        )
        for t in steps
    ]
    columns = ("step", "membrane expected", "got", "spikes expected", "got", "")
    return Table(f"Neuron {where} about step {step}", columns, rows)
