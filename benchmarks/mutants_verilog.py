"""Faults in the Verilog of a trained network: how many of them proofs see.

    python benchmarks/mutants_verilog.py [MODEL]     digits if not given

A fault is one operator exchanged or one constant one too high, anywhere in lehr_neuron.v,
lehr_events.v or lehr_lane.v (lehr/prove/faults.py). Of each the questions of `lehr prove` are
asked. What they do not refute is printed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import lehr
from lehr.prove.adders import adds_wrongly
from lehr.prove.circuit import Differs, with_faults
from lehr.prove.control import leaves_once
from lehr.prove.engines import engine_of
from lehr.prove.faults import faults
from lehr.prove.neuron import Neuron, layout
from lehr.prove.questions import Questions, Undecided
from lehr.prove.subject import Subject, read_subject
from lehr.prove.yosys import read_verilog

SECONDS = 600.0
Claims = Sequence[tuple[Mapping[str, int], Differs]]
"""For each module, parameters that it is instantiated with, and what is asked of it then."""


def claims(subject: Subject) -> dict[str, Claims]:
    """Return what is asked of each module of the first engine."""
    first = next(iter(subject.net.neurons))
    engine = engine_of(subject, first)
    at = layout(read_verilog(engine.folder, engine.file("lehr_neuron")))
    neurons: list[tuple[Mapping[str, int], Differs]] = [
        ({}, Neuron(subject, name, engine_of(subject, name).kind, at).differs)
        for name in reversed(list(subject.net.neurons))
        if engine_of(subject, name).tag == engine.tag
    ]
    adds: Callable[..., dict[str, Any] | None] = partial(adds_wrongly, subject, engine)
    return {
        "lehr_neuron": neurons,
        "lehr_events": [({}, leaves_once)],
        "lehr_lane": [({"VALUES": v}, partial(adds, {"VALUES": v})) for v in (0, 1)],
    }


def main(model: Annotated[str, typer.Argument()] = "digits") -> None:
    """Print how many faults are seen in each module, and those that are not."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "out"
        net = lehr.read(lehr.zoo.get(model, Path(scratch) / "model") / "model.nir")
        lehr.build(net, "fpga", folder)
        subject = read_subject(folder)
        for module, asked_of in claims(subject).items():
            file = f"{module}.v"
            text = read_verilog(folder, file)
            chosen, began = list(faults(text)), time.process_time()
            left = [each.what for each in chosen]
            for given, differs in asked_of:
                rest = [each for each in chosen if each.what in left]
                _, *copies = with_faults({file: text}, module, rest, SECONDS, given)
                left = [what for what, circuit in copies if not _seen(differs, circuit)]
            seconds = time.process_time() - began
            typer.echo(f"{file}: {len(chosen) - len(left)} of {len(chosen)} seen, {seconds:.0f} s")
            for what in left:
                typer.echo(f"  {what}")


def _seen(differs: Differs, circuit: Any) -> bool:
    try:
        return differs(circuit, Questions(SECONDS)) is not None
    except Undecided:
        return False


if __name__ == "__main__":
    typer.run(main)
