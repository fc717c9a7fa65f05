"""A user's own event files as a data set: a folder for each class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from event_files import dat_bytes, drawn_events, evt3_bytes
from recordings import Event
from tiny import SETTINGS

from lehr.errors import FileRefused, UsageError
from lehr.network import Input
from lehr.recordings import open_inputs
from lehr.train.data import load_dataset
from lehr.train.recipe import DataRecipe, Recipe
from lehr.train.recipefile import to_toml

OWN = DataRecipe(name="events", path="own", sensor=(34, 34), steps=4, step_ms=5, origin="recording")
WRITERS: dict[str, Callable[[list[Event]], bytes]] = {".dat": dat_bytes, ".raw": evt3_bytes}


def put(path: Path, events: list[Event]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(WRITERS[path.suffix.lower()](events))
    return path


@pytest.fixture
def own(tmp_path: Path) -> dict[str, list[Event]]:
    """Two classes in each of two parts, in two formats, as N-CARS' folders are named."""
    files = {
        f"own/n-cars_{part}/{name}/{number}{suffix}": drawn_events(seed, 150)
        for seed, (part, name, number, suffix) in enumerate(
            (part, name, number, suffix)
            for part, count in (("train", 6), ("test", 2))
            for name, suffix in (("background", ".dat"), ("cars", ".RAW"))
            for number in range(count)
        )
    }
    for name, events in files.items():
        put(tmp_path / name, events)
    return files


