"""Event files written word by word, as their formats' documentation says.

Nothing here is lehr's: what a file should decode to is the list of events that it was made of.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import flatbuffers
import h5py
import numpy as np
from recordings import Event


def drawn_events(
    seed: int,
    count: int = 300,
    start: int = 0,
    span: int = 20_000,
    sides: tuple[int, int] = (34, 34),
) -> list[Event]:
    """Draw events of a camera of so many columns and rows, by time, row, polarity and column."""
    rng = np.random.default_rng(seed)
    columns = (
        rng.integers(start, start + span, count),
        rng.integers(0, sides[1], count),
        rng.integers(0, 2, count),
        rng.integers(0, sides[0], count),
    )
    rows = sorted({tuple(map(int, row)) for row in zip(*columns, strict=True)})
    return [(t, x, y, p) for t, y, p, x in rows]


def evt2_bytes(events: Iterable[Event], header: bytes = b"% evt 2.0\n% end\n") -> bytes:
    """Return EVT 2.0: words of 32 bits, an upper part of the time before it changes."""
    data, last = [header], None
    for t, x, y, p in events:
        if t >> 6 != last:
            last = t >> 6
            data.append(struct.pack("<I", 0x8 << 28 | last & 0xFFFFFFF))
        data.append(struct.pack("<I", p << 28 | (t & 63) << 22 | x << 11 | y))
    return b"".join(data)


def evt21_bytes(events: Iterable[Event], order: str = "little") -> bytes:
    """Return EVT 2.1: words of 64 bits for up to 32 pixels of a row."""
    data, last = [f"% evt 2.1\n% endianness {order}\n% end\n".encode()], None

    def word(high: int, low: int) -> bytes:
        halves = (high, low) if order == "legacy" else (low, high)
        return struct.pack("<II", *halves)

    for (t, y, p, block), same in groupby(events, key=lambda e: (e[0], e[2], e[3], e[1] // 32)):
        if t >> 6 != last:
            last = t >> 6
            data.append(word(0x8 << 28 | last & 0xFFFFFFF, 0))
        mask = sum(1 << x % 32 for _, x, _, _ in same)
        data.append(word(p << 28 | (t & 63) << 22 | block * 32 << 11 | y, mask))
    return b"".join(data)


def evt3_bytes(events: Iterable[Event], seed: int = 0) -> bytes:
    """Return EVT 3.0: words of 16 bits, pixels alone or in vectors of 12 and 8, by chance."""
    rng = np.random.default_rng(seed)
    data, high, low, row = [b"% evt 3.0\n% format EVT3;height=34;width=34\n% end\n"], -1, -1, -1

    def put(kind: int, content: int) -> None:
        data.append(struct.pack("<H", kind << 12 | content))

    for (t, y, p), same in groupby(events, key=lambda e: (e[0], e[2], e[3])):
        if t >> 12 != high or rng.random() < 0.1:  # it is told again now and then
            high, low = t >> 12, -1 if t >> 12 != high else low
            put(8, high & 0xFFF)
        if t & 0xFFF != low and (low != -1 or t & 0xFFF or rng.random() < 0.5):
            put(6, t & 0xFFF)
        low = t & 0xFFF
        if y != row:
            row = y
            put(0, y)
        columns = [x for _, x, _, _ in same]
        if rng.random() < 0.5:
            for x in columns:
                put(2, p << 11 | x)
            continue
        base = columns[0] - int(rng.integers(0, min(5, columns[0] + 1)))
        put(3, p << 11 | base)
        while base <= columns[-1]:
            kind, width = ((4, 12), (5, 8))[int(rng.integers(2))]
            put(kind, sum(1 << x - base for x in columns if base <= x < base + width))
            base += width
    return b"".join(data)


def dat_bytes(events: Iterable[Event], kind: int = 12, header: bytes = b"% Version 2\n") -> bytes:
    """Return DAT of version 2: two words of 32 bits for each event."""
    return b"".join(
        [
            b"% Data file containing CD events\n% Width 34\n% Height 34\n" + header,
            bytes([kind, 8]),
            *(struct.pack("<II", t & 0xFFFFFFFF, p << 28 | y << 14 | x) for t, x, y, p in events),
        ]
    )


def aedat2_bytes(events: Iterable[Event], chip: str) -> bytes:
    """Return AEDAT 2.0 as jAER's chip writes it, its columns turned round, rows from the bottom."""
    lines = f"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.{chip}\r\n".encode()
    data = [lines]
    for t, x, y, p in events:
        if chip == "DVS128":
            address = (127 - y) << 8 | (127 - x) << 1 | 1 - p
        else:
            columns, rows = {"Davis346blue": (346, 260), "DAVIS240C": (240, 180)}[chip]
            address = (rows - 1 - y) << 22 | (columns - 1 - x) << 12 | p << 11
        data.append(struct.pack(">II", address, t & 0xFFFFFFFF))
    return b"".join(data)


