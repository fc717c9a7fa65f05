"""Recurrent neurons with real weights, as integers.

They are what snnTorch computes in double precision with the rounded weights.
"""

from __future__ import annotations

import copy
import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import snntorch as snn
import torch
from torch import nn
from torch_models import differing, dyadic, events, result_of

from lehr.export import from_torch
from lehr.export.torchmodels.network import FromTorch
from lehr.simulate import simulate

CHANNELS = 4
RESETS = (("subtract", True), ("subtract", False), ("zero", False), ("none", True), ("none", False))
"""Kinds of reset and their times; "zero" in the next step drops an input, and is refused."""
RECURRENCES: dict[str, dict[str, Any]] = {
    "linear": {"linear_features": CHANNELS},
    "one to one": {"all_to_all": False, "V": torch.tensor([0.31, -0.73, 0.17, 0.59])},
    "one for all": {"all_to_all": False, "V": -0.377},
    "conv": {"conv2d_channels": CHANNELS, "kernel_size": 3},
    "conv one to one": {
        "all_to_all": False,
        "V": torch.tensor([0.31, -0.73, 0.17, 0.59]).view(CHANNELS, 1, 1),
    },
}


def neuron(kind: str, recurrence: str, mode: tuple[str, bool] = ("subtract", True)) -> Any:
    """Make a recurrent layer that keeps its states."""
    options: dict[str, Any] = {
        "reset_mechanism": mode[0],
        "reset_delay": mode[1],
        "init_hidden": True,
        **RECURRENCES[recurrence],
    }
    return (
        snn.RSynaptic(alpha=0.5, beta=0.5, **options)
        if kind == "RSynaptic"
        else snn.RLeaky(beta=0.5, **options)
    )


def before(recurrence: str, *, norm: bool) -> list[nn.Module]:
    """Real weights and biases, and a batch norm half of whose gains are negative."""
    maps = recurrence.startswith("conv")
    layer, batch_norm = (
        (nn.Conv2d(2, CHANNELS, 3), nn.BatchNorm2d(CHANNELS))
        if maps
        else (nn.Linear(6, CHANNELS), nn.BatchNorm1d(CHANNELS))
    )
    if not norm:
        return [layer]
    with torch.no_grad():
        batch_norm.weight.copy_(torch.tensor([1.3, -0.7, -1.9, 0.6]))
        batch_norm.bias.copy_(torch.randn(CHANNELS) / 4)
        batch_norm.running_mean.copy_(torch.randn(CHANNELS) / 4)  # type: ignore[union-attr]
        batch_norm.running_var.copy_(torch.rand(CHANNELS) + 0.5)  # type: ignore[union-attr]
    return [layer, batch_norm]


def sample(recurrence: str, seed: int) -> npt.NDArray[np.uint8]:
    return events(
        6, 10, *((2, 5, 5) if recurrence.startswith("conv") else (6,)), rate=0.5, seed=seed
    )


def rounded(model: nn.Sequential, converted: FromTorch) -> nn.Sequential:
    """Return the model in double precision, with the network's weights.

    These are its levels times their steps.
    """
    copied = copy.deepcopy(model).double().eval()
    layers: list[Any] = list(copied)
    lif = layers[-1]
    vars(lif)["spike_grad"] = lambda x: (x > 0).double()
    name = converted.network.sources("output")[0]
    step = torch.from_numpy(converted.layers[name].folded.scale)
    gain = torch.ones(CHANNELS, dtype=torch.float64)
    if len(layers) == 3:
        norm = layers[1]
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    with torch.no_grad():
        for weight, levels, unit in (
            (layers[0].weight, converted.network.weighted["layer0"].weight, step / gain),
            (
                getattr(lif.recurrent, "weight", None),
                converted.network.weighted[f"{name}.recurrent"].weight,
                step,
            ),
        ):
            own = torch.from_numpy(levels.astype(np.float64)) * unit.view(
                -1, *[1] * (levels.ndim - 1)
            )
            if weight is not None:
                weight.copy_(own)
            else:
                lif.recurrent.V = nn.Parameter(
                    torch.diagonal(own) if own.ndim == 2 else own.view(CHANNELS, 1, 1)
                )
    return copied


