"""Bags of ROS by the package rosbags: messages EventArray of dvs_msgs or prophesee_event_msgs.

Bags of ROS 1 (`.bag`) and the files in the folder of a bag of ROS 2 (`.mcap`, `.db3`) are told by
their first bytes. Messages of ROS 2 are in the Common Data Representation: a head of four bytes,
then members that begin at multiples of their size, counted from there.

Sources: rpg_dvs_ros, dvs_msgs (Event, EventArray); OMG, "DDS Interoperability Wire Protocol"
(formal/2022-04-01), section 10; MCAP and SQLite (first bytes of their files).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.cameras.events import Size
from lehr.errors import FileRefused

Parts = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
_ARRAY, _PACKET = "/EventArray", "/EventPacket"
_NAMES, _FORMATS = ["x", "y", "s", "ns", "p"], ["<u2", "<u2", "<u4", "<u4", "u1"]
_CLOSE = np.dtype([*zip(_NAMES, _FORMATS, strict=True)])
_APART = np.dtype(
    {"names": _NAMES, "formats": _FORMATS, "offsets": [0, 2, 6, 10, 14], "itemsize": 16}
)
"""Events of ROS 1, and those of ROS 2 from 2 bytes before the first on."""
_HEAD = b"\x00\x01"
_STORES = {b"\x89MCAP0\r\n": ".mcap", b"SQLite format 3\0": ".db3"}


class Bag:
    """An open bag.

    Args:
        file: the number of the open file.

    Raises:
        FileRefused: when it has not one topic of EventArray.
    """

    def __init__(self, file: int) -> None:
        from rosbags import rosbag1, rosbag2

        path, begins = Path(f"/dev/fd/{file}"), os.pread(file, 16, 0)
        store = next((end for head, end in _STORES.items() if begins.startswith(head)), None)
        self._second = store is not None
        self._bag: Any = (
            rosbag1.Reader(path) if store is None else rosbag2.Reader.STORAGE_PLUGINS[store](path)
        )
        self._bag.open()
        self._topics = [each for each in self._bag.connections if each.msgtype.endswith(_ARRAY)]
        names = {each.topic: each.msgtype for each in self._topics or self._bag.connections}
        count = len({each.topic for each in self._topics})
        if count == 1:
            return
        lists = ", ".join(f"{topic} ({kind})" for topic, kind in names.items())
        way = "filter one into a bag of its own"
        if any(kind.endswith(_PACKET) for kind in names.values()):
            way = "make a RAW file of packets by bag_to_raw, which comes with event_camera_tools"
        raise FileRefused(f"has {count} topics of EventArray, not one: {lists}; {way}")

    def events(self) -> Iterator[Size | Parts | None]:
        """Yield the camera's rows and columns, None without messages, and then events.

        They are times in microseconds, columns, rows and polarities, a message at a time.

        Raises:
            FileRefused: when a message is not one of EventArray.
        """
        unpacked = _second if self._second else _first
        seen = False
        for _, _, data in self._bag.messages(self._topics):
            size, event = unpacked(bytes(data))
            if not seen:
                yield size
                seen = True
            time = event["s"].astype(np.int64) * 10**6 + event["ns"] // 1000
            yield time, event["x"], event["y"], event["p"]
        if not seen:
            yield None


def _first(data: bytes) -> tuple[Size, npt.NDArray[Any]]:
    """Return the camera's size and the events of a message of ROS 1, without gaps."""
    name = int.from_bytes(data[12:16], "little")
    rows, columns, count = (int(n) for n in np.frombuffer(data, "<u4", 3, 16 + name))
    return (rows, columns), np.frombuffer(data, _CLOSE, count, 28 + name)


def _second(data: bytes) -> tuple[Size, npt.NDArray[Any]]:
    """Return the camera's size and the events of a message of ROS 2.

    The seconds of an event begin at a multiple of 4, so that events are 16 bytes apart; x and y of
    each but the first stand right before them, 2 bytes after the polarity of the one before.
    """
    if data[:2] != _HEAD:
        raise FileRefused(
            f"has a message that begins with {data[:4]!r}, not with {_HEAD!r}: it is packed, or "
            "big-endian; convert the bag by ros2 bag convert without compression"
        )
    name = int.from_bytes(data[12:16], "little")
    at = 16 + -(-name // 4) * 4
    rows, columns, count = (int(n) for n in np.frombuffer(data, "<u4", 3, at))
    bytes_needed = at + 12 + (16 * count - 3 if count else 0)
    if not 0 <= len(data) - bytes_needed < 4:
        raise FileRefused(
            f"has a message of {len(data)} bytes, where {count} events take {bytes_needed}; its "
            "type is another EventArray than that of dvs_msgs"
        )
    event = np.frombuffer(data[at + 10 :].ljust(16 * count, b"\0"), _APART, count).copy()
    if count:
        event["x"][0], event["y"][0] = np.frombuffer(data, "<u2", 2, at + 12)
    return (rows, columns), event
