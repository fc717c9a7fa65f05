"""A report: gathered, shown, and written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lehr.artifact import MANIFEST
from lehr.atomic import require_file_or_nothing, write_bytes
from lehr.errors import UsageError
from lehr.report.card import card
from lehr.report.facts import Facts
from lehr.report.gather import Gathered, gather, source_at
from lehr.report.inputs import Asked, Given
from lehr.report.page import page, sections
from lehr.report.section import Section
from lehr.report.sections.verdict import rows
from lehr.runstate import STATE
from lehr.shown import Shown, Table

CARD = "MODEL_CARD.md"


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """Report of a run, a network or a built folder.

    Attributes:
        gathered: the facts, and what pictures are drawn of.
    """

    gathered: Gathered = field(repr=False)

    @property
    def facts(self) -> Facts:
        """All that it says, as plain data."""
        return self.gathered.facts

    @cached_property
    def sections(self) -> list[Section]:
        """Its items; drawn when they are first asked for.

        Raises:
            ToolMissing: when matplotlib is not installed.
        """
        return sections(self.gathered)

    @cached_property
    def html(self) -> str:
        """The page."""
        return page(self.facts, self.sections)

    @cached_property
    def markdown(self) -> str:
        """The model card."""
        return card(self.facts, self.sections)

    def save(self, path: str | Path, *, markdown: bool = False) -> None:
        """Write the page, and beside it MODEL_CARD.md where that is asked for.

        Raises:
            UsageError: when it would lie in a folder that holds only what lehr built.
            FileRefused: when it cannot be written.
        """
        require_place(Path(path), markdown=markdown)
        files = {Path(path): self.html}
        if markdown:
            files[Path(path).parent / CARD] = self.markdown
        for place, text in files.items():
            write_bytes(place, text.encode())

    @property
    def short(self) -> Table:
        """Table of what is known, in short."""
        return self._table()

    def _table(self) -> Table:
        verdict = self.facts.verdict
        line = f"{self.facts.kind} {self.facts.name}: {verdict.word or 'no verdict'}"
        return Table(line, ("what", "value"), rows(self.facts))


def make(
    path: Path,
    given: Given | Asked | None = None,
    beside: Sequence[Path] = (),
    *,
    verify: bool = True,
) -> Report:
    """Gather a report.

    Args:
        path: a run, a model's file, or a built folder.
        given: samples.
        beside: other runs and built folders, whose accuracies stand beside.
        verify: whether built folders are run in their own tools.
    """
    others = [source_at(other) for other in beside]
    return Report(gather(source_at(path), given, others, verify=verify))


def require_place(path: Path, *, markdown: bool = False) -> None:
    """Refuse a place for a page in a folder of lehr's, which could then not be built or verified.

    Raises:
        UsageError: when it is.
        FileRefused: when a pipe, a device or a folder is there.
    """
    for parent in path.absolute().parents:
        for mark in (MANIFEST, STATE):
            if (parent / mark).is_file():
                raise UsageError(
                    f"{path} would lie in {parent}, which holds only what lehr wrote there; choose "
                    "another place"
                )
    require_file_or_nothing(path)
    if markdown:
        require_file_or_nothing(path.parent / CARD)
