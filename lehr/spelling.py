"""What somebody meant who wrote a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_ALIKE = 0.7
"""Of difflib's ratio: a letter wrong in a word of four, but no word that only shares some letters."""


def nearest(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return a question that names the known word most like `word`, `prefix` before it; empty where none is like it."""
    similar = get_close_matches(word, list(dict.fromkeys(known)), n=1, cutoff=_ALIKE)
    return f"did you mean {prefix + similar[0]!r}?" if similar else ""


def one_of(word: str, known: Iterable[str], way_out: str = "use one of") -> str:
    """Return a way out for a word that is not known: the known one most like it, where any is, and all of them after `way_out`."""
    names = list(known)
    asked = nearest(word, names)
    return f"{asked} {way_out} {', '.join(names)}".strip()


def either(word: str, known: Iterable[str]) -> str:
    """Return a way out for a word that is none of a few: as `one_of`, but each as it is written, with "or" between them."""
    names = list(known)
    return f"{nearest(word, names)} use {' or '.join(map(repr, names))}".strip()


def option(name: str) -> str:
    """Return the command line's option for an argument of Python: "--decay-bits" for "decay_bits"."""
    return "--" + name.replace("_", "-")
