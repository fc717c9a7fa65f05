"""Files of event cameras that lehr decodes itself: the events that other encoders wrote.

`event_files` writes them word by word; expelliarmus, where it is, reads the same of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budgets import budget
from event_files import (
    aedat2_bytes,
    dat_bytes,
    drawn_events,
    evt2_bytes,
    evt3_bytes,
    evt21_bytes,
)
from hypothesis import given
from hypothesis import strategies as st
from recordings import Event

from lehr.cameras import Events, camera_size, decoded
from lehr.cameras import events as blocks
from lehr.cameras.events import Clock
from lehr.errors import FileRefused, UsageError
from lehr.network import Input
from lehr.recordings import open_inputs

WRITERS: dict[str, tuple[str, Callable[[list[Event]], bytes]]] = {
    "evt2": (".raw", evt2_bytes),
    "evt21": (".raw", evt21_bytes),
    "evt21-legacy": (".raw", lambda events: evt21_bytes(events, "legacy")),
    "evt3": (".raw", evt3_bytes),
    "dat": (".dat", dat_bytes),
    "aedat2-dvs128": (".aedat", lambda events: aedat2_bytes(events, "DVS128")),
    "aedat2-davis346": (".aedat", lambda events: aedat2_bytes(events, "Davis346blue")),
    "aedat2-davis240": (".aedat", lambda events: aedat2_bytes(events, "DAVIS240C")),
}
TURNS = {"evt2": 34, "evt21": 34, "evt21-legacy": 34, "evt3": 24}
"""Bits of the clock of each; 32 in the others."""


def read(path: Path) -> list[Event]:
    found = Events.joined(decoded(path))
    columns = (found.time, found.x, found.y, found.polarity)
    assert all(column.dtype == np.int64 for column in columns)
    return [*zip(*(column.tolist() for column in columns), strict=True)]


def written(folder: Path, name: str, events: list[Event]) -> Path:
    suffix, writer = WRITERS[name]
    path = folder / f"r{suffix}"
    path.write_bytes(writer(events))
    return path


@pytest.mark.parametrize("block", [1, 40, 1 << 18])
@pytest.mark.parametrize("name", WRITERS)
def test_files_hold_the_events_that_they_were_written_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, block: int
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", block)
    events = drawn_events(0)
    assert len(events) > 250
    assert read(written(tmp_path, name, events)) == events
    moved = [(t, x, y, 1 - p) if n == 77 else (t, x, y, p) for n, (t, x, y, p) in enumerate(events)]
    assert read(written(tmp_path, name, moved)) != events


@pytest.mark.parametrize("name", WRITERS)
def test_a_clock_that_begins_anew_goes_on(tmp_path: Path, name: str) -> None:
    turn = 1 << TURNS.get(name, 32)
    events = drawn_events(1, start=turn - 10_000)
    assert events[0][0] < turn < events[-1][0]
    assert read(written(tmp_path, name, events)) == events


@budget(40, 600)
@given(
    name=st.sampled_from([*WRITERS]),
    seed=st.integers(0, 2**32 - 1),
    start=st.integers(0, (1 << 23) - 1),
    span=st.sampled_from([40, 3_000, 400_000]),
    block=st.integers(1, 500),
)
def test_any_events_in_any_blocks(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    seed: int,
    start: int,
    span: int,
    block: int,
) -> None:
    folder, before = tmp_path_factory.mktemp("any"), blocks.BLOCK
    events = drawn_events(seed, 200, start, span)
    blocks.BLOCK = block
    try:
        assert read(written(folder, name, events)) == events
    finally:
        blocks.BLOCK = before


@pytest.mark.parametrize("name", ["evt2", "dat"])
def test_another_decoder_reads_the_same(tmp_path: Path, name: str) -> None:
    expelliarmus = pytest.importorskip("expelliarmus", reason="expelliarmus is not installed")
    path = written(tmp_path, name, drawn_events(2, start=5_000))
    other: Any = expelliarmus.Wizard(encoding=name).read(path)
    assert read(path) == [*zip(*(other[n].tolist() for n in "txyp"), strict=True)]


def test_events_before_the_first_time_and_those_of_no_pixel_are_left_out(tmp_path: Path) -> None:
    events = drawn_events(3)
    raw = evt2_bytes(events)
    head = raw.index(b"% end\n") + 6
    stray = np.array([1 << 28 | 5, 0xA0000000, 0xE0000000, 0xF0000000], "<u4").tobytes()
    (tmp_path / "r.raw").write_bytes(raw[:head] + stray + raw[head:] + stray[4:])
    assert read(tmp_path / "r.raw") == events
    davis = aedat2_bytes(events, "Davis346blue")
    others = np.array([1 << 31 | 4096, 9, 1 << 10, 9], ">u4").tobytes()  # a frame, a signal
    (tmp_path / "r.aedat").write_bytes(davis + others)
    assert read(tmp_path / "r.aedat") == events


def test_words_of_evt3_that_are_no_events_of_pixels(tmp_path: Path) -> None:
    def words(*pairs: tuple[int, int]) -> bytes:
        return np.array([kind << 12 | content for kind, content in pairs], "<u2").tobytes()

    data = b"% evt 3.0\n% end\n" + words(
        *[(2, 3), (0, 7), (2, 3), (4, 1)],  # neither time nor a vector's base
        *[(8, 1), (6, 9), (4, 1), (2, 5)],  # a vector without a base; one event
        *[(1, 7), (2, 5), (0, 8), (2, 6)],  # a row of other events; one event
        *[(10, 1), (14, 1), (15, 1), (7, 1), (3, 1 << 11 | 20), (5, 0xF01), (4, 0x800)],
        *[(8, 2), (2, 1), (8, 2), (6, 3), (2, 2), (8, 2), (2, 4)],
    )
    (tmp_path / "r.raw").write_bytes(data)
    first, second = 1 << 12 | 9, 2 << 12
    assert read(tmp_path / "r.raw") == [
        (first, 5, 7, 0),
        (first, 6, 8, 0),
        (first, 20, 8, 1),  # of a vector of 8, whose word has 4 bits more
        (first, 39, 8, 1),  # the next vector begins 8 columns on
        (second, 1, 8, 0),  # an upper part of the time alone: the lower begins at 0
        (second + 3, 2, 8, 0),
        (second + 3, 4, 8, 0),  # the same upper part again changes nothing
    ]


def test_a_step_back_of_less_than_half_the_clock_stays_one() -> None:
    clock = Clock(8)
    assert clock.through(np.array([250, 249, 3])).tolist() == [250, 249, 259]
    assert clock.through(np.array([130, 131, 2, 127])).tolist() == [386, 387, 514, 639]
    assert clock.through(np.zeros(0, np.int64)).tolist() == []
    assert clock.through(np.array([126])).tolist() == [638]


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (b"% evt 3.0\n% geometry 1280x720\n", (720, 1280)),
        (b"% format EVT3;height=320;width=321\n% end\n", (320, 321)),
        (b"% evt 3.0\n", None),
        (b"% evt 3.0\n% geometry wide\n", None),
    ],
)
def test_a_header_says_the_size_of_its_camera(
    tmp_path: Path, header: bytes, size: tuple[int, int] | None
) -> None:
    (tmp_path / "r.RAW").write_bytes(header)
    assert camera_size(tmp_path / "r.RAW") == size


def test_a_file_of_a_larger_camera_is_told_with_its_size_and_the_way_out(tmp_path: Path) -> None:
    path = written(tmp_path, "dat", [(0, 3, 3, 1), (1, 33, 9, 0)])
    with pytest.raises(FileRefused) as caught:
        open_inputs(path, Input((2, 10, 12), "spikes"), "step_us=10")
    assert str(caught.value) == (
        f"{path} has an event at column 33, row 9 of 12x10 pixels; its camera has 34x34: give "
        "downsample=4 in --frames, or the network's own camera"
    )
    assert (
        open_inputs(path, Input((2, 10, 12), "spikes"), "step_us=10,downsample=4").whole().sum()
        == 2
    )


@pytest.mark.parametrize("suffix", [".DAT", ".Raw", ".AEDAT"])
def test_ends_of_names_may_be_in_capitals(tmp_path: Path, suffix: str) -> None:
    events = drawn_events(4)
    names = {".dat": "dat", ".raw": "evt3", ".aedat": "aedat2-dvs128"}
    path = written(tmp_path, names[suffix.lower()], events).rename(tmp_path / f"r{suffix}")
    assert read(path) == events


def test_poker_dvs_is_columns(tmp_path: Path) -> None:
    events = drawn_events(5)
    for array in (np.array(events), np.asfortranarray(np.array(events, np.uint32))):
        np.save(tmp_path / "r.npy", array)
        assert read(tmp_path / "r.npy") == events
    np.save(tmp_path / "r.npy", np.array([(x, y, t, p) for t, x, y, p in events])[:, [0, 1, 3, 2]])
    with pytest.raises(FileRefused, match="has an event of polarity .*; give 0 for darker and 1"):
        read(tmp_path / "r.npy")


@pytest.mark.parametrize("block", [1, 7, 1 << 18])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_lists_in_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, save: Any
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", block)
    events = drawn_events(5)
    t, x, y, p = np.array(events).T
    save(tmp_path / "r.npz", x=x.astype(np.uint16), y=y.astype(np.int8), t=t, p=p.astype(bool))
    assert read(tmp_path / "r.npz") == events
    save(tmp_path / "r.npz", x=x, y=y, t=t / 1e6, p=p)
    assert Events.joined(decoded(tmp_path / "r.npz", "s")).time.tolist() == t.tolist()
    short = r"r.npz holds .*; give lists of integers t, x, y, p, all of one length"
    for wrong in ({"t": t / 1e6}, {"t": t[:-1]}, {"t": t[None]}, {"q": t}):
        save(tmp_path / "r.npz", **({"x": x, "y": y, "p": p} | wrong))
        with pytest.raises(FileRefused, match=short):
            read(tmp_path / "r.npz")
    save(tmp_path / "r.npz", x=x, y=y, t=t, p=p - 1)
    with pytest.raises(FileRefused, match="has an event of polarity -1, number .*; give 0 for"):
        read(tmp_path / "r.npz")
    data = bytearray((tmp_path / "r.npz").read_bytes())
    (tmp_path / "r.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(FileRefused, match="r.npz is not a whole .npz file"):
        read(tmp_path / "r.npz")


@pytest.mark.parametrize(
    ("unit", "kind", "times", "expected"),
    [
        ("ns", "<u8", [0, 999, 1000, 10**12 + 1], [0, 0, 1, 10**9]),
        ("ms", "<i4", [-3, 0, 7], [-3000, 0, 7000]),
        ("s", "<i8", [1, 1_700_000_000], [10**6, 17 * 10**14]),
        ("s", "<f8", [0.000029, 0.0000299, 1.1, 1_700_000_000.25], [29, 29, 1_100_000, 1_700_000_000_250_000]),
        ("ms", "<f4", [0.5, 2.25], [500, 2250]),
        ("ns", "<f8", [1500.0, 2999.0], [1, 2]),
        ("us", "<i8", [5], [5]),
    ],
)  # fmt: skip
def test_times_in_other_units(
    tmp_path: Path, unit: Any, kind: str, times: list[float], expected: list[int]
) -> None:
    records = np.zeros(len(times), [("t", kind), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
    records["t"] = times
    np.save(tmp_path / "r.npy", records)
    found = Events.joined(decoded(tmp_path / "r.npy", unit))
    assert found.time.tolist() == expected


@pytest.mark.parametrize(
    ("unit", "kind", "time", "message"),
    [
        ("s", "<f8", np.nan, "has an event whose t is no finite number; leave it out"),
        ("s", "<f8", 1e10, "has an event whose t is 10,000,000,000; give at most 4,611,686,018"),
        ("s", "<i8", 2**50, "whose t is 1,125,899,906,842,624; give at most 1,152,921,504,606"),
        ("us", "<f8", 5.0, "give records with integers t, x, y, p, or integers [events, 4] in that order"),
    ],
)  # fmt: skip
def test_times_that_no_unit_makes_one(
    tmp_path: Path, unit: Any, kind: str, time: float, message: str
) -> None:
    records = np.zeros(1, [("t", kind), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
    records["t"] = time
    np.save(tmp_path / "r.npy", records)
    with pytest.raises(FileRefused) as caught:
        Events.joined(decoded(tmp_path / "r.npy", unit))
    assert str(caught.value).endswith(message)


def test_units_in_frames(tmp_path: Path) -> None:
    records = np.zeros(2, [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
    records["t"] = (5_000_000, 8_999_999)
    np.save(tmp_path / "r.npy", records)
    spikes = open_inputs(
        tmp_path / "r.npy", Input((2, 4, 4), "spikes"), "step_us=1000,unit=ns"
    ).whole()
    assert spikes.shape == (1, 4, 2, 4, 4)
    assert spikes[0, :, 0, 0, 0].tolist() == [1, 0, 0, 1]
    with pytest.raises(UsageError, match="^--frames: unit is 'min'; .*us, ms, ns, s"):
        open_inputs(tmp_path / "r.npy", Input((2, 4, 4), "spikes"), "step_us=1000,unit=min")
    path = written(tmp_path, "dat", drawn_events(6))
    with pytest.raises(UsageError) as caught:
        open_inputs(path, Input((2, 34, 34), "spikes"), "step_us=1000,unit=ns")
    assert str(caught.value) == (
        f"{path} has times in the unit of its format, Prophesee DAT, not in ns; leave the unit out"
    )


def test_a_recording_without_events_is_silent_where_its_length_is_given(tmp_path: Path) -> None:
    path = written(tmp_path, "evt3", [])
    spikes = open_inputs(
        path, Input((2, 34, 34), "spikes"), "step_us=1000,start_us=0,steps=5"
    ).whole()
    assert spikes.shape == (1, 5, 2, 34, 34)
    assert not spikes.any()
    for framing in ("step_us=1000", "step_us=1000,steps=5"):
        with pytest.raises(FileRefused, match="r.raw holds no event; give another recording, or "):
            open_inputs(path, Input((2, 34, 34), "spikes"), framing)
    with pytest.raises(FileRefused, match="r.raw has no event from 0 us on; give an earlier start"):
        open_inputs(path, Input((2, 34, 34), "spikes"), "step_us=1000,start_us=0")
