"""A user's own event files: a folder for each class, in any format of `lehr.cameras`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lehr.cameras import NAMES, SUFFIXES, Size, camera_size, decoded
from lehr.errors import FileRefused, UsageError
from lehr.train.data.frames import CameraEvents, camera_frames, camera_shape, kind_of
from lehr.train.data.labelled import labelled_files
from lehr.train.data.source import LEAST, TEST_SHARE, Indices, Source, Sources, Values, split_off
from lehr.train.recipe import DataRecipe
from lehr.undecoded import refuse_undecoded

_MAX_BYTES = 1 << 30


def load_event_files(recipe: DataRecipe, folder: Path | None) -> Sources:
    """Read the folder `data.path`, within `folder` where one is given.

    It holds files by class, `lehr.train.data.labelled`; where they are not in two parts, a sixth is
    drawn as the test split by the recipe's seed.

    Raises:
        UsageError: when a folder is not there, or a file in it is no recording.
        FileRefused: when there are too few; a sample's own when it is read.
    """
    assert recipe.path is not None
    path = (folder or Path()) / recipe.path
    parts, classes = labelled_files(path, _require_recording)
    sources = [_source(*part, recipe) for part in parts]
    if len(sources) == 1:
        if (count := len(sources[0].labels)) < LEAST:
            raise FileRefused(
                f"{path} has {count} recordings, too few to split; give at least {LEAST}"
            )
        rest, test = split_off(count, TEST_SHARE, recipe.seed)
        sources = [sources[0].pick(rest), sources[0].pick(test)]
    return Sources(sources[0], sources[1], classes, kind=kind_of(recipe), steps=recipe.steps)


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


def _source(paths: list[Path], labels: Indices, recipe: DataRecipe) -> Source:
    assert recipe.sensor is not None
    shape = camera_shape(recipe.sensor, recipe.downsample)

    def read(indices: Indices) -> Values:
        frames = np.zeros((len(indices), recipe.steps or 0, *shape), np.uint8)
        for place, index in enumerate(indices):
            frames[place] = read_recording(paths[index], recipe)
        return frames

    return Source(labels, read)


def _require_recording(path: Path) -> None:
    """Refuse a file that is no recording, by its name."""
    if path.suffix.lower() not in SUFFIXES:
        refuse_undecoded(path, NAMES)
        raise UsageError(
            f"{path} is no recording of events ({', '.join(SUFFIXES)}); take it out of the folder"
        )
