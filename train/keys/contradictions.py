"""Contradictions in a recipe's network: what its neurons or shared thresholds do not hold.

All of it is found before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.machines import MACHINES
from lehr.network import Neuron
from lehr.spelling import nearest
from lehr.train.keys.arithmetic import ArithmeticRecipe
from lehr.train.keys.dynamics import own_keys
from lehr.train.keys.layer import Convolution, Integrator, Weighted
from lehr.train.keys.network import NetworkRecipe
from lehr.train.keys.updates import decay_parameters, others, update_of
from lehr.update import Program


def contradictions(net: NetworkRecipe) -> list[str]:
    """Sentences, "key is value, but ...; what to change"."""
    sentences = [
        *_of_machine(net),
        *_of_decays(net),
        *_of_biases(net),
        *_of_shares(net),
        *_of_layers(net),
    ]
    return sentences or [*_of_updates(net)]


# -------------------------------------------------------------------- how neurons compute
def _of_machine(net: NetworkRecipe) -> Iterator[str]:
    given, key = net.arithmetic, "network.arithmetic"
    if given is None:
        return
    if given.machine is None:
        for name in ("parameters", "output_spikes"):
            if getattr(given, name):
                yield (
                    f"{key}.{name} is {getattr(given, name)}, but fields of an arithmetic have "
                    "none; name a machine, or leave it out"
                )
        return
    program, named = MACHINES[given.machine], f"machine '{given.machine}'"
    for name, value in given.fields.items():
        yield f"{key}.{name} is {value!r}, but {named} says that itself; leave one out"
    yield from _of_own_keys(net, named)
    if program.loop is not None:
        once = ", ".join(name for name, other in MACHINES.items() if other.loop is None)
        yield (
            f"{key}.machine is '{given.machine}', which updates by event, and training updates "
            f"once a step; use one of {once}"
        )
        return
    if net.integrator is not None:
        yield (
            f"{net.key(len(net.weighted) - 1)} integrates, but {named} fires; use a linear "
            "layer with a threshold, or fields"
        )
    yield from _of_parameters(net, given, program)


def _of_own_keys(net: NetworkRecipe, named: str) -> Iterator[str]:
    for key, layer in _layers(net):
        for name in own_keys(layer):
            yield (
                f"{key}.{name} is given, but {named} says what the neurons of "
                "all layers compute; leave one out"
            )


def _of_parameters(net: NetworkRecipe, given: ArithmeticRecipe, program: Program) -> Iterator[str]:
    key, read, by_beta = "network.arithmetic.parameters", others(program), decay_parameters(program)
    for name, value in given.parameters.items():
        if name not in read:
            takes = f"reads {' and '.join(read)}" if read else "reads none"
            yield (
                f"{key}.{name} is {value}, but machine '{given.machine}' {takes}; "
                f"{nearest(name, read) or 'leave it out'}"
            )
        elif isinstance(value, tuple) and len(value) != len(net.weighted):
            yield (
                f"{key}.{name} has {len(value)} values for {len(net.weighted)} layers; give one "
                "for each, or one for all"
            )
        elif name in by_beta and net.beta is not None:
            yield (
                f"{key}.{name} is {value}, and network.beta is '{net.beta}': both set the "
                "membrane's decay; leave one out"
            )
    for name in read:
        if name not in given.parameters and not (name in by_beta and net.beta is not None):
            other = " or set network.beta" if name in by_beta else ""
            yield f"{key} has no {name}, which machine '{given.machine}' reads; add it{other}"


def _of_decays(net: NetworkRecipe) -> Iterator[str]:
    """Say which decays cannot be learned, as the form of all decays has few numbers."""
    if net.arithmetic is None or net.arithmetic.decay_form != "shift":
        return
    for key, layer in _layers(net):
        for name, decay in (("beta", layer.beta), ("alpha", layer.alpha)):
            if decay is not None and decay.learn is not None:
                yield (
                    f"{key}.{name} is learned, but "
                    "network.arithmetic.decay_form is 'shift', which has 1 - 1/2^n alone; use "
                    "'multiply', or a fraction such as '7/8'"
                )


def _of_updates(net: NetworkRecipe) -> Iterator[str]:
    """Yield what the classes of the integer network refuse, layer by layer, each sentence once."""
    refusals: dict[str, None] = {}
    machine = None if net.arithmetic is None else net.arithmetic.machine
    for number, (key, layer) in enumerate(_layers(net)):
        try:
            update = update_of(net, number)
            integers = update.integers(
                update.fraction_bits or 0,
                1,
                {x: np.array([float(decay.factor)]) for x, decay in update.learned.items()},
                None if update.adaptation is None else np.array([1], np.int32),
            )
            reads = isinstance(integers.arithmetic, Arithmetic) or (
                "threshold" in integers.arithmetic.parameters
            )
            Neuron(
                np.array([1 if reads and not update.integrates else 0]),
                np.zeros(1, int),
                integers.arithmetic,
                integers.synapse,
                integers.parameters,
            )
        except FileRefused as error:
            where = key if own_keys(layer) else "network.arithmetic"
            refusals[f"{where}: {f'machine {machine!r}: ' if machine else ''}{error}"] = None
    yield from refusals


# -------------------------------------------------------------------- biases
def _of_biases(net: NetworkRecipe) -> Iterator[str]:
    machine = None if net.arithmetic is None else net.arithmetic.machine
    lacks = machine is not None and "bias" not in MACHINES[machine].parameters
    if net.biases and not lacks:
        return
    why = f"machine '{machine}' has no bias" if lacks else "network.biases is false"
    for layer_key, layer in _layers(net):
        if layer.bias:
            yield f"{layer_key}.bias is true, but {why}; leave it out"
        if norm := _batch_norm(layer):
            yield (
                f"{layer_key}.batch_norm is {norm}, but {why}, and batch norm leaves one "
                "in each channel; leave it out"
            )


def _batch_norm(layer: Weighted) -> str:
    """Return a layer's batch norm as a recipe has it; nothing where there is none."""
    given = getattr(layer, "batch_norm", False)
    return "" if given is False else "true" if given is True else repr(given)