def in_double(model: nn.Sequential, x: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the spikes of snnTorch itself, `[N, T, *shape]`."""
    lif: Any = model[-1]
    lif.reset_mem()
    with torch.no_grad():
        return torch.stack(
            [model(torch.from_numpy(x[:, t]).double()) for t in range(x.shape[1])], 1
        ).numpy()


def modes(kind: str) -> list[tuple[str, bool]]:
    """List kinds of reset, and whether each is in the next step.

    An RSynaptic that keeps its states takes no other.
    """
    return [mode for mode in RESETS if mode[1] or kind == "RLeaky"]


def build(
    kind: str, recurrence: str, mode: tuple[str, bool], seed: int, *, norm: bool
) -> tuple[nn.Sequential, npt.NDArray[np.uint8]]:
    """Build a model, and inputs on which it fires.

    Thresholds per channel are quantiles of its currents.
    """
    torch.manual_seed(seed)
    head, x = nn.Sequential(*before(recurrence, norm=norm)).eval(), sample(recurrence, seed)
    with torch.no_grad():
        current = head(torch.from_numpy(x).float().flatten(0, 1))
    lif = neuron(kind, recurrence, mode)
    by_channel = current.transpose(0, 1).flatten(1)
    threshold = by_channel.quantile(0.6, 1) * (1.3 if kind == "RSynaptic" else 1)
    if mode == (
        "subtract",
        False,
    ):  # snnTorch gives back a threshold to membranes over twice it, the integers do not
        lif.beta.fill_(0.75)
        back = getattr(lif.recurrent, "weight", None)
        most = (
            lif.recurrent.V.detach().flatten()
            if back is None
            else (0.4 if back.ndim > 2 else 1) * back.detach().flatten(1).clamp(min=0).sum(1)
        )
        threshold = 0.8 * (by_channel.max(1).values + most.clamp(min=0))
    lif.threshold = threshold.clamp(min=0.05).view(-1, *[1] * (current.ndim - 2))
    return nn.Sequential(*head, lif).eval(), x


@pytest.mark.slow
@pytest.mark.parametrize("recurrence", RECURRENCES)
@pytest.mark.parametrize("kind", ["RLeaky", "RSynaptic"])
def test_the_integers_are_the_model_with_rounded_weights(kind: str, recurrence: str) -> None:
    for number, (mode, norm) in enumerate(itertools.product(modes(kind), (False, True))):
        seed = 1 + number % 3
        model, x = build(kind, recurrence, mode, seed, norm=norm)
        converted = from_torch(model, x, weights="int5" if seed == 1 else "int8")
        (name,) = converted.network.neurons
        expected = in_double(rounded(model, converted), x)
        assert np.array_equal(result_of(converted).trace.spikes[name], expected), (mode, norm, seed)
        assert re.match(
            rf"0 and {name[5:]}.recurrent: weights rounded, by up to [01].\d\d of a step$",
            converted.layers[name].notes[0],
        )
        assert not converted.exact


def test_the_rounded_model_is_read_again_as_it_is() -> None:
    model, x = build("RLeaky", "linear", ("subtract", True), 1, norm=True)
    converted = from_torch(model, x, weights="int8")
    again = from_torch(rounded(model, converted), x)
    assert {name: node.weight.tolist() for name, node in again.network.weighted.items()} == {
        name: node.weight.tolist() for name, node in converted.network.weighted.items()
    }
    assert not any(
        "weights rounded" in note for layer in again.layers.values() for note in layer.notes
    )
    assert differing(again) == 0


@pytest.mark.parametrize("what", ["input's", "recurrent"])
def test_one_level_more_is_noticed(what: str) -> None:
    model, x = build("RLeaky", "linear", ("subtract", True), 1, norm=True)
    converted = from_torch(model, x, weights="int5")
    node = "layer0" if what == "input's" else "layer2.recurrent"
    weights = converted.network.weighted[node]
    for output, source in itertools.product(range(CHANNELS), range(weights.weight.shape[1])):
        weight = weights.weight.copy()
        weight[output, source] += 1 if weight[output, source] <= 0 else -1
        changed = replace(
            converted.network,
            nodes={**converted.network.nodes, node: replace(weights, weight=weight)},
        )
        if np.any(
            simulate(changed, x, trace=["layer2"]).trace.spikes["layer2"]
            != in_double(rounded(model, converted), x)
        ):
            return
    pytest.fail("no weight of the layer matters")


def test_a_step_for_both_loses_less_than_one_chosen_for_either() -> None:
    """Recurrent weights are ten times the input's.

    The input's own step would cut them, and theirs leaves the input little.
    """
    torch.manual_seed(3)
    layer, lif, x = nn.Linear(6, CHANNELS), neuron("RLeaky", "linear"), sample("linear", 3)
    with torch.no_grad():
        lif.recurrent.weight.mul_(10)
    converted = from_torch(nn.Sequential(layer, lif), x, weights="int4")
    joined = np.concatenate(
        [each.weight.detach().numpy() for each in (layer, lif.recurrent)], axis=1
    ).astype(np.float64)
    levels = np.concatenate(
        [converted.network.weighted[name].weight for name in ("layer0", "layer1.recurrent")], axis=1
    )
    loss = ((joined - levels * converted.layers["layer1"].folded.scale[:, None]) ** 2).sum(axis=1)
    for part in (joined[:, :6], joined[:, 6:], joined):
        step = np.abs(part).max(axis=1, keepdims=True) / 7
        assert (
            loss <= ((joined - step * np.rint(joined / step).clip(-7, 7)) ** 2).sum(axis=1) + 1e-12
        ).all()


def test_a_convolution_before_flatten_shares_a_step_with_all_neurons_of_a_channel() -> None:
    torch.manual_seed(4)
    norm: Any = nn.BatchNorm1d(8)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 0.8, 1.1, 0.9, -0.5, -0.8, -1.1, -0.9]))
    lif = snn.RLeaky(beta=0.5, threshold=0.3, linear_features=8, init_hidden=True)
    model, x = (
        nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), norm, lif).eval(),
        events(8, 10, 1, 3, 3, rate=0.5),
    )
    converted = from_torch(model, x, weights="int8")
    copied: Any = copy.deepcopy(model).double()
    vars(copied[3])["spike_grad"] = lambda v: (v > 0).double()
    step = torch.from_numpy(converted.layers["layer3"].folded.scale)
    gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).double().detach()
    unit = (step / gain).view(2, 4)
    assert torch.allclose(unit, unit[:, :1].expand(2, 4)), "one step for the kernel of a channel"
    with torch.no_grad():
        copied[0].weight.copy_(
            torch.from_numpy(converted.network.weighted["layer0"].weight.astype(float))
            * unit[:, 0].view(2, 1, 1, 1)
        )
        copied[3].recurrent.weight.copy_(
            torch.from_numpy(converted.network.weighted["layer3.recurrent"].weight.astype(float))
            * step[:, None]
        )
    assert np.array_equal(result_of(converted).trace.spikes["layer3"], in_double(copied, x))


class Stepped(nn.Module):
    """An RSynaptic whose states the caller keeps."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.fc, self.lif = (
            dyadic(nn.Linear(6, CHANNELS)),
            snn.RSynaptic(alpha=0.5, beta=0.5, threshold=0.75, linear_features=CHANNELS, **options),
        )
        dyadic(self.lif.recurrent, 0.5)

    def forward(self, x: torch.Tensor, spk: Any = None, syn: Any = None, mem: Any = None) -> Any:
        """Spikes and states."""
        return self.lif(self.fc(x), spk, syn, mem)


