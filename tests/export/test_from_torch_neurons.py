"""Every neuron of snnTorch that is read, against snnTorch: each spike and membrane, each step."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn
from torch_models import (
    differing,
    dyadic,
    events,
    require_machines_agree,
    result_of,
    stepped,
)

from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.simulate import simulate
from lehr.update import Program
from lehr.update_text import line_of, lines_of

INPUTS, NEURONS = 4, 6
VECTOR = torch.tensor([1.0, 1.25, 1.5, 1.0, 1.25, 1.5])
RESETS = ("subtract", "zero", "none")


class Layer(nn.Module):
    """Linear layer with neurons whose states the caller keeps.

    Weights are quarters, up to two of four negative; biases are eighths.
    """

    def __init__(self, neuron: Any) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(INPUTS, NEURONS), neuron
        with torch.no_grad():
            self.fc.weight.copy_(
                torch.tensor(
                    [[-0.25 if j < i % 3 else 0.25 for j in range(INPUTS)] for i in range(NEURONS)]
                )
            )
            self.fc.bias.copy_(torch.tensor([0, 0, 0, 1, 1, 1]) / 8)


class Step(Layer):
    """A layer of neurons of one state."""

    def forward(self, x: torch.Tensor, mem: Any = None) -> Any:
        """Spikes and membrane."""
        return self.lif(self.fc(x), mem)


class TwoStates(Layer):
    """A layer of neurons of two states."""

    def forward(self, x: torch.Tensor, first: Any = None, mem: Any = None) -> Any:
        """Return what the neuron returns.

        That is its spikes, which an RLeaky takes again, the current of a Synaptic, the membrane.
        """
        returned = self.lif(self.fc(x), first, mem)
        return returned[0], (returned[-2], returned[-1])


def require_equal(model: Any, sample: Any, states: int = 1) -> None:
    """Assert that nothing is rounded, and that the integers are the model's spikes and membranes.

    Membranes are compared in the model's units.
    """
    converted = from_torch(model, sample)
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    assert differing(converted) == 0
    trace = result_of(converted).trace
    spikes, membranes = stepped(model.fc, model.lif, sample, states)
    folded = converted.layers["lif"].folded
    integers = membranes.numpy() * 2.0**folded.fraction_bits / folded.scale
    np.testing.assert_array_equal(trace.spikes["lif"], spikes.numpy())
    np.testing.assert_array_equal(trace.membranes["lif"], integers)


@pytest.mark.few(6)
@pytest.mark.parametrize("vector", [False, True], ids=["scalar", "vector"])
@pytest.mark.parametrize(
    ("beta", "threshold"), [(0.0, 0.625), (0.5, 0.75), (0.75, 1.0), (1.0, 1.25)]
)
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("reset", RESETS)
def test_leaky(reset: str, delay: bool, beta: float, threshold: float, vector: bool) -> None:
    betas = torch.full((NEURONS,), beta) if vector else beta
    thresholds: Any = (
        threshold * VECTOR if vector else threshold
    )  # the hint in snnTorch is narrower
    neuron = snn.Leaky(beta=betas, threshold=thresholds, reset_mechanism=reset, reset_delay=delay)
    require_equal(Step(neuron), events(8, 6, INPUTS, rate=0.6))


def test_numbers_with_the_axis_of_a_batch() -> None:
    thresholds: Any = 0.75 * VECTOR.reshape(1, NEURONS)
    neuron = snn.Leaky(beta=torch.full((1, NEURONS), 0.5), threshold=thresholds)
    require_equal(Step(neuron), events(8, 6, INPUTS, rate=0.6))


@pytest.mark.few(6)
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("one_to_one", [False, True])
def test_rleaky(one_to_one: bool, reset: str, delay: bool) -> None:
    torch.manual_seed(5)
    options: dict[str, Any] = (
        {"all_to_all": False, "V": -0.5 * VECTOR.round()}
        if one_to_one
        else {"linear_features": NEURONS}
    )
    neuron = snn.RLeaky(
        beta=0.5,
        threshold=2.5 if (one_to_one, reset, delay) == (False, "subtract", False) else 0.75,
        reset_mechanism=reset,
        reset_delay=delay,
        **options,
    )
    if not one_to_one:
        dyadic(neuron.recurrent, 0.5)
    model = TwoStates(neuron)
    if (reset, delay) == ("zero", True):
        with pytest.raises(
            NotMappable,
            match=r"lif \(RLeaky\): its reset_mechanism='zero' drops the input of the step after a spike",
        ):
            from_torch(model, events(8, 6, INPUTS))
        return
    require_equal(model, events(8, 6, INPUTS, rate=0.6), 2)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("vector", [False, True], ids=["scalar", "vector"])
def test_lapicque(reset: str, vector: bool) -> None:
    options: dict[str, Any] = {"R": 1, "C": 4, "threshold": VECTOR / 8 if vector else 0.125}
    model = Step(snn.Lapicque(time_step=1, reset_mechanism=reset, **options))
    if reset == "zero":
        with pytest.raises(
            NotMappable, match="which no integer neuron does; use reset_mechanism='subtract'"
        ):
            from_torch(model, events(8, 6, INPUTS))
        return
    require_equal(model, events(8, 6, INPUTS, rate=0.6))


@pytest.mark.few(7)
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_synaptic(alpha: float, reset: str, delay: bool) -> None:
    threshold = 1.875 if (reset, delay) == ("subtract", False) else 1.0
    neuron = snn.Synaptic(
        alpha=alpha,
        beta=0.5,
        threshold=threshold if alpha else threshold / 2,
        reset_mechanism=reset,
        reset_delay=delay,
    )
    model, sample = TwoStates(neuron), events(8, 6, INPUTS, rate=0.7)
    if (reset, delay) == ("zero", True):
        with pytest.raises(
            NotMappable, match="which no integer neuron does; use reset_delay=False"
        ):
            from_torch(model, sample)
        return
    require_equal(model, sample, 2)


@pytest.mark.parametrize("which", ["alpha", "beta"])
def test_a_synapse_and_its_membrane_both_leak(which: str) -> None:
    alpha, beta = (1.0, 0.5) if which == "alpha" else (0.5, 1.0)
    with pytest.raises(
        NotMappable,
        match=rf"its {which} is 1, and a neuron with a synapse leaks in both its states",
    ):
        from_torch(TwoStates(snn.Synaptic(alpha=alpha, beta=beta)), events(8, 6, INPUTS))


def test_a_surrogate_that_fires_at_the_threshold_is_seen() -> None:
    at_it, over_it = (
        Step(snn.Leaky(beta=0.5, threshold=0.5, spike_grad=fires))
        for fires in (lambda x: (x >= 0).float(), lambda x: (x > 0).float())
    )
    sample = events(8, 6, INPUTS, rate=0.6)
    require_equal(at_it, sample)
    assert from_torch(at_it, sample).network.neurons["lif"].fields.fires == "ge"
    counts = [int(from_torch(model, sample).spikes()["lif"].sum()) for model in (at_it, over_it)]
    assert counts[0] > counts[1]


QUARTERS: Any = 0.25 * VECTOR
TWICE: tuple[tuple[Any, int], ...] = (
    (snn.Leaky(beta=1.0, threshold=0.25, reset_delay=False), 1),
    (snn.Leaky(beta=0.5, threshold=QUARTERS, reset_delay=False), 1),
    (snn.Synaptic(alpha=0.5, beta=0.5, threshold=0.5, reset_delay=False), 2),
    (snn.RLeaky(beta=0.5, threshold=0.25, reset_delay=False, all_to_all=False, V=-0.25), 2),
)


@pytest.mark.parametrize("fires", ["gt", "ge"])
@pytest.mark.parametrize("case", range(len(TWICE)))
def test_a_membrane_over_twice_the_threshold_gets_one_back(
    case: int, fires: str, tmp_path: Path
) -> None:
    """snnTorch's second reset gives a threshold back where one leaves the membrane above it."""
    neuron, states = copy.deepcopy(TWICE[case])
    if fires == "ge":
        neuron.spike_grad = lambda x: (x >= 0).to(x.dtype)
    model, sample = (Step if states == 1 else TwoStates)(neuron), events(12, 9, INPUTS, rate=0.8)
    require_equal(model, sample, states)
    net = from_torch(model, sample).network
    lif = net.neurons["lif"]
    assert any("again" in line for line in lines_of(lif.program))
    require_machines_agree(net, sample, tmp_path)
    # once is another network: the same update without giving back
    once = Program(tuple(s for s in lif.program.statements if "again" not in line_of(s)))
    other = replace(net, nodes={**net.nodes, "lif": replace(lif, arithmetic=once)})
    spikes = [simulate(each, sample, trace=["lif"]).trace.spikes["lif"] for each in (net, other)]
    assert np.any(spikes[0] != spikes[1])


