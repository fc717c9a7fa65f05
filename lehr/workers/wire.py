"""Parcels between processes of one machine: a line of JSON, then the numbers of each array."""

from __future__ import annotations

import json
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.workers.work import Parcel

_FACTS = "facts.json"


def send(connection: Connection, head: Mapping[str, Any], parcel: Parcel) -> None:
    """Send a parcel, and what is said of it."""
    arrays = {name: np.ascontiguousarray(array) for name, array in parcel.arrays.items()}
    stated = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    connection.send_bytes(json.dumps([head, parcel.facts, stated]).encode())
    for array in arrays.values():
        if array.size:
            connection.send_bytes(_flat(array).data)


def receive(connection: Connection) -> tuple[dict[str, Any], Parcel]:
    """Return what was said of a parcel, and the parcel.

    Raises:
        EOFError, OSError: when the other end is gone.
    """
    head, facts, stated = json.loads(connection.recv_bytes())
    arrays = {}
    for name, dtype, shape in stated:
        arrays[name] = np.empty(shape, dtype)
        if arrays[name].size:
            connection.recv_bytes_into(_flat(arrays[name]).data)
    return head, Parcel(facts, arrays)


def _flat(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def write(parcel: Parcel, folder: Path) -> None:
    """Write a parcel into an empty folder, from where any process can map its arrays."""
    stated = {}
    for number, (name, array) in enumerate(parcel.arrays.items()):
        stated[name] = f"{number}.npy"
        np.save(folder / stated[name], array, allow_pickle=False)
    (folder / _FACTS).write_text(json.dumps([parcel.facts, stated]))


def read(folder: Path) -> Parcel:
    """Return the parcel in a folder; its arrays are the file's, and what is written stays here."""
    facts, stated = json.loads((folder / _FACTS).read_text())
    arrays = {
        name: np.load(folder / file, mmap_mode="c", allow_pickle=False)
        for name, file in stated.items()
    }
    return Parcel(facts, arrays)
