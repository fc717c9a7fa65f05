"""Faults in the Verilog of a trained network: how many of them proofs see.

    python benchmarks/mutants_verilog.py [MODEL]     digits if not given

A fault is one operator exchanged or one constant one too high (lehr/prove/verilog/faults.py),
anywhere in the files of a neuron, a lane, and what lies between tables and lanes. Of each the
questions of `lehr prove --only arithmetic`, `sums` and of events in `control` are asked. What they
do not refute is printed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

import lehr
from lehr.errors import FileRefused
from lehr.network import INPUT
from lehr.prove.subject import Subject, read_subject
from lehr.prove.verilog.boxes import with_boxes
from lehr.prove.verilog.circuit import Differs
from lehr.prove.verilog.control.engine import leaves_once
from lehr.prove.verilog.engines import engine_of
from lehr.prove.verilog.faults import faults
from lehr.prove.verilog.neuron import Neuron, layout
from lehr.prove.verilog.questions import Questions, Undecided
from lehr.prove.verilog.sums import visits
from lehr.prove.verilog.sums.adders import adds_wrongly
from lehr.prove.verilog.sums.datapath import weights_of
from lehr.prove.verilog.sums.gathering import counts_all, leave, meet_lanes
from lehr.prove.verilog.sums.images import volume
from lehr.prove.verilog.sums.placing import puts_events
from lehr.prove.verilog.yosys import circuits, read_verilog

SECONDS = 600.0


class Way(NamedTuple):
    """How a module is asked about: in which files, from which top, and what is asked."""

    files: Mapping[str, str]
    top: str
    given: Mapping[str, int]
    differs: Differs


def ways(subject: Subject) -> dict[str, Sequence[Way]]:
    """Return what is asked of each module of the first engine."""
    first = next(iter(subject.net.neurons))
    engine = engine_of(subject, first)
    folder = engine.folder
    at = layout(read_verilog(folder, engine.file("lehr_neuron")))

    def alone(module: str, differs: Differs, **given: int) -> Way:
        return Way({f"{module}.v": read_verilog(folder, f"{module}.v")}, module, given, differs)

    core = with_boxes(folder, "lehr_core", visits.BOXES)
    weight, packs = weights_of(read_verilog(folder, "lehr_sums.v"))
    lanes = partial(meet_lanes, weight, packs)
    shape = volume(subject.net.shapes[INPUT])
    adds: Callable[..., dict[str, Any] | None] = partial(adds_wrongly, subject, engine)
    return {
        "lehr_neuron": [
            alone("lehr_neuron", Neuron(subject, name, engine_of(subject, name).kind, at).differs)
            for name in reversed(list(subject.net.neurons))
            if engine_of(subject, name).tag == engine.tag
        ],
        "lehr_events": [alone("lehr_events", leaves_once), Way(core, "lehr_core", {}, leave)],
        "lehr_lane": [alone("lehr_lane", partial(adds, {"VALUES": v}), VALUES=v) for v in (0, 1)],
        "lehr_scan": [Way(core, "lehr_core", {}, visits.looks)],
        "lehr_maps": [Way(core, "lehr_core", {}, partial(puts_events, shape))],
        "lehr_sums": [
            *(Way(core, "lehr_core", {}, each) for each in (lanes, counts_all)),
        ],
    }


def main(model: Annotated[str, typer.Argument()] = "digits") -> None:
    """Print how many faults are seen in each module, and those that are not."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "out"
        net = lehr.read(lehr.zoo.get(model, Path(scratch) / "model") / "model.nir")
        lehr.build(net, "fpga", folder)
        subject = read_subject(folder)
        for module, asked_of in ways(subject).items():
            file = f"{module}.v"
            chosen, began = list(faults(read_verilog(folder, file))), time.process_time()
            left = chosen
            for way in asked_of:
                left = [fault for fault in left if not _seen(way, {file: fault.text})]
            seconds = time.process_time() - began
            typer.echo(f"{file}: {len(chosen) - len(left)} of {len(chosen)} seen, {seconds:.0f} s")
            for fault in left:
                typer.echo(f"  {fault.what}: {fault.text.splitlines()[fault.line - 1].strip()}")


def _seen(way: Way, changed: Mapping[str, str]) -> bool:
    """Return whether changed files are refuted, or refused by Yosys as no Verilog."""
    try:
        (circuit,) = circuits([{**way.files, **changed}], way.top, SECONDS, way.given)
    except FileRefused:
        return True
    except Undecided:
        return False
    try:
        return way.differs(circuit, Questions(SECONDS)) is not None
    except (FileRefused, Undecided):  # a wire that is asked about is gone: nothing was refuted
        return False


if __name__ == "__main__":
    typer.run(main)