def aedat4_bytes(events: Sequence[Event], streams: int = 1) -> bytes:
    """Return AEDAT 4, not packed, of packets of 100 events; sensor of 34x34 pixels."""
    nodes = "".join(
        f'<node name="{n}" path="/m/outInfo/{n}/"><attr key="compression" type="string">NONE</attr>'
        '<attr key="originalOutputName" type="string">events</attr>'
        '<attr key="typeIdentifier" type="string">EVTS</attr>'
        f'<node name="info" path="/m/outInfo/{n}/info/"><attr key="sizeX" type="int">34</attr>'
        '<attr key="sizeY" type="int">34</attr></node></node>'
        for n in range(streams)
    )
    builder = flatbuffers.Builder(0)
    text = builder.CreateString(
        f'<dv version="2.0"><node name="outInfo" path="/m/outInfo/">{nodes}</node></dv>'
    )
    builder.StartObject(3)
    builder.PrependInt64Slot(1, -1, 0)
    builder.PrependUOffsetTRelativeSlot(2, text, 0)
    builder.FinishSizePrefixed(builder.EndObject(), b"IOHE")
    data = [b"#!AER-DAT4.0\r\n", bytes(builder.Output())]
    for first in range(0, len(events), 100):
        packet = _aedat4_packet(events[first : first + 100])
        data += [struct.pack("<ii", 0, len(packet)), packet]
    return b"".join(data)


def _aedat4_packet(events: Sequence[Event]) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.StartVector(16, len(events), 8)
    for t, x, y, p in reversed(events):
        builder.Prep(8, 16)
        builder.Pad(3)
        builder.PrependBool(bool(p))
        builder.PrependInt16(y)
        builder.PrependInt16(x)
        builder.PrependInt64(t)
    elements = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, elements, 0)
    builder.FinishSizePrefixed(builder.EndObject(), b"EVTS")
    return bytes(builder.Output())


def write_mat(path: Path, events: Iterable[Event], **options: Any) -> None:
    """Write ST-MNIST's spike train of the events, times in seconds; a sensor of 10x10 taxels."""
    from scipy import io

    found = list(events)
    train = np.zeros((101, len(found)))
    for column, (t, x, y, p) in enumerate(found):
        train[10 * y + x, column] = 1 if p else -1
        train[100, column] = t / 1e6
    io.savemat(path, {"spiketrain": train}, **options)


