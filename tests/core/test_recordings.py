"""Recordings of event cameras as input: their frames in any format, however they are cut.

Other recordings are refused.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from recordings import BYTES, RECORDS, SHAPE, SPIKES, Event, aedat_bytes, dense, drawn, written

from lehr.cameras import events as cameras
from lehr.errors import FileRefused, UsageError
from lehr.network import Input
from lehr.recordings import Frames, Recording, frames, open_inputs
from lehr.train.data.frames import CameraEvents
from lehr.train.data.nmnist import read_events

DATA = os.environ.get("LEHR_DATA")
FORMATS = (".bin", ".bs2", ".aedat", ".npy")


@pytest.mark.few(4)
@pytest.mark.parametrize("block", [1, 7, 1 << 18])
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("entry", "counted", "most"),
    [(SPIKES, "", 1), (BYTES, "", 255), (BYTES, ",most=2", 2), (BYTES, ",most=1", 1)],
)
def test_recordings_are_the_frames_they_stand_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    block: int,
    entry: Input,
    counted: str,
    most: int,
) -> None:
    monkeypatch.setattr(cameras, "BLOCK", block)
    events = drawn()
    path = written(tmp_path / f"r{suffix}", events)
    first, last = events[0][0], events[-1][0]
    for text, start, steps, factor in (
        ("step_us=700", first, (last - first) // 700 + 1, 1),
        ("step_us=700,start_us=0", 0, last // 700 + 1, 1),
        ("step_us=1000,start_us=5000,steps=4", 5000, 4, 1),
        ("step_us=999,steps=100,downsample=3", first, 100, 3),
    ):
        x, inputs = (
            dense(events, frames(text).step_us, start, steps, factor, most),
            open_inputs(path, entry, text + counted),
        )
        assert 0 < x.mean() < 1
        assert (x.max() > 1) == (most > 1)
        assert inputs.shape == x.shape
        assert inputs.labels is None
        assert np.array_equal(inputs.whole(), x)
        assert np.array_equal(np.concatenate(list(inputs.chunks(3)), axis=1), x)
        assert [piece.tobytes() for piece in inputs.pieces(2)] == [x.tobytes()]
        assert list(inputs.pieces(2, start=1)) == []


@pytest.mark.parametrize("block", [7, 1 << 18])
def test_counting_stops_at_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(cameras, "BLOCK", block)
    fallen = {(0, 1): 254, (1, 1): 255, (2, 1): 256, (3, 1): 600, (4, 1): 1}
    events = [(t, *at, 0) for t in range(600) for at, count in fallen.items() if t < count]
    path = written(tmp_path / "r.npy", events)
    x = open_inputs(path, BYTES, "step_us=1000").whole()
    assert x[0, 0, 0, 1].tolist() == [254, 255, 255, 255, 1]
    assert int(x.sum()) == 254 + 3 * 255 + 1


def test_more_is_counted_than_the_input_takes(tmp_path: Path) -> None:
    path = written(tmp_path / "r.npy", drawn())
    with pytest.raises(UsageError) as caught:
        open_inputs(path, SPIKES, "step_us=9,most=2")
    assert str(caught.value) == (
        "--frames: most is 2, but the input is spikes, 0 and 1; leave most out, or give "
        "--full-scale where a graph takes counts"
    )
    with pytest.raises(UsageError) as caught:
        open_inputs(path, BYTES, "step_us=9,most=256")
    assert str(caught.value) == (
        "--frames: most is 256, but a place of the input is a byte; give at most 255"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "step_us=0",
            "--frames: 'step_us=0' tells nothing; give KEY=NUMBER, once each, of step_us, "
            "start_us, steps, downsample, most, or unit=UNIT",
        ),
        (
            "step_us=1,start_us=" + "9" * 5000,
            "--frames: start_us has 5,000 digits; give at most 18",
        ),
        (
            "step_us=1,",
            "--frames: '' tells nothing; give KEY=NUMBER, once each, of step_us, start_us, steps, "
            "downsample, most, or unit=UNIT",
        ),
        (
            "step_us=1,step_us=2",
            "--frames: 'step_us=2' tells nothing; give KEY=NUMBER, once each, of step_us, "
            "start_us, steps, downsample, most, or unit=UNIT",
        ),
        (
            "step=1",
            "--frames: 'step=1' tells nothing; did you mean 'steps'? give KEY=NUMBER, once each, "
            "of step_us, start_us, steps, downsample, most, or unit=UNIT",
        ),
        (
            "steps=9",
            "--frames steps=9: no step_us; say how long a step is, as --frames step_us=1000",
        ),
    ],
)
def test_what_frames_cannot_be(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        frames(text)
    assert str(caught.value) == message
    assert frames(" step_us=5, start_us=0") == Frames(5, 0)


def test_frames_are_for_recordings(tmp_path: Path) -> None:
    path = written(tmp_path / "r.bin", drawn())
    with pytest.raises(
        UsageError,
        match="r.bin is a recording of events; say how long a step is, as --frames step_us=1000$",
    ):
        open_inputs(path, SPIKES, None)
    np.savez(tmp_path / "x.npz", input=np.zeros((1, 1, *SHAPE), np.uint8))
    with pytest.raises(
        UsageError,
        match=r"--frames is for recordings \(.raw, .dat, .aedat, .aedat4, .bin, .bs2, .npy, .npz, .mat, .bag, .mcap, .db3, .h5, .hdf5\) and sequences \(.wav, .npy, .csv\), and .*x.npz is none; leave it out$",
    ):
        open_inputs(tmp_path / "x.npz", SPIKES, "step_us=1")
    with pytest.raises(UsageError, match="none.bin is none; leave it out$"):
        open_inputs(tmp_path / "none.bin", SPIKES, "step_us=1")
    with pytest.raises(
        UsageError, match="none.bin does not exist; give an .npz file with an array 'input'$"
    ):
        open_inputs(tmp_path / "none.bin", SPIKES, None)


@pytest.mark.parametrize(
    ("events", "options", "message"),
    [
        ([(0, 4, 5, 1), (9, 5, 0, 0)], "", "has an event at column 5, row 0 of 5x6 pixels; give the network's own camera, or downsample=N in --frames"),
        ([(0, 4, 18, 1)], ",downsample=3", "has an event at column 4, row 18 of 15x18 pixels; give the network's own camera, or downsample=N in --frames"),
        ([(0, 0, -1, 1)], "", "has an event at column 0, row -1 of 5x6 pixels; give the network's own camera, or downsample=N in --frames"),
        ([(30, 0, 0, 1), (29, 0, 0, 1)], "", "goes back in time to 29 us, an earlier step than that of the event before; sort the events by time"),
        ([(0, 0, 0, 1), (9, 0, 0, 1), (50, 0, 0, 1), (49, 0, 0, 1)], "", "goes back in time to 49 us, an earlier step than that of the event before; sort the events by time"),
        ([(5, 0, 0, 1)], ",start_us=6", "has no event from 6 us on; give an earlier start_us"),
        ([(0, 0, 0, 1), (1 << 50, 0, 0, 1)], "", "its 112,589,990,684,263 steps are 6,755,399,441,055,780 bytes as spikes, the limit is 1,099,511,627,776; give steps, or a longer one"),
        ([], "", "holds no event; give another recording, or start_us and steps in --frames for a silent one"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event], options: str, message: str
) -> None:
    monkeypatch.setattr(cameras, "BLOCK", 3)
    path = written(tmp_path / "r.npy", events)
    with pytest.raises(FileRefused) as caught:
        open_inputs(path, SPIKES, f"step_us=10{options}").whole()
    assert str(caught.value).removeprefix(str(path)).lstrip(": ") == message


def test_networks_of_other_inputs_take_no_recording(tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as caught:
        Recording(written(tmp_path / "r.npy", drawn()), Input((12,), "spikes"), Frames(10))
    message = "r.npy is a recording of two polarities, [2, rows, columns], but the network takes [12]; give inputs as an .npz file"
    assert str(caught.value).endswith(message)


def npy(shape: str) -> bytes:
    """Return an `.npy` file of no records that says to have this shape."""
    text = f"{{'descr': {RECORDS}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"",
            "is not a whole .npy file (EOF: reading magic string, expected 8 bytes got 0); write "
            "it with numpy.save",
        ),
        (
            b"x" * 40,
            "is not a whole .npy file (the magic string is not correct; expected b'\\x93NUMPY', "
            "got b'xxxxxx'); write it with numpy.save",
        ),
        (
            npy("(True,)"),
            "is not a whole .npy file (its shape holds True, no length of an axis); write it with "
            "numpy.save",
        ),
        (
            npy("(-1,)"),
            "is not a whole .npy file (its shape holds -1, no length of an axis); write it with "
            "numpy.save",
        ),
        (
            npy(f"({10**23},)"),
            f"is not a whole .npy file (its shape [{10**23}] is more than any file holds); write "
            "it with numpy.save",
        ),
        (npy("(10,)"), "has 128 bytes, and 258 by its header; write it with numpy.save"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "r.npy").write_bytes(data)
    with pytest.raises(FileRefused) as caught:
        Recording(tmp_path / "r.npy", SPIKES, Frames(10))
    assert str(caught.value) == f"{tmp_path / 'r.npy'} {message}"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((2, 3)),
            "holds float64 [2, 3]; give records with integers t, x, y, p, or integers [events, 4] in that order",
        ),
        (
            np.zeros(3, [("t", "f8"), *RECORDS[1:]]),
            "; give records with integers t, x, y, p, or integers [events, 4] in that order",
        ),
        (
            np.array([(0, 0, 0, 2)], [*RECORDS[:3], ("p", "i1")]),
            "has an event of polarity 2, number 0; give 0 for darker and 1 for brighter",
        ),
    ],
)
def test_what_are_no_events_is_refused(
    tmp_path: Path, array: npt.NDArray[np.void], message: str
) -> None:
    np.save(tmp_path / "r.npy", array)
    with pytest.raises(FileRefused) as caught:
        Recording(tmp_path / "r.npy", SPIKES, Frames(10))
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    ("field", "value"),
    [("t", 2**63 + 7), ("t", 2**60 + 1), ("x", 2**64 - 1), ("y", 2**63), ("p", 2**64 - 1)],
)
def test_a_number_that_64_bits_do_not_hold_is_no_other_number(
    tmp_path: Path, field: str, value: int
) -> None:
    """As int64, these would be negative: a time before all others, a column -1."""
    events = np.zeros(3, [(name, "<u8") for name in "txyp"])
    events[field][1] = value
    np.save(tmp_path / "r.npy", events)
    with pytest.raises(FileRefused) as caught:
        Recording(tmp_path / "r.npy", SPIKES, Frames(10))
    assert (
        str(caught.value)
        == f"{tmp_path / 'r.npy'} has an event whose {field} is {value:,}; give at most {2**60:,}"
    )


@pytest.mark.parametrize(("overflows", "time"), [(2**32 - 1, 5), (2**29 + 1, 5), (0, 2**31)])
def test_a_time_of_aedat_never_wraps(tmp_path: Path, overflows: int, time: int) -> None:
    (tmp_path / "r.aedat").write_bytes(
        aedat_bytes((0, [(3, 1, 1, 1)]), (overflows, [(time, 1, 1, 1)]))
    )
    with pytest.raises(
        FileRefused,
        match=f"has a time beyond 31 bits, or {overflows:,} overflows of it, at byte 125; get it again$",
    ):
        Recording(tmp_path / "r.aedat", SPIKES, Frames(10**9))


def test_the_end_of_a_name_may_be_in_capitals(tmp_path: Path) -> None:
    events = drawn()
    path = written(tmp_path / "r.npy", events).rename(tmp_path / "r.NPY")
    assert np.array_equal(
        open_inputs(path, SPIKES, "step_us=700,start_us=0").whole(),
        dense(events, 700, 0, events[-1][0] // 700 + 1),
    )


@pytest.mark.skipif(DATA is None, reason="LEHR_DATA names no folder with N-MNIST")
def test_real_recordings_are_the_frames_that_networks_train_on() -> None:
    for number in (60001, 60002, 60003):
        path = Path(DATA or "") / "nmnist" / f"{number}.bs2"
        events: CameraEvents = read_events(path)
        for entry in (Input((2, 34, 34), "spikes"), Input((2, 34, 34), "u8")):
            expected = events.frames(entry.shape, 30, 10, entry.highest)
            assert 0 < expected.mean() < 1
            assert (expected.max() > 1) == (entry.kind == "u8")
            inputs = open_inputs(path, entry, "step_us=10000,start_us=0,steps=30")
            assert np.array_equal(inputs.whole()[0], expected)
