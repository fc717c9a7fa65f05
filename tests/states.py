"""Networks with what two-state neurons add: synapse states, leaky integrators, readouts of membranes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from strategies import Builder, Images, calibrated, networks, numerators, random_input

from lehr.arithmetic import MAX_STATE_BITS, MIN_STATE_BITS, Arithmetic, BiasTo, DecayForm, Overflow, Rounding, Synapse
from lehr.network import OUTPUT, Input, Network, Neuron, Readout, SumPool2d
from lehr.simulate import Result, simulate

MEMBRANE_READOUTS: tuple[Readout, ...] = tuple(readout for readout in get_args(Readout) if readout != "count_argmax_lowest")
SLOW = Synapse(decay_numerator=3, decay_shift=2, state_bits=16)


def flowing(net: Network, result: Result) -> bool:
    """Whether every layer that fires does so, and none of them always; scores of integrators differ from class to class."""
    flows = all(0 < rate < 1 for name, rate in result.rates.items() if not net.neurons[name].integrates)
    return flows and (not net.neurons[net.output].integrates or int(np.ptp(result.scores)) > 0)


@st.composite
def synapses(draw: st.DrawFn) -> Synapse:
    """Any synapse state."""
    form, shift = draw(st.sampled_from(get_args(DecayForm))), draw(st.integers(0, 8))
    return Synapse(
        form,
        draw(numerators(form, 1 << shift, (1 << shift) - 1)),
        shift,
        draw(st.sampled_from(get_args(Rounding))),
        draw(st.integers(MIN_STATE_BITS, MAX_STATE_BITS)),
        draw(st.sampled_from(get_args(Overflow))),
        draw(st.sampled_from(get_args(BiasTo))),
    )


def _with_states(draw: st.DrawFn, net: Network) -> Network:
    """`net` with what two-state neurons add: synapses in some of its layers, perhaps integrators at its end, any readout."""
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        how = neuron.fields
        if how.beta < 1 and draw(st.integers(0, 3)):
            nodes[name] = neuron = replace(neuron, synapse=draw(synapses()))
        if name == net.output and net.targets(name) == (OUTPUT,) and draw(st.booleans()):
            silent = np.zeros_like(neuron.threshold)
            nodes[name] = replace(neuron, threshold=silent, arithmetic=replace(how, fires="never", reset="none"))
    last = nodes[net.output]
    assert isinstance(last, Neuron)
    readouts = MEMBRANE_READOUTS if last.integrates else get_args(Readout)
    return replace(net, nodes=nodes, readout=draw(st.sampled_from(readouts)))


@st.composite
def grown_networks(draw: st.DrawFn, /, **fixed: Any) -> Network:
    """A network of `networks`, in which spikes flow, with synapse states, an integrator and readouts drawn in addition."""
    seed = draw(st.integers(0, 2**16))
    net = calibrated(_with_states(draw, draw(networks(**fixed))), seed)
    assume(flowing(net, simulate(net, random_input(net, np.random.default_rng(seed)))))
    return net


def two_state_network(how: Arithmetic, synapse: Synapse = SLOW, readout: Readout | None = None) -> tuple[Network, Images]:
    """Two layers with a synapse state, the first of which hears itself; samples step by step.

    With a `readout` of membranes the output is a layer of integrators, else it fires.
    """
    net = Builder(Input((12,), "spikes"), np.random.default_rng(2))
    net.linear("fc_hidden", 9)
    net.neuron("hidden", how, synapse)
    net.linear("fc_out", 4)
    net.neuron("out", replace(how, fires="never", reset="none") if readout else how, synapse)
    net.feedback("self", "hidden", "hidden")
    made = net.network(steps=10, readout=readout or "count_argmax_lowest")
    x = random_input(made, np.random.default_rng(4), samples=6)
    assert flowing(made, simulate(made, x)), "a fixed network is silent or always fires"
    return made, x


def integrating_network(readout: Readout) -> tuple[Network, Images]:
    """Pixels, a pooled convolution, and integrators without a synapse state as the output."""
    how = Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=2, state_bits=14)
    net = Builder(Input((1, 8, 8), "u8"), np.random.default_rng(3))
    net.conv("conv", 6, (3, 3))
    net.add("pool", SumPool2d((2, 2), (2, 2)))
    net.neuron("lif", how)
    net.linear("fc", 5)
    net.neuron("li", replace(how, fires="never", reset="none"))
    made = net.network(6, readout=readout)
    return made, random_input(made, np.random.default_rng(1), samples=3, held=True)
