"""Models as people write them with snnTorch.

Binarized they learn, and copies, files and other types keep working.
"""

from __future__ import annotations

import copy
import importlib
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import snntorch as snn
import snntorch.utils
import torch
from sklearn.datasets import load_digits
from snntorch import surrogate
from torch import Tensor, nn

from lehr.errors import UsageError
from lehr.train import Threshold, ThresholdAnnealer, binarize
from lehr.train.floats.quantize import Quantizer, Ternary, Uniform
from lehr.train.own.neurons import AnnealedLeaky

STEPS, EPOCHS, BATCH = 8, 4, 32
GRAD = surrogate.fast_sigmoid(slope=2)
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_model.py"
ANNEALED = Threshold(start=0.5, schedule="linear", final=1.0)


def loop() -> nn.Module:
    """The example's own model: a loop over time in forward, membranes handed from step to step."""
    net = cast(nn.Module, runpy.run_path(str(EXAMPLE))["Net"]())
    net.conv = nn.Conv2d(1, 32, 3, padding=1, padding_mode="circular")
    net.lif2 = snn.Leaky(beta=0.75, spike_grad=GRAD, learn_beta=True)
    return net


def sequential() -> nn.Sequential:
    """Neurons that keep their own membranes, which snntorch.utils.reset sets to 0."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 64),
        nn.BatchNorm1d(64),
        snn.Leaky(beta=0.75, spike_grad=GRAD, init_hidden=True),
        nn.Linear(64, 10),
        nn.BatchNorm1d(10),
        snn.Leaky(
            beta=0.75, spike_grad=GRAD, init_hidden=True, output=True, reset_mechanism="zero"
        ),
    )


class Stepped(nn.Module):
    """Runs a sequential model step by step."""

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        snntorch.utils.reset(self.net)
        return torch.stack([self.net(x)[0] for _ in range(STEPS)])


class Nested(nn.Module):
    """Modules in a list and in a dict, one of them shared by two names."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(
            [nn.Sequential(nn.Linear(64, 64, bias=False), nn.BatchNorm1d(64))]
        )
        self.again = self.hidden[0]
        self.neurons = nn.ModuleDict(
            {
                "a": snn.Leaky(beta=0.75, spike_grad=GRAD),
                "out": snn.Leaky(beta=0.75, spike_grad=GRAD),
            }
        )
        self.out = nn.Sequential(nn.Linear(64, 10), nn.BatchNorm1d(10))

    def forward(self, x: Tensor) -> Tensor:
        first, last = self.neurons["a"], self.neurons["out"]
        mem1, mem2, spikes = cast(Any, first).reset_mem(), cast(Any, last).reset_mem(), []
        for _ in range(STEPS):
            spk, mem1 = first(self.again(x.flatten(1)), mem1)
            spk, mem2 = last(self.out(spk), mem2)
            spikes.append(spk)
        return torch.stack(spikes)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "loop": loop,
    "sequential": lambda: Stepped(sequential()),
    "nested": Nested,
}


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(labels)


def train(
    net: nn.Module, x: Tensor, labels: Tensor, annealer: ThresholdAnnealer, batches: int
) -> None:
    """`batches` batches, counted on from where the annealer is."""
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 5e-3)
    net.train()
    while (at := annealer.batch) < batches:
        rows = torch.arange(at * BATCH, (at + 1) * BATCH) % len(x)
        optimizer.zero_grad()
        wanted = 0.2 + 0.6 * nn.functional.one_hot(labels[rows], 10)
        nn.functional.mse_loss(net(x[rows]).mean(0), wanted).backward()
        optimizer.step()
        annealer.step()


