"""Layers of a torch model that make larger maps, against the model itself.

It is stepped in double precision by snnTorch's and torch's own modules.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_models import differing, dyadic, events, result_of, stepped_by_snntorch

from lehr import nirfile
from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.export.verified import export_model
from lehr.network import Network, Neuron
from lehr.nodes import Upsample2d
from lehr.simulate import simulate
from lehr.targets import registry
from lehr.targets.engine import run as run_target


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(6)


def leaky(threshold: Any = 0.75, **options: Any) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, init_hidden=True, **options)


def norm_of(gammas: list[float], offsets: list[float]) -> nn.Module:
    norm: Any = nn.BatchNorm2d(len(gammas), eps=0.0)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gammas))
        norm.bias.copy_(torch.tensor(offsets))
    return norm  # type: ignore[no-any-return]


NORM = ([1.0, -0.5, 2.0, -1.0], [0.25, 0.5, -0.5, 0.75])
TWICE = nn.Upsample(scale_factor=2)
FRONT: dict[str, tuple[nn.Module, ...]] = {
    "of spikes": (leaky(), TWICE),
    "of currents": (nn.Upsample(scale_factor=(2, 3)),),
    "to a size": (leaky(), nn.Upsample(size=(8, 12))),
    "to one size, exactly": (leaky(), nn.Upsample(size=8, mode="nearest-exact")),
    "UpsamplingNearest2d": (leaky(), nn.UpsamplingNearest2d(scale_factor=2)),
    "a norm before": (norm_of(*NORM), TWICE),
    "a norm behind": (TWICE, norm_of(*NORM)),
    "an average behind": (TWICE, nn.AvgPool2d((1, 2))),
    "maxima before": (nn.MaxPool2d(2), TWICE, norm_of(*NORM)),
    "maxima behind": (nn.Upsample(scale_factor=(1, 2)), nn.MaxPool2d(2, 1), norm_of(*NORM)),
    "an offset by value": (
        norm_of(*NORM),
        dyadic(nn.Conv2d(4, 4, 3, padding=1), 0.5),
        nn.Upsample(scale_factor=(2, 1), recompute_scale_factor=True),
    ),
}


@pytest.mark.parametrize("name", FRONT)
def test_larger_maps_are_exact(name: str) -> None:
    """Spike by spike, behind weights and whatever else stands around them."""
    front = [dyadic(nn.Conv2d(2, 4, 3)), *FRONT[name], leaky(0.75)]
    if name == "an offset by value":  # weights behind weights are refused: neurons between
        front = [dyadic(nn.Conv2d(2, 4, 3)), leaky(), *FRONT[name], leaky(0.75)]
    maps = [each for each in front if not isinstance(each, snn.Leaky)]
    with torch.no_grad():
        size = nn.Sequential(*maps).eval()(torch.zeros(1, 2, 6, 6)).numel()
    model = nn.Sequential(*front, nn.Flatten(), dyadic(nn.Linear(size, 6), 0.125), leaky(0.5))
    x = events(6, 9, 2, 6, 6)
    converted = from_torch(model, x)
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    trace = result_of(converted).trace
    for layer, (spikes, _) in stepped_by_snntorch(model, x).items():
        np.testing.assert_array_equal(trace.spikes[f"layer{layer}"], spikes.numpy())
    assert sum(isinstance(node, Upsample2d) for node in converted.network.nodes.values()) == 1


class Decoder(nn.Module):
    """An encoder and a decoder with a skip, of which the larger map takes the size."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.small = dyadic(nn.Conv2d(2, 4, 3, 2, 1)), leaky()
        self.skip, self.large = dyadic(nn.Conv2d(2, 4, 3, padding=1)), leaky(1.0)
        self.both, self.out = dyadic(nn.Conv2d(8, 3, 3), 0.25), leaky(0.5)
        self.sums, self.last = dyadic(nn.Conv2d(4, 3, 1), 0.25), leaky(0.75)

    def forward(self, x: Tensor) -> Any:
        small, large = self.small(self.down(x)), self.large(self.skip(x))
        up = functional.interpolate(small, size=large.shape[-2:], mode="nearest")
        spikes = self.out(self.both(torch.cat([large, up], 1)))
        added = self.sums(large) + functional.interpolate(self.sums_of(small), scale_factor=2.0)
        return spikes, self.last(added)

    def sums_of(self, small: Tensor) -> Any:
        return functional.conv2d(small, self.sums.weight * 2, None)


