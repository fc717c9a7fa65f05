"""The process that reads an HDF5 file for another one (lehr/hdf5.py).

It has limits of its own on memory, time and files.

It imports little, and neither numpy nor h5py: most of what it costs to refuse a file is to start.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterable
from typing import IO

from lehr.errors import FileRefused
from lehr.hdf5limits import MAX_TEXT, Limits
from lehr.hdf5walk import Frame, lower_limit, walk

_BASE_BYTES = 256 << 20  # of address space, for the interpreter and the library
_COPIES = 2  # of the largest data set: unpacked, and as a buffer


def main() -> None:
    """Read the HDF5 file on standard input and send it to standard output.

    The only argument is JSON: where libhdf5 is, and the limits.
    """
    library, values = json.loads(sys.argv[1])
    limits = Limits(**values)
    confine(limits)
    out = os.fdopen(1, "wb", closefd=False)
    answer(0, library, limits, out)
    out.flush()


def answer(file: int, library: str, limits: Limits, out: IO[bytes]) -> None:
    """Send what an HDF5 file holds, or why it is refused.

    Args:
        file: the descriptor of the file.
        library: the path of libhdf5.
        limits: what the file may hold.
        out: where it is sent.
    """
    try:
        send(walk(file, library, limits), out)
    except FileRefused as error:
        send_refusal(str(error), out)
    except MemoryError:
        send_refusal(
            f"takes more memory to read than {limits.unpacked_bytes:,} unpacked bytes should; "
            f"{limits.remedy}",
            out,
        )
    except BrokenPipeError:
        return
    except (
        Exception
    ) as error:  # the library's, and whatever a damaged file makes zlib, ctypes or a decoder say
        reason = " ".join(str(error).split()) or type(error).__name__
        send_refusal(f"is damaged ({reason}); {limits.remedy}", out)


def confine(limits: Limits) -> None:
    """Give this process no more memory and processor time than such a file takes.

    It may have no child and no core, and write no byte of any file.

    Linux holds every one of these limits; macOS does not hold the one on memory.
    """
    lower_limit(
        resource.RLIMIT_AS, _BASE_BYTES + limits.file_bytes + _COPIES * limits.unpacked_bytes
    )
    # at the lower limit the signal tells why, at the upper one it is SIGKILL
    lower_limit(resource.RLIMIT_CPU, limits.seconds, more=1)
    for what in (resource.RLIMIT_NPROC, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        lower_limit(what, 0)


def send(frames: Iterable[Frame], to: IO[bytes]) -> None:
    """Write every member of a file, each group before what is in it, and the end."""
    for head, pieces in frames:
        to.write(json.dumps(head).encode() + b"\n")
        for piece in pieces:
            to.write(piece)
    to.write(b'{"kind": "end"}\n')


def send_refusal(message: str, to: IO[bytes]) -> None:
    """Write that the file is refused, in place of what is left of it."""
    to.write(json.dumps({"kind": "refused", "message": message[:MAX_TEXT]}).encode() + b"\n")
