"""`lehr conformance`: the golden networks as files, for tools that are not lehr."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lehr.cli.console import Json, session


def conformance(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="A folder; what stood there is replaced."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Write networks and their traces to test other tools with.

    Traces are inputs, spikes and membranes. A simulator or chip that computes the same means what
    lehr means.
    """
    with session(as_json) as out:
        from lehr.targets.conformance.vectors import write_vectors

        index = write_vectors(output)
        out.table(
            ("network", "is there for"),
            [(entry["name"], ", ".join(entry["for"])) for entry in index],
        )
        out.say(
            f"wrote {len(index)} networks to {output}; docs/fixed-point-nir.md says how they are "
            "read"
        )
        out.facts.update(output=str(output), networks=index)
        out.then("inspect", output / f"{index[0]['name']}.nir")
