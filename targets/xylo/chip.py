"""A network on Xylo's core: 16 inputs, 1,000 hidden neurons that hear each other, 8 outputs.

Layers of neurons become blocks of the hidden population, what is between them blocks of its matrix.
Spikes of hidden neurons arrive one step later, at outputs too; those of the input in the same step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import INPUT, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.rooms import outside
from lehr.targets.wiring import Connection, connections, lags, sizes
from lehr.targets.xylo.form import HIDDEN_SPIKES, NEVER, OUTPUT_SPIKES, STATE, Cells, cells

INPUTS, HIDDEN, OUTPUTS = 16, 1000, 8
FAN_OUT, RECURRENT = 63, 32_000
MOST_SHIFT = 7
WEIGHT = (-128, 127)


@dataclass(frozen=True)
class Weights:
    """Matrix of weights, one of the three.

    `values` are `[sources, targets]`, within 8 bits, each shifted to the left by `shift`.
    """

    values: Int64
    shift: int


@dataclass(frozen=True)
class Layer:
    """Place of a layer of the network.

    Attributes:
        name: in the network.
        first: its first neuron, counted in its population.
        size: how many neurons.
        lag: by how many steps it runs late.
        cells: what is kept of each neuron.
    """

    name: str
    first: int
    size: int
    lag: int
    cells: Cells


@dataclass(frozen=True)
class Chip:
    """A network, placed.

    Attributes:
        hidden: layers of the hidden population, in order.
        output: the layer that is read out.
        lag: steps by which the input comes late.
        into, recurrent, out: weights from the input to hidden neurons, among these, and from these
            to the outputs.
    """

    hidden: tuple[Layer, ...]
    output: Layer
    lag: int
    into: Weights
    recurrent: Weights
    out: Weights

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers of both populations."""
        return (*self.hidden, self.output)


def placed(net: Network) -> Chip | tuple[Problem, ...]:
    """Return a network on the chip, or all reasons why it is not."""
    size, cells_by_name = (
        sizes(net),
        {name: cells(net, name, count) for name, count in sizes(net).items()},
    )
    known = {name: each for name, each in cells_by_name.items() if isinstance(each, Cells)}
    wrong = [each for each in cells_by_name.values() if isinstance(each, Problem)]
    if wrong := [*wrong, *_counts(net, size), *_edges(net), *_spikes(net, known)]:
        return tuple(wrong)
    late = lags(net, 0)
    if isinstance(late, tuple):
        return late
    hidden, at = [], 0
    for name in (name for name in net.neurons if name != net.output):
        hidden.append(Layer(name, at, size[name], late[name], known[name]))
        at += size[name]
    output = Layer(net.output, 0, size[net.output], late[net.output], known[net.output])
    chip = _wired(net, tuple(hidden), output, late[INPUT])
    if isinstance(chip, Chip):
        wrong = [
            *_fan_out(chip),
            *_starts(chip),
            *(problem for layer in chip.layers for problem in _rails(net, layer)),
        ]
        return tuple(wrong) or chip
    return chip


# -------------------------------------------------------------------- what does not fit
def _counts(net: Network, size: Mapping[str, int]) -> Iterator[Problem]:
    inputs, hidden = (
        int(np.prod(net.input.shape)),
        sum(count for name, count in size.items() if name != net.output),
    )
    first = next(iter(net.neurons))
    if inputs > INPUTS:
        yield Problem(
            first,
            f"the network has {inputs:,} inputs, the chip has {INPUTS}",
            "put channels of the input together",
        )
    if hidden > HIDDEN:
        yield Problem(
            first,
            f"the layers before the last have {hidden:,} neurons, the chip has {HIDDEN:,}",
            "use smaller layers",
        )
    if size[net.output] > OUTPUTS:
        hint = f"train with at most {OUTPUTS} classes"
        yield Problem(
            net.output, f"it has {size[net.output]} neurons, the chip has {OUTPUTS} outputs", hint
        )


def _edges(net: Network) -> Iterator[Problem]:
    for each in connections(net):
        if each.source == net.output:
            yield Problem(
                each.target,
                f"it hears {each.source}, and outputs of the chip reach no neuron",
                "leave that edge out",
            )
        elif each.source == INPUT and each.target == net.output:
            yield Problem(
                each.target,
                "it hears the input, which reaches hidden neurons alone",
                "put a layer of neurons between them",
            )


def _spikes(net: Network, known: Mapping[str, Cells]) -> Iterator[Problem]:
    for name, each in known.items():
        if name == net.output:
            if each.up_to > OUTPUT_SPIKES:
                reason = (
                    f"it fires up to {each.up_to} times a step, an output of the chip fires "
                    f"{OUTPUT_SPIKES} time"
                )
                yield Problem(name, reason, f"train its last layer with up to {OUTPUT_SPIKES}")
        elif each.up_to != HIDDEN_SPIKES:
            reason = (
                f"it fires up to {each.up_to} times a step, a hidden neuron of the chip up to "
                f"{HIDDEN_SPIKES} times"
            )
            yield Problem(name, reason, f"train it with up to {HIDDEN_SPIKES}")


