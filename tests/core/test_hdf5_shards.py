"""Samples in HDF5 files, read some at a time by a process of their own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from strategies import small_network

from lehr import nirfile
from lehr.cameras import apart, kept
from lehr.errors import FileRefused
from lehr.network import Input
from lehr.recordings import open_inputs
from lehr.samples import Samples
from lehr.shards import Hdf5Samples
from lehr.simulate import simulate


def spikes() -> npt.NDArray[np.uint8]:
    return (np.random.default_rng(0).random((7, 5, 2, 3)) < 0.3).astype(np.uint8)


def written(path: Path, x: npt.ArrayLike, labels: Any = None, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("input", data=x, **options)
        if labels is not None:
            file["labels"] = labels
    return path


def opened(path: Path) -> Samples:
    return open_inputs(path, Input((2, 3), "spikes"), None)


@pytest.mark.parametrize(
    "options", [{}, {"chunks": (2, 5, 2, 3), "compression": "gzip"}, {"chunks": (7, 1, 1, 2)}]
)
@pytest.mark.parametrize("labels", [None, np.arange(7, dtype=np.uint8) % 3])
def test_an_hdf5_file_is_the_samples_in_it(tmp_path: Path, options: Any, labels: Any) -> None:
    x = spikes()
    samples = opened(written(tmp_path / "x.h5", x, labels, **options))
    assert isinstance(samples, Hdf5Samples)
    assert (None if samples.labels is None else samples.labels.tolist()) == (
        None if labels is None else labels.tolist()
    )
    assert np.array_equal(samples.whole(), x)
    for start in (0, 3, 6):
        assert np.array_equal(np.concatenate(list(samples.pieces(2, start))), x[start:])
        chunks = [chunk[0] for chunk in samples.chunks(3, start)]
        assert np.array_equal(np.concatenate(chunks), np.concatenate(x[start:]))


@pytest.mark.parametrize("slab", [1, 13, 60, 1000])
def test_any_slab_covers_every_value_once(monkeypatch: pytest.MonkeyPatch, slab: int) -> None:
    monkeypatch.setattr(kept, "SLAB", slab)
    x = np.arange(7 * 5 * 6).reshape(7, 5, 2, 3)
    for together in (1, 2, 7):
        parts = [x[chosen] for chosen in kept._rows(x.shape, together)]
        assert np.array_equal(np.concatenate([part.ravel() for part in parts]), x.ravel())
        if slab >= 60 and together == 2:
            assert all(len(part) % 2 == 0 for part in parts[:-1])


def test_hdf5_files_give_the_file_that_one_input_gives(tmp_path: Path, lehr: Lehr) -> None:
    net, x = small_network(samples=5)
    assert all(0 < rate < 1 for rate in simulate(net, x).rates.values())
    nirfile.write(net, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=x)
    (tmp_path / "s").mkdir()
    written(tmp_path / "s" / "0.h5", x[:2], compression="gzip")
    written(tmp_path / "s" / "1.hdf5", x[2:])
    for given in ("x.npz", "s"):
        command = ("simulate", tmp_path / "m.nir", "-i", tmp_path / given, "--trace", "all")
        assert lehr(*command, "-o", tmp_path / f"{given}.out.npz").code == 0
    whole = (tmp_path / "x.npz.out.npz").read_bytes()
    assert (tmp_path / "s.out.npz").read_bytes() == whole
    written(tmp_path / "s" / "1.hdf5", x[2:] ^ 255)
    assert lehr(*command, "-o", tmp_path / "s.out.npz").code == 0
    assert (tmp_path / "s.out.npz").read_bytes() != whole


def _external(path: Path) -> None:
    written(path.with_name("other.h5"), spikes())
    with h5py.File(path, "w") as file:
        file["input"] = h5py.ExternalLink("other.h5", "/input")


def _raw(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("input", (7, 30), "u1", external=[("/etc/hostname", 0, 210)])


def _virtual(path: Path) -> None:
    layout = h5py.VirtualLayout((7, 5, 2, 3), "u1")
    layout[:] = h5py.VirtualSource(written(path.with_name("other.h5"), spikes()), "input", (7, 5, 2, 3), "u1")  # fmt: skip
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("input", layout)


def _cut(path: Path) -> None:
    whole = written(path, spikes()).read_bytes()
    path.write_bytes(whole[: len(whole) - 100])


def _huge(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("input", (1 << 33, 1 << 10), "u1", chunks=(1 << 10, 1 << 10))


def _large_chunks(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("input", (1 << 16, 1 << 10), "u1", chunks=(1 << 16, 1 << 10))


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "floats": (lambda path: written(path, spikes() / 2), "has an input of float64 [7, 5, 2, 3]; save it as uint8 with the samples on the first axis"),
    "one axis": (lambda path: written(path, [1, 0]), "has an input of int64 [2]; save it"),
    "events": (lambda path: h5py.File(path, "w").create_group("CD").file.close(), "holds CD, but no data set 'input'; save one, or, if it holds events, say how long a step is, as --frames step_us=1000"),
    "labels": (lambda path: written(path, spikes(), [1, 2]), "has labels that are not one integer per sample; give such, or none"),
    "float labels": (lambda path: written(path, spikes(), np.ones(7)), "has labels that are not one integer"),
    "an external link": (_external, "holds input, but no data set 'input'"),
    "bytes elsewhere": (_raw, "has /input in another file"),
    "virtual": (_virtual, "has /input in another file"),
    "cut": (_cut, "is damaged ("),
    "huge": (_huge, ": its input is 8,796,093,022,208 bytes, the limit is 1,099,511,627,776; give fewer samples or steps"),
    "large chunks": (_large_chunks, "has /input in chunks of 67,108,864 bytes, more than 33,554,432 at once; save it with smaller ones"),
    "no HDF5": (lambda path: path.write_bytes(b"text"), "is damaged ("),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_input_is_refused_by_name(tmp_path: Path, case: str) -> None:
    make, message = REFUSED[case]
    make(tmp_path / "x.h5")
    with pytest.raises(FileRefused) as refused:
        opened(tmp_path / "x.h5")
    assert f"{tmp_path}/x.h5{'' if message[0] == ':' else ' '}{message}" in str(refused.value)


def test_a_file_damaged_in_the_middle_leaves_no_result(tmp_path: Path, lehr: Lehr) -> None:
    net, x = small_network(samples=9)
    nirfile.write(net, tmp_path / "m.nir")
    path = written(tmp_path / "x.h5", x, chunks=(1, *x.shape[1:]), compression="gzip", fletcher32=True)  # fmt: skip
    with h5py.File(path) as file:
        at = file["input"].id.get_chunk_info(5).byte_offset
    data = bytearray(path.read_bytes())
    data[at + 4] ^= 255
    path.write_bytes(data)
    ran = lehr("simulate", tmp_path / "m.nir", "-i", path, "-o", tmp_path / "o.npz")
    assert ran.code == 5
    assert f"{path} is damaged (" in ran.err
    assert "bytes; get it again" in ran.err
    assert not (tmp_path / "o.npz").exists()


@pytest.mark.parametrize(
    "answer", [{"input": [2, -1], "labels": False}, {"input": [2, True], "labels": False}, 7]
)
def test_a_reader_that_lies_is_not_believed(answer: object) -> None:
    sent = io.BytesIO(json.dumps({"kind": "size", "size": answer}).encode() + b"\n")
    with pytest.raises(ValueError, match="an answer of another kind"):
        apart._answer(sent)
    with pytest.raises(ValueError, match="input ends early"):
        apart._answer(io.BytesIO(b'{"kind": "bytes", "count": 9}\nfew'))
