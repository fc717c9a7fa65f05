"""Events as input: the frames they stand for, however they are cut, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from strategies import alive, recurrent_network

from lehr import nirfile, samples
from lehr.errors import FileRefused
from lehr.npz import npz_bytes
from lehr.samples import EventSamples, event_arrays, open_samples, read_samples
from lehr.simulate import simulate


def spikes(seed: int = 0, rate: float = 0.2) -> npt.NDArray[np.uint8]:
    """Draw seven samples of eleven steps, the third and the last of which are silent."""
    x = (np.random.default_rng(seed).random((7, 11, 2, 3)) < rate).astype(np.uint8)
    x[[2, 6]] = 0
    return x


def written(path: Path, arrays: dict[str, Any]) -> Path:
    path.write_bytes(npz_bytes(arrays))
    return path


@pytest.mark.parametrize("block", [1, 4, 1 << 20])
@pytest.mark.parametrize("rate", [0.0, 0.2, 1.0])
def test_events_are_the_frames_they_stand_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, rate: float
) -> None:
    monkeypatch.setattr(samples, "BLOCK", block)
    x, labels = spikes(rate=rate), np.arange(7)
    path = written(tmp_path / "e.npz", {**event_arrays(x), "labels": labels})
    inputs = open_samples(path)
    assert isinstance(inputs, EventSamples)
    assert inputs.shape == x.shape
    assert inputs.labels is not None
    assert np.array_equal(inputs.labels, labels)
    assert np.array_equal(read_samples(path)[0], x)
    for start in (0, 2, 6):
        assert np.array_equal(np.concatenate(list(inputs.pieces(2, start))), x[start:])
        assert np.array_equal(
            np.concatenate(list(inputs.chunks(4, start)), axis=1)[0], x[start:].reshape(-1, 2, 3)
        )


def test_counts_are_as_many_events(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 4, (3, 5, 2, 2)).astype(np.uint8)
    x[1, 2] = 255
    path = written(tmp_path / "e.npz", event_arrays(x))
    assert np.load(path)["event.place"].size == x.astype(int).sum()
    assert np.array_equal(read_samples(path, 255)[0], x)
    assert np.array_equal(read_samples(path)[0], np.minimum(x, 1))


def test_two_events_in_a_place_are_one_spike_or_a_count_of_2(tmp_path: Path) -> None:
    arrays = {
        "event.shape": [2, 3],
        "event.first": [0, 3],
        "event.step": [0, 1, 1],
        "event.place": [2, 0, 0],
    }
    path = written(tmp_path / "e.npz", {k: np.array(v) for k, v in arrays.items()})
    inputs = read_samples(path)
    assert inputs[0].tolist() == [[[0, 0, 1], [1, 0, 0]]]
    assert inputs[1] is None
    assert read_samples(path, 255)[0].tolist() == [[[0, 0, 1], [2, 0, 0]]]


def test_a_network_runs_on_events_as_on_frames(tmp_path: Path, lehr: Lehr) -> None:
    net, x = recurrent_network()
    assert alive(simulate(net, x, trace=net.neurons))
    nirfile.write(net, tmp_path / "m.nir")
    written(tmp_path / "x.npz", {"input": x})
    written(tmp_path / "e.npz", event_arrays(x))
    assert (
        lehr(
            "simulate",
            tmp_path / "m.nir",
            "-i",
            tmp_path / "x.npz",
            "-o",
            tmp_path / "x.out.npz",
            "--trace",
            "all",
        ).code
        == 0
    )
    command = ("simulate", tmp_path / "m.nir", "-i", tmp_path / "e.npz", "--trace", "all")
    assert lehr(*command, "-o", tmp_path / "e.out.npz").code == 0
    assert (tmp_path / "e.out.npz").read_bytes() == (tmp_path / "x.out.npz").read_bytes()
    other = event_arrays(x)
    other["event.place"][0] ^= 1
    written(tmp_path / "e.npz", other)
    assert lehr(*command[:4], "--compare", tmp_path / "x.out.npz").code == 4


GOOD = event_arrays(spikes())
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no steps": ({"event.shape": [0, 2, 3]}, "event.shape is [0, 2, 3]; give the number of steps and the shape of the network's input"),
    "float shape": ({"event.shape": [11.0, 2, 3]}, "event.shape is [11.0, 2.0, 3.0]; give the number"),
    "more than there are": ({"event.first": [0, 10**6]}, "event.first does not divide event.step and event.place; give where the events"),
    "descending": ({"event.first": [0, 9, 4, len(GOOD["event.step"])]}, "event.first does not divide"),
    "huge": ({"event.shape": [1 << 40, 2, 3]}, "its events are 46,179,488,366,592 bytes as spikes, the limit is 1,099,511,627,776; give"),
    "too much at once": ({"event.shape": [1 << 28, 2, 3]}, "holds 11,274,289,152 bytes, more than 8,589,934,592 at once; give fewer"),
    "beyond 63 bits": ({"event.step": GOOD["event.step"].astype(np.uint64) + np.uint64(2**63)}, "event.step holds 92233720368547758"),
    "beyond the last step": ({"event.shape": [10, 2, 3]}, "event.step holds 10, but there are 10; count from 0"),
    "beyond the last place": ({"event.shape": [11, 5]}, "event.place holds 5, but there are 5; count from 0"),
    "negative": ({"event.place": GOOD["event.place"].astype(np.int64) - 1}, "event.place holds -1, but there are 6; count from 0"),
    "back in time": ({"event.step": GOOD["event.step"][::-1]}, "is of an earlier step than the one before it; sort the events of each sample"),
    "floats": ({"event.step": GOOD["event.step"] / 2}, "the events are float64; give steps and places as integers"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_events_that_do_not_fit_are_refused(tmp_path: Path, case: str) -> None:
    changed, message = REFUSED[case]
    path = written(
        tmp_path / "e.npz", {**GOOD, **{name: np.array(value) for name, value in changed.items()}}
    )
    with pytest.raises(FileRefused) as caught:
        read_samples(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_missing_events_and_a_cut_file_are_refused(tmp_path: Path) -> None:
    path = written(
        tmp_path / "e.npz",
        {name: GOOD[name] for name in ("event.shape", "event.first", "event.step")},
    )
    with pytest.raises(FileRefused, match="does not divide"):
        read_samples(path)
    whole = written(path, GOOD).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileRefused, match="is not a whole"):
        read_samples(path)


def test_the_test_samples_of_a_recipe_as_events(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    ran = lehr("recipes", "samples", "temporal", "-o", tmp_path / "e.npz", "--events")
    assert ran.code == 0, ran.err
    assert lehr("recipes", "samples", "temporal", "-o", tmp_path / "x.npz").code == 0
    assert np.array_equal(read_samples(tmp_path / "e.npz")[0], read_samples(tmp_path / "x.npz")[0])
    ran = lehr("recipes", "samples", line / "tiny.toml", "-o", tmp_path / "no.npz", "--events")
    assert ran.code == 2
    assert "has values that are held for all steps, no events; leave it out" in ran.err
