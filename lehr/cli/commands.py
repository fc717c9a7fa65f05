"""The commands of `lehr`: where each stands, and all of them, or one, put together."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from lehr import __version__
from lehr.cli.pages import Group, dress

GROUPS = {"recipes": "recipes", "targets": "targets", "models": "zoo"}
"""Groups of commands by name, and the modules whose `app` they are."""
COMMANDS = {
    "demo": "demo",
    "train": "training",
    "search": "searching",
    "export": "exporting",
    "quantize": "quantizing",
    "convert": "converting",
    "simulate": "simulating",
    "inspect": "inspecting",
    "widths": "widths",
    "check": "checking",
    "build": "artifacts",
    "verify": "artifacts",
    "prove": "proving",
    "report": "reporting",
    "conformance": "conformance",
    "doctor": "machine",
}
"""Commands by name, and the modules in which the functions of these names stand."""


def application(only: str = "") -> typer.Typer:
    """Return `lehr` with all of its commands and groups.

    Args:
        only: the one command or group that is called; the others are then neither imported nor
            made, which is most of what a short command would cost.
    """
    app = typer.Typer(
        name="lehr",
        cls=Group,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, module in GROUPS.items():
        if only in ("", name):
            app.add_typer(import_module(f"lehr.cli.{module}").app, name=name)
    for name, module in COMMANDS.items():
        if only in ("", name):
            app.command()(getattr(import_module(f"lehr.cli.{module}"), name))
    app.callback()(_root)
    dress(app)
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lehr {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take a trained spiking network to a chip, an FPGA or a C file, with no spike changed.

    Exit codes: 0 fine, 1 our fault, 2 usage, 3 not mappable, 4 not bit-exact, 5 file refused, 6
    tool missing.
    """
