"""SHD's file layout: arrays of variable length become frames of 700 channels.

Damaged files are refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lehr.errors import FileRefused, UsageError
from lehr.train.data import load_dataset
from lehr.train.recipe import DataRecipe

SHD = DataRecipe(name="shd", steps=4, step_ms=5)
DATA = os.environ.get("LEHR_DATA", "")


def write(path: Path, times: list[list[float]], units: list[list[int]], labels: list[int]) -> None:
    """A file as published: half-precision seconds, 16-bit units, and what else is in it."""
    with h5py.File(path, "w") as file:
        for name, dtype, rows in (("times", np.float16, times), ("units", np.uint16, units)):
            dataset = file.create_dataset(
                f"spikes/{name}",
                (len(rows),),
                h5py.vlen_dtype(np.dtype(dtype)),
                maxshape=(None,),
                chunks=(2,),
            )
            for place, row in enumerate(rows):
                dataset[place] = np.array(row, dtype)
        file["labels"] = np.array(labels, np.uint16)
        file["extra/speaker"] = np.zeros(len(labels), np.uint16)
        file["extra/keys"] = np.array([b"null", b"eins"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve training samples, each a spike of the unit of its number, and two test samples."""
    write(
        tmp_path / "shd_train.h5",
        [[0.001]] * 12,
        [[i] for i in range(12)],
        [i % 20 for i in range(12)],
    )
    write(tmp_path / "shd_test.h5", [[0.0, 0.0049, 0.012, 0.5], []], [[0, 0, 699, 3], []], [19, 4])
    return tmp_path


def test_spikes_fall_into_their_frames(folder: Path) -> None:
    data = load_dataset(SHD, folder)
    assert (data.kind, data.steps, data.shape, data.classes) == ("spikes", 4, (700,), 20)
    assert data.test.y.tolist() == [19, 4]
    assert np.argwhere(data.test.x).tolist() == [[0, 0, 0], [0, 2, 699]]
    assert data.test.x.max() == 1
    assert (len(data.train), len(data.validation)) == (11, 1)
    for split in (data.train, data.validation):
        assert np.argmax(split.x[:, 0], axis=1).tolist() == split.y.tolist()


def test_spikes_are_counted_from_the_first_one(folder: Path) -> None:
    write(folder / "shd_test.h5", [[0.004, 0.0045, 0.0055, 0.012], []], [[3, 3, 3, 9], []], [0, 1])
    recipe = SHD.model_copy(update={"frames": "count", "origin": "first-event"})
    data = load_dataset(recipe, folder)
    assert (data.kind, data.steps, data.shape) == ("u8", 4, (700,))
    assert np.argwhere(data.test.x).tolist() == [[0, 0, 3], [0, 1, 9]]
    assert (data.test.x[0, 0, 3], data.test.x[0, 1, 9]) == (3, 1)
    assert np.argwhere(load_dataset(SHD, folder).test.x).tolist() == [
        [0, 0, 3],
        [0, 1, 3],
        [0, 2, 9],
    ]


def test_ssc_brings_its_own_validation_samples(folder: Path) -> None:
    for part in ("train", "test"):
        (folder / f"shd_{part}.h5").rename(folder / f"ssc_{part}.h5")
    with pytest.raises(
        UsageError,
        match="has no ssc_valid.h5; put the unpacked official files of ssc there, or fetch them with --download$",
    ):
        load_dataset(DataRecipe(name="ssc", steps=4, step_ms=5), folder)
    write(folder / "ssc_valid.h5", [[0.006]], [[77]], [34])
    data = load_dataset(DataRecipe(name="ssc", steps=4, step_ms=5), folder)
    assert (len(data.train), data.validation.y.tolist(), data.classes) == (12, [34], 35)
    assert np.argwhere(data.validation.x).tolist() == [[0, 1, 77]]


