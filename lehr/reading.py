"""Reading of files that nobody vouches for.

They are regular files of a bounded size, and JSON of bounded depth with finite numbers.

A folder that came from somebody else may hold a pipe that never ends, a link to a device that has
no end, or text that steers the terminal it is printed on. What lehr itself reads whole, it reads by
these functions.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

from lehr.errors import FileRefused
from lehr.text import shortened

JSON_BYTES = 1 << 24
"""Bytes of a JSON file at most, unless its reader says otherwise."""
MAX_DEPTH, MAX_VALUES, MAX_TEXT, MAX_DIGITS = 64, 1 << 20, 1 << 16, 64
"""Limits of JSON: levels of nesting, values in all, letters of a text, digits of an integer."""
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
# What steers a terminal or turns the order of letters around; a tab or a line's end in a text is no
# harm until it is printed.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def open_regular(path: Path, way_out: str) -> BufferedReader:
    """Open a regular file, or a link to one.

    A pipe or a device is not even opened, as that may wait for ever.

    Args:
        path: of the file.
        way_out: what the user can do where it is none.

    Raises:
        FileRefused: when there is no such file, it may not be read, or it is something else than a
            regular file.
    """
    try:
        _require_regular(path, path.stat().st_mode, way_out)
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        try:
            # it may have been exchanged meanwhile
            _require_regular(path, os.fstat(file.fileno()).st_mode, way_out)
        except FileRefused:
            file.close()
            raise
        return file
    except OSError as error:
        raise FileRefused(f"{path} cannot be read: {error.strerror}; {way_out}") from error
    except ValueError:
        raise FileRefused(f"{str(path)!r} is no path, as it holds a zero byte; {way_out}") from None


def _require_regular(path: Path, mode: int, way_out: str) -> None:
    if kind := kind_of(mode):
        raise FileRefused(f"{path} is {kind}, no regular file; {way_out}")


def kind_of(mode: int) -> str | None:
    """Return what a file is by its mode; None if it is a regular one."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


def read_bytes(path: Path, limit: int, way_out: str) -> bytes:
    """Read all of a regular file.

    Args:
        path: of the file.
        limit: how many bytes it may have.
        way_out: what the user can do where it is refused.

    Raises:
        FileRefused: when it is no regular file, has more bytes, or cannot be read.
    """
    with open_regular(path, way_out) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            data = b"" if size > limit else file.read(limit + 1)
        except OSError as error:
            raise FileRefused(f"{path} cannot be read: {error.strerror}; {way_out}") from None
    if max(size, len(data)) > limit:
        raise FileRefused(
            f"{path} has {max(size, len(data)):,} bytes, the limit is {limit:,}; {way_out}"
        )
    return data


def read_text(path: Path, limit: int, way_out: str) -> str:
    """Read all of a regular file, as text in UTF-8; a byte order mark before it is left out.

    Raises:
        FileRefused: as `read_bytes`, and when it is no UTF-8.
    """
    try:
        return read_bytes(path, limit, way_out).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileRefused(
            f"{path} cannot be read as UTF-8: byte {error.start:,} is none; {way_out}"
        ) from None


def read_json(path: Path, way_out: str, limit: int = JSON_BYTES) -> Any:
    """Return the value of a JSON file, see `parse_json`.

    Raises:
        FileRefused: as `read_bytes`, and when it is no such JSON.
    """
    data = read_bytes(path, limit, way_out)
    try:
        return parse_json(data)
    except ValueError as error:
        raise FileRefused(f"{path} is no JSON as lehr writes it ({error}); {way_out}") from None


def parse_json(data: bytes) -> Any:
    """Return the value of JSON text in UTF-8 that says everything once, in finite numbers.

    Raises:
        ValueError: when it is no JSON, nests too deep or holds too much, a number that a double
            does not hold, a key twice or one that cannot be printed, or text that would steer a
            terminal.
    """
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ValueError(f"it holds more than {MAX_VALUES:,} values")
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except RecursionError:
        raise _too_deep() from None
    _check(value, MAX_DEPTH)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"key {shortened(twice)!r} is there twice")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{shortened(text)} is more than a double holds")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def _too_deep() -> ValueError:
    return ValueError(f"it nests deeper than {MAX_DEPTH} levels")


def _check(value: Any, depth: int) -> None:
    """Refuse what nests deeper than `depth` levels, and text that must not be shown.

    That is names that cannot be printed, and text that would steer a terminal.
    """
    if isinstance(value, str) and (len(value) > MAX_TEXT or _STEERING.search(value)):
        raise ValueError(f"text {shortened(value)!r} is too long, or would steer a terminal")
    if isinstance(value, (dict, list)):
        if not depth:
            raise _too_deep()
        for name in value if isinstance(value, dict) else ():
            if len(name) > MAX_TEXT or not name.isprintable():
                raise ValueError(f"key {shortened(name)!r} is no name")
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth - 1)


def sha256_of(path: Path, way_out: str) -> str:
    """Return the hexadecimal sha256 of a regular file of any size.

    Raises:
        FileRefused: when it is no regular file, or cannot be read.
    """
    with open_regular(path, way_out) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise FileRefused(f"{path} cannot be read: {error.strerror}; {way_out}") from None
