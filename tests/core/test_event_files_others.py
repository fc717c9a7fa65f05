"""Formats of which no real recording is here: what other decoders make of the same files.

`event_files` writes them word by word, from Prophesee's "EVT 2.1 Format", iniVation's "AEDAT 2.0"
and jAER's chips. Of POKER-DVS it is the order of columns in which tonic reads that data set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_files import aedat2_bytes, drawn_events, evt21_bytes
from numpy.lib import recfunctions
from recordings import Event

from lehr.cameras import Events, camera_size, decoded
from lehr.errors import FileRefused

EVENTS = drawn_events(0, start=5_000, span=400_000)
HEADER = b"% evt 2.1\n% format EVT21;height=34;width=34\n% geometry 34x34\n"


def read(path: Path) -> list[Event]:
    found = Events.joined(decoded(path))
    columns = (found.time, found.x, found.y, found.polarity)
    return [*zip(*(column.tolist() for column in columns), strict=True)]


def words_of(raw: bytes) -> bytes:
    return raw.partition(b"% end\n")[2]


def by_evlib(path: Path) -> list[Event]:
    evlib: Any = pytest.importorskip("evlib", reason="evlib is not installed")
    table = evlib.load_events(str(path)).collect()
    columns = (table["t"].dt.total_microseconds(), table["x"], table["y"], table["polarity"] > 0)
    return [*zip(*(map(int, column) for column in columns), strict=True)]


@pytest.mark.parametrize("order", ["little", "legacy"])
def test_evlib_reads_the_same_of_evt21(tmp_path: Path, order: str) -> None:
    """Evlib 0.13.2 takes no account of the byte order, so that it gets the halves of words turned."""
    words = words_of(evt21_bytes(EVENTS, order))
    path, turned = tmp_path / "r.raw", tmp_path / "turned.raw"
    path.write_bytes(HEADER + f"% endianness {order}\n% end\n".encode() + words)
    halves = np.frombuffer(words, "<u4").reshape(-1, 2)[:, :: 1 if order == "little" else -1]
    turned.write_bytes(HEADER + b"% end\n" + halves.tobytes())
    expected = by_evlib(turned)
    assert expected == EVENTS
    assert read(path) == expected
    assert camera_size(path) == (34, 34)


PLUGIN = b"% plugin_integrator_name Prophesee\n"
PROPHESEE = b"% camera_integrator_name Prophesee\n" + PLUGIN


@pytest.mark.parametrize(
    ("header", "order"),
    [
        (b"% format EVT21;endianness=legacy;height=34;width=34\n", "legacy"),
        (b"% format EVT21;endianness=little;height=34;width=34\n% endianness legacy\n", "little"),
        (b"% evt 2.1\n% endianness little\n% system_ID 49\n" + PROPHESEE, "little"),
        (b"% evt 2.1\n% system_ID 49\n" + PROPHESEE, "legacy"),  # EVK3 with an IMX636
        (b"% evt 2.1\n% system_ID 54\n% integrator_name Prophesee\n", "legacy"),
        (b"% evt 2.1\n% system_ID 55\n" + PROPHESEE, "little"),
        (b"% evt 2.1\n% system_ID 64\n" + PROPHESEE, "little"),  # EVK3 with a GenX320
        (b"% evt 2.1\n% system_ID 0\n", "little"),
        (b"% evt 2.1\n", "legacy"),
        (b"% evt 2.1\n% system_ID 49\n% integrator_name Somebody\n", "little"),
        (b"% evt 2.1\n% camera_integrator_name Somebody\n" + PLUGIN, "little"),
    ],
)
def test_where_no_order_is_said_the_camera_says_it(
    tmp_path: Path, header: bytes, order: str
) -> None:
    """As `check_header` of OpenEB's psee_raw_file_header.cpp has it: 55, or 0x37, is a TB_SAPHIR."""
    path, other = tmp_path / "r.raw", {"little": "legacy", "legacy": "little"}[order]
    path.write_bytes(header + b"% end\n" + words_of(evt21_bytes(EVENTS, order)))
    assert read(path) == EVENTS
    path.write_bytes(header + b"% end\n" + words_of(evt21_bytes(EVENTS, other)))
    assert read_or_refused(path) != EVENTS


def read_or_refused(path: Path) -> list[Event]:
    """Return the events, none where there are words of a type that there is not."""
    try:
        return read(path)
    except FileRefused:
        return []


def test_tonic_reads_the_same_of_a_davis346(tmp_path: Path) -> None:
    tonic: Any = pytest.importorskip("tonic.io", reason="tonic is not installed")
    path = tmp_path / "r.aedat"
    path.write_bytes(with_start(aedat2_bytes(EVENTS, "Davis346blue")))
    _, _, found = tonic.read_davis_346(str(path))
    theirs = [*zip(*(found[name].tolist() for name in "txyp"), strict=True)]
    assert theirs == EVENTS
    assert read(path) == theirs


def test_tonic_reads_the_same_addresses_of_a_dvs128(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the address as it is: rows and columns change places, and the sides are turned."""
    tonic: Any = pytest.importorskip("tonic.io", reason="tonic is not installed")
    header = tonic.read_aedat_header_from_file  # in 1.7.0 it returns one value more than is taken
    monkeypatch.setattr(tonic, "read_aedat_header_from_file", lambda name: header(name)[:2])
    path = tmp_path / "r.aedat"
    path.write_bytes(with_start(aedat2_bytes(EVENTS, "DVS128")))
    _, found = tonic.read_dvs_128(str(path))
    theirs = [
        (t, 127 - column, 127 - row, 1 - p)
        for t, row, column, p in zip(*(found[n].tolist() for n in "txyp"), strict=True)
    ]
    assert theirs == EVENTS
    assert read(path) == theirs


def with_start(data: bytes) -> bytes:
    """Return an AEDAT 2.0 file with the time in its header, for which tonic looks."""
    first, _, rest = data.partition(b"\r\n")
    start = b"# Creation time: System.currentTimeMillis() 1695355587880\r\n"
    return first + b"\r\n" + start + rest


@pytest.mark.parametrize("kind", ["<i8", ">i4", "<u2"])
def test_poker_dvs_has_the_columns_that_tonic_reads(tmp_path: Path, kind: str) -> None:
    datasets: Any = pytest.importorskip("tonic.datasets", reason="tonic is not installed")
    events = drawn_events(3, sides=(35, 35))
    rows = np.array(events).astype(kind)
    np.save(tmp_path / "r.npy", rows)
    records = recfunctions.unstructured_to_structured(rows, datasets.POKERDVS.dtype)
    assert datasets.POKERDVS.sensor_size == (35, 35, 2)
    theirs = [*zip(*(records[name].tolist() for name in "txyp"), strict=True)]
    assert theirs == events
    assert read(tmp_path / "r.npy") == theirs
