"""Refusals that are kept until all of them are known.

They are raised at once so, and not one a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lehr.errors import LehrError


class Refusals:
    """The refusals so far."""

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
        """Return what was kept as one error, of the first one's class."""
        return type(self._kept[0])(*self.reasons)

    def raise_all(self) -> None:
        """Raise what was kept, if anything."""
        if self._kept:
            raise self.joined()
