"""A user's own event files: a folder for each class, in any format of `lehr.cameras`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lehr.cameras import NAMES, SUFFIXES, Size, camera_size, decoded
from lehr.errors import FileRefused, UsageError
from lehr.train.data.frames import CameraEvents, camera_frames, camera_shape, kind_of
from lehr.train.data.source import Indices, Source, Sources, Values, split_off
from lehr.train.data.user import LEAST, TEST_SHARE
from lehr.train.recipe import DataRecipe
from lehr.undecoded import refuse_undecoded

_MAX_BYTES = 1 << 30
_LAYOUT = "give CLASS/FILE, or train/CLASS/FILE and test/CLASS/FILE"


def load_event_files(recipe: DataRecipe, folder: Path | None) -> Sources:
    """Read the folder `data.path`, within `folder` where one is given.

    It holds a folder for each class, or two of these, whose names end with "train" and "test"; of
    the former a sixth is drawn as the test split by the recipe's seed. Classes are numbered in the
    order of their names, numbers by their value.

    Raises:
        UsageError: when a folder is not there, or a file in it is no recording.
        FileRefused: when there are too few; a sample's own when it is read.
    """
    assert recipe.path is not None
    path = (folder or Path()) / recipe.path
    if not path.is_dir():
        raise UsageError(f"data.path {path} is no folder; {_LAYOUT} there")
    inner = [each for each in _inside(path) if each.is_dir()]
    parts = [
        [each for each in inner if each.name.lower().endswith(part)] for part in ("train", "test")
    ]
    if not any(parts):
        paths, labels, names = _classes(path)
        if len(paths) < LEAST:
            raise FileRefused(
                f"{path} has {len(paths)} recordings, too few to split; give at least {LEAST}"
            )
        everything = _source(paths, labels, recipe)
        rest, test = split_off(len(paths), TEST_SHARE, recipe.seed)
        return _sources(everything.pick(rest), everything.pick(test), len(names), recipe)
    if [len(part) for part in parts] != [1, 1]:
        raise UsageError(
            f"{path} has {len(parts[0])} folders for training and {len(parts[1])} for testing; "
            f"{_LAYOUT}"
        )
    train, test_part = (_classes(part[0]) for part in parts)
    if train[2] != test_part[2]:
        only = sorted(set(train[2]) ^ set(test_part[2]))
        raise UsageError(
            f"{path}: class {only[0]!r} is in one of {parts[0][0].name} and {parts[1][0].name} "
            "alone; give both the same classes"
        )
    first, second = (_source(paths, labels, recipe) for paths, labels, _ in (train, test_part))
    return _sources(first, second, len(train[2]), recipe)


def read_recording(path: Path, recipe: DataRecipe) -> Values:
    """Return the frames of one recording; silent ones where it has no event.

    Raises:
        FileRefused: when the file is not what it should be, its events are of another camera, or
            none of them falls into the frames.
    """
    assert recipe.sensor is not None
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise FileRefused(
            f"{path} has {size:,} bytes, the limit is {_MAX_BYTES:,}; cut it into samples"
        )
    events = CameraEvents.joined(decoded(path, recipe.unit))
    rows, columns = recipe.sensor
    events.require_inside(path, rows, columns, lambda: _way_out(camera_size(path)))
    if not len(events.time) and recipe.origin == "first-event":
        raise FileRefused(
            f"{path} has no event, and data.origin is 'first-event'; leave the file out, or set "
            "data.origin to 'recording', in which it is silent"
        )
    frames = camera_frames(events, recipe, recipe.sensor)
    if len(events.time) and not recipe.transforms and not frames.any():
        raise FileRefused(
            f"{path} has no event in the {recipe.steps} steps of {recipe.step_ms:g} ms from time "
            f"0 on, but its first at {events.time[0]:,} us; set data.origin to 'first-event'"
        )
    return frames


def _way_out(size: Size | None) -> str:
    """Return what to do about an event outside of the camera that the recipe names."""
    if size is None:
        return "give the camera's rows and columns as data.sensor"
    return f"its camera has data.sensor = {list(size)}"


def _sources(train: Source, test: Source, classes: int, recipe: DataRecipe) -> Sources:
    return Sources(train, test, classes, kind=kind_of(recipe), steps=recipe.steps)


def _source(paths: list[Path], labels: Indices, recipe: DataRecipe) -> Source:
    assert recipe.sensor is not None
    shape = camera_shape(recipe.sensor, recipe.downsample)

    def read(indices: Indices) -> Values:
        frames = np.zeros((len(indices), recipe.steps or 0, *shape), np.uint8)
        for place, index in enumerate(indices):
            frames[place] = read_recording(paths[index], recipe)
        return frames

    return Source(labels, read)


def _classes(folder: Path) -> tuple[list[Path], Indices, list[str]]:
    """Return the recordings in the folders of classes, their numbers, and the classes' names."""
    folders = sorted((each for each in _inside(folder) if each.is_dir()), key=_by_number)
    if not folders:
        raise UsageError(f"{folder} has no folders of classes; {_LAYOUT}")
    paths, labels = [], []
    for number, each in enumerate(folders):
        found = sorted(_inside(each), key=_by_number)
        if not found:
            raise UsageError(f"{each} has no recordings; give each class some, or remove it")
        for path in found:
            if path.suffix.lower() not in SUFFIXES:
                refuse_undecoded(path, NAMES)
                raise UsageError(
                    f"{path} is no recording of events ({', '.join(SUFFIXES)}); take it out of the "
                    "folder"
                )
        paths += found
        labels += [number] * len(found)
    return paths, np.array(labels, np.int64), [each.name for each in folders]


def _inside(folder: Path) -> list[Path]:
    """Return what lies in a folder, without what is hidden."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _by_number(path: Path) -> tuple[int, int, str]:
    """Return the order of a name: numbers by their value, before all others."""
    plain = path.stem.isascii() and path.stem.isdecimal() and len(path.stem) < 19
    return (0, int(path.stem), path.name) if plain else (1, 0, path.name)
