"""Writing that either happens whole or not at all.

A file or folder is made beside its destination, flushed to the disk, and put in place by one rename. Whatever was there stays
until then, and a failure leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lehr.errors import FileRefused


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends without an error, it becomes `path`.

    Raises:
        FileRefused: when the file cannot be written (no such folder, no right, no space left).
    """
    part: Path | None = None
    try:
        handle, made = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        part = Path(made)
        yield part
        part.chmod(0o666 & ~_umask())
        _flush(part)
        part.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with writing(path) as part:
        part.write_bytes(data)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; when the block ends without an error, it becomes `path`.

    A folder that is already at `path` is replaced: the caller has made sure that it may be.

    Raises:
        FileRefused: when the folder cannot be written.
    """
    part: Path | None = None
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        yield part
        part.chmod(0o777 & ~_umask())
        for item in sorted(part.rglob("*")):
            _flush(item)
        _put_in_place(part, path)
        _flush(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


def _put_in_place(part: Path, path: Path) -> None:
    if not path.exists():
        part.replace(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    try:
        path.replace(old)
        part.replace(path)
    except BaseException:
        if path.exists():
            old.rmdir()
        else:
            old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(path: Path, error: OSError) -> FileRefused:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return FileRefused(f"{path} cannot be written: {reason}; free space there or choose another place (nothing was changed)")
