"""The large inputs that are measured: every format holds the same events, every shard the same."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import inputs
import numpy as np
import pytest

from lehr.cameras import Events, decoded
from lehr.network import Input
from lehr.recordings import open_inputs
from lehr.simulate import simulate


@pytest.mark.parametrize("kind", inputs.RECORDINGS)
def test_a_recording_is_written_as_its_format_is_read(tmp_path: Path, kind: str) -> None:
    name, write = inputs.RECORDINGS[kind]
    write(tmp_path / name, 20_000)
    found = Events.joined(decoded(tmp_path / name))
    wanted = next(inputs.events(20_000))
    for got, column in zip((found.time, found.x, found.y, found.polarity), wanted, strict=True):
        assert np.array_equal(got, column)
        assert len(np.unique(column)) > 1


@pytest.mark.parametrize("kind", inputs.SHARDS)
def test_shards_are_written_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(inputs, "A_SHARD", 40)
    inputs.SHARDS[kind](tmp_path, 100)
    samples = open_inputs(tmp_path, inputs.IMAGES, None)
    wanted = list(inputs.shards(100))
    assert [len(arrays["input"]) for arrays in wanted] == [40, 40, 20]
    assert np.array_equal(samples.whole(), np.concatenate([arrays["input"] for arrays in wanted]))
    labels = np.concatenate([arrays["labels"] for arrays in wanted])
    assert samples.labels is not None
    assert np.array_equal(samples.labels, labels)


def test_what_is_resident_is_counted() -> None:
    """Pages of its own, as what is allocated may lie where something was freed before.

    The system may take some of the process's other pages at the same time.
    """
    size = 1 << 27
    before = inputs.resident(os.getpid())
    with mmap.mmap(-1, size) as held:
        held.write(bytes([1]) * size)
        grown = inputs.resident(os.getpid()) - before
    assert 0.7 * size <= grown <= 2.2 * size  # the bytes that were written may still be there


@pytest.mark.parametrize(
    ("entry", "thresholds"), [(inputs.CAMERA, (20, 20)), (inputs.IMAGES, (1000, 10))]
)
def test_the_networks_spike(tmp_path: Path, entry: Input, thresholds: tuple[int, int]) -> None:
    if entry is inputs.CAMERA:
        inputs.write_dat(tmp_path / "r.dat", 100_000)
        x = open_inputs(tmp_path / "r.dat", entry, "step_us=1000,downsample=4").whole()
    else:
        x = next(inputs.shards(20))["input"].astype(np.uint8)
    assert all(
        0.001 < r < 0.5 for r in simulate(inputs.network(entry, thresholds), x).rates.values()
    )
