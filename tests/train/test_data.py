"""Data sets: real digits, the official file format, and files that are not what they should be."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from lehr.errors import FileRefused, UsageError
from lehr.train.data import load_dataset
from lehr.train.data.idx import read_idx
from lehr.train.recipe import DataRecipe

MNIST = DataRecipe(name="mnist")
DATA = os.environ.get("LEHR_DATA", "")


def _idx(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    return (
        bytes((0, 0, 8, array.ndim))
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 20)):
        images, labels = (
            rng.integers(0, 256, (count, 28, 28), np.uint8),
            rng.integers(0, 10, count).astype(np.uint8),
        )
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(_idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(_idx(labels)))
    return tmp_path


def test_digits_are_split_once_and_share_nothing() -> None:
    data = load_dataset(DataRecipe(name="digits"), None)
    assert (len(data.train), len(data.validation), len(data.test)) == (1197, 300, 300)
    assert data.shape == (1, 8, 8)
    assert data.train.x.max() == 255
    assert set(data.train.y) == set(range(10))
    again = load_dataset(DataRecipe(name="digits"), None)
    assert np.array_equal(data.test.x, again.test.x)
    # a few of the 1,797 scans are equal to one another; the splits hold every one of them once
    assert (
        len({x.tobytes() for split in (data.train, data.validation, data.test) for x in split.x})
        > 1780
    )


def test_limits_take_the_first_samples() -> None:
    data = load_dataset(DataRecipe(name="digits", train_samples=50, test_samples=7), None)
    whole = load_dataset(DataRecipe(name="digits"), None)
    assert np.array_equal(data.train.x, whole.train.x[:50])
    assert np.array_equal(data.test.y, whole.test.y[:7])


def test_idx_folder_is_read_directly_or_by_the_name_of_the_set(folder: Path) -> None:
    data = load_dataset(MNIST, folder)
    assert (len(data.train), len(data.validation), len(data.test)) == (55, 5, 20)
    inner = folder / "mnist"
    inner.mkdir()
    for file in folder.glob("*.gz"):
        file.rename(inner / file.name)
    again = load_dataset(MNIST, folder)
    assert np.array_equal(again.train.x, data.train.x)
    seen = {x.tobytes() for x in data.train.x} | {x.tobytes() for x in data.validation.x}
    assert len(seen) == 60


@pytest.mark.skipif(not DATA, reason="LEHR_DATA names no folder with the official MNIST files")
def test_official_mnist() -> None:
    data = load_dataset(MNIST, Path(DATA))
    assert (len(data.train), len(data.validation), len(data.test)) == (55_000, 5_000, 10_000)
    assert np.bincount(data.test.y).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


@pytest.mark.parametrize(
    ("name", "where", "message"),
    [
        (
            "cifar",
            None,
            "data.name is 'cifar', which is no data set; use one of digits, mnist, fashion-mnist, nmnist, "
            "dvs-gesture, shd, ssc, fsdd, japanese-vowels, temporal, events, npz, series",
        ),
        (
            "mnist",
            None,
            "data set mnist is read from its official files; give their folder with --data DIR, or in LEHR_DATA",
        ),
        (
            "mnist",
            "/nowhere",
            "data folder /nowhere does not exist; give the folder that holds the mnist files with "
            "--data DIR, or in LEHR_DATA",
        ),
    ],
)
def test_missing_data(name: str, where: str | None, message: str) -> None:
    with pytest.raises(UsageError) as error:
        load_dataset(DataRecipe(name=name), Path(where) if where else None)
    assert str(error.value) == message


def test_missing_file_is_named(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        UsageError,
        match="has no t10k-labels-idx1-ubyte.gz; put the four official files of mnist there, or fetch them with --download$",
    ):
        load_dataset(MNIST, folder)


@pytest.mark.parametrize("keep", [0, 1, 9, 20, 500, -1])
def test_truncated_gzip_is_refused(folder: Path, keep: int) -> None:
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        FileRefused,
        match=r"train-images-idx3-ubyte.gz (is not a whole gzip file|starts with nothing).*get",
    ):
        load_dataset(MNIST, folder)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"\0\0\x0b\x01" + struct.pack(">I", 1) + b"ab",
            "not with the mark of an IDX file of bytes",
        ),
        (
            b"\0\0\x08\x01" + struct.pack(">I", 3) + b"ab",
            "holds 2 bytes of data, its header says 3",
        ),
        (
            b"\0\0\x08\x01" + struct.pack(">I", 1) + b"ab",
            "holds more than 1 bytes of data, its header says 1",
        ),
        (b"\0\0\x08\x03\0\0", "cannot hold what its header says, 0 bytes of data; get it again"),
        (
            b"\0\0\x08\x02" + struct.pack(">II", 2**31, 2**31),
            "cannot hold what its header says, 4,611,686,018,427,387,904 bytes of data; get it "
            "again",
        ),
        (
            b"\0\0\x08\x03" + struct.pack(">III", 0, 2**32 - 1, 2**32 - 1),
            "cannot hold what its header says, 0 bytes of data; get it again",
        ),
        (b"\0\0\x08\x00x", "has 0 axes, the official files have 1 or 3; get it again"),
        *(
            (
                bytes((0, 0, 8, n)) + struct.pack(">I", 1) * n + b"x",
                f"has {n} axes, the official files",
            )
            for n in (5, 65, 255)
        ),
    ],
)
def test_wrong_headers_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(data))
    with pytest.raises(FileRefused, match=message):
        read_idx(path)


def test_labels_must_fit_the_images(folder: Path) -> None:
    path = folder / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(_idx(np.zeros(59, np.uint8))))
    with pytest.raises(FileRefused, match=r"holds \(59,\) labels for \(60, 28, 28\) images"):
        load_dataset(MNIST, folder)
    path.write_bytes(gzip.compress(_idx(np.full(60, 10, np.uint8))))
    with pytest.raises(FileRefused, match="holds label 10, more than the ten classes of mnist"):
        load_dataset(MNIST, folder)
