"""All proofs of a network or an artefact: who makes which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module

from lehr.extras import needed_by
from lehr.prove.obligations import PARTS, About, Obligation, Part
from lehr.prove.subject import Subject

Prover = Callable[[Subject, float], Iterator[Obligation]]
PROVERS: tuple[tuple[Part, str, About, str], ...] = (
    ("widths", "", "network", "lehr.prove.widths.certificates"),
    ("arithmetic", "", "engine", "lehr.prove.engine.kernels"),
    ("arithmetic", "", "engine", "lehr.prove.engine.tables"),
    ("arithmetic", "onnx", "artefact", "lehr.prove.onnx_graph"),
    ("arithmetic", "fpga", "artefact", "lehr.prove.verilog.neuron"),
    ("arithmetic", "c", "artefact", "lehr.prove.c.arithmetic"),
    ("sums", "c", "artefact", "lehr.prove.c.tables"),
    ("sums", "c", "artefact", "lehr.prove.c.scatter"),
    ("sums", "c", "artefact", "lehr.prove.c.count"),
    ("sums", "fpga", "artefact", "lehr.prove.verilog.sums.summing"),
    ("control", "fpga", "artefact", "lehr.prove.verilog.control.engine"),
    ("control", "fpga", "artefact", "lehr.prove.verilog.control.inferences"),
    ("netlist", "fpga", "artefact", "lehr.prove.verilog.netlist.claims"),
)
"""A part, the target whose artefacts it is about or "" for every network, what it is about, and the
module whose `prove` yields its obligations."""


def parts_of(subject: Subject) -> tuple[Part, ...]:
    """Return the parts that there is something to prove in."""
    return tuple(part for part in PARTS if any(_provers(subject, (part,))))


def has_own(subject: Subject) -> bool:
    """Return whether a part is about artefacts of the subject's target."""
    return any(target == subject.target for _, target, *_ in PROVERS)


def prove(subject: Subject, only: Sequence[Part], timeout: float) -> Iterator[Obligation]:
    """Yield what is shown of a network and of its artefact, one obligation after another.

    Args:
        subject: the network, with its artefact or alone.
        only: the parts that are asked for.
        timeout: seconds for a question to a tool.

    Raises:
        NotMappable: when a type of node or of statement has no rule in a proof.
    """
    for about, prover in _provers(subject, only):
        for each in prover(subject, timeout):
            yield replace(each, about=about)


def _provers(subject: Subject, only: Sequence[Part]) -> Iterator[tuple[About, Prover]]:
    for part, target, about, module in PROVERS:
        if part in only and target in ("", subject.target):
            with needed_by(f"lehr prove --only {part}"):
                prover: Prover = import_module(module).prove
            yield about, prover
