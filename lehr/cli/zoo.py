"""`lehr models`: the networks of the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lehr.cli import completing
from lehr.cli.console import Json, session

app = typer.Typer(help="List trained networks, and get one with its recipe.")


@app.command("list")
def list_models(
    markdown: Annotated[
        bool, typer.Option("--md", help="Print the page of the documentation, in Markdown.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the trained networks that `lehr models get` writes."""
    with session(as_json) as out:
        from dataclasses import asdict

        from lehr import zoo

        if markdown:
            from lehr.zoo.page import page

            for line in page(zoo.entries().values()).splitlines():
                out.say(line)
        else:
            out.then("models", "get", "digits")
            out.table(
                ("model", "what it is", "accuracy on the test set", "bytes", "comes with lehr"),
                [
                    (e.name, e.description, e.accuracy, f"{e.bytes:,}", _yes(e.bundled))
                    for e in zoo.entries().values()
                ],
            )
        out.facts["models"] = [asdict(each) for each in zoo.entries().values()]


@app.command()
def get(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A model of `lehr models list`.", autocompletion=completing.zoo
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="Folder to write; NAME if not given."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a trained network and its recipe into a folder.

    The folder holds 16 samples and its card, too.

    Its files are compared with their SHA-256. Those that do not come with lehr are fetched from the
    project's releases, or from where the environment variable LEHR_MODELS says.
    """
    with session(as_json) as out:
        from lehr import zoo
        from lehr.cli.data import transfers

        with transfers() as bar:
            folder = zoo.get(name, output, bar)
        model = zoo.entry(name)
        out.say(f"wrote {folder}: {', '.join(model.files)}")
        out.say(f"accuracy on the test set: {model.accuracy}")
        samples = folder / "samples.npz"
        target = model.target or "c"
        out.then("build", folder / "model.nir", "--target", target, "-i", samples, "-o", "out")
        out.facts.update(folder=str(folder), files=list(model.files), network=model.digest)


def _yes(it_is: bool) -> str:
    return "yes" if it_is else "no"
