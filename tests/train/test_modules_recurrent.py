"""Models with recurrent neurons and synapses of snnTorch, binarized.

They compute what plain snnTorch computes in float64 with the signs as weights, learn, and are
exported to integers with the same spikes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import pytest
import snntorch as snn
import torch
from snntorch import surrogate
from torch import Tensor, nn
from torch_models import differing, events

from lehr.errors import UsageError
from lehr.export import from_torch
from lehr.train import Threshold, ThresholdAnnealer, binarize
from lehr.train.floats.quantize import Ternary, Uniform
from lehr.train.own.neurons import Annealed

STEPS, THRESHOLD = 12, 3.0
HIDDEN = {"same step": 6.0, "convolution": 1.0}
"""Thresholds of exported models: snnTorch gives one back where a reset in the same step leaves more.
"""
KEEPS: dict[str, Any] = {
    "beta": 0.75,
    "threshold": 0.8,
    "init_hidden": True,
    "spike_grad": surrogate.fast_sigmoid(slope=2),
}
VECTOR: Any = torch.tensor([0.31, -0.73, 0.17, 0.59, -0.2, 0.4, 0.9, -0.6])


def dense(neuron: Callable[[], Any], out: Callable[[], Any] | None = None) -> nn.Sequential:
    """Return weights of 12 inputs, 8 neurons, and an output layer of 5."""
    last = snn.Leaky(**KEEPS) if out is None else out()
    return nn.Sequential(nn.Linear(12, 8), neuron(), nn.Linear(8, 5, bias=False), last)


def maps(neuron: Callable[[], Any]) -> nn.Sequential:
    """Return a convolution with 3 channels of neurons, and an output layer."""
    layers = (nn.Conv2d(2, 3, 3), neuron(), nn.Flatten(), nn.Linear(48, 5), snn.Leaky(**KEEPS))
    return nn.Sequential(*layers)


MODELS: dict[str, tuple[Callable[[], nn.Sequential], tuple[int, ...]]] = {
    "all to all": (lambda: dense(lambda: snn.RLeaky(linear_features=8, **KEEPS)), (12,)),
    "one to one": (lambda: dense(lambda: snn.RLeaky(all_to_all=False, V=VECTOR, **KEEPS)), (12,)),
    "one for all": (lambda: dense(lambda: snn.RLeaky(all_to_all=False, V=-0.4, **KEEPS)), (12,)),
    "convolution": (
        lambda: maps(lambda: snn.RLeaky(conv2d_channels=3, kernel_size=3, **KEEPS)),
        (2, 6, 6),
    ),
    "same step": (
        lambda: dense(lambda: snn.RLeaky(linear_features=8, reset_delay=False, **KEEPS)),
        (12,),
    ),
    "synapse": (lambda: dense(lambda: snn.Synaptic(alpha=0.5, **KEEPS)), (12,)),
    "synapse, all to all": (
        lambda: dense(lambda: snn.RSynaptic(alpha=0.5, linear_features=8, **KEEPS)),
        (12,),
    ),
    "output": (
        lambda: dense(lambda: snn.Leaky(**KEEPS), lambda: snn.RLeaky(linear_features=5, **KEEPS)),
        (12,),
    ),
}


def signed(model: nn.Sequential) -> nn.Sequential:
    """Copy a plain model with the signs of its weights, in float64; 0 counts as +1."""
    plain = in_float64(copy.deepcopy(model))
    for module in plain.modules():
        for name in ("weight", "V"):
            weight = module._parameters.get(name)
            if weight is not None:
                weight.data = torch.where(weight >= 0, 1.0, -1.0).double()
        if isinstance(module, snn.SpikingNeuron):
            module.register_buffer("threshold", torch.tensor(THRESHOLD, dtype=torch.float64))
    return plain


def reset(net: nn.Sequential) -> None:
    """Set all states to 0; snntorch.utils.reset leaves the spikes of an RSynaptic."""
    for module in net:
        if isinstance(module, snn.SpikingNeuron):
            cast(Any, module).reset_mem()


def in_float64(net: nn.Sequential) -> nn.Sequential:
    """Return a model whose spikes are float64, too; snnTorch's surrogates make them float32."""
    for module in net.modules():
        if isinstance(module, snn.SpikingNeuron):
            module.spike_grad = lambda x: (x > 0).to(x.dtype)
    return net.double()


