"""Convolutions on bytes, by pairs of products, against numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from windows import Case, convolved

from lehr.network import INPUT, Conv2d
from lehr.simulate.fast.plans.buffers import Buffer
from lehr.simulate.fast.plans.edges import convolution
from lehr.simulate.fast.plans.flows import Multiply, Scatter
from lehr.simulate.fast.plans.ops import Worker
from lehr.simulate.fast.plans.windows import Window, into_size, window_of

CASES = {
    "five taps a row, and seven outputs": Case(1, (8, 9), 7, (5, 5), (2, 2), (1, 2), largest=127),
    "the largest weights": Case(1, (5, 4), 33, (1, 2), largest=2**15 - 1),
    "three channels, and many outputs": Case(3, (6, 7), 70, (2, 3), (2, 1), (2, 0), largest=8),
    "16-bit sums": Case(2, (6, 6), 16, (3, 3), padding=(1, 1), kind=np.int16),
}


@pytest.mark.parametrize("name", CASES)
def test_sums_of_products_are_exact(name: str) -> None:
    case = CASES[name]
    rng, samples = np.random.default_rng(0), 2
    shape = (case.out, case.channels, *case.kernel)
    weight = rng.integers(-case.largest, case.largest, shape, np.int32, endpoint=True)
    weight[:2] = [[[[case.largest]]], [[[-case.largest]]]]
    window = Window(weight, case.stride, case.padding, (1, 1), 1)
    source = Buffer(INPUT, (case.channels, *case.size), np.uint8)
    into = Buffer("into", (case.out, *into_size(window, case.size)), case.kind)
    worker = Worker(samples, case.steps, count=samples)
    worker.arrays = {each: each.room(samples, case.steps) for each in (source, into)}
    x = rng.integers(0, 255, (samples, case.steps, *case.size, case.channels), endpoint=True)
    x[0] = 255
    worker.arrays[source][..., : source.size] = x.reshape(samples, case.steps, -1)
    expected = convolved(x, case, weight)
    op = convolution(window, source, into, 0)
    assert isinstance(op, Multiply)
    worker.arrays[into][:] = 77
    for times, op.fresh in ((1, True), (2, False)):  # what was there is overwritten, or added to
        worker.calls.clear()
        op.work(worker, 0, case.steps)()
        sums = worker.arrays[into][..., : into.size].reshape(expected.shape)
        assert np.array_equal(sums, times * expected)


def test_what_pairs_of_products_do_not_hold_is_scattered() -> None:
    conv = Conv2d(np.ones((4, 2, 3, 3), np.int8))
    window, pixels = window_of(conv), Buffer(INPUT, (2, 5, 5), np.uint8)
    into, wide = (Buffer("into", (4, 3, 3), kind) for kind in (np.int32, np.int64))
    assert isinstance(convolution(window, pixels, into, 0), Multiply)
    large = replace(window, weight=window.weight << 15)
    dilated = replace(window, dilation=(2, 1))
    for each, sums, source in (
        (large, into, pixels),
        (dilated, into, pixels),
        (window, wide, pixels),
        (window, into, Buffer("spikes", (2, 5, 5), np.uint8)),
    ):
        assert isinstance(convolution(each, source, sums, 0), Scatter)
