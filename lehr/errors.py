"""Every way lehr can refuse, and the exit code the command line gives for it.

A message is one sentence that names the thing, the value and the way out. Nothing in lehr raises a bare `Exception` for bad
input: a traceback is a bug of ours, and exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

SHOWN = 50
"""How many refusals of one file are printed."""


class LehrError(Exception):
    """Base of all errors a user can cause or meet; `exit_code` is what the command line returns.

    Its arguments are sentences: one, or several that stand on lines of their own below their number.
    """

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        if len(self.args) < 2:
            return super().__str__()
        shown = [str(reason) for reason in self.args[:SHOWN]]
        more = [f"and {len(self.args) - SHOWN:,} more"] if len(self.args) > SHOWN else []
        return "\n  ".join([f"{len(self.args):,} refusals:", *shown, *more])


class UsageError(LehrError):
    """A wrong option, a recipe that does not parse, a folder that is not there."""

    exit_code = 2


class NotMappable(LehrError):
    """The network needs something that this target or engine does not compute."""

    exit_code = 3


class NotBitExact(LehrError):
    """Two stations of the line disagree in at least one spike or membrane."""

    exit_code = 4


class FileRefused(LehrError):
    """A file that cannot be read, contradicts itself, or cannot be written."""

    exit_code = 5


class ToolMissing(LehrError):
    """An external tool (a compiler, a simulator) that is not on this machine."""

    exit_code = 6


class Refusals:
    """Keeps refusals until all of them are known, so that they are told at once and not one a run."""

    def __init__(self) -> None:
        self._kept: list[LehrError] = []

    def __bool__(self) -> bool:
        return bool(self._kept)

    @property
    def reasons(self) -> tuple[str, ...]:
        """All sentences that were kept, each once."""
        return tuple(dict.fromkeys(str(reason) for error in self._kept for reason in error.args))

    def add(self, error: LehrError) -> None:
        """Keep a refusal."""
        self._kept.append(error)

    @contextmanager
    def collect(self, what: str = "") -> Iterator[None]:
        """Keep a refusal by what is done inside, with `what` in front, instead of passing it on."""
        try:
            yield
        except LehrError as error:
            self.add(type(error)(*(f"{what}{reason}" for reason in error.args)))

    def joined(self) -> LehrError:
        """What was kept as one error, of the first one's class."""
        return type(self._kept[0])(*self.reasons)

    def raise_all(self) -> None:
        """Raise what was kept, if anything."""
        if self._kept:
            raise self.joined()
