"""Samples of a file, run and compared in pieces by the functions of `lehr simulate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results import require_same
from strategies import Images, small_network

from lehr.cli.engines import DEFAULT, NAMES
from lehr.errors import NotBitExact
from lehr.network import Network
from lehr.npz import npz_bytes
from lehr.samples import Samples, open_samples
from lehr.simulate import pieces as in_pieces
from lehr.simulate import simulate
from lehr.simulate.comparing import Expected, compare_samples, simulated, stored
from lehr.simulate.engines import ENGINES, STREAMS
from lehr.simulate.partial import arrays_of
from lehr.simulate.parts import joined
from lehr.simulate.pieces import Traced, pieces


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Network, Images, Samples]:
    """Build a network and samples for several pieces, the last of which is smaller."""
    net, x = small_network(samples=7)
    assert len(x) % 3
    np.savez(tmp_path / "x.npz", input=x)
    monkeypatch.setattr(in_pieces, "PIECE", 3)
    return net, x, open_samples(tmp_path / "x.npz")


def changed(net: Network, by: int) -> Network:
    """Change the last threshold of a network."""
    last = net.neurons[net.output]
    return replace(
        net, nodes={**net.nodes, net.output: replace(last, threshold=last.threshold + by)}
    )


def test_the_command_line_names_the_engines_that_there_are() -> None:
    assert (*NAMES,) == (*ENGINES,) == (*STREAMS,)
    assert DEFAULT in ENGINES


@pytest.mark.parametrize("name", ENGINES)
def test_pieces_make_the_result_of_the_whole(
    given: tuple[Network, Images, Samples], name: str
) -> None:
    net, x, samples = given
    layers, advanced = tuple(net.neurons), list[float]()
    expected = simulate(net, x, trace=layers)
    assert all(0 < rate < 1 for rate in expected.rates.values())
    parts = list(
        pieces(ENGINES[name](net, 1), net, samples, Traced(layers), advance=advanced.append)
    )
    assert [len(part.counts) for part in parts] == advanced
    assert len(parts) == -(-len(x) // 3)
    require_same(expected, joined(parts))
    rest = joined(list(pieces(ENGINES[name](net, 1), net, samples, start=3)))
    assert np.array_equal(rest.counts, expected.counts[3:])
    assert not rest.trace.spikes


def test_a_sample_larger_than_a_piece_runs_by_steps(
    given: tuple[Network, Images, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, _, _ = given
    steps = np.random.default_rng(0).integers(0, 256, (2, 7, *net.input.shape)).astype(np.uint8)
    np.savez(given[2].path, input=steps)
    samples, layers = open_samples(given[2].path), tuple(net.neurons)
    monkeypatch.setattr(in_pieces, "PIECE_BYTES", 3 * steps[0, 0].size)
    expected, advanced = simulate(net, steps, trace=layers), list[float]()
    assert all(0 < rate < 1 for rate in expected.rates.values())
    parts = pieces(
        ENGINES["fast"](net, 1),
        net,
        samples,
        Traced(layers),
        stream=STREAMS["fast"],
        advance=advanced.append,
    )
    require_same(expected, joined(list(parts)))
    assert advanced == pytest.approx([3 / 7, 3 / 7, 1 / 7] * 2)


@pytest.mark.parametrize("kind", ["engine", "file"])
def test_a_run_is_compared_in_all_samples(
    given: tuple[Network, Images, Samples], tmp_path: Path, kind: str
) -> None:
    net, x, samples = given

    def expected(of: Network) -> Expected:
        if kind == "engine":
            return simulated(of, ENGINES["reference"](of, 1))
        result = simulate(of, x, trace=of.neurons)
        (tmp_path / "out.npz").write_bytes(npz_bytes(arrays_of(result)))
        return stored(net, samples, tmp_path / "out.npz")

    run, advanced = ENGINES["fast"](net, 1), list[float]()
    same = compare_samples(net, samples, run, expected(net), advanced.append)
    assert same.equal
    assert all(0 < rate < 1 for rate in simulate(net, x).rates.values())
    assert same.values == sum(
        array.size for array in simulate(net, x, trace=net.neurons).trace.spikes.values()
    )
    assert sum(advanced) == len(x)
    other = compare_samples(net, samples, run, expected(changed(net, 1)))
    assert other.first is not None
    assert other.first.layer == net.output


def test_counts_that_differ_are_refused_where_nothing_is_traced(
    given: tuple[Network, Images, Samples], tmp_path: Path
) -> None:
    net, x, samples = given
    arrays = arrays_of(simulate(net, x))
    arrays["counts"][4, 1] += 1
    (tmp_path / "out.npz").write_bytes(npz_bytes(arrays))
    right = arrays["counts"][4, 1] - 1
    with pytest.raises(NotBitExact) as refused:
        compare_samples(
            net, samples, ENGINES["fast"](net, 1), stored(net, samples, tmp_path / "out.npz")
        )
    message = f"{net.output}: neuron 1 spiked {right} times in sample 4, expected {right + 1}; trace all layers to see where"
    assert str(refused.value) == message
