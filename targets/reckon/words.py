"""Words over SPI: registers and memories as doc/README.md of ReckOn numbers them.

They are in its sections 1, 2.1 and 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.targets.reckon.cells import ALPHA_ONE, HIGHEST
from lehr.targets.reckon.layout import Layout

CONFIGURE, RESET_TO_ZERO, KAPPA = 0, 8, 69
NEURON_MEMORY, INPUT_MEMORY, RECURRENT_MEMORY, OUTPUT_MEMORY = 1, 3, 4, 5
MEMORY_WORDS: Mapping[int, int] = {
    NEURON_MEMORY: 512,
    INPUT_MEMORY: 16384,
    RECURRENT_MEMORY: 16384,
    OUTPUT_MEMORY: 1024,
}
"""Words of 32 bits of each memory, by its code."""


@dataclass(frozen=True)
class Contents:
    """Contents that SPI words write: registers by address, memories by code and address.

    Addresses of memories are those of 32 bits.
    """

    registers: Mapping[int, int]
    memories: Mapping[int, Mapping[int, int]]


def register(address: int, value: int) -> tuple[int, int]:
    """Return the two words that write a register."""
    return 1 << 16 | address, value


def program(layout: Layout) -> list[int]:
    """Return all words, in the order in which they are sent."""
    words = [*register(CONFIGURE, 1)]
    for address, value in _registers(layout).items():
        words += register(address, value)
    lines, places = layout.w_in.shape
    stepped = -(-max(lines, places, layout.w_out.shape[1]) // 2)
    for number in range(stepped):  # those without neurons are stepped, too: they never fire
        threshold, alpha = layout.pairs[number] if number < len(layout.pairs) else (HIGHEST, 0)
        words += _block(NEURON_MEMORY, 4 * number + 3, [(alpha & 0xFFF) << 20 | threshold << 4])
    for code, weights, width in (
        (INPUT_MEMORY, layout.w_in, 64),
        (RECURRENT_MEMORY, layout.w_rec, 64),
        (OUTPUT_MEMORY, layout.w_out, 4),
    ):
        packed = _packed(weights)
        for row, values in enumerate(packed):
            words += _block(code, width * row, values)
    return [*words, *register(CONFIGURE, 0)]


def _registers(layout: Layout) -> dict[int, int]:
    """Return the registers by address.

    Those that are not listed take no part in what is computed.
    """
    lines, places = layout.w_in.shape
    high = sum(1 << number for number, (_, alpha) in enumerate(layout.pairs) if alpha >= ALPHA_ONE)
    shifts = dict(zip((12, 13, 14), layout.shifts, strict=True))
    # no learning, no ticks of its own, no stochastic rounding, no regression
    off = dict.fromkeys((9, 10, 19, 21, 23, 25, 30), 0)
    alphas = {65 + number: high >> 32 * number & 0xFFFFFFFF for number in range(4)}
    sizes = {94: lines - 1, 95: places - 1, 96: layout.w_out.shape[1] - 1}
    label, noise = {31: 1}, {32: 0, 33: 0}
    return {
        RESET_TO_ZERO: int(layout.resets_to_zero),
        **off,
        **shifts,
        **label,
        **noise,
        **alphas,
        KAPPA: layout.kappa,
        **sizes,
    }


def _packed(weights: Int64) -> list[list[int]]:
    """Rows of weights as words of four, the first in the lowest byte."""
    held = np.zeros((len(weights), -(-weights.shape[1] // 4) * 4), np.int8)
    held[:, : weights.shape[1]] = weights
    rows: list[list[int]] = held.view("<u4").tolist()
    return rows


def _block(code: int, address: int, data: list[int]) -> Iterator[int]:
    yield code << 28 | len(data) << 16 | address
    yield from data


def contents(words: Iterable[int]) -> Contents:
    """Return what words write, by what the machine's document says of them.

    Raises:
        ValueError: when they end within a block, or write to nothing that is known.
    """
    registers: dict[int, int] = {}
    memories: dict[int, dict[int, int]] = {code: {} for code in MEMORY_WORDS}
    given = iter(words)
    for first in given:
        code, count, address = first >> 28, first >> 16 & 0xFFF, first & 0xFFFF
        data = [word for _, word in zip(range(count), given, strict=False)]
        if len(data) != count or not count or (code and code not in memories):
            raise ValueError(f"word {first:08x} is followed by {len(data)} words")
        if code:
            memories[code].update(enumerate(data, address))
        else:
            registers[address] = data[0]
    return Contents(registers, memories)
