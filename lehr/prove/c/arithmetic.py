"""Updates of the generated C against the definition, by CBMC, in the files of an artefact."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from lehr.prove.c.cbmc import MISSING, Answer, Asked, available, version
from lehr.prove.c.faults import faults, with_fault
from lehr.prove.c.files import HEADER, MODEL, WEIGHTS, CFiles, read_c, without_values
from lehr.prove.c.harness import DEFINED, PROGRAM, program
from lehr.prove.c.uses import Use, uses
from lehr.prove.obligations import Obligation, State
from lehr.prove.subject import Subject

CLAIM = "for every state, sum and parameter it gives what the definition says; nothing is undefined"
TRIED = 8
"""Faults that are put in, until one is seen."""


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each distinct update of lehr_model.c, as layers call it.

    Args:
        subject: the artefact.
        timeout: seconds of the processor for a question.

    Raises:
        FileRefused: when a file of the artefact cannot be read, or is not as lehr writes it.
        NotMappable: when a type of statement has no rule.
    """
    assert subject.folder is not None
    files = read_c(subject.folder)
    for use in uses(subject, files):
        if available():
            yield proven(files, use, Asked(timeout))
        else:
            yield Obligation(
                "arithmetic", use.name, CLAIM, use.assumed, "missing", version(), reason=MISSING
            )


def proven(files: CFiles, use: Use, asked: Asked) -> Obligation:
    """Ask whether an update gives what the definition says, and whether a fault would be seen."""
    failed: dict[str, Any] = {}
    reason, seen = "", ""
    for case in use.cases:
        answer = asked.about(given(files, program(use, case)))
        if answer.failed:
            failed = {"layer": use.layers[0], **contradiction(answer)}
            break
        reason = answer.why or ("" if answer.met else "nothing can meet what is assumed")
        if reason:
            break
    else:
        seen = fault_seen(files, use, asked)
        reason = "" if seen else "no fault that was put in was seen"
    state: State = "refuted" if failed else "undecided" if reason else "proven"
    return Obligation(
        "arithmetic",
        use.name,
        CLAIM,
        use.assumed,
        state,
        version(),
        asked.seconds,
        asked.queries,
        seen,
        failed,
        reason,
    )


def fault_seen(files: CFiles, use: Use, asked: Asked) -> str:
    """Return a fault in a copy of the function that CBMC refutes; empty if none is seen."""
    tried = islice(faults(files, use.update), TRIED)
    return next(
        (
            fault.what
            for fault in tried
            if refuted(with_fault(files, use.update, fault), use, asked)
        ),
        "",
    )


def refuted(files: CFiles, use: Use, asked: Asked) -> bool:
    """Return whether an update of these files differs from the definition, or is undefined."""
    return any(asked.about(given(files, program(use, case))).failed for case in use.cases)


def given(files: CFiles, text: str) -> dict[str, str]:
    """Return what CBMC is given: a program, and the files that it includes, without tables."""
    return {
        PROGRAM: text,
        MODEL: files.texts[MODEL],
        HEADER: files.texts[HEADER],
        WEIGHTS: without_values(files.texts[WEIGHTS]),
    }


def contradiction(answer: Answer) -> dict[str, Any]:
    """Return the first claim that does not hold, with its values."""
    claim, values = min(answer.failed.items(), key=lambda each: DEFINED not in each[0])
    return {"claim": claim, **values}
