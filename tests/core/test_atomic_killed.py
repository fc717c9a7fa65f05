"""Killed writers leave the old or the new, whole; the next writing cleans up beside it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from killed import forked, killed_before

from lehr import atomic
from lehr.artifact import BuildPlan, changed_files, check_replaceable, read_manifest
from lehr.atomic import remove_whole, write_bytes
from lehr.errors import UsageError
from lehr.leftovers import recover

Write = Callable[[Path, bytes], None]


def write_folder(place: Path, data: bytes) -> None:
    BuildPlan({"a/b.bin": data, "c.bin": data[::-1]}).with_manifest({}).write(place)


def content(place: Path) -> bytes:
    """Return what a file holds, or a folder, of which every file must be right."""
    if place.is_file():
        return place.read_bytes()
    assert changed_files(place) == []
    assert sorted(path.name for path in place.rglob("*")) == [
        "a",
        "b.bin",
        "c.bin",
        "manifest.json",
    ]
    return (place / "a" / "b.bin").read_bytes()


@pytest.fixture(params=["exchange", "renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Replace a folder by the exchange of this system, or as systems without it do."""
    if request.param == "renames":
        monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    return str(request.param)


@pytest.mark.few(1)
@pytest.mark.parametrize("before", [b"before", None])
@pytest.mark.parametrize("write", [write_bytes, write_folder])
def test_killed_before_any_step(
    tmp_path: Path, way: str, write: Write, before: bytes | None
) -> None:
    counts: Counter[bytes | None] = Counter()
    step, alive = -1, False
    while not alive:
        step += 1
        place = tmp_path / str(step) / "out"
        place.parent.mkdir()
        if before is not None:
            write(place, before)
        alive = not killed_before(step, lambda place=place: write(place, b"after"))  # type: ignore[misc]
        left = content(place) if place.exists() else None
        counts[left] += 1
        if way == "exchange" or write is write_bytes:
            assert left in (before, b"after"), step
        recover(place)
        assert (content(place) if place.exists() else None) in (before, b"after"), step
        write(place, b"the next")
        assert content(place) == b"the next"
        assert list(place.parent.iterdir()) == [place], step
    assert step > 4
    assert counts[before] > 3
    assert counts[b"after"] >= 2
    assert counts[None] == (
        1
        if way == "renames" and write is write_folder and before
        else counts[before]
        if before is None
        else 0
    )


def test_killed_while_a_folder_is_removed(tmp_path: Path) -> None:
    step, alive = -1, False
    while not alive:
        step += 1
        place = tmp_path / str(step) / "out"
        place.parent.mkdir()
        write_folder(place, b"before")
        alive = not killed_before(step, lambda place=place: remove_whole(place))  # type: ignore[misc]
        if place.exists():
            assert content(place) == b"before"
        write_folder(place, b"the next")
        assert list(place.parent.iterdir()) == [place], step
    assert step > 4


LOOK = [read_manifest, check_replaceable, lambda place: recover(place / "a" / "b.bin")]


@pytest.mark.parametrize("look", LOOK)
def test_whoever_looks_first_finds_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    write_folder(tmp_path / "out", b"before")
    assert killed_before(
        2, lambda: write_folder(tmp_path / "out", b"after"), kinds=["exchange", "os.rename"]
    )
    assert not (tmp_path / "out").exists()
    assert len(list(tmp_path.iterdir())) == 2
    look(tmp_path / "out")
    assert content(tmp_path / "out") == b"before"


def test_a_folder_that_was_removed_after_a_whole_writing_stays_removed(
    tmp_path: Path, way: str
) -> None:
    for data in (b"before", b"after"):
        write_folder(tmp_path / "out", data)
    remove_whole(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"out: no such folder"):
        read_manifest(tmp_path / "out")


def test_writers_at_once_end_in_the_folder_of_one_of_them(tmp_path: Path, way: str) -> None:
    place, data = tmp_path / "out", [b"first", b"second", b"third"]
    write_folder(place, data[0])

    def write_often(each: bytes) -> None:
        for _ in range(15):
            write_folder(place, each)

    writers = [forked(lambda each=each: write_often(each)) for each in data]  # type: ignore[misc]
    seen = set()
    while any(
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        for child in writers
    ):
        if way == "exchange":
            seen.add((place / "c.bin").read_bytes()[::-1])
        time.sleep(0.001)
    assert [os.waitpid(child, 0)[1] for child in writers] == [0, 0, 0]
    assert content(place) in data
    assert seen <= {*data}
    assert list(tmp_path.iterdir()) == [place]
