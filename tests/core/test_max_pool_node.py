"""MaxPool2d as a node: its windows, its bounds, its form in a file, what is refused.

The right values are torch's, of the same numbers in double precision.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch
from budgets import budget
from commands import Lehr
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from lehr import nirfile
from lehr.arithmetic import Arithmetic, Int64
from lehr.errors import FileRefused, LehrError, NotMappable
from lehr.export.readers import READERS, for_reader
from lehr.export.silence import without_weights
from lehr.interval import Interval
from lehr.network import INPUT, OUTPUT, Conv2d, Delay, Flatten, Input, Linear, Network, Neuron
from lehr.nodes import MaxPool2d, Node
from lehr.simulate import simulate
from lehr.simulate.statistics import operations
from lehr.widths import analyse

KEEPS_NOTHING = Arithmetic(decay_numerator=0, reset="none")
BY_EVENT = Arithmetic(update="event", reset_timing="same_step")


def neurons(channels: int, arithmetic: Arithmetic | None = None) -> Neuron:
    one = np.ones(channels, np.int32)
    return Neuron(one, 0 * one, arithmetic or KEEPS_NOTHING)


def chain(shape: tuple[int, ...] = (2, 5, 6), /, **nodes: Node) -> Network:
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input(shape, "spikes"), 3)


def pooled(pool: MaxPool2d, arithmetic: Arithmetic | None = None) -> Network:
    """Build a convolution, maxima of its sums, and neurons."""
    weight = np.random.default_rng(0).choice(np.array((-1, 1), np.int8), (3, 2, 2, 2))
    return chain(conv=Conv2d(weight), pool=pool, out=neurons(3, arithmetic))


def torchs(node: MaxPool2d, x: Int64) -> Any:
    """Return torch's maxima, or None where torch has none or gives minus infinity."""
    try:
        got = functional.max_pool2d(
            torch.tensor(x, dtype=torch.float64),
            node.kernel,
            node.stride,
            node.padding,
            node.dilation,
            node.ceil_mode,
        ).numpy()
    except RuntimeError:
        return None
    return None if np.isinf(got).any() else got


@st.composite
def windows(draw: st.DrawFn) -> MaxPool2d:
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    return MaxPool2d(
        kernel,
        draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        (draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2))),
        draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        draw(st.booleans()),
    )


