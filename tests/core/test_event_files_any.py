"""What holds for every format of event files: names in capitals, and recordings without events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from event_files import (
    aedat2_bytes,
    aedat4_bytes,
    dat_bytes,
    drawn_events,
    evt2_bytes,
    evt3_bytes,
    evt21_bytes,
    write_bag,
    write_dsec,
    write_mat,
    write_ros2_file,
)
from recordings import Event, aedat_bytes, nmnist_bytes

from lehr.cameras import FORMATS, SUFFIXES, Events, decoded
from lehr.errors import FileRefused
from lehr.network import Input
from lehr.recordings import open_inputs

Writer = Callable[[Path, list[Event]], object]


def of_bytes(writer: Callable[[list[Event]], bytes]) -> Writer:
    return lambda path, events: path.write_bytes(writer(events))


def write_columns(path: Path, events: list[Event]) -> None:
    records = np.array(events, FIELDS)
    np.savez(path, x=records["x"], t=records["t"], y=records["y"], p=records["p"])


FIELDS = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")]
WRITERS: dict[str, tuple[str, str, Writer]] = {
    "evt2": (".raw", "", of_bytes(evt2_bytes)),
    "evt21": (".raw", "", of_bytes(evt21_bytes)),
    "evt3": (".raw", "", of_bytes(evt3_bytes)),
    "dat": (".dat", "", of_bytes(dat_bytes)),
    "aedat2": (".aedat", "", of_bytes(lambda events: aedat2_bytes(events, "DVS128"))),
    "aedat3": (".aedat", "", of_bytes(lambda events: aedat_bytes((0, events)))),
    "aedat4": (".aedat4", "aedat", of_bytes(aedat4_bytes)),
    # a file of 0 bytes is none: the camera's clock has begun anew once
    "nmnist": (".bin", "", of_bytes(lambda events: bytes([0, 240, 0, 0, 0]) + nmnist_bytes(*events))),
    "n-caltech101": (".bs2", "", of_bytes(lambda events: bytes([0, 240, 0, 0, 0]) + nmnist_bytes(*events))),
    "records": (".npy", "", lambda path, events: np.save(path, np.array(events, FIELDS))),
    "columns": (".npz", "", write_columns),
    "poker-dvs": (".npy", "", lambda path, events: np.save(path, np.reshape(events, (-1, 4)).astype(int))),
    "st-mnist": (".mat", "scipy", write_mat),
    "rosbag": (".bag", "rosbags", write_bag),
    "ros2-mcap": (".mcap", "rosbags", write_ros2_file),
    "ros2-sqlite": (".db3", "rosbags", write_ros2_file),
    "dsec": (".h5", "h5py", write_dsec),
    "dsec-long-name": (".hdf5", "h5py", write_dsec),
}  # fmt: skip


def test_every_end_of_a_name_is_tried() -> None:
    assert {suffix for suffix, _, _ in WRITERS.values()} == set(SUFFIXES)
    assert len(WRITERS) > len(FORMATS)


@pytest.mark.parametrize("name", WRITERS)
def test_names_may_be_in_capitals_and_recordings_without_events(tmp_path: Path, name: str) -> None:
    suffix, package, write = WRITERS[name]
    if package:
        pytest.importorskip(package, reason=f"{package} is not installed")
    events = sorted(drawn_events(8, 40, start=9_000, span=4_000, sides=(10, 10)))
    path = tmp_path / f"r{suffix}"
    write(path, events)
    path = path.rename(tmp_path / f"R{suffix.upper()}")
    found = Events.joined(decoded(path))
    first = found.time[0] - events[0][0]  # N-MNIST's clock began anew
    assert first == (8_192 if "nmnist" in name or "caltech" in name else 0)
    columns = (found.time - first, found.x, found.y, found.polarity)
    assert sorted(zip(*(column.tolist() for column in columns), strict=True)) == events

    path = tmp_path / f"silent{suffix}"
    write(path, [])
    entry = Input((2, 10, 10), "spikes")
    x = open_inputs(path, entry, "step_us=1000,start_us=0,steps=3").whole()
    assert x.shape == (1, 3, 2, 10, 10)
    assert not x.any()
    for framing in ("step_us=1000", "step_us=1000,steps=3"):
        with pytest.raises(FileRefused) as caught:
            open_inputs(path, entry, framing)
        assert str(caught.value) == (
            f"{path} holds no event; give another recording, or start_us and steps in --frames for "
            "a silent one"
        )
