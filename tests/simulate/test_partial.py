"""An interrupted simulation's OUT.npz that was damaged is not gone on with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Lehr
from strategies import small_network

from lehr import nirfile
from lehr.errors import FileRefused, UsageError
from lehr.npz import npz_bytes
from lehr.samples import Samples, open_samples
from lehr.simulate import Result, simulate
from lehr.simulate.partial import SUM, _sum, partial_arrays, read_partial
from lehr.simulate.pieces import Traced

WHAT = Traced(("lif1",))


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    net, x = small_network()
    nirfile.write(net, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=x)
    return open_samples(tmp_path / "x.npz")


@pytest.fixture
def arrays(samples: Samples) -> dict[str, Any]:
    """All arrays that are left after the first two samples."""
    net, _ = small_network()
    result = simulate(net, samples.whole()[:2], trace=WHAT.layers)
    assert all(0 < rate < 1 for rate in result.rates.values())
    return partial_arrays(net, result, samples, WHAT)


def same(one: Result, other: Result) -> bool:
    pairs: list[tuple[Any, Any]] = [
        (one.counts, other.counts),
        (one.scores, other.scores),
        (one.events, other.events),
    ]
    pairs += [(one.trace.membranes["lif1"], other.trace.membranes["lif1"])]
    pairs += [(layer.spikes, other.layers[name].spikes) for name, layer in one.layers.items()]
    return one.layers.keys() == other.layers.keys() and all(np.array_equal(*pair) for pair in pairs)


def test_any_number_that_is_another_is_seen(
    tmp_path: Path, arrays: dict[str, Any], lehr: Lehr
) -> None:
    """The archive's own check sums are right each time."""
    out = tmp_path / "out.npz"
    command = (
        "simulate",
        tmp_path / "m.nir",
        "-i",
        tmp_path / "x.npz",
        "-o",
        out,
        "--trace",
        "lif1",
        "--resume",
    )
    net, samples = small_network()[0], open_samples(tmp_path / "x.npz")
    for name in arrays.keys() - {"resume"}:
        other = arrays[name].copy()
        other.reshape(-1)[1] += 1
        np.savez(out, **{**arrays, name: other})
        with pytest.raises(
            FileRefused,
            match=r"out\.npz is damaged \(ValueError\); leave --resume out to run again",
        ):
            read_partial(out, net, samples, WHAT)
    ran = lehr(*command)
    assert (ran.code, ran.last) == (5, "FAIL")
    np.savez(out, **{name: array for name, array in arrays.items() if name != "resume.sha256"})
    with pytest.raises(FileRefused, match=r"out\.npz is damaged \(KeyError\)"):
        read_partial(out, net, samples, WHAT)
    np.savez(out, **arrays)
    assert lehr(*command).code == 0


@pytest.mark.slow
def test_every_flipped_bit_is_seen(
    tmp_path: Path, samples: Samples, arrays: dict[str, Any]
) -> None:
    """A bit of an archive may mean nothing; what is read is never another result."""
    out, whole = tmp_path / "out.npz", npz_bytes(arrays)
    out.write_bytes(whole)
    net, _ = small_network()
    right, refused = read_partial(out, net, samples, WHAT), 0
    rng = np.random.default_rng(1)
    for at in rng.integers(0, len(whole), 200):
        out.write_bytes(
            whole[:at] + bytes([whole[at] ^ (1 << int(rng.integers(8)))]) + whole[at + 1 :]
        )
        refused += 1
        with suppress(FileRefused, UsageError):
            assert same(read_partial(out, net, samples, WHAT), right)
            refused -= 1
    assert refused > 100


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("counts", np.int32(3)),
        ("counts", np.zeros((50, 10), np.int32)),
        ("prediction", np.zeros(1, np.int64)),
        ("prediction", np.zeros(2)),
        ("spikes.lif1", np.zeros((2, 1), np.uint8)),
        ("resume.spikes.lif1", np.zeros(1, np.int64)),
        ("resume.events", np.zeros(3, np.int64)),
        ("resume.numbers.lif1", np.zeros(2, np.int64)),
    ],
)
def test_arrays_of_other_shapes_are_damage_though_their_sum_is_right(
    tmp_path: Path, samples: Samples, arrays: dict[str, Any], name: str, value: Any
) -> None:
    net, _ = small_network()
    stated = {key: array for key, array in arrays.items() if key != SUM}
    for changed, refused in ((stated[name], False), (np.asarray(value), True)):
        kept = {**stated, name: changed}
        (tmp_path / "p.npz").write_bytes(npz_bytes({**kept, SUM: _sum(kept)}))
        if not refused:
            assert len(read_partial(tmp_path / "p.npz", net, samples, WHAT).counts) == 2
            continue
        with pytest.raises(
            FileRefused, match=r"p.npz is damaged \(ValueError\); leave --resume out to run again$"
        ):
            read_partial(tmp_path / "p.npz", net, samples, WHAT)
