"""Japanese Vowels: values as a thermometer shows them, files that are refused, and the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Lehr

from lehr.errors import FileRefused, ToolMissing, UsageError
from lehr.train.data import load_dataset, vowels
from lehr.train.recipe import DataRecipe

RECIPE = DataRecipe(name="japanese-vowels", steps=4)
HEAD = "#A comment\n@problemName JapaneseVowels\n@classLabel true 1 2 3 4 5 6 7 8 9\n@data\n"
installed = pytest.mark.skipif(
    vowels.packaged() is None,
    reason="the package sktime is not installed: pip install 'lehr[series]'",
)


def utterance(frames: list[list[float]], speaker: int) -> str:
    rows = [",".join(map(str, row)) for row in np.array(frames).T.tolist()]
    return ":".join([*rows, str(speaker)])


def written(folder: Path, train: list[str], test: list[str]) -> Path:
    for name, lines in zip(vowels.PARTS, (train, test), strict=True):
        (folder / name).write_text(HEAD + "\n".join(lines) + "\n")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Training values 0 to 98 in each coefficient, so that the quantiles are known."""
    train = [
        utterance([[float(first + frame)] * 12 for frame in range(11)], 1 + number)
        for number, first in enumerate(range(0, 99, 11))
    ]
    frames = [[-5.0] * 12, [50.0] * 12, [99.0] * 12, [1.0] * 11 + [87.5], [99.0] * 12]
    return written(tmp_path, train, [utterance(frames, 9), utterance(frames[2:3], 2)])


def test_each_value_is_the_levels_that_it_is_above(folder: Path) -> None:
    data = load_dataset(RECIPE, folder)
    assert (data.kind, data.steps, data.shape, data.classes) == ("spikes", 4, (96,), 9)
    assert data.test.y.tolist() == [8, 1]
    assert sorted([*data.train.y, *data.validation.y]) == [*range(9)]
    # levels of 0..98 are (l + 1) / 9 of 98: 10.9, 21.8, 32.7, 43.6, 54.4, 65.3, 76.2, 87.1
    four, eight = [1] * 4 + [0] * 4, [1] * 8
    assert data.test.x[0, 0].tolist() == [0] * 96
    assert data.test.x[0, 1].tolist() == four * 12
    assert data.test.x[0, 2].tolist() == eight * 12
    assert data.test.x[0, 3].tolist() == [0] * 88 + eight
    assert data.test.x[1].tolist() == [eight * 12, [0] * 96, [0] * 96, [0] * 96]


def test_the_files_may_lie_in_a_folder_of_the_name(folder: Path, tmp_path: Path) -> None:
    inner = tmp_path / "data" / "japanese-vowels"
    inner.mkdir(parents=True)
    for part in vowels.PARTS:
        (folder / part).rename(inner / part)
    assert len(load_dataset(RECIPE, tmp_path / "data").test) == 2
    (inner / vowels.PARTS[1]).unlink()
    with pytest.raises(UsageError) as refused:
        load_dataset(RECIPE, tmp_path / "data")
    assert str(refused.value) == (
        f"data folder {inner} has no JapaneseVowels_TEST.ts; put both parts there"
    )


def test_without_files_and_package_it_is_said_what_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vowels, "packaged", lambda: None)
    with pytest.raises(ToolMissing) as refused:
        load_dataset(RECIPE, tmp_path)
    assert str(refused.value) == (
        "data set japanese-vowels needs sktime, which brings its files; pip install 'lehr[series]', or give a folder "
        "that holds JapaneseVowels_TRAIN.ts and JapaneseVowels_TEST.ts with --data DIR, or in LEHR_DATA"
    )


LINE = utterance([[0.5] * 12] * 3, 4)
NOT_AN_UTTERANCE = "it is not 12 rows of as many finite numbers and a speaker from 1 to 9; get it again from its official source"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "has no line '@data', and is no file of time series; get it again from its official source",
        ),
        (HEAD, "has no utterance after '@data'; get it again from its official source"),
        (HEAD + LINE + "\n" + LINE[:-1] + "0\n", f", line 6: {NOT_AN_UTTERANCE}"),
        (HEAD + LINE[:-2] + "\n", f", line 5: {NOT_AN_UTTERANCE}"),
        (HEAD + "0.5:" + LINE + "\n", f", line 5: {NOT_AN_UTTERANCE}"),
        (HEAD + LINE.replace("0.5", "nan", 1) + "\n", f", line 5: {NOT_AN_UTTERANCE}"),
        (HEAD + LINE.replace("0.5", "?", 1) + "\n", f", line 5: {NOT_AN_UTTERANCE}"),
        (HEAD + LINE.replace("0.5,", "", 1) + "\n", f", line 5: {NOT_AN_UTTERANCE}"),
    ],
)
def test_files_that_are_something_else_are_refused(folder: Path, text: str, message: str) -> None:
    path = folder / vowels.PARTS[0]
    path.write_text(text)
    with pytest.raises(FileRefused) as refused:
        load_dataset(RECIPE, folder)
    assert str(refused.value) == f"{path}{'' if message[0] == ',' else ' '}{message}"


@installed
def test_the_package_has_the_published_set() -> None:
    data = load_dataset(DataRecipe(name="japanese-vowels", steps=29), None)
    assert data.test.x.shape == (370, 29, 96)
    assert len(data.train) + len(data.validation) == 270
    every = np.bincount([*data.train.y, *data.validation.y])
    assert every.tolist() == [30] * 9
    # the numbers of utterances that the repository's description of the set gives
    assert np.bincount(data.test.y).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    last = [int(np.flatnonzero(sample.any(1)).max()) for sample in data.test.x]
    assert max(last) == 28


@installed
def test_recordings_through_the_whole_line(lehr: Lehr, tmp_path: Path) -> None:
    short = ("train.epochs=6", "finetune.epochs=1", "finetune.frozen_epochs=1")
    options = [part for override in short for part in ("--set", override)]
    trained = lehr("train", "japanese-vowels", *options, "-o", tmp_path / "run", "--json")
    assert trained.code == 0, trained.err
    assert trained.facts["runs"][0]["accuracy"]["integer"] > 0.6  # 0.24 for who says the commonest
    exported = lehr("export", tmp_path / "run", "-o", tmp_path / "model.nir", "--json").facts
    assert exported["spikes_differ"] == exported["membranes_differ"] == 0
    (hidden, _) = exported["rates"].values()
    assert 0 < hidden < 1
    lehr("recipes", "samples", "japanese-vowels", "-o", tmp_path / "in.npz")
    simulated = lehr("simulate", tmp_path / "model.nir", "-i", tmp_path / "in.npz", "--json").facts
    assert simulated["samples"] == 370
    assert simulated["accuracy"] == trained.facts["runs"][0]["accuracy"]["integer"]
