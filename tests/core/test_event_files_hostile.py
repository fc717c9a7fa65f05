"""Event files that are damaged, or made to do harm: one sentence that names the file, never more."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import h5py
import pytest
from budgets import budget
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
from hypothesis import given
from hypothesis import strategies as st
from recordings import aedat_bytes, nmnist_bytes

from lehr.cameras import Events, camera_size, decoded
from lehr.errors import FileRefused

EVENTS = drawn_events(0, 120)
FILES: dict[str, tuple[str, bytes]] = {
    "evt2": (".raw", evt2_bytes(EVENTS)),
    "evt21": (".raw", evt21_bytes(EVENTS)),
    "evt3": (".raw", evt3_bytes(EVENTS)),
    "dat": (".dat", dat_bytes(EVENTS)),
    "aedat2": (".aedat", aedat2_bytes(EVENTS, "DVS128")),
    "aedat3": (".aedat", aedat_bytes(*((0, EVENTS[a:b]) for a, b in pairwise((0, 50, 120))))),
    "nmnist": (".bin", nmnist_bytes(*EVENTS)),
}
"""Whole files, by the formats that lehr decodes itself."""
KEPT: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "aedat4": (".aedat4", "aedat", lambda path: put(path, aedat4_bytes(EVENTS))),
    "rosbag": (".bag", "rosbags", lambda path: write_bag(path, EVENTS)),
    "ros2-mcap": (".mcap", "rosbags", lambda path: write_ros2_file(path, EVENTS)),
    "ros2-sqlite": (".db3", "rosbags", lambda path: write_ros2_file(path, EVENTS)),
    "dsec": (".h5", "h5py", lambda path: write_dsec(path, EVENTS)),
    "st-mnist": (".mat", "scipy", lambda path: write_mat(path, [(t, x % 10, y % 10, p) for t, x, y, p in EVENTS], do_compression=True)),
}  # fmt: skip


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def message(path: Path) -> str:
    """Return what is said of a file, without its name."""
    with pytest.raises(FileRefused) as caught:
        Events.joined(decoded(path))
    assert str(caught.value).startswith(f"{path} ")
    return str(caught.value).removeprefix(f"{path} ")


RAW = b"% evt 2.0\n% end\n"
CONVERT = "convert it with Metavision's metavision_file_to_dat and give the .dat file"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("r.raw", b"", f"has a header that names no encoding (% evt, % format); lehr decodes EVT 2.0, 2.1 and 3.0: {CONVERT}"),
        ("r.raw", b"% evt 4.0\n", f"has a header that names the encoding '4.0'; lehr decodes EVT 2.0, 2.1 and 3.0: {CONVERT}"),
        ("r.raw", b"% evt 3.0\n% format HISTO3D;height=1\n", f"has a header that names the encoding 'HISTO3D'; lehr decodes EVT 2.0, 2.1 and 3.0: {CONVERT}"),
        ("r.raw", b"% evt 2.1\n% endianness big\n", f"has words in the byte order 'big'; {CONVERT}"),
        ("r.raw", RAW + bytes(3), "is cut short at byte 16, in the middle of an event of 4 bytes; get it again, or record it again"),
        ("r.raw", RAW + b"\0\0\0\x80" + b"\0\0\0\x30", "has a word of type 0x3 at byte 20, which EVT 2.0 does not have; get it again, or record it again"),
        ("r.raw", b"% evt 2.1\n% endianness little\n% end\n" + bytes(15) + b"\x50", "has a word of type 0x5 at byte 44, which EVT 2.1 does not have; get it again, or record it again"),
        ("r.raw", b"% evt 3.0\n% end\n" + bytes(3) + b"\x90", "has a word of type 0x9 at byte 18, which EVT 3.0 does not have; get it again, or record it again"),
        ("r.raw", b"% x\n" * 300_000, "has a header of more than 1,048,576 bytes; get it again"),
        ("r.raw", b"% " + b"x" * 2_000_000, "has a header of more than 1,048,576 bytes; get it again"),
        ("r.dat", b"% Version 1\n\x00\x08", "has a header that says version 1; lehr decodes DAT of version 2, as Metavision's metavision_file_to_dat writes it"),
        ("r.dat", b"\x00\x08", "has a header that says no version; lehr decodes DAT of version 2, as Metavision's metavision_file_to_dat writes it"),
        ("r.dat", b"% Version 2\n\x00", "is cut short at byte 13, in its header; get it again"),
        ("r.dat", b"% Version 2\n\x0e\x08", "has events of type 14 and 8 bytes, by byte 12; give one with events of pixels, of type 0 or 12 and 8 bytes"),
        ("r.dat", b"% Version 2\n\x0c\x08" + bytes(15) + b"\x20", "has an event of polarity 2 at byte 22, not 0 or 1; get it again"),
        ("r.dat", b"% Version 2\n\x0c\x08" + bytes(9), "is cut short at byte 22, in the middle of an event of 8 bytes; get it again"),
        ("r.aedat", b"", "starts with b'', as none of AEDAT 2.0, AEDAT 3.1, AEDAT 4 does; give one of these"),
        ("r.aedat", b"#!AER-DAT1.0\r\n", "starts with b'#!AER-DAT1.0', as none of AEDAT 2.0, AEDAT 3.1, AEDAT 4 does; give one of these"),
        ("r.aedat", b"#!AER-DAT2.0\r\n", "has a header that names no camera (# AEChip); lehr knows the addresses of dvs128, davis240, davis346, davis640: export it from jAER or DV as AEDAT 3.1 or 4"),
        ("r.aedat", b"#!AER-DAT2.0\r\n# AEChip: a.b.DVS640\r\n", "has a header that names the camera DVS640; lehr knows the addresses of dvs128, davis240, davis346, davis640: export it from jAER or DV as AEDAT 3.1 or 4"),
        ("r.aedat", b"#!AER-DAT2.0\r\n# AEChip: a.DAVIS240C\r\n" + bytes.fromhex("7fc0000000000000"), "has an address of no pixel of 240x180 at byte 37; get it again"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, name: str, data: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert message(tmp_path / name) == expected


def test_a_folder_or_a_pipe_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "r.raw").mkdir()
    assert message(tmp_path / "r.raw") == "is a folder, no regular file; give a recording of events"


@budget(60, 3000)
@given(name=st.sampled_from([*FILES]), seed=st.integers(0, 2**32 - 1))
def test_damage_is_events_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int
) -> None:
    suffix, data = FILES[name]
    path = tmp_path_factory.mktemp("damage") / f"r{suffix}"
    path.write_bytes(damaged(data, seed))
    for what in (lambda: Events.joined(decoded(path)), lambda: camera_size(path)):
        assert said(what).startswith((f"{path} ", "events"))


def said(what: Callable[[], object]) -> str:
    """Return the sentence by which something is refused, or "events"."""
    try:
        what()
    except FileRefused as error:
        return str(error)
    return "events"


def damaged(data: bytes, seed: int) -> bytes:
    """Cut a file, turn bits of it around, or put other bytes into it."""
    rng = random.Random(seed)
    held = bytearray(data)
    match rng.randrange(3):
        case 0:
            del held[rng.randrange(len(held)) :]
        case 1:
            for _ in range(rng.randrange(1, 9)):
                held[rng.randrange(len(held))] ^= 1 << rng.randrange(8)
        case _:
            at = rng.randrange(len(held))
            held[at:at] = rng.randbytes(rng.randrange(1, 40))
    return bytes(held)


@pytest.mark.parametrize("name", KEPT)
def test_damage_to_what_packages_decode_is_events_or_one_sentence(
    tmp_path: Path, name: str
) -> None:
    suffix, package, write = KEPT[name]
    pytest.importorskip(package, reason=f"{package} is not installed")
    path = tmp_path / f"r{suffix}"
    write(path)
    whole, refused = path.read_bytes(), 0
    assert len(Events.joined(decoded(path)).time) > 100
    for seed in range(25):
        path.write_bytes(damaged(whole, seed))
        answer = said(lambda: Events.joined(decoded(path)))
        assert answer.startswith((f"{path} ", "events"))
        assert "install" not in answer
        refused += answer != "events"
    assert refused > 5


def test_a_file_that_unpacks_to_more_than_memory_is_refused(tmp_path: Path) -> None:
    pack = zlib.compressobj(9, wbits=-15)
    megabyte = pack.compress(bytes(1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            shape = (1 << 31,)
            lists = file.create_dataset(f"events/{name}", shape, "u1", chunks=shape, compression=9)
            lists.id.write_direct_chunk((0,), b"\x78\x9c" + 2048 * megabyte)
    assert path.stat().st_size < 10 << 20
    assert re.match(r"is damaged \(.*\), after 0 events|takes more than .* bytes", message(path))