@budget(200, 2000)
@given(st.data())
def test_windows_are_torch_s_or_refused_where_torch_has_none(data: st.DataObject) -> None:
    node, rng = data.draw(windows()), np.random.default_rng(data.draw(st.integers(0, 2**16)))
    shape = (2, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    x = rng.integers(-(2**40), 2**40, (3, *shape))
    want = torchs(node, x)
    if want is None:
        with pytest.raises(FileRefused, match="nothing but padding|covers"):
            node.output_shape(shape)
        return
    assert (3, *node.output_shape(shape)) == want.shape
    assert np.array_equal(node.sums(x), want)


def test_padding_never_wins() -> None:
    x = np.array([[[[-5, -7], [-9, -3]]]])
    assert MaxPool2d((2, 2), (2, 2), (1, 1)).sums(x).tolist() == [[[[-5, -7], [-9, -3]]]]
    assert MaxPool2d((2, 2), (1, 1)).sums(x).tolist() == [[[[-3]]]]


@budget(50, 500)
@given(st.data())
def test_bounds_hold_what_comes_out(data: st.DataObject) -> None:
    node = MaxPool2d((2, 2), (1, 1))
    low, high = (
        np.array(data.draw(st.tuples(i, i))) for i in (st.integers(-9, 0), st.integers(0, 9))
    )
    known = node.bounds(Interval(low, high, np.maximum(-low, high)), (2, 3, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.integers(low.reshape(2, 1, 1), high.reshape(2, 1, 1), (20, 2, 3, 3), endpoint=True)
    got = node.sums(x)
    assert (got >= known.low.reshape(2, 1, 1)).all()
    assert (got <= known.high.reshape(2, 1, 1)).all()
    assert (np.abs(got) <= known.magnitude.reshape(2, 1, 1)).all()


def test_widths_are_those_of_the_greatest_sum() -> None:
    """Four weights of +-1 make sums of 4 at most; of nine windows the greatest is no more.

    A sum over these windows would be 36, and take more bits.
    """
    weight = np.ones((1, 1, 2, 2), np.int8)
    net = chain((1, 4, 4), conv=Conv2d(weight), pool=MaxPool2d((3, 3), (1, 1)), out=neurons(1))
    assert analyse(net).layers["out"].current == (0, 4)
    full = np.ones((1, 3, 1, 4, 4), np.uint8)
    assert simulate(net, full, trace=["out"]).trace.membranes["out"].max() == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPool2d((0, 2), (1, 1)), "MaxPool2d kernel is (0, 2); give two integers of at least 1"),
        (lambda: MaxPool2d((2, 2), (1, 0)), "MaxPool2d stride is (1, 0); give two integers of at least 1"),
        (lambda: MaxPool2d((2, 2), (1, 1), (-1, 0)), "MaxPool2d padding is (-1, 0); give two integers of at least 0"),
        (lambda: MaxPool2d((2, 2), (1, 1), (0, 0), (0, 1)), "MaxPool2d dilation is (0, 1); give two integers of at least 1"),
        (lambda: MaxPool2d((2, 2), (1, 1), ceil_mode=1), "MaxPool2d ceil_mode is 1; use true or false"),  # type: ignore[arg-type]
        (lambda: pooled(MaxPool2d((5, 2), (1, 1))), "pool: MaxPool2d covers (5, 2) pixels but gets (4, 5) with padding (0, 0); check the layer before it"),
        (lambda: pooled(MaxPool2d((1, 1), (1, 1), (1, 0))), "pool: MaxPool2d has windows with nothing but padding in them, of (1, 0) around (4, 5); check the layer before it"),
        (lambda: chain((4,), pool=MaxPool2d((1, 1), (1, 1)), out=neurons(4)), "pool: MaxPool2d takes (channels, height, width) but gets (4,); check the layer before it"),
        (lambda: pooled(MaxPool2d((2, 2), (1, 1)), BY_EVENT), "pool (MaxPool2d) makes no sum of what events bring, but out updates by event, one at a time; let out update by step"),
    ],
)  # fmt: skip
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(LehrError) as refused:
        make()
    assert str(refused.value) == message


