"""Text that came out of a file or from a command line, as it may be shown."""

from __future__ import annotations

_END = 40


def printable(text: str) -> str:
    """Return text on one line, without what would steer a terminal."""
    return (
        text
        if text.isprintable()
        else "".join(letter if letter.isprintable() else "?" for letter in text)
    )


def shortened(text: str) -> str:
    """Return text, or its two ends if it is too long to be read."""
    return text if len(text) <= 3 * _END else f"{text[:_END]}...{text[-_END:]}"
