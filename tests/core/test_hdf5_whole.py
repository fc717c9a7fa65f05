"""Files cut short: the message has both numbers of bytes.

The superblock may be of any version, and the file begin anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from processes import reading_in_this_process

from lehr.errors import FileRefused
from lehr.hdf5 import read_tree
from lehr.hdf5whole import require_whole

SIGNATURE = b"\x89HDF\r\n\x1a\n"
KINDS: dict[str, tuple[dict[str, Any], int]] = {
    "as nir writes it": ({}, 0),
    "version 2": ({"libver": ("v108", "v110")}, 2),
    "version 3": ({"libver": "latest"}, 3),
    "after a user block": ({"userblock_size": 512}, 0),
    "version 3 after a user block": ({"userblock_size": 2048, "libver": "latest"}, 3),
}


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with reading_in_this_process(), pytest.raises(FileRefused) as refused:
        read_tree(path)
    return str(refused.value).removeprefix(f"{path}: ")


def numbers(path: Path, **options: Any) -> bytes:
    with h5py.File(path, "w", **options) as file:
        file["numbers"] = np.arange(1000.0)
        file["a/b"] = np.ones(3)
    return path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_states_both_sizes(tmp_path: Path, kind: str) -> None:
    options, version = KINDS[kind]
    path = tmp_path / "a.nir"
    whole = numbers(path, **options)
    start = whole.index(SIGNATURE)
    assert whole[start + 8] == version
    with reading_in_this_process():
        assert read_tree(path)["numbers"].tolist() == list(range(1000))
    again = "copy it again, or export it again"
    for size in (len(whole) - 1, len(whole) // 2, start + 96, start + 60):
        assert (
            refusal(path, whole[:size])
            == f"is cut short: {size:,} of {len(whole):,} bytes; {again}"
        )
    for size in (start + 8, start + 9, start + 20, start + 35):
        assert (
            refusal(path, whole[:size])
            == f"is cut short: its {size:,} bytes end within its superblock; {again}"
        )
    assert refusal(path, whole[: start + 7]).startswith(
        "is not an HDF5 file (empty, cut short or of another format); "
    )


def test_bytes_after_the_end_and_a_block_put_in_front_are_no_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    whole = numbers(path)
    for front, back in ((0, 100), (512, 0), (1024, 7)):
        path.write_bytes(bytes(front) + whole + bytes(back))
        with reading_in_this_process():
            assert read_tree(path)["a"]["b"].tolist() == [1, 1, 1]
    size = 1024 + len(whole) // 2
    assert refusal(path, (bytes(1024) + whole)[:size]).startswith(
        f"is cut short: {size:,} of {1024 + len(whole):,} bytes; "
    )


@pytest.mark.parametrize(
    ("at", "value"),
    [(8, b"\x01"), (8, b"\x09"), (13, b"\x05"), (13, b"\x00"), (40, b"\xff" * 8)],
    ids=[
        "another version",
        "an unknown version",
        "odd addresses",
        "addresses of no bytes",
        "no end",
    ],
)
def test_a_superblock_that_says_nothing_to_be_believed_is_left_to_the_reader(
    tmp_path: Path, at: int, value: bytes
) -> None:
    path = tmp_path / "a.nir"
    content = bytearray(numbers(path))
    content[at : at + len(value)] = value
    path.write_bytes(content)
    with path.open("rb") as file:
        require_whole(file.fileno(), "")
        assert file.tell() == 0


def test_an_end_that_no_file_has(tmp_path: Path) -> None:
    content = bytearray(numbers(tmp_path / "a.nir"))
    content[40:48] = b"\xff" * 7 + b"\x7f"
    message = refusal(tmp_path / "a.nir", bytes(content))
    assert message.startswith(
        f"is cut short: {len(content):,} of 9,223,372,036,854,775,807 bytes; "
    )