def accuracy(net: nn.Module, x: Tensor, labels: Tensor) -> float:
    net.eval()
    with torch.no_grad():
        return float((net(x).sum(0).argmax(1) == labels).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name != "sequential" else ()) for name in MODELS],
)
def test_users_models_learn_with_signs_and_annealed_thresholds(
    name: str, digits: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(0)
    x, labels = digits
    model = MODELS[name]()
    given = copy.deepcopy(model.state_dict())
    net = binarize(model, thresholds=ANNEALED)
    assert type(net) is type(model)
    used: list[Tensor] = []
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    latents = [cast(Any, layer).parametrizations.weight.original for layer in layers]
    before = [latent.detach().clone() for latent in latents]
    for layer in layers:
        cast(nn.Module, layer).register_forward_pre_hook(
            lambda layer, _: used.append(cast(Tensor, layer.weight).detach())
        )
    start = accuracy(net, x, labels)
    batches = EPOCHS * len(x) // BATCH
    annealer = ThresholdAnnealer(net, batches)
    train(net, x, labels, annealer, batches)
    assert accuracy(net, x, labels) > max(0.6, start + 0.4)
    assert {float(weight) for tensor in used for weight in tensor.unique()} == {-1.0, 1.0}
    assert len(used) >= len(layers) * batches
    for latent, old in zip(latents, before, strict=True):
        assert float((latent.grad != 0).float().mean()) > 0.5
        assert not torch.equal(latent.detach().sign(), old.sign())
        assert len(latent.unique()) > 2
    neurons = [module for module in net.modules() if isinstance(module, AnnealedLeaky)]
    assert [float(neuron.threshold) for neuron in neurons] == [1.0, 1.0]
    assert all(0.01 < rate < 0.9 for rate in annealer.rates.values() if rate is not None)
    assert len(annealer.rates) == 2
    assert all(torch.equal(model.state_dict()[key], value) for key, value in given.items())
    assert not any(isinstance(module, AnnealedLeaky) for module in model.modules())


def test_it_computes_what_a_loop_over_signs_computes(digits: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 6), snn.Leaky(beta=0.5, init_hidden=True, output=True)
    )
    x, layer = (digits[0][:20] * 16).round(), cast(nn.Linear, net[1])
    swapped = binarize(net, thresholds=Threshold(start=40.0))

    def differing(weight: Tensor) -> int:
        membrane, spike, count = torch.zeros(20, 6), torch.zeros(20, 6), 0
        snntorch.utils.reset(swapped)
        for _ in range(STEPS):
            membrane = 0.5 * membrane + (x.flatten(1) @ weight.T + layer.bias) - 40 * spike
            spike = (membrane > 40).float()
            spikes, membranes = swapped(x)
            assert 0 < spikes.sum() < spikes.numel()
            count += int((spikes != spike).sum()) + int((membranes - membrane).abs().gt(1e-3).sum())
        return count

    weight = torch.where(layer.weight >= 0, 1.0, -1.0)
    assert differing(weight) == 0
    weight[0, 20] *= -1  # one weight
    assert differing(weight) > 0


