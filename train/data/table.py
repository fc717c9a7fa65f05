"""Tables of integers in text files, in which data sets list their samples."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.reading import read_bytes

_MAX_BYTES = 1 << 26
_AGAIN = "get it again from its official source"
_NUMBER = re.compile(r"[+-]?\.?[0-9].*")


def read_table(
    path: Path, columns: int, what: str, *, delimiter: str | None = None, header: bool = False
) -> npt.NDArray[np.int64]:
    """Return the rows of a text file, int64 `[rows, columns]`, at least one.

    Args:
        path: of the file; lines that begin with # are left out.
        columns: how many integers a row has.
        what: the columns' meaning, for the message.
        delimiter: between the columns; white space if None.
        header: whether the first line may name the columns; where a cell of it begins as a number
            does, it is the first row.

    Raises:
        FileRefused: when it is no such table.
    """
    data = read_bytes(path, _MAX_BYTES, _AGAIN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty table is refused below
            text = data.decode("utf-8-sig")
            skipped = int(header and not _begins_with_row(text, delimiter))
            rows = np.loadtxt(
                io.StringIO(text), np.int64, delimiter=delimiter, skiprows=skipped, ndmin=2
            )
    except (ValueError, OverflowError) as error:
        raise FileRefused(f"{path} is no table of {what} ({error}); {_AGAIN}") from None
    if rows.shape[1:] != (columns,) or not len(rows):
        raise FileRefused(
            f"{path} has rows of shape {rows.shape}, and is no table of {what}; {_AGAIN}"
        )
    return rows


def _begins_with_row(text: str, delimiter: str | None) -> bool:
    """Whether the first line of a text holds a number, or is a comment.

    A comment is left out all the same.
    """
    line = text.splitlines()[0].partition("#")[0].strip() if text else ""
    return any(_NUMBER.match(cell.strip()) for cell in line.split(delimiter)) if line else True
