"""Check that an HDF5 file is there to its end.

Its superblock says where that is; libhdf5 would say it in words of its own.
"""

from __future__ import annotations

import os

from lehr.errors import FileRefused

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAD = 96  # bytes that hold the superblock of any version up to its end-of-file address
# By version: where the width of addresses stands, and where they start: the base, another one, the
# end of the file.
_PLACES = {0: (13, 24), 1: (13, 28), 2: (9, 12), 3: (9, 12)}
_WIDTHS = (2, 4, 8)


def require_whole(handle: int, remedy: str) -> None:
    """Refuse an HDF5 file that ends before its stated end.

    A file that is no HDF5, or of an unknown version, passes.

    Args:
        handle: of the open file; its position stays where it is.
        remedy: the way out.

    Raises:
        FileRefused: with both numbers of bytes.
    """
    size, start = os.fstat(handle).st_size, 0
    # after a user block of 512 bytes, or 1,024, ...
    while os.pread(handle, len(_SIGNATURE), start) != _SIGNATURE:
        start = 2 * start or 512
        if start >= size:
            return
    head = os.pread(handle, _HEAD, start)
    version = head[8] if len(head) > 8 else 0
    if version not in _PLACES:
        return
    width_at, first = _PLACES[version]
    width = head[width_at] if len(head) > width_at else max(_WIDTHS)
    if len(head) < first + 3 * width:
        raise FileRefused(
            f"is cut short: its {size:,} bytes end within its superblock; copy it again, or "
            f"{remedy}"
        )
    base, _, end = (head[first + i * width : first + (i + 1) * width] for i in range(3))
    if width not in _WIDTHS or end == b"\xff" * width:  # damaged, or not stated
        return
    # a user block that was put in front or taken away moves everything, and the addresses still say
    # where it was
    stated = int.from_bytes(end, "little") - int.from_bytes(base, "little") + start
    if size < stated:
        raise FileRefused(f"is cut short: {size:,} of {stated:,} bytes; copy it again, or {remedy}")
