"""Where everything of a network stands on ReckOn: neurons in pairs that share threshold and decay, layers as blocks, biases as lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.reckon.cells import ALPHA_ONE, HIGHEST, KAPPA_ONE, Cells, cells
from lehr.targets.reckon.memories import common_shift, fits, rows
from lehr.targets.reckon.rails import problems as rail_problems
from lehr.targets.wiring import Connection, connections, lags, sizes

INPUTS = NEURONS = 256
OUTPUTS = 16
RELAY = "relay"
"""What the map calls neurons that pass the bias of integrators on: output neurons hear neurons alone."""


@dataclass(frozen=True)
class Line:
    """An input line beside the network's own, fired by the host in every step from one on.

    Attributes:
        start: its first step, of the machine's.
        weights: to all places, before the shift.
    """

    start: int
    weights: Int64


@dataclass(frozen=True)
class Layout:
    """A network on the machine.

    Attributes:
        cells: by layer.
        late: by how many steps each layer, and `input`, runs late.
        places: of the neurons of each layer that fires, and of relays, by name.
        pairs: threshold and alpha of places 2i and 2i + 1.
        lines: input lines behind the network's own.
        w_in, w_rec, w_out: the three memories, `[lines, places]`, `[places, places]`, `[places, outputs]`, before their shifts.
        shifts: of the three.
        kappa: of output neurons; those that count spikes forget nothing.
        steps: that the machine takes for a sample.
    """

    cells: Mapping[str, Cells]
    late: Mapping[str, int]
    places: Mapping[str, Int64]
    pairs: tuple[tuple[int, int], ...]
    lines: tuple[Line, ...]
    w_in: Int64
    w_rec: Int64
    w_out: Int64
    shifts: tuple[int, int, int]
    kappa: int
    steps: int

    @property
    def resets_to_zero(self) -> bool:
        """Whether all neurons that fire are set to 0, else their threshold is subtracted."""
        return any(own.reset == "zero" for own in self.cells.values())


def layout(net: Network) -> Layout | tuple[Problem, ...]:
    """A network on the machine, or every reason that is known why there is none."""
    if found := _kinds(net):
        return tuple(found)
    own, found = dict[str, Cells](), list[Problem]()
    for name, size in sizes(net).items():
        made = cells(name, net.neurons[name], size)
        if isinstance(made, Cells):
            own[name] = made
        else:
            found += made
    if found:
        return tuple(found)
    wires = connections(net)
    for name in own:
        found += rail_problems(net, name, own[name], [each for each in wires if each.target == name])
    late = lags(net, 0)
    if isinstance(late, tuple):
        return (*found, *late)
    found += [*_resets(own), *_ends(net, late)]
    return tuple(found) or _placed(net, own, late, wires)


def _kinds(net: Network) -> list[Problem]:
    """What is wrong before any number is looked at."""
    first, output, found = net.targets(INPUT)[0], net.neurons[net.output], []
    if net.input.kind != "spikes":
        found.append(Problem(first, "the input is pixels, the machine takes an event a line and step", "encode it as spikes"))
    found += [
        Problem(name, "its neurons never fire and are not read out, and the machine's output neurons are", "leave it out")
        for name, neuron in net.neurons.items()
        if neuron.integrates and name != net.output
    ]
    if net.readout != "count_argmax_lowest" and not output.integrates:
        reason = "its membranes are read out and its neurons fire, the machine reads those of output neurons, which never fire"
        found.append(Problem(net.output, reason, "count its spikes, or let it never fire"))
    if (classes := sizes(net)[net.output]) > OUTPUTS:
        found.append(Problem(net.output, f"it has {classes} neurons, the machine decides between {OUTPUTS} classes", "use fewer classes"))
    return found


def _resets(own: Mapping[str, Cells]) -> list[Problem]:
    kinds = {cell.reset: name for name, cell in own.items() if not cell.integrates}
    if len(kinds) < 2:
        return []
    reason = f"it resets to zero, {kinds['subtract']} by subtraction, the machine all neurons alike"
    return [Problem(kinds["zero"], reason, "train with one reset")]


def _ends(net: Network, late: Mapping[str, int]) -> list[Problem]:
    """Layers that are still at work when the output has ended, and too many steps to count."""
    found = [
        Problem(name, f"it runs {late[name] - late[net.output]} steps behind the output, where a sample ends", "leave it out")
        for name in net.neurons
        if late[name] > late[net.output]
    ]
    if net.steps > HIGHEST and net.readout == "count_argmax_lowest":
        found.append(Problem(net.output, f"{net.steps:,} steps are counted, the machine counts to {HIGHEST:,}", "use fewer steps"))
    return found


# -------------------------------------------------------------------- numbers into memories
def _placed(
    net: Network, own: Mapping[str, Cells], late: Mapping[str, int], wires: tuple[Connection, ...]
) -> Layout | tuple[Problem, ...]:
    output = own[net.output]
    if output.integrates and output.bias.any() and late[net.output] == 0:
        late = {name: lag + 1 for name, lag in late.items()}  # its relays fire a step before
    firing = {name: cell for name, cell in own.items() if not cell.integrates}
    values: dict[str, list[Int64]] = {"in": [cell.bias for cell in firing.values()], "rec": [], "out": []}
    scaled = []
    for each in wires:
        memory = "in" if each.source == INPUT else "out" if own[each.target].integrates else "rec"
        if memory == "in" and own[each.target].integrates:
            return (Problem(each.target, "it hears the input, the machine's output neurons hear neurons alone", "put a layer between"),)
        weights = each.weights << own[each.target].shift
        scaled.append((memory, each, weights))
        values[memory].append(weights)
    values["out"].append(output.bias if output.integrates else np.ones(1, np.int64))
    shifts = {memory: common_shift(numbers) for memory, numbers in values.items()}
    if wide := [_too_wide(each, weights, shifts[memory]) for memory, each, weights in scaled if not fits(weights, shifts[memory])]:
        return tuple(wide)
    relayed = rows(output.bias, shifts["out"]) if output.integrates else []
    places, pairs = _pairs(firing, (1 << shifts["in"], ALPHA_ONE), len(relayed))
    lines = _lines(firing, late, places, 2 * len(pairs), shifts["in"], late[net.output] - 1)
    inputs = int(np.prod(net.input.shape))
    first = net.targets(INPUT)[0]
    found = []
    if 2 * len(pairs) > NEURONS:
        reason = f"{2 * len(pairs)} places of neurons are needed, as two share threshold and decay, the machine has {NEURONS}"
        found.append(Problem(max(firing, key=lambda name: firing[name].threshold.size), reason, "use fewer neurons, or more that are alike"))
    if inputs + len(lines) > INPUTS:
        reason = f"{inputs} input lines and {len(lines)} for biases are needed, the machine has {INPUTS}"
        found.append(Problem(first, reason, "use fewer inputs, or smaller biases"))
    if found:
        return tuple(found)
    count, classes = 2 * len(pairs), sizes(net)[net.output]
    made = {
        "in": np.zeros((inputs + len(lines), count), np.int64),
        "rec": np.zeros((count, count), np.int64),
        "out": np.zeros((count, classes), np.int64),
    }
    for memory, each, weights in scaled:
        heard = np.arange(inputs) if memory == "in" else places[each.source]
        told = np.arange(classes) if memory == "out" else places[each.target]
        made[memory][np.ix_(heard, told)] += weights >> shifts[memory]
    for number, line in enumerate(lines):
        made["in"][inputs + number] = line.weights
    for place, row in zip(places.get(RELAY, ()), relayed, strict=True):
        made["out"][place] = row
    if not output.integrates:
        made["out"][places[net.output], np.arange(classes)] = 1
    kappa = int(output.alpha[0]) if output.integrates else KAPPA_ONE
    shift = shifts["in"], shifts["rec"], shifts["out"]
    steps = net.steps + late[net.output] + (not output.integrates)  # spikes of the last step are counted in one more
    return Layout(own, late, places, pairs, lines, made["in"], made["rec"], made["out"], shift, kappa, steps)


def _too_wide(each: Connection, weights: Int64, shift: int) -> Problem:
    low, high = int(weights.min()), int(weights.max())
    reason = f"its weights from {each.source} are {low:,}..{high:,} with fraction bits, the machine holds -128..127 times {1 << shift} there"
    way_out = "use fewer fraction bits, or no biases: all numbers of a memory have one shift"
    return Problem(each.target, reason, way_out)


def _pairs(firing: Mapping[str, Cells], relay: tuple[int, int], relays: int) -> tuple[dict[str, Int64], tuple[tuple[int, int], ...]]:
    """Places of all neurons, and the threshold and alpha of each pair: those that have both alike stand side by side."""
    entries = [((relay[0], relay[1]), RELAY, number) for number in range(relays)]
    for name, cell in firing.items():
        keys = zip(cell.threshold.tolist(), cell.alpha.tolist(), strict=True)
        entries += [(key, name, number) for number, key in enumerate(keys)]
    places: dict[str, Int64] = {name: np.zeros(cell.threshold.size, np.int64) for name, cell in firing.items()}
    if relays:
        places[RELAY] = np.zeros(relays, np.int64)
    pairs: list[tuple[int, int]] = []
    for key, alike in groupby(sorted(entries, key=lambda entry: entry[0]), key=lambda entry: entry[0]):
        start = 2 * len(pairs)
        count = 0
        for _, name, number in alike:
            places[name][number] = start + count
            count += 1
        pairs += [key] * ((count + 1) // 2)
    return places, tuple(pairs)


def _lines(
    firing: Mapping[str, Cells], late: Mapping[str, int], places: Mapping[str, Int64], count: int, shift: int, relayed: int
) -> tuple[Line, ...]:
    """Input lines for biases: layers that start in one step share them; each relay has one."""
    made = []
    for start in sorted({late[name] for name in firing}):
        biases = np.zeros(count, np.int64)
        for name, cell in firing.items():
            if late[name] == start:
                biases[places[name]] = cell.bias
        made += [Line(start, row) for row in rows(biases, shift)]
    for place in places.get(RELAY, ()):
        weights = np.zeros(count, np.int64)
        weights[place] = 1
        made.append(Line(relayed, weights))
    return tuple(made)
