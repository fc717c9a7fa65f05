"""Data sets as what is sent to workers: arrays, and a few facts."""

from __future__ import annotations

import numpy as np

from lehr.sequences.encoding import Encoding
from lehr.train.data.dataset import Dataset, Split
from lehr.workers.work import Parcel

_SPLITS = ("train", "validation", "test")


def parcel_of(data: Dataset) -> Parcel:
    """Return what is sent of a data set: all of it."""
    splits: dict[str, Split] = {name: getattr(data, name) for name in _SPLITS}
    facts = {
        "classes": data.classes,
        "kind": data.kind,
        "steps": data.steps,
        "encoding": None if data.encoding is None else data.encoding.model_dump(mode="json"),
    }
    arrays = {f"{name}.x": split.x[:] for name, split in splits.items()}
    return Parcel(facts, arrays | {f"{name}.y": split.y for name, split in splits.items()})


def dataset_of(parcel: Parcel) -> Dataset:
    """Return the data set that was sent."""
    facts, arrays = parcel.facts, parcel.arrays
    train, validation, test = (
        Split(*(np.require(arrays[f"{name}.{part}"], requirements="W") for part in "xy"))
        for name in _SPLITS
    )
    encoding = facts["encoding"]
    return Dataset(
        train,
        validation,
        test,
        facts["classes"],
        facts["kind"],
        facts["steps"],
        None if encoding is None else Encoding.model_validate(encoding),
    )
