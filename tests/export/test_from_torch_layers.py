"""Layers between the neurons, against the torch model itself: pooling, batch norm, weights of several kinds, recurrence, pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn
from torch_models import differing, dyadic, events, result_of

from lehr import nirfile
from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.network import Conv2d, Linear
from lehr.nodes import SumPool2d
from lehr.train import Threshold, binarize
from lehr.weights import WeightKind

KINDS: tuple[WeightKind, ...] = ("int8", "int2")


def leaky(threshold: Any = 0.75, beta: float = 0.5) -> Any:
    """A neuron that keeps its state."""
    return snn.Leaky(beta=beta, threshold=threshold, init_hidden=True)


def settled(norm: Any, gammas: list[float]) -> Any:
    """A batch norm that has seen data, of powers of two."""
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gammas))
        norm.bias.copy_(torch.tensor([0.25, -0.25] * (len(gammas) // 2)))
        norm.running_mean.copy_(torch.tensor([0.5, -0.5] * (len(gammas) // 2)))
        norm.running_var.fill_(4.0)
    norm.eps = 0.0
    return norm


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(11)


@pytest.mark.parametrize(
    "axes", [(4, 1, 1), (1, 4, 1, 1)], ids=["per channel", "with a batch's axis"]
)
def test_convolutions_pools_and_dropout(axes: tuple[int, ...]) -> None:
    """A spike less in one layer changes the next, so that equality in the last holds for all."""
    model = nn.Sequential(
        dyadic(nn.Conv2d(2, 4, 3, padding="same")),
        nn.AvgPool2d(2),
        leaky(torch.tensor([0.25, 0.5, 0.75, 1.0]).view(axes)),
        nn.Dropout(0.5),
        nn.Sequential(
            nn.AvgPool2d(2), dyadic(nn.Conv2d(4, 6, 2, groups=2), 0.5), nn.Identity(), leaky(0.125)
        ),
        nn.Flatten(),
        dyadic(nn.Linear(6, 5)),
        snn.Leaky(beta=0.5, threshold=0.25, init_hidden=True, output=True),
    )
    made = from_torch(model, events(6, 7, 2, 8, 8))
    assert made.exact
    assert list(made.network.neurons) == ["layer2", "layer4.3", "layer7"]
    assert differing(made) == 0


def test_a_pool_that_sums() -> None:
    """torch's average with a divisor of 1; a divisor of 4 is the other threshold, and another network."""
    torch.manual_seed(11)
    sums, averages = (
        from_torch(
            nn.Sequential(
                dyadic(nn.Conv2d(1, 3, 3)), nn.AvgPool2d(2, divisor_override=divisor), leaky(1.5)
            ),
            events(6, 5, 1, 8, 8),
        )
        for divisor in (1, 4)
    )
    assert isinstance(sums.network.nodes["layer1"], SumPool2d)
    assert sums.exact
    assert differing(sums) == 0
    assert averages.network != sums.network


def test_maximum_of_spikes_is_an_or() -> None:
    model = nn.Sequential(
        dyadic(nn.Conv2d(1, 3, 3)),
        leaky(),
        nn.MaxPool2d(3, 2, padding=1),
        nn.Flatten(),
        dyadic(nn.Linear(27, 4)),
        leaky(0.5),
    )
    made = from_torch(model, events(6, 7, 1, 8, 8, rate=0.3))
    assert made.exact
    assert made.network.nodes["layer2.sum"] == SumPool2d((3, 3), (2, 2), (1, 1))
    assert differing(made) == 0
    assert result_of(made).rates["layer2"] > result_of(made).rates["layer1"]


@pytest.mark.parametrize("order", ["norm, pool", "pool, norm"])
def test_batch_norm_with_negative_gains(order: str) -> None:
    norm, pool = settled(nn.BatchNorm2d(4), [0.5, -0.5, -1.0, 2.0]), nn.AvgPool2d(2)
    between = [norm, pool] if order == "norm, pool" else [pool, norm]
    last = settled(nn.BatchNorm1d(6), [1.0, -2.0, 1.0, -1.0, 0.5, -0.5])
    conv = dyadic(nn.Conv2d(1, 4, 3, padding=1))
    model = nn.Sequential(
        conv, *between, leaky(0.25), nn.Flatten(), dyadic(nn.Linear(64, 6)), last, leaky(0.5)
    )
    made = from_torch(model, events(6, 6, 1, 8, 8))
    assert made.exact, [layer.notes for layer in made.layers.values()]
    assert differing(made) == 0
    signs = np.sign(made.network.weighted["layer0"].weight / np.sign(conv.weight.detach().numpy()))
    assert [int(each[0, 0, 0]) for each in signs] == [1, -1, -1, 1]