# -------------------------------------------------------------------- thresholds that are shared
def _of_shares(net: NetworkRecipe) -> Iterator[str]:
    shares, key = net.thresholds, "network.thresholds.share"
    if shares.multiple > 1 and (net.arithmetic is None or net.arithmetic.machine is None):
        for layer_key, layer in _layers(net):
            if layer.fraction_bits is None and not isinstance(layer, Integrator):
                yield (
                    f"network.thresholds.multiple is {shares.multiple}, but "
                    f"{layer_key}.fraction_bits does not say in which "
                    f"units; give it"
                )
    if shares.share == "channel":
        return
    for layer_key, layer in _layers(net):
        if norm := _batch_norm(layer):
            yield (
                f"{key} is '{shares.share}', but {layer_key}.batch_norm is {norm}, which "
                "leaves a threshold of its own in each "
                f"channel; leave one out"
            )
    if shares.share == "network":
        yield from _of_one_threshold(net)


def _of_one_threshold(net: NetworkRecipe) -> Iterator[str]:
    """Say what makes the thresholds of two layers differ.

    They do in a unit of their own, or on the way of annealing.
    """
    key = "network.thresholds.share is 'network'"
    firing = {
        layer_key: layer for layer_key, layer in _layers(net) if not isinstance(layer, Integrator)
    }
    ends = {at: layer.threshold.final or layer.threshold.start for at, layer in firing.items()}
    open_ended = [
        at
        for at, layer in firing.items()
        if not layer.threshold.held and layer.threshold.final is None
    ]
    for at in open_ended:
        yield (
            f"{key}, but {at}.threshold has no 'final' that all layers could "
            "share; give all the same"
        )
    if len(set(ends.values())) > 1 and not open_ended:
        listed = ", ".join(f"{end:g}" for end in ends.values())
        yield f"{key}, but the layers' thresholds end at {listed}; give all the same 'final'"
    bits = {at: layer.fraction_bits for at, layer in firing.items()}
    by_machine = net.arithmetic is not None and net.arithmetic.machine is not None
    if len(set(bits.values())) > 1 or (None in bits.values() and not by_machine):
        listed = ", ".join("none" if value is None else str(value) for value in bits.values())
        yield f"{key}, but the layers' fraction_bits are {listed}; give all the same"
    for at, layer in firing.items():
        if isinstance(layer, Convolution) and layer.geometry.area > 1:
            yield (
                f"{key}, but {at}.pool is {layer.pool}, which scales its "
                "threshold; use stride instead"
            )
    inherited = [layer for layer in firing.values() if layer.weights is None]
    if net.weights.startswith("int") and inherited:
        yield (
            f"{key}, but network.weights is '{net.weights}', of which each layer's are worth "
            "something else; use 'binarized' or 'ternary'"
        )
    for at, layer in firing.items():
        if layer.weights is not None and net.weights_of(layer).startswith("int"):
            yield (
                f"{key}, but {at}.weights is '{layer.weights}', which are worth something else "
                "than those of other layers; use 'binarized' or 'ternary'"
            )


# -------------------------------------------------------------------- layers
def _of_layers(net: NetworkRecipe) -> Iterator[str]:
    """Say what a layer's own keys contradict."""
    machine = None if net.arithmetic is None else net.arithmetic.machine
    for number, (key, layer) in enumerate(_layers(net)):
        weights = net.weights_of(layer)
        if layer.weight_step is not None and net.integer and not weights.startswith("int"):
            yield (
                f"{key}.weight_step is '{layer.weight_step}', but '{weights}' weights have none; "
                "leave it out"
            )
        if _batch_norm(layer) == "'step'" and getattr(layer, "recurrent", False):
            yield (
                f"{key}.batch_norm is 'step', but {key}.recurrent is true, whose spikes come back "
                "by one gain for all steps; use true, or leave one out"
            )
        if not isinstance(layer, Convolution) or layer.geometry.max_pool == (1, 1):
            continue
        if number == len(net.weighted) - 1:
            yield (
                f"{key}.max_pool is {layer.max_pool}, but the last layer's own spikes are read "
                "out; use stride instead, or leave it out"
            )
        if machine is not None and MACHINES[machine].most_spikes > 1:
            yield (
                f"{key}.max_pool is {layer.max_pool}, which is an OR of single spikes, but machine "
                f"'{machine}' fires several in a step; use pool or stride instead"
            )


def _layers(net: NetworkRecipe) -> list[tuple[str, Weighted]]:
    """Return the layers with weights, and their keys."""
    return [(net.key(number), layer) for number, layer in enumerate(net.weighted)]
