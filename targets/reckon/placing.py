"""Numbers into memories: which weights go where, with which shift, and whether there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.reckon.cells import ALPHA_ONE, KAPPA_ONE, Cells
from lehr.targets.reckon.layout import INPUTS, NEURONS, RELAY, Layout, Line
from lehr.targets.reckon.memories import common_shift, fits, rows
from lehr.targets.wiring import Connection, sizes

IN, RECURRENT, OUT = range(3)
"""The memories of weights: from input lines, between neurons, and to output neurons."""


@dataclass(frozen=True)
class _Block:
    """The weights of a connection with their fraction bits, and the memory that they go to."""

    memory: int
    wire: Connection
    weights: Int64


def placed(
    net: Network, own: Mapping[str, Cells], late: Mapping[str, int], wires: Sequence[Connection]
) -> Layout | tuple[Problem, ...]:
    """Return the network on the machine, or why there is no room.

    Args:
        net: the network.
        own: its neurons in the numbers of the machine, by layer.
        late: by how many steps each layer, and the input, runs late.
        wires: all connections.
    """
    output = own[net.output]
    if output.integrates and output.bias.any() and late[net.output] == 0:
        late = {name: lag + 1 for name, lag in late.items()}  # its relays fire a step before
    firing = {name: cell for name, cell in own.items() if not cell.integrates}
    blocks = [_block(wire, own) for wire in wires]
    if deaf := [
        block.wire.target
        for block in blocks
        if block.memory == IN and own[block.wire.target].integrates
    ]:
        return (
            Problem(
                deaf[0],
                "it hears the input, the machine's output neurons hear neurons alone",
                "put a layer between",
            ),
        )
    shifts = _shifts(firing, output, blocks)
    if wide := [
        _too_wide(block, shifts[block.memory])
        for block in blocks
        if not fits(block.weights, shifts[block.memory])
    ]:
        return tuple(wide)
    relayed = rows(output.bias, shifts[OUT]) if output.integrates else []
    places, pairs = _pairs(firing, (1 << shifts[IN], ALPHA_ONE), len(relayed))
    lines = _lines(firing, late, places, 2 * len(pairs), shifts[IN], late[net.output] - 1)
    if refusals := _no_room(net, firing, 2 * len(pairs), len(lines)):
        return refusals
    w_in, w_rec, w_out = _memories(net, blocks, places, 2 * len(pairs), lines, shifts)
    for place, row in zip(places.get(RELAY, ()), relayed, strict=True):
        w_out[place] = row
    kappa = int(output.alpha[0]) if output.integrates else KAPPA_ONE
    # spikes of the last step are counted in one more
    steps = net.steps + late[net.output] + (not output.integrates)
    return Layout(own, late, places, pairs, lines, w_in, w_rec, w_out, shifts, kappa, steps)


def _block(wire: Connection, own: Mapping[str, Cells]) -> _Block:
    target = own[wire.target]
    memory = IN if wire.source == INPUT else OUT if target.integrates else RECURRENT
    return _Block(memory, wire, wire.weights << target.shift)


def _shifts(
    firing: Mapping[str, Cells], output: Cells, blocks: Sequence[_Block]
) -> tuple[int, int, int]:
    """Return the shifts of the three memories.

    Biases count with the weights that stand beside them.
    """
    values: tuple[list[Int64], ...] = [cell.bias for cell in firing.values()], [], []
    values[OUT].append(output.bias if output.integrates else np.ones(1, np.int64))
    for block in blocks:
        values[block.memory].append(block.weights)
    w_in, w_rec, w_out = (common_shift(numbers) for numbers in values)
    return w_in, w_rec, w_out


def _too_wide(block: _Block, shift: int) -> Problem:
    low, high = int(block.weights.min()), int(block.weights.max())
    reason = (
        f"its weights from {block.wire.source} are {low:,}..{high:,} with fraction bits, the "
        f"machine holds -128..127 times {1 << shift}"
    )
    way_out = "use fewer fraction bits, or no biases: all numbers of a memory have one shift"
    return Problem(block.wire.target, f"{reason} there", way_out)


def _no_room(
    net: Network, firing: Mapping[str, Cells], places: int, lines: int
) -> tuple[Problem, ...]:
    inputs, refusals = int(np.prod(net.input.shape)), []
    if places > NEURONS:
        reason = (
            f"{places} places of neurons are needed, as two share threshold and decay, the "
            f"machine has {NEURONS}"
        )
        refusals.append(
            Problem(
                max(firing, key=lambda name: firing[name].threshold.size),
                reason,
                "use fewer neurons, or more that are alike",
            )
        )
    if inputs + lines > INPUTS:
        reason = f"{inputs} input lines and {lines} for biases are needed, the machine has {INPUTS}"
        refusals.append(
            Problem(net.targets(INPUT)[0], reason, "use fewer inputs, or smaller biases")
        )
    return tuple(refusals)


def _memories(
    net: Network,
    blocks: Sequence[_Block],
    places: Mapping[str, Int64],
    count: int,
    lines: Sequence[Line],
    shifts: Sequence[int],
) -> tuple[Int64, Int64, Int64]:
    """Return the three memories, without the relays' rows.

    They are `[lines, places]`, `[places, places]` and `[places, outputs]`.
    """
    inputs, classes = int(np.prod(net.input.shape)), sizes(net)[net.output]
    memories = tuple(
        np.zeros(shape, np.int64)
        for shape in ((inputs + len(lines), count), (count, count), (count, classes))
    )
    for block in blocks:
        heard = np.arange(inputs) if block.memory == IN else places[block.wire.source]
        columns = np.arange(classes) if block.memory == OUT else places[block.wire.target]
        memories[block.memory][np.ix_(heard, columns)] += block.weights >> shifts[block.memory]
    for number, line in enumerate(lines, inputs):
        memories[IN][number] = line.weights
    if net.output in places:
        memories[OUT][places[net.output], np.arange(classes)] = 1
    return memories[IN], memories[RECURRENT], memories[OUT]


def _pairs(
    firing: Mapping[str, Cells], relay: tuple[int, int], relays: int
) -> tuple[dict[str, Int64], tuple[tuple[int, int], ...]]:
    """Return the places of all neurons, and the threshold and alpha of each pair.

    Those that have both alike stand side by side.
    """
    entries = [((relay[0], relay[1]), RELAY, number) for number in range(relays)]
    for name, cell in firing.items():
        keys = zip(cell.threshold.tolist(), cell.alpha.tolist(), strict=True)
        entries += [(key, name, number) for number, key in enumerate(keys)]
    places: dict[str, Int64] = {
        name: np.zeros(cell.threshold.size, np.int64) for name, cell in firing.items()
    }
    if relays:
        places[RELAY] = np.zeros(relays, np.int64)
    pairs: list[tuple[int, int]] = []
    for key, alike in groupby(
        sorted(entries, key=lambda entry: entry[0]), key=lambda entry: entry[0]
    ):
        start = 2 * len(pairs)
        count = 0
        for _, name, number in alike:
            places[name][number] = start + count
            count += 1
        pairs += [key] * ((count + 1) // 2)
    return places, tuple(pairs)


def _lines(
    firing: Mapping[str, Cells],
    late: Mapping[str, int],
    places: Mapping[str, Int64],
    count: int,
    shift: int,
    relayed: int,
) -> tuple[Line, ...]:
    """Input lines for biases: layers that start in one step share them; each relay has one."""
    result = []
    for start in sorted({late[name] for name in firing}):
        biases = np.zeros(count, np.int64)
        for name, cell in firing.items():
            if late[name] == start:
                biases[places[name]] = cell.bias
        result += [Line(start, row) for row in rows(biases, shift)]
    for place in places.get(RELAY, ()):
        weights = np.zeros(count, np.int64)
        weights[place] = 1
        result.append(Line(relayed, weights))
    return tuple(result)
