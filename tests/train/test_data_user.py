"""A user's own data in one .npz file.

Beside it: what a run makes of inputs that change from step to step.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from tiny import SETTINGS

from lehr.errors import FileRefused, LehrError, UsageError
from lehr.network import Input
from lehr.npz import npz_bytes
from lehr.train.data import Dataset, dataset, load_dataset, source
from lehr.train.floats.model import FloatNet
from lehr.train.learning.loop import train
from lehr.train.recipe import DataRecipe, NetworkRecipe, Recipe
from lehr.train.recipefile import to_toml

OWN = DataRecipe(name="npz", path="own.npz")


def save(folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    (folder / "own.npz").write_bytes(npz_bytes(arrays))


def patterns(count: int, highest: int = 1, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """Four classes that only time tells apart: the same channels fire, in another order."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    x = np.zeros((count, 8, 12), np.uint8)
    for sample, label in enumerate(labels):
        for t in range(8):
            block = (t // 2 + label) % 4
            x[sample, t, 3 * block : 3 * block + 3] = rng.integers(1, highest + 1, 3)
    return {"input": x * (rng.random(x.shape) < 0.9), "labels": labels}


def timed(**options: Any) -> Recipe:
    fields = {
        **SETTINGS,
        "data": {"name": "npz", "path": "own.npz", "steps": 8},
        "network": {
            "steps": 8,
            "beta": "7/8",
            "slope": 2.0,
            "layers": [
                {
                    "type": "linear",
                    "features": 48,
                    "batch_norm": True,
                    "threshold": {"start": 0.5, "final": 1.0, "rate": 0.02},
                },
                {
                    "type": "linear",
                    "features": 4,
                    "threshold": {"start": 1.0, "final": 3.0, "rate": 0.02},
                },
            ],
        },
        "train": {"epochs": 8, "batch_size": 32, "lr": 1e-2},
    }
    return Recipe.model_validate({**fields, **options})


def test_author_s_own_splits(tmp_path: Path) -> None:
    train_part, test_part = patterns(24), patterns(5, seed=1)
    named = {
        f"{part}_{name}": array
        for part, arrays in (("train", train_part), ("test", test_part))
        for name, array in arrays.items()
    }
    save(tmp_path, named)
    held = load_dataset(OWN, tmp_path)
    assert (held.kind, held.steps, held.shape, held.classes) == ("u8", None, (8, 12), 4)
    data = load_dataset(
        OWN.model_copy(update={"steps": 8, "path": str(tmp_path / "own.npz")}), None
    )
    assert (data.kind, data.steps, data.shape) == ("spikes", 8, (12,))
    assert (len(data.train), len(data.validation)) == (22, 2)
    assert np.array_equal(data.test.x, test_part["input"])


def test_splits_by_seed_share_nothing(tmp_path: Path) -> None:
    x = np.arange(60, dtype=np.uint8).reshape(60, 1)
    np.savez(tmp_path / "own.npz", input=x, labels=x[:, 0] // 20)
    splits = []
    for seed in (0, 1):
        data = load_dataset(OWN.model_copy(update={"seed": seed}), tmp_path)
        parts = [split.x[:, 0].tolist() for split in (data.train, data.validation, data.test)]
        assert [len(part) for part in parts] == [46, 4, 10]
        assert sorted(value for part in parts for value in part) == list(range(60))
        assert [
            label * 20 <= value < label * 20 + 20
            for value, label in zip(data.test.x[:, 0], data.test.y, strict=True)
        ] == [True] * 10
        splits.append(parts)
    assert splits[0] != splits[1]


def test_counts_are_no_spikes_and_pixels_can_be_encoded(tmp_path: Path) -> None:
    save(tmp_path, patterns(12, highest=9))
    assert load_dataset(OWN.model_copy(update={"steps": 8}), tmp_path).kind == "u8"
    coded = load_dataset(OWN.model_copy(update={"steps": 3, "encoding": "latency"}), tmp_path)
    assert (coded.kind, coded.steps, coded.shape) == ("spikes", 3, (8, 12))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x": np.zeros(3)},
            " has no array 'input', but x; save it as numpy.savez(path, input=..., labels=...)",
        ),
        (
            {"input": np.zeros((4, 8, 2), np.uint8)},
            " has no array 'labels'; save one integer per sample there",
        ),
        (
            {"train_input": np.zeros((4, 8, 2), np.uint8), "train_labels": np.zeros(4, int)},
            " has no array 'test_input', but train_input, train_labels; save it as "
            "numpy.savez(path, test_input=..., test_labels=...)",
        ),
        (
            {"input": np.zeros((4, 7, 2), np.uint8), "labels": np.zeros(4, int)},
            " holds samples of shape (7, 2), data.steps is 8; the first",
        ),
        (
            {"input": np.zeros((4, 8), np.uint8), "labels": np.zeros(4, int)},
            " holds samples of shape (8,), data.steps is 8; the first axis",
        ),
        (
            {"input": np.zeros((4, 8, 2)), "labels": np.zeros(4, int)},
            ": input is float64 [4, 8, 2]; save it as uint8 with the samples",
        ),
        (
            {"input": np.zeros((2, 8, 2), np.uint8), "labels": np.zeros(2, int)},
            ": input has 2 samples, too few to split; give at least 3",
        ),
        (
            {"input": np.zeros((4, 8, 2), np.uint8), "labels": -np.ones(4, int)},
            ": labels hold -1 in sample 0; leave out samples that have no class, and number the "
            "classes from 0",
        ),
        (
            {
                "train_input": np.zeros((4, 8, 2), np.uint8),
                "train_labels": np.zeros(4, int),
                "test_input": np.zeros((4, 8, 3), np.uint8),
                "test_labels": np.zeros(4, int),
            },
            ": training samples are (8, 2), test samples (8, 3); give them one shape",
        ),
    ],
)
def test_other_arrays_are_refused(
    tmp_path: Path, arrays: dict[str, npt.NDArray[Any]], message: str
) -> None:
    save(tmp_path, arrays)
    with pytest.raises(FileRefused) as caught:
        load_dataset(OWN.model_copy(update={"steps": 8}), tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/own.npz{message}")


def shards(folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write the same samples as an `.npz` and an HDF5 file in a folder."""
    folder.mkdir()
    cut = len(arrays["input"]) // 3
    np.savez(folder / "0.npz", input=arrays["input"][:cut], labels=arrays["labels"][:cut])
    with h5py.File(folder / "1.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array[cut:]


@pytest.mark.parametrize("filed", [False, True])
@pytest.mark.parametrize("coded", [{"steps": 8}, {"steps": 3, "encoding": "rate"}, {}])
def test_shards_are_the_data_of_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filed: bool, coded: dict[str, Any]
) -> None:
    arrays = patterns(60, highest=9 if coded else 1)
    save(tmp_path, arrays)
    shards(tmp_path / "own", arrays)
    (tmp_path / "list.txt").write_text("own/0.npz\nown/1.h5\n")
    whole = load_dataset(OWN.model_copy(update=coded), tmp_path)
    if filed:
        for module in (source, dataset):
            monkeypatch.setattr(module, "IN_MEMORY", 0)
            monkeypatch.setattr(module, "BLOCK", 8)
    for path in ("own", "@list.txt"):
        data = load_dataset(OWN.model_copy(update={**coded, "path": path}), tmp_path)
        assert isinstance(data.train.x, np.memmap) == filed
        assert (data.kind, data.steps, data.classes) == (whole.kind, whole.steps, whole.classes)
        for part, same in ((data.train, whole.train), (data.validation, whole.validation), (data.test, whole.test)):  # fmt: skip
            assert np.array_equal(part.x, same.x)
            assert np.array_equal(part.y, same.y)


def test_a_split_in_a_file_trains_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, patterns(60))
    recipe = timed(train={"epochs": 1, "batch_size": 16, "lr": 1e-2}, finetune=None)
    whole = train(recipe, load_dataset(recipe.data, tmp_path))
    for module in (source, dataset):
        monkeypatch.setattr(module, "IN_MEMORY", 0)
    data = load_dataset(recipe.data, tmp_path)
    assert isinstance(data.train.x, np.memmap)
    assert all(0 < rate < 1 for rate in whole.metrics[-1]["rates"])
    filed = train(recipe, data)
    assert filed.network == whole.network
    assert filed.metrics == whole.metrics


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: (folder / "2.raw").write_bytes(b""), "own/2.raw is no shard; of "),
        (lambda folder: np.savez(folder / "2.npz", input=np.zeros((1, 8, 12), np.uint8)), "own/2.npz has no labels, and "),
        (lambda folder: np.savez(folder / "2.npz", input=np.zeros((1, 8, 12), np.uint8), labels=[-1]), "own: labels hold -1 in sample 60; leave out samples that have no class"),
    ],
)  # fmt: skip
def test_shards_that_are_no_data_set_are_refused(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    shards(tmp_path / "own", patterns(60))
    make(tmp_path / "own")
    with pytest.raises(LehrError) as refused:
        load_dataset(OWN.model_copy(update={"path": "own"}), tmp_path)
    assert f"{tmp_path}/{message}" in str(refused.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="own.npz does not exist; give an .npz file"):
        load_dataset(OWN, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("highest", [1, 9])
def test_the_whole_line_with_inputs_that_change(tmp_path: Path, lehr: Lehr, highest: int) -> None:
    """Spikes, and counts that are not divided by 255.

    Trained, exported and simulated, with no spike changed.
    """
    save(tmp_path, patterns(240, highest))
    (tmp_path / "own.toml").write_bytes(to_toml(timed()))
    trained = lehr(
        "train", tmp_path / "own.toml", "--data", tmp_path, "-o", tmp_path / "run", "--json"
    )
    assert trained.code == 0, trained.err
    assert trained.facts["runs"][0]["accuracy"]["integer"] > 0.5  # 0.25 by chance
    exported = lehr("export", tmp_path / "run", "-o", tmp_path / "model.nir", "--json").facts
    assert exported["spikes_differ"] == exported["membranes_differ"] == 0
    assert exported["values"] == 40 * 8 * (48 + 4)
    assert all(0 < rate < 1 for rate in exported["rates"].values())
    shown = lehr("inspect", tmp_path / "model.nir", "--json").facts
    assert (shown["input"]["kind"], shown["steps"]) == ("spikes" if highest == 1 else "u8", 8)
    samples = lehr(
        "recipes",
        "samples",
        tmp_path / "own.toml",
        "--data",
        tmp_path,
        "-o",
        tmp_path / "in.npz",
        "--json",
    )
    assert samples.facts["samples"] == 40
    simulated = lehr("simulate", tmp_path / "model.nir", "-i", tmp_path / "in.npz", "--json").facts
    assert simulated["accuracy"] == trained.facts["runs"][0]["accuracy"]["integer"]


def test_a_run_of_spikes_repeats_bit_for_bit(tmp_path: Path) -> None:
    save(tmp_path, patterns(60))
    recipe = timed(train={"epochs": 2, "batch_size": 16, "lr": 1e-2})
    data = load_dataset(recipe.data, tmp_path)
    first, second = (train(recipe, data).network for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.digest == second.digest
    assert first.input == Input((12,), "spikes")


def test_steps_must_be_the_network_s(tmp_path: Path) -> None:
    save(tmp_path, patterns(12))
    recipe = timed(network={**timed().network.model_dump(exclude_none=True), "steps": 9})
    message = (
        "network.steps is 9, but the input has 8; set network.steps and data.steps to one number"
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        train(recipe, load_dataset(recipe.data, tmp_path))


def test_the_last_layer_has_a_neuron_for_each_class(tmp_path: Path) -> None:
    arrays = patterns(12)
    np.savez(tmp_path / "own.npz", input=arrays["input"], labels=np.arange(12) % 6)
    with pytest.raises(
        UsageError, match="^the last layer has 4 neurons for 6 classes; give it one for each$"
    ):
        train(timed(), load_dataset(timed().data, tmp_path))


@pytest.mark.parametrize("mark", [255, 10**9])
def test_a_label_far_beyond_all_others_is_named(tmp_path: Path, mark: int) -> None:
    drawn = patterns(12)
    drawn["labels"][7] = mark
    save(tmp_path, drawn)
    way_out = "leave out samples that have no class, and number the classes from 0"
    with pytest.raises(
        FileRefused,
        match=f"own.npz: labels hold {mark} in sample 7, and the next lower label is 3; {way_out}$",
    ):
        load_dataset(OWN, tmp_path)
    drawn["labels"][7] = 5  # of a class 4 that happens to have no sample
    save(tmp_path, drawn)
    assert load_dataset(OWN, tmp_path).classes == 6


def test_a_convolution_needs_an_image() -> None:
    layers = [{"type": "conv", "channels": 4, "kernel": 3, "threshold": {"start": 1.0}}]
    network = NetworkRecipe.model_validate(
        {"steps": 3, "beta": "1/2", "slope": 1.0, "layers": layers}
    )
    with pytest.raises(
        UsageError,
        match=re.escape(
            "a conv layer gets inputs of shape (700,), which are no channels, rows and columns; use"
        ),
    ):
        FloatNet(network, (700,))


def test_shape_leaves_time_out() -> None:
    data = load_dataset(DataRecipe(name="digits", encoding="delta", steps=5), None)
    assert data.train.x.shape[1:] == (5, *data.shape)
    assert Dataset(data.train, data.validation, data.test, 10).shape == (5, 1, 8, 8)
