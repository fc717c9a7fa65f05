"""Archives from elsewhere: files are unpacked, and nothing else.

Too much or too little is refused.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lehr.errors import FileRefused
from lehr.train.data import archive
from lehr.train.data.archive import unpack


def taped(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    """A .tar.gz of names, types and contents (of links: their targets)."""
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(data)
            else:
                info.linkname = data.decode()
            archive.addfile(info, io.BytesIO(data))
    return path


def test_files_of_a_tape_are_unpacked_and_links_are_not(tmp_path: Path) -> None:
    links = (
        ("a/link", tarfile.SYMTYPE, b"/etc"),
        ("a/hard", tarfile.LNKTYPE, b"a/b.txt"),
        ("a/pipe", tarfile.FIFOTYPE, b""),
    )
    path = taped(
        tmp_path / "x.tar.gz",
        ("a", tarfile.DIRTYPE, b""),
        ("a/b.txt", tarfile.REGTYPE, b"12"),
        *links,
    )
    unpack(path, tmp_path / "out")
    assert [str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*")] == [
        "a",
        "a/b.txt",
    ]
    assert (tmp_path / "out" / "a" / "b.txt").read_bytes() == b"12"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_no_path_leads_out(tmp_path: Path, name: str) -> None:
    path = taped(tmp_path / "x.tar.gz", (name, tarfile.REGTYPE, b"12"))
    with pytest.raises(
        FileRefused,
        match=r"^x.tar.gz holds '[a./]*evil', a place outside of the folder; get it again from its official",
    ):
        unpack(path, tmp_path / "out")
    assert not list(tmp_path.rglob("evil"))


def test_a_bomb_is_refused_before_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small", bytes(10))
        archive.writestr("large", bytes(1 << 20))
    with pytest.raises(
        FileRefused,
        match=r"^x.zip unpacks to more than 1,048,585 bytes or 1,000,000 files; get it again",
    ):
        unpack(path, tmp_path / "out", (1 << 20) + 9)
    assert not (tmp_path / "out" / "large").exists()
    unpack(path, tmp_path / "out", (1 << 20) + 10)
    assert (tmp_path / "out" / "large").stat().st_size == 1 << 20


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MAX_FILES", 2)
    path = taped(tmp_path / "x.tar.gz", *((str(n), tarfile.REGTYPE, b"") for n in range(3)))
    with pytest.raises(FileRefused, match="or 2 files; get it again"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("keep", [0, 5, 40, 1500, 2900])
def test_a_tape_that_is_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    noise = np.random.default_rng(0).bytes(3000)
    path = taped(
        tmp_path / "x.tar.gz", ("a", tarfile.REGTYPE, noise), ("b", tarfile.REGTYPE, noise)
    )
    assert path.stat().st_size > keep + 200  # beyond the empty blocks at the end
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        FileRefused,
        match=r"^x.tar.gz is no whole archive \(.+\); get it again from its official source$",
    ):
        unpack(path, tmp_path / "out")


def test_a_changed_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"plain text")
    path.write_bytes(path.read_bytes().replace(b"plain text", b"plain tixt"))
    with pytest.raises(
        FileRefused, match=r"^x.zip is no whole archive \(Bad CRC-32 for file 'a'\); get it again"
    ):
        unpack(path, tmp_path / "out")
