"""All proofs of a network or an artefact: who makes which, and where they are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from lehr import __version__
from lehr.artifact import to_json
from lehr.atomic import write_bytes
from lehr.extras import needed_by
from lehr.prove.obligations import PARTS, Obligation, Part, worst
from lehr.prove.subject import Subject
from lehr.targets.report import PROOF, digests

SCHEMA = "lehr-proof/1"
Prover = Callable[[Subject, float], Iterator[Obligation]]
PROVERS: tuple[tuple[Part, str, str], ...] = (
    ("widths", "", "lehr.prove.widths"),
    ("arithmetic", "", "lehr.prove.kernels"),
    ("arithmetic", "onnx", "lehr.prove.onnx_graph"),
    ("arithmetic", "fpga", "lehr.prove.neuron"),
    ("arithmetic", "c", "lehr.prove.arithmetic_c"),
    ("sums", "c", "lehr.prove.sums_c"),
    ("sums", "fpga", "lehr.prove.summing"),
    ("control", "fpga", "lehr.prove.control"),
)
"""A part, the target whose artefacts it is about or "" for every network, and the module whose
`prove` yields its obligations."""


def parts_of(subject: Subject) -> tuple[Part, ...]:
    """Return the parts that there is something to prove in."""
    return tuple(part for part in PARTS if any(_provers(subject, (part,))))


def has_own(subject: Subject) -> bool:
    """Return whether a part is about artefacts of the subject's target."""
    return any(target == subject.target for _, target, _ in PROVERS)


def prove(subject: Subject, only: Sequence[Part], timeout: float) -> Iterator[Obligation]:
    """Yield what is shown of a network and of its artefact, one obligation after another.

    Args:
        subject: the network, with its artefact or alone.
        only: the parts that are asked for.
        timeout: seconds for a question to a tool.

    Raises:
        NotMappable: when a type of node or of statement has no rule in a proof.
    """
    for prover in _provers(subject, only):
        yield from prover(subject, timeout)


def _provers(subject: Subject, only: Sequence[Part]) -> Iterator[Prover]:
    for part, target, module in PROVERS:
        if part in only and target in ("", subject.target):
            with needed_by(f"lehr prove --only {part}"):
                prover: Prover = import_module(module).prove
            yield prover


def write_proof(subject: Subject, obligations: Sequence[Obligation]) -> Path | None:
    """Write report/proof.json of an artefact; nothing for a network alone.

    It has the digests of the network and of every file of the artefact but golden vectors and
    reports, so that it is seen what was proven of.
    """
    if subject.folder is None:
        return None
    proof = {
        "schema": SCHEMA,
        "lehr": __version__,
        "network": subject.net.digest,
        "files": digests(subject.folder),
        "state": worst([each.state for each in obligations]),
        "obligations": [asdict(each) for each in obligations],
    }
    (subject.folder / PROOF).parent.mkdir(exist_ok=True)
    write_bytes(subject.folder / PROOF, to_json(proof))
    return subject.folder / PROOF
