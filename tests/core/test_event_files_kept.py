"""Files of event cameras that packages decode, in a process apart."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from event_files import (
    aedat4_bytes,
    drawn_events,
    write_bag,
    write_dsec,
    write_mat,
    write_prophesee,
    write_ros2,
    write_ros2_file,
)
from recordings import Event

from lehr.cameras import Events, apart, camera_size, decoded, formats
from lehr.cameras import events as blocks
from lehr.errors import FileRefused, ToolMissing, UsageError
from lehr.network import Input
from lehr.recordings import open_inputs


def write_aedat4(path: Path, events: list[Event]) -> None:
    path.write_bytes(aedat4_bytes(events))


WRITERS: dict[str, tuple[str, str, Callable[[Path, list[Event]], None]]] = {
    "aedat4": (".aedat4", "aedat", write_aedat4),
    "aedat4-short-name": (".aedat", "aedat", write_aedat4),
    "rosbag": (".bag", "rosbags", write_bag),
    "ros2-mcap": (".mcap", "rosbags", write_ros2_file),
    "ros2-sqlite": (".db3", "rosbags", write_ros2_file),
    "dsec": (".h5", "h5py", lambda path, events: write_dsec(path, events, offset=40)),
    "prophesee": (".hdf5", "h5py", write_prophesee),
    "st-mnist": (".mat", "scipy", write_mat),
    "st-mnist-packed": (".MAT", "scipy", lambda path, events: write_mat(path, events, do_compression=True)),
}  # fmt: skip


def written(folder: Path, name: str, events: list[Event]) -> Path:
    suffix, package, writer = WRITERS[name]
    pytest.importorskip(package, reason=f"{package} is not installed")
    path = folder / f"r{suffix}"
    writer(path, events)
    return path


def sides(name: str) -> tuple[int, int]:
    return (10, 10) if name.startswith("st-mnist") else (34, 34)


def read(path: Path) -> list[Event]:
    found = Events.joined(decoded(path))
    columns = (found.time, found.x, found.y, found.polarity)
    return [*zip(*(column.tolist() for column in columns), strict=True)]


@pytest.mark.parametrize("name", WRITERS)
def test_files_hold_the_events_that_they_were_written_of(tmp_path: Path, name: str) -> None:
    events = drawn_events(0, start=100, sides=sides(name))
    if name.startswith("st-mnist"):  # its columns are events of one time, by the taxel's number
        events = sorted({(t, x, y, p) for t, x, y, p in events})
    path = written(tmp_path, name, events)
    assert len(events) > 250
    assert read(path) == events
    other = [(t, x, y, 1 - p) if n == 77 else (t, x, y, p) for n, (t, x, y, p) in enumerate(events)]
    path.unlink()
    assert read(written(tmp_path, name, other)) != events
    assert camera_size(path) == (None if name == "dsec" else sides(name)[::-1])


def test_they_come_in_blocks_and_may_be_left_half_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 60)
    monkeypatch.setattr(apart, "_nursery", apart._Nursery)
    events = drawn_events(1)
    path = written(tmp_path, "dsec", events)
    found = [*decoded(path)]
    assert max(len(block.time) for block in found) == 60
    assert len(Events.joined(found).time) == len(events)
    half = decoded(path)
    assert len(next(half).time) == 60
    del half
    assert read(path) == events


def test_one_runs_as_input_of_a_network(tmp_path: Path) -> None:
    events = drawn_events(2)
    path = written(tmp_path, "aedat4", events)
    spikes = open_inputs(
        path, Input((2, 34, 34), "spikes"), "step_us=1000,start_us=0,steps=20"
    ).whole()[0]
    expected = np.zeros_like(spikes)
    for t, x, y, p in events:
        expected[t // 1000, p, y, x] = 1
    assert 0 < spikes.mean() < 1
    assert np.array_equal(spikes, expected)
    with pytest.raises(FileRefused, match="its camera has 34x34: give downsample=3 in --frames"):
        open_inputs(path, Input((2, 12, 34), "spikes"), "step_us=1000")


def test_a_package_that_is_missing_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    (tmp_path / "r.aedat4").write_bytes(b"#!AER-DAT4.0\r\n")
    with pytest.raises(ToolMissing) as caught:
        decoded(tmp_path / "r.aedat4")
    assert str(caught.value) == (
        f"{tmp_path / 'r.aedat4'} is AEDAT 4, which aedat decodes: it is not installed; "
        "pip install 'lehr[events]'"
    )


def test_a_package_that_does_not_import_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "r.x").write_bytes(b"")
    with pytest.raises(FileRefused) as caught:
        next(apart.decoded("nothing", tmp_path / "r.x"))
    assert str(caught.value) == (
        f"{tmp_path / 'r.x'} needs nothing, which does not import ('nothing'); install it again"
    )


def message(path: Path) -> str:
    with pytest.raises(FileRefused) as caught:
        read(path)
    return str(caught.value).removeprefix(f"{path} ")


def test_what_is_not_one_stream_of_events_is_named(tmp_path: Path) -> None:
    events = drawn_events(3)
    path = tmp_path / "r.aedat4"
    pytest.importorskip("aedat", reason="aedat is not installed")
    path.write_bytes(aedat4_bytes(events, streams=2))
    assert message(path) == "has 2 streams of events, not one; export the one you mean by DV"
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    path = tmp_path / "r.bag"
    write_bag(path, events, topics=2)
    assert message(path) == (
        "has 2 topics of EventArray, not one: /dvs0/events (dvs_msgs/msg/EventArray), /dvs1/events "
        "(dvs_msgs/msg/EventArray); filter one into a bag of its own"
    )


def test_the_folder_of_a_ros_2_bag_is_named(tmp_path: Path) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    write_ros2(tmp_path / "bag", drawn_events(7), "MCAP")
    with pytest.raises(UsageError) as caught:
        open_inputs(tmp_path / "bag", Input((2, 34, 34), "spikes"), "step_us=1000")
    assert str(caught.value) == (
        f"{tmp_path / 'bag'} is the folder of a ROS 2 bag; give the .mcap or .db3 file in it"
    )


def packet_bag(path: Path, data: bytes, kind: str = "dvs_msgs/msg/EventArray") -> Path:
    """Write a ROS 2 bag of one message, and return the file in its folder."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        link = bag.add_connection("/events", kind, msgdef="uint8 x", rihs01="RIHS01_0")
        bag.write(link, 1, data)
    return next(path.glob("*.mcap"))


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (
            b"\x28\xb5\x2f\xfd" + bytes(40),
            "has a message that begins with b'(\\xb5/\\xfd', not with b'\\x00\\x01': it is packed, or "
            "big-endian; convert the bag by ros2 bag convert without compression",
        ),
        (
            b"\0\1\0\0"
            + bytes(8)
            + b"\1\0\0\0\0\0\0\0"
            + b"\x22\0\0\0" * 2
            + b"\2\0\0\0"
            + bytes(20),
            "has a message of 52 bytes, where 2 events take 61",
        ),
    ],
    ids=["packed", "short"],
)
def test_messages_of_another_kind_are_refused(tmp_path: Path, data: bytes, refusal: str) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    assert message(packet_bag(tmp_path / "bag", data)).startswith(refusal)


