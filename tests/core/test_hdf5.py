"""HDF5 files that point elsewhere, unfold without end or are damaged give no numbers."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lehr.errors import FileRefused, UsageError
from lehr.hdf5 import GRAPH, Limits, read_tree

Edit = Callable[[h5py.File], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a small file of a group, numbers and text, with a secret beside it."""
    (tmp_path / "secret").write_bytes(b"do not read me..")
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["w"] = np.arange(4.0)
    with h5py.File(tmp_path / "a.nir", "w") as file:
        file.create_group("node")["w"] = np.arange(6).reshape(2, 3)
        file["node/packed"] = np.zeros(3)
        file["node/names"] = [["a", "b"], ["b", "ü"]]
        file["version"] = "1"
    return tmp_path / "a.nir"


def test_groups_numbers_and_texts_are_read(path: Path) -> None:
    tree = read_tree(path)
    assert tree["version"] == "1"
    assert tree["node"]["names"] == [["a", "b"], ["b", "ü"]]
    assert tree["node"]["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


def bomb(file: h5py.File) -> None:
    """Write 16 chunks that each inflate to 64 MiB: one GiB out of one MiB."""
    data = file.create_dataset("node/bomb", (1 << 30,), "u1", chunks=(1 << 26,), compression="gzip")
    packed = zlib.compress(bytes(1 << 26), 9)
    for start in range(0, 1 << 30, 1 << 26):
        data.id.write_direct_chunk((start,), packed)


def hidden_bomb(file: h5py.File) -> None:
    """Write a chunk that declares 100 bytes and inflates to 64 MiB."""
    data = file.create_dataset("node/bomb", (100,), "u1", chunks=(100,), compression="gzip")
    data.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 26), 9))


def short_chunk(file: h5py.File) -> None:
    data = file.create_dataset("node/short", (100,), "u1", chunks=(100,), compression="gzip")
    data.id.write_direct_chunk((0,), zlib.compress(bytes(99)))


def skipped_filter(file: h5py.File) -> None:
    data = file.create_dataset("node/raw", (100,), "u1", chunks=(100,), compression="gzip")
    data.id.write_direct_chunk((0,), bytes(100), filter_mask=1)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(Path(file.filename).with_name("other.nir")), "w", (4,))
    file.create_virtual_dataset("node/virtual", layout)


def link(file: h5py.File, target: object) -> None:
    file["node/link"] = target


def other(file: h5py.File, name: str) -> str:
    return str(Path(file.filename).with_name(name))


