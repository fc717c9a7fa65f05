"""Text that came out of a file or from a command line, as it may be shown."""

from __future__ import annotations

_END = 40


def printable(text: str) -> str:
    r"""`text` on one line, with whatever would steer a terminal written out, as in `\x1b`."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def shortened(text: str) -> str:
    """`text`, or its two ends where it is too long to be read."""
    return text if len(text) <= 3 * _END else f"{text[:_END]}...{text[-_END:]}"
