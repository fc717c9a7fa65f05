"""All commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from lehr import __version__
from lehr.cli import recipes, targets, zoo
from lehr.cli.artifacts import build, verify
from lehr.cli.checking import check
from lehr.cli.conformance import conformance
from lehr.cli.converting import convert
from lehr.cli.demo import demo
from lehr.cli.exporting import export
from lehr.cli.inspecting import inspect
from lehr.cli.machine import doctor
from lehr.cli.pages import Group, dress
from lehr.cli.quantizing import quantize
from lehr.cli.reporting import report
from lehr.cli.simulating import simulate
from lehr.cli.training import train
from lehr.cli.widths import widths

app = typer.Typer(
    name="lehr",
    cls=Group,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(recipes.app, name="recipes")
app.add_typer(targets.app, name="targets")
app.add_typer(zoo.app, name="models")
for command in (
    demo,
    train,
    export,
    quantize,
    convert,
    simulate,
    inspect,
    widths,
    check,
    build,
    verify,
    report,
    conformance,
    doctor,
):
    app.command()(command)
dress(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lehr {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take a trained spiking network to a chip, an FPGA or a C file, with no spike changed.

    Exit codes: 0 fine, 1 our fault, 2 usage, 3 not mappable, 4 not bit-exact, 5 file refused, 6
    tool missing.
    """


def main() -> None:
    """Run the command `lehr`."""
    app()
