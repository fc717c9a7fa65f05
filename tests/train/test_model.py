"""Phase A against a plain loop over time with snnTorch's own neurons."""

from __future__ import annotations

import pytest
import snntorch
import torch
from snntorch import surrogate
from torch.nn import functional

from lehr.errors import FileRefused
from lehr.train.floats.model import FloatNet
from lehr.train.recipe import NetworkRecipe

RECIPE = NetworkRecipe.model_validate(
    {
        "steps": 7,
        "beta": "7/8",
        "slope": 2.0,
        "layers": [
            {
                "type": "conv",
                "channels": 4,
                "kernel": 3,
                "padding": 1,
                "pool": 2,
                "threshold": {"start": 0.4},
            },
            {"type": "linear", "features": 5, "threshold": {"start": 1.5}},
        ],
    }
)


def test_layer_by_layer_equals_step_by_step() -> None:
    torch.manual_seed(0)
    net, x = FloatNet(RECIPE, (1, 6, 6)), torch.randint(0, 256, (3, 1, 6, 6)).float()
    conv, linear = (block.weight.weight for block in net.layers)
    neurons = [
        snntorch.Leaky(beta=7 / 8, threshold=theta, spike_grad=surrogate.fast_sigmoid(2))
        for theta in (0.4, 1.5)
    ]
    states = [neuron.reset_mem() for neuron in neurons]
    expected = []
    for _ in range(7):
        current = functional.avg_pool2d(
            functional.conv2d(x / 255, torch.where(conv >= 0, 1.0, -1.0), padding=1), 2
        )
        hidden, states[0] = neurons[0](current, states[0])
        out, states[1] = neurons[1](
            hidden.flatten(1) @ torch.where(linear >= 0, 1.0, -1.0).T, states[1]
        )
        expected.append((hidden, out))
    spikes = net.run(x)[0]
    for layer in (0, 1):
        assert torch.equal(spikes[layer], torch.stack([step[layer] for step in expected]))
        assert 0 < float(spikes[layer].detach().mean()) < 1


def test_every_weight_gets_a_gradient() -> None:
    torch.manual_seed(0)
    net = FloatNet(RECIPE, (1, 6, 6))
    net(torch.randint(0, 256, (3, 1, 6, 6)).float()).sum().backward()
    for block in net.layers:
        grad = block.weight.weight.grad
        assert grad is not None
        assert float(grad.abs().sum()) > 0


def test_batch_norm_is_reestimated_over_all_batches() -> None:
    torch.manual_seed(0)
    fields = RECIPE.model_dump()
    fields["layers"][0]["batch_norm"] = True
    net = FloatNet(NetworkRecipe.model_validate(fields), (1, 6, 6))
    norm = net.layers[0].norm
    assert isinstance(norm, torch.nn.BatchNorm2d)
    batches = [torch.full((2, 1, 6, 6), 10.0), torch.full((2, 1, 6, 6), 250.0)]
    net.reestimate_batch_norm(batches)
    assert norm.running_mean is not None
    with torch.no_grad():
        means = [net.layers[0].weight(batch / 255).mean(dim=(0, 2, 3)) for batch in batches]
    assert torch.allclose(norm.running_mean, torch.stack(means).mean(0), atol=1e-6)


def test_glorot_weights_are_spread_as_the_paper_s_code_has_it() -> None:
    layers = [
        {"type": "conv", "channels": 32, "kernel": 3, "pool": 2, "threshold": {"start": 1}},
        {"type": "linear", "features": 10, "threshold": {"start": 1}},
    ]
    fields = {"steps": 1, "beta": "1/2", "slope": 1.0, "layers": layers}
    spread = {}
    for init in ("kaiming", "glorot"):
        torch.manual_seed(0)
        net = FloatNet(NetworkRecipe.model_validate({**fields, "init": init}), (2, 12, 12))
        spread[init] = [float(block.weight.weight.detach().abs().max()) for block in net.layers]
    # sqrt(1.5 / (in + out)), a convolution's channels times its kernel's area; torch's is 1 /
    # sqrt(in)
    assert spread["glorot"] == pytest.approx(
        [(1.5 / (9 * (2 + 32))) ** 0.5, (1.5 / (32 * 25 + 10)) ** 0.5], rel=0.02
    )
    assert spread["kaiming"] == pytest.approx([1 / 18**0.5, 1 / (32 * 25) ** 0.5], rel=0.02)


def test_padding_that_asks_for_gigabytes_is_refused_before_anything_is_made() -> None:
    layers = [
        {
            "type": "conv",
            "channels": 8,
            "kernel": 3,
            "padding": 30_000,
            "pool": 2,
            "threshold": {"start": 1},
        }
    ]
    fields = {
        "steps": 1,
        "beta": "1/2",
        "slope": 1.0,
        "layers": [*layers, {"type": "linear", "features": 2, "threshold": {"start": 1}}],
    }
    with pytest.raises(FileRefused) as caught:
        FloatNet(NetworkRecipe.model_validate(fields), (1, 6, 6))
    assert str(caught.value).startswith(
        "a conv layer of padding 30000: has shape (8, 60004, 60004), which are 28,803,840,128 "
        "values a step"
    )