def test_what_a_file_tells_of_its_speakers_is_not_read(folder: Path) -> None:
    plain = load_dataset(SHD, folder)
    change(folder / "shd_train.h5", "extra", None)
    with h5py.File(folder / "shd_train.h5", "a") as file:
        file["extra/speaker"] = [
            f"speaker {n}".encode() for n in range(30_000)
        ]  # more texts than a file may have elsewhere
        file["extra/meta_info"] = h5py.SoftLink("/nowhere")
    assert np.array_equal(load_dataset(SHD, folder).train.x, plain.train.x)
    with h5py.File(folder / "shd_train.h5", "a") as file:
        file["spikes/extra"] = h5py.SoftLink("/nowhere")
    with pytest.raises(FileRefused, match="spikes/extra is a link to another place"):
        load_dataset(SHD, folder)


def change(path: Path, name: str, value: Any) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
        if value is not None:
            file[name] = value


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda p: write(p, [[0.1]], [[700]], [0]),
            ": sample 0 has a spike of unit 700, but there are 700; get it",
        ),
        (
            lambda p: write(p, [[0.1], [0.1, float("inf")]], [[1], [2, 3]], [0, 1]),
            ": sample 1 has a time that is no number; get it",
        ),
        (
            lambda p: write(p, [[0.1, 0.2]], [[1]], [0]),
            ": sample 0 has 2 times (float16) and 1 units (uint16); get it again from",
        ),
        (
            lambda p: write(p, [[0.1]], [[1]], [20]),
            " holds label 20, but shd has 20 classes; get it again from its official source",
        ),
        (
            lambda p: write(p, [[0.1]], [[1]], [0, 1]),
            " has 1 samples of times, 1 of units and 2 labels; get it again from its",
        ),
        (
            lambda p: change(p, "labels", None),
            " has no group 'spikes' or no 'labels'; get it again from its official source",
        ),
        (
            lambda p: change(p, "spikes/units", np.zeros(12)),
            " has no times and units of one array a sample, or labels that are no integers",
        ),
        (
            lambda p: change(p, "labels", np.zeros(12)),
            " has no times and units of one array a sample, or labels that are no integers",
        ),
        (lambda p: os.truncate(p, 3000), ": is cut short: 3,000 of "),
        (
            lambda p: p.write_bytes(b""),
            ": is not an HDF5 file (empty, cut short or of another format); get it again from its",
        ),
    ],
)
def test_damaged_files_are_refused(
    folder: Path, edit: Callable[[Path], object], message: str
) -> None:
    path = folder / "shd_train.h5"
    edit(path)
    with pytest.raises(FileRefused) as caught:
        load_dataset(SHD, folder)
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.skipif(
    not DATA,
    reason="LEHR_DATA names no folder with fsdd_train.h5 and fsdd_test.h5",
)
def test_real_files() -> None:
    data = load_dataset(
        DataRecipe(name="fsdd", steps=40, step_ms=15, train_samples=200),
        Path(DATA),
    )
    assert (len(data.train), len(data.validation), len(data.test)) == (200, 225, 300)
    assert np.bincount(data.test.y).tolist() == [30] * 10
    assert 0.05 < data.train.x.mean() < 0.3
    assert data.train.x.any(axis=(1, 2)).all()


def test_channels_are_gathered_and_classes_left_out(folder: Path) -> None:
    """Twelve units of 700 are one of 16 channels.

    Unit 699 is the last. Of the labels 0 to 11, 19 and 4 the first eight are kept.
    """
    fewer = SHD.model_copy(update={"channels": 16, "classes": 8})
    data = load_dataset(fewer, folder)
    assert (data.shape, data.classes, data.test.y.tolist()) == ((16,), 8, [4])
    assert sorted([*data.train.y.tolist(), *data.validation.y.tolist()]) == list(range(8))
    assert not data.train.x[:, :, 1:].any()
    assert data.train.x[:, 0, 0].all()
    whole = load_dataset(SHD.model_copy(update={"channels": 16}), folder)
    assert np.argwhere(whole.test.x).tolist() == [[0, 0, 0], [0, 2, 15]]
    with pytest.raises(UsageError, match=r"^data.classes is 21, but shd has 20; lower it$"):
        load_dataset(SHD.model_copy(update={"classes": 21}), folder)
