"""The page of the documentation that lists the zoo."""

from __future__ import annotations

from collections.abc import Iterable

from lehr.zoo.getting import MIRROR, RELEASES
from lehr.zoo.index import IN_WHEEL, Entry
from lehr.zoo.rendering import rendered


def page(entries: Iterable[Entry]) -> str:
    """Return the page, in Markdown."""
    listed = list(entries)
    return rendered(
        "models.md.j2",
        entries=listed,
        fetched=[entry.name for entry in listed if not entry.bundled],
        limit=IN_WHEEL,
        releases=RELEASES,
        mirror=MIRROR,
    )
