"""Rows of variable length are read if the caller allows them.

They are counted before libhdf5 reserves what they claim.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t  # pyright: ignore[reportAttributeAccessIssue]  # compiled modules

from lehr.errors import FileRefused
from lehr.hdf5 import Limits, read_tree

ROWS = Limits(unpacked_bytes=10_000, rows=True, remedy="get it again", smaller="give less")
HALF = h5py.vlen_dtype(np.float16)


def write(path: Path, **options: Any) -> None:
    """Write four rows of 0 to 3 numbers."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("spikes/times", (4,), HALF, **options)
        for length in range(4):
            data[length] = np.arange(length)


@pytest.mark.parametrize("options", [{}, {"chunks": (3,), "maxshape": (None,)}])
def test_rows_become_a_list_of_arrays(tmp_path: Path, options: dict[str, Any]) -> None:
    write(tmp_path / "a.h5", **options)
    rows = read_tree(tmp_path / "a.h5", ROWS)["spikes"]["times"]
    assert [row.tolist() for row in rows] == [[], [0], [0, 1], [0, 1, 2]]
    assert {row.dtype for row in rows} == {np.dtype(np.float16)}


def test_a_graph_has_no_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.h5")
    with pytest.raises(
        FileRefused,
        match="spikes/times holds ragged, neither numbers of at most 8 bytes nor text; store it as numbers",
    ):
        read_tree(tmp_path / "a.h5")


@pytest.mark.parametrize("options", [{}, {"chunks": (3,), "maxshape": (None,)}])
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (
            [0, 1, 2, 2**32 - 1],
            "has a row of 4,294,967,295 numbers, more than the file holds; write it again",
        ),
        ([0, 1, 2, 3], None),
    ],
)
def test_stored_lengths_are_counted(
    tmp_path: Path, options: dict[str, Any], lengths: list[int], message: str | None
) -> None:
    """Change the length of the last row in the file's bytes, before the place of its numbers."""
    write(tmp_path / "a.h5", **options)
    data = bytearray((tmp_path / "a.h5").read_bytes())
    with h5py.File(tmp_path / "a.h5") as file:
        chunks: list[Any] = []
        times = file["spikes/times"]
        assert isinstance(times, h5py.Dataset)
        if times.chunks:
            times.id.chunk_iter(chunks.append)
        at = chunks[-1].byte_offset if chunks else times.id.get_offset() + 3 * 16
    assert struct.unpack_from("<I", data, at) == (3,)
    struct.pack_into("<I", data, at, lengths[-1])
    (tmp_path / "a.h5").write_bytes(data)
    if message is None:
        assert len(read_tree(tmp_path / "a.h5", ROWS)["spikes"]["times"][3]) == 3
        return
    with pytest.raises(FileRefused) as caught:
        read_tree(tmp_path / "a.h5", ROWS)
    assert str(caught.value) == f"{tmp_path}/a.h5: spikes/times {message}"


def test_many_rows_in_one_place_are_counted_as_often_as_they_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("x", (20,), HALF)
        data[0] = np.arange(1000)
        start = data.id.get_offset()
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[start : start + 20 * 16] = data[start : start + 16] * 20
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(
        FileRefused,
        match="x brings the file to 42,560 bytes unpacked, the limit for one of [0-9,]+ bytes is 10,000; give less$",
    ):
        read_tree(tmp_path / "a.h5", ROWS)


def compact(file: h5py.File) -> None:
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_layout(h5d.COMPACT)
    data = h5d.create(
        file.id, b"x", h5t.py_create(HALF, logical=True), h5s.create_simple((2,)), creation
    )
    h5py.Dataset(data)[0] = np.arange(3)


def partly_written(file: h5py.File) -> None:
    file.create_dataset("x", (5,), HALF, chunks=(2,))[0] = np.arange(3)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda f: f.create_dataset("x", (2, 2), HALF),
            r"x has rows in the shape \(2, 2\); store them in one axis of at most 1,048,576",
        ),
        (
            lambda f: f.create_dataset("x", (2,), HALF, chunks=(2,), compression="gzip"),
            "x has packed rows; store rows of variable length without a filter",
        ),
        (
            lambda f: f.create_dataset("x", (3,), HALF),
            "x has 3 rows, of which 0 were written; write them all",
        ),
        (partly_written, "x has 5 rows, of which 2 were written; write them all"),
        (
            lambda f: f.create_dataset("x", (2,), h5py.vlen_dtype(np.dtype("i4,f8"))),
            "x has rows that are no numbers; store them as numbers",
        ),
        (
            lambda f: f.create_dataset("x", (2,), h5py.vlen_dtype(HALF)),
            "x has rows that are no numbers; store them as numbers",
        ),
        (
            lambda f: f.create_dataset("x", (2**20 + 1,), HALF),
            r"x has rows in the shape \(1048577,\); store them in one axis",
        ),
        (compact, "x keeps its rows in the object header; store them contiguously or in chunks"),
    ],
)
def test_other_rows_are_refused(
    tmp_path: Path, edit: Callable[[h5py.File], object], message: str
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        edit(file)
    with pytest.raises(FileRefused, match=f"a.h5: {message}"):
        read_tree(tmp_path / "a.h5", ROWS)


def test_remedies_are_the_callers(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"no HDF5")
    with pytest.raises(FileRefused, match="a.h5: is not an HDF5 file .*; get it again$"):
        read_tree(tmp_path / "a.h5", ROWS)