@pytest.mark.parametrize("delay", [True, False])
def test_an_rsynaptic_with_exact_weights_is_proven_and_resets_in_the_next_step_whatever_reset_delay_is(
    delay: bool,
) -> None:
    torch.manual_seed(1)
    model, x = Stepped(reset_delay=delay), events(8, 6, 6, rate=0.5)
    converted = from_torch(model, x)
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    assert converted.network.neurons["lif"].fields.reset_timing == "next_step"
    assert differing(converted) == 0
    reference: Any = copy.deepcopy(model).double()
    vars(reference.lif)["spike_grad"] = lambda v: (v > 0).double()
    states, spikes, membranes = [torch.zeros(8, CHANNELS, dtype=torch.float64)] * 3, [], []
    with torch.no_grad():
        for t in range(6):
            states = list(reference(torch.from_numpy(x[:, t]).double(), *states))
            spikes.append(states[0])
            membranes.append(states[2])
    trace, folded = result_of(converted).trace, converted.layers["lif"].folded
    np.testing.assert_array_equal(trace.spikes["lif"], torch.stack(spikes, 1).numpy())
    np.testing.assert_array_equal(
        trace.membranes["lif"],
        torch.stack(membranes, 1).numpy() * 2.0**folded.fraction_bits / folded.scale,
    )
