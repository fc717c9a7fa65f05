"""`lehr report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lehr.cli.console import Json, Output, session
from lehr.cli.options import FramesOption, Recorded

if TYPE_CHECKING:
    from lehr.report.making import Report

PAGE = Path("report.html")


def report(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|MODEL.nir|OUT|STUDY",
            help="A run, a network, a folder that `lehr build` wrote, or one of `lehr search`.",
        ),
    ],
    inputs: Recorded = None,
    frames: FramesOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="REPORT.html", help="Write a page; OUT is verified first."
        ),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--beside", metavar="RUN|OUT", help="Show the accuracy of this one beside, too."
        ),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--md", help="Write MODEL_CARD.md beside the page, too.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser of this machine.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a run, a network, a built folder or a search: numbers, or with -o a page with pictures.

    Example: lehr report RUN -o report.html

    --md and --open write report.html where -o names no other. What a source cannot tell is left
    out, with a sentence that says what to give to know it.
    """
    with session(as_json) as out:
        from lehr.report.inputs import Asked
        from lehr.report.making import make, require_place

        page = output or (PAGE if markdown or show else None)
        if page is not None:
            require_place(page, markdown=markdown)
        asked = None if inputs is None else Asked(inputs, frames)
        report = make(source, asked, beside or (), verify=page is not None)
        _print(out, source, report)
        out.checked = bool(report.facts.verdict.word)
        if report.facts.verdict.exit_code:
            out.fail(report.facts.verdict.exit_code)
        if page is None:
            return
        report.save(page, markdown=markdown)
        out.say(report.facts.verdict.sentence)
        out.say(f"wrote {page}{' and MODEL_CARD.md beside it' if markdown else ''}")
        out.facts["output"] = str(page)
        if show:
            import webbrowser

            webbrowser.open(page.absolute().as_uri())


def _print(out: Output, source: Path, report: Report) -> None:
    """Print the tables of a built folder, or of anything else what is known in short."""
    out.facts["report"] = report.facts.to_json()
    lacking = dict(report.facts.lacking)
    for text in report.facts.warnings:
        out.warn(text)
    if undigested := lacking.pop("verdict", ""):
        out.note(undigested.removesuffix("."))
    if report.facts.kind == "artefact":
        from lehr.targets.report import tables

        for table in tables(source):
            out.table(table.columns, table.rows, table.title)
            out.facts[table.title] = [
                dict(zip(table.columns, row, strict=True)) for row in table.rows
            ]
        return
    if (searched := report.gathered.searched) is not None:
        from lehr.report.searches import front_table

        front = front_table(searched)
        out.table(front.columns, front.rows, front.title)
    short = report.short
    out.table(short.columns, short.rows, short.title)
    for sentence in dict.fromkeys(lacking.values()):
        out.say(sentence)
