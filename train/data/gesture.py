"""DVS128 Gesture: eleven gestures before an event camera of 128x128 pixels.

A recording has several of them.

A recording `NAME.aedat` is an AEDAT 3.1 file; `NAME_labels.csv` beside it tells class (from 1),
start and end of each gesture in microseconds. `trials_to_train.txt` and `trials_to_test.txt` list
the recordings of the two parts. A sample starts with its gesture.

Source: Amir et al. 2017, "A low power, fully event-based gesture recognition system".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lehr.cameras.aedat import aedat
from lehr.errors import FileRefused, UsageError
from lehr.reading import read_text
from lehr.train.data.frames import CameraEvents, Integers, camera_frames, camera_shape, kind_of
from lehr.train.data.source import Indices, Source, Sources, Values
from lehr.train.data.table import read_table
from lehr.train.recipe import DataRecipe

SIZE = 128
CLASSES = 11
_MAX_BYTES, _MAX_LIST = 1 << 30, 1 << 20
_AGAIN = "get it again from its official source"


def load_gestures(recipe: DataRecipe, folder: Path) -> Sources:
    """Training and test gestures, in the order of the lists.

    Raises:
        UsageError: when a file is not there.
        FileRefused: when a file is not what it should be; a recording's own when it is read.
    """
    return Sources(
        _part(recipe, folder, "train"),
        _part(recipe, folder, "test"),
        CLASSES,
        kind=kind_of(recipe),
        steps=recipe.steps,
    )


def _part(recipe: DataRecipe, folder: Path, part: str) -> Source:
    trials = _existing(folder, f"trials_to_{part}.txt")
    names = read_text(trials, _MAX_LIST, _AGAIN).split()
    recordings = [_existing(folder, name) for name in names]
    tables = [read_labels(_existing(folder, f"{Path(name).stem}_labels.csv")) for name in names]
    if not recordings:
        raise FileRefused(f"{trials} lists no recording; {_AGAIN}")
    gestures = np.concatenate(tables)
    recording = np.repeat(np.arange(len(names)), [len(table) for table in tables])

    def read(indices: Indices) -> Values:
        frames = np.zeros(
            (len(indices), recipe.steps or 0, *camera_shape((SIZE, SIZE), recipe.downsample)),
            np.uint8,
        )
        for number in np.unique(recording[indices]):
            events = read_aedat(recordings[number])  # once, for all of its gestures
            for place in np.flatnonzero(recording[indices] == number):
                _, start, end = gestures[indices[place]]
                inside = _between(events, start, end)
                if not len(inside.time):
                    raise FileRefused(
                        f"{recordings[number]} has no event from {start:,} to {end:,} us, where a "
                        f"gesture should be; {_AGAIN}"
                    )
                frames[place] = camera_frames(inside, recipe, (SIZE, SIZE))
        return frames

    return Source(gestures[:, 0] - 1, read)


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if path.parent != folder or not path.is_file():
        raise UsageError(
            f"data folder {folder} has no {name}; unpack the official DvsGesture.tar.gz there, or "
            "let --download do so"
        )
    return path


def _between(events: CameraEvents, start: int, end: int) -> CameraEvents:
    """Events from `start` to before `end`, in time since `start`."""
    inside = (events.time >= start) & (events.time < end)
    return CameraEvents(
        events.time[inside] - start, events.x[inside], events.y[inside], events.polarity[inside]
    )


def read_labels(path: Path) -> Integers:
    """Class 1..11, start and end in microseconds of each gesture, int64 `[gestures, 3]`.

    Raises:
        FileRefused: when it is no such table.
    """
    table = read_table(path, 3, "class, start and end", delimiter=",", header=True)
    if table[:, 0].min() < 1 or table[:, 0].max() > CLASSES:
        raise FileRefused(f"{path} has a class that is not 1 to {CLASSES}; {_AGAIN}")
    wrong = np.flatnonzero((table[:, 1] < 0) | (table[:, 2] <= table[:, 1]))
    if len(wrong):
        start, end = table[wrong[0], 1:]
        raise FileRefused(
            f"{path}: gesture {wrong[0] + 1} lasts from {start:,} to {end:,} us, which is no time; "
            f"{_AGAIN}"
        )
    return table


def read_aedat(path: Path) -> CameraEvents:
    """Return the polarity events of an AEDAT 3.1 file of a camera of 128x128 pixels.

    Raises:
        FileRefused: when it is no such file, or is cut short.
    """
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise FileRefused(f"{path} has {size:,} bytes, the limit is {_MAX_BYTES:,}; {_AGAIN}")
    events = CameraEvents.joined(aedat(path))
    events.require_inside(path, SIZE, SIZE, lambda: _AGAIN)
    return events
