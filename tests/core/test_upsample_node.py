"""Upsample2d as a node: its blocks, its bounds, its form in a file, what is refused.

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
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, LehrError, NotMappable
from lehr.export.readers import READERS, for_reader
from lehr.export.silence import without_weights
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron
from lehr.nodes import Node, Upsample2d
from lehr.paths import synapses
from lehr.simulate import simulate
from lehr.simulate.statistics import operations
from lehr.widths import analyse

KEEPS_NOTHING = Arithmetic(decay_numerator=0, reset="none")


def neurons(channels: int, arithmetic: Arithmetic = KEEPS_NOTHING) -> Neuron:
    one = np.ones(channels, np.int32)
    return Neuron(one, 0 * one, arithmetic)


def chain(shape: tuple[int, ...], /, **nodes: Node) -> Network:
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input(shape, "spikes"), 3)


def enlarged(node: Upsample2d) -> Network:
    """Build a convolution, larger maps of its sums, and neurons."""
    weight = np.random.default_rng(0).choice(np.array((-1, 1), np.int8), (3, 2, 2, 2))
    return chain((2, 4, 5), conv=Conv2d(weight), up=node, out=neurons(3))


@budget(60, 600)
@given(st.data())
def test_blocks_are_torch_s(data: st.DataObject) -> None:
    sizes = st.integers(1, 7)
    node = Upsample2d(data.draw(st.tuples(sizes, sizes) | st.integers(1, 41)))  # type: ignore[arg-type]
    shape = (2, data.draw(sizes), data.draw(sizes))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    x = rng.integers(-(2**40), 2**40, (3, *shape))
    want = functional.interpolate(torch.tensor(x, dtype=torch.float64), scale_factor=node.scale)
    assert (3, *node.output_shape(shape)) == want.shape
    assert np.array_equal(node.sums(x), want)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Upsample2d((0, 2)), "Upsample2d scale is (0, 2); give two integers of at least 1"),
        (lambda: Upsample2d((2, 2, 2)), "Upsample2d scale is (2, 2, 2); give two integers of at least 1"),  # type: ignore[arg-type]
        (lambda: chain((4,), up=Upsample2d((2, 2)), out=neurons(4)), "up: Upsample2d takes (channels, height, width) but gets (4,); check the layer before it"),
        (lambda: enlarged(Upsample2d((2**14, 2**12))), "up: has shape (3, 49152, 16384), which are 2,415,919,104 values a step in 9,663,676,416 bytes, but a node may have 268,435,456; use less padding or a smaller input"),
    ],
)  # fmt: skip
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(LehrError) as refused:
        make()
    assert str(refused.value) == message


def test_widths_are_those_of_what_it_copies() -> None:
    net = chain((1, 3, 3), conv=Conv2d(np.ones((1, 1, 2, 2), np.int8)), up=Upsample2d((5, 3)), out=neurons(1))  # fmt: skip
    assert analyse(net).layers["out"].current == (0, 4)
    full = np.ones((1, 3, 1, 3, 3), np.uint8)
    assert simulate(net, full, trace=["out"]).trace.membranes["out"].max() == 4


def test_an_event_is_at_every_place_of_its_block() -> None:
    """One synapse of weight 1 to each, and weights behind it meet as many events."""
    event = Arithmetic(update="event", reset_timing="same_step")
    net = chain((2, 2, 2), up=Upsample2d((2, 3)), out=neurons(2, event))
    ((source, late, matrix),) = synapses(net, "out")
    assert (source, late) == (INPUT, False)
    for c, y, x in np.ndindex(2, 2, 2):
        block = np.zeros((2, 4, 6), np.int64)
        block[c, 2 * y : 2 * y + 2, 3 * x : 3 * x + 3] = 1
        assert np.array_equal(matrix[(c * 2 + y) * 2 + x].reshape(block.shape), block)
    nodes = {"up": Upsample2d((2, 3)), "flat": Flatten(), "fc": Linear(np.ones((5, 48), np.int8))}
    dense = chain((2, 2, 2), **nodes, out=neurons(5))
    spikes = np.zeros((2, 3, 2, 2, 2), np.uint8)
    spikes[0, 1, 1, 0, 1] = spikes[1, 2, 0, 0, 0] = 1
    counted = operations(dense, simulate(dense, spikes))["fc"]
    assert (counted.dense, counted.events) == (2 * 3 * 5 * 48, 2 * 6 * 5)


def test_the_file_keeps_it_and_other_tools_refuse_the_file(tmp_path: Path, lehr: Lehr) -> None:
    net, path = enlarged(Upsample2d((2, 3))), tmp_path / "m.nir"
    nirfile.write(net, path)
    read = nirfile.read(path)
    assert read == net
    assert read.nodes["up"] == Upsample2d((2, 3))
    assert nirfile.to_bytes(read) == path.read_bytes()
    assert enlarged(Upsample2d((3, 2))).digest != net.digest
    with pytest.raises((AssertionError, ValueError)):  # it has no such type of node
        nir.read(path)
    with pytest.raises(NotMappable) as refused:
        nirfile.to_nir(net)
    assert str(refused.value) == (
        "up: the package nir has no Upsample2d; write the network to a file, which lehr reads"
    )
    line = next(line for line in lehr("inspect", path).out.splitlines() if "Upsample2d" in line)
    assert "scale 2x3" in line


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([2, 0]), "up: Upsample2d scale is (2, 0); give two integers of at least 1"),
        (np.array([2.0, 2.0]), "up: scale_factor is an array of shape (2,); give integers"),
        (None, "up: has no 'scale_factor', which Upsample2d needs; export the network again with lehr"),
    ],
)  # fmt: skip
def test_files_that_contradict_themselves(value: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.nir"
    nirfile.write(enlarged(Upsample2d((2, 3))), path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/up/scale_factor"]
        if value is not None:
            file["node/nodes/up/scale_factor"] = value
    with pytest.raises(FileRefused) as refused:
        nirfile.read(path)
    assert str(refused.value).removeprefix(f"{path}: ") == message


@pytest.mark.parametrize("reader", READERS)
def test_importers_are_not_given_it(reader: str) -> None:
    with pytest.raises(NotMappable, match=rf"^{reader} does not import .*up, Upsample2d"):
        for_reader(enlarged(Upsample2d((2, 2))), reader)


def test_a_channel_is_silenced_through_it_and_no_other() -> None:
    net = enlarged(Upsample2d((2, 2)))
    changed = without_weights(net, "out", np.array([False, True, False]))
    assert changed is not None
    before, after = net.weighted["conv"].weight, changed.weighted["conv"].weight
    assert not after[1].any()
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