def test_a_membrane_that_never_gets_there_needs_no_program() -> None:
    model = Step(snn.Leaky(beta=0.5, threshold=1.25, reset_delay=False))
    require_equal(model, events(8, 6, INPUTS, rate=0.8))
    net = from_torch(model, events(8, 6, INPUTS, rate=0.8)).network
    assert net.neurons["lif"].fields.reset_timing == "same_step"


def test_states_that_neurons_keep_themselves_are_the_same() -> None:
    sample = events(8, 6, INPUTS, rate=0.6)
    threaded = Step(snn.Leaky(beta=0.5, threshold=0.75))
    hidden = nn.Sequential(
        threaded.fc, snn.Leaky(beta=0.5, threshold=0.75, init_hidden=True, output=True)
    )
    hidden(
        torch.ones(3, INPUTS)
    )  # a membrane with a graph, which is neither copied nor where the network starts
    one, other = from_torch(threaded, sample), from_torch(hidden, sample)
    np.testing.assert_array_equal(one.spikes()["lif"], other.spikes()["layer1"])
    assert differing(other) == 0
    assert one.exact
    assert other.exact
    assert hidden.training, "the model itself is not touched"
    assert hidden[0].weight.dtype == torch.float32


@pytest.mark.parametrize("what", ["threshold", "weight", "decay", "bias"])
def test_one_unit_more_is_noticed(what: str) -> None:
    converted = from_torch(
        Step(snn.Leaky(beta=0.75, threshold=0.75)), events(16, 6, INPUTS, rate=0.6)
    )
    net = converted.network
    lif, fc = net.neurons["lif"], net.weighted["fc"]
    assert lif.fields.fraction_bits < 14
    mutations: dict[str, dict[str, Any]] = {
        "threshold": {
            "lif": replace(lif, threshold=lif.threshold + np.eye(NEURONS, dtype=np.int32)[0])
        },
        "bias": {"lif": replace(lif, bias=lif.bias + np.eye(NEURONS, dtype=np.int32)[0])},
        "decay": {"lif": replace(lif, arithmetic=replace(lif.fields, decay_numerator=2))},
        "weight": {
            "fc": replace(fc, weight=fc.weight * np.array([[-1]] + [[1]] * (NEURONS - 1), np.int8))
        },
    }
    mutated = replace(net, nodes={**net.nodes, **mutations[what]})
    got = simulate(mutated, converted.sample, trace=["lif"]).trace
    exact = simulate(net, converted.sample, trace=["lif"]).trace
    assert np.any(got.spikes["lif"] != exact.spikes["lif"]) or np.any(
        got.membranes["lif"] != exact.membranes["lif"]
    )
