"""Recordings of real cameras: the events that other decoders read of them.

The counts and digests were made by these decoders, none of which is lehr: of times, columns, rows
and polarities as 64-bit integers, one list after the other, by sha256.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from lehr.cameras import Events, camera_size, decoded

DATA = Path(os.environ.get("LEHR_DATA", "nowhere"))
RECORDINGS = {
    "prophesee_samples/evt2_sample.raw": (539_481, "076740c7ac710cc9"),  # expelliarmus 1.1.12, faery 0.7.1
    "prophesee_samples/evt3_sample.raw": (219_596, "de1e457893b79519"),  # evt3 0.4.1
    "prophesee_samples/dat_sample.dat": (4_407, "3317567a26174a78"),  # expelliarmus 1.1.12
    "tonic_samples/sample_ncars.dat": (2_009, "cc9e8d7c644e1100"),  # expelliarmus 1.1.12
    "tonic_samples/sample_nmnist.bin": (4_325, "7e349230ea7b3d69"),  # tonic 1.7.0
    "tonic_samples/sample.aedat4": (111_954, "c657d7ebb1942120"),  # aedat 2.3.0, faery 0.7.1
    "tonic_samples/sample_stmnist.mat": (2_346, "71ae15f8d45c6afa"),  # scipy 1.17.1, tonic's mapping
}  # fmt: skip
PACKAGES = {".aedat4": "aedat", ".mat": "scipy"}


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings_are_the_events_that_others_read(name: str) -> None:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"LEHR_DATA names no folder with {name}")
    if (package := PACKAGES.get(path.suffix)) is not None:
        pytest.importorskip(package, reason=f"{package} is not installed")
    found = Events.joined(decoded(path))
    columns = (found.time, found.x, found.y, found.polarity)
    assert 0 < found.polarity.mean() < 1
    assert (len(found.time), digest(*columns)) == RECORDINGS[name]
    found.x[len(found.x) // 2] ^= 1
    assert digest(*columns) != RECORDINGS[name][1]


def test_the_real_header_of_a_davis346_is_read() -> None:
    """Of a recording without events, which jAER began with the camera's settings."""
    path = DATA / "tonic_samples/sample_aedat_header.aedat"
    if not path.is_file():
        pytest.skip("LEHR_DATA names no folder with tonic_samples")
    assert camera_size(path) == (260, 346)
    assert len(Events.joined(decoded(path)).time) == 0


def digest(*columns: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    return hashlib.sha256(
        b"".join(column.astype("<i8").tobytes() for column in columns)
    ).hexdigest()[:16]
