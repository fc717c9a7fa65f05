"""`lehr prove`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli.console import Json, Output, session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lehr.prove.obligations import Obligation


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
            help="Prove this alone: widths, arithmetic, sums, control, or netlist, which is proven "
            "only if asked for.",
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
    enough. OUT/report/proof.json has each claim, with its assumptions. An input that shows what is
    refuted becomes a golden vector, on which `lehr verify OUT` then fails.
    """
    with session(as_json) as out:
        from dataclasses import asdict

        from lehr.prove.obligations import EXIT
        from lehr.prove.proof import proved
        from lehr.prove.proving import parts_of
        from lehr.prove.subject import read_subject

        subject = read_subject(place)
        proof = proved(subject, place, only, timeout, _progress)
        _print(out, proof.obligations)
        out.facts.update(
            state=proof.state, obligations=[asdict(each) for each in proof.obligations]
        )
        if proof.written is not None:
            out.facts.update(written=str(proof.written))
            out.say(f"wrote {proof.written}")
        if proof.foreign:
            out.note(f"no proof is about artefacts of target {proof.foreign}: of its network alone")
        if only is None and "netlist" in parts_of(subject):
            out.note(f"the netlist is placed and proven by: lehr prove {place} --only netlist")
        out.checked = proof.proven
        out.fail(EXIT[proof.state])
        out.then(*(("report", place, "-o", "report.html") if proof.written else ("check", place)))


def _progress(each: Obligation) -> None:
    typer.echo(f"{each.part}, {each.name}: {each.state}", err=True)


def _print(out: Output, obligations: Sequence[Obligation]) -> None:
    out.table(
        ("part", "of", "claim", "state", "s", "by"),
        [
            (each.part, each.name, each.claim, each.state, f"{each.seconds:.1f}", each.tool)
            for each in obligations
        ],
    )
    for each in obligations:
        if each.counterexample or each.reason:
            out.say(f"{each.part}, {each.name}: {each.outcome}")
    assumed = dict.fromkeys(sentence for each in obligations for sentence in each.assumptions)
    for sentence in assumed:
        out.say(f"assumed: {sentence}")
    count = sum(each.state == "proven" for each in obligations)
    out.say(f"{count} of {len(obligations)} proven")
