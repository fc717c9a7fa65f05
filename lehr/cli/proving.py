"""`lehr prove`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli.console import Json, Output, session

if TYPE_CHECKING:
    from lehr.prove.obligations import Obligation, Part


def prove(
    place: Annotated[
        Path,
        typer.Argument(metavar="OUT|MODEL.nir", help="Folder of `lehr build`, or a network."),
    ],
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="PART",
            help="Prove this alone: widths, arithmetic, sums, control or netlist.",
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", help="Time for each question to a tool."),
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Prove, for every input and state, what a build else only tests.

    Tools that are not lehr's are asked: z3, CBMC, Yosys. It ends in PASS if everything is proven;
    else with 4 where something is refuted, 6 where a tool is missing, and 1 where the time was not
    enough. OUT/report/proof.json has each claim, with its assumptions.
    """
    with session(as_json) as out:
        from dataclasses import asdict

        from lehr.prove.obligations import EXIT, PARTS, worst
        from lehr.prove.proving import has_own, parts_of, write_proof
        from lehr.prove.proving import prove as run
        from lehr.prove.subject import read_subject

        wanted = _wanted(only, PARTS)
        _require_time(timeout)
        subject = read_subject(place)
        obligations = []
        for each in run(subject, wanted, timeout):
            typer.echo(f"{each.part}, {each.name}: {each.state}", err=True)
            obligations.append(each)
        _require_some(obligations, only, parts_of(subject), place)
        path = write_proof(subject, obligations)
        state = worst([each.state for each in obligations])
        _print(out, obligations)
        out.facts.update(state=state, obligations=[asdict(each) for each in obligations])
        if path is not None:
            out.facts.update(written=str(path))
            out.say(f"wrote {path}")
        if subject.target and not has_own(subject):
            out.note(
                f"no proof is about artefacts of target {subject.target}: of its network alone"
            )
        out.checked = state == "proven"
        out.fail(EXIT[state])
        out.then(*(("check", place) if path is None else ("report", place, "-o", "report.html")))


def _wanted(only: str | None, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    from lehr.errors import UsageError
    from lehr.spelling import one_of

    if only is None:
        return parts
    wanted: tuple[Part, ...] = tuple(part for part in parts if part == only)
    if not wanted:
        raise UsageError(f"--only is {only!r}; {one_of(only, parts)}")
    return wanted


def _require_time(timeout: float) -> None:
    from lehr.errors import UsageError

    if not 0 < timeout <= 1e6:
        raise UsageError(f"--timeout is {timeout:g}; give seconds from above 0 to 1,000,000")


def _require_some(
    obligations: list[Obligation], only: str | None, parts: tuple[str, ...], place: Path
) -> None:
    """Refuse a part in which there is nothing to prove: nothing said is nothing proven."""
    from lehr.errors import UsageError

    if not obligations:
        raise UsageError(
            f"there is nothing to prove of {place} in {only}; use one of {', '.join(parts)}"
        )


def _print(out: Output, obligations: list[Obligation]) -> None:
    out.table(
        ("part", "of", "claim", "state", "s", "by"),
        [
            (each.part, each.name, each.claim, each.state, f"{each.seconds:.1f}", each.tool)
            for each in obligations
        ],
    )
    for each in obligations:
        if each.counterexample:
            values = ", ".join(f"{name} {value}" for name, value in each.counterexample.items())
            out.say(f"{each.part}, {each.name}: refuted by {values}")
        elif each.reason:
            out.say(f"{each.part}, {each.name}: {each.state}: {each.reason}")
    assumed = dict.fromkeys(sentence for each in obligations for sentence in each.assumptions)
    for sentence in assumed:
        out.say(f"assumed: {sentence}")
    count = sum(each.state == "proven" for each in obligations)
    out.say(f"{count} of {len(obligations)} proven")
