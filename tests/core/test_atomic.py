"""Whatever goes wrong while writing, what was there stays whole, and nothing half-written is left beside it."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lehr.artifact import BuildPlan
from lehr.atomic import write_bytes, writing, writing_folder
from lehr.errors import FileRefused

BIG = bytes(1 << 20)
NO_SPACE = r"cannot be written: No space left on device; free space there or choose another place \(nothing was changed\)$"


def write_file(place: Path, data: bytes) -> None:
    write_bytes(place, data)


def write_folder(place: Path, data: bytes) -> None:
    BuildPlan({"a/b.bin": data}).with_manifest({}).write(place)


def content(place: Path) -> bytes:
    return place.read_bytes() if place.is_file() else (place / "a" / "b.bin").read_bytes()


@pytest.fixture(params=[write_file, write_folder])
def write(request: pytest.FixtureRequest) -> Callable[[Path, bytes], None]:
    """Writes one file, or a folder of files."""
    writer: Callable[[Path, bytes], None] = request.param
    return writer


@pytest.fixture
def place(tmp_path: Path, write: Callable[[Path, bytes], None]) -> Path:
    """A place at which something was written before."""
    write(tmp_path / "out", b"before")
    return tmp_path / "out"


Write = Callable[[Path, bytes], None]


def untouched(place: Path) -> bool:
    return content(place) == b"before" and list(place.parent.iterdir()) == [place]


def test_what_is_written_replaces_what_was_there(write: Write, place: Path) -> None:
    write(place, b"after")
    assert content(place) == b"after"
    assert list(place.parent.iterdir()) == [place]


def test_a_folder_holds_nothing_of_the_one_before(tmp_path: Path) -> None:
    BuildPlan({"old/x": b""}).with_manifest({}).write(tmp_path / "out")
    BuildPlan({"new/y": b"1"}).with_manifest({}).write(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").rglob("*")) == ["manifest.json", "new", "y"]


def test_rights_are_those_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "file", b"")
        write_folder(tmp_path / "folder", b"")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "folder")] == [0o640, 0o750]


# -------------------------------------------------------------------- the disk is full
LIMITED = """
import resource, sys
from pathlib import Path
from lehr.artifact import BuildPlan
from lehr.atomic import write_bytes
from lehr.errors import FileRefused
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
place = Path(sys.argv[1])
try:
    if place.is_dir():
        BuildPlan({"a/b.bin": bytes(1 << 20)}).with_manifest({}).write(place)
    else:
        write_bytes(place, bytes(1 << 20))
except FileRefused as error:
    print(error)
"""


def test_a_file_beyond_the_limit_of_the_process_changes_nothing(place: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", LIMITED, place], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"{place} cannot be written: File too large; free space there or choose another place (nothing was changed)\n"
    assert untouched(place)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_no_space_at_the_last_moment_changes_nothing(write: Write, place: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(FileRefused, match=NO_SPACE):
            write(place, b"after")
    assert untouched(place)


def test_the_old_folder_comes_back_when_the_new_one_does_not_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "out", b"before")
    real, calls = os.replace, []

    def second_fails(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(FileRefused, match="cannot be written: Input/output error; "):
        write_folder(tmp_path / "out", b"after")
    assert len(calls) == 3
    assert untouched(tmp_path / "out")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("a small file system cannot be mounted here: there is no command 'mount'")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_that_is_really_full_changes_nothing(write: Write, small_disk: Path) -> None:
    place = small_disk / "out"
    write(place, b"before")
    with pytest.raises(FileRefused, match=NO_SPACE):
        write(place, BIG)
    assert untouched(place)
    write(place, b"after")
    assert content(place) == b"after"


# -------------------------------------------------------------------- other failures
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_of_the_writer_passes_and_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail(part: Path) -> None:
        part.write_bytes(b"half")
        raise error

    with pytest.raises(error), writing(tmp_path / "out") as part:
        fail(part)
    with pytest.raises(error), writing_folder(tmp_path / "out") as part:
        fail(part / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileRefused, match=r"folder cannot be written: Is a directory; "):
        write_bytes(tmp_path / "folder", b"")
    with pytest.raises(FileRefused, match=r"x cannot be written: No such file or directory; "):
        write_bytes(tmp_path / "missing" / "x", b"")
    with pytest.raises(FileRefused, match=r"cannot be written: File name too long; "):
        write_bytes(tmp_path / ("x" * 300), b"")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_link_to_a_folder_cannot_be_replaced_and_stays(tmp_path: Path) -> None:
    write_folder(tmp_path / "real", b"before")
    (tmp_path / "out").symlink_to("real")
    with pytest.raises(FileRefused, match=r"out cannot be written: "):
        write_folder(tmp_path / "out", b"after")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "out", tmp_path / "real"]
    assert content(tmp_path / "out") == b"before"


KILLED = """
import os, signal, sys
from pathlib import Path
from lehr.atomic import writing
with writing(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_leaves_the_old_file_whole(tmp_path: Path) -> None:
    write_bytes(tmp_path / "out", b"before")
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path / "out"]).returncode == -signal.SIGKILL
    assert (tmp_path / "out").read_bytes() == b"before"