@pytest.mark.few(7)
@pytest.mark.parametrize(
    ("levels", "kind"),
    [
        ((-1, 1), "binary"),
        ((-1, 0, 1), "ternary"),
        ((-3, -1, 2), "int3"),
        ((-127, 5, 64), "int8"),
        ((0, 7, -7), "ternary"),
    ],
)
@pytest.mark.parametrize("step", [1.0, 0.1, 0.03125])
def test_weights_that_are_levels_of_a_step_are_recognized(
    levels: tuple[int, ...], kind: str, step: float
) -> None:
    layer = nn.Linear(12, 8, bias=False)
    model = nn.Sequential(layer, leaky(2.3 * step * max(levels)))
    chosen = np.random.default_rng(2).choice(levels, (8, 12))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(chosen, dtype=torch.float32) * step)
    made = from_torch(model, events(8, 6, 12))
    node = made.network.nodes["layer0"]
    assert isinstance(node, Linear)
    assert node.kind == kind
    np.testing.assert_array_equal(node.weight, chosen // (7 if 7 in levels else 1))
    assert differing(made) == 0


def test_each_output_may_have_its_own_step() -> None:
    layer = dyadic(nn.Linear(12, 4), 1.0)
    model = nn.Sequential(layer, leaky(1.1))
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([[1.0], [0.3], [0.7], [2.0]]))
    made = from_torch(model, events(8, 6, 12))
    assert made.network.weighted["layer0"].kind == "binary"
    assert differing(made) == 0


def test_real_weights_are_rounded_only_when_asked() -> None:
    model = nn.Sequential(nn.Linear(12, 20), leaky(0.25))
    with pytest.raises(
        NotMappable,
        match=r"^0 \(Linear\): its weights are real numbers, not -1 and \+1 .* rounded with --weights int8 \(weights='int8' in Python\)$",
    ):
        from_torch(model, events(8, 6, 12))
    fine, coarse = (from_torch(model, events(40, 20, 12), weights=kind) for kind in KINDS)
    assert not fine.exact
    assert "0: weights rounded, by up to 0.49 of a step" in fine.layers["layer1"].notes
    assert differing(fine) < 0.02 * 40 * 20 * 20 < differing(coarse)


def test_a_decay_is_rounded_only_when_asked() -> None:
    model = nn.Sequential(dyadic(nn.Linear(12, 8)), leaky(beta=0.9))
    with pytest.raises(
        NotMappable,
        match=r"1 \(Leaky\): its beta is 0.9, no k/2\*\*n with n up to 16; train it with 230/256",
    ):
        from_torch(model, events(8, 6, 12))
    made = from_torch(model, events(8, 6, 12), decay_bits=8)
    arithmetic = made.network.neurons["layer1"].fields
    assert arithmetic.decay_numerator / 2**arithmetic.decay_shift == 230 / 256
    assert made.layers["layer1"].notes[0] == "1: decay moved by 0.0016 to 115/128"
    assert not made.exact
    with pytest.raises(
        NotMappable,
        match=r"^1 \(Leaky\): its beta is 0\.89999998, which 2 bits round to 1, so that nothing leaks; give a higher --decay-bits$",
    ):
        from_torch(model, events(8, 6, 12), decay_bits=2)


def test_fewer_fraction_bits_round_the_leak_and_say_so() -> None:
    model = nn.Sequential(dyadic(nn.Linear(12, 8)), leaky(beta=0.75))
    sample = events(40, 30, 12)
    fine, coarse = from_torch(model, sample), from_torch(model, sample, fraction_bits=1)
    assert differing(fine) < differing(coarse)
    assert coarse.network.neurons["layer1"].fields.fraction_bits == 1
    assert (
        "the leak is rounded to 1 fraction bits in each step" in coarse.layers["layer1"].notes[-1]
    )
    assert not fine.exact


def test_pixels_held_for_all_steps() -> None:
    model = nn.Sequential(
        dyadic(nn.Conv2d(1, 3, 3)), leaky(0.5), nn.Flatten(), dyadic(nn.Linear(27, 4)), leaky(0.5)
    )
    sample = np.random.default_rng(1).integers(0, 256, (6, 1, 5, 5)).astype(np.uint8)
    made = from_torch(model, sample, steps=5, full_scale=256)
    assert made.exact
    assert (made.network.steps, made.network.input.kind) == (5, "u8")
    assert differing(made) == 0
    assert made.spikes()["layer4"].shape == (6, 5, 4)


def test_recurrent_weights_take_the_unit_of_the_input() -> None:
    """A step of 1/2 against one of 1/4, in a convolution that comes back and a kernel per channel: levels of 2 and 1."""
    recurrences: tuple[dict[str, Any], ...] = (
        {"conv2d_channels": 3, "kernel_size": 3},
        {"all_to_all": False, "V": torch.tensor(-0.5)},
    )
    for recurrent in recurrences:
        neuron = snn.RLeaky(beta=0.5, threshold=1.0, init_hidden=True, **recurrent)
        if "kernel_size" in recurrent:
            dyadic(neuron.recurrent, 0.5)
        made = from_torch(nn.Sequential(dyadic(nn.Conv2d(1, 3, 3)), neuron), events(6, 7, 1, 6, 6))
        node = made.network.nodes["layer1.recurrent"]
        assert isinstance(node, Conv2d)
        assert set(np.abs(node.weight).ravel().tolist()) == {2}
        assert ("layer1.recurrent", "layer1") in made.network.feedback
        assert made.exact
        assert differing(made) == 0


def test_a_binarized_model_maps_without_a_word(tmp_path: Path) -> None:
    plain = nn.Sequential(nn.Linear(12, 16), leaky(beta=0.75), nn.Linear(16, 4), leaky(beta=0.75))
    binarized = binarize(plain, thresholds=Threshold(start=2.0))
    made = from_torch(binarized, events(8, 5, 12))
    assert {node.kind for node in made.network.weighted.values()} == {"binary"}
    assert differing(made) == 0
    (tmp_path / "m.nir").write_bytes(nirfile.to_bytes(made.network))
    assert nirfile.read(tmp_path / "m.nir") == made.network