def test_state_goes_through_a_file_and_a_run_goes_on_to_the_same_bits(
    tmp_path: Path, digits: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(2)
    whole, broken = (
        binarize(model, thresholds=Threshold(start=0.5, final=1.0, rate=0.2))
        for model in [loop()] * 2
    )
    annealer, resumed = ThresholdAnnealer(whole, 8), ThresholdAnnealer(broken, 8)
    train(whole, *digits, annealer, 4)
    torch.save(whole.state_dict(), tmp_path / "state.pt")
    train(whole, *digits, annealer, 8)
    broken.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert any(
        not torch.equal(value, broken.state_dict()[key])
        for key, value in whole.state_dict().items()
    )
    resumed.batch = 4
    train(broken, *digits, resumed, 8)
    assert all(
        torch.equal(value, broken.state_dict()[key]) for key, value in whole.state_dict().items()
    )
    assert float(cast(Any, whole).lif1.threshold) == pytest.approx(1 - 0.5 * 0.8**8)


def test_it_works_in_another_type_after_the_annealer_was_made() -> None:
    net = binarize(nn.Sequential(nn.Linear(3, 4), snn.Leaky(beta=0.5)), thresholds=ANNEALED)
    annealer = ThresholdAnnealer(net, 2)
    net.double()
    _, membranes = net(torch.rand(4, 3, dtype=torch.float64))
    annealer.step()
    assert membranes.dtype == cast(Any, net[1]).threshold.dtype == torch.float64
    assert float(cast(Any, net[1]).threshold) == 1.0


@pytest.mark.parametrize(
    ("quantizer", "levels"),
    [(Ternary, {-1, 0, 1}), (lambda: Uniform("int4", learned=True), set(range(-3, 4)))],
)
def test_other_quantizers_have_other_levels_and_what_they_learn_gets_gradients(
    quantizer: Callable[[], Quantizer], levels: set[int]
) -> None:
    torch.manual_seed(4)
    net = binarize(
        nn.Sequential(nn.Linear(64, 32), snn.Leaky(beta=0.5, spike_grad=GRAD)),
        thresholds=ANNEALED,
        quantizer=quantizer,
    )
    layer = cast(Any, net[0])
    latent, own = layer.parametrizations.weight.original, layer.parametrizations.weight[0].quantizer
    step = own.step(latent)
    assert set((layer.weight / (1 if step is None else step)).detach().unique().tolist()) == levels
    net(torch.rand(8, 64))[0].sum().backward()
    assert all(
        float(parameter.grad.abs().sum()) > 0
        for parameter in net.parameters()
        if parameter.grad is not None
    )
    assert len([parameter for parameter in net.parameters() if parameter.grad is not None]) == 2 + (
        step is not None
    )


def test_a_model_that_has_run_is_binarized_and_copied_and_copies_are_reset() -> None:
    torch.manual_seed(3)
    x, model = torch.rand(4, 1, 8, 8) * 20, sequential()
    model(x)
    net = binarize(model, thresholds=ANNEALED)
    assert cast(Any, model[6]).mem.grad_fn is not None
    assert cast(Any, net[6]).mem.grad_fn is None
    assert torch.equal(cast(Any, net[6]).mem, cast(Any, model[6]).mem)
    net(x)
    other = copy.deepcopy(net)
    assert all(cast(Any, each[6]).mem.abs().sum() > 0 for each in (net, other))
    for each in (net, other):
        snntorch.utils.reset(each)
        assert cast(Any, each[6]).mem.abs().sum() == 0
    assert torch.equal(net(x)[1], other(x)[1])


def test_a_threshold_given_to_two_neurons_becomes_two() -> None:
    both, each, layer = (
        cast(Any, torch.tensor(1.0)),
        cast(Any, torch.ones(2, dtype=torch.int64)),
        nn.Linear(2, 2),
    )
    net = nn.Sequential(layer, snn.Leaky(0.5, both), snn.Leaky(0.5, both), snn.Leaky(0.5, each))
    swapped = binarize(
        net, thresholds={"1": ANNEALED, "2": Threshold(start=3.0), "3": Threshold(start=2.5)}
    )
    ThresholdAnnealer(swapped, 4).step()
    assert [cast(Any, swapped[n]).threshold.tolist() for n in (1, 2, 3)] == [0.75, 3.0, [2.5, 2.5]]


def test_rate_controlled_thresholds_rise_only_while_the_neuron_fires_in_training() -> None:
    net = binarize(
        nn.Sequential(nn.Linear(1, 1, bias=False), snn.Leaky(beta=0.0)),
        thresholds=Threshold(start=1.0, schedule="rate-controlled", rate=0.5, floor=0.4),
    )
    nn.init.constant_(cast(Any, net[0]).parametrizations.weight.original, 0.01)
    annealer, neuron = ThresholdAnnealer(net, 9), cast(Any, net[1])

    def batch(*inputs: float) -> tuple[float | None, float]:
        for value in inputs:
            neuron.reset_mem()
            net(torch.full((3, 1), value))
        annealer.step()
        return annealer.rates["1"], float(neuron.threshold)

    assert batch(9.0, 0.0) == (0.5, 1.5)
    assert batch(1.0, 1.5) == (0.0, 1.5)
    net.eval()
    net(torch.full((3, 1), 9.0))
    with pytest.raises(
        UsageError,
        match=r"^1: it has not run in training mode since the last step; call train\(\) and the model first$",
    ):
        annealer.step()
    assert annealer.batch == 2
    net.train()
    assert batch(9.0) == (1.0, 2.25)


def test_the_names_of_the_package_load_torch_only_when_they_are_used() -> None:
    check = "import sys, lehr.train; assert 'torch' not in sys.modules; lehr.train.binarize; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
    package: Any = importlib.import_module("lehr.train")
    assert all(hasattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="^module 'lehr.train' has no attribute 'binarise'$"):
        _ = package.binarise
