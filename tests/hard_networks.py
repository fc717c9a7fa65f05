"""Networks on which an engine that is nearly right goes wrong: every arithmetic, the rails, tangled edges."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import numpy as np
from states import MEMBRANE_READOUTS, SLOW, two_state_network
from strategies import (
    Images,
    calibrated,
    delayed_network,
    random_input,
    recurrent_network,
    small_network,
)

from lehr.arithmetic import (
    Arithmetic,
    DecayForm,
    Overflow,
    Reset,
    ResetTiming,
    Rounding,
    Synapse,
    Update,
)
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    SumPool2d,
)
from lehr.nodes import Node
from lehr.simulate import Result
from lehr.weights import KINDS


def flows(net: Network, result: Result) -> bool:
    """Whether each layer that fires has neurons and steps with spikes, and some without."""
    spikes = [
        spikes for name, spikes in result.trace.spikes.items() if not net.neurons[name].integrates
    ]
    return all(0 < np.count_nonzero(layer) < layer.size for layer in spikes)


def side_by_side(update: Update, highest: int, **fixed: Any) -> tuple[Network, Images]:
    """One set of weights, and a layer of neurons behind it for each arithmetic; inputs of 0 to `highest`."""
    rng = np.random.default_rng(5)
    nodes: dict[str, Any] = {"fc": Linear(rng.choice(np.array([-1, 1], np.int8), (12, 16)))}
    fields: list[tuple[Any, ...]] = [
        *map(get_args, (DecayForm, Rounding, Reset)),
        ("gt", "ge"),
        *map(get_args, (Overflow, ResetTiming)),
    ]
    for i, (form, rounding, reset, fires, overflow, timing) in enumerate(
        itertools.product(*fields)
    ):
        if update == "event" and timing != "same_step":
            continue
        names: dict[str, Any] = {
            "decay_form": form,
            "rounding": rounding,
            "reset": reset,
            "fires": fires,
            "overflow": overflow,
        }
        how = Arithmetic(
            **names,
            **{"decay_numerator": 7, "decay_shift": 3, **fixed},
            reset_timing=timing,
            update=update,
        )
        top = how.highest >> 1
        nodes[f"lif{i}"] = Neuron(
            rng.integers(1, top, 12, np.int32), rng.integers(-top // 2, top // 2, 12, np.int32), how
        )
    edges = [(INPUT, "fc"), *(("fc", n) for n in nodes if n != "fc"), (max(nodes), OUTPUT)]
    net = Network(nodes, tuple(edges), Input((16,), "u8"), steps=12)
    return net, rng.integers(0, highest, (2, net.steps, 16), np.uint8, endpoint=True)


def knot(how: Arithmetic) -> tuple[Network, Images]:
    """Everything that edges can do: loops that start at the input, a neuron that hears itself, sums of many sources, delays, aliases.

    `conv` and `first` feed each other and both hear the input, so that each hears the step before
    of the other.
    """
    rng = np.random.default_rng(6)

    def weight(*shape: int) -> np.ndarray[Any, np.dtype[np.int8]]:
        return rng.choice(np.array([-1, 1], np.int8), shape)

    def neuron(channels: int) -> Neuron:
        return Neuron(np.ones(channels, np.int32), np.zeros(channels, np.int32), how)

    nodes = {
        "conv": Conv2d(weight(4, 2, 2, 3), padding=(1, 2), dilation=(2, 2), groups=2),
        "first": neuron(4),
        "pool": SumPool2d((3, 2), (2, 1), (1, 0)),
        "strided": Conv2d(weight(3, 4, 2, 2), stride=(2, 2), padding=(0, 1)),
        "second": neuron(3),
        "slow": Delay(2),
        "flat": Flatten(),
        "flat.again": Flatten(),
        "fc-out": Linear(weight(5, 6)),
        "out": neuron(5),
        "echo": Flatten(),
        "back": Linear(weight(5, 5)),
    }
    edges = [
        (INPUT, "conv"),
        ("first", "conv"),
        ("conv", "first"),
        (INPUT, "first"),
        ("first", "pool"),
        ("pool", "strided"),
    ]
    edges += [
        ("strided", "second"),
        ("second", "slow"),
        ("slow", "flat"),
        ("second", "flat"),
        ("flat", "flat.again"),
    ]
    edges += [
        ("flat.again", "fc-out"),
        ("fc-out", "out"),
        ("out", "out"),
        ("out", "echo"),
        ("echo", "out"),
        ("out", "back"),
    ]
    edges += [("back", "out"), ("out", OUTPUT)]
    net = calibrated(Network(nodes, tuple(edges), Input((4, 4, 4), "spikes"), steps=10))
    return net, random_input(net, rng)


def narrow() -> tuple[Network, Images]:
    """Membranes of 20 bits whose update leaves 32 bits: in the product of the decay, and in the scaled input."""
    slow = Arithmetic(decay_numerator=(1 << 16) - 1, decay_shift=16, state_bits=20)
    fine = Arithmetic(fraction_bits=16, state_bits=20)
    weight = np.ones((2, 256), np.int8) * np.array([[1], [-1]], np.int8)
    threshold, bias = np.array([1 << 18, 3], np.int32), np.array([-9, 70_000], np.int32)
    nodes = {
        "fc": Linear(weight),
        "slow": Neuron(threshold, bias, slow),
        "fine": Neuron(threshold, bias, fine),
    }
    edges = ((INPUT, "fc"), ("fc", "slow"), ("fc", "fine"), ("fine", OUTPUT))
    x = np.random.default_rng(7).choice(
        np.array([0, 1, 255], np.uint8), (2, 40, 1), p=[0.5, 0.2, 0.3]
    )
    return Network(nodes, edges, Input((256,), "u8"), steps=40), np.repeat(x, 256, axis=2)


def weightless() -> tuple[Network, Images]:
    """No weights at all: spikes are pooled, and the loudest place wins."""
    net = Network(
        {
            "pool": SumPool2d((2, 2), (2, 2)),
            "out": Neuron(np.array([3], np.int32), np.array([-1], np.int32), Arithmetic()),
        },
        ((INPUT, "pool"), ("pool", "out"), ("out", OUTPUT)),
        Input((1, 4, 4), "spikes"),
        steps=6,
    )
    return net, random_input(net, np.random.default_rng(8))


def unproven() -> tuple[Network, Images]:
    """Four nodes of weights in a row, each of which may make its sums 2,032 times as large: nothing proves that they are exact."""
    nodes: dict[str, Node] = {
        f"w{number}": Linear(np.full((16, 16), 127, np.int8), "int8") for number in range(4)
    }
    nodes["z"] = Neuron(np.ones(16, np.int32), np.zeros(16, np.int32), Arithmetic())
    net = Network(nodes, tuple(itertools.pairwise((INPUT, *nodes, OUTPUT))), Input((16,), "u8"), 1)
    return net, np.ones((1, 1, 16), np.uint8)


STEP = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=9)
EVENT = replace(STEP, update="event", reset_timing="same_step")
EVENT_KINDS = replace(EVENT, state_bits=16)
HARD: dict[str, Callable[[], tuple[Network, Images]]] = {
    "small": small_network,
    "recurrent": recurrent_network,
    "delayed": delayed_network,
    "all kinds of weights": lambda: small_network(kinds=KINDS),
    "all kinds of weights, recurrent": lambda: recurrent_network(kinds=KINDS),
    "all kinds of weights by event": lambda: small_network(EVENT_KINDS, KINDS),
    "knot": lambda: knot(STEP),
    "knot by event": lambda: knot(EVENT),
    "small by event": lambda: small_network(EVENT),
    "two states": lambda: two_state_network(STEP),
    "two states, 8 bits that wrap": lambda: two_state_network(
        replace(STEP, fraction_bits=4),
        replace(SLOW, state_bits=8, overflow="wrap", rounding="nearest_even", bias_to="synapse"),
    ),
    "two states, shift": lambda: two_state_network(STEP, Synapse("shift", 7, 3, "floor", 16)),
    "two states, wide": lambda: two_state_network(
        replace(STEP, fraction_bits=16, state_bits=32),
        Synapse(decay_numerator=(1 << 16) - 1, decay_shift=16),
    ),
    **{readout: partial(two_state_network, STEP, readout=readout) for readout in MEMBRANE_READOUTS},
    "narrow": narrow,
    "weightless": weightless,
    "8 bits": lambda: side_by_side("step", 9, fraction_bits=1, state_bits=8),
    "8 bits by event": lambda: side_by_side("event", 3, fraction_bits=4, state_bits=8),
    "32 bits": lambda: side_by_side(
        "step", 255, fraction_bits=16, state_bits=32, decay_numerator=(1 << 16) - 1, decay_shift=16
    ),
}