def frames(events: list[Event], factor: int = 1) -> npt.NDArray[np.uint8]:
    found = np.zeros((4, 2, -(-34 // factor), -(-34 // factor)), np.uint8)
    for t, x, y, p in events:
        if t < 20_000:
            found[t // 5_000, p, y // factor, x // factor] = 1
    return found


@pytest.mark.parametrize("factor", [1, 3])
def test_samples_are_the_frames_of_their_files(
    tmp_path: Path, own: dict[str, list[Event]], factor: int
) -> None:
    data = load_dataset(OWN.model_copy(update={"downsample": factor}), tmp_path)
    side = -(-34 // factor)
    assert (data.kind, data.steps, data.shape, data.classes) == ("spikes", 4, (2, side, side), 2)
    expected = [frames(events, factor) for name, events in own.items() if "_test" in name]
    assert np.array_equal(data.test.x, expected)
    assert 0 < data.test.x.mean() < 1
    assert data.test.y.tolist() == [0, 0, 1, 1]
    kept = {x.tobytes(): int(y) for s in (data.train, data.validation) for x, y in zip(s.x, s.y, strict=True)}  # fmt: skip
    assert kept == {
        frames(events, factor).tobytes(): int("/cars/" in name)
        for name, events in own.items()
        if "_train" in name
    }


def test_a_sample_is_what_simulate_feeds(tmp_path: Path, own: dict[str, list[Event]]) -> None:
    data = load_dataset(OWN, tmp_path)
    path = tmp_path / next(name for name in own if "_test/cars" in name)
    fed = open_inputs(path, Input((2, 34, 34), "spikes"), "step_us=5000,start_us=0,steps=4")
    assert np.array_equal(fed.whole()[0], data.test.x[2])


def test_without_parts_a_sixth_is_for_testing_and_numbers_are_in_order(tmp_path: Path) -> None:
    for number in range(12):
        for name in ("2", "10"):
            put(tmp_path / "own" / name / f"{number}.dat", drawn_events(number, 40))
    (tmp_path / "own" / ".hidden").mkdir()
    data = load_dataset(OWN, tmp_path)
    assert (len(data.test), data.classes) == (4, 2)
    few = [put(tmp_path / "few" / "a" / f"{n}.dat", drawn_events(n, 40)) for n in range(2)]
    with pytest.raises(
        FileRefused, match="few has 2 recordings, too few to split; give at least 3"
    ):
        load_dataset(OWN.model_copy(update={"path": str(few[0].parent.parent)}), None)


@pytest.mark.parametrize("head", ["", "\ufefffile,class\n"])
def test_a_table_says_the_classes_of_recordings(tmp_path: Path, head: str) -> None:
    events = {f"{part}/{n}.dat": drawn_events(n, 40) for part in ("a", "b") for n in range(10)}
    for name, each in events.items():
        put(tmp_path / "own" / name, each[: 20 if name.startswith("b") else None])
    classes = {name: ("10", "2")[n % 2] for n, name in enumerate(events)}
    lines = "".join(f"{name}, {label}\n" for name, label in classes.items())
    table = tmp_path / "own/labels.csv"
    table.write_text(head + lines, "utf-8")
    data = load_dataset(OWN, tmp_path)
    assert data.classes == 2
    found = {x.tobytes(): int(y) for s in (data.train, data.validation, data.test) for x, y in zip(s.x, s.y, strict=True)}  # fmt: skip
    assert found == {
        frames(each[: 20 if name.startswith("b") else None]).tobytes(): ("2", "10").index(
            classes[name]
        )
        for name, each in events.items()
    }
    (tmp_path / "own/a/3.md").write_text("notes")
    table.write_text(head + lines.replace("a/3.dat", "a/3.md"), "utf-8")
    with pytest.raises(UsageError, match="own/a/3.md is no recording of events"):
        load_dataset(OWN, tmp_path)
    for name in ("a/30.dat", "a", f"a/{'3' * 300}.dat"):
        table.write_text(head + lines.replace("a/3.dat", name), "utf-8")
        with pytest.raises(FileRefused) as caught:
            load_dataset(OWN, tmp_path)
        assert str(caught.value) == (
            f"{table}, line {4 + bool(head)}: {name} is no file in the folder; correct its name, or "
            "leave the line out"
        )
    table.write_text(head, "utf-8")
    with pytest.raises(FileRefused) as caught:
        load_dataset(OWN, tmp_path)
    assert str(caught.value) == f"{table} lists no file; write FILE,CLASS for each"


def test_silent_samples_and_times_that_are_not_from_0(tmp_path: Path) -> None:
    for number in range(8):
        put(tmp_path / "own" / "a" / f"{number}.raw", [] if number == 3 else [(20, 1, 2, 1)])
    data = load_dataset(OWN, tmp_path)
    sums = sorted(int(x.sum()) for s in (data.train, data.validation, data.test) for x in s.x)
    assert sums == [0, 1, 1, 1, 1, 1, 1, 1]
    first = OWN.model_copy(update={"origin": "first-event"})
    with pytest.raises(FileRefused) as caught:
        load_dataset(first, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/own/a/3.raw has no event, and data.origin is 'first-event'; leave the file "
        "out, or set data.origin to 'recording', in which it is silent"
    )
    put(tmp_path / "own" / "a" / "3.raw", drawn_events(0, start=10**6))
    with pytest.raises(FileRefused) as caught:
        load_dataset(OWN, tmp_path)
    assert str(caught.value).startswith(
        f"{tmp_path}/own/a/3.raw has no event in the 4 steps of 5 ms from time 0 on, but its first "
        "at 1,000,"
    )
    assert str(caught.value).endswith(" us; set data.origin to 'first-event'")
    load_dataset(first, tmp_path)


def test_units_of_records(tmp_path: Path) -> None:
    folder = tmp_path / "own" / "a"
    folder.mkdir(parents=True)
    records = np.zeros(2, [("t", "<f8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
    records["t"] = (0.001, 0.0199)
    for number in range(4):
        np.save(folder / f"{number}.npy", records)
    data = load_dataset(OWN.model_copy(update={"unit": "s"}), tmp_path)
    assert np.argwhere(data.test.x[0]).tolist() == [[0, 0, 0, 0], [3, 0, 0, 0]]


@pytest.mark.parametrize(
    ("files", "sensor", "error", "message"),
    [
        ({}, (34, 34), UsageError, "data.path {own} is no folder; give CLASS/FILE, or train/CLASS/FILE and test/CLASS/FILE there"),
        ({"a.dat": b""}, (34, 34), UsageError, "{own} has no folders of classes; give CLASS/FILE, or train/CLASS/FILE and test/CLASS/FILE"),
        ({"train/a/1.dat": b""}, (34, 34), UsageError, "{own} has 1 folders for training and 0 for testing; give CLASS/FILE, or train/CLASS/FILE and test/CLASS/FILE"),
        ({"Train/a/1.dat": b"", "Test/b/1.dat": b""}, (34, 34), UsageError, "{own}: class 'a' is in one of Train and Test alone; give both the same classes"),
        ({"a/notes.md": b"x"}, (34, 34), UsageError, "{own}/a/notes.md is no recording of events (.raw, .dat, .aedat, .aedat4, .bin, .bs2, .npy, .npz, .mat, .bag, .mcap, .db3, .h5, .hdf5); take it out of the folder"),
        ({"a/.hidden": b"x"}, (34, 34), UsageError, "{own}/a has no recordings; give each class some, or remove it"),
        ({f"a/{n}.dat": dat_bytes([(0, 33, 9, 1)]) for n in range(4)}, (20, 30), FileRefused, "{own}/a/0.dat has an event at column 33, row 9 of 30x20 pixels; its camera has data.sensor = [34, 34]"),
        ({f"a/{n}.raw": b"% evt 2.0\n\0" for n in range(4)}, (20, 30), FileRefused, "{own}/a/0.raw is cut short at byte 10, in the middle of an event of 4 bytes; get it again, or record it again"),
    ],
)  # fmt: skip
def test_what_is_no_such_folder(
    tmp_path: Path, files: dict[str, bytes], sensor: Any, error: type[Exception], message: str
) -> None:
    own = tmp_path / "own"
    for name, data in files.items():
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_bytes(data)
    recipe = OWN.model_copy(update={"sensor": sensor, "seed": 1})
    with pytest.raises(error) as caught:
        load_dataset(recipe, tmp_path)
    said = str(caught.value)
    for number in range(1, 4):  # which of them is read first is the seed's
        said = said.replace(f"/a/{number}.", "/a/0.")
    assert said == message.format(own=own)


def test_a_recipe_trains_on_them(tmp_path: Path, lehr: Lehr, own: dict[str, list[Event]]) -> None:
    settings = {
        **SETTINGS,
        "data": OWN.model_dump(exclude_defaults=True) | {"downsample": 3},
        "network": {**SETTINGS["network"], "steps": 4},
    }
    recipe = tmp_path / "own.toml"
    recipe.write_bytes(to_toml(Recipe.model_validate(settings)))
    ran = lehr("recipes", "samples", recipe, "--data", tmp_path, "-o", tmp_path / "x.npz")
    assert ran.code == 0, ran.err
    assert np.load(tmp_path / "x.npz")["input"].shape == (4, 4, 2, 12, 12)
    ran = lehr("train", recipe, "--data", tmp_path, "-o", tmp_path / "run")
    assert ran.code == 0, ran.err