def test_maxima_anywhere_before_events_are_refused() -> None:
    """What updates by event would have to take apart a maximum of spikes before its weights, too."""
    nodes = {
        "pool": MaxPool2d((2, 2), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(np.ones((2, 4), np.int8)),
        "out": neurons(2, BY_EVENT),
    }
    with pytest.raises(FileRefused, match=r"^pool \(MaxPool2d\) makes no sum of what events bring"):
        chain((1, 4, 4), **nodes)
    # neurons in between make spikes of it
    assert chain(
        (1, 4, 4),
        pool=nodes["pool"],
        one=neurons(1),
        **{k: nodes[k] for k in ("flat", "fc", "out")},
    )


NODE = MaxPool2d((3, 2), (2, 1), (1, 1), (1, 2), ceil_mode=True)


def test_the_file_keeps_it_and_other_tools_refuse_the_file(tmp_path: Path) -> None:
    net = pooled(NODE)
    nirfile.write(net, tmp_path / "m.nir")
    read = nirfile.read(tmp_path / "m.nir")
    assert read == net
    assert read.nodes["pool"] == NODE
    assert nirfile.to_bytes(read) == (tmp_path / "m.nir").read_bytes()
    with pytest.raises((AssertionError, ValueError)):  # it has no such type of node
        nir.read(tmp_path / "m.nir")
    with pytest.raises(NotMappable) as refused:
        nirfile.to_nir(net)
    assert str(refused.value) == (
        "pool: the package nir has no MaxPool2d; write the network to a file, which lehr reads"
    )


def test_every_field_is_in_the_digest() -> None:
    others = [
        MaxPool2d((2, 2), (2, 1), (1, 1), (1, 2), ceil_mode=True),
        MaxPool2d((3, 2), (1, 1), (1, 1), (1, 2), ceil_mode=True),
        MaxPool2d((3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True),
        MaxPool2d((3, 2), (2, 1), (1, 1), (1, 1), ceil_mode=True),
        MaxPool2d((3, 2), (2, 1), (1, 1), (1, 2)),
    ]
    assert len({pooled(node).digest for node in (NODE, *others)}) == 6


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ceil_mode", np.array(2), "pool: ceil_mode is 2; use 0 or 1"),
        ("ceil_mode", np.array([1, 0]), "pool: ceil_mode is (1, 0); use 0 or 1"),
        ("dilation", np.array([0, 1]), "pool: MaxPool2d dilation is (0, 1); give two integers of at least 1"),
        ("kernel_size", np.array([1.5, 2]), "pool: kernel_size is an array of shape (2,); give integers"),
        ("padding", None, "pool: has no 'padding', which MaxPool2d needs; export the network again with lehr"),
    ],
)  # fmt: skip
def test_files_that_contradict_themselves(
    field: str, value: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.nir"
    nirfile.write(pooled(NODE), path)
    with h5py.File(path, "r+") as file:
        del file[f"node/nodes/pool/{field}"]
        if value is not None:
            file[f"node/nodes/pool/{field}"] = value
    with pytest.raises(FileRefused) as refused:
        nirfile.read(path)
    assert str(refused.value).removeprefix(f"{path}: ") == message


@pytest.mark.parametrize("reader", READERS)
def test_importers_are_not_given_it(reader: str) -> None:
    with pytest.raises(NotMappable, match=rf"^{reader} does not import .*pool, MaxPool2d"):
        for_reader(pooled(MaxPool2d((2, 2), (2, 2))), reader)


def test_a_channel_is_silenced_through_it_and_no_other() -> None:
    net = pooled(MaxPool2d((2, 2), (2, 2)))
    changed = without_weights(net, "out", np.array([False, True, False]))
    assert changed is not None
    before, after = net.weighted["conv"].weight, changed.weighted["conv"].weight
    assert not after[1].any()
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    x = np.random.default_rng(1).integers(0, 2, (2, 3, 2, 5, 6)).astype(np.uint8)
    assert not simulate(changed, x, trace=["out"]).trace.membranes["out"][:, :, 1].any()


def test_what_comes_out_is_a_number_in_every_step() -> None:
    """Weights behind maxima meet one value of each window in each of 3 steps of 2 samples."""
    nodes = {
        "pool": MaxPool2d((2, 2), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(np.ones((5, 8), np.int8)),
        "out": neurons(5),
    }
    net = chain((2, 4, 4), **nodes)
    x = np.random.default_rng(1).integers(0, 2, (2, 3, 2, 4, 4)).astype(np.uint8)
    counted = operations(net, simulate(net, x))["fc"]
    assert (counted.dense, counted.events) == (2 * 3 * 40, 2 * 3 * 40)


def test_inspect_says_its_window(tmp_path: Path, lehr: Lehr) -> None:
    nirfile.write(pooled(NODE), tmp_path / "m.nir")
    shown = lehr("inspect", tmp_path / "m.nir").out
    line = next(line for line in shown.splitlines() if "MaxPool2d" in line)
    assert "kernel 3x2, stride 2x1, padding 1x1, dilation 1x2, ceil_mode" in " ".join(line.split())


def test_delayed_and_late_currents_are_added_before_the_greatest_is_taken() -> None:
    """Counted by hand: a delayed branch of the same input, added value by value before the maximum."""
    nodes = {"late": Delay(1), "pool": MaxPool2d((1, 3), (1, 3)), "out": neurons(1, KEEPS_NOTHING)}
    edges = ((INPUT, "late"), (INPUT, "pool"), ("late", "pool"), ("pool", "out"), ("out", OUTPUT))
    net = Network(nodes, edges, Input((1, 1, 3), "u8"), 3)
    x = np.array([[[[[5, 0, 1]]], [[[0, 4, 2]]], [[[1, 1, 1]]]]], np.uint8)
    got = simulate(net, x, trace=["out"]).trace.membranes["out"].ravel().tolist()
    assert got == [5, 5, 5]  # of 5 0 1; 5 4 3; 1 5 3
