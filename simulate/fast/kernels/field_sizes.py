"""The numbers of convolutions by fields, on which the planner and the kernels agree."""

from __future__ import annotations

from typing import NamedTuple

FIELDS, READING = 8, 32
"""Fields whose values are taken from one reading at most, and bits that it gives."""


class Fields(NamedTuple):
    """A convolution on spikes by fields of its windows, see `fields`.

    Attributes:
        channels, height, width: of the input.
        bits: in a row of it.
        out, out_height, out_width: of the output.
        pad_y: rows of zeros before the input.
        left: bits of zeros before each of its rows.
        words: that such a row takes, with zeros behind it.
        field_height: rows of a field.
        unit: rows from one row of fields to the next.
        step: bits from one field to the next.
        part: bits of a field in each of its rows.
        at_once: fields whose values one reading gives.
        whole_bytes: whether fields are the bytes of the input's rows, all of which begin with one.
        groups: of channels, of fields at one place.
        fields_wide: of the map, for each of them.
        passing: fields that pass by a row of outputs, 0 where windows are summed one by one.
        end: the row of the input before which the last fields begin.
        windows: that are summed, some side by side as one; rows of them where fields pass by.
        blocks: of lanes of their outputs.
        fields: that a sum is made of.
        next: 1, which the compiler need not know.
        chunk: fields whose sum fits the type of the tables.
        entry: elements from one value of a field to the next.
        block: from one block of lanes to the next.
        spare: elements behind the sums that are overwritten, and 0 again.
    """

    channels: int
    height: int
    width: int
    bits: int
    out: int
    out_height: int
    out_width: int
    pad_y: int
    left: int
    words: int
    field_height: int
    unit: int
    step: int
    part: int
    at_once: int
    whole_bytes: int
    groups: int
    fields_wide: int
    passing: int
    end: int
    windows: int
    blocks: int
    fields: int
    next: int
    chunk: int
    entry: int
    block: int
    spare: int


class Runs(NamedTuple):
    """The same convolution where there are few spikes, see `runs`.

    Attributes:
        words: of a row of spikes.
        few: spikes of a step, up to which they add runs.
        length: of a run.
        down: from a row of outputs to the next one.
        size: of a row of sums, without padding.
        margin: elements before it, to which runs add 0.
    """

    words: int
    few: int
    length: int
    down: int
    size: int
    margin: int
