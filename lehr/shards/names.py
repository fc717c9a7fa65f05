"""Which files are the shards of an input: those of a folder, or those that a list names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lehr.errors import UsageError
from lehr.reading import read_text
from lehr.text import shortened

LIST = "@"
"""Before the name of a text file that names a shard in each line."""
_LIST_BYTES = 1 << 26
_WAY_OUT = "give a text file with the path of a shard in each line"


def shards_of(path: Path, suffixes: Collection[str]) -> tuple[Path, list[Path]] | None:
    """Return the folder or the list that names shards, and them in order; None if it is neither.

    Args:
        path: of a folder, whose files are taken by name (hidden ones are left out), or `@LIST.txt`:
            the file LIST.txt has the path of a shard in each line, from its own folder on.
        suffixes: ends of the names of what may be a shard, in small letters.

    Raises:
        UsageError: when there is none, one is named twice, is not there or is no such file.
        FileRefused: when the list cannot be read.
    """
    if path.is_dir():
        shards = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    elif str(path).startswith(LIST) and not path.exists():
        path = Path(str(path).removeprefix(LIST))
        if not path.exists():
            raise UsageError(f"list {path} does not exist; {_WAY_OUT}")
        lines = read_text(path, _LIST_BYTES, _WAY_OUT).splitlines()
        shards = [path.parent / line.strip() for line in lines if line.strip()]
    else:
        return None
    if not shards:
        raise UsageError(f"{path} names no shard; give a folder with some, or a list of them")
    seen: dict[tuple[int, int], Path] = {}
    for each in shards:
        if not each.exists():
            raise UsageError(
                f"{path} names {shortened(str(each))!r}, which does not exist; leave it out, or "
                "get it again"
            )
        if not each.is_file() or each.suffix.lower() not in suffixes:
            raise UsageError(
                f"{each} is no shard; of {path} all have to be {', '.join(sorted(suffixes))}, so "
                f"take it away, or list the shards in a file and give {LIST}FILE"
            )
        status = each.stat()
        other = seen.setdefault((status.st_dev, status.st_ino), each)
        if other is not each:
            raise UsageError(f"{path} names {each} twice, as {other}; leave one out")
    return path, shards
