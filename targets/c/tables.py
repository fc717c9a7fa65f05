"""Constant arrays of the generated code: weights, parameters of neurons, steps of delays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lehr.network import Conv2d, Linear
from lehr.targets.c.memory import TYPE_BYTES, smallest_type


@dataclass(frozen=True)
class Constants:
    """Constant array of the generated code: its C type, name, entries as C literals, and a note."""

    c_type: str
    name: str
    values: list[str]
    note: str

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return TYPE_BYTES[self.c_type] * len(self.values)


def weight_table(
    node: Conv2d | Linear, name: str, note: str, row_bits: int = 8, *, packed: bool = False
) -> Constants:
    """Return the table of weights, the outputs of one input value side by side.

    Binary ones are bits, 1 for +1, in words of `row_bits`; others are bytes. Rows of bits begin
    with a word of their own, but for `packed` ones: there another word follows the one in which the
    last row begins.
    """
    if isinstance(node, Linear):
        ordered = node.weight.T
    else:
        out, per_group, height, width = node.weight.shape
        grouped = node.weight.reshape(node.groups, out // node.groups, per_group, height, width)
        ordered = grouped.transpose(0, 3, 4, 2, 1)
    if node.kind == "binary":
        signs = (ordered > 0).reshape(-1, ordered.shape[-1])
        if packed:
            length = ((len(signs) - 1) * signs.shape[1] // row_bits + 2) * row_bits
            signs = np.pad(signs.reshape(1, -1), [(0, 0), (0, row_bits)])[:, :length]
        signs = np.pad(signs, [(0, 0), (0, -signs.shape[1] % row_bits)])
        words = np.packbits(signs.reshape(-1), bitorder="little").view(f"<u{row_bits // 8}")
        values = [f"0x{word:0{row_bits // 4}x}" for word in words.tolist()]
        return Constants(f"uint{row_bits}_t", name, values, note)
    return Constants("int8_t", name, [str(value) for value in ordered.reshape(-1).tolist()], note)


def number_table(values: npt.NDArray[np.int32], name: str, note: str) -> Constants:
    """Return one integer for each channel, or for each value in C order."""
    spread = f"{note} for each {'channel' if values.ndim == 1 else 'neuron'}"
    return Constants(
        smallest_type(int(values.min()), int(values.max())),
        name,
        [str(v) for v in values.reshape(-1).tolist()],
        spread,
    )
