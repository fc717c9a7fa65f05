"""The numbers on which the planner and the kernels agree: choices, and sizes of blocks."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TOWARD_ZERO, FLOOR, NEAREST_EVEN = range(3)
MULTIPLY, SHIFT, KEEP = range(3)
FREE, SATURATE, WRAP = range(3)
NO_RESET, SUBTRACT, ZERO = range(3)


class UpdateRule(NamedTuple):
    """The arithmetic of `neurons.neurons` and `events.event_neurons`; `kept`: with membranes."""

    leak: int
    factor: int
    places: int
    rounding: int
    overflow: int
    lowest: int
    highest: int
    fraction: int
    reset: int
    late: int
    kept: int = 0


class NeuronSizes(NamedTuple):
    """Facts of a layer for `neurons.neurons`.

    Attributes:
        samples, steps: to run.
        neurons: in a row, with padding.
        totals: elements from sample to sample in totals, 0 if they are of all samples together.
        used: neurons without padding.
        block: neurons that go through all steps before the next ones.
        width: of what each has; where it repeats, once and a line.
        period: after how many neurons it repeats.
        last: where a line of it with padding lies, whose thresholds nothing passes.
    """

    samples: int
    steps: int
    neurons: int
    totals: int
    used: int
    block: int
    width: int
    period: int
    last: int


class QueueSizes(NamedTuple):
    """Facts of a source for `events.queue_events`.

    Attributes:
        samples, steps: to run.
        row: elements in a row of values, words for bits.
        bits: whether they are bits.
        first: the number of its first neuron.
        room: in a queue.
    """

    samples: int
    steps: int
    row: int
    bits: int
    first: int
    room: int


class EventSizes(NamedTuple):
    """Samples, steps, neurons in a row, elements from sample to sample in totals; room in a queue.

    The elements are 0 if totals are of all samples together.
    """

    samples: int
    steps: int
    neurons: int
    totals: int
    room: int


class Window(NamedTuple):
    """A convolution on spikes.

    Attributes:
        narrow: whether sums fit an int8: of all rows of weights, or of `chunk` of them.
        chunk: rows of weights that add up to what fits an int8 if `narrow`, or an int16; for
            `strips.gather` alone.
    """

    channels: int
    height: int
    width: int
    out: int
    out_height: int
    out_width: int
    kernel_height: int
    kernel_width: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    narrow: int = 0
    chunk: int = 0


class Cells(NamedTuple):
    """A convolution on spikes by cells, see `cells`.

    Attributes:
        channels, height, width: of the input.
        out, out_height, out_width: of the output.
        stride_y, stride_x, pad_y, pad_x: of the window.
        cell_height: rows of pixels in a cell.
        cells_high, cells_wide: rows and columns of cells.
        parts, part_bits: words that a row of a cell is cut into, and bits of each.
        rows_in_word: rows of a cell that a word holds.
        words: of a cell.
        rows: of cells that an output sees.
        limit: events that a sum of the type of the weights holds.
        batch: steps of which cells are kept at once.
    """

    channels: int
    height: int
    width: int
    out: int
    out_height: int
    out_width: int
    stride_y: int
    stride_x: int
    pad_y: int
    pad_x: int
    cell_height: int
    cells_high: int
    cells_wide: int
    parts: int
    part_bits: int
    rows_in_word: int
    words: int
    rows: int
    limit: int
    batch: int


class FlowSizes(NamedTuple):
    """Samples, steps, bits in a row of spikes, elements in a row of sums; whether to overwrite."""

    samples: int
    steps: int
    bits: int
    into: int
    fresh: int


class ColumnSizes(NamedTuple):
    """The same, and for `counting.count_columns` inputs, lines, and outputs.

    Beyond the outputs, sums are 0.
    """

    samples: int
    steps: int
    bits: int
    into: int
    fresh: int
    inputs: int
    lines: int
    outputs: int


class MatchSizes(NamedTuple):
    """Sizes for `matches.count_matches`.

    They are samples, steps, words in a row of spikes, elements in a row of sums, whether to
    overwrite, words that are read of a row, and whether adders count them, eight at a time.
    """

    samples: int
    steps: int
    words: int
    into: int
    fresh: int
    read: int
    adders: int


class Reached(NamedTuple):
    """A convolution, pooling or linear layer whose inputs are added one by one.

    `each` and `per` are channels in and out of a group.
    """

    out: int
    out_width: int
    kernel_height: int
    kernel_width: int
    stride_y: int
    stride_x: int
    dilation_y: int
    dilation_x: int
    each: int
    per: int


class ScatterSizes(NamedTuple):
    """Sizes of rows of values and of sums.

    They are samples, steps, elements or words in a row of values, of which elements are not
    padding, and elements in a row of sums.
    """

    samples: int
    steps: int
    row: int
    size: int
    into: int


class MaximumSizes(NamedTuple):
    """Sizes for `maxima`.

    They are samples, steps, elements or words in a row of values, elements in a row of the output,
    its places, and channels.
    """

    samples: int
    steps: int
    row: int
    into: int
    outputs: int
    channels: int


class MoveSizes(NamedTuple):
    """Samples, steps and words in a row, for `moving`."""

    samples: int
    steps: int
    words: int


class HoldSizes(NamedTuple):
    """Samples, steps, and words in a row of a source and of a delay, for `moving.hold`."""

    samples: int
    steps: int
    source: int
    into: int


class PackSizes(NamedTuple):
    """Samples, steps, channels and places of an input, and words in a row of bits."""

    samples: int
    steps: int
    channels: int
    places: int
    row: int


class Rows(NamedTuple):
    """Places of rows: the first sample's first step, and rows to the next sample and step.

    The last is 0 if the value is held.
    """

    first: int
    sample: int
    step: int


(TAKE, LOAD, LEAK, LEAK_EACH, DASH, LINEAR, ADD, SUB, ADD_WHERE, SUB_WHERE, ADD_TIMES, SUB_TIMES,
 COPY, PUT, CLIP, MODULO, PASS, REACH, COUNT) = range(19)  # fmt: skip
"""The operations of a program in a table, see `table`."""


class Row(NamedTuple):
    """One operation of a table: on register x, with y and m; the others as `table` says."""

    op: int
    x: int
    y: int = 0
    m: int = 0
    shift: int = 0
    form: int = 0
    factor: int = 0
    places: int = 0
    rounding: int = 0
    low: int = 0
    high: int = 0
    extra: int = 0
    odd: int = 0
    then: int = -1


class Decay(NamedTuple):
    """Parts of a row of LEAK that a line needs."""

    form: int
    factor: int
    places: int
    rounding: int
    then: int
    shift: int


NO_SPIKES, BITS, BYTES_OF_SPIKES = range(3)
"""Ways in which a layer of neurons puts out its spikes."""


class TableSizes(NamedTuple):
    """Facts of a layer for `table.programs` and `events.event_programs`.

    Attributes:
        samples, steps: to run.
        neurons: in a row, with padding.
        used: without it.
        block: neurons that are computed together.
        kept: registers that live from step to step, the first ones.
        registers: all that are written.
        constants: numbers and parameters, which lie behind the registers and SPECIAL ones.
        rows: of the table; of one by event those before its loop.
        totals: elements from sample to sample in `totals`, 0 if it is of all together.
        membrane, fired: the registers that are put out.
        spikes: how.
        body, after: by event, the rows of the loop and those behind it.
        room: by event, in a queue.
    """

    samples: int
    steps: int
    neurons: int
    used: int
    block: int
    kept: int
    registers: int
    constants: int
    rows: int
    totals: int
    membrane: int
    fired: int
    spikes: int
    body: int = 0
    after: int = 0
    room: int = 0


SMALL = 127
"""The greatest int8."""
WORD = 64
"""Bits of a word, and elements to which rows are padded."""
SPECIAL = 2
"""Registers that `table.programs` needs itself: spikes so far, and the most in a step."""
LINE = 256
"""Outputs, each a bit, whose columns are counted together."""
TILE = 16
"""Steps of which such counts are made before the first of them is heard."""
OUTPUTS = 4
"""Outputs whose matches are counted together."""
EIGHT, MANY_WORDS = 8, 24
"""Words whose matches adders count together, and from how many words on that pays.

It does where bits are not counted by one instruction for all words of a vector.
"""
BYTES = 64
"""Bytes of an input that become bits together."""
BIT_ROWS = WORD + 1
"""Rows of weights of a word of a cell: of each bit, and one of zeros."""
EDGE = np.repeat(np.array((0, 255), np.uint8), BYTES)
"""A line of BYTES starts at its `n`-th byte, of which all but the last `n` are 0."""
POSITIONS = np.array(
    [([k for k in range(8) if byte >> k & 1] + [0] * 8)[:8] for byte in range(256)], np.uint16
)
"""The places of the bits that are set, for each byte, in a row of 8."""


@cache
def scaled_positions(scale: int) -> npt.NDArray[np.uint16]:
    """POSITIONS times `scale`, which is below 2**13, flat: what `strips.list_spikes` lists by."""
    return (POSITIONS * np.uint16(scale)).reshape(-1)
