"""The parts that all commands share: results, progress, errors, JSON, a verdict, an exit code.

Results go to stdout, progress and errors to stderr; JSON is printed on request.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from lehr.cli import layout
from lehr.errors import FileRefused, LehrError, ToolMissing, UsageError
from lehr.extras import missing_package
from lehr.launched import Launched
from lehr.text import printable, shortened

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")
]
INTERRUPTED = 130
SCHEMA = "lehr-cli/1"
"""The name by which --json's output calls itself; docs/json.md says what changes the number."""
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
_LONG_WORD = re.compile(r"\S{300,}")


class Output:
    """Collects what a command has to say.

    Attributes:
        facts: what --json prints.
        checked: set by a command that has checked something; only then may it end in PASS.
        exit_code: other than 0 when the command's answer is no; it says why.
        process: this one, of those that a launcher has started; set by a command that several
            processes run together. The first of them prints.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.facts: dict[str, Any] = {}
        self.checked = False
        self.exit_code = 0
        self.process = Launched()
        self._next = ""

    def say(self, text: str = "") -> None:
        """Print a line of the result, for people."""
        if not self.as_json and self.process.prints:
            for line in layout.wrapped(printable(text), layout.columns()):
                typer.echo(line)

    def note(self, text: str) -> None:
        """Say what one must know of the result: a line for people, one of `notes` for --json."""
        self.say(f"note: {text}")
        self.facts.setdefault("notes", []).append(text)

    def then(self, *words: object) -> None:
        """Name the command that one gives next, `lehr` before its words, unless this one fails."""
        self._next = shlex.join(("lehr", *map(str, words)))

    def warn(self, text: str) -> None:
        """Warn that the result is doubtful: a line on stderr, one of `warnings` for --json."""
        if self.process.prints:
            typer.echo(f"warning: {printable(text)}", err=True)
        self.facts.setdefault("warnings", []).append(text)

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = ""
    ) -> None:
        """Print a table of the result, for people; numbers are aligned to the right.

        Nothing is printed if there are no rows.
        """
        if self.as_json or not rows or not self.process.prints:
            return
        width = layout.columns_of_tables()
        if title:
            self.say(title)
        content = layout.lines_of_table(
            list(map(printable, columns)),
            [[printable(str(cell)) for cell in row] for row in rows],
            width,
        )
        if isinstance(content, Iterator):
            for line in content:
                typer.echo(line)
            return
        from rich.console import Console

        Console(highlight=False, markup=False, width=width).print(content)

    def fail(self, code: int) -> None:
        """Record that the answer is no."""
        self.exit_code = code

    def end(self) -> None:
        """Print the next command and the verdict; with --json all facts.

        The verdict is FAIL, or PASS if something was checked.
        """
        if not self.process.prints:
            return
        verdict = "FAIL" if self.exit_code else "PASS" if self.checked else ""
        then = "" if self.exit_code else self._next
        if self.as_json:
            result = {"result": verdict} if verdict else {}
            facts = {"schema": SCHEMA, **self.facts, **({"next": then} if then else {})}
            typer.echo(json.dumps({**facts, "exit_code": self.exit_code, **result}, indent=2))
            return
        if then:
            for line in layout.command(f"next: {printable(then)}", layout.columns()):
                typer.echo(line)
        if verdict:
            typer.echo(verdict)


class _ToStderr(logging.Handler):
    """Passes on what lehr itself logs while it works, above the progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{record.getMessage()}\n")


@contextmanager
def _heard() -> Iterator[None]:
    logger, handler = logging.getLogger("lehr"), _ToStderr()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def session(as_json: bool) -> Iterator[Output]:
    """Run a command's body; print its verdict; turn errors into one sentence and an exit code.

    Whatever is printed for people may come from a file of anybody's: it is printed without what
    steers a terminal.
    """
    out = Output(as_json)
    message, lines = None, list[str]()
    try:
        with _heard():
            yield out
    except LehrError as error:
        message, out.exit_code = _of_a_path(error.__cause__) or (str(error), error.exit_code)
        lines = error.lines if message == str(error) else [message]
    except KeyboardInterrupt:
        message, out.exit_code = (
            "interrupted; the result was not written (an interrupted 'lehr train' goes on with "
            "--resume, a 'lehr search' with the same command)",
            INTERRUPTED,
        )
    except BrokenPipeError:
        _silence()
        raise typer.Exit(1) from None
    except MemoryError:
        message, out.exit_code = "memory ran out; use fewer samples or a smaller batch", 1
    except Exception as error:
        if os.environ.get("LEHR_DEBUG"):
            raise
        message, out.exit_code = _unexpected(error)
    if message:
        out.facts["error"] = _LONG_WORD.sub(_shortened, message)
        if out.process.fail():
            _say_error(lines or [message])
        out.process.explained()
    _end(out, silent=bool(message))


