"""More precision never gives a worse network, for random float graphs and models.

The difference that it may leave is bounded.
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import snntorch as snn
import torch
from budgets import budget, in_both_tiers
from float_graphs import FloatGraph, float_graphs, float_models
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch_models import differing

from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.export.nirgraph import Options, from_nir, quantize
from lehr.export.nirgraph.quantize import Quantized
from lehr.network import Network
from lehr.simulate import simulate

FRACTION_BITS = re.compile(
    r"^--fraction-bits is (\d+), but with so many n takes more than 32 bits; use at most (\d+)$"
)
SHARES = (0.3, 0.03, 0.003, 1e-5, 1e-9)
Float = npt.NDArray[np.float64]


def quantized(case: FloatGraph, **options: Any) -> Quantized:
    """Return the graph as integers."""
    return quantize(
        from_nir(case.nir_graph), case.x, case.semantics, Options(**{"decay_bits": 8, **options})
    )


def attempt(case: FloatGraph, **options: Any) -> tuple[Quantized | None, str]:
    """Return the graph as integers, or why not."""
    try:
        return quantized(case, **options), ""
    except NotMappable as error:
        return None, str(error)


def distances(case: FloatGraph, result: Quantized) -> dict[str, Float]:
    """Measure how far a network is from its graph, by channel.

    Distances are of thresholds, biases and decays, from the graph's own numbers.
    """
    neuron, scale = result.network.neurons["n"], result.layers["n"].scale
    decays = [state.beta for state in (neuron.fields, neuron.synapse) if state is not None]
    return {
        "threshold": np.abs(neuron.threshold * scale - case.theta) / case.theta,
        "bias": np.abs(neuron.bias * scale - case.offset) / case.theta,
        "decay": np.abs(np.array(decays) - np.array(case.decays)),
    }


def weights_in_model_units(case: FloatGraph, result: Quantized) -> Float:
    """Return the levels that come to the layer times what they are worth, by channel."""
    neuron, nodes = result.network.neurons["n"], result.network.weighted
    levels = [
        nodes[name].weight.reshape(len(case.theta), -1) for name in ("w", "back") if name in nodes
    ]
    unit = result.layers["n"].scale * 2.0**neuron.fields.fraction_bits
    return np.concatenate(levels, axis=1) * unit[:, None]


def no_worse(case: FloatGraph, coarse: Quantized, fine: Quantized) -> None:
    """Assert that every number of `fine` is at least as near to the graph as that of `coarse`.

    Numbers are thresholds, biases and decays; what `fine` says of itself is true.
    """
    worse, better = distances(case, coarse), distances(case, fine)
    # a decay that float32 may have written for a multiple of 2**-16 is that multiple, and scales
    # what comes in
    shares = [1 - decay for decay in case.decays]
    taken = any(
        0 < abs(round(share * 2**16) / 2**16 - share) <= 2.0**-22 * share for share in shares
    )
    slack = 2.0**-22 * (1 + np.abs(case.offset / case.theta).max()) if taken else 1e-12
    for name, far in worse.items():
        assert np.all(better[name] <= far * (1 + 1e-9) + slack), name
    for result, off in ((coarse, worse), (fine, better)):
        layer = result.layers["n"]
        assert (
            layer.threshold_error
            >= max(off["threshold"].max(), off["bias"].max()) * (1 - 1e-9) - slack
        )
        assert layer.decay_error == pytest.approx(off["decay"].max(), abs=2.0**-22)
    assert fine.layers["n"].threshold_error <= coarse.layers["n"].threshold_error
    assert np.array_equal(weights_in_model_units(case, fine), weights_in_model_units(case, coarse))


@budget(2, 40)
@given(float_graphs(), st.integers(0, 15), st.integers(1, 16))
def test_more_fraction_bits_are_never_worse_and_refused_only_where_32_bits_end(
    case: FloatGraph, low: int, more: int
) -> None:
    high = min(16, low + more)
    fine, refused = attempt(case, fraction_bits=high)
    if refused:
        named = FRACTION_BITS.match(refused)
        assert named, refused
        assert int(named[1]) == high
        high = int(named[2])  # which is accepted, and one more is not
        fine = quantized(case, fraction_bits=high)
        assert FRACTION_BITS.match(attempt(case, fraction_bits=high + 1)[1])
        neuron = fine.network.neurons["n"]
        widest = max(
            neuron.threshold.max(), np.abs(neuron.bias).max(), 2 ** (neuron.fields.state_bits - 1)
        )
        assert widest >= 2**30 or neuron.synapse is not None  # so that twice of it leaves 32 bits
    assert fine is not None
    no_worse(case, quantized(case, fraction_bits=min(low, high)), fine)


@budget(2, 40)
@given(float_graphs(), st.sampled_from(SHARES), st.sampled_from(SHARES))
def test_a_smaller_error_is_never_worse_and_kept_to_or_said(
    case: FloatGraph, one: float, other: float
) -> None:
    coarse, fine = (quantized(case, error=error) for error in (max(one, other), min(one, other)))
    no_worse(case, coarse, fine)
    assert (
        fine.network.neurons["n"].fields.fraction_bits
        >= coarse.network.neurons["n"].fields.fraction_bits
    )
    for result, error in ((coarse, max(one, other)), (fine, min(one, other))):
        said = [
            note for note in result.notes if "fraction bits are all that there is room for" in note
        ]
        assert result.layers["n"].threshold_error <= error or said, result.notes


@budget(2, 40)
@given(float_graphs(), st.integers(1, 15), st.integers(1, 15))
def test_more_decay_bits_are_never_worse(case: FloatGraph, low: int, more: int) -> None:
    coarse, refused = attempt(case, decay_bits=low)
    if coarse is None:
        assert (
            f"which {low} bits round to 1, so that nothing leaks; give a higher --decay-bits"
            in refused
        )
        return
    fine = quantized(case, decay_bits=min(16, low + more))
    assert np.all(distances(case, fine)["decay"] <= distances(case, coarse)["decay"])
    assert fine.layers["n"].threshold_error <= 0.01


@budget(3, 40)
@given(float_graphs())
def test_weights_are_rounded_within_half_a_step_or_left_out_with_what_they_count(
    case: FloatGraph,
) -> None:
    result = quantized(case, error=1e-9)
    there, here = case.weight * case.gain[:, None], weights_in_model_units(case, result)
    step = (
        result.layers["n"].scale[:, None] * 2.0 ** result.network.neurons["n"].fields.fraction_bits
    )
    out = ~here.any(axis=1)
    assert np.all(np.abs(there - here)[~out] <= 0.5001 * step[~out])
    usual = (
        np.maximum(np.abs(there).max(axis=1, keepdims=True), 1e-300) / 127
    )  # the greatest weight at the greatest level
    lost, at_most = (
        ((there - near) ** 2).sum(axis=1) for near in (here, np.rint(there / usual) * usual)
    )
    assert np.all(lost[~out] <= at_most[~out] * (1 + 1e-6) + 1e-24)
    most = [
        case.x.shape[1] if beta == 1 else (1 - beta ** case.x.shape[1]) / (1 - beta)
        for beta in case.decays
    ]
    count = (
        np.abs(there).sum(axis=1) * np.prod(most) / case.theta
    )  # if every input spiked in every step
    assert np.all(count[out] <= 0.0101)
    assert result.layers["n"].threshold_error >= count[out].max(initial=0.0) / 2.01


def stepped(case: FloatGraph, weight: Float, x: Float) -> tuple[Float, Float]:
    """Compute membranes before the reset, and spikes, of a linear layer without recurrence.

    This is in double precision, and written here alone.
    """
    u = current = s = np.zeros((len(x), len(case.theta)))
    membranes, spikes, late = [], [], case.semantics.reset_timing == "next_step"
    for t in range(x.shape[1]):
        drive = x[:, t] @ weight.T + case.offset
        if len(case.decays) == 2:
            current = case.decays[1] * current + drive
            drive = current
        u = case.decays[0] * u
        if late:
            u = u * (1 - s) if case.semantics.reset == "zero" else u - case.theta * s
        u = u + drive
        s = (u > case.theta).astype(np.float64)
        membranes.append(u)
        spikes.append(s)
        if not late:
            u = u * (1 - s) if case.semantics.reset == "zero" else u - case.theta * s
    return np.stack(membranes, 1), np.stack(spikes, 1)


def bound(case: FloatGraph, result: Quantized, weight: Float, membranes: Float) -> Float:
    """Bound, by channel, how far integers can be from the membranes before a spike differs.

    It is a sum of all that was rounded, as it grows.
    """
    far, neuron = distances(case, result), result.network.neurons["n"]
    growth = [min(case.x.shape[1], 1 / (1 - min(beta, 1 - 1e-12))) for beta in case.decays]
    each = far["threshold"] * case.theta + far["bias"] * case.theta + 2 * result.layers["n"].scale
    each = each + np.abs(weight - weights_in_model_units(case, result)).sum(axis=1)
    moved = each + far["decay"].max() * 2 * (
        np.abs(membranes).max(axis=(0, 1)) + np.abs(weight).sum(axis=1) * growth[-1] + case.theta
    )
    assert neuron.fields.state_bits <= 32
    total: Float = moved * float(np.prod(growth)) * 1.1 + far["threshold"] * case.theta
    return total


@in_both_tiers
def test_no_spike_differs_where_the_membrane_is_further_from_its_threshold_than_all_that_was_rounded() -> (
    None
):
    seen = {"compared": 0, "all": 0, "spikes": 0}

    @budget(2, 40)
    @given(
        float_graphs(levels=True).filter(
            lambda case: case.x.ndim == 3 and len(case.nir_graph.nodes) == 4
        )
    )
    def check(case: FloatGraph) -> None:
        weight = case.weight * case.gain[:, None]
        membranes, spikes = stepped(case, weight, case.x.astype(np.float64))
        sure = np.zeros(spikes.shape, np.bool_)
        for error in SHARES:
            result = quantized(case, error=error, decay_bits=16)
            here = simulate(result.network, case.x, trace=["n"]).trace.spikes["n"]
            near = np.abs(membranes - case.theta) <= bound(case, result, weight, membranes)
            sure = np.cumsum(near, axis=1) == 0
            assert np.array_equal(spikes[sure], here[sure])
        seen["compared"] += int(sure.sum())
        seen["all"] += sure.size
        seen["spikes"] += int(spikes[sure].sum())

    check()
    assert seen["compared"] > 0.8 * seen["all"]
    assert 0.02 < seen["spikes"] / seen["compared"] < 0.98


def furthest_bias(net: Network, module: Any) -> float:
    """Return how far a bias is from the model's at most, in thresholds."""
    (neuron,) = net.neurons.values()
    norm, cells = module[1], module[-1]
    offset = norm.bias - norm.weight / torch.sqrt(norm.running_var + norm.eps) * norm.running_mean
    if isinstance(cells, snn.RLeaky):
        offset = offset + cells.recurrent.bias
    wanted = (offset.double() / float(cells.threshold)).detach().numpy()
    return float(
        (np.abs(neuron.bias / neuron.threshold - wanted) / np.maximum(1, np.abs(wanted))).max()
    )


