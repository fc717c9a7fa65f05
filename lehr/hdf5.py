"""Reading an HDF5 file that nobody vouches for, into plain dictionaries.

HDF5 is a file system in a file, read by a library in C that was not written for hostile input. So
the file is read by a process of its own (lehr/hdf5child.py), which has limits on memory, time and
files and walks through everything before it reads a number. This module starts that process, does
not believe what it answers (lehr/hdf5wire.py), and turns each of its ends into one sentence.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from lehr.errors import FileRefused, ToolMissing, UsageError
from lehr.hdf5limits import Limits
from lehr.hdf5whole import require_whole
from lehr.hdf5wire import Declared, Tree, receive
from lehr.leftovers import recover

__all__ = ["GRAPH", "Declared", "Limits", "Tree", "library", "read_tree"]

GRAPH = Limits()
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PATIENCE = 6  # seconds to wait for one of processor time: the machine may be busy
# Neither the folder one is in, which may be the attacker's, nor the environment decides what is
# imported.
_START = "import sys; sys.path[:] = {path!r}; from lehr.hdf5child import main; main()"


def read_tree(path: Path, limits: Limits = GRAPH) -> Tree:
    """Read everything in an HDF5 file.

    Groups become dictionaries, data sets numpy arrays, numbers, text or nested lists of text; one
    whose rows are arrays of variable length becomes a list of arrays.

    Args:
        path: of the file.
        limits: what it may hold.

    Raises:
        UsageError: when there is no such file.
        FileRefused: when it is not HDF5, is damaged, holds anything but a bounded tree of numbers
            and text, or makes its reader fail.
    """
    recover(path)
    if not path.is_file():
        inside = sorted(each.name for each in path.glob("*.nir")) if path.is_dir() else []
        remedy = (
            f"it is a folder: did you mean {path / inside[0]}?"
            if inside
            else "give the path of a .nir file"
        )
        raise UsageError(f"{path} is no file; {remedy}")
    try:
        file = path.open("rb")
    except OSError as error:
        raise FileRefused(
            f"{path} cannot be read: {error.strerror}; ask for the right to read it"
        ) from None
    with file:
        size = os.fstat(file.fileno()).st_size
        if size > limits.file_bytes:
            raise FileRefused(
                f"{path} has {size:,} bytes, the limit is {limits.file_bytes:,}; give a smaller "
                "file"
            )
        try:
            if not _is_hdf5(file, size):
                raise FileRefused(
                    f"is not an HDF5 file (empty, cut short or of another format); {limits.remedy}"
                )
            require_whole(file.fileno(), limits.remedy)
            return _read(file, limits.of(size))
        except FileRefused as error:
            raise FileRefused(f"{path}: {error}") from None


@cache
def library() -> str:
    """Return the path of the HDF5 library in C: a module of h5py, which loads it.

    Raises:
        ToolMissing: when h5py is not installed.
    """
    spec = find_spec("h5py")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("defs.*")):
            if path.name.endswith(tuple(EXTENSION_SUFFIXES)):
                return str(path)
    raise ToolMissing(
        "package h5py is not installed, which brings the HDF5 library; pip install h5py"
    )


def _is_hdf5(file: IO[bytes], size: int) -> bool:
    """Return whether the signature stands at a place where HDF5 may have it.

    That is the start, or behind 512 bytes of others, or twice as many, and so on.
    """
    start = 0
    while start < size:
        if os.pread(file.fileno(), len(_SIGNATURE), start) == _SIGNATURE:
            return True
        start = 2 * start or 512
    return False


def _read(file: IO[bytes], limits: Limits) -> Tree:
    here = str(Path(__file__).resolve().parent.parent)
    start = _START.format(path=[here, *(place for place in sys.path if os.path.isabs(place))])  # noqa: PTH117
    command = [sys.executable, "-I", "-S", "-c", start, json.dumps([library(), limits._asdict()])]
    late = threading.Event()
    with subprocess.Popen(  # in a session of its own: an interrupt is ours to pass on
        command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as reader:

        def stop() -> None:
            late.set()
            reader.kill()

        clock = threading.Timer(_PATIENCE * limits.seconds, stop)
        clock.start()
        try:
            assert reader.stdout
            return receive(reader.stdout, limits)
        except FileRefused:
            raise
        except Exception:  # whatever a broken answer makes json or numpy say
            raise FileRefused(_why(reader, late, limits)) from None
        finally:
            clock.cancel()
            reader.kill()
            clock.join()


def _why(reader: subprocess.Popen[bytes], late: threading.Event, limits: Limits) -> str:
    """Return why a reader sent no tree."""
    try:
        code = reader.wait(1)
    except subprocess.TimeoutExpired:
        code = 0
    if late.is_set() or code == -signal.SIGXCPU:
        return f"takes more than {limits.seconds} s to read; {limits.remedy}"
    if code == -signal.SIGKILL:
        return (
            "its reader was killed, as happens when memory runs out; free memory or "
            f"{limits.smaller}"
        )
    if code < 0:
        return f"made the HDF5 library fail ({signal.Signals(-code).name}); {limits.remedy}"
    if code > 0:
        assert reader.stderr
        said = reader.stderr.read(1 << 16).decode(errors="replace").split("\n")[-2:]
        return f"cannot be read, as its reader does not start ({said[0]}); install lehr again"
    return f"made its reader answer with what is no tree of numbers and text; {limits.remedy}"