def _end(out: Output, *, silent: bool) -> NoReturn:
    """Print the verdict and exit; if stdout takes nothing, print only what was not said before."""
    try:
        out.end()
    except BrokenPipeError:
        _silence()
        raise typer.Exit(out.exit_code or 1) from None
    except OSError as error:
        _silence()
        if not silent:
            typer.echo(
                f"error: the result cannot be printed: {error.strerror}; let it go elsewhere",
                err=True,
            )
        raise typer.Exit(out.exit_code or FileRefused.exit_code) from None
    raise typer.Exit(out.exit_code)


def _say_error(sentences: Sequence[str]) -> None:
    first, *rest = (printable(_LONG_WORD.sub(_shortened, sentence)) for sentence in sentences)
    for line in (f"error: {first}", *(f"  {each}" for each in rest)):
        for part in layout.wrapped(line, layout.columns(sys.stderr)):
            typer.echo(part, err=True)


def _shortened(word: re.Match[str]) -> str:
    return shortened(word[0])


def _of_a_path(error: BaseException | None) -> tuple[str, int] | None:
    """Return the sentence and the exit code for a path that this system does not take.

    None for any other error. It does not matter where the path was first used.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return (
            f"path {error.filename}: {os.strerror(error.errno)}; give another one",
            UsageError.exit_code,
        )
    return None


def _unexpected(error: Exception) -> tuple[str, int]:
    """Return the sentence and the exit code for an error that nobody foresaw where it arose.

    It is a bug, unless the machine lacks something.
    """
    if isinstance(error, ImportError) and (missing := missing_package(error, "this command")):
        return missing, ToolMissing.exit_code
    if refusal := _of_a_path(error):
        return refusal
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        where = (
            f"{error.filename} cannot be written"
            if error.filename
            else "a temporary file or the result cannot be written"
        )
        return (
            f"{where}: {os.strerror(error.errno)}; free space there, or let TMPDIR be another "
            "folder",
            FileRefused.exit_code,
        )
    return (
        f"{type(error).__name__}: {error}; this is a bug of lehr: report it with LEHR_DEBUG=1 set",
        1,
    )


def _silence() -> None:
    """Discard what stdout still gets: nobody reads it, and Python would try again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def bar(*columns: ProgressColumn, width: int = 40) -> Progress:
    """Return a progress bar on stderr; nothing is shown if that is no terminal.

    Args:
        columns: what follows the bar's name and the bar, which both give way to it where the
            terminal is narrow.
        width: of the bar, at most.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task
    from rich.text import Text

    class Name(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(printable(task.description), no_wrap=True, overflow="ellipsis")

    console = Console(stderr=True)
    shown = (Name(), BarColumn(width), *columns)
    return Progress(*shown, console=console, transient=True, disable=not console.is_terminal)


def progress() -> Progress:
    """Return a progress bar on stderr that shows the time it has taken and the time left."""
    from rich.progress import MofNCompleteColumn, TimeElapsedColumn, TimeRemainingColumn

    return bar(MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())


@contextmanager
def epochs_progress() -> Iterator[Progress]:
    """Yield a progress bar on stderr of epochs, with the time that has passed and that is left.

    The latter is the task's field `left`. Trainings at the same time share the one bar.
    """
    from rich.progress import TextColumn, TimeElapsedColumn
    from rich.table import Column

    if not _EPOCHS:
        whole = Column(no_wrap=True)
        made = bar(
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(table_column=whole),
            TextColumn("{task.fields[left]} left"),
            width=20,
        )
        made.start()
        _EPOCHS.append(made)
    else:
        _EPOCHS.append(_EPOCHS[0])
    shared = _EPOCHS[0]
    try:
        yield shared
    finally:
        _EPOCHS.pop()
        if not _EPOCHS:
            shared.stop()


_EPOCHS: list[Progress] = []
"""The bar of epochs, once for each training that it shows."""


def samples_progress() -> Progress:
    """Return a progress bar on stderr that shows samples per second."""
    from rich.progress import MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} samples/s" if task.speed else "")

    return bar(MofNCompleteColumn(), Speed(), TimeRemainingColumn())


def percent(share: float) -> str:
    """Return a share as people read it.

    One that is not nothing, or not all, is not rounded to that.
    """
    if 0 < share < 0.00005:
        return "< 0.01 %"
    if 0.99995 <= share < 1:
        return "> 99.99 %"
    return f"{100 * share:.2f} %"


def shape_text(shape: Iterable[int]) -> str:
    """Return a shape as people write it."""
    return "x".join(map(str, shape))