def write_bag(path: Path, events: Sequence[Event], topics: int = 1) -> None:
    """Write a ROS bag of dvs_msgs/EventArray, 100 events a message."""
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    event = "uint16 x\nuint16 y\ntime ts\nbool polarity\n"
    array = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
    store.register(get_types_from_msg(event, "dvs_msgs/msg/Event"))
    store.register(get_types_from_msg(array, "dvs_msgs/msg/EventArray"))
    header, stamp = store.types["std_msgs/msg/Header"], store.types["builtin_interfaces/msg/Time"]
    one, many = store.types["dvs_msgs/msg/Event"], store.types["dvs_msgs/msg/EventArray"]
    with Writer(path) as bag:
        for topic in range(topics):
            name = f"/dvs{topic}/events"
            link = bag.add_connection(name, many.__msgtype__, typestore=store)
            for number, first in enumerate(range(0, len(events), 100)):
                part: Any = [
                    one(
                        x=x,
                        y=y,
                        ts=stamp(sec=t // 10**6, nanosec=t % 10**6 * 1000 + 7),
                        polarity=bool(p),
                    )
                    for t, x, y, p in events[first : first + 100]
                ]
                message = many(
                    header=header(seq=number, stamp=stamp(sec=0, nanosec=0), frame_id="camera"),
                    height=34,
                    width=34,
                    events=part,
                )
                bag.write(link, number + 1, store.serialize_ros1(message, many.__msgtype__))


def write_ros2(path: Path, events: Sequence[Event], plugin: str) -> None:
    """Write a ROS 2 bag of dvs_msgs/EventArray, 100 events a message: a folder.

    Its plugin is `SQLITE3` or `MCAP`.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    event = "uint16 x\nuint16 y\nbuiltin_interfaces/Time ts\nbool polarity\n"
    array = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
    store.register(get_types_from_msg(event, "dvs_msgs/msg/Event"))
    store.register(get_types_from_msg(array, "dvs_msgs/msg/EventArray"))
    header, stamp = store.types["std_msgs/msg/Header"], store.types["builtin_interfaces/msg/Time"]
    one, many = store.types["dvs_msgs/msg/Event"], store.types["dvs_msgs/msg/EventArray"]
    with Writer(path, version=9, storage_plugin=StoragePlugin[plugin]) as bag:
        link = bag.add_connection("/dvs/events", many.__msgtype__, typestore=store)
        for number, first in enumerate(range(0, len(events), 100), 1):
            part: Any = [
                one(x=x, y=y, ts=stamp(sec=t // 10**6, nanosec=t % 10**6 * 1000), polarity=bool(p))
                for t, x, y, p in events[first : first + 100]
            ]
            message = many(
                header=header(stamp=stamp(sec=0, nanosec=0), frame_id="camera"),
                height=34,
                width=34,
                events=part,
            )
            bag.write(link, number, store.serialize_cdr(message, many.__msgtype__))


def write_ros2_file(path: Path, events: Sequence[Event]) -> None:
    """Write a ROS 2 bag and keep the file in its folder, of the kind that the name says."""
    folder = path.with_suffix("")
    write_ros2(folder, events, {".mcap": "MCAP", ".db3": "SQLITE3"}[path.suffix])
    next(folder.glob(f"*{path.suffix}")).rename(path)
    shutil.rmtree(folder)


def write_dsec(path: Path, events: Iterable[Event], offset: int = 0) -> None:
    """Write the layout of DSEC: lists in the group events, and where time begins."""
    columns = np.array(list(events), np.int64).reshape(-1, 4)
    with h5py.File(path, "w") as file:
        for number, (name, kind) in enumerate(
            (("t", np.uint32), ("x", np.uint16), ("y", np.uint16), ("p", np.uint8))
        ):
            values = columns[:, number] - (offset if name == "t" else 0)
            file.create_dataset(f"events/{name}", data=values.astype(kind), compression="gzip")
        file["t_offset"] = np.int64(offset)


def write_prophesee(path: Path, events: Iterable[Event]) -> None:
    """Write the layout of Prophesee's HDF5 files, without its own compression."""
    fields = [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]
    records = np.array([(x, y, p, t) for t, x, y, p in events], fields)
    with h5py.File(path, "w") as file:
        file.create_dataset("CD/events", data=records, chunks=(64,))
        file.attrs["geometry"] = "34x34"
