"""The networks on which every target is to be exact, and the smallest changes that an equality test must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from itertools import product
from typing import Any, get_args

import numpy as np
from states import MEMBRANE_READOUTS, SLOW, flowing, two_state_network
from strategies import Images, delayed_network, recurrent_network, small_network

from lehr.arithmetic import Arithmetic, DecayForm, Overflow, Reset, ResetTiming, Rounding
from lehr.network import Conv2d, Linear, Network
from lehr.simulate import Result, simulate
from lehr.targets.contract import Arithmetics, Target
from lehr.weights import KINDS

_small = partial(small_network, samples=3)  # a simulator of Verilog takes a second for six of them


@dataclass(frozen=True)
class Golden:
    """A network to be exact on: how it is made, and the fields of `Arithmetic` in which it differs from the target's usual ones."""

    name: str
    make: Callable[[Arithmetic], tuple[Network, Images]] = _small
    fields: dict[str, Any] = field(default_factory=dict)


def _one_at_a_time() -> Iterator[Golden]:
    for form, rounding in product(get_args(DecayForm), get_args(Rounding)):
        yield Golden(f"decay_{form}_{rounding}", fields={"decay_form": form, "rounding": rounding})
    for reset, timing in product(get_args(Reset), get_args(ResetTiming)):
        yield Golden(f"reset_{reset}_{timing}", fields={"reset": reset, "reset_timing": timing})
    for fires in ("gt", "ge"):
        yield Golden(f"fires_{fires}", fields={"fires": fires})
    for overflow in get_args(Overflow):
        yield Golden(f"overflow_{overflow}", fields={"overflow": overflow, "state_bits": 10})
    for bits in (8, 16, 32):
        yield Golden(f"state_bits_{bits}", fields={"state_bits": bits})
    for bits in (0, 5, 16):
        yield Golden(f"fraction_bits_{bits}", fields={"fraction_bits": bits, "state_bits": 32})
    for name, numerator, shift in (("no_leak", 1, 0), ("no_memory", 0, 4), ("slow_leak", 65535, 16), ("odd_leak", 11, 4)):
        yield Golden(name, fields={"decay_form": "multiply", "decay_numerator": numerator, "decay_shift": shift})
    yield Golden("update_event", fields={"update": "event", "reset_timing": "same_step"})


GOLDEN = (
    Golden("small"),
    Golden("recurrent", recurrent_network),
    Golden("delayed", delayed_network),
    *(Golden(f"weights_{kind}", partial(_small, kinds=(kind,))) for kind in KINDS[1:]),
    Golden("weights_of_all_kinds", partial(recurrent_network, kinds=KINDS)),
    Golden("synapse", two_state_network),
    Golden("synapse_with_bias", partial(two_state_network, synapse=replace(SLOW, bias_to="synapse", rounding="nearest_even"))),
    Golden("synapse_that_wraps", partial(two_state_network, synapse=replace(SLOW, state_bits=8, overflow="wrap"))),
    *(Golden(readout, partial(two_state_network, readout=readout)) for readout in MEMBRANE_READOUTS),
    *_one_at_a_time(),
)


def usual(machine: Arithmetics) -> dict[str, Any]:
    """The fields that golden networks have where nothing else is said: the defaults, or what the machine has instead."""
    default = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
    chosen = {f.name: getattr(default, f.name) for f in fields(default)}
    for name in machine.CHOICES:
        allowed = getattr(machine, name)
        chosen[name] = chosen[name] if chosen[name] in allowed else allowed[0]
    chosen["fraction_bits"] = min(chosen["fraction_bits"], machine.max_fraction_bits)
    chosen["state_bits"] = min(chosen["state_bits"], machine.max_state_bits)
    return chosen


@cache
def example(target: Target, name: str) -> tuple[Network, Images, Result] | str:
    """A golden network in the target's arithmetic, its inputs and what the reference makes of them, or why it does not map."""
    golden = next(g for g in GOLDEN if g.name == name)
    wanted = {**usual(target.arithmetics), **golden.fields}
    net, x = golden.make(Arithmetic(**wanted))
    problems = target.check(net)
    if problems:
        return str(problems[0])
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected), f"{name} is silent or always fires: {expected.rates}"
    return net, x, expected


def mapped(target: Target) -> dict[str, tuple[Network, Images, Result]]:
    """The golden networks of their own topology that map to a target."""
    made = {golden.name: example(target, golden.name) for golden in GOLDEN if not golden.fields}
    return {name: it for name, it in made.items() if not isinstance(it, str)}


# -------------------------------------------------------------------- the smallest changes
def _neuron(net: Network, **changes: Any) -> Network:
    name = net.output
    return replace(net, nodes={**net.nodes, name: replace(net.neurons[name], **changes)})


def one_higher_threshold(net: Network, channel: int = 0) -> Network:
    """One threshold is raised by one unit: of a channel of the first layer, whose spikes all the others depend on."""
    name, neuron = next(iter(net.neurons.items()))
    raised = neuron.threshold + np.eye(neuron.threshold.size, dtype=np.int32)[channel]
    return replace(net, nodes={**net.nodes, name: replace(neuron, threshold=raised)})


def changed_weight(net: Network) -> Network:
    """One weight that hears the input has the other sign; where its kind has steps of one, it is changed by one."""
    name = next(n for n in net.order if isinstance(net.nodes[n], (Conv2d, Linear)))
    node: Any = net.nodes[name]
    weight = node.weight.copy()
    weight.flat[-1] += -2 * weight.flat[-1] if node.kind == "binary" else 1 if weight.flat[-1] < 1 else -1
    return replace(net, nodes={**net.nodes, name: replace(node, weight=weight)})


def changed_decay(net: Network) -> Network:
    """The output layer leaks a little more: by one unit of its numerator, or by one bit less of its shift."""
    how = net.neurons[net.output].fields
    if how.decay_form == "shift":
        other = replace(how, decay_shift=how.decay_shift - 1, decay_numerator=(1 << (how.decay_shift - 1)) - 1)
    else:
        other = replace(how, decay_numerator=how.decay_numerator - 1)
    return _neuron(net, arithmetic=other)


def dropped_bias(net: Network) -> Network:
    """The output layer has no bias."""
    return _neuron(net, bias=np.zeros_like(net.neurons[net.output].bias))


def changed_synapse(net: Network) -> Network:
    """The output layer's currents leak a little more, by one unit of the numerator."""
    synapse = net.neurons[net.output].synapse
    assert synapse is not None
    return _neuron(net, synapse=replace(synapse, decay_numerator=synapse.decay_numerator - 1))


def bias_to_the_other_state(net: Network) -> Network:
    """The output layer's bias goes to the synapse."""
    synapse = net.neurons[net.output].synapse
    assert synapse is not None
    return _neuron(net, synapse=replace(synapse, bias_to="synapse"))


MUTATIONS = (one_higher_threshold, changed_weight, changed_decay, dropped_bias)
SYNAPSE_MUTATIONS = (one_higher_threshold, changed_weight, changed_decay, dropped_bias, changed_synapse, bias_to_the_other_state)
