"""Samples in tar files by WebDataset's convention, and tar files that are none."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from strategies import small_network

from lehr import nirfile
from lehr.errors import FileRefused
from lehr.network import Input
from lehr.recordings import open_inputs
from lehr.samples import Samples
from lehr.shards import TarSamples
from lehr.simulate import simulate

File = tuple[str, bytes | Callable[[tarfile.TarInfo], None]]


def npy(array: npt.ArrayLike) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


def written(path: Path, files: Iterable[File], kind: int = tarfile.PAX_FORMAT) -> Path:
    """Write a tar file as WebDataset's TarWriter does: times with fractions in extended headers."""
    with tarfile.open(path, "w", format=kind) as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.mtime = 1700000000.25 if kind == tarfile.PAX_FORMAT else 0
            if callable(content):
                content(entry)
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return path


def spikes() -> npt.NDArray[np.uint8]:
    return (np.random.default_rng(0).random((7, 5, 2, 3)) < 0.3).astype(np.uint8)


def good(*, long: bool = False) -> list[File]:
    """Name files of seven samples, with labels before or after the inputs."""
    prefix = "a/folder.with.dots/" + "x" * 120 * long
    files: list[File] = []
    for number, x in enumerate(spikes()):
        pair: list[File] = [(f"{prefix}{number:06}.npy", npy(x)), (f"{prefix}{number:06}.cls", b"%d\n" % (number % 3))]  # fmt: skip
        files += pair[:: -1 if number == 2 else 1]
    return files


def opened(path: Path) -> Samples:
    return open_inputs(path, Input((2, 3), "spikes"), None)


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("long", [False, True])
def test_a_tar_file_is_the_samples_in_it(tmp_path: Path, kind: int, long: bool) -> None:
    if long and kind == tarfile.USTAR_FORMAT:
        pytest.skip("it has no such names")
    samples, x = opened(written(tmp_path / "x.tar", good(long=long), kind)), spikes()
    assert isinstance(samples, TarSamples)
    assert samples.labels is not None
    assert samples.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert np.array_equal(samples.whole(), x)
    for start in (0, 3, 6):
        assert np.array_equal(np.concatenate(list(samples.pieces(2, start))), x[start:])
        chunks = [chunk[0] for chunk in samples.chunks(3, start)]
        assert np.array_equal(np.concatenate(chunks), np.concatenate(x[start:]))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file left open
def test_what_webdataset_writes_is_read(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "x.tar")) as writer:
        for number, x in enumerate(spikes()):
            writer.write({"__key__": f"{number:06}", "npy": x, "cls": number % 3})
    samples = opened(tmp_path / "x.tar")
    assert np.array_equal(samples.whole(), spikes())
    read = webdataset.WebDataset(str(tmp_path / "x.tar"), shardshuffle=False).decode()
    assert samples.labels is not None
    assert samples.labels.tolist() == [sample["cls"] for sample in read]


def test_tar_files_give_the_file_that_one_input_gives(tmp_path: Path, lehr: Lehr) -> None:
    net, x = small_network(samples=5)
    assert all(0 < rate < 1 for rate in simulate(net, x).rates.values())
    nirfile.write(net, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=x)
    (tmp_path / "s").mkdir()
    written(tmp_path / "s" / "0.tar", [(f"{n}.npy", npy(x[n])) for n in (0, 1, 2)])
    np.savez(tmp_path / "s" / "1.npz", input=x[3:4])
    written(tmp_path / "s" / "2.tar", [("4.npy", npy(x[4]))])
    for given in ("x.npz", "s"):
        command = ("simulate", tmp_path / "m.nir", "-i", tmp_path / given, "--trace", "all")
        assert lehr(*command, "-o", tmp_path / f"{given}.out.npz").code == 0
    whole = (tmp_path / "x.npz.out.npz").read_bytes()
    assert (tmp_path / "s.out.npz").read_bytes() == whole
    written(tmp_path / "s" / "2.tar", [("4.npy", npy(x[4] ^ 255))])
    assert lehr(*command, "-o", tmp_path / "s.out.npz").code == 0
    assert (tmp_path / "s.out.npz").read_bytes() != whole


def linked(entry: tarfile.TarInfo) -> None:
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"


def sparse(entry: tarfile.TarInfo) -> None:
    entry.type = tarfile.GNUTYPE_SPARSE


def device(entry: tarfile.TarInfo) -> None:
    entry.type = tarfile.CHRTYPE


