"""Help pages, and what is said of a command line that cannot be read: by typer, but in lehr's words."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from lehr.cli.console import session
from lehr.cli.examples import EXAMPLES
from lehr.errors import UsageError
from lehr.spelling import nearest, one_of

_HYPHEN = "\u2010"
"""It stands for a hyphen while lines are broken, so that they break at spaces only."""

_COMPLETING, _ENOUGH = "_LEHR_COMPLETE", "10000"
"""The variable by which a shell asks for what can be typed, and columns in which no help that goes with it needs two lines."""
_TyperContext: Any = TyperCommand.context_class
_TyperFormatter: Any = _TyperContext.formatter_class


class _Formatter(_TyperFormatter):  # type: ignore[misc]
    """Writes a help page without breaking words."""

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _HYPHEN))

    def write_dl(self, rows: Sequence[tuple[str, str]], *args: Any, **options: Any) -> None:
        super().write_dl(
            [(name, text.replace("-", _HYPHEN)) for name, text in rows], *args, **options
        )

    def getvalue(self) -> str:
        return str(super().getvalue()).replace(_HYPHEN, "-")


class _Context(_TyperContext):  # type: ignore[misc]
    formatter_class = _Formatter


class _Command(TyperCommand):
    context_class = _Context

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples of a command below its options."""
        _write_examples(ctx, formatter)


class Group(TyperGroup):
    """A command with commands below it, whose mistakes in usage are told as other errors are."""

    context_class = _Context

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples of a group below its commands."""
        _write_examples(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the group's name; where there are none, its help page is the answer."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(UsageError.exit_code)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first word names."""
        known, word = self.list_commands(ctx), args[0]
        if word not in known and not word.startswith("-") and not ctx.resilient_parsing:
            raise UsageError(f"{ctx.command_path} has no command {word!r}; {one_of(word, known)}")
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> NoReturn:
        """Run a command, and end with its exit code.

        Typer itself prints a page where a command line cannot be read, and never JSON.
        """
        words = sys.argv[1:] if args is None else list(args)
        if _COMPLETING in os.environ:
            os.environ["COLUMNS"] = _ENOUGH
        try:
            code = super().main(words, *rest, **{**options, "standalone_mode": False})
        except UsageError as error:
            code = _refused(str(error), words)
        except typer.TyperException as error:
            code = _refused(_sentence(error), words)
        sys.exit(code)


def dress(app: typer.Typer) -> None:
    """Let every command below `app`, and below its groups, write its page as this module does."""
    for command in app.registered_commands:
        command.cls = _Command
    for group in app.registered_groups:
        group.cls = Group
        if group.typer_instance is not None:
            dress(group.typer_instance)


def _refused(sentence: str, words: Sequence[str]) -> int:
    """Tell what is wrong with a command line, and return the exit code."""
    try:
        with session("--json" in words):
            raise UsageError(sentence)
    except typer.Exit as ended:
        return ended.exit_code


def _sentence(error: Any) -> str:
    """What typer says of a command line that it cannot read, with the way out."""
    path = error.ctx.command_path if error.ctx else "lehr"
    page = f"see '{path} --help'"
    if word := getattr(error, "option_name", None):
        known = (
            [name for each in error.ctx.command.params for name in each.opts] if error.ctx else []
        )
        if word not in known and error.ctx:
            asked = nearest(word, [name for name in known if name.startswith("--")])
            return f"{path} has no option {word}; {asked or page}"
        return f"option {word} needs a value; give one after it"
    message = error.format_message().rstrip(".")
    return f"{path}: {message[0].lower()}{message[1:]}; {page}"


def _write_examples(ctx: Any, formatter: Any) -> None:
    name = " ".join(ctx.command_path.split()[1:])
    if lines := EXAMPLES.get(name):
        with formatter.section("Examples"):
            for line in lines:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
