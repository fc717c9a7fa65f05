"""All that is asked of a network or an artefact, and what is written of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lehr import __version__
from lehr.artifact import PROOF, to_json
from lehr.atomic import write_bytes
from lehr.errors import NotBitExact, ToolMissing, Undecided, UsageError
from lehr.prove.obligations import PARTS, USUAL, Obligation, Part, State, worst
from lehr.prove.proving import has_own, parts_of, prove
from lehr.prove.subject import Subject
from lehr.prove.vectors import Vectors
from lehr.shown import Shown, Table
from lehr.spelling import one_of
from lehr.targets.report import digests

SCHEMA = "lehr-proof/1"
TIMEOUT = 60.0
"""Seconds for a question, where nothing else is said."""


@dataclass(frozen=True, repr=False)
class Proof(Shown):
    """Outcome of `prove`.

    Attributes:
        obligations: every claim, and what came of it.
        foreign: the target of the artefact, where no proof is about its files; else empty.
        written: the artefact's report/proof.json; None for a network alone.
    """

    obligations: Sequence[Obligation]
    foreign: str = ""
    written: Path | None = None

    @property
    def state(self) -> State:
        """Return the worst state of all claims."""
        return worst([each.state for each in self.obligations])

    @property
    def proven(self) -> bool:
        """Return whether every claim is proven."""
        return self.state == "proven"

    def of(self, state: State) -> tuple[Obligation, ...]:
        """Return the claims of which this came."""
        return tuple(each for each in self.obligations if each.state == state)

    def require(self) -> None:
        """Raise NotBitExact, ToolMissing or Undecided unless every claim is proven."""
        if self.proven:
            return
        errors = {"refuted": NotBitExact, "missing": ToolMissing, "undecided": Undecided}
        raise errors[self.state](
            *(f"{each.part}, {each.name}: {each.outcome}" for each in self.of(self.state))
        )

    def _table(self) -> Table:
        title = f"{len(self.of('proven'))} of {len(self.obligations)} proven"
        return Table(
            f"{title}: {self.state}",
            ("part", "of", "claim", "state", "s", "by"),
            [
                (each.part, each.name, each.claim, each.state, f"{each.seconds:.1f}", each.tool)
                for each in self.obligations
            ],
        )


def proved(
    subject: Subject,
    place: object,
    only: str | None = None,
    timeout: float = TIMEOUT,
    each: Callable[[Obligation], None] = lambda _: None,
) -> Proof:
    """Ask about a network or an artefact, look for inputs that show what is refuted, write both.

    Args:
        subject: the network, with its artefact or alone.
        place: where it is from, for sentences.
        only: the part that is asked for; all but `netlist` if None.
        timeout: seconds for a question to a tool, and to look for an input.
        each: is called with each claim when it is decided.

    Raises:
        UsageError: for a part or a time that there is not, or where there is nothing to prove.
        NotMappable: when a type of node or of statement has no rule in a proof.
        FileRefused: when a file of the artefact is not as lehr writes it, or cannot be written.
    """
    wanted: tuple[Part, ...] = tuple(
        part for part in PARTS if only == part or (only is None and part in USUAL)
    )
    if not wanted:
        raise UsageError(f"--only is {only!r}; {one_of(str(only), PARTS)}")
    if not 0 < timeout <= 1e6:
        raise UsageError(f"--timeout is {timeout:g}; give seconds from above 0 to 1,000,000")
    obligations, vectors = [], Vectors(subject, timeout)
    for obligation in prove(subject, wanted, timeout):
        shown = obligation
        if obligation.state == "refuted":
            shown = replace(obligation, vector=vectors.shown(obligation))
        each(shown)
        obligations.append(shown)
    if not obligations:
        parts = ", ".join(parts_of(subject))
        raise UsageError(f"there is nothing to prove of {place} in {only}; use one of {parts}")
    vectors.write()
    foreign = subject.target if subject.target and not has_own(subject) else ""
    return Proof(obligations, foreign, _write(subject, obligations))


def _write(subject: Subject, obligations: Sequence[Obligation]) -> Path | None:
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
