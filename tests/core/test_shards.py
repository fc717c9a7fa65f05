"""Inputs in several files: those of one, in any cut; and what is refused, by the shard's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from strategies import small_network

from lehr import nirfile
from lehr.errors import FileRefused, LehrError, UsageError
from lehr.network import Input
from lehr.recordings import open_inputs
from lehr.samples import Samples, event_arrays
from lehr.shards import Shards
from lehr.simulate import pieces, simulate

CUTS = (3, 4, 9)
Spikes = npt.NDArray[np.uint8]


def spikes() -> Spikes:
    return (np.random.default_rng(0).random((11, 5, 2, 3)) < 0.3).astype(np.uint8)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Make a folder of shards of 3, 1, 5 and 2 samples, the third stored as events."""
    x, labels, folder = spikes(), np.arange(11) % 3, tmp_path / "shards"
    folder.mkdir()
    for number, (part, own) in enumerate(zip(np.split(x, CUTS), np.split(labels, CUTS), strict=True)):  # fmt: skip
        arrays: dict[str, Any] = event_arrays(part) if number == 2 else {"input": part}
        np.savez_compressed(folder / f"{number}.npz", **arrays, labels=own)
    (folder / ".hidden").write_text("not a shard")
    return folder


def opened(path: Path) -> Samples:
    return open_inputs(path, Input((2, 3), "spikes"), None)


def test_shards_are_the_samples_of_one_file_in_any_cut(shards: Path) -> None:
    x, samples = spikes(), opened(shards)
    assert isinstance(samples, Shards)
    assert samples.shape == x.shape
    assert samples.labels is not None
    assert samples.labels.tolist() == [n % 3 for n in range(11)]
    assert np.array_equal(samples.whole(), x)
    assert np.array_equal(samples.first(4), x[:4])
    assert [path.name for path in samples.files] == ["0.npz", "1.npz", "2.npz", "3.npz"]
    for size in (1, 2, 4, 11, 50):
        for start in (0, 2, 3, 4, 8, 10):
            parts = list(samples.pieces(size, start))
            assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
            assert np.array_equal(np.concatenate(parts), x[start:])
    for start in (0, 3, 10):
        chunks = list(samples.chunks(2, start))
        assert {chunk.shape[:2] for chunk in chunks} == {(1, 2), (1, 1)}
        assert np.array_equal(np.concatenate([c[0] for c in chunks]), np.concatenate(x[start:]))


def test_a_list_names_shards_in_its_own_order(shards: Path) -> None:
    (shards.parent / "list.txt").write_text("shards/3.npz\n\nshards/0.npz\n")
    samples, x = opened(Path(f"@{shards.parent / 'list.txt'}")), spikes()
    assert np.array_equal(samples.whole(), np.concatenate([x[9:], x[:3]]))


def test_shards_give_the_file_that_one_input_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lehr: Lehr
) -> None:
    net, x = small_network(samples=11)
    assert all(0 < rate < 1 for rate in simulate(net, x).rates.values())
    nirfile.write(net, tmp_path / "m.nir")
    labels = np.arange(11) % 5
    np.savez(tmp_path / "x.npz", input=x, labels=labels)
    (tmp_path / "s").mkdir()
    for number, part in enumerate(np.split(np.arange(11), CUTS)):
        np.savez(tmp_path / "s" / f"{number}.npz", input=x[part], labels=labels[part])

    def ran(given: str, *more: object) -> bytes:
        command = ("simulate", tmp_path / "m.nir", "-i", tmp_path / given, "--trace", "all")
        result = lehr(*command, "-o", tmp_path / "o.npz", *more)
        assert result.code == 0, result.err
        assert "of 11 samples" in result.out
        return (tmp_path / "o.npz").read_bytes()

    whole = ran("x.npz")
    for size in (1, 4, 100):
        monkeypatch.setattr(pieces, "PIECE", size)
        assert ran("s") == whole
    with np.load(tmp_path / "s" / "2.npz") as third:
        own, changed = third["labels"], third["input"].copy()
    changed[0] ^= 255
    np.savez(tmp_path / "s" / "2.npz", input=changed, labels=own)
    assert ran("s") != whole


