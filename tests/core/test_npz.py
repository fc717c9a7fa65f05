"""`.npz` files of strangers: judged by directory and headers before memory is taken.

Each refusal is one sentence.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from strategies import recurrent_network

from lehr import nirfile, samples
from lehr.errors import FileRefused, UsageError
from lehr.npz import Archive, npz_bytes
from lehr.samples import open_samples, read_samples

MEBIBYTE = 1 << 20


def header(shape: object, kind: str = "|u1", order: bool = False) -> bytes:
    """Return the header of an `.npy` file with any contents."""
    text = f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin1")


def packed(path: Path, members: dict[str, bytes], zeros: dict[str, int] | None = None) -> Path:
    """Write an archive of these members, some of which go on with so many zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            with archive.open(f"{name}.npy", "w") as stream:
                stream.write(data)
                for _ in range((zeros or {}).get(name, 0) // MEBIBYTE):
                    stream.write(bytes(MEBIBYTE))
    return path


IMAGES = header((4, 1, 8, 8)) + bytes(256)
PICKLE = b"cos\nsystem\n(S'touch pwned'\ntR."
REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "negative": ({"input": header((-5, 1, 8, 8)) + bytes(256)}, "its shape holds -5, no length of an axis"),
    "boolean": ({"input": header((True, 1, 8, 8)) + bytes(64)}, "its shape holds True, no length of an axis"),
    "far too many": ({"input": header((2**62, 1, 8, 8)) + bytes(256)}, "is more than any file holds"),
    "more than any integer": ({"input": header((10**30, 1, 8, 8)) + bytes(256)}, "is more than any file holds"),
    "too many": ({"input": header((10**15, 1, 8, 8)) + bytes(256)}, "is said to be uint8 [1000000000000000, 1, 8, 8], 64,000,000,000,000,000 bytes, and has at most 256; write it"),
    "too few": ({"input": header((4, 1, 8, 8)) + bytes(100)}, "is said to be uint8 [4, 1, 8, 8], 256 bytes, and has at most 100; write it"),
    "text": ({"input": header(("a", 1, 8, 8)) + bytes(256)}, "its header is no description of an array (ValueError)"),
    "floating": ({"input": header((1.5, 1, 8, 8)) + bytes(256)}, "its header is no description of an array (ValueError)"),
    "axes": ({"input": header((1,) * 40) + bytes(1)}, "its shape has 40 axes, more than 32"),
    "objects": ({"input": header((4, 1, 8, 8), "|O") + PICKLE}, "it holds object, no numbers"),
    "objects as labels": ({"input": IMAGES, "labels": header((4,), "|O") + PICKLE}, "labels is no array of numbers: it holds object"),
    "nested": ({"input": b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 9000}, "its header is no description of an array ("),
    "long header": ({"input": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b"{"}, "said to have 2,147,483,648 bytes, more than 16,384"),
    "other version": ({"input": b"\x93NUMPY\x09\x00" + bytes(200)}, "its version is 9.0, not 1.0 to 3.0"),
    "no array": ({"input": b"hello"}, "input is no array of numbers: "),
    "labels of others": ({"input": IMAGES, "labels": header((5,), "<i8") + bytes(40)}, "labels are int64 [5] for 4 samples; give one integer per sample"),
    "labels beyond 64 bits": ({"input": IMAGES, "labels": header((4,), "<u8") + b"\xff" * 32}, "labels hold 18446744073709551615; number the classes"),
    "booleans as labels": ({"input": IMAGES, "labels": header((4,), "|b1") + bytes(4)}, "labels are bool [4] for 4 samples; give one integer"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_header_says_is_judged(tmp_path: Path, case: str) -> None:
    members, message = REFUSED[case]
    path = packed(tmp_path / "x.npz", members)
    with pytest.raises(FileRefused) as caught:
        read_samples(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_what_is_no_file_and_what_is_named_twice(tmp_path: Path) -> None:
    path = tmp_path / "twice.npz"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("input.npy", IMAGES)
        archive.writestr("input.npy", header((1, 1, 8, 8)) + bytes(64))
    with pytest.raises(
        FileRefused, match="twice.npz holds 'input' twice; write it with numpy.savez$"
    ):
        open_samples(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("input.npy", IMAGES)
    with pytest.raises(
        FileRefused,
        match="input is packed otherwise than numpy does it; write it with numpy.savez_compressed$",
    ):
        open_samples(path)
    with pytest.raises(
        UsageError, match=r"/dev/zero is no regular file; give an .npz file with an array 'input'$"
    ):
        open_samples(Path("/dev/zero"))
    with pytest.raises(UsageError, match=r"none.npz does not exist; give"):
        open_samples(tmp_path / "none.npz")


BOMBS: dict[str, tuple[dict[str, bytes], str]] = {
    "labels": ({"input": header((1, 1, 8, 8)) + bytes(64), "labels": header((12 * MEBIBYTE,), "<i8")}, "labels are int64 [12582912] for 1 samples"),
    "input": ({"input": header((196608, 1, 8, 8), "<f8")}, "input is float64 [196608, 1, 8, 8]; save it as uint8"),
    "event.first": ({"event.shape": header((2,), "<i8") + (9).to_bytes(8, "little") * 2, "event.first": header((12 * MEBIBYTE,), "<i8")}, "100,663,296 bytes, more than"),
    "event.shape": ({"event.shape": header((12 * MEBIBYTE,), "<i8")}, "100,663,296 bytes, more than"),
}  # fmt: skip
MEASURE = """
import resource, sys
from pathlib import Path
from lehr.errors import FileRefused
from lehr.samples import read_samples
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_samples(Path(sys.argv[1]))
except FileRefused as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_small_file_that_unpacks_to_much_takes_no_memory(tmp_path: Path) -> None:
    """96 MiB of zeros are packed into 98 kB; no more than some MiB are taken to refuse them."""
    for name, (members, message) in BOMBS.items():
        path = packed(tmp_path / f"{name}.npz", members, {name: 96 * MEBIBYTE})
        assert path.stat().st_size < MEBIBYTE
        ran = subprocess.run(
            [sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True
        )
        said, kibibytes = ran.stdout.splitlines()
        assert message in said
        assert int(kibibytes) < 32 * 1024, name


def test_inputs_that_are_read_whole_take_no_more_than_some_times_their_packed_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "INPUTS_AT_ONCE", MEBIBYTE)
    for by_column in (False, True):
        path = packed(
            tmp_path / f"{by_column}.npz",
            {"input": header((65536, 1, 8, 8), order=by_column)},
            {"input": 4 * MEBIBYTE},
        )
        with pytest.raises(
            FileRefused, match=r"4,194,304 bytes, more than 1,048,576 at once; give fewer"
        ):
            read_samples(path)
        if not by_column:
            assert open_samples(path).first(3).shape == (3, 1, 8, 8)  # read piece by piece
    # as large, and not packed small
    values = np.random.default_rng(0).integers(0, 256, (32768, 1, 8, 8), np.uint8)
    np.savez_compressed(tmp_path / "dense.npz", input=values)
    assert np.array_equal(read_samples(tmp_path / "dense.npz")[0], values)


def test_arrays_of_either_order_come_back(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 9, (3, 4, 5)).astype(np.int32)
    (tmp_path / "a.npz").write_bytes(
        npz_bytes({"rows": rows, "columns": np.asfortranarray(rows), "one": np.array(7)})
    )
    with Archive(tmp_path / "a.npz") as archive, np.load(tmp_path / "a.npz") as expected:
        for name in expected.files:
            assert np.array_equal(archive.read(name), expected[name])
            assert archive.read(name).dtype == expected[name].dtype
        with pytest.raises(
            FileRefused,
            match="rows is int32 .*, 240 bytes, more than 100 at once; give fewer, or save it unpacked by numpy.savez$",
        ):
            archive.read("rows", 100)


def test_the_first_samples_are_read_alone(tmp_path: Path) -> None:
    x = np.arange(40, dtype=np.uint8).reshape(10, 4)
    np.savez(tmp_path / "x.npz", input=x)
    samples = open_samples(tmp_path / "x.npz")
    assert np.array_equal(samples.first(3), x[:3])
    assert np.array_equal(samples.first(99), x)


def test_a_label_of_no_class_is_not_counted_as_wrong(tmp_path: Path, lehr: Lehr) -> None:
    net, x = recurrent_network()
    nirfile.write(net, tmp_path / "m.nir")
    classes = net.shapes[net.output][0]
    for wrong in (classes, 255, 10**9, -1):
        labels = np.zeros(len(x), np.int64)
        labels[1] = wrong
        np.savez(tmp_path / "x.npz", input=x, labels=labels)
        ran = lehr("simulate", tmp_path / "m.nir", "-i", tmp_path / "x.npz")
        assert ran.code == 5
        way_out = "leave out samples that have no class, or all labels"
        assert (
            f"x.npz: the label of sample 1 is {wrong}, but there are {classes} classes, from 0 on; "
            f"{way_out}" in ran.err
        )
