"""What an event of a row, or of a column, reaches along its axis."""

from __future__ import annotations

from collections.abc import Iterable

Axis = list[list[tuple[int, int]]]
"""For each place of a source its taps: pairs of a kernel element and a place behind it."""


def in_windows(
    axis: Axis,
    elements: Iterable[int],
    stride: int,
    padding: int,
    dilation: int,
    size: int,
    *,
    inside: bool,
) -> Axis:
    """Return the taps after a convolution or a pooling along one axis.

    After a convolution (`inside`) a tap names the kernel element. The `elements` are those of the
    kernel that are looked at.
    """
    elements = tuple(elements)
    result: Axis = []
    for taps in axis:
        here: list[tuple[int, int]] = []
        for element, at in taps:
            for k in elements:
                place, rest = divmod(at + padding - k * dilation, stride)
                if rest == 0 and 0 <= place < size:
                    here.append((k if inside else element, place))
        result.append(here)
    return result


def in_blocks(axis: Axis, times: int) -> Axis:
    """Return the taps where each place behind stands in a block of so many."""
    return [[(k, at * times + more) for k, at in taps for more in range(times)] for taps in axis]
