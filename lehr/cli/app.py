"""All commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from lehr import __version__
from lehr.cli import artifacts, demo, machine, models, recipes, targets, training

app = typer.Typer(name="lehr", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(recipes.app, name="recipes")
app.add_typer(targets.app, name="targets")
for command in (
    demo.demo,
    training.train,
    training.export,
    models.simulate,
    models.inspect,
    artifacts.check,
    artifacts.build,
    artifacts.verify,
    machine.doctor,
):
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lehr {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """From a trained spiking network to a chip, an FPGA or a C file, with no spike changed on the way.

    Exit codes: 0 fine, 1 our fault, 2 usage, 3 not mappable, 4 not bit-exact, 5 file refused, 6 tool missing.
    """


def main() -> None:
    """Entry point of the command `lehr`."""
    app()