X = npy(spikes()[0])
REFUSED: dict[str, tuple[list[File], str]] = {
    "nothing": ([], "holds no sample; give a tar file of KEY.npy and KEY.cls"),
    "an image": ([("0.npy", X), ("0.jpg", b"\xff\xd8")], "holds '0.jpg', and lehr reads .npy (the input, uint8) and .cls (the label) alone; decode it to such, and leave others out"),
    "no end": ([("README", b"")], "holds 'README', which is no file KEY.npy or KEY.cls; leave it out"),
    "a link": ([("0.npy", linked)], "holds '0.npy', which is no file KEY.npy or KEY.cls; leave it out"),
    "a device": ([("0.npy", device)], "holds '0.npy', which is no file KEY.npy"),
    "no input": ([("0.npy", X), ("0.cls", b"1"), ("1.cls", b"1")], ": sample '1' has no .npy; add it"),
    "no label": ([("0.npy", X), ("0.cls", b"1"), ("1.npy", X)], ": sample '1' has no .cls, and the first has; give all samples labels, or none"),
    "a label late": ([("0.npy", X), ("1.npy", X), ("1.cls", b"1")], ": sample '1' has a .cls, and the first has none; give all samples labels, or none"),
    "no number": ([("0.npy", X), ("0.cls", b"cat")], ": 0.cls is no label; write a whole number in digits"),
    "a long number": ([("0.npy", X), ("0.cls", b" " * 99 + b"1")], ": 0.cls is no label; write"),
    "twice": ([("0.npy", X), ("0.npy", X)], "holds '0.npy' twice; leave one out"),
    "apart": ([("0.npy", X), ("1.npy", X), ("0.cls", b"1")], "holds sample '0' twice; give each key once, its files next to each other"),
    "another shape": ([("0.npy", X), ("1.npy", npy(spikes()[0, :4]))], ": 1.npy is uint8 [4, 2, 3], and the first sample uint8 [5, 2, 3]; give samples of one shape"),
    "floats": ([("0.npy", npy(spikes()[0] / 2))], ": 0.npy is float64 [5, 2, 3]; save it as uint8, the last axis fastest"),
    "by column": ([("0.npy", npy(np.asfortranarray(spikes()[0])))], ": 0.npy is uint8 [5, 2, 3], the first axis fastest; save it as uint8, the last axis fastest"),
    "no array": ([("0.npy", b"text")], ": 0.npy is no array of numbers: "),
    "too short": ([("0.npy", X[:-1])], ": 0.npy is said to be uint8 [5, 2, 3], 30 bytes, and has 29; write it with numpy.save"),
    "too long": ([("0.npy", X), ("1.npy", X + b"?")], ": 1.npy is said to be uint8 [5, 2, 3], 30 bytes, and has 31; write"),
    "objects": ([("0.npy", X.replace(b"'|u1'", b"'|O' "))], ": 0.npy is no array of numbers: it holds object, no numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_sample_is_refused_by_name(tmp_path: Path, case: str) -> None:
    files, message = REFUSED[case]
    with pytest.raises(FileRefused) as refused:
        opened(written(tmp_path / "x.tar", files))
    assert f"{tmp_path}/x.tar{'' if message[0] == ':' else ' '}{message}" in str(refused.value)


def test_every_place_where_a_file_is_cut_or_damaged_is_seen(tmp_path: Path) -> None:
    """tarfile itself takes a header that is damaged, and a file that is cut, for the end."""
    files = good()
    whole = written(tmp_path / "x.tar", files, tarfile.USTAR_FORMAT).read_bytes()
    with tarfile.open(tmp_path / "x.tar") as tar:
        end = tar.getmembers()[-1].offset_data + 512
    (tmp_path / "x.tar").write_bytes(whole[: end + 512])
    assert len(opened(tmp_path / "x.tar").whole()) == 7
    for length in range(0, end + 512, 256):
        (tmp_path / "x.tar").write_bytes(whole[:length])
        with pytest.raises(FileRefused) as refused:
            opened(tmp_path / "x.tar")
        assert str(refused.value).endswith("; get it again") or "is not a whole tar" in str(refused.value)  # fmt: skip
    for at in range(0, end, 512):
        if whole[at + 257 : at + 262] == b"ustar":
            (tmp_path / "x.tar").write_bytes(whole[:at] + b"?" + whole[at + 1 :])
            with pytest.raises(
                FileRefused, match="x.tar is (damaged or cut short|not a whole tar)"
            ):
                opened(tmp_path / "x.tar")


def test_a_header_that_would_take_memory_is_refused(tmp_path: Path) -> None:
    head = tarfile.TarInfo("././@PaxHeader")
    head.type, head.size = tarfile.XHDTYPE, 1 << 32
    path = tmp_path / "x.tar"
    path.write_bytes(head.tobuf(tarfile.USTAR_FORMAT))
    with path.open("r+b") as file:
        file.truncate(1 << 34)
    with pytest.raises(FileRefused, match=r"x.tar is not a whole tar file \(ReadError\); write it"):
        opened(path)
    head.size = 512
    path.write_bytes((head.tobuf(tarfile.USTAR_FORMAT) + b"\0" * 512) * 5000)
    with pytest.raises(FileRefused, match="x.tar is not a whole tar file"):
        opened(path)


def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tar", good())
    samples, whole = opened(path), path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileRefused, match=r"x.tar ends within its sample \d; get it again"):
        samples.whole()
