"""Names of nodes as identifiers: letters, digits and underscores, no two alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LONGEST = 48


def identifiers(names: Iterable[str]) -> Mapping[str, str]:
    """Return an identifier for every name: the name itself where it is one and is not too long.

    Any other character becomes an underscore; where that makes two names alike, the later one gets
    a number. Names that stay as they are go first, so that no other name takes theirs.
    """
    names = tuple(names)
    chosen = {
        name: name
        for name in names
        if re.fullmatch(r"\w+", name, re.ASCII) and len(name) <= LONGEST
    }
    taken = set(chosen.values())
    for name in names:
        if name not in chosen:
            stem = re.sub(r"\W", "_", name, flags=re.ASCII)[:LONGEST]
            candidate, number = stem, 2
            while candidate in taken:
                candidate, number = f"{stem}_{number}", number + 1
            chosen[name] = candidate
            taken.add(candidate)
    return {name: chosen[name] for name in names}