EDITS: dict[str, tuple[Edit, str]] = {
    "soft link": (
        lambda f: link(f, h5py.SoftLink("/node/w")),
        "node/link is a link to another place (SoftLink); put what it points to into",
    ),
    "external link": (
        lambda f: link(f, h5py.ExternalLink(other(f, "other.nir"), "/w")),
        "node/link is a link to another place (ExternalLink); put what",
    ),
    "dangling link": (
        lambda f: link(f, h5py.SoftLink("/nothing")),
        "node/link is a link to another place (SoftLink); put what it",
    ),
    "circle": (
        lambda f: link(f, f["node"]),
        "node/link is linked twice; store it once in each place",
    ),
    "array linked twice": (
        lambda f: link(f, f["node/w"]),
        "linked twice; store it once in each place",
    ),
    "numbers in another file": (
        lambda f: f.create_dataset("node/x", (2,), "f8", external=[(other(f, "secret"), 0, 16)]),
        "secret); store them in this one",
    ),
    "virtual": (
        virtual,
        "node/virtual is a virtual data set, made of other files; store its numbers in this one",
    ),
    "deep": (
        lambda f: f.create_group("node/" + "x/" * 40),
        "lies deeper than 16 groups; a graph needs no more",
    ),
    "many objects": (
        lambda f: [f.create_group(f"node/g{i}") for i in range(60)],
        "is object 51, the limit is 50; give a smaller graph",
    ),
    "declared, not stored": (
        lambda f: f.create_dataset("node/big", (200_000, 200_000), "f8"),
        "node/big brings the file to 320,000,000,000 bytes unpacked, the limit for one of ",
    ),
    "a large chunk of a small array": (
        lambda f: f.create_dataset("node/big", (1,), "u1", chunks=(1 << 30,), maxshape=(None,)),
        "node/big brings the file to 1,073,741,824 bytes unpacked, the",
    ),
    "wide text": (
        lambda f: f.create_dataset("node/t", (1,), "S700000000"),
        "node/t brings the file to 700,000,061 bytes unpacked, the limit for one of ",
    ),
    "bomb": (bomb, " bytes is 536,870,912; give a smaller graph"),
    "bomb in a small chunk": (
        hidden_bomb,
        "node/bomb has a chunk that inflates to more than its 100 bytes; write it again",
    ),
    "short chunk": (
        short_chunk,
        "node/short has a chunk that inflates to fewer than its 100 bytes; write it again",
    ),
    "skipped filter": (
        skipped_filter,
        "node/raw has a chunk of 100 bytes that skips a filter or exceeds the file; write it again",
    ),
    "many chunks": (
        lambda f: f.create_dataset(
            "node/x", data=np.zeros(70_000, "u1"), chunks=(1,), compression="gzip"
        ),
        "node/x has 70,000 chunks, the limit",
    ),
    "filter by plug-in": (
        lambda f: f.create_dataset("node/x", data=np.zeros(9), compression="lzf"),
        "node/x is packed with HDF5 filters [32000]; use gzip for",
    ),
    "packed text": (
        lambda f: f.create_dataset("node/x", data=["a", "b"], compression="gzip"),
        "node/x is packed with HDF5 filters [1]; use gzip for numbers",
    ),
    "compound": (
        lambda f: f.create_dataset("node/x", (2,), "i4,f8"),
        "node/x holds compound, neither numbers of at most 8 bytes nor text; store it as numbers",
    ),
    "references": (
        lambda f: f.create_dataset("node/x", (1,), h5py.ref_dtype),
        "node/x holds references, neither numbers of at most 8 bytes nor text; store",
    ),
    "ragged": (
        lambda f: f.create_dataset("node/x", (1,), h5py.vlen_dtype("i4")),
        "node/x holds ragged, neither numbers of at most 8 bytes nor text; store it",
    ),
    "complex": (
        lambda f: f.create_dataset("node/x", data=1j),
        "node/x holds compound, neither numbers of at most",
    ),
    "long double": (
        lambda f: f.create_dataset("node/x", data=np.longdouble(1)),
        "node/x holds numbers of 16 bytes, neither numbers of at most 8",
    ),
    "no value": (
        lambda f: f.create_dataset("node/x", data=h5py.Empty("f8")),
        "node/x holds no value; store one or remove it",
    ),
    "named type": (
        lambda f: link(f, np.dtype("f8")),
        "node/link is a named type, neither group nor data set; remove it",
    ),
    "odd name": (
        lambda f: f.create_group("node/a b;$(id)"),
        "node holds the name 'a b;$(id)'; use letters, digits, '_', '-' and '.'",
    ),
    "odd name at the top": (
        lambda f: f.create_group("..x"),
        "the file holds the name '..x'; use letters, digits, '_', '-' and '.'",
    ),
    "name that is not text": (lambda f: f.create_group(b"node/\xff\xfe"), "node holds the name"),
    "long text": (
        lambda f: f.create_dataset("node/x", data=["x" * 5000]),
        "node/x holds a text of 5,000 bytes, the limit is 4,096; shorten it",
    ),
    "long text of fixed length": (
        lambda f: f.create_dataset("node/x", data=np.array([b"x" * 5000])),
        "node/x holds a text of 5,000 bytes, the limit is 4,096; shorten it",
    ),
    "text without end": (
        lambda f: f.create_dataset("node/x", data="x" * (16 << 20) + "x"),
        "node/x holds a text of 16,777,217 bytes, the limit is 16,777,216; shorten it",
    ),
    "many texts": (
        lambda f: f.create_dataset("node/x", (51,), h5py.string_dtype()),
        "node/x holds 51 texts, the limit is 50; give a smaller graph",
    ),
    "text of another encoding": (
        lambda f: f.create_dataset("node/x", data=np.bytes_(b"\xff")),
        "is damaged ('utf-8' codec can't decode byte",
    ),
}


