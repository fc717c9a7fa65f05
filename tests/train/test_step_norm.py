"""Batch norm of each time step's batch, against torch's layers called in a loop over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import snntorch
import torch
from snntorch import surrogate
from tiny import tiny_recipe, tiny_toml
from torch import Tensor, nn

from lehr.errors import UsageError
from lehr.train.data import load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.keys.network import NetworkRecipe
from lehr.train.learning.loop import train
from lehr.train.recipefile import parse
from lehr.train.runs.progress import Progress

STEPS = 5
LAYERS: list[dict[str, Any]] = [
    {"type": "conv", "channels": 3, "kernel": 3, "pool": 2, "threshold": {"start": 0.4}},
    {"type": "linear", "features": 7, "threshold": {"start": 0.3}},
]
BY_STEP = tuple(f"network.layers.{number}.batch_norm=step" for number in (0, 1))


def _net(batch_norm: Any) -> FloatNet:
    layers = [{**layer, "batch_norm": batch_norm} for layer in LAYERS]
    torch.manual_seed(0)
    recipe = NetworkRecipe.model_validate(
        {"steps": STEPS, "beta": "3/4", "slope": 2.0, "weights": "float", "layers": layers}
    )
    return FloatNet(recipe, (2, 8, 8), 1).double()


def _loop(net: FloatNet, x: Tensor, norms: list[nn.Module]) -> list[Tensor]:
    """snnTorch's neurons and torch's layers, called once a step, as the paper's code does."""
    conv, linear = (block.weight.weight for block in net.layers)
    gradient = surrogate.fast_sigmoid(2)
    neurons = [
        snntorch.Leaky(0.75, threshold=threshold, spike_grad=gradient).double()
        for threshold in (0.4, 0.3)
    ]
    membranes = [neuron.init_leaky() for neuron in neurons]
    spikes: list[list[Tensor]] = [[], []]
    for step in range(STEPS):
        now = x[:, step] if x.ndim == 5 else x
        pooled = nn.functional.avg_pool2d(nn.functional.conv2d(now, conv), 2)
        fired, membranes[0] = neurons[0](norms[0](pooled), membranes[0])
        fired = fired.double()  # which snnTorch makes float32
        spikes[0].append(fired)
        sums = nn.functional.linear(fired.flatten(1), linear)
        fired, membranes[1] = neurons[1](norms[1](sums), membranes[1])
        spikes[1].append(fired.double())
    return [torch.stack(each) for each in spikes]


@pytest.mark.parametrize("held", [True, False])
def test_spikes_gradients_and_running_statistics_are_a_plain_loop_s(held: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    shape = (6, 2, 8, 8) if held else (6, STEPS, 2, 8, 8)
    x = torch.randint(0, 4, shape, generator=generator).double()
    net = _net("step").train()
    weights = [block.weight.weight for block in net.layers]
    norms: list[nn.Module] = [nn.BatchNorm2d(3).double(), nn.BatchNorm1d(7).double()]
    for part in (x, x.flip(0) + 1, x):  # running statistics that move more than once
        got, _ = net.run(part)
        expected = _loop(net, part, norms)
    rates = [float(layer.detach().mean()) for layer in expected]
    assert all(0 < rate < 1 for rate in rates)
    for one, other in zip(got, expected, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(
        torch.autograd.grad(got[-1].sum(), weights),
        torch.autograd.grad(expected[-1].sum(), weights),
        strict=True,
    ):
        assert float(one.abs().max()) > 0
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)
    for block, norm in zip(net.layers, norms, strict=True):
        for name in ("running_mean", "running_var"):
            assert torch.allclose(getattr(block.norm, name), getattr(norm, name), rtol=1e-9)
    net.eval()
    for norm in norms:
        norm.eval()
    for one, other in zip(net.run(x)[0], _loop(net, x, norms), strict=True):
        assert torch.equal(one, other)
        assert 0 < float(one.detach().mean()) < 1
    together, _ = _net(True).train().run(x)
    assert not all(torch.equal(one, other) for one, other in zip(together, expected, strict=True))


def test_re_estimation_takes_the_mean_over_batches_and_steps() -> None:
    generator = torch.Generator().manual_seed(1)
    batches = [
        torch.randint(0, high, (6, STEPS, 2, 8, 8), generator=generator).double() for high in (2, 5)
    ]
    net = _net("step")
    norm, weight = net.layers[0].norm, net.layers[0].weight
    assert isinstance(norm, nn.BatchNorm2d)
    net.reestimate_batch_norm(batches)
    with torch.no_grad():
        sums = [
            nn.functional.avg_pool2d(weight(batch[:, step]), 2)
            for batch in batches
            for step in range(STEPS)
        ]
    means = torch.stack([each.mean((0, 2, 3)) for each in sums]).mean(0)
    spread = torch.stack([each.transpose(0, 1).flatten(1).var(1) for each in sums]).mean(0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert torch.allclose(norm.running_mean, means, rtol=1e-9)
    assert torch.allclose(norm.running_var, spread, rtol=1e-9)


def test_a_run_of_all_phases_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    up_and_down = 'train.lr_schedule={ name = "cosine", period = 4 }'  # of 6 batches an epoch
    recipe = parse(tiny_toml(), "tiny", (*BY_STEP, up_and_down))
    data = load_dataset(recipe.data, None)
    whole = train(recipe, data)
    seen: list[int] = []

    class Killed(Exception):
        pass

    def killed(entry: dict[str, Any]) -> None:
        seen.append(entry["epoch"])
        if len(seen) == 3:
            raise Killed

    with pytest.raises(Killed):
        train(recipe, data, killed, Progress.open(tmp_path / "kept", recipe, resume=False))
    again = train(recipe, data, progress=Progress.open(tmp_path / "kept", recipe, resume=True))
    assert whole.twin is not None
    assert again.twin is not None
    for one, other in ((whole.model, again.model), (whole.twin, again.twin)):
        for first, second in zip(
            one.state_dict().values(), other.state_dict().values(), strict=True
        ):
            assert torch.equal(first, second)
    plain = train(tiny_recipe(), data)
    assert not torch.equal(whole.model.layers[0].weight.weight, plain.model.layers[0].weight.weight)
    assert all(0 < rate < 1 for entry in whole.metrics for rate in entry["rates"])


def test_what_comes_back_has_one_gain_for_all_steps() -> None:
    linear = "{ type = 'linear', features = 8, batch_norm = 'step', recurrent = true, threshold = { start = 1 } }"
    with pytest.raises(UsageError) as caught:
        parse(tiny_toml(), "tiny", (f"network.layers=[{linear}, {linear}]",))
    assert [str(each) for each in caught.value.args] == [
        f"recipe tiny: network.layers.{number}.batch_norm is 'step', but "
        f"network.layers.{number}.recurrent is true, whose spikes come back by one gain for all "
        "steps; use true, or leave one out"
        for number in (0, 1)
    ]


@pytest.mark.parametrize(("size", "samples"), [(1, 192), (32, 193)])
def test_a_batch_of_one_sample_has_no_statistics(size: int, samples: int) -> None:
    keys = (f"train.batch_size={size}", f"data.train_samples={samples}")
    linear = "network.layers.2.batch_norm=step"
    recipe = parse(tiny_toml(), "tiny", (*keys, linear))
    with pytest.raises(UsageError) as caught:
        train(recipe, load_dataset(recipe.data, None))
    assert str(caught.value) == (
        f"train.batch_size is {size}, of which {samples} samples leave a batch of one, but "
        "network.layers.2.batch_norm is 'step', which takes the variance of a step's samples; "
        "change batch_size, or data.train_samples"
    )
