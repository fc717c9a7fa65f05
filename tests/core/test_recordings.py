"""Recordings of event cameras as input: the frames they stand for, in any format and however they are cut, and what is refused."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from recordings import Event, aedat_bytes, nmnist_bytes
from strategies import Builder, alive

from lehr import cameras, nirfile
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, UsageError
from lehr.network import Input, Network
from lehr.npz import npz_bytes
from lehr.recordings import Frames, Recording, frames, open_inputs
from lehr.samples import event_arrays
from lehr.simulate import pieces, simulate
from lehr.train.data.frames import CameraEvents
from lehr.train.data.nmnist import read_events

SHAPE = (2, 6, 5)
RECORDS = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")]
FORMATS = (".bin", ".bs2", ".aedat", ".npy")


def drawn(seed: int = 0, count: int = 400, until: int = 20_000) -> list[Event]:
    """Time, column, row and polarity of events of a camera of 5x6 pixels, by time."""
    rng = np.random.default_rng(seed)
    columns = (
        np.sort(rng.integers(3, until, count)),
        rng.integers(0, 5, count),
        rng.integers(0, 6, count),
        rng.integers(0, 2, count),
    )
    return [(int(t), int(x), int(y), int(p)) for t, x, y, p in zip(*columns, strict=True)]


def written(path: Path, events: list[Event]) -> Path:
    match path.suffix:
        case ".npy":
            np.save(path, np.array(events, RECORDS))
        case ".aedat":
            cuts = [0, 1, 1, len(events) // 2, len(events)]
            path.write_bytes(aedat_bytes(*((0, events[a:b]) for a, b in pairwise(cuts))))
        case _:
            # the clock runs over every 8,192 us; the camera says so by an event in row 240
            marked = [(t % 8192, *rest) for t, *rest in events]
            for turn in range(1, events[-1][0] // 8192 + 1):
                marked.insert(
                    turn - 1 + next(i for i, e in enumerate(events) if e[0] >= turn * 8192),
                    (0, 0, 240, 0),
                )
            path.write_bytes(nmnist_bytes(*marked))  # type: ignore[arg-type]
    return path


def dense(
    events: list[Event], step_us: int, start: int, steps: int, factor: int = 1
) -> npt.NDArray[np.uint8]:
    """The frames, one event after another."""
    made = np.zeros((1, steps, *SHAPE), np.uint8)
    for t, x, y, p in events:
        if t - start >= 0 and (t - start) // step_us < steps:
            made[0, (t - start) // step_us, p, y // factor, x // factor] = 1
    return made


@pytest.mark.few(4)
@pytest.mark.parametrize("block", [1, 7, 1 << 18])
@pytest.mark.parametrize("suffix", FORMATS)
def test_recordings_are_the_frames_they_stand_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, block: int
) -> None:
    monkeypatch.setattr(cameras, "BLOCK", block)
    events = drawn()
    path = written(tmp_path / f"r{suffix}", events)
    first, last = events[0][0], events[-1][0]
    for told, start, steps, factor in (
        ("step_us=700", first, (last - first) // 700 + 1, 1),
        ("step_us=700,start_us=0", 0, last // 700 + 1, 1),
        ("step_us=1000,start_us=5000,steps=4", 5000, 4, 1),
        ("step_us=999,steps=100,downsample=3", first, 100, 3),
    ):
        x, found = (
            dense(events, frames(told).step_us, start, steps, factor),
            open_inputs(path, SHAPE, told),
        )
        assert 0 < x.mean() < 1
        assert found.shape == x.shape
        assert found.labels is None
        assert np.array_equal(found.whole(), x)
        assert np.array_equal(np.concatenate(list(found.chunks(3)), axis=1), x)
        assert [piece.tobytes() for piece in found.pieces(2)] == [x.tobytes()]
        assert list(found.pieces(2, start=1)) == []


def network() -> Network:
    net = Builder(Input(SHAPE, "spikes"), np.random.default_rng(0))
    how = Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=2, state_bits=18)
    net.conv("conv", 4)
    net.neuron("lif1", how)
    net.linear("fc", 3)
    net.neuron("out", how)
    return net.network(steps=10)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("suffix", "piece"), [(".bin", 1 << 26), (".aedat", 200), (".npy", 200)]
)  # at once, and few steps at a time
def test_a_recording_runs_as_its_frames(
    tmp_path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch, suffix: str, piece: int
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", piece)
    events, net = drawn(), network()
    x = dense(events, 700, 0, 29)
    assert alive(simulate(net, x))
    nirfile.write(net, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=x)
    (tmp_path / "e.npz").write_bytes(npz_bytes(event_arrays(x)))
    written(tmp_path / f"r{suffix}", events)
    written(
        tmp_path / f"other{suffix}",
        [
            *events[:300],
            (events[300][0], (events[300][1] + 1) % 5, *events[300][2:]),
            *events[301:],
        ],
    )
    cut, out = ("--frames", "step_us=700,start_us=0"), ("--trace", "all")
    given = {"x.npz": (), "e.npz": (), f"r{suffix}": cut, f"other{suffix}": cut}
    made = {}
    for name, options in given.items():
        ran = lehr(
            "simulate",
            tmp_path / "m.nir",
            "-i",
            tmp_path / name,
            *options,
            *out,
            "-o",
            tmp_path / "out.npz",
        )
        assert ran.code == 0, ran.err
        made[name] = (tmp_path / "out.npz").read_bytes()
    assert made["x.npz"] == made["e.npz"] == made[f"r{suffix}"]
    assert made["x.npz"] != made[f"other{suffix}"]


def test_every_command_with_inputs_takes_a_recording(tmp_path: Path, lehr: Lehr) -> None:
    events = drawn()
    nirfile.write(network(), tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=dense(events, 700, events[0][0], 29))
    recording = (written(tmp_path / "r.npy", events), "--frames", "step_us=700")
    for command, more in (("widths", ()), ("build", ("--target", "c", "-o", tmp_path / "out"))):
        told = [
            lehr(command, tmp_path / "m.nir", "-i", *given, *more, "--json")
            for given in ((tmp_path / "x.npz",), recording)
        ]
        assert [ran.code for ran in told] == [0, 0], told[1].err
        assert told[0].facts == told[1].facts


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            "step_us=0",
            "--frames: 'step_us=0' tells nothing; give KEY=NUMBER, once each, of step_us, "
            "start_us, steps, downsample",
        ),
        (
            "step_us=1,start_us=" + "9" * 5000,
            "--frames: start_us has 5,000 digits; give at most 18",
        ),
        (
            "step_us=1,",
            "--frames: '' tells nothing; give KEY=NUMBER, once each, of step_us, start_us, steps, "
            "downsample",
        ),
        (
            "step_us=1,step_us=2",
            "--frames: 'step_us=2' tells nothing; give KEY=NUMBER, once each, of step_us, "
            "start_us, steps, downsample",
        ),
        (
            "step=1",
            "--frames: 'step=1' tells nothing; did you mean 'steps'? give KEY=NUMBER, once each, "
            "of step_us, start_us, steps, downsample",
        ),
        (
            "steps=9",
            "--frames steps=9: no step_us; say how long a step is, as --frames step_us=1000",
        ),
    ],
)
def test_what_frames_cannot_be(told: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        frames(told)
    assert str(caught.value) == message
    assert frames(" step_us=5, start_us=0") == Frames(5, 0)


def test_frames_are_for_recordings(tmp_path: Path) -> None:
    path = written(tmp_path / "r.bin", drawn())
    with pytest.raises(
        UsageError,
        match="r.bin is a recording of events; say how long a step is, as --frames step_us=1000$",
    ):
        open_inputs(path, SHAPE, None)
    np.savez(tmp_path / "x.npz", input=np.zeros((1, 1, *SHAPE), np.uint8))
    with pytest.raises(
        UsageError,
        match=r"--frames is for recordings \(.aedat, .bin, .bs2, .npy\), and .*x.npz is none; leave it out$",
    ):
        open_inputs(tmp_path / "x.npz", SHAPE, "step_us=1")
    with pytest.raises(UsageError, match="none.bin is none; leave it out$"):
        open_inputs(tmp_path / "none.bin", SHAPE, "step_us=1")
    with pytest.raises(
        UsageError, match="none.bin does not exist; give an .npz file with an array 'input'$"
    ):
        open_inputs(tmp_path / "none.bin", SHAPE, None)


@pytest.mark.parametrize(
    ("events", "told", "message"),
    [
        ([(0, 4, 5, 1), (9, 5, 0, 0)], "", "has an event at column 5, row 0 of 5x6 pixels; give the network's own camera, or downsample=N in --frames"),
        ([(0, 4, 18, 1)], ",downsample=3", "has an event at column 4, row 18 of 15x18 pixels; give the network's own camera, or downsample=N in --frames"),
        ([(0, 0, -1, 1)], "", "has an event at column 0, row -1 of 5x6 pixels; give the network's own camera, or downsample=N in --frames"),
        ([(30, 0, 0, 1), (29, 0, 0, 1)], "", "goes back in time to 29 us, an earlier step than that of the event before; sort the events by time"),
        ([(0, 0, 0, 1), (9, 0, 0, 1), (50, 0, 0, 1), (49, 0, 0, 1)], "", "goes back in time to 49 us, an earlier step than that of the event before; sort the events by time"),
        ([(5, 0, 0, 1)], ",start_us=6", "has no event from 6 us on; give an earlier start_us"),
        ([(0, 0, 0, 1), (1 << 50, 0, 0, 1)], "", "its 112,589,990,684,263 steps are 6,755,399,441,055,780 bytes as spikes, the limit is 1,099,511,627,776; give steps, or a longer one"),
        ([], "", "holds no event; give another recording"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event], told: str, message: str
) -> None:
    monkeypatch.setattr(cameras, "BLOCK", 3)
    path = written(tmp_path / "r.npy", events)
    with pytest.raises(FileRefused) as caught:
        open_inputs(path, SHAPE, f"step_us=10{told}").whole()
    assert str(caught.value).removeprefix(str(path)).lstrip(": ") == message


def test_networks_of_other_inputs_take_no_recording(tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as caught:
        Recording(written(tmp_path / "r.npy", drawn()), (12,), Frames(10))
    told = "r.npy is a recording of two polarities, [2, rows, columns], but the network takes [12]; give inputs as an .npz file"
    assert str(caught.value).endswith(told)


def npy(shape: str) -> bytes:
    """An `.npy` file of no records that says to have this shape."""
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
        Recording(tmp_path / "r.npy", SHAPE, Frames(10))
    assert str(caught.value) == f"{tmp_path / 'r.npy'} {message}"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3)), "holds float64 [2, 3]; give records with integers t, x, y, p"),
        (np.zeros(3, [("t", "f8"), *RECORDS[1:]]), "; give records with integers t, x, y, p"),
        (
            np.array([(0, 0, 0, 2)], [*RECORDS[:3], ("p", "i1")]),
            "has an event of polarity 2; give 0 for darker and 1 for brighter",
        ),
    ],
)
def test_what_are_no_events_is_refused(
    tmp_path: Path, array: npt.NDArray[np.void], message: str
) -> None:
    np.save(tmp_path / "r.npy", array)
    with pytest.raises(FileRefused) as caught:
        Recording(tmp_path / "r.npy", SHAPE, Frames(10))
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
        Recording(tmp_path / "r.npy", SHAPE, Frames(10))
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
        Recording(tmp_path / "r.aedat", SHAPE, Frames(10**9))


def test_the_end_of_a_name_may_be_in_capitals(tmp_path: Path) -> None:
    events = drawn()
    path = written(tmp_path / "r.npy", events).rename(tmp_path / "r.NPY")
    assert np.array_equal(
        open_inputs(path, SHAPE, "step_us=700,start_us=0").whole(),
        dense(events, 700, 0, events[-1][0] // 700 + 1),
    )


@pytest.mark.few(3)
@pytest.mark.parametrize("suffix", [".raw", ".dat", ".aedat4", ".mat", ".H5", ".csv"])
def test_formats_that_are_not_decoded_are_named_with_what_makes_records_of_them(
    tmp_path: Path, lehr: Lehr, suffix: str
) -> None:
    nirfile.write(network(), tmp_path / "m.nir")
    (tmp_path / f"r{suffix}").write_bytes(b"events")
    for options in ((), ("--frames", "step_us=1000")):
        ran = lehr("simulate", tmp_path / "m.nir", "-i", tmp_path / f"r{suffix}", *options)
        assert ran.code == 2
        assert (
            "save its events by numpy.save as records t (microseconds), x, y, p, in a file .npy"
            in ran.err
        )
        assert (
            "lehr itself decodes .aedat, .bin, .bs2, .npy (AEDAT 3.1, N-MNIST) and .npz" in ran.err
        )


@pytest.mark.skipif("LEHR_DATA" not in os.environ, reason="LEHR_DATA names no folder with N-MNIST")
def test_real_recordings_are_the_frames_that_networks_train_on() -> None:
    for number in (60001, 60002, 60003):
        path = Path(os.environ["LEHR_DATA"]) / "nmnist" / f"{number}.bs2"
        events: CameraEvents = read_events(path)
        expected = events.frames((2, 34, 34), 300, 1)
        assert 0 < expected.mean() < 1
        assert np.array_equal(
            open_inputs(path, (2, 34, 34), "step_us=1000,start_us=0,steps=300").whole()[0], expected
        )