def test_packets_of_encoded_events_have_their_own_way_out(tmp_path: Path) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    path = packet_bag(tmp_path / "bag", b"", "event_camera_msgs/msg/EventPacket")
    assert message(path) == (
        "has 0 topics of EventArray, not one: /events (event_camera_msgs/msg/EventPacket); make a "
        "RAW file of packets by bag_to_raw, which comes with event_camera_tools"
    )


def test_other_layouts_of_hdf5_are_named(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    with h5py.File(path, "w") as file:
        file["davis/left/events"] = np.zeros((3, 4))
    assert message(path) == (
        "holds davis, neither Prophesee's CD/events nor DSEC's events/t, x, y, p; save its events "
        "as records t, x, y, p by numpy.save, in a file .npy"
    )
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3, np.uint16)
    with h5py.File(path, "w") as file:
        for name in "typ":
            file[f"events/{name}"] = np.zeros(3, np.uint16)
        file["events/x"] = h5py.ExternalLink("other.h5", "x")
    assert "neither Prophesee's" in message(path) or "damaged" in message(path)
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = np.zeros(3, np.float64)
    assert message(path).startswith("has events that are no integers")
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((3,), np.uint16)
        layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
        for name in "typ":
            file[f"events/{name}"] = np.zeros(3, np.uint16)
        file.create_virtual_dataset("events/x", layout)
    assert message(path).startswith("has /events/x in another file")