def test_an_interrupted_run_on_shards_goes_on_with_the_same_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lehr: Lehr
) -> None:
    net, x = small_network(samples=6)
    nirfile.write(net, tmp_path / "m.nir")
    (tmp_path / "s").mkdir()
    for number in range(3):
        np.savez(tmp_path / "s" / f"{number}.npz", input=x[2 * number : 2 * number + 2])
    command = ("simulate", tmp_path / "m.nir", "-i", tmp_path / "s", "-o")
    assert lehr(*command, tmp_path / "whole.npz").code == 0
    monkeypatch.setattr(pieces, "PIECE", 1)
    right, left = pieces.run_piece, [4]

    def interrupted(*given: object) -> object:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return right(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(pieces, "run_piece", interrupted)
        assert lehr(*command, tmp_path / "o.npz").code == 130
    kept = (tmp_path / "s" / "2.npz").read_bytes()
    np.savez(tmp_path / "s" / "2.npz", input=x[4:6] ^ 1)
    ran = lehr(*command, tmp_path / "o.npz", "--resume")
    assert ran.code == 2
    assert "is of another network, input or trace" in ran.err
    (tmp_path / "s" / "2.npz").write_bytes(kept)
    assert lehr(*command, tmp_path / "o.npz", "--resume").code == 0
    assert (tmp_path / "o.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def _another_shape(folder: Path) -> Path:
    np.savez(folder / "1.npz", input=spikes()[:1, :4], labels=[0])
    return folder


def _another_type(folder: Path) -> Path:
    np.savez(folder / "2.npz", input=spikes().astype(np.float32), labels=np.zeros(11, int))
    return folder


def _no_labels(folder: Path) -> Path:
    np.savez(folder / "1.npz", input=spikes()[:1])
    return folder


def _first_without_labels(folder: Path) -> Path:
    np.savez(folder / "0.npz", input=spikes()[:1])
    return folder


def _not_an_archive(folder: Path) -> Path:
    (folder / "3.npz").write_bytes(b"no archive")
    return folder


def _no_shard(folder: Path) -> Path:
    (folder / "README.md").write_text("read me")
    return folder


def _folder_inside(folder: Path) -> Path:
    (folder / "more.npz").mkdir()
    return folder


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _listed(folder: Path, *lines: str) -> Path:
    (folder.parent / "list.txt").write_text("\n".join(lines))
    return Path(f"@{folder.parent / 'list.txt'}")


REFUSED: dict[str, tuple[Callable[[Path], Path], type[LehrError], str]] = {
    "another shape": (_another_shape, FileRefused, "shards/1.npz holds samples of [4, 2, 3], and HERE/shards/0.npz of [5, 2, 3]; give shards of one shape"),
    "another type": (_another_type, FileRefused, "shards/2.npz: input is float32 [11, 5, 2, 3]; save it as uint8"),
    "no labels": (_no_labels, FileRefused, "shards/1.npz has no labels, and HERE/shards/0.npz has; give labels with all shards, or with none"),
    "the first has none": (_first_without_labels, FileRefused, "shards/0.npz has no labels, and HERE/shards/1.npz has; give"),
    "no archive": (_not_an_archive, FileRefused, "shards/3.npz is not a whole .npz file (BadZipFile); write it with numpy.savez"),
    "something else": (_no_shard, UsageError, "shards/README.md is no shard; of HERE/shards all have to be .aedat, "),
    "a folder inside": (_folder_inside, UsageError, "shards/more.npz is no shard; of HERE/shards all have to be "),
    "nothing": (_empty, UsageError, "empty names no shard; give a folder with some, or a list of them"),
    "a missing one": (lambda folder: _listed(folder, "shards/0.npz", "shards/7.npz"), UsageError, "list.txt names 'HERE/shards/7.npz', which does not exist; leave it out, or get it again"),
    "one twice": (lambda folder: _listed(folder, "shards/0.npz", "./shards/../shards/0.npz"), UsageError, "twice, as HERE/shards/0.npz; leave one out"),
    "an empty list": (lambda folder: _listed(folder, "", " "), UsageError, "list.txt names no shard; give"),
    "no list": (lambda folder: Path(f"@{folder}/no.txt"), UsageError, "no.txt does not exist; give a text file with the path of a shard in each line"),
    "packed": (lambda folder: (folder / "0.npz").rename(folder.parent / "x.tar.gz"), UsageError, "x.tar.gz is packed, so that it is read from its start alone; unpack it"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_shards_that_do_not_fit_are_refused(shards: Path, case: str) -> None:
    make, kind, message = REFUSED[case]
    given = make(shards)
    with pytest.raises(kind) as refused:
        opened(given)
    assert message.replace("HERE", str(shards.parent)) in str(refused.value)


@pytest.mark.parametrize("trace", [(), ("--trace", "all")])
def test_a_shard_damaged_in_the_middle_leaves_no_file(
    tmp_path: Path, lehr: Lehr, trace: tuple[str, ...]
) -> None:
    net, x = small_network(samples=6)
    nirfile.write(net, tmp_path / "m.nir")
    (tmp_path / "s").mkdir()
    for number in range(3):
        np.savez_compressed(tmp_path / "s" / f"{number}.npz", input=x[2 * number : 2 * number + 2])
    data = bytearray((tmp_path / "s" / "1.npz").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = b"\xff" * 8
    (tmp_path / "s" / "1.npz").write_bytes(data)
    ran = lehr("simulate", tmp_path / "m.nir", "-i", tmp_path / "s", *trace, "-o", tmp_path / "o.npz")  # fmt: skip
    assert ran.code == 5
    assert f"{tmp_path}/s/1.npz is not a whole .npz file (" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.nir", "s"]


def test_a_shard_is_not_written_over(tmp_path: Path, lehr: Lehr) -> None:
    net, x = small_network(samples=6)
    nirfile.write(net, tmp_path / "m.nir")
    (tmp_path / "s").mkdir()
    np.savez(tmp_path / "s" / "0.npz", input=x)
    before = (tmp_path / "s" / "0.npz").read_bytes()
    ran = lehr("simulate", tmp_path / "m.nir", "-i", tmp_path / "s", "-o", tmp_path / "s" / "0.npz")
    assert ran.code == 2
    assert "0.npz is an input of this command; write to another file" in ran.err
    assert (tmp_path / "s" / "0.npz").read_bytes() == before


def test_a_wrong_label_is_named_with_its_shard(tmp_path: Path, lehr: Lehr) -> None:
    net, x = small_network(samples=6)
    nirfile.write(net, tmp_path / "m.nir")
    (tmp_path / "s").mkdir()
    np.savez(tmp_path / "s" / "0.npz", input=x, labels=[0] * 6)
    np.savez(tmp_path / "s" / "1.npz", input=x, labels=[0, 1, 2, 3, 4, 5])
    ran = lehr("simulate", tmp_path / "m.nir", "-i", tmp_path / "s")
    assert ran.code == 5
    assert "s/1.npz: the label of sample 5 is 5, but there are 5 classes" in ran.err
