"""Words over tinyODIN's SPI: 40 bits, an address of 20 and data of 20; the memories from them.

Source: doc/README.md of the machine, sections 2.1 (words), 3 (memories) and 4 (registers).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lehr.targets.tinyodin.crossbar import NEURONS, Crossbar

GATE, OPEN_LOOP, AER_SOURCE, LAST_NEURON = 0, 1, 2, 3
"""Addresses of the registers.

Activity is gated, so that memories can be written. Spikes are kept out of the queue. They are sent
as they are fired.
"""
_WRITE, _NEURON, _SYNAPSE = 1 << 18, 1 << 16, 2 << 16
PER_WORD = 8
"""Weights in a word of the synapse memory."""
ROW = NEURONS // PER_WORD
SYNAPSE_WORDS = NEURONS * ROW


def neuron_memory(bar: Crossbar) -> list[int]:
    """Return the 256 words: leak, threshold, and a membrane of 0.

    Neurons that are not there are disabled.
    """
    used = [
        (int(leak) << 24) | (int(threshold) << 12)
        for threshold, leak in zip(bar.thresholds, bar.leaks, strict=True)
    ]
    return used + [1 << 31] * (NEURONS - len(used))


def synapse_memory(bar: Crossbar) -> list[int]:
    """Return the 8192 words: 32 a row, 8 weights of 4 bits in each.

    The first weight is in the lowest bits.
    """
    whole = np.zeros((NEURONS, NEURONS), np.int64)
    whole[: bar.weights.shape[0], : bar.weights.shape[1]] = bar.weights
    nibbles = (whole & 15).reshape(SYNAPSE_WORDS, PER_WORD)
    return [int(word) for word in (nibbles << 4 * np.arange(PER_WORD)).sum(axis=1)]


def program(bar: Crossbar) -> Iterator[int]:
    """Yield all words that program the machine, in order; a pulse of RST is due after them."""
    rows, columns = bar.weights.shape
    for register, value in ((GATE, 1), (OPEN_LOOP, 1), (AER_SOURCE, 0), (LAST_NEURON, columns - 1)):
        yield (register << 20) | value
    neurons, synapses = neuron_memory(bar), synapse_memory(bar)
    for number in range(columns):
        for byte in range(4):
            yield _byte(_NEURON | byte << 8 | number, neurons[number] >> 8 * byte)
    for row in range(rows):
        for word in range(row * ROW, row * ROW + -(-columns // PER_WORD)):
            for byte in range(4):
                yield _byte(_SYNAPSE | byte << 13 | word, synapses[word] >> 8 * byte)
    yield GATE << 20


def clear(bar: Crossbar) -> Iterator[int]:
    """Yield the words that set every membrane to 0, before a sample."""
    yield (GATE << 20) | 1
    for number in range(bar.weights.shape[1]):
        yield _byte(_NEURON | number, 0)
        yield _byte(_NEURON | 1 << 8 | number, 0, keep=0xF0)
    yield GATE << 20


def _byte(address: int, value: int, keep: int = 0) -> int:
    """Return a word that writes a byte; bits of `keep` stay as they are."""
    return ((_WRITE | address) << 20) | (keep << 8) | (value & 0xFF)