@budget(2, 25)
@given(float_models(), st.sampled_from(SHARES), st.sampled_from(SHARES))
def test_models_get_no_worse_either(
    case: tuple[nn.Module, npt.NDArray[np.uint8]], one: float, other: float
) -> None:
    model, x = case
    coarse, fine, finest = (
        from_torch(model, x, decay_bits=8, error=error)
        for error in (max(one, other), min(one, other), None)
    )
    few, more, most = (
        converted.network.neurons["layer2"].fields.fraction_bits
        for converted in (coarse, fine, finest)
    )
    assert few <= more <= most
    for converted, error in ((coarse, max(one, other)), (fine, min(one, other))):
        said = "fraction bits are all that there is room for" in "".join(
            converted.layers["layer2"].notes
        )
        assert said or furthest_bias(converted.network, model) <= 2.1 * error
    assert fine.network.weighted == finest.network.weighted
    with (
        pytest.raises(NotMappable, match="takes more than 32 bits; use at most")
        if most < 16
        else nullcontext()
    ):
        from_torch(model, x, decay_bits=8, fraction_bits=16)


@pytest.mark.parametrize(("gain", "steps"), [(2.0**-12, 80), (2.0**-20, 200)])
def test_a_threshold_far_above_the_twins_is_what_it_is(gain: float, steps: int) -> None:
    """Pixels over 255 with levels 127 and 1: the threshold is the pixels' units in it.

    snnTorch agrees.
    """
    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[127.0, 1.0]]) * gain)
    x = np.array([[255, 255], [255, 0], [128, 7]], np.uint8)
    theta = 1.0 if gain > 1e-4 else 0.01
    converted = from_torch(
        nn.Sequential(layer, snn.Leaky(beta=1.0, threshold=theta, init_hidden=True)),
        x,
        steps=steps,
        full_scale=255,
    )
    neuron = converted.network.neurons["layer1"]
    unit = 2.0**neuron.fields.fraction_bits
    assert neuron.threshold[0] == round(unit * float(np.float32(theta)) * 255 / gain)
    assert differing(converted) == 0


