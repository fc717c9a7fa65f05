"""Unpacking the archives in which data sets are published.

No path leads out of the folder, and no bomb fills the disk.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO

from lehr.errors import FileRefused

MAX_BYTES = 16 << 30
"""Three times what the largest official archive, that of DVS128 Gesture, unpacks to."""
_MAX_FILES = 1_000_000
_AGAIN = "get it again from its official source"
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


def unpack(archive: Path, folder: Path, limit: int = MAX_BYTES) -> None:
    """Unpack the files of a `.zip` or `.tar.gz`; links and devices are left out.

    Args:
        archive: to be unpacked.
        folder: to put the files in; on an error it may hold some of them.
        limit: bytes that all files together may have.

    Raises:
        FileRefused: when it is no such archive, is damaged, names a place outside of `folder` or
            unpacks to too much.
        OSError: when a file cannot be written.
    """
    left = limit
    try:
        with closing(_files(archive)) as files:
            for number, (name, size, stream) in enumerate(files):
                path = PurePosixPath(name.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts:
                    raise FileRefused(
                        f"{archive.name} holds {name!r}, a place outside of the folder; {_AGAIN}"
                    )
                left -= size
                if left < 0 or number >= _MAX_FILES:
                    raise FileRefused(
                        f"{archive.name} unpacks to more than {limit:,} bytes or {_MAX_FILES:,} "
                        f"files; {_AGAIN}"
                    )
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as out:
                    shutil.copyfileobj(stream, out, 1 << 20)
    except _DAMAGED as error:
        raise FileRefused(f"{archive.name} is no whole archive ({error}); {_AGAIN}") from None


def _files(archive: Path) -> Generator[tuple[str, int, IO[bytes]], None, None]:
    """Yield name, size and contents of each file, in the archive's order.

    Neither format's reader gives more bytes than the size it states.
    """
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    with packed.open(info) as stream:
                        yield info.filename, info.file_size, stream
        return
    with tarfile.open(archive, "r:gz") as taped:
        for member in taped:
            if member.isfile() and (part := taped.extractfile(member)):
                with part:
                    yield member.name, member.size, part
