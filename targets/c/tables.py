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
    node: Conv2d | Linear, name: str, note: str, row_type: str = "uint8_t"
) -> Constants:
    """Return the table of weights, the outputs of one input value side by side.

    Binary ones are bits, 1 for +1, in rows of whole words; others are bytes.
    """
    if isinstance(node, Linear):
        ordered = node.weight.T
    else:
        out, per_group, height, width = node.weight.shape
        grouped = node.weight.reshape(node.groups, out // node.groups, per_group, height, width)
        ordered = grouped.transpose(0, 2, 3, 4, 1)
    if node.kind == "binary":
        width = 8 * TYPE_BYTES[row_type]
        signs = np.pad(
            ordered > 0, [*[(0, 0)] * (ordered.ndim - 1), (0, -ordered.shape[-1] % width)]
        )
        words = np.packbits(signs, bitorder="little").view(f"<u{TYPE_BYTES[row_type]}")
        return Constants(
            row_type, name, [f"0x{word:0{width // 4}x}" for word in words.tolist()], note
        )
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
