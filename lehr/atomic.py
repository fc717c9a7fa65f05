"""Writing that either happens whole or not at all.

A file or folder is made beside its destination, flushed to the disk, and put in place by one
rename; a folder that is there is exchanged for the new one in one step (renameat2 of Linux,
renamex_np of macOS). Where the file system cannot exchange, the old folder is moved away and the
new one moved in; if the writer was killed between, whoever looks for the folder next puts the old
one back (`lehr.leftovers.recover`). Whatever was there stays until then, and a failure leaves
nothing behind; what a killed writer leaves is cleaned away by the next writing to the same place.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lehr.errors import FileRefused, UsageError
from lehr.leftovers import OLD, locked_part, new_name, remove_folder, sweep
from lehr.reading import kind_of

_AT_FDCWD, _EXCHANGE = -100, 2
_CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM)
_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
_KINDS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as .nir files are",
    b"PK\x03\x04": "an archive, as .npz files are",
    b"<!doctype html": "a page of HTML",
}
"""Kinds of files that take work to make, by their first bytes."""
_OVERTAKEN = (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST)
"""Errors of a rename if another writer has just put a folder there, or taken one away."""


@contextmanager
def writing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield an empty file beside `path`; when the block ends without an error, it becomes `path`.

    Args:
        path: to write.
        mode: rights of the file, of which the process's umask takes some.

    Raises:
        FileRefused: when the file cannot be written (no such folder, no right, no space left), or
            a pipe, a device, a folder or a file of another kind is there, which it would take the
            place of.
    """
    require_file_or_nothing(path)
    with _refusing(path), locked_part(path, folder=False, mode=mode) as part:
        yield part
        _flush(part)
        require_file_or_nothing(path)
        _require_same_kind(path, part)
        part.replace(path)
        _flush_place(path)


def write_bytes(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write `data` to `path`, whole or not at all."""
    with writing(path, mode) as part:
        part.write_bytes(data)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; when the block ends without an error, it becomes `path`.

    A folder that is already at `path` is replaced: the caller has made sure that it may be. The
    block may fill the folder that it is given, and may not replace it.

    Raises:
        FileRefused: when the folder cannot be written.
    """
    with _refusing(path), locked_part(path, folder=True, mode=0o777) as part:
        yield part
        for item in sorted(part.rglob("*"), reverse=True):  # what is in a folder comes before it
            _flush(item)
        _flush(part)
        _put_in_place(part, path)
        _flush_place(path)


def remove_whole(path: Path) -> None:
    """Remove the folder at `path`, if one is there, so that no half of it is ever found.

    What cannot be removed stays.
    """
    sweep(path)
    with suppress(OSError):
        remove_folder(path, path)


def require_file_or_nothing(path: Path) -> None:
    """Refuse to put a file in the place of a pipe, a device (/dev/null is one) or a folder.

    Raises:
        FileRefused: saying what is there.
    """
    with _refusing(path):
        if path.exists() and (kind := kind_of(path.stat().st_mode)):
            way_out = "choose another place (nothing was changed)"
            raise FileRefused(f"{path} cannot be written: it is {kind}, no regular file; {way_out}")


def require_another_file(output: Path | None, *inputs: Path | None) -> None:
    """Refuse to write a result over what it is made of.

    Args:
        output: to write; nothing if None.
        inputs: files that are read; None where one is not given.

    Raises:
        UsageError: naming the input.
    """
    if output is None or not output.exists():
        return
    for each in inputs:
        if each is not None and each.exists() and output.samefile(each):
            raise UsageError(f"{output} is an input of this command; write to another file")


def _require_same_kind(path: Path, part: Path) -> None:
    """Refuse that a network, an archive or a page is lost to a file of another kind."""
    if path.exists() and (kind := _kind(path)) not in (None, _kind(part)):
        raise FileRefused(
            f"{path} cannot be written: {kind}, is there, and would be lost; choose another place, "
            "or remove it (nothing was changed)"
        )


def _kind(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(max(map(len, _KINDS)))
    return next(
        (kind for first, kind in _KINDS.items() if start.lower().startswith(first.lower())), None
    )


def _put_in_place(part: Path, path: Path) -> None:
    """Make `part` the folder at `path`; the one that was there is at `part` afterwards."""
    while True:
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(path.lstat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        try:
            if not path.exists():
                part.rename(path)  # not onto a folder that holds anything
            elif not _exchanged(part, path):
                _replace_by_renames(part, path)
        except OSError as error:
            if error.errno in _OVERTAKEN and part.exists():
                continue
            raise
        return


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where this system or file system cannot.

    Raises:
        OSError: when it can, and fails.
    """
    libc, names = ctypes.CDLL(None, use_errno=True), (os.fsencode(one), os.fsencode(other))
    try:
        if sys.platform == "darwin":
            failed = libc.renamex_np(*names, _EXCHANGE)
        else:
            failed = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE)
    except AttributeError:  # a C library without it
        return False
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code))


def _replace_by_renames(part: Path, path: Path) -> None:
    old = new_name(path, OLD)
    try:
        path.rename(old)
        part.rename(path)
    except BaseException:
        sweep(path)
        raise
    with suppress(FileNotFoundError):  # another writer has cleaned it away
        old.rename(part)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        way_out = (
            "make its folder first"
            if error.errno == errno.ENOENT
            else "free space there or choose another place (nothing was changed)"
        )
        raise FileRefused(f"{path} cannot be written: {_reason(error)}; {way_out}") from error


def _flush_place(path: Path) -> None:
    """Flush the folder in which `path` has just got its name."""
    try:
        _flush(path.parent)
    except OSError as error:
        raise FileRefused(
            f"{path} is written, but a power cut may still undo it: {_reason(error)}; check the "
            "disk and write it again"
        ) from error


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some file systems flush no folders
        if not (error.errno in _CANNOT_FLUSH and path.is_dir()):
            raise
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
