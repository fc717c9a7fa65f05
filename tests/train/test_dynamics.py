"""Neurons by layer in phase A, against plain loops over time with snnTorch's own neurons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import snntorch
import torch
from torch import Tensor, nn

from lehr.train.floats.model import FloatNet
from lehr.train.floats.neurons import FloatNeurons
from lehr.train.recipe import NetworkRecipe

FEATURES, STEPS = 6, 12


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """In double precision, which snnTorch's neurons take from the default alone."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


class _Fire(torch.autograd.Function):
    """snnTorch's fast sigmoid of slope 2, which computes in float32 there."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor) -> Tensor:
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        [distance] = ctx.saved_tensors
        root: Tensor = 2 * distance.abs() + 1
        return grad[0] / (root * root)


def fire(distance: Tensor) -> Tensor:
    spikes: Tensor = _Fire.apply(distance)  # type: ignore[no-untyped-call]
    return spikes


def network(*layers: dict[str, Any], **keys: Any) -> NetworkRecipe:
    """A chain of fully connected layers."""
    common = {"type": "linear", "features": FEATURES, "threshold": {"start": 1.5}}
    return NetworkRecipe.model_validate(
        {"steps": STEPS, "slope": 2.0, "layers": [{**common, **layer} for layer in layers], **keys}
    )


def model(recipe: NetworkRecipe) -> FloatNet:
    torch.manual_seed(0)
    return FloatNet(recipe, (4,), 1).double()


def events(samples: int = 5) -> Tensor:
    return (torch.rand(samples, STEPS, 4) < 0.5).double()


def signs(net: FloatNet, layer: int) -> Tensor:
    weight = net.layers[layer].weight.weight
    return torch.where(weight >= 0, 1.0, -1.0).to(weight.dtype)


def require_flow(spikes: Tensor) -> None:
    assert 0 < float(spikes.detach().mean()) < 1


def test_each_layer_has_its_decay_and_its_reset() -> None:
    net = model(network({"beta": "3/4", "reset": "zero"}, {"reset": "none"}, beta="7/8"))
    x = events()
    neurons = [
        snntorch.Leaky(
            beta=beta,
            threshold=1.5,
            reset_mechanism=reset,
            spike_grad=fire,
        )
        for beta, reset in ((0.75, "zero"), (0.875, "none"))
    ]
    states: list[Any] = [neuron.reset_mem() for neuron in neurons]
    expected = []
    for t in range(STEPS):
        hidden, states[0] = neurons[0](x[:, t] @ signs(net, 0).T, states[0])
        out, states[1] = neurons[1](hidden @ signs(net, 1).T, states[1])
        expected.append((hidden, out))
    for layer, spikes in enumerate(net.run(x)[0]):
        assert torch.equal(spikes, torch.stack([step[layer] for step in expected]))
        require_flow(spikes)


@pytest.mark.parametrize("reset", ["subtract", "none"])
def test_a_synapse_is_snntorchs(reset: str) -> None:
    net = model(network({"alpha": "3/4", "reset": reset, "bias": True}, beta="7/8"))
    neurons = net.layers[0].neurons
    with torch.no_grad():
        neurons.bias.copy_(torch.linspace(-0.3, 0.3, FEATURES))
    x = events()
    plain = snntorch.Synaptic(
        alpha=0.75,
        beta=0.875,
        threshold=1.5,
        reset_mechanism=reset,
        spike_grad=fire,
    )
    synapse, membrane = plain.reset_mem()
    expected, membranes = [], []
    for t in range(STEPS):
        # the layer's bias comes with its input
        spikes, synapse, membrane = plain(
            x[:, t] @ signs(net, 0).T + neurons.bias, synapse, membrane
        )
        expected.append(spikes)
        membranes.append(membrane)
    ran, out = net.run(x)
    require_flow(ran[0])
    assert torch.equal(ran[0], torch.stack(expected))
    assert torch.allclose(out, torch.stack(membranes), rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(ran[0])
    [one] = torch.autograd.grad((ran[0] * weights).sum(), [neurons.bias])
    [other] = torch.autograd.grad((torch.stack(expected) * weights).sum(), [neurons.bias])
    assert torch.allclose(one, other, rtol=1e-9)


def test_a_reset_to_zero_behind_a_synapse_is_leakys() -> None:
    """It clears the membrane alone; snnTorch's Synaptic drops the next step's input as well."""
    net = model(network({"alpha": "3/4", "reset": "zero"}, beta="7/8"))
    x, [spikes] = (values := events()), net.run(values)[0]
    v = i = s = torch.zeros(len(x), FEATURES)
    expected = []
    for t in range(STEPS):
        i = 0.75 * i + x[:, t] @ signs(net, 0).T
        v = 0.875 * v * (1 - s) + i
        s = (v > 1.5).double()
        expected.append(s)
    require_flow(spikes)
    assert torch.equal(spikes, torch.stack(expected))


@pytest.mark.parametrize("learn", ["layer", "channel"])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("timing", ["next_step", "same_step"])
@pytest.mark.parametrize("held", [False, True], ids=["steps", "held"])
def test_the_gradient_of_a_learned_beta_is_autograds(
    learn: str, reset: str, timing: str, held: bool
) -> None:
    """The fused loops against torch's own gradients of a loop that is written out."""
    recipe = network(
        {"beta": {"start": "0.8", "learn": learn}, "reset": reset},
        arithmetic={"reset_timing": timing},
    )
    torch.manual_seed(3)
    neurons = FloatNeurons(recipe, 0, (FEATURES,), 4).double()
    with torch.no_grad():
        logit = neurons.decays["beta"]
        logit += 0.5 * torch.randn_like(logit)
    current = torch.randn(1 if held else STEPS, 5, FEATURES, dtype=torch.float64) + 0.4
    current.requires_grad_()
    membrane = spike = torch.zeros(5, FEATURES, dtype=torch.float64)
    factor, steps = neurons.decays["beta"].sigmoid(), []

    def after(v: Tensor, s: Tensor) -> Tensor:
        s = s.detach()
        return v - 1.5 * s if reset == "subtract" else v * (1 - s) if reset == "zero" else v

    for t in range(STEPS):
        membrane = membrane * factor
        if timing == "next_step" and reset == "zero":
            membrane = after(membrane, spike)
        membrane = membrane + current[t % len(current)]
        if timing == "next_step" and reset == "subtract":
            membrane = after(membrane, spike)
        spike = fire(membrane - 1.5)
        if timing == "same_step":
            membrane = after(membrane, spike)
        steps.append((spike, membrane))
    expected = [torch.stack(list(each)) for each in zip(*steps, strict=True)]
    got = neurons(current, STEPS)
    require_flow(got[0])
    assert torch.equal(got[0], expected[0])
    assert torch.allclose(got[1], expected[1], rtol=1e-12, atol=1e-12)
    weights = [torch.randn_like(each) for each in expected]
    inputs = [neurons.decays["beta"], current]
    one, other = (
        torch.autograd.grad(
            torch.stack([(w * e).sum() for w, e in zip(weights, each, strict=True)]).sum(),
            inputs,
        )
        for each in (got, expected)
    )
    for mine, plain in zip(one, other, strict=True):
        assert plain.abs().max() > 0
        assert torch.allclose(mine, plain, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_a_learned_beta_is_a_difference_quotient_where_nothing_fires() -> None:
    """Of a membrane, which is a polynomial in beta."""
    recipe = network({"beta": {"start": "0.8", "learn": "channel"}}, steps=STEPS)
    neurons = FloatNeurons(recipe, 0, (FEATURES,), 4).double()
    neurons.threshold.fill_(1e9)
    current = torch.randn(STEPS, 2, FEATURES, dtype=torch.float64)
    logit = neurons.decays["beta"]
    [gradient] = torch.autograd.grad(neurons(current, STEPS)[1][-1].sum(), [logit])
    with torch.no_grad():
        for channel in range(FEATURES):
            ends = []
            for move in (1e-5, -2e-5):
                logit[channel] += move
                ends.append(float(neurons(current, STEPS)[1][-1].sum()))
            logit[channel] += 1e-5
            assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(float(gradient[channel]), rel=1e-6)


def test_a_learned_alpha_has_autograds_gradient() -> None:
    recipe = network({"alpha": {"start": "0.6", "learn": "channel"}}, beta="7/8")
    neurons = FloatNeurons(recipe, 0, (FEATURES,), 4).double()
    plain = nn.Parameter(neurons.decays["alpha"].detach().sigmoid())
    current = torch.randn(STEPS, 4, FEATURES, dtype=torch.float64) + 0.2
    synaptic = snntorch.Synaptic(
        alpha=plain,
        beta=0.875,
        threshold=1.5,
        learn_alpha=True,
        spike_grad=fire,
    )
    state, expected = synaptic.reset_mem(), []
    for t in range(STEPS):
        spikes, *state = synaptic(current[t], *state)
        expected.append(spikes)
    got = neurons(current, STEPS)[0]
    require_flow(got)
    assert torch.equal(got, torch.stack(expected))
    weights = torch.randn_like(got)
    [one] = torch.autograd.grad((got * weights).sum(), [neurons.decays["alpha"]])
    [other] = torch.autograd.grad((torch.stack(expected) * weights).sum(), [synaptic.alpha])
    factor = plain.detach()
    assert torch.allclose(one, other * factor * (1 - factor), rtol=1e-9)


def test_threshold_adaptation_written_out() -> None:
    layer = {"adaptation": {"type": "threshold", "jump": 0.4, "beta": "15/16"}}
    net = model(network(layer, beta="7/8"))
    x, [spikes] = (values := events()), net.run(values)[0]
    v = a = s = torch.zeros(len(x), FEATURES, dtype=torch.float64)
    expected = []
    for t in range(STEPS):
        v = 7 / 8 * v + x[:, t] @ signs(net, 0).T - 1.5 * s
        a = 15 / 16 * a + 0.4 * s
        s = (v > 1.5 + a).double()
        expected.append(s)
    require_flow(spikes)
    assert torch.equal(spikes, torch.stack(expected))
    without = model(network({}, beta="7/8")).run(x)[0][0]
    assert float(spikes.detach().sum()) < float(without.detach().sum())


def test_current_adaptation_is_the_papers_se_adlif() -> None:
    """Baronig et al. 2024, Eq. 6, in its own units."""
    alpha, rho, a, b = 7 / 8, 15 / 16, 2.0, 3.0
    scale = (1 - alpha) * (1 - rho)
    layer = {
        "adaptation": {
            "type": "current",
            "membrane": f"{int(a * scale * 128)}/128",
            "jump": b * scale,
            "beta": "15/16",
        },
        "reset": "zero",
    }
    net = model(network(layer, beta="7/8", arithmetic={"reset_timing": "same_step"}))
    x, [spikes] = (values := events()), net.run(values)[0]
    u = w = torch.zeros(len(x), FEATURES, dtype=torch.float64)
    expected = []
    for t in range(STEPS):
        current = x[:, t] @ signs(net, 0).T / (1 - alpha)
        u = alpha * u + (1 - alpha) * (current - w)
        s = (u > 1.5).double()
        u = u * (1 - s)
        w = rho * w + (1 - rho) * (a * u + b * s)
        expected.append(s)
    require_flow(spikes)
    assert torch.equal(spikes, torch.stack(expected))


def test_a_learned_threshold_gets_the_gradient_of_all_its_neurons() -> None:
    layer = {"threshold": {"start": 1.5, "schedule": "learned"}}
    net = model(network(layer, beta="7/8"))
    threshold = net.layers[0].neurons.threshold
    assert isinstance(threshold, nn.Parameter)
    x = events()
    plain = nn.Parameter(threshold.detach().clone())
    v = s = torch.zeros(len(x), FEATURES, dtype=torch.float64)
    expected = []
    for t in range(STEPS):
        v = 7 / 8 * v + x[:, t] @ signs(net, 0).T - plain * s.detach()
        s = fire(v - plain)
        expected.append(s)
    [spikes] = net.run(x)[0]
    require_flow(spikes)
    assert torch.equal(spikes, torch.stack(expected))
    weights = torch.randn_like(spikes)
    [one] = torch.autograd.grad((spikes * weights).sum(), [threshold])
    [other] = torch.autograd.grad((torch.stack(expected) * weights).sum(), [plain])
    assert one == pytest.approx(float(other), rel=1e-9)


class _Back(nn.Module):
    """Weights through which spikes come back, which are computed."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, spikes: Tensor) -> Tensor:
        return spikes @ self.weight.T


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("keys", [{}, {"batch_norm": True}, {"alpha": "1/2", "bias": True}])
def test_a_recurrent_layer_is_snntorchs(keys: dict[str, Any], training: bool) -> None:
    net = model(network({"recurrent": True, **keys}, beta="7/8")).train(training)
    block, x = net.layers[0], events(40)
    assert block.weight.weight.shape == (FEATURES, 4 + FEATURES)
    if isinstance(block.norm, nn.BatchNorm1d):
        with torch.no_grad():
            block.norm.weight.copy_(torch.linspace(-2, 3, FEATURES))
            block.norm.bias.copy_(torch.linspace(-0.1, 0.4, FEATURES))
            assert block.norm.running_var is not None
            block.norm.running_var.fill_(2.0)
    levels = signs(net, 0).requires_grad_()
    taken, back = levels.split([4, FEATURES], 1)
    common: dict[str, Any] = {"threshold": 1.5, "all_to_all": True}
    common |= {"linear_features": FEATURES, "spike_grad": fire, "learn_recurrent": True}
    plain: Any = (
        snntorch.RSynaptic(alpha=0.5, beta=0.875, **common)
        if "alpha" in keys
        else snntorch.RLeaky(beta=0.875, **common)
    )
    sums = x.transpose(0, 1) @ taken.T
    mean, variance = sums.mean((0, 1)), sums.var((0, 1), correction=0)
    if not training:
        mean, variance = torch.zeros(FEATURES), torch.full((FEATURES,), 2.0)
    norm: Any = block.norm
    gain = norm.weight / (variance + norm.eps).sqrt() if "batch_norm" in keys else torch.ones(1)
    offset = norm.bias - gain * mean if "batch_norm" in keys else block.neurons.bias
    plain.recurrent = _Back(back * gain.view(-1, 1))
    state: Any = plain.init_rsynaptic() if "alpha" in keys else plain.init_rleaky()
    expected = []
    for t in range(STEPS):
        spikes, *rest = plain(sums[t] * gain + offset, *state)
        state = (spikes, *rest)
        expected.append(spikes)
    got = net.run(x)[0][0]
    require_flow(got)
    assert torch.equal(got, torch.stack(expected))
    weights = torch.randn_like(got)
    [one] = torch.autograd.grad((got * weights).sum(), [block.weight.weight])
    [other] = torch.autograd.grad((torch.stack(expected) * weights).sum(), [levels])
    # straight through the signs
    assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)
    assert min(one[:, :4].abs().max(), one[:, 4:].abs().max()) > 0


def test_all_of_it_runs_on_another_device() -> None:
    """On torch's device without memory, from which to read a number is an error."""
    rising = {"type": "threshold", "jump": 0.5, "beta": "3/4"}
    opposing = {"type": "current", "membrane": "1/4", "jump": 0.5, "beta": "3/4"}
    learned = {learn: {"start": "7/8", "learn": learn, "bits": 8} for learn in ("layer", "channel")}
    recipe = network(
        {"recurrent": True, "batch_norm": True, "beta": learned["channel"]},
        {"alpha": learned["layer"], "adaptation": opposing},
        {"beta": learned["layer"], "adaptation": rising},
        {"beta": learned["layer"], "threshold": {"start": 2.0, "schedule": "learned"}},
        beta="7/8",
    )
    net = FloatNet(recipe, (4,), 1).to("meta")
    layers = net.run(torch.empty(3, STEPS, 4, device="meta"))[0]
    assert {layer.device.type for layer in layers} == {"meta"}
    torch.stack([layer.sum() for layer in layers]).sum().backward()
    trained = {name for name, each in net.named_parameters() if each.requires_grad}
    assert trained == {name for name, each in net.named_parameters() if each.grad is not None}
    assert len(trained) == 11