def run(net: nn.Sequential, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return spikes and membranes `[T, N, ...]` of each neuron layer."""
    reset(net)
    seen: list[list[tuple[Tensor, Tensor]]] = []
    for step in x.unbind(1):
        value, layers = step, []
        for module in net:
            value = module(value)
            if isinstance(module, snn.SpikingNeuron):
                layers.append((value, cast(Tensor, module.mem)))
        seen.append(layers)
    return [
        (torch.stack([s for s, _ in layer]), torch.stack([v for _, v in layer]))
        for layer in zip(*seen, strict=True)
    ]


def differences(net: nn.Sequential, other: nn.Sequential, x: Tensor) -> int:
    """Count spikes and membranes in which two models differ; spikes flow in both."""
    count = 0
    with torch.no_grad():
        for (s, v), (t, w) in zip(run(net, x), run(other, x), strict=True):
            assert 0 < float(s.mean()) < 1
            count += int((s != t).sum()) + int((v != w).sum())
    return count


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_what_snntorch_computes_with_signs(name: str) -> None:
    torch.manual_seed(1)
    make, shape = MODELS[name]
    model = make()
    net = in_float64(binarize(model, thresholds=Threshold(start=THRESHOLD)))
    x = torch.from_numpy(events(9, STEPS, *shape)).double()
    plain = signed(model)
    assert differences(net, plain, x) == 0
    named = plain.named_parameters(remove_duplicate=False)
    weights = [weight.data for key, weight in named if key.endswith(("recurrent.weight", ".V"))]
    assert bool(weights) == (name != "synapse")
    first = (weights or [cast(nn.Linear, plain[0]).weight.data])[0].view(-1)
    caught = 0
    for index in range(min(len(first), 8)):
        first[index] *= -1  # one weight, or the one of all
        caught += differences(net, plain, x) > 0
        first[index] *= -1
    assert caught > 0


@pytest.mark.parametrize("name", MODELS)
def test_all_latents_learn_and_thresholds_move(name: str) -> None:
    torch.manual_seed(2)
    make, shape = MODELS[name]
    net = binarize(make(), thresholds=Threshold(start=1.5, schedule="linear", final=2.5))
    annealer = ThresholdAnnealer(net, 4)
    x = torch.from_numpy(events(9, STEPS, *shape)).float()
    for _ in range(4):
        net.zero_grad()
        run(net, x)[-1][0].mean().backward()
        annealer.step()
        assert list(annealer.rates) == [
            n for n, m in net.named_modules() if isinstance(m, Annealed)
        ]
        assert all(rate is not None and 0 < rate < 1 for rate in annealer.rates.values())
    every = net.named_parameters(remove_duplicate=False)  # V is the neuron's as well
    latents = {n: p for n, p in every if "parametrizations" in n}
    assert any("recurrent" in n for n in latents) == (name != "synapse")
    for key, latent in latents.items():
        assert latent.grad is not None, key
        assert float(latent.grad.abs().sum()) > 0, key
    neurons = [module for module in net.modules() if isinstance(module, Annealed)]
    assert [float(neuron.threshold) for neuron in neurons] == [2.5, 2.5]


@pytest.mark.parametrize("name", MODELS)
def test_spikes_of_the_exported_integers_are_the_models(name: str) -> None:
    torch.manual_seed(3)
    make, shape = MODELS[name]
    model = make()
    for module in model.modules():
        bias = getattr(module, "bias", None)
        if isinstance(bias, Tensor):
            bias.data = (bias.data * 4).round() / 4
    finals = {"1": HIDDEN.get(name, THRESHOLD), str(len(model) - 1): 2.0}
    schedules = {key: Threshold(start=0.5, schedule="linear", final=v) for key, v in finals.items()}
    net = binarize(model, thresholds=schedules)
    annealer = ThresholdAnnealer(net, 3)
    optimizer = torch.optim.SGD([p for n, p in net.named_parameters() if "parametri" in n], 0.1)
    x = events(9, STEPS, *shape)
    for _ in range(3):
        optimizer.zero_grad()
        (run(net, torch.from_numpy(x).float())[-1][0].mean() - 0.3).square().backward()
        optimizer.step()
        annealer.step()
    reset(net)
    converted = from_torch(net, x)
    assert {node.kind for node in converted.network.weighted.values()} <= {"binary", "ternary"}
    assert bool(converted.network.feedback) == (name != "synapse")
    assert differing(converted) == 0


def test_states_are_left_out_of_copies_and_reset() -> None:
    torch.manual_seed(4)
    for name in ("all to all", "synapse, all to all"):
        make, shape = MODELS[name]
        net = binarize(make(), thresholds=Threshold(start=2.0))
        x = torch.from_numpy(events(9, STEPS, *shape)).float()
        run(net, x)
        other = copy.deepcopy(net)
        states = ("mem", "spk") if name == "all to all" else ("mem", "spk", "syn")
        for state in states:
            assert cast(Any, net[1]).get_buffer(state).grad_fn is not None
            assert cast(Any, other[1]).get_buffer(state).grad_fn is None
        for each in (net, other):
            reset(each)
            assert all(not cast(Any, each[1]).get_buffer(state).any() for state in states)
        assert differences(net, other, x) == 0


@pytest.mark.parametrize("quantizer", [Ternary, lambda: Uniform("int4", learned=True)])
def test_other_quantizers_serve_weights_of_any_shape(quantizer: Any) -> None:
    for name in ("all to all", "one to one", "one for all", "convolution"):
        net = binarize(MODELS[name][0](), thresholds=Threshold(start=2.0), quantizer=quantizer)
        recurrent = cast(Any, net[1]).recurrent
        weight = recurrent.weight if hasattr(recurrent, "weight") else recurrent.V
        plain = cast(Any, MODELS[name][0]()[1]).recurrent
        given = plain.weight if hasattr(plain, "weight") else plain.V
        assert weight.shape == given.shape
        assert len(weight.unique()) <= (3 if quantizer is Ternary else 7)


def test_what_would_stay_float_or_be_overwritten_is_refused() -> None:
    class Hidden(nn.Module):
        """Neurons that cannot be annealed, beside one that can."""

        def __init__(self) -> None:
            super().__init__()
            self.fc, self.good = nn.Linear(4, 4), snn.Synaptic(alpha=0.5, beta=0.5)
            self.learnt = snn.RLeaky(beta=0.5, linear_features=4, learn_threshold=True)
            self.fixed = snn.RLeaky(beta=0.5, all_to_all=False, V=0.5, learn_recurrent=False)
            self.one = snn.RLeaky(beta=0.5, all_to_all=False, V=-1.0, learn_recurrent=False)
            self.rec = snn.RSynaptic(alpha=0.5, beta=0.5, linear_features=4)

    schedule = Threshold(start=2.0)
    with pytest.raises(UsageError) as refused:
        binarize(Hidden(), thresholds=dict.fromkeys(("good", "learnt", "fixed", "one"), schedule))
    assert str(refused.value) == (
        "the model cannot be binarized: "
        "learnt (RLeaky): its threshold is learnt, which annealing would overwrite; build it "
        "without learn_threshold. "
        "fixed.recurrent (RecurrentOneToOne): its V, 0.5, is fixed and would stay float; build the "
        "neuron with learn_recurrent=True, or with V=1. "
        "rec (RSynaptic): it has no schedule; name it in thresholds. "
        'To leave them as they are: skip=["learnt", "fixed.recurrent", "rec"]'
    )
