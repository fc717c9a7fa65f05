"""Fetching official files, from a server in this process.

What arrives is whole and the published file, or nothing is left.
"""

from __future__ import annotations

import gc
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr, Ran
from file_server import Server, serving

from lehr.errors import UsageError
from lehr.train.data.download import MIRROR, OFFICIAL, Remote, download

DATA = os.environ.get("LEHR_DATA")


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """The folder that the server serves."""
    folder = tmp_path / "away"
    folder.mkdir()
    return folder


@pytest.fixture
def server(away: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(away) as server:
        monkeypatch.setenv(MIRROR, server.address + "/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def publish(
    away: Path, name: str, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Serve `files` as those of data set `name`, with their MD5s."""
    (away / name).mkdir()
    remotes = []
    for remote in OFFICIAL[name]:
        (away / name / remote.name).write_bytes(files[remote.name])
        md5 = hashlib.md5(files[remote.name]).hexdigest()
        remotes.append(
            Remote(remote.name, md5, remote.address, remote.becomes, remote.top, remote.by_hand)
        )
    monkeypatch.setitem(OFFICIAL, name, tuple(remotes))


def mnist_files() -> dict[str, bytes]:
    """MNIST's four files, with 24 and 6 images."""
    files, rng = {}, np.random.default_rng(3)
    for part, count in (("train", 24), ("t10k", 6)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 256, (count, 28, 28), np.uint8)),
            ("labels-idx1", (np.arange(count) % 10).astype(np.uint8)),
        ):
            head = bytes((0, 0, 8, array.ndim)) + b"".join(
                n.to_bytes(4, "big") for n in array.shape
            )
            files[f"{part}-{kind}-ubyte.gz"] = gzip.compress(head + array.tobytes(), mtime=0)
    return files


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return out.getvalue()


def nmnist_files() -> dict[str, bytes]:
    """Two archives as published, twelve training samples and two test samples of one event."""
    event = bytes((1, 2, 128, 0, 5))
    train = {f"Train/{i % 10}/{i:05}.bin": event for i in range(12)}
    return {
        "Train.zip": zipped(train),
        "Test.zip": zipped({f"Test/{i}/{i:05}.bin": event for i in range(2)}),
    }


def samples(lehr: Lehr, data: Path, name: str, *sets: str) -> Ran:
    """Write the test samples of a data set, fetching it first."""
    if name != "mnist" and not sets:
        sets = ("data.steps=2", "data.step_ms=1")
    options = [part for key in (f"data.name={name}", *sets) for part in ("--set", key)]
    return lehr(
        "recipes",
        "samples",
        "digits",
        *options,
        "--data",
        data,
        "--download",
        "-o",
        data.parent / "in.npz",
    )


def refused(ran: Ran, message: str, data: Path) -> None:
    """One sentence, exit code 5, and nothing in the folder."""
    assert (ran.code, ran.last, ran.err) == (5, "FAIL", f"error: {message}\n")
    assert [path for path in data.rglob("*") if path.is_file() or path.name.startswith(".")] == []


@pytest.mark.skipif(
    DATA is None,
    reason="LEHR_DATA names no folder with the official files of MNIST and Fashion-MNIST",
)
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_official_files_have_these_md5s(
    lehr: Lehr, server: Server, away: Path, data: Path, name: str
) -> None:
    assert DATA
    (away / name).symlink_to(Path(DATA) / name)
    assert samples(lehr, data, name).code == 0
    assert len(server.asked) == 4
    assert len(np.load(data.parent / "in.npz")["labels"]) == 10_000


