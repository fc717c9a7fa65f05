"""Refusals of lehr, and the exit code that the command line gives for each.

A message is one sentence that names the thing, the value and the way out. Nothing in lehr raises a
bare `Exception` for bad input: a traceback is a bug of ours, and exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

SHOWN = 50
"""Refusals of one file that are printed, at most."""


class LehrError(Exception):
    """Base of all errors a user can cause or meet; `exit_code` is what the command line returns.

    Its arguments are sentences: one, or several that stand on lines of their own below their
    number.
    """

    exit_code: ClassVar[int] = 1
    subject = ""
    """Subject of several sentences, before their number."""

    def __str__(self) -> str:
        return "\n  ".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """The sentences, below their number where there are several."""
        if len(self.args) < 2:
            return [super().__str__()]
        shown = [str(reason) for reason in self.args[:SHOWN]]
        more = [f"and {len(self.args) - SHOWN:,} more"] if len(self.args) > SHOWN else []
        return [f"{self.subject}{len(self.args):,} refusals:", *shown, *more]

    def about(self, subject: str) -> Self:
        """Return the same with `subject` in front."""
        if len(self.args) < 2:
            return type(self)(f"{subject}{self}")
        other = type(self)(*self.args)
        other.subject = subject + self.subject
        return other


class UsageError(LehrError):
    """A wrong option, a recipe that does not parse, a folder that is not there."""

    exit_code = 2


class NotMappable(LehrError):
    """The network needs something that this target or engine does not compute."""

    exit_code = 3


class NotBitExact(LehrError):
    """Two stations of the line disagree in at least one spike or membrane."""

    exit_code = 4


class Undecided(LehrError):
    """A claim of which a tool says nothing within its time."""


class FileRefused(LehrError):
    """A file that cannot be read, contradicts itself, or cannot be written."""

    exit_code = 5


class ToolMissing(LehrError):
    """An external tool (a compiler, a simulator) that is not on this machine."""

    exit_code = 6


class WorkerLost(LehrError):
    """A worker, of this machine or of a cluster, that is lost however often its work is begun."""

    exit_code = 6


def together(problems: Iterable[str]) -> list[str]:
    """Return the sentences of an error for all that stands in the way, each once.

    Things that share a reason are named together.

    Args:
        problems: "thing: reason".
    """
    things: dict[str, list[str]] = {}
    for problem in dict.fromkeys(problems):
        thing, _, reason = problem.partition(": ")
        things.setdefault(reason, []).append(thing)
    return [f"{', '.join(names)}: {reason}" for reason, names in things.items()]
