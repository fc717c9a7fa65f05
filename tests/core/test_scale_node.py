"""Scale as a node: its inputs, its bounds, and its form in a file."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from budgets import budget
from commands import run
from hypothesis import assume, given
from hypothesis import strategies as st
from scale_networks import scaled_networks
from strategies import inputs

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotMappable
from lehr.export.checkpoint import load_run, run_files, save_run
from lehr.export.latent import Latent
from lehr.export.readers import for_reader
from lehr.export.readers.importers import READERS
from lehr.export.silence import without_weights
from lehr.interval import Interval
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron
from lehr.nodes import Scale
from lehr.simulate import compare, simulate
from lehr.simulate.ranges import observe
from lehr.widths import analyse, fit_state_bits


def neurons(channels: int, arithmetic: Arithmetic | None = None) -> Neuron:
    return Neuron(
        np.full(channels, 3), np.zeros(channels, np.int32), arithmetic or Arithmetic(state_bits=16)
    )


def behind(gain: Scale, shape: tuple[int, ...] = (2, 2, 2)) -> Network:
    """Build neurons behind a Scale, and a dense layer behind their spikes times the same."""
    nodes = {
        "gain": gain,
        "lif": neurons(shape[0]),
        "again": gain,
        "flat": Flatten(),
        "fc": Linear(np.ones((3, 8), np.int8)),
    }
    return Network(
        {**nodes, "out": neurons(3)},
        tuple(pairwise((INPUT, *nodes, "out", OUTPUT))),
        Input(shape, "u8"),
        4,
    )


BY_VALUE = np.array([[[3, -4], [0, 127]], [[-127, 1], [2, -2]]])


# -------------------------------------------------------------------- the node
def test_factors_that_are_alike_within_channels_are_kept_by_channel() -> None:
    alike = Scale(np.broadcast_to(np.array([2, -3]).reshape(2, 1, 1), (2, 4, 5)))
    narrow: Any = np.array([2, -3], np.int8)
    assert alike == Scale(narrow)
    assert alike.factor.dtype == np.int32
    assert not alike.factor.flags.writeable
    assert Scale(BY_VALUE).factor.shape == (2, 2, 2)
    assert Scale(BY_VALUE) != alike


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (np.array([1, 128]), "Scale factor holds 128; use -127 to 127"),
        (np.array([1, -128], np.int8), "Scale factor holds -128; use -127 to 127"),
        (np.array([-(2**31)]), "Scale factor holds -2147483648; use -127 to 127"),
        (
            np.array([0.5]),
            "Scale factor has dtype float64, not integers; round it to integers first",
        ),
        (np.array(2), "Scale factor has shape (); give one integer per channel, or one per neuron"),
        (
            np.zeros((0,), np.int8),
            "Scale factor has shape (0,); give one integer per channel, or one per neuron",
        ),
        ([[1], [2, 3]], "Scale factor is no array of numbers; give one integer for each place"),
    ],
)
def test_other_factors_are_refused(factor: Any, text: str) -> None:
    with pytest.raises(FileRefused) as refused:
        Scale(factor)
    assert str(refused.value) == text


def test_a_factor_of_0_lets_nothing_on() -> None:
    net = behind(Scale(np.array([0, 1])))
    x = np.full((1, 2, 2, 2), 255, np.uint8)
    assert not simulate(net, x, trace=["lif"]).trace.membranes["lif"][:, :, 0].any()
    assert simulate(net, x, trace=["lif"]).trace.membranes["lif"][:, :, 1].any()


@pytest.mark.parametrize(
    ("factor", "shape"),
    [(np.ones(3, np.int8), "(3,)"), (np.arange(8).reshape(2, 4, 1), "(2, 4, 1)")],
)
def test_factors_of_another_shape_are_refused(factor: Any, shape: str) -> None:
    with pytest.raises(FileRefused) as refused:
        behind(Scale(factor))
    assert (
        str(refused.value)
        == f"gain: Scale has factors of shape {shape} but gets (2, 2, 2); check the layer before it"
    )


def test_every_factor_counts_in_the_digest() -> None:
    one_more = BY_VALUE.copy()
    one_more[0, 0, 0] += 1
    assert behind(Scale(BY_VALUE)).digest != behind(Scale(one_more)).digest
    narrow: Any = BY_VALUE.astype(np.int8)
    assert behind(Scale(BY_VALUE)).digest == behind(Scale(narrow)).digest


# -------------------------------------------------------------------- bounds
@budget(50, 333)
@given(st.data())
def test_bounds_are_those_of_all_products(data: st.DataObject) -> None:
    """Bounds are no wider, and no narrower, than the products of factors with all values.

    They are those of one channel.
    """
    factor = np.array(data.draw(st.lists(st.integers(-127, 127), min_size=4, max_size=4))).reshape(
        2, 2
    )
    lows = data.draw(st.lists(st.integers(-9, 0), min_size=2, max_size=2))
    highs = data.draw(st.lists(st.integers(0, 9), min_size=2, max_size=2))
    x = Interval(np.array(lows), np.array(highs), np.maximum(-np.array(lows), highs))
    got = Scale(factor).bounds(x, (2, 2))
    for channel, (low, high) in enumerate(zip(lows, highs, strict=True)):
        every = [f * v for f, v in product(factor[channel].tolist(), range(low, high + 1))]
        assert (int(got.low[channel]), int(got.high[channel])) == (min(every), max(every))
        assert int(got.magnitude[channel]) == max(map(abs, every))


@budget(5, 26)
@given(st.data())
def test_proven_widths_hold(data: st.DataObject) -> None:
    drawn = data.draw(
        scaled_networks(
            kinds=("spikes",), fraction_bits=1, state_bits=32, decay_numerator=3, decay_shift=2
        )
    )
    try:
        net = fit_state_bits(drawn)
    except NotMappable:
        assume(False)
        raise
    x = data.draw(inputs(net))
    assert not any(simulate(net, x).saturations.values())
    widths = analyse(net).layers
    for name, reached in observe(net, x).registers.items():
        for register, (low, high) in reached.items():
            least, most = widths[name].registers[register]
            assert least <= low <= high <= most


def test_sums_that_leave_int32_are_refused_at_the_scale() -> None:
    nodes = {
        "fc": Linear(np.ones((2, 1000), np.int8)),
        "gain": Scale(np.array([127, -127])),
        "more": Scale(np.array([127, 1])),
        "out": neurons(2),
    }
    net = Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((1000,), "u8"), 1)
    with pytest.raises(
        NotMappable,
        match=r"^more: its sums reach 4,112,895,000, more than a 32-bit accumulator holds",
    ):
        analyse(net)


# -------------------------------------------------------------------- the file
@pytest.mark.parametrize("factor", [np.array([5, -127]), BY_VALUE])
def test_a_file_gives_back_the_same_network(factor: Any, tmp_path: Path) -> None:
    net = behind(Scale(factor))
    path = tmp_path / "net.nir"
    path.write_bytes(nirfile.to_bytes(net))
    assert nirfile.read(path) == net
    assert nirfile.to_bytes(nirfile.read(path)) == path.read_bytes()
    graph = nir.read(path)
    assert isinstance(graph.nodes["gain"], nir.Scale)
    assert graph.nodes["gain"].scale.shape == (2, 2, 2)
    assert np.array_equal(
        graph.nodes["gain"].scale,
        np.broadcast_to(factor.reshape(*factor.shape, *[1] * (3 - factor.ndim)), (2, 2, 2)),
    )
    assert nirfile.from_nir(nirfile.to_nir(net)) == net


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        (
            np.full((2, 2, 2), 0.5),
            "gain: Scale factor has dtype float64, not integers; round it to integers first",
        ),
        (np.full((2, 2, 2), 128), "gain: Scale factor holds 128; use -127 to 127"),
        (
            np.array([1, 2]),
            "gain: scale is int64 of shape (2,), but the rest of the file makes it int8 of shape "
            "(2, 2, 2)",
        ),
        (
            np.arange(12).reshape(2, 2, 3),
            "gain: Scale has factors of shape (2, 2, 3) but gets (2, 2, 2); check the layer before "
            "it",
        ),
        (
            np.full((2, 2, 2), 6),
            "the graph has another digest than its network, so it was damaged or changed; export "
            "it again",
        ),
    ],
)
def test_a_file_that_says_something_else_is_refused(scale: Any, text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    path.write_bytes(nirfile.to_bytes(behind(Scale(np.array([5, -127])))))
    with h5py.File(path, "r+") as file:
        del file["node/nodes/gain/scale"]
        file["node/nodes/gain/scale"] = scale
    with pytest.raises(FileRefused) as refused:
        nirfile.read(path)
    assert text in str(refused.value)


def test_inspect_shows_the_factors(tmp_path: Path) -> None:
    (tmp_path / "net.nir").write_bytes(nirfile.to_bytes(behind(Scale(BY_VALUE))))
    shown = run("inspect", tmp_path / "net.nir")
    assert shown.code == 0
    assert "factor -127..127" in shown.out


# -------------------------------------------------------------------- who else takes a network
def test_a_run_gives_back_the_same_network(tmp_path: Path) -> None:
    net = behind(Scale(BY_VALUE))
    latents = {"fc": Latent(np.ones((3, 8), np.float32))}
    save_run(
        tmp_path / "run",
        run_files(b"", [], {}, {"input": np.zeros((1, 2, 2, 2), np.uint8)}, net, latents),
    )
    assert load_run(tmp_path / "run").network == net


@pytest.mark.parametrize("reader", READERS)
def test_importers_are_not_given_it(reader: str) -> None:
    net = behind(Scale(np.array([5, -127])))
    with pytest.raises(
        NotMappable,
        match=rf"^{reader} does not import .*gain, Scale.*; write the file for another importer",
    ):
        for_reader(net, reader)


def test_a_channel_is_silenced_through_it_and_no_other() -> None:
    nodes = {
        "conv": Conv2d(np.ones((2, 1, 1, 1), np.int8)),
        "gain": Scale(np.array([2, 3])),
        "out": neurons(2),
    }
    net = Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((1, 2, 2), "spikes"), 1)
    changed = without_weights(net, "out", np.array([True, False]))
    assert changed is not None
    assert changed.weighted["conv"].weight.ravel().tolist() == [0, 1]
    assert changed.nodes["gain"] == nodes["gain"]


def test_gains_of_branches_that_are_added_are_exact() -> None:
    """A skip connection of gain 5 beside one of gain -3, counted by hand."""
    nodes = {"five": Scale(np.array([5, 5])), "minus": Scale(np.array([-3, -3])), "flat": Flatten()}
    edges = (
        (INPUT, "five"),
        (INPUT, "flat"),
        ("flat", "minus"),
        ("five", "out"),
        ("minus", "out"),
        ("out", OUTPUT),
    )
    arithmetic = Arithmetic(decay_numerator=0, reset="none", state_bits=16)
    net = Network({**nodes, "out": neurons(2, arithmetic)}, edges, Input((2,), "u8"), 1)
    result = simulate(net, np.array([[[7, 200]]], np.uint8), trace=["out"])
    assert result.trace.membranes["out"][0, 0].tolist() == [14, 400]
    assert not compare(
        result.trace, simulate(net, np.array([[[7, 201]]], np.uint8), trace=["out"]).trace
    ).equal
