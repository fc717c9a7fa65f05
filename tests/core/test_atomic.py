"""Failed writes leave what was there whole, and nothing half-written beside it."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lehr import atomic
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
    """Write one file, or a folder of files."""
    writer: Callable[[Path, bytes], None] = request.param
    return writer


@pytest.fixture
def place(tmp_path: Path, write: Callable[[Path, bytes], None]) -> Path:
    """Make a place at which something was written before."""
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
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "folder")] == [
        0o640,
        0o750,
    ]


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
    assert (
        ran.stdout
        == f"{place} cannot be written: File too large; free space there or choose another place (nothing was changed)\n"
    )
    assert untouched(place)


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "placing"])
def test_no_space_at_the_last_moment_changes_nothing(
    write: Write, place: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        if call == "placing":
            patch.setattr(os, "replace", _full)
            patch.setattr(atomic, "_exchanged", _full)
        else:
            patch.setattr(os, call, _full)
        with pytest.raises(FileRefused, match=NO_SPACE):
            write(place, b"after")
    assert untouched(place)


def test_the_old_folder_comes_back_when_the_new_one_does_not_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "out", b"before")
    real, calls = os.rename, []

    def second_fails(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(
        FileRefused, match=r"cannot be written: Input/output error; .* \(nothing was changed\)$"
    ):
        write_folder(tmp_path / "out", b"after")
    assert len(calls) == 3
    assert untouched(tmp_path / "out")


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM])
def test_where_folders_cannot_be_exchanged_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Fail the call as a file system without it does, or use a C library that has no such call."""

    class Without:
        def renameat2(self, *_: object) -> int:
            ctypes.set_errno(code)
            return -1

    for library in (Without(), object()):
        write_folder(tmp_path / "out", b"before")
        with monkeypatch.context() as patch:
            patch.setattr(ctypes, "CDLL", lambda *_, library=library, **__: library)
            write_folder(tmp_path / "out", b"after")
        assert content(tmp_path / "out") == b"after"
        assert list(tmp_path.iterdir()) == [tmp_path / "out"]


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_folders_are_exchanged_here_in_one_step(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", b"1")
    write_folder(tmp_path / "other", b"2")
    if not atomic._exchanged(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system exchanges no folders")
    assert (content(tmp_path / "one"), content(tmp_path / "other")) == (b"2", b"1")
    with pytest.raises(FileNotFoundError):
        atomic._exchanged(tmp_path / "one", tmp_path / "none")


# -------------------------------------------------------------------- the power is cut
def test_all_is_on_the_disk_before_it_gets_its_name_and_the_name_before_the_old_goes(
    write: Write, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str]] = []

    def log(kind: str, call: Callable[..., Any], name: Callable[[Any], str]) -> Callable[..., Any]:
        def logged(first: Any, *others: Any, **options: Any) -> Any:
            done.append((kind, name(first)))
            return call(first, *others, **options)

        return logged

    monkeypatch.setattr(
        os, "fsync", log("flush", os.fsync, lambda handle: str(Path(f"/dev/fd/{handle}").resolve()))
    )
    for module, call in ((atomic, "_exchanged"), (os, "replace")):
        monkeypatch.setattr(module, call, log("place", getattr(module, call), str))
    monkeypatch.setattr(shutil, "rmtree", log("remove", shutil.rmtree, str))
    write(place, b"after")
    (part,) = {name for kind, name in done if kind == "place"}
    above = str(place.parent)
    if place.is_file():
        assert done == [("flush", part), ("place", part), ("flush", above)]
    else:
        inner = [f"{part}/manifest.json", f"{part}/a/b.bin", f"{part}/a", part]
        assert done == [
            *(("flush", name) for name in inner),
            ("place", part),
            ("flush", above),
            ("remove", part),
        ]


@pytest.mark.parametrize(
    ("code", "refused"), [(errno.EINVAL, None), (errno.EIO, "Input/output error")]
)
def test_a_folder_that_cannot_be_flushed(
    write: Write, place: Path, monkeypatch: pytest.MonkeyPatch, code: int, refused: str | None
) -> None:
    """Some file systems flush no folders; a disk that fails is not said to have changed nothing."""
    real, above = os.fsync, os.stat(place.parent)  # noqa: PTH116

    def fails(handle: int) -> None:
        if os.path.samestat(os.fstat(handle), above):
            raise OSError(code, os.strerror(code))
        real(handle)

    monkeypatch.setattr(os, "fsync", fails)
    if refused is None:
        write(place, b"after")
    else:
        with pytest.raises(
            FileRefused,
            match=f"out is written, but a power cut may still undo it: {refused}; check the disk and write it",
        ):
            write(place, b"after")
    assert content(place) == b"after"
    assert list(place.parent.iterdir()) == [place]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Make a file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("a small file system cannot be mounted here: there is no command 'mount'")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, text=True
    )
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
def test_an_error_of_the_writer_passes_and_leaves_nothing(
    tmp_path: Path, error: type[BaseException]
) -> None:
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
    with pytest.raises(
        FileRefused,
        match=r"folder cannot be written: it is a folder, no regular file; choose another place",
    ):
        write_bytes(tmp_path / "folder", b"")
    with pytest.raises(FileRefused, match=r"x cannot be written: No such file or directory; "):
        write_bytes(tmp_path / "missing" / "x", b"")
    with pytest.raises(FileRefused, match=r"cannot be written: File name too long; "):
        write_bytes(tmp_path / ("x" * 300), b"")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_device_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    with pytest.raises(
        FileRefused,
        match=r"null cannot be written: it is a device, no regular file; choose another place",
    ):
        write_bytes(tmp_path / "null", b"x")
    assert [place.is_symlink() for place in tmp_path.iterdir()] == [True]


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
    assert (
        subprocess.run([sys.executable, "-c", KILLED, tmp_path / "out"]).returncode
        == -signal.SIGKILL
    )
    assert (tmp_path / "out").read_bytes() == b"before"
