"""Files made to harm, and files that were harmed: the command line refuses each.

No part of them stays.
"""

from __future__ import annotations

import random
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from commands import Lehr
from processes import Children, reading_in_this_process
from strategies import small_network

from lehr.errors import FileRefused
from lehr.nirfile import read, write

WEIGHT = "node/nodes/fc/weight"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a whole `.nir` file, with others beside it that it has no business in."""
    (tmp_path / "secret").write_bytes(b"do not read me.." * 15)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["w"] = np.ones((5, 6), np.int8)
    write(small_network()[0], tmp_path / "a.nir")
    return tmp_path / "a.nir"


def beside(file: Any, name: str) -> str:
    return str(Path(file.filename).with_name(name))


def raw_storage(file: Any) -> None:
    del file[WEIGHT]
    file.create_dataset(WEIGHT, (5, 6), "f8", external=[(beside(file, "secret"), 0, 240)])


def external_link(file: Any) -> None:
    del file[WEIGHT]
    file[WEIGHT] = h5py.ExternalLink(beside(file, "other.h5"), "/w")


def virtual(file: Any) -> None:
    del file[WEIGHT]
    layout = h5py.VirtualLayout((5, 6), "i1")
    layout[:] = h5py.VirtualSource(beside(file, "other.h5"), "w", (5, 6))
    file.create_virtual_dataset(WEIGHT, layout)


def cycle(file: Any) -> None:
    file["node/nodes/fc/again"] = file["node"]


def deep(file: Any) -> None:
    group = file["node"]
    for _ in range(3000):
        group = group.create_group("x")


def declared(file: Any) -> None:
    file.create_dataset("a", (200_000, 200_000), "i1")


def zeros(file: Any) -> None:
    """Write 16,000 x 16,000 zeros of 8 bytes: 2 GB out of 2 MB."""
    data = file.create_dataset("a", (16_000, 16_000), "f8", chunks=(1000, 1000), compression="gzip")
    packed = zlib.compress(bytes(8_000_000), 9)
    for row in range(0, 16_000, 1000):
        for column in range(0, 16_000, 1000):
            data.id.write_direct_chunk((row, column), packed)


def put(where: str, value: Any) -> Any:
    def edit(file: Any) -> None:
        del file[where]
        file[where] = value

    return edit


CRAFTED: dict[str, tuple[Any, str]] = {
    "external raw storage": (
        raw_storage,
        f"{WEIGHT} keeps its numbers in another file (FOLDER/secret); store them in this one",
    ),
    "external link": (
        external_link,
        f"{WEIGHT} is a link to another place (ExternalLink); put what it points to into the file",
    ),
    "virtual data set": (
        virtual,
        f"{WEIGHT} is a virtual data set, made of other files; store its numbers in this one",
    ),
    "group cycle": (cycle, "node/nodes/fc/again is linked twice; store it once in each place"),
    "3,000 groups deep": (
        deep,
        f"node{'/x' * 16} lies deeper than 16 groups; a graph needs no more",
    ),
    "200,000 x 200,000, declared": (
        declared,
        "a brings the file to 40,000,000,000 bytes unpacked, the limit for one of 26,300 bytes is "
        "27,352,000; give a smaller graph",
    ),
    "16,000 x 16,000 zeros": (
        zeros,
        "a brings the file to 2,048,000,000 bytes unpacked, the limit for one of 2,035,468 bytes "
        "is 536,870,912; give",
    ),
    "NaN weights": (
        put(WEIGHT, np.full((5, 6), np.nan)),
        "fc: Linear weight has dtype float64, not integers; round it to integers first",
    ),
    "text weights": (
        put(WEIGHT, [["a"] * 6] * 5),
        "fc: Linear weight has dtype <U1, not integers; round it to integers first",
    ),
    "unknown type": (
        put("node/nodes/fc/type", "Exec"),
        "fc: is of type Exec, which NIR does not have; use Affine, ",
    ),
    "name with a path": (
        lambda file: file["node/nodes"].create_group("..").create_group("x"),
        "node/nodes holds the name '..'; use letters, digits, '_', '-' and '.'",
    ),
    "name with a command": (
        lambda file: file.create_group("node/nodes/$(touch x)\n\x1b[2J"),
        r"node/nodes holds the name '$(touch x)\n\x1b[2J'; use letters, digits, '_', '-' and '.'",
    ),
    "name that is long": (
        lambda file: file.create_group("node/nodes/" + "n" * 1000),
        f"node/nodes holds the name '{'n' * 39}...{'n' * 38}'; use letters, digits, '_', '-' and "
        "'.'",
    ),
}
DAMAGED = {
    "empty": b"",
    "text": b"not HDF5 at all",
    "zeros": bytes(5000),
    "a zip": b"PK\x03\x04" * 100,
}


@pytest.mark.few(2)
@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_file_is_refused_and_nothing_stays(
    case: str, path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch, children: Children
) -> None:
    edit, message = CRAFTED[case]
    with h5py.File(path, "a") as file:
        edit(file)
    refused(path, lehr, monkeypatch, message)
    assert not children()


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_no_file_of_ours_is_refused_and_nothing_stays(
    case: str, path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch, children: Children
) -> None:
    path.write_bytes(DAMAGED[case])
    refused(
        path,
        lehr,
        monkeypatch,
        "is not an HDF5 file (empty, cut short or of another format); export it again",
    )
    assert not children()


def refused(path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    scratch = path.parent / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = set(path.parent.rglob("*"))
    ran = lehr("inspect", path)
    assert ran.code == 5
    assert ran.out == "FAIL\n"
    assert ran.err.startswith(f"error: {path}: {message.replace('FOLDER', str(path.parent))}")
    assert ran.err.count("\n") == 1
    assert set(path.parent.rglob("*")) == before


def damaged(whole: bytes, seed: int) -> bytes:
    """Return a copy with one byte changed or, one time in four, eight in a row.

    Half of the changes are where the bytes are not 0, which HDF5 leaves free.
    """
    rng, data = random.Random(seed), bytearray(whole)
    places = [place for place, byte in enumerate(whole) if byte] if seed % 2 else range(len(whole))
    first = rng.choice(places)
    for place in range(first, min(first + (8 if seed % 4 == 3 else 1), len(whole))):
        data[place] ^= rng.randrange(1, 256)
    return bytes(data)


@pytest.mark.parametrize(
    "seeds",
    [
        range(24),
        *(pytest.param(range(first, first + 100), marks=pytest.mark.slow) for first in (24, 124)),
    ],
    ids=str,
)
def test_damaged_bytes_are_refused_or_change_nothing(seeds: range, path: Path) -> None:
    """Damage never gives another network: libhdf5 finds it or falls over it, or the digest does."""
    net, whole, seen = small_network()[0], path.read_bytes(), Counter[str]()
    for seed in seeds:
        path.write_bytes(damaged(whole, seed))
        start = time.monotonic()
        try:
            assert read(path) == net, f"seed {seed} is read as another network"
            seen["unharmed"] += 1
        except FileRefused as error:
            sentence = str(error)
            assert sentence.startswith(f"{path}: ")
            assert "\n" not in sentence
            assert "; " in sentence
            seen[
                "crashed"
                if "made the HDF5 library fail" in sentence
                else "digest"
                if "another digest" in sentence
                else "refused"
            ] += 1
        assert time.monotonic() - start < 10, f"seed {seed}"
    assert seen["refused"] > len(seeds) / 5
    assert seen["unharmed"] > 0


def test_another_number_is_another_network_and_refused(path: Path) -> None:
    """Damage in the numbers themselves is none that HDF5 can see.

    One integer of every data set takes the other sign.
    """
    whole, seen = path.read_bytes(), Counter[bool]()
    places: list[str] = []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                places.append(name)
                if isinstance(item, h5py.Dataset) and item.dtype.kind == "i"
                else None
            )
        )
    assert len(places) > 20
    for place in places:
        path.write_bytes(whole)
        with h5py.File(path, "a") as opened:
            data: Any = opened[place]
            data[(0,) * data.ndim] = -data[(0,) * data.ndim] or 1
        with reading_in_this_process(), pytest.raises(FileRefused) as caught:
            read(path)
        seen["another digest" in str(caught.value)] += 1
    assert seen[True] >= 3  # the weights, which nothing else in the file tells
    assert seen[False] > 3


NO_HDF5 = "is not an HDF5 file (empty, cut short or of another format); export it again"


@pytest.mark.parametrize("step", [16_384, pytest.param(2048, marks=pytest.mark.slow)])
def test_a_file_cut_short_anywhere_is_refused(step: int, path: Path) -> None:
    whole = path.read_bytes()
    for size in range(0, len(whole), step):
        path.write_bytes(whole[:size])
        with pytest.raises(FileRefused) as caught:
            read(path)
        cut = f"is cut short: {size:,} of {len(whole):,} bytes; copy it again, or export it again"
        assert str(caught.value) == f"{path}: {cut if size else NO_HDF5}"