def test_a_filter_that_is_not_here_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    write_prophesee(path, drawn_events(4))
    with h5py.File(path, "a") as file:
        del file["CD/events"]
        packed = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        packed.set_chunk((64,))
        packed.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL, ())
        kind = h5py.h5t.py_create(
            np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
        )
        h5py.h5d.create(file["CD"].id, b"events", kind, h5py.h5s.create_simple((64,)), packed)
    assert message(path) == (
        "has /CD/events packed by a filter that is not here: Prophesee's ECF; convert it by "
        "Metavision's metavision_file_to_dat, or repack it by h5repack where the codec is installed"
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TD": np.zeros(3)}, "holds TD [1, 3], not ST-MNIST's spiketrain [101, times]; save its "),
        ({"spiketrain": np.full((101, 2), 0.5)}, "has spikes that are not -1, 0 or 1; save its "),
        ({"spiketrain": np.full((101, 2), np.nan)}, "has spikes that are not -1, 0 or 1; save its "),
        ({"spiketrain": np.pad(np.full((1, 2), np.inf), ((100, 0), (0, 0)))}, "has a time that is no number of seconds; "),
        ({"spiketrain": "text"}, "holds spiketrain [1], not ST-MNIST's spiketrain [101, times]; "),
    ],
)  # fmt: skip
def test_other_files_of_matlab_are_named(
    tmp_path: Path, variables: dict[str, object], expected: str
) -> None:
    io = pytest.importorskip("scipy.io", reason="scipy is not installed")
    io.savemat(tmp_path / "r.mat", variables)
    assert message(tmp_path / "r.mat").startswith(expected)


def test_matlab_7_3_is_named(tmp_path: Path) -> None:
    pytest.importorskip("scipy", reason="scipy is not installed")
    (tmp_path / "r.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    assert (
        message(tmp_path / "r.mat")
        == "is of MATLAB 7.3; save it there as version 7, save(..., '-v7')"
    )


def test_a_reader_that_answers_no_events_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the other process says is checked before it is taken for events."""
    path = tmp_path / "r.h5"
    write_dsec(path, drawn_events(5))
    size, end = b'{"kind": "size", "size": null}\n', b'{"kind": "end"}\n'
    event = b'{"kind": "events", "count": 1}\n'

    def column(*values: int) -> bytes:
        return np.array(values, "<i8").tobytes()

    answers = {
        b"": "made its reader answer with what are no events; get it again",
        b"x" * 100 + b"\n": "made its reader answer with what are no events; get it again",
        size + b'{"kind": "events", "count": 99999999}\n': "made its reader answer with what are no",
        size + event + column(1, 2, 3): "made its reader answer with what are no events; get it",
        size + event + column(1, 2, 3, 2): "made its reader answer with what are no events; get it",
        size + event + column(2**61, 2, 3, 1): "made its reader answer with what are no events; get",
        size + event + column(1, 2, 3, 1) + b'{"kind": "died", "signal": 9}\n': "has a reader that was killed, as happens when memory runs out; free memory",
        size + event + column(1, 2, 3, 1) + b'{"kind": "died", "signal": 11}\n': "made its reader fail (SIGSEGV), after 1 events; get it again",
        size + b'{"kind": "died", "signal": 14}\n': "takes too long to read, after 0 events; get it again",
        size + b'{"kind": "refused", "message": "is \\u001b[31m"}\n': "is ?[31m",
    }  # fmt: skip
    for answer, expected in answers.items():
        nursery = Answering(answer)
        monkeypatch.setattr(apart, "_nursery", lambda package, given=nursery: given)
        assert message(path).startswith(expected)
    monkeypatch.setattr(
        apart, "_nursery", lambda package: Answering(size + event + column(1, 2, 3, 1) + end)
    )
    assert read(path) == [(1, 2, 3, 1)]


class Answering:
    """A nursery of which every reader answers the same."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def ask(self, file: object) -> object:
        ours, theirs = os.pipe()
        os.write(theirs, self._answer)
        os.close(theirs)
        return os.fdopen(ours, "rb")


def test_a_process_that_was_ended_is_started_again(tmp_path: Path) -> None:
    events = drawn_events(6)
    path = written(tmp_path, "dsec", events)
    assert read(path) == events
    process = apart._nursery("h5py")._process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert read(path) == events
    assert apart._nursery("h5py")._process.pid != process.pid
