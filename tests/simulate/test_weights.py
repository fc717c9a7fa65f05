"""Weights and pooling against loops, divisions and decays against integers, value by value."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from budgets import budget
from hypothesis import assume, given
from hypothesis import strategies as st
from old_reference import decay

from lehr.arithmetic import Arithmetic, DecayForm, Int64, Rounding
from lehr.nodes import Conv2d, Linear, ShapeMismatch, SumPool2d
from lehr.weights import exact_type

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
paddings = st.tuples(st.integers(0, 2), st.integers(0, 2))


def pixel(image: Int64, channel: int, y: int, x: int) -> int:
    """Return a value of an image, 0 outside of it."""
    _, height, width = image.shape
    return int(image[channel, y, x]) if 0 <= y < height and 0 <= x < width else 0


def conv_by_loops(image: Int64, node: Conv2d) -> list[list[list[int]]]:
    """Compute what torch.nn.Conv2d's documentation says, one product at a time."""
    out, inputs, kernel_y, kernel_x = node.weight.shape
    _, height, width = node.output_shape(image.shape)
    sums = [[[0] * width for _ in range(height)] for _ in range(out)]
    for o, y, x, c, i, j in itertools.product(
        *map(range, (out, height, width, inputs, kernel_y, kernel_x))
    ):
        channel = o // (out // node.groups) * inputs + c
        row = y * node.stride[0] + i * node.dilation[0] - node.padding[0]
        column = x * node.stride[1] + j * node.dilation[1] - node.padding[1]
        sums[o][y][x] += int(node.weight[o, c, i, j]) * pixel(image, channel, row, column)
    return sums


@budget(50, 500)
@given(
    data=st.data(),
    stride=pairs,
    padding=paddings,
    dilation=pairs,
    kernel=pairs,
    groups=st.integers(1, 3),
)
def test_convolution_is_the_sum_of_its_products(
    data: st.DataObject, groups: int, kernel: tuple[int, int], **options: Any
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    inputs, outputs = data.draw(st.integers(1, 2)), groups * data.draw(st.integers(1, 2))
    node = Conv2d(
        rng.integers(-127, 128, (outputs, inputs, *kernel), np.int8),
        groups=groups,
        kind="int8",
        **options,
    )
    images = rng.integers(
        -300, 300, (2, inputs * groups, data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6)))
    )
    try:
        node.output_shape(images.shape[1:])
    except ShapeMismatch:
        assume(False)
    assert node.sums(images).tolist() == [conv_by_loops(image, node) for image in images]


@pytest.mark.parametrize("highest", [2**53 // 4, 2**53 // 2, 2**59])
def test_sums_are_exact_up_to_where_float64_is_and_beyond(highest: int) -> None:
    x = np.array([[highest - 1, 1 - highest, 1], [highest - 1, highest - 2, -1]])
    weight = np.array([[1, 1, 1], [1, -1, 0], [-1, -1, 1]], np.int8)
    expected = [
        [sum(int(w) * int(v) for w, v in zip(row, of, strict=True)) for row in weight] for of in x
    ]
    assert Linear(weight, "ternary").sums(x).tolist() == expected
    maps = Conv2d(weight.reshape(3, 3, 1, 1), kind="ternary").sums(x.reshape(2, 3, 1, 1))
    assert maps.reshape(2, 3).tolist() == expected
    assert exact_type(x, weight) is (np.float64 if highest == 2**53 // 4 else np.int64)


@budget(50, 500)
@given(
    seed=st.integers(0, 2**32 - 1),
    kernel=pairs,
    stride=pairs,
    padding=paddings,
    height=st.integers(3, 6),
    width=st.integers(3, 6),
)
def test_pooling_is_the_sum_of_its_window(
    seed: int, height: int, width: int, **options: tuple[int, int]
) -> None:
    image = np.random.default_rng(seed).integers(-300, 300, (2, height, width))
    node = SumPool2d(**options)
    channels, rows, columns = node.output_shape(image.shape)
    window = list(itertools.product(*map(range, node.kernel)))
    for c, y, x in itertools.product(range(channels), range(rows), range(columns)):
        corner = (y * node.stride[0] - node.padding[0], x * node.stride[1] - node.padding[1])
        assert node.sums(image[None])[0, c, y, x] == sum(
            pixel(image, c, corner[0] + i, corner[1] + j) for i, j in window
        )


# -------------------------------------------------------------------- divisions and decays
def divided(value: int, shift: int, rounding: Rounding) -> int:
    """`value / 2**shift` rounded, in Python's integers."""
    floor, rest = divmod(value, 1 << shift)
    if rounding == "floor":
        return floor
    if rounding == "toward_zero":
        return floor if value >= 0 else -(-value >> shift)
    return floor + (2 * rest + (floor & 1) > 1 << shift)


@pytest.mark.few(13)
@pytest.mark.parametrize("rounding", get_args(Rounding))
@pytest.mark.parametrize("form", get_args(DecayForm))
@pytest.mark.parametrize("shift", [0, 1, 3, 7, 16])
def test_decay_of_every_16_bit_membrane(form: DecayForm, rounding: Rounding, shift: int) -> None:
    numerator = (1 << shift) - 1
    arithmetic = Arithmetic(
        decay_form=form, decay_numerator=numerator, decay_shift=shift, rounding=rounding
    )
    membranes = decay(arithmetic, np.arange(-(1 << 15), 1 << 15)).tolist()
    for value, decayed in enumerate(membranes, start=-(1 << 15)):
        if form == "multiply":
            assert decayed == divided(value * numerator, shift, rounding)
        else:
            assert decayed == value - divided(value, shift, rounding)


@pytest.mark.parametrize(
    ("rounding", "differing"), [("toward_zero", 3500), ("floor", 3500), ("nearest_even", 0)]
)
def test_seven_eighths_by_multiplication_and_by_shift(rounding: Rounding, differing: int) -> None:
    multiply = Arithmetic(decay_numerator=7, decay_shift=3, rounding=rounding)
    membranes = np.arange(-2000, 2001)
    assert (
        decay(multiply, membranes) != decay(replace(multiply, decay_form="shift"), membranes)
    ).sum() == differing


REST = {"floor": [0, 127], "toward_zero": [-127, 127], "nearest_even": [-64, 64]}


@pytest.mark.parametrize("rounding", get_args(Rounding))
def test_a_shift_by_seven_never_decays_to_rest(rounding: Rounding) -> None:
    arithmetic = Arithmetic(
        decay_form="shift", decay_numerator=127, decay_shift=7, rounding=rounding
    )
    membranes = np.array([-32768, 32767])
    for _ in range(2000):
        membranes = decay(arithmetic, membranes)
    assert membranes.tolist() == REST[rounding]
