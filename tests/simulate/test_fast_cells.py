"""Convolutions by cells against numpy: their sums, for all ways in which cells are cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from windows import Case, convolved

from lehr.arithmetic import Arithmetic
from lehr.network import Conv2d, Input, Network, Neuron, SumPool2d
from lehr.simulate.fast.kernels.layout import WORD
from lehr.simulate.fast.plans.buffers import Buffer
from lehr.simulate.fast.plans.cells import add_cells, by_cells
from lehr.simulate.fast.plans.flows import AddCells, Gather
from lehr.simulate.fast.plans.ops import Worker
from lehr.simulate.fast.plans.plan import plan
from lehr.simulate.fast.plans.windows import Window, into_size

FEW = {
    "a word of four pixels": Case(16, (10, 10), 48, (6, 6), (2, 2), kind=np.int16),
    "everything spikes": Case(16, (10, 10), 48, (6, 6), (2, 2), largest=7, rate=1, kind=np.int16),
    "odd channels, a pixel beside the map": Case(
        9, (9, 11), 43, (5, 5), (2, 2), (1, 2), kind=np.int16
    ),
    "two words a pixel, and 45 outputs": Case(
        70, (5, 6), 45, (3, 3), padding=(1, 0), kind=np.int16
    ),
    "samples of one step": Case(24, (6, 7), 50, (3, 3), padding=(2, 3), steps=1, kind=np.int16),
    "more steps than are kept": Case(17, (20, 21), 35, (3, 3), steps=19, kind=np.int16),
}
"""All of one kernel."""
MANY = {
    "32 bits": Case(16, (10, 10), 32, (6, 6), (2, 2)),
    "32 bits, everything spikes": Case(16, (10, 10), 32, (6, 6), (2, 2), largest=7, rate=1),
    "32 bits, odd channels": Case(9, (9, 11), 27, (5, 5), (2, 2), (1, 2)),
    "32 bits, two words a pixel": Case(70, (5, 6), 45, (3, 3), padding=(1, 0)),
    "32 bits, one step": Case(24, (6, 7), 33, (3, 3), padding=(2, 3), steps=1),
    "32 bits, many steps": Case(17, (20, 21), 19, (3, 3), steps=19),
    "two neighbours, and five rows": Case(16, (9, 10), 32, (5, 5), padding=(2, 2)),
    "sixteen outputs at once": Case(33, (6, 5), 7, (3, 3), padding=(0, 1), largest=7, rate=0.9),
    "64 outputs at once": Case(20, (9, 8), 50, (3, 4), (2, 2), (1, 1)),
    "windows that leave pixels out": Case(16, (9, 10), 64, (1, 2), (2, 3), kind=np.int16),
    "one row": Case(18, (1, 12), 32, (1, 3), padding=(0, 1), kind=np.int16),
    "one column": Case(18, (12, 1), 48, (3, 1), padding=(1, 0), kind=np.int16),
}


@pytest.mark.parametrize(
    "name", [*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in MANY)]
)
def test_sums_are_exact_whatever_the_cells(name: str) -> None:
    case = {**FEW, **MANY}[name]
    rng, samples = np.random.default_rng(0), 3
    shape = (case.out, case.channels, *case.kernel)
    weight = rng.integers(-case.largest, case.largest, shape, np.int32, endpoint=True)
    window = Window(weight, case.stride, case.padding, (1, 1), 1)
    source = Buffer("source", (case.channels, *case.size), np.uint64)
    into = Buffer("into", (case.out, *into_size(window, case.size)), case.kind)
    assert by_cells(window, source)
    worker = Worker(samples, case.steps, count=samples)
    worker.arrays = {each: each.room(samples, case.steps) for each in (source, into)}
    x = rng.random((samples, case.steps, *case.size, case.channels)) < case.rate
    bits = np.zeros((samples, case.steps, source.row * WORD), np.uint8)
    bits[..., : source.size] = x.reshape(samples, case.steps, -1)
    worker.arrays[source][:] = np.packbits(bits, axis=-1, bitorder="little").view(np.uint64)
    expected = convolved(x, case, weight)
    assert (expected.min(), expected.max()) < (0, 0) < (1, expected.max())

    op = add_cells(window, source, into, 0)
    sums = worker.arrays[into][:, :, : into.size].reshape(expected.shape)
    for times, op.fresh in ((1, True), (2, False)):  # what was there is overwritten, or added to
        worker.calls.clear()
        sums[:] = 77 if op.fresh else sums
        worker.arrays[into][:, :, : into.size] = sums.reshape(samples, case.steps, -1)
        op.work(worker, 0, case.steps)()
        sums = worker.arrays[into][:, :, : into.size].reshape(expected.shape)
        assert np.array_equal(sums, times * expected)


@pytest.mark.parametrize(
    ("weights", "kind"),
    [(1, AddCells), (7, AddCells), (8, Gather)],  # an int8 holds 127, 18 and 15 of them
)
def test_cells_are_taken_where_an_int8_holds_enough_events(weights: int, kind: type[Any]) -> None:
    conv = Conv2d(np.full((32, 22, 3, 3), weights, np.int8), kind="int8")
    assert kind in ways({"conv": conv}, (22, 9, 9))


def test_the_second_convolution_of_usual_networks_is_by_cells() -> None:
    conv = Conv2d(np.ones((64, 16, 5, 5), np.int8))
    assert AddCells in ways({"conv": conv, "pool": SumPool2d((2, 2), (2, 2))}, (16, 12, 12))


def ways(nodes: dict[str, Any], shape: tuple[int, ...]) -> set[type[Any]]:
    """Return the types of operations of a network of such nodes and a layer of neurons."""
    out = len(nodes["conv"].weight)
    nodes = {**nodes, "v": Neuron(np.full(out, 50), np.zeros(out, np.int32), Arithmetic())}
    order = ("input", *nodes, "output")
    net = Network(nodes, tuple(pairwise(order)), Input(shape, "spikes"), 3)
    return {type(op) for stage in plan(net, held=False, steps=3).stages for op in stage.ops}