def _fan_out(chip: Chip) -> Iterator[Problem]:
    counts = np.count_nonzero(chip.recurrent.values, axis=1)
    for layer in chip.hidden:
        most = int(counts[layer.first : layer.first + layer.size].max())
        if most > FAN_OUT:
            reason = (
                f"one of its neurons reaches {most:,} hidden neurons, the chip has room for "
                f"{FAN_OUT}"
            )
            yield Problem(
                layer.name, reason, "use a smaller layer behind it, or weights that are 0"
            )
    if counts.sum() > RECURRENT:
        reason = (
            f"there are {counts.sum():,} synapses between hidden neurons, the chip has room for "
            f"{RECURRENT:,}"
        )
        yield Problem(chip.hidden[-1].name, reason, "use smaller layers, or weights that are 0")


def _starts(chip: Chip) -> Iterator[Problem]:
    """Yield the layers that run late and whose bias would act before their first step."""
    for layer in chip.layers:
        if layer.lag and layer.cells.bias.any():
            reason = (
                f"its biases would act {layer.lag} steps before its first input, as each hop "
                "takes a step"
            )
            yield Problem(
                layer.name,
                reason,
                "put a Delay of 1 step before each layer behind the first, or train it without "
                "biases",
            )


def _rails(net: Network, layer: Layer) -> Iterator[Problem]:
    """Yield where the chip does something else than the program at the ends of a register.

    It adds to a synapse spike by spike, and saturates each time: the order counts unless all
    weights of a neuron have one sign. Its decay of a membrane of -32768 by a dash of 0 is -32768,
    of the wrong sign. An integrator is an output with the highest threshold.
    """
    arriving = np.concatenate(
        [each.weights for each in connections(net) if each.target == layer.name]
    )
    if ((arriving > 0).any(axis=0) & (arriving < 0).any(axis=0)).any():
        yield from outside(net, layer.name, {"i": STATE})
    if not layer.cells.up_to:
        yield from outside(net, layer.name, {"v": (STATE[0] + 1, NEVER - 1)})
    elif not layer.cells.dash_mem.all():
        yield from outside(net, layer.name, {"v": (STATE[0] + 1, STATE[1])})


# -------------------------------------------------------------------- matrices
def _wired(
    net: Network, hidden: tuple[Layer, ...], output: Layer, lag: int
) -> Chip | tuple[Problem, ...]:
    place, neurons = (
        {layer.name: layer for layer in (*hidden, output)},
        sum(layer.size for layer in hidden),
    )
    whole = {
        "into": np.zeros((int(np.prod(net.input.shape)), neurons), np.int64),
        "recurrent": np.zeros((neurons, neurons), np.int64),
        "out": np.zeros((neurons, output.size), np.int64),
    }
    for each in connections(net):
        matrix = whole[
            "into" if each.source == INPUT else "out" if each.target == output.name else "recurrent"
        ]
        _block(matrix, each, place)[...] += each.weights << place[each.target].cells.shift
    matrices = {name: _shifted(matrix) for name, matrix in whole.items()}
    wrong = [
        _too_wide(net, name, matrix, matrices[name])
        for name, matrix in whole.items()
        if not _fits(matrices[name].values)
    ]
    return tuple(wrong) or Chip(hidden, output, lag, **matrices)


def _block(matrix: Int64, each: Connection, place: Mapping[str, Layer]) -> Int64:
    target = place[each.target]
    start = place[each.source].first if each.source in place else 0
    return matrix[start : start + len(each.weights), target.first : target.first + target.size]


def _shifted(matrix: Int64) -> Weights:
    """Return a matrix with as many of the places that all of it is shifted by as the chip has."""
    bits = int(np.bitwise_or.reduce(np.abs(matrix), axis=None))
    shift = min((bits & -bits).bit_length() - 1, MOST_SHIFT) if bits else 0
    return Weights(matrix >> shift, shift)


def _fits(values: Int64) -> bool:
    return bool(((values >= WEIGHT[0]) & (values <= WEIGHT[1])).all())


def _too_wide(net: Network, name: str, matrix: Int64, weights: Weights) -> Problem:
    worst = int(matrix.flat[int(np.abs(matrix).argmax())])
    where = {
        "into": "of the input",
        "recurrent": "between hidden neurons",
        "out": "of the outputs",
    }[name]
    target = net.output if name == "out" else next(iter(net.neurons))
    reason = (
        f"the weights {where} reach {worst:,}, 8 bits with one shift of up to {MOST_SHIFT} for "
        "all of them do not hold them"
    )
    return Problem(
        target,
        reason,
        "use one shift for them, or smaller weights; here they would be "
        f"{weights.values.min()}..{weights.values.max()}",
    )