def test_a_decoder_with_a_skip_goes_through_files_and_targets(tmp_path: Path) -> None:
    """Its sums are added to others before the neurons, by one step of both their weights."""
    x = events(6, 9, 2, 8, 8)
    converted = from_torch(Decoder(), x, read_from="out")
    exported = export_model(converted, tmp_path / "m.nir")
    assert sum(exported.differ.values()) == 0
    read = nirfile.read(tmp_path / "m.nir")
    assert read == converted.network
    spikes = simulate(read, x, trace=read.neurons).trace.spikes
    expected = converted.spikes()
    assert sorted(expected) == ["large", "last", "out", "small"]
    assert all((spikes[layer] == want).all() for layer, want in expected.items())
    assert all(0 < want.mean() < 1 for want in expected.values())
    for name in ("c", "onnx"):
        target = registry.get(name)
        runner = target.runner()
        assert runner is not None
        if not runner.missing():
            trace = run_target(target, read, x, tuple(read.neurons)).trace
            assert all((trace.spikes[layer] == want).all() for layer, want in expected.items())
    small = read.neurons["small"]
    more = small.threshold + (1 << small.fields.fraction_bits)
    nodes = {**read.nodes, "small": Neuron(more, small.bias, small.arithmetic)}
    other = simulate(Network(nodes, read.edges, read.input, read.steps), x, trace=["out"])
    assert (other.trace.spikes["out"] != expected["out"]).any()


@pytest.mark.parametrize("front", [False, True])
def test_rows_become_longer(front: bool) -> None:
    """A row of the model is a map of one row; the layer alone says so, too."""
    layers = [dyadic(nn.Conv1d(2, 4, 3)), leaky(), nn.Upsample(scale_factor=3)]
    channels, size = (4, 30) if front else (2, 36)
    model = nn.Sequential(
        *(layers if front else [nn.Upsample(size=36)]),
        nn.Flatten(),
        dyadic(nn.Linear(channels * size, 5), 0.125),
        leaky(0.5),
    )
    x = events(8, 7, 2, 12)
    converted = from_torch(model, x)
    assert converted.exact
    assert differing(converted) == 0
    (node,) = (n for n in converted.network.nodes.values() if isinstance(n, Upsample2d))
    assert node.scale == (1, 3)


@pytest.mark.parametrize("times", [3, 7, 41])
def test_many_times_are_torch_s_in_double_precision(times: int) -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=(1, times)), dyadic(nn.Conv2d(1, 2, (1, 4))), leaky())  # fmt: skip
    assert differing(from_torch(model, events(4, 6, 1, 1, 5))) == 0


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Upsample(scale_factor=1.5), "its scale_factor is 1.5: no value stands there a whole number of times; use whole numbers, as scale_factor=2"),
        (nn.Upsample(scale_factor=(2.0, 0.5)), "its scale_factor is (2.0, 0.5): no value stands there a whole number of times; use whole numbers, as scale_factor=2"),
        (nn.Upsample(size=(8, 9)), "its size is (8, 9), and it gets (4, 4): no value stands there a whole number of times; use whole numbers, as scale_factor=2"),
        (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), "its mode is 'bilinear', align_corners=True, which adds parts of several values; use mode='nearest' and train with it"),
        (nn.Upsample(scale_factor=2, mode="bicubic"), "its mode is 'bicubic', which adds parts of several values; use mode='nearest' and train with it"),
        (nn.UpsamplingBilinear2d(scale_factor=2), "its mode is 'bilinear', align_corners=True, which adds parts of several values; use mode='nearest' and train with it"),
        (nn.Upsample(scale_factor=2, align_corners=False), "its align_corners is False, which mode='nearest' does not take; leave it out"),
        (nn.Upsample(), "it has no size and no scale_factor; give it one of the two"),
        (nn.Upsample(8, 2), "it has size and scale_factor; give it one of the two"),
        (nn.Upsample(scale_factor=(2, 2, 2)), "its scale_factor is (2.0, 2.0, 2.0), of 3 axes, and it gets 2; give it one number for each"),
    ],
)  # fmt: skip
def test_other_ways_are_refused(layer: nn.Module, message: str) -> None:
    model = nn.Sequential(dyadic(nn.Conv2d(2, 4, 3)), leaky(), layer, dyadic(nn.Conv2d(4, 2, 2)))
    kind = type(layer).__name__
    with pytest.raises(NotMappable, match=f"^{re.escape(f'2 ({kind}): {message}')}$"):
        from_torch(nn.Sequential(*model, leaky()), events(6, 5, 2, 6, 6))


def test_features_are_no_map() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = dyadic(nn.Linear(6, 4)), leaky()
            self.up = nn.Upsample(scale_factor=2)

        def forward(self, x: Tensor) -> Any:
            return self.lif(self.up(self.fc(x)))

    message = "up (Upsample): takes (channels, height, width) but gets (4,)"
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        from_torch(Flat(), events(6, 5, 6))


def test_functions_are_the_layer_and_refused_as_it_is() -> None:
    class Function(nn.Module):
        def __init__(self, **options: Any) -> None:
            super().__init__()
            self.conv, self.lif, self.options = dyadic(nn.Conv2d(2, 4, 3)), leaky(), options

        def forward(self, x: Tensor) -> Any:
            return self.lif(functional.interpolate(self.conv(x), **self.options))

    x = events(6, 5, 2, 6, 6)
    converted = from_torch(Function(scale_factor=(2, 1)), x)
    assert converted.network.nodes["interpolate"] == Upsample2d((2, 1))
    assert differing(converted) == 0
    message = "interpolate (Upsample): its mode is 'bilinear', which adds parts of several values;"
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        from_torch(Function(scale_factor=2, mode="bilinear", antialias=True), x)
