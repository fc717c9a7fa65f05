"""Results that are larger than memory: the same files, however they are cut and kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from results import require_same
from strategies import small_network

from lehr import nirfile
from lehr.errors import FileRefused
from lehr.grown import Filed
from lehr.npz import npz_bytes, write_npz
from lehr.samples import open_samples
from lehr.simulate import pieces as in_pieces
from lehr.simulate import resuming, simulate, traces
from lehr.simulate.engines import ENGINES, STREAMS
from lehr.simulate.partial import arrays_of, read_partial
from lehr.simulate.pieces import Traced
from lehr.simulate.result import Trace
from lehr.simulate.traces import Traces


@pytest.fixture
def filed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every trace lie in files, written by a few numbers at a time."""
    monkeypatch.setattr(traces, "IN_MEMORY", 0)
    monkeypatch.setattr(traces, "BLOCK", 100)
    monkeypatch.setattr("lehr.npz.BLOCK", 77)


def test_a_written_archive_has_the_bytes_of_one_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    spikes = (rng.random((300, 100, 30)) < 0.1).astype(np.uint8)
    mapped = np.memmap(tmp_path / "m", np.uint8, "w+", shape=spikes.shape)
    mapped[:] = spikes
    arrays = {"b": rng.integers(-100, 100, (777, 999)), "a": np.asfortranarray(rng.random((5, 6)))}
    arrays |= {"c": np.array(3), "d": arrays["b"][::2, 1::3], "e": np.zeros((0, 3))}
    write_npz(tmp_path / "x.npz", {**arrays, "s": np.memmap(tmp_path / "m", np.uint8, "r", shape=spikes.shape)})  # fmt: skip
    assert (tmp_path / "x.npz").read_bytes() == npz_bytes({**arrays, "s": spikes})
    with np.load(tmp_path / "x.npz") as read:
        assert all(np.array_equal(read[name], array) for name, array in arrays.items())
        assert np.array_equal(read["s"], spikes)


@pytest.mark.usefixtures("filed")
@pytest.mark.parametrize("piece", [1, 2, 5, 100])
@pytest.mark.parametrize("chosen", [None, (1, 5, 6)])
def test_any_piece_gives_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, chosen: tuple[int, ...] | None
) -> None:
    net, x = small_network(samples=7)
    np.savez(tmp_path / "x.npz", input=x)
    samples, what = open_samples(tmp_path / "x.npz"), Traced(tuple(net.neurons), chosen)
    expected = simulate(net, x, trace=net.neurons)
    assert all(0 < rate < 1 for rate in expected.rates.values())
    monkeypatch.setattr(in_pieces, "PIECE", piece)
    parts = in_pieces.pieces(ENGINES["fast"](net, 1), net, samples, what)
    got = resuming.simulate_to(tmp_path / "o.npz", parts, net, samples, what)
    at = list(range(7) if chosen is None else chosen)
    cut = [{name: array[at] for name, array in kind.items()} for kind in (expected.trace.spikes, expected.trace.membranes)]  # fmt: skip
    assert all(isinstance(array, np.memmap) for array in got.trace.membranes.values())
    arrays = arrays_of(expected, chosen)
    for kind, part in zip(("spikes", "membrane"), cut, strict=True):
        arrays |= {f"{kind}.{name}": array for name, array in part.items()}
    assert (tmp_path / "o.npz").read_bytes() == npz_bytes(arrays)
    arrays["membrane.lif1"] = arrays["membrane.lif1"] + 1
    assert (tmp_path / "o.npz").read_bytes() != npz_bytes(arrays)


@pytest.mark.usefixtures("filed")
def test_a_recording_that_runs_by_steps_keeps_its_traces_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, _ = small_network()
    steps = np.random.default_rng(0).integers(0, 256, (2, 7, *net.input.shape)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", input=steps)
    monkeypatch.setattr(in_pieces, "PIECE_BYTES", 3 * steps[0, 0].size)
    layers, samples = tuple(net.neurons), open_samples(tmp_path / "x.npz")
    what, run = Traced(layers), ENGINES["fast"](net, 1)
    parts = in_pieces.pieces(run, net, samples, what, stream=STREAMS["fast"])
    got = resuming.simulate_to(tmp_path / "o.npz", parts, net, samples, what)
    assert isinstance(got.trace.spikes[net.output], np.memmap)
    expected = simulate(net, steps, trace=layers)
    assert all(0 < rate < 1 for rate in expected.rates.values())
    require_same(expected, got)


@pytest.mark.usefixtures("filed")
@pytest.mark.parametrize("after", [1, 4])
def test_an_interrupt_while_a_part_is_taken_in_leaves_whole_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lehr: Lehr, after: int
) -> None:
    """The interrupt comes when one layer's trace of the part is there, and another's is not."""
    net, x = small_network(samples=7)
    nirfile.write(net, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=x)
    monkeypatch.setattr(in_pieces, "PIECE", 2)
    command = ("simulate", tmp_path / "m.nir", "-i", tmp_path / "x.npz", "--trace", "all", "-o")
    assert lehr(*command, tmp_path / "whole.npz").code == 0
    right, left = Filed.add, [after * len(net.neurons)]

    def interrupted(self: Filed[np.uint8], part: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:  # fmt: skip
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        right(self, part)

    with monkeypatch.context() as patch:
        patch.setattr(Filed, "add", interrupted)
        ran = lehr(*command, tmp_path / "o.npz")
    assert ran.code == 130
    if after == 1:
        assert not (tmp_path / "o.npz").exists()
        return
    samples, what = open_samples(tmp_path / "x.npz"), Traced(tuple(net.neurons))
    part = read_partial(tmp_path / "o.npz", net, samples, what)
    assert isinstance(part.trace.spikes["lif1"], np.memmap)
    done = len(part.counts)
    assert 0 < done < 7
    require_same(simulate(net, x[:done], trace=net.neurons), part)
    assert lehr(*command, tmp_path / "o.npz", "--resume").code == 0
    assert (tmp_path / "o.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


@pytest.mark.usefixtures("filed")
def test_traces_that_no_folder_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Trace({"lif1": np.zeros((1, 2, 3), np.uint8)}, {})
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full.open("wb", buffering=0))
    with pytest.raises(FileRefused) as refused:
        Traces(1).add(trace)
    assert str(refused.value) == (
        "what is larger than memory does not fit the folder for temporary files, "
        f"{tempfile.gettempdir()}: No space left on device; free space there, or name another "
        "folder in TMPDIR"
    )
