"""Writing a tree of numbers and text as HDF5, always as the same bytes.

Each of many small arrays takes few bytes and little time.

What is written has the form of HDF5 1.8, whose headers have checksums, without times. Small arrays
and text stand in the file as they are; large arrays are packed with gzip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5f, h5g, h5p, h5s, h5t  # pyright: ignore[reportAttributeAccessIssue]  # compiled modules

_PLAIN_BYTES = 4_096  # what gzip would save below that, the index of its chunks takes


def tree_bytes(tree: Mapping[str, Any]) -> bytes:
    """Return an HDF5 file of `tree`.

    Mappings are groups, all else is numbers, text, or lists of them.
    """
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_libver_bounds(h5f.LIBVER_V18, h5f.LIBVER_V18)
    creation = h5p.create(h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    with h5py.File(h5f.create(b"in memory", h5f.ACC_TRUNC, creation, access)) as file:
        _Writer().group(file.id, tree)
        file.flush()
        return bytes(file.id.get_file_image())


class _Writer:
    """A writer that puts members into groups; what is the same for all of them is made once."""

    def __init__(self) -> None:
        self._group, self._data = h5p.create(h5p.GROUP_CREATE), h5p.create(h5p.DATASET_CREATE)
        for plist in (self._group, self._data):
            plist.set_obj_track_times(False)
        self._scalar = h5s.create(h5s.SCALAR)

    def group(self, group: Any, members: Mapping[str, Any]) -> None:
        """Write `members` into an open group."""
        for name, value in members.items():
            if isinstance(value, Mapping):
                self.group(h5g.create(group, name.encode(), gcpl=self._group), value)
            elif (array := _array(value)).nbytes > _PLAIN_BYTES and array.dtype.kind != "S":
                h5py.Group(group).create_dataset(name, data=array, compression="gzip")
            else:
                self._plain(group, name, array)

    def _plain(self, group: Any, name: str, array: np.ndarray[Any, Any]) -> None:
        kind = h5t.py_create(array.dtype)
        if array.dtype.kind == "S":
            kind.set_cset(h5t.CSET_UTF8)
        space = h5s.create_simple(array.shape) if array.shape else self._scalar
        h5d.create(group, name.encode(), kind, space, self._data).write(
            h5s.ALL, h5s.ALL, array, kind
        )


def _array(value: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(value, order="C")
    return np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array
