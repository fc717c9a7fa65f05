"""Files that nobody vouches for are read, or refused in time.

That is before they can hang, fill the memory or steer a terminal.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st

from lehr.errors import FileRefused
from lehr.reading import (
    MAX_DEPTH,
    MAX_VALUES,
    open_regular,
    parse_json,
    read_bytes,
    read_json,
    read_text,
    sha256_of,
)
from lehr.text import printable, shortened

AGAIN = "get it again"
LETTERS = st.text(st.characters(exclude_categories=("C", "Z")), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | LETTERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LETTERS, inner, max_size=4),
)


# -------------------------------------------------------------------- JSON
@budget(50, 333)
@given(VALUES)
def test_json_is_read_as_python_reads_it(value: Any) -> None:
    for text in (
        json.dumps(value),
        json.dumps(value, indent=2, sort_keys=True),
        json.dumps(value, ensure_ascii=False),
    ):
        assert parse_json(text.encode()) == json.loads(text) == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Expecting value: line 1 column 1"),
        (b"{", "Expecting property name"),
        (b"[1] [2]", "Extra data"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff"),
        (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM"),
        ("[]".encode("utf-16"), "'utf-8' codec can't decode byte 0xff"),
        (b"NaN", "NaN is no number"),
        (b'{"a": [Infinity]}', "Infinity is no number"),
        (b"-Infinity", "-Infinity is no number"),
        (b"1e400", "1e400 is more than a double holds"),
        (b"[-1e400]", "-1e400 is more than a double holds"),
        (b"1" + b"0" * 400, "a number has 401 digits"),
        (b"9" * 100_000, "a number has 100,000 digits"),
        (b"[" * 100_000, f"it nests deeper than {MAX_DEPTH} levels"),
        (b'{"a":' * 100_000, f"it nests deeper than {MAX_DEPTH} levels"),
        (
            b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
            f"it nests deeper than {MAX_DEPTH} levels",
        ),
        (b"[" + b"1," * MAX_VALUES + b"1]", f"it holds more than {MAX_VALUES:,} values"),
        (b'{"a": 1, "b": 2, "a": 3}', "key 'a' is there twice"),
        (b'[{"c": {"": 1, "": 1}}]', "key '' is there twice"),
        (b'{"a\\nb": 1}', r"key 'a\\nb' is no name"),
        (b'{"\\u001b[2J": 1}', r"key '\\x1b\[2J' is no name"),
        (
            b'{"a": "\\u001b]0;owned\\u0007"}',
            r"text '\\x1b\]0;owned\\x07' is too long, or would steer a terminal",
        ),
        (b'["\\u009b2J"]', r"text '\\x9b2J' is too long, or would steer a terminal"),
        (b'["\\ud800"]', r"text '\\ud800' is too long, or would steer a terminal"),
        (b'["\\u202egnp.exe"]', r"text '\\u202egnp.exe' is too long, or would steer a terminal"),
        (b'"' + b"x" * 100_000 + b'"', "text 'x{40}...x{40}' is too long"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_json_that_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse_json(data)
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(
        FileRefused, match=rf"^.*x\.json is no JSON as lehr writes it \({reason}.*\); get it again$"
    ):
        read_json(tmp_path / "x.json", AGAIN)


def test_json_as_deep_as_it_may_be() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


# -------------------------------------------------------------------- files
def odd(folder: Path, kind: str) -> Path:
    """Make something in a folder that is no regular file."""
    path = folder / "odd"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a pipe":
        os.mkfifo(folder / "pipe")
        path.symlink_to("pipe")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "loop":
        path.symlink_to("odd")
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("pipe", "is a pipe, no regular file"),
        ("link to a pipe", "is a pipe, no regular file"),
        ("device", "is a device, no regular file"),
        ("folder", "is a folder, no regular file"),
        ("socket", "is a socket, no regular file"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("nothing", "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_regular_file_is_named_and_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    path = odd(Path(), kind)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    for read in (
        lambda: read_bytes(path, 100, AGAIN),
        lambda: read_text(path, 100, AGAIN),
        lambda: read_json(path, AGAIN),
        lambda: sha256_of(path, AGAIN),
    ):
        with pytest.raises(FileRefused, match=rf"^odd {reason}; get it again$"):
            read()


def test_a_file_that_becomes_a_pipe_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    regular = (tmp_path / "file").stat()
    assert stat.S_ISREG(regular.st_mode)
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Path, "stat", lambda _: regular)
    with pytest.raises(FileRefused, match=r"pipe is a pipe, no regular file; get it again$"):
        open_regular(tmp_path / "pipe", AGAIN)


def test_files_and_links_to_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes('[1, "\u00e9"]'.encode())
    (tmp_path / "link").symlink_to("file")
    for path in (tmp_path / "file", tmp_path / "link"):
        assert read_bytes(path, 9, AGAIN) == b'[1, "\xc3\xa9"]'
        assert read_text(path, 9, AGAIN) == '[1, "\u00e9"]'
        assert read_json(path, AGAIN) == [1, "\u00e9"]
        assert sha256_of(path, AGAIN) == sha256(b'[1, "\xc3\xa9"]').hexdigest()
        with pytest.raises(FileRefused, match=r"has 9 bytes, the limit is 8; get it again$"):
            read_bytes(path, 8, AGAIN)


def test_a_file_without_an_end_takes_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(
        FileRefused,
        match=r"sparse has 1,099,511,627,776 bytes, the limit is 16,777,216; get it again$",
    ):
        read_json(tmp_path / "sparse", AGAIN)
    with pytest.raises(
        FileRefused, match=r"^/proc/self/status has [\d,]+ bytes, the limit is 10; get it again$"
    ):
        read_bytes(Path("/proc/self/status"), 10, AGAIN)  # which says that it has none


def test_text_and_paths_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(
        FileRefused, match=r"latin cannot be read as UTF-8: byte 3 is none; get it again$"
    ):
        read_text(tmp_path / "latin", 9, AGAIN)
    with pytest.raises(
        FileRefused, match=r"^'a\\x00b' is no path, as it holds a zero byte; get it again$"
    ):
        read_bytes(Path("a\0b"), 9, AGAIN)
    with pytest.raises(
        FileRefused, match=r"^x{5000} cannot be read: File name too long; get it again$"
    ):
        read_bytes(Path("x" * 5000), 9, AGAIN)


# -------------------------------------------------------------------- text
@budget(40, 333)
@given(st.text())
def test_printable_text_is_one_line_without_controls(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    assert (shown == text) == text.isprintable()


def test_what_is_shown_of_text() -> None:
    assert printable("\x1b[2J\nPASS\x9b\u202e\x00 h\u00e9 \u4f60") == "?[2J?PASS??? h\u00e9 \u4f60"
    assert shortened("short") == "short"
    assert shortened("a" * 40 + "b" * 5000 + "c" * 40) == "a" * 40 + "..." + "c" * 40