def test_a_layer_of_pixels_as_torch_initialises_it() -> None:
    """All thresholds are above 2**18; snnTorch with the rounded weights gives every spike."""
    torch.manual_seed(0)
    layer, lif = nn.Linear(784, 24), snn.Leaky(beta=0.9375, init_hidden=True)
    x = np.random.default_rng(0).integers(0, 256, (4, 784)).astype(np.uint8)
    converted = from_torch(nn.Sequential(layer, lif), x, steps=25, full_scale=255, weights="int8")
    neuron, report = converted.network.neurons["layer1"], converted.layers["layer1"]
    assert neuron.threshold.min() > 2**18
    assert neuron.fields.state_bits <= 32
    levels, weight = (
        converted.network.weighted["layer0"].weight * (report.folded.scale * 255)[:, None],
        layer.weight.detach().numpy(),
    )
    step = np.abs(weight).max(axis=1, keepdims=True) / 127
    scaled_to_largest = np.rint(weight / step) * step
    assert 0 < ((levels - weight) ** 2).sum() <= ((scaled_to_largest - weight) ** 2).sum() * 1.001
    lif = lif.double()
    with torch.no_grad():
        current = torch.tensor(x / 255) @ torch.tensor(levels).T + layer.bias
        spikes = torch.stack([lif(current) for _ in range(25)], 1)
    here = simulate(converted.network, x, trace=["layer1"]).trace.spikes["layer1"]
    assert 0.02 < here.mean() < 0.98
    assert (spikes.numpy() != here).mean() < 1e-3