@pytest.mark.few(6)
@pytest.mark.parametrize("case", EDITS)
def test_what_is_no_bounded_tree_is_refused(case: str, path: Path) -> None:
    edit, message = EDITS[case]
    with h5py.File(path, "a") as file:
        edit(file)
    with pytest.raises(FileRefused) as caught:
        read_tree(path, Limits(objects=50))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_packed_and_shuffled_numbers_are_read(path: Path) -> None:
    given = np.arange(1000, dtype=np.int32).reshape(10, 100)
    with h5py.File(path, "a") as file:
        file.create_dataset("node/z", data=given, chunks=(3, 7), compression="gzip", shuffle=True)
    assert np.array_equal(read_tree(path)["node"]["z"], given)


def test_one_text_in_many_places_is_counted_as_often_as_it_is_read(path: Path) -> None:
    with h5py.File(path, "a") as file:
        data: Any = file.create_dataset("node/x", (50,), h5py.string_dtype())
        data[0] = "x" * 4000
        place = data.id.get_offset()
    data = bytearray(path.read_bytes())
    data[place : place + 50 * 16] = data[place : place + 16] * 50
    path.write_bytes(data)
    assert read_tree(path)["node"]["x"] == ["x" * 4000] * 50
    with pytest.raises(
        FileRefused,
        match=r"node/x brings the file to [0-9,]+ bytes unpacked, the limit for one of [0-9,]+ bytes is 100,000;",
    ):
        read_tree(path, Limits(unpacked_bytes=100_000))


def test_memory_and_time_are_in_proportion_to_the_file() -> None:
    small, large = Limits().of(10_000), Limits().of(200 << 20)
    assert (small.unpacked_bytes, small.seconds) == (10_400_000, 1)
    assert (large.unpacked_bytes, large.seconds) == (512 << 20, 60)


def test_what_is_no_file_is_a_matter_of_usage(tmp_path: Path) -> None:
    for place in (tmp_path / "missing.nir", tmp_path):
        with pytest.raises(UsageError, match=f"^{place} is no file; give the path of a .nir file$"):
            read_tree(place)
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for ever
    with pytest.raises(UsageError, match="pipe is no file"):
        read_tree(tmp_path / "pipe")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 a zip", b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 8]
)
def test_what_is_no_hdf5_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.nir").write_bytes(content)
    with pytest.raises(
        FileRefused,
        match=r"x\.nir: (is not an HDF5 file \(empty, cut short or of another format\)|is damaged \(.+\)); export it again$",
    ):
        read_tree(tmp_path / "x.nir")


def test_a_file_cut_short_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(8, len(whole) - 1, 499):
        path.write_bytes(whole[:size])
        with pytest.raises(FileRefused, match=r"export it again$"):
            read_tree(path)


def test_a_huge_file_is_not_opened(path: Path) -> None:
    os.truncate(path, GRAPH.file_bytes + 1)
    with pytest.raises(
        FileRefused,
        match=r"a\.nir has 268,435,457 bytes, the limit is 268,435,456; give a smaller file",
    ):
        read_tree(path)


def test_a_file_without_the_right_to_read_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    # root, who runs the tests in many a container, may read anything
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(
        FileRefused,
        match=r"a\.nir cannot be read: Permission denied; ask for the right to read it$",
    ):
        read_tree(path)
