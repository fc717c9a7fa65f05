"""The data set in a recipe: the sets that there are, and the keys that each of them takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from lehr.cameras.records import Unit
from lehr.sequences.keys import Coding
from lehr.spelling import one_of
from lehr.strict import LIST, Count, Positive, Strict
from lehr.train.keys.transforms import Transform


@dataclass(frozen=True)
class Keys:
    """The keys of `data` that a data set has beside those that all have.

    Attributes:
        needs: that must be given.
        takes: that may be given.
    """

    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


_ALL = ("name", "seed", "train_samples", "test_samples", "row")
_EVENTS = ("steps", "step_ms")
_FRAMES = ("test_steps", "frames", "origin")
_CAMERA = Keys(_EVENTS, (*_FRAMES, "transforms", "downsample"))
_SPEECH = Keys(_EVENTS, (*_FRAMES, "channels", "classes"))
_IMAGES = Keys(takes=("encoding",))
DATA_SETS: Mapping[str, Keys] = {
    "digits": _IMAGES,
    "mnist": _IMAGES,
    "fashion-mnist": _IMAGES,
    "nmnist": _CAMERA,
    "dvs-gesture": _CAMERA,
    "shd": _SPEECH,
    "ssc": _SPEECH,
    "fsdd": _SPEECH,
    "japanese-vowels": Keys(("steps",)),
    "temporal": Keys(("steps",)),
    "events": Keys((*_CAMERA.needs, "path", "sensor"), (*_CAMERA.takes, "unit")),
    "npz": Keys(("path",), ("encoding", "steps")),
    "series": Keys(
        ("path", "steps", "code", "threshold"),
        ("threshold_in", "step_samples", "bands", "lowest_hz", "highest_hz", "frames"),
    ),
}
"""The data sets that can be read, by name; `lehr.train.data.dataset` has what reads them."""


class _Named(Strict):
    """A table that begins with the name of a data set.

    Attributes:
        name: of a data set that there is, or `npz`, `events` or `series` for files of one's own,
            the last for sounds and other sequences that are no events.
    """

    name: Annotated[str, Field(json_schema_extra={"enum": [*DATA_SETS]})]


class DataRecipe(Coding, _Named):
    """Data set of a recipe: its name, how much of it, and how it becomes input.

    The keys of sequences, such as `code`, are those of `lehr.sequences.keys`.

    Attributes:
        train_samples: how many are trained on, the first ones; all if None.
        test_samples: how many are measured on, the first ones; all if None.
        path: of the file, the shards, or the folder of files by class, of a user's own data.
        sensor: rows and columns of the camera that wrote event files of one's own.
        unit: of the times of `.npy` event files; the others have one of their own.
        seed: of the validation split, and of rate coding; not the run's, so that runs of several
            seeds train on the same samples.
        encoding: how pixels become spikes; `current` leaves them as they are.
        steps: T of events and of encoded pixels, which `network.steps` must equal; None where a
            sample is held for all steps.
        test_steps: T of the validation and the test samples of event data, which `network.steps`
            then equals; `steps` if None.
        step_ms: length of a step into which events are gathered, in milliseconds.
        frames: what a step of events holds for each pixel or channel: `binary`, 1 where at least
            one fell, or their `count`, 255 where there are more.
        origin: where time 0 of a sample's events is: of its `recording` (of a gesture, where that
            begins), or at its `first-event`.
        transforms: of an event camera's recordings, in this order, before anything else;
            `lehr.train.keys.transforms`.
        downsample: how many pixels of an event camera make one, in rows and in columns.
        channels: into how many the 700 channels of spoken words are gathered, neighbours together;
            as they are if None.
        classes: how many of the classes of spoken words there are, the first ones; samples of the
            others are left out. All if None.
        row: whether samples `[L]` or `[C, L]` become maps of one row, `[C, 1, L]`; true in a recipe
            with a `conv1d` layer that does not say it.
    """

    path: str | None = None
    sensor: Annotated[tuple[Count, Count], LIST] | None = None
    unit: Unit = "us"
    train_samples: Count | None = None
    test_samples: Count | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    encoding: Literal["current", "rate", "latency", "delta"] = "current"
    steps: Count | None = None
    test_steps: Count | None = None
    step_ms: Positive | None = None
    frames: Literal["binary", "count"] = "binary"
    origin: Literal["recording", "first-event"] = "recording"
    transforms: Annotated[tuple[Transform, ...], LIST] = ()
    downsample: Count = 1
    channels: Annotated[int, Field(ge=1, le=700)] | None = None
    classes: Annotated[int, Field(ge=2)] | None = None
    row: bool = False


def data_contradictions(recipe: DataRecipe) -> list[str]:
    """Say what a data set does not take, or lacks, in sentences."""
    if recipe.name not in DATA_SETS:
        return [
            f"data.name is {recipe.name!r}, which is no data set; {one_of(recipe.name, DATA_SETS)}"
        ]
    return [*_of_keys(recipe, DATA_SETS[recipe.name]), *recipe.edges_without_bands("data.")]


def _of_keys(recipe: DataRecipe, keys: Keys) -> Iterator[str]:
    """Compare the keys that are given with those that the data set takes."""
    coded = recipe.encoding != "current"
    if coded and recipe.steps is None:
        yield (
            f"data.encoding is {recipe.encoding!r}, but data.steps is not given; set it to "
            "network.steps"
        )
    takes = {*_ALL, *keys.needs, *keys.takes, *(["steps"] if coded else [])}
    for key, field in DataRecipe.model_fields.items():
        value = getattr(recipe, key)
        if key in keys.needs and value is None:
            yield (
                f"data set {recipe.name} needs data.{key}, which is not given; add it to the recipe"
            )
        if key not in takes and value != field.default:
            yield f"data.{key} is {value!r}, which data set {recipe.name} does not take; remove it"
