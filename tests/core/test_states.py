"""Two-state neurons and integrators: refusals, and what machines without them say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from golden_networks import usual
from states import SLOW, two_state_network

from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused
from lehr.network import Network, Neuron
from lehr.targets.contract import Arithmetics
from lehr.targets.onnx import Onnx

ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
NEVER = replace(ARITHMETIC, fires="never", reset="none")
EVENT = replace(ARITHMETIC, update="event", reset_timing="same_step")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"decay_shift": 17}, "decay_shift is 17; use 0 to 16"),
        ({"decay_numerator": 5, "decay_shift": 2}, "decay_numerator is 5; use 0 to 4"),
        (
            {"decay_numerator": 4, "decay_shift": 2},
            "decay_numerator is 4 of 4, but a synapse must leak; use at most 3",
        ),
        (
            {"decay_numerator": 1, "decay_shift": 0},
            "decay_numerator is 1 of 1, but a synapse must leak; use at most 0",
        ),
        ({"state_bits": 7}, "state_bits is 7; use 8 to 32"),
        ({"state_bits": 16.0}, "state_bits is 16.0, not an integer; give a whole number"),
        ({"bias_to": "dendrite"}, "bias_to is 'dendrite'; use one of 'membrane', 'synapse'"),
    ],
)
def test_a_synapse_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FileRefused) as caught:
        Synapse(**fields)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("threshold", "arithmetic", "synapse", "message"),
    [
        (3, NEVER, None, "Neuron threshold holds 3, but fires is 'never'; make all of them 0"),
        (0, ARITHMETIC, SLOW, "Neuron threshold holds 0; a threshold is an integer of at least 1"),
        (
            3,
            EVENT,
            SLOW,
            "Neuron has a synapse state, which changes once a step, but update is 'event'; set it "
            "to 'step'",
        ),
        (
            3,
            Arithmetic(),
            SLOW,
            "Neuron has a synapse state, but its membrane does not leak; use a decay below 1 or no "
            "synapse state",
        ),
    ],
)
def test_a_neuron_that_cannot_be_is_refused(
    threshold: int, arithmetic: Arithmetic, synapse: Synapse | None, message: str
) -> None:
    with pytest.raises(FileRefused) as caught:
        Neuron(np.array([threshold]), np.array([0]), arithmetic, synapse)
    assert str(caught.value) == message


def test_an_integrator_that_resets_or_updates_by_event_is_refused() -> None:
    with pytest.raises(
        FileRefused,
        match=r"^fires is 'never', but reset is 'subtract' where nothing fires; set it to 'none'$",
    ):
        replace(ARITHMETIC, fires="never")
    with pytest.raises(
        FileRefused,
        match=r"^update 'event' tests a threshold after each event, but fires is 'never'; set it to 'step'$",
    ):
        replace(EVENT, fires="never", reset="none")


def integrating(net: Network, name: str) -> Network:
    """Return `net` with integrators in the layer `name`."""
    layer = net.neurons[name]
    return replace(
        net,
        nodes={
            **net.nodes,
            name: replace(layer, threshold=np.zeros_like(layer.threshold), arithmetic=NEVER),
        },
    )


def test_an_integrator_is_read_out_and_leads_nowhere_else() -> None:
    net = two_state_network(ARITHMETIC)[0]
    with pytest.raises(
        FileRefused,
        match=r"^out never fires, but readout is 'count_argmax_lowest'; read out its membrane$",
    ):
        integrating(net, "out")
    with pytest.raises(
        FileRefused,
        match=r"^hidden never fires, but leads to fc_out; let an integrator lead to the output alone$",
    ):
        integrating(net, "hidden")


# -------------------------------------------------------------------- machines that lack them
@pytest.mark.parametrize(
    ("machine", "synapse", "message"),
    [
        (
            replace(Arithmetics.every(), synapse=False),
            SLOW,
            "hidden: its neurons have a synapse state, the machine has membranes alone; train "
            "without it",
        ),
        (
            replace(Arithmetics.every(), rounding=("toward_zero",)),
            replace(SLOW, rounding="floor"),
            "hidden: synapse rounding is 'floor', the machine has 'toward_zero'; train with "
            "synapse rounding = 'toward_zero'",
        ),
        (
            replace(Arithmetics.every(), bias_to=("membrane",)),
            replace(SLOW, bias_to="synapse"),
            "hidden: synapse bias_to is 'synapse', the machine has 'membrane'; train with synapse "
            "bias_to = 'membrane'",
        ),
        (
            replace(Arithmetics.every(), max_state_bits=20),
            replace(SLOW, state_bits=24),
            "hidden: synapse state_bits is 24, the machine has 20; export with at most 20",
        ),
    ],
)
def test_a_machine_without_it_says_so(machine: Arithmetics, synapse: Synapse, message: str) -> None:
    class Lacking(Onnx):
        arithmetics = machine

    net = two_state_network(Arithmetic(**usual(machine)), synapse)[0]
    assert str(Lacking().check(net)[0]) == message
    assert not Onnx().check(net)


def test_a_machine_without_the_readout_says_so() -> None:
    class Counting(Onnx):
        readouts = ("count_argmax_lowest",)

    problems = Counting().check(
        two_state_network(ARITHMETIC, readout="membrane_max_argmax_lowest")[0]
    )
    assert [str(problem) for problem in problems] == [
        "out: readout is 'membrane_max_argmax_lowest', the machine has 'count_argmax_lowest'; "
        "export with readout 'count_argmax_lowest'"
    ]
