"""Tables of integers in text files, in which data sets list their samples."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused

_INTEGER = re.compile(r"[+-]?[0-9]+")


def read_table(path: Path, columns: int, what: str, *, delimiter: str | None = None, header: bool = False) -> npt.NDArray[np.int64]:
    """The rows of a text file, int64 `[rows, columns]`, at least one.

    Args:
        path: of the file; lines that begin with # are left out.
        columns: how many integers a row has.
        what: the columns' meaning, for the message.
        delimiter: between the columns; white space if None.
        header: whether the first line may name the columns; where it holds integers, it is the first row.

    Raises:
        FileRefused: when it is no such table.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty table is refused below
            skipped = int(header and not _begins_with_row(path, delimiter))
            rows = np.loadtxt(path, np.int64, delimiter=delimiter, skiprows=skipped, ndmin=2, encoding="utf-8-sig")
    except (ValueError, OverflowError) as error:
        raise FileRefused(f"{path} is no table of {what} ({error}); get it again from its official source") from None
    if rows.shape[1:] != (columns,) or not len(rows):
        raise FileRefused(f"{path} has rows of shape {rows.shape}, and is no table of {what}; get it again from its official source")
    return rows


def _begins_with_row(path: Path, delimiter: str | None) -> bool:
    """Whether the first line of a file holds integers, or is a comment, which is left out all the same."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        text = lines.readline().partition("#")[0].strip()
    return all(_INTEGER.fullmatch(cell.strip()) for cell in text.split(delimiter)) if text else True
