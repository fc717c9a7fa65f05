"""What somebody meant who wrote a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], prefix: str = "") -> str:
    """A question that names the known word most like `word`, `prefix` before it; empty where none is like it."""
    similar = get_close_matches(word, list(dict.fromkeys(known)), n=1)
    return f"did you mean {prefix + similar[0]!r}?" if similar else ""