def test_fetched_files_are_read_and_not_fetched_again(
    lehr: Lehr, server: Server, away: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(away, "mnist", mnist_files(), monkeypatch)
    ran = samples(lehr, data, "mnist")
    assert (ran.code, ran.err) == (0, "")
    assert np.load(data.parent / "in.npz")["labels"].tolist() == [0, 1, 2, 3, 4, 5]
    assert {path.name: path.read_bytes() for path in (data / "mnist").iterdir()} == mnist_files()
    assert {path.stat().st_mode for path in (data / "mnist").iterdir()} == {
        path.stat().st_mode for path in (away / "mnist").iterdir()
    }
    assert server.asked == [f"/mnist/{remote.name}" for remote in OFFICIAL["mnist"]]
    (data / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert samples(lehr, data, "mnist").code == 0
    assert server.asked[4:] == ["/mnist/t10k-labels-idx1-ubyte.gz"]


def test_files_beside_one_another_stay_there(
    lehr: Lehr, server: Server, away: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(away, "mnist", mnist_files(), monkeypatch)
    data.mkdir()
    (data / "train-images-idx3-ubyte.gz").write_bytes(mnist_files()["train-images-idx3-ubyte.gz"])
    assert samples(lehr, data, "mnist").code == 0
    assert len(server.asked) == 3
    assert {path.name for path in data.iterdir()} == set(mnist_files())


def test_archives_are_unpacked(
    lehr: Lehr, server: Server, away: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(away, "nmnist", nmnist_files(), monkeypatch)
    ran = samples(lehr, data, "nmnist", "data.steps=2", "data.step_ms=1")
    assert (ran.code, ran.err) == (0, "")
    assert np.load(data.parent / "in.npz")["input"].shape == (2, 2, 2, 34, 34)
    assert np.argwhere(np.load(data.parent / "in.npz")["input"]).tolist() == [
        [0, 0, 1, 2, 1],
        [1, 0, 1, 2, 1],
    ]
    assert {path.name for path in (data / "nmnist").iterdir()} == {"Train", "Test"}


def test_an_archive_got_by_hand_is_unpacked(
    lehr: Lehr, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name in ("trials_to_train.txt", "trials_to_test.txt"):
            packed.addfile(tarfile.TarInfo(f"DvsGesture/{name}"))
    remote = OFFICIAL["dvs-gesture"][0]
    ran = samples(lehr, data, "dvs-gesture")
    place = data / "dvs-gesture"
    page = "https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8/folder/50167556794"
    refused(
        ran,
        f"data set dvs-gesture is handed out on a page only; put DvsGesture.tar.gz from {page} "
        f"into {place} yourself, and --download unpacks it",
        data,
    )
    (place / "DvsGesture.tar.gz").write_bytes(out.getvalue())
    ran = samples(lehr, data, "dvs-gesture")
    assert (
        ran.err
        == f"error: {place / 'DvsGesture.tar.gz'} is not the official file, whose MD5 is {remote.md5}; remove it\n"
    )
    changed = Remote(
        remote.name, hashlib.md5(out.getvalue()).hexdigest(), page, remote.becomes, remote.top, True
    )
    monkeypatch.setitem(OFFICIAL, "dvs-gesture", (changed,))
    ran = samples(lehr, data, "dvs-gesture", "data.steps=2", "data.step_ms=1")
    assert (
        ran.err
        == f"error: {place / 'trials_to_train.txt'} lists no recording; get it again from its official source\n"
    )
    assert {path.name for path in place.iterdir()} == {
        "trials_to_train.txt",
        "trials_to_test.txt",
        "DvsGesture.tar.gz",
    }


def by_hand(data: Path, name: str, number: int = 0) -> str:
    remote = OFFICIAL[name][number]
    return f"try again, or put {remote.name} from {remote.address} into {data / name} yourself"


def test_another_file_is_refused(lehr: Lehr, server: Server, away: Path, data: Path) -> None:
    (away / "mnist").mkdir()
    (away / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"not MNIST")
    address = f"{server.address}/mnist/train-images-idx3-ubyte.gz"
    message = f"{address} is not the official file, whose MD5 is f68b3c2dcbeaaa9fbdd348bbdeb94873; {by_hand(data, 'mnist')}"
    refused(samples(lehr, data, "mnist"), message, data)


def test_a_missing_file_is_named(lehr: Lehr, server: Server, data: Path) -> None:
    address = f"{server.address}/shd/shd_train.h5.zip"
    refused(
        samples(lehr, data, "shd"),
        f"{address} cannot be fetched: the server says 404 File not found; {by_hand(data, 'shd')}",
        data,
    )


@pytest.mark.filterwarnings("ignore:.*socket")  # requests leaves it to the garbage collector
def test_a_transfer_that_is_cut_short_leaves_nothing(
    lehr: Lehr, server: Server, data: Path
) -> None:
    server.short = 5000
    address = f"{server.address}/mnist/train-images-idx3-ubyte.gz"
    refused(
        samples(lehr, data, "mnist"),
        f"{address} cannot be fetched: the transfer was cut short; {by_hand(data, 'mnist')}",
        data,
    )
    gc.collect()  # here, where it is ignored, and not in a later test


@pytest.mark.parametrize(
    ("mirror", "reason"),
    [
        ("http://127.0.0.1:9", "there is no connection to the server"),
        ("nowhere", "Invalid URL 'nowhere/mnist/train-images-idx3-ubyte.gz': No scheme supplied"),
        (
            "ftp://nowhere",
            "No connection adapters were found for "
            "'ftp://nowhere/mnist/train-images-idx3-ubyte.gz'",
        ),
    ],
)
def test_no_server(
    lehr: Lehr, data: Path, monkeypatch: pytest.MonkeyPatch, mirror: str, reason: str
) -> None:
    monkeypatch.setenv(MIRROR, mirror)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    ran = samples(lehr, data, "mnist")
    assert (ran.code, ran.last) == (5, "FAIL")
    assert ran.err.startswith(
        f"error: {mirror}/mnist/train-images-idx3-ubyte.gz cannot be fetched: {reason}"
    )
    assert ran.err.endswith(f"; {by_hand(data, 'mnist')}\n")


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (
            zipped({"Train/0/1.bin": b"12345", "../evil": b""}),
            "Train.zip holds '../evil', a place outside of the folder; ",
        ),
        (
            zipped({"/tmp/evil": b""}),
            "Train.zip holds '/tmp/evil', a place outside of the folder; ",
        ),
        (
            zipped({"a\\..\\..\\evil": b""}),
            "Train.zip holds 'a\\\\..\\\\..\\\\evil', a place outside of the folder; ",
        ),
        (zipped({"readme": b""}), "Train.zip holds no Train; "),
        (
            zipped({"Train/0/1.bin": bytes(99)})[:-30],
            "Train.zip is no whole archive (File is not a zip file); ",
        ),
        (b"", "Train.zip is no whole archive (File is not a zip file); "),
    ],
    ids=["dots", "absolute", "backslashes", "another", "truncated", "empty"],
)
def test_bad_archives_are_refused(
    lehr: Lehr,
    server: Server,
    away: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    archive: bytes,
    message: str,
) -> None:
    publish(away, "nmnist", {**nmnist_files(), "Train.zip": archive}, monkeypatch)
    refused(samples(lehr, data, "nmnist"), message + "get it again from its official source", data)
    assert not list(data.parent.rglob("evil"))


FULL = """
import resource, sys
from pathlib import Path
from lehr.cli.app import app
import pooch, requests
sys.dont_write_bytecode = True  # it would be cut off, and kept
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, 1 << 10))
app(["recipes", "samples", "digits", "--set", "data.name=mnist", "--data", sys.argv[1], "--download", "-o", "x.npz"])
"""


def test_no_space_leaves_nothing(server: Server, away: Path, data: Path) -> None:
    (away / "mnist").mkdir()
    (away / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(bytes(1 << 16))
    ran = subprocess.run([sys.executable, "-c", FULL, data], capture_output=True, text=True)
    message = f"{data / 'mnist'} cannot be written: File too large; free space there or give another folder with --data DIR"
    refused(Ran(ran.returncode, ran.stdout, ran.stderr), message, data)


def test_a_folder_that_cannot_be_made(lehr: Lehr, data: Path) -> None:
    data.write_text("a file")
    ran = samples(lehr, data, "mnist")
    message = f"error: {data / 'mnist'} cannot be written: Not a directory; free space there or give another folder with --data DIR\n"
    assert (ran.code, ran.err) == (5, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits",), "data set digits is embedded and is not downloaded; leave out --download"),
        (
            ("fsdd", "--data", "."),
            "data set fsdd is a stand-in that is published nowhere and is not downloaded; leave "
            "out --download",
        ),
        (
            ("digits", "--set", "data.name=cifar"),
            "recipe digits: data.name is 'cifar', which is no data set; use one of digits, mnist, fashion-mnist, "
            "nmnist, dvs-gesture, shd, ssc, fsdd, japanese-vowels, temporal, events, npz, series",
        ),
        (
            ("digits", "--set", "data.name=mnist"),
            "--download has no folder to put mnist in; give one with --data DIR, or in LEHR_DATA",
        ),
    ],
)
@pytest.mark.parametrize("command", ["train", "samples"])
def test_what_cannot_be_fetched(
    lehr: Lehr, tmp_path: Path, command: str, arguments: tuple[str, ...], message: str
) -> None:
    ran = lehr(
        *(("train",) if command == "train" else ("recipes", "samples")),
        *arguments,
        "--download",
        "-o",
        tmp_path / "out",
    )
    assert (ran.code, ran.err) == (2, f"error: {message}\n")


def test_a_data_set_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="^data set cifar is unknown and is not downloaded; leave out --download$"
    ):
        download("cifar", tmp_path, pytest.fail)
