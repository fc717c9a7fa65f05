"""Smallest changes of a network, each of which a comparison must notice.

It compares spikes and membranes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from lehr.arithmetic import Arithmetic, BiasTo, Synapse
from lehr.errors import LehrError
from lehr.network import Network, Neuron
from lehr.nodes import Node
from lehr.update import Leak, Program

Mutate = Callable[[Network], Iterator[Network]]
MOST = 12
"""Channels, or weights, that are tried of a layer."""


def one_higher_threshold(net: Network, channel: int = 0) -> Network:
    """Return the network with one threshold one unit higher.

    It is the one of a channel of the first layer, whose spikes all the others depend on.
    """
    name, neuron = next(iter(net.neurons.items()))
    return _with(net, name, replace(neuron, threshold=_one_more(neuron.threshold, channel)))


def thresholds(net: Network) -> Iterator[Network]:
    """Yield networks with one threshold one unit higher.

    For machines that have but one, all of a layer are, or all of the network.
    """
    yield from _parameter(net, "threshold")
    firing = {
        name: neuron
        for name, neuron in net.neurons.items()
        if "threshold" in neuron.program.parameters
    }
    higher = {
        name: replace(neuron, threshold=neuron.threshold + 1) for name, neuron in firing.items()
    }
    yield replace(net, nodes={**net.nodes, **higher})


def biases(net: Network) -> Iterator[Network]:
    """Yield networks with one bias one unit higher, where there are any."""
    yield from _parameter(net, "bias")


def no_bias(net: Network) -> Iterator[Network]:
    """Yield networks in which a layer has lost its bias."""
    for name, neuron in reversed([*net.neurons.items()]):
        if neuron.bias.any():
            yield _with(net, name, replace(neuron, bias=np.zeros_like(neuron.bias)))


def others(net: Network) -> Iterator[Network]:
    """Yield networks with one of the other parameters of a program one unit higher."""
    for name in sorted({name for neuron in net.neurons.values() for name in neuron.parameters}):
        yield from _parameter(net, name)


def weights(net: Network) -> Iterator[Network]:
    """Yield networks in which one weight has the other sign.

    Where its kind has steps of one, it is changed by one.
    """
    for name, node in net.weighted.items():
        for index in range(min(node.weight.size, MOST)):
            weight = node.weight.copy()
            weight.flat[-1 - index] += _step(int(weight.flat[-1 - index]), node.kind)
            yield _with(net, name, replace(node, weight=weight))


def numbers(net: Network) -> Iterator[Network]:
    """Yield networks with one unit more in a node that is neither weights nor neurons.

    It is added to a factor, or to the steps of one value.
    """
    for name, node in net.nodes.items():
        values = {f.name: getattr(node, f.name) for f in fields(node)}  # type: ignore[arg-type]
        for field, array in (
            values.items() if name not in net.weighted and name not in net.neurons else ()
        ):
            for index in range(min(array.size, MOST)) if isinstance(array, np.ndarray) else ():
                try:
                    yield _with(net, name, replace(node, **{field: _one_more(array, index)}))  # type: ignore[type-var]
                except LehrError:  # it is the greatest that there is
                    continue


def leaks(net: Network) -> Iterator[Network]:
    """Yield networks in which a layer leaks a little more or less.

    The change is one unit of a numerator, or one bit of a shift.
    """
    for name, neuron in reversed([*net.neurons.items()]):
        if isinstance(neuron.arithmetic, Program):
            for program in _other_leaks(neuron.arithmetic):
                yield from _changed(net, name, neuron, arithmetic=program)
        else:
            for leak in _other_decays(neuron.arithmetic):
                yield from _changed(net, name, neuron, arithmetic=leak)


def synapses(net: Network) -> Iterator[Network]:
    """Yield networks in which the currents of a layer leak a little more or less."""
    for name, neuron in reversed([*net.neurons.items()]):
        for leak in _other_decays(neuron.synapse) if neuron.synapse else ():
            yield from _changed(net, name, neuron, synapse=leak)


def other_state(net: Network) -> Iterator[Network]:
    """Yield networks in which the bias of a layer goes to its other state."""
    for name, neuron in reversed([*net.neurons.items()]):
        if neuron.synapse and neuron.bias.any():
            to: BiasTo = "membrane" if neuron.synapse.bias_to == "synapse" else "synapse"
            yield from _changed(net, name, neuron, synapse=replace(neuron.synapse, bias_to=to))


MUTATIONS: Mapping[str, Mutate] = MappingProxyType(
    {
        "threshold": thresholds,
        "weight": weights,
        "number": numbers,
        "decay": leaks,
        "bias": biases,
        "no_bias": no_bias,
        "synapse": synapses,
        "bias_to": other_state,
        "parameter": others,
    }
)


# -------------------------------------------------------------------- parts
def _with(net: Network, name: str, node: Node) -> Network:
    return replace(net, nodes={**net.nodes, name: node})


def _changed(net: Network, name: str, neuron: Neuron, **changes: Any) -> Iterator[Network]:
    """Yield the network with changed neurons, unless their arithmetic contradicts itself."""
    try:
        yield _with(net, name, replace(neuron, **changes))
    except LehrError:
        return


def _one_more(array: Any, index: int) -> Any:
    more = array.copy()
    more.flat[index] += 1
    return more


def _parameter(net: Network, name: str) -> Iterator[Network]:
    for layer, neuron in net.neurons.items():
        if name not in neuron.program.parameters or not (array := neuron.values[name]).any():
            continue
        each = (_one_more(array, index) for index in range(min(array.size, MOST)))
        # some machines have one for all, or but multiples of a power of two
        for more in (*each, array + 1, array + _lowest_bit(array)):
            whole = (
                {name: more}
                if name in ("threshold", "bias")
                else {"parameters": {**neuron.parameters, name: more}}
            )
            yield from _changed(net, layer, neuron, **whole)


def _lowest_bit(array: Any) -> int:
    """Return the greatest power of two of which all are multiples."""
    common = int(np.gcd.reduce(array.astype(np.int64), axis=None))
    return common & -common


def _step(weight: int, kind: str) -> int:
    return -2 * weight if kind == "binary" else 1 if weight < 1 else -1


def _other_decays(state: Arithmetic | Synapse) -> Iterator[Arithmetic | Synapse]:
    for numerator, shift in _near(state.decay_form, state.decay_numerator, state.decay_shift):
        try:
            yield replace(state, decay_numerator=numerator, decay_shift=shift)
        except LehrError:
            continue


def _other_leaks(program: Program) -> Iterator[Program]:
    for number, s in enumerate(program.statements):
        if not (
            isinstance(s, Leak)
            and isinstance(s.decay.numerator, int)
            and isinstance(s.decay.shift, int)
        ):
            continue
        for numerator, shift in _near(s.decay.form, s.decay.numerator, s.decay.shift):
            other = replace(s, decay=replace(s.decay, numerator=numerator, shift=shift))
            try:
                yield Program(
                    (*program.statements[:number], other, *program.statements[number + 1 :]),
                    program.membrane,
                )
            except LehrError:
                continue


def _near(form: str, numerator: int, shift: int) -> Iterator[tuple[int, int]]:
    """Numerators and shifts one unit away."""
    if form == "shift":
        yield from (((1 << near) - 1, near) for near in (shift - 1, shift + 1) if near >= 0)
    elif form == "dash":
        yield from ((0, near) for near in (shift - 1, shift + 1) if near >= 0)
    else:
        yield from ((near, shift) for near in (numerator - 1, numerator + 1) if near >= 0)
