"""Maxima of currents between weights and neurons, as in snnTorch's tutorial on convolutions.

The integer network is compared with the torch model, stepped here in double precision, layer by
layer and by nothing of lehr.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import snntorch as snn
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch_models import differing, dyadic, events

from lehr import nirfile
from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.export.torchmodels.network import FromTorch
from lehr.export.verified import export_model
from lehr.network import Network, Neuron
from lehr.nodes import MaxPool2d, Scale
from lehr.simulate import simulate
from lehr.targets import registry
from lehr.targets.engine import run as run_target

Spikes = npt.NDArray[np.uint8]


def leaky(threshold: float = 0.75, **options: Any) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, init_hidden=True, **options)


class Tutorial(nn.Module):
    """snnTorch's convolutional network, which takes maxima of what its convolutions give."""

    def __init__(self, weight: Any) -> None:
        super().__init__()
        self.conv1 = weight(nn.Conv2d(1, 12, 5), 0.125)
        self.lif1 = snn.Leaky(beta=0.5, threshold=1.0)
        self.conv2 = weight(nn.Conv2d(12, 64, 5), 0.0625)
        self.lif2 = snn.Leaky(beta=0.5, threshold=1.0)
        self.fc = weight(nn.Linear(64 * 4 * 4, 10), 0.0625)
        self.lif3 = snn.Leaky(beta=0.5, threshold=1.0)

    def forward(self, x: Tensor, mem1: Tensor, mem2: Tensor, mem3: Tensor) -> Any:
        spk1, mem1 = self.lif1(functional.max_pool2d(self.conv1(x), 2), mem1)
        spk2, mem2 = self.lif2(functional.max_pool2d(self.conv2(spk1), 2), mem2)
        spk3, mem3 = self.lif3(self.fc(spk2.flatten(1)), mem3)
        return spk3, mem1, mem2, mem3


def int8_levels(module: nn.Module, step: float) -> Any:
    """Set weights to whole numbers of a small binary fraction, up to 127 of them."""
    with torch.no_grad():
        for name, value in module.named_parameters(recurse=False):
            unit = step / 64 if name == "weight" else step / 4
            value.copy_((value * 127 / value.abs().max()).round() * unit)
    return module


def stepped(model: Tutorial, x: Spikes, scale: float) -> dict[str, Spikes]:
    """Spikes of the three layers in double precision, by the equations alone."""

    def neurons(current: Tensor, mem: Tensor) -> tuple[Tensor, Tensor]:
        mem = 0.5 * mem + current - (mem > 1.0).double()
        return (mem > 1.0).double(), mem

    def greatest(a: Tensor) -> Tensor:
        n, c, h, w = a.shape
        return a.view(n, c, h // 2, 2, w // 2, 2).amax(dim=(3, 5))

    conv1, conv2, fc = (
        (m.weight.double(), m.bias.double()) for m in (model.conv1, model.conv2, model.fc)
    )
    mem1, mem2, mem3 = (torch.zeros(len(x), *s).double() for s in ((12, 12, 12), (64, 4, 4), (10,)))
    kept: dict[str, list[Tensor]] = {"lif1": [], "lif2": [], "lif3": []}
    with torch.no_grad():
        for t in range(x.shape[1]):
            now = torch.from_numpy(x[:, t]).double() / scale
            spk1, mem1 = neurons(greatest(functional.conv2d(now, *conv1)), mem1)
            spk2, mem2 = neurons(greatest(functional.conv2d(spk1, *conv2)), mem2)
            spk3, mem3 = neurons(functional.linear(spk2.flatten(1), *fc), mem3)
            for name, spikes in (("lif1", spk1), ("lif2", spk2), ("lif3", spk3)):
                kept[name].append(spikes)
    return {n: torch.stack(all_, 1).to(torch.uint8).numpy() for n, all_ in kept.items()}


def targets_of(net: Network, x: Spikes, expected: dict[str, Spikes]) -> list[str]:
    """Names of the targets that run here, each of which has every spike."""
    ran = []
    for name in ("c", "onnx"):
        target = registry.get(name)
        runner = target.runner()
        assert runner is not None
        assert not target.check(net)
        if runner.missing():
            continue
        trace = run_target(target, net, x, tuple(net.neurons)).trace
        assert all((trace.spikes[layer] == expected[layer]).all() for layer in expected)
        ran.append(name)
    return ran


@pytest.mark.parametrize("weight", [dyadic, int8_levels])
@pytest.mark.parametrize("scale", [None, 255.0])
def test_the_tutorial_s_network_fires_as_its_equations_say(
    weight: Any, scale: float | None, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    model = Tutorial(weight)
    drawn = np.random.default_rng(1).integers(0, 256, (2, 6, 1, 28, 28)).astype(np.uint8)
    x = (drawn > 150).astype(np.uint8) if scale is None else drawn
    expected = stepped(model, x, scale or 1.0)
    assert all(0 < spikes.mean() < 1 for spikes in expected.values())
    converted = from_torch(model, x, full_scale=scale)
    kinds = [type(node) for node in converted.network.nodes.values()]
    assert kinds.count(MaxPool2d) == 2
    exported = export_model(converted, tmp_path / "m.nir")
    assert sum(exported.differ.values()) == 0
    read = nirfile.read(tmp_path / "m.nir")
    assert read == converted.network
    spikes = simulate(read, x, trace=read.neurons).trace.spikes
    assert spikes.keys() == expected.keys()
    if scale is None:  # pixels over 255 are rounded by the model itself
        assert converted.exact
    for name, want in expected.items():
        assert (spikes[name] == want).all(), name
    targets_of(read, x, expected)
    changed = {**read.nodes}
    first = changed["lif1"]
    assert isinstance(first, Neuron)
    coarse = weight is dyadic and scale is None
    more = 1 if coarse else first.threshold // 32  # sums are that much finer elsewhere
    changed["lif1"] = Neuron(first.threshold + more, first.bias, first.arithmetic)
    other = simulate(Network(changed, read.edges, read.input, read.steps), x, trace=["lif1"])
    assert (other.trace.spikes["lif1"] != expected["lif1"]).any()


def norm_of(gammas: list[float], offsets: list[float]) -> nn.Module:
    norm: Any = nn.BatchNorm2d(len(gammas))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gammas))
        norm.bias.copy_(torch.tensor(offsets))
        norm.running_mean.copy_(torch.tensor([0.5, -0.25, 0.25, 0.0][: len(gammas)]))
        norm.running_var.fill_(1.0)
    norm.eps = 0.0
    return norm  # type: ignore[no-any-return]


NORMS = ([1.0, -0.5, 2.0, -1.0], [0.25, 0.5, -0.5, 0.75])
BEHIND: dict[str, Callable[[], list[nn.Module]]] = {
    "norm before": lambda: [norm_of(*NORMS), nn.MaxPool2d(2)],
    "norm behind": lambda: [nn.MaxPool2d(2), norm_of(*NORMS)],
    "norm on both sides": lambda: [norm_of(*NORMS), nn.MaxPool2d(2), norm_of(*NORMS)],
    "norm between two": lambda: [nn.MaxPool2d(2), norm_of(*NORMS), nn.MaxPool2d(3, 1, 1)],
    "a gain of 0": lambda: [norm_of([0.0, 1.0, -1.0, 0.5], [2.0, 0.5, 0.5, 0.0]), nn.MaxPool2d(2)],
    "average before": lambda: [nn.AvgPool2d(2, 1), nn.MaxPool2d(2)],
    "average behind": lambda: [nn.MaxPool2d(2, 1), nn.AvgPool2d(2)],
    "dilated": lambda: [nn.MaxPool2d(2, 1, dilation=2)],
    "padded, its last windows cut off": lambda: [nn.MaxPool2d(3, 2, 1, ceil_mode=True)],
    "not square": lambda: [nn.MaxPool2d((1, 2), (2, 1))],
}


def behind_weights(*layers: nn.Module, size: int = 9) -> tuple[nn.Sequential, FromTorch]:
    torch.manual_seed(5)
    front = [dyadic(nn.Conv2d(2, 4, 3)), *layers]
    shape = nn.Sequential(*front).eval()(torch.zeros(1, 2, size, size)).flatten(1).shape[1]
    model = nn.Sequential(
        *front,
        leaky(0.75),
        nn.Flatten(),
        dyadic(nn.Linear(shape, 6), 0.125),
        leaky(0.5, output=True),
    )
    return model, from_torch(model, events(6, 9, 2, size, size))


@pytest.mark.parametrize("name", BEHIND)
def test_what_stands_around_maxima_is_exact(name: str) -> None:
    """The greatest of numbers that a negative gain turns is no longer the greatest: they are turned.

    Before, by weights; behind, by factors of -1.
    """
    _, converted = behind_weights(*BEHIND[name]())
    assert converted.exact
    assert differing(converted) == 0
    factors = [node for node in converted.network.nodes.values() if isinstance(node, Scale)]
    turned = {"norm behind": 1, "norm on both sides": 1, "norm between two": 1}
    assert len(factors) == turned.get(name, 0)
    assert all(set(node.factor.tolist()) == {-1, 1} for node in factors)
    assert targets_of(converted.network, converted.sample, dict(converted.spikes()))


def test_recurrence_and_membranes_behind_maxima() -> None:
    """Where one unit is that of all channels; signs are turned by factors."""
    torch.manual_seed(5)
    conv: Any = dyadic(nn.Conv2d(2, 4, 3))
    with torch.no_grad():
        conv.weight.mul_(torch.tensor([1.0, 2.0, 0.5, 1.0]).view(4, 1, 1, 1))
    front, x = [conv, nn.MaxPool2d(2)], events(6, 9, 2, 9, 9)
    looped: Any = snn.RLeaky(beta=0.5, init_hidden=True, conv2d_channels=4, kernel_size=3)
    recurrent = from_torch(nn.Sequential(*front, norm_of(*NORMS), dyadic_loop(looped)), x)
    assert differing(recurrent) == 0
    neurons = leaky(0.75, reset_mechanism="none")
    values = from_torch(nn.Sequential(*front, norm_of(*NORMS), neurons), x, readout="last")
    for converted in (recurrent, values):
        (scale,) = [n for n in converted.network.nodes.values() if isinstance(n, Scale)]
        assert scale.factor.tolist() == [1, -1, 1, -1]
    folded = values.layers[values.network.output].folded
    got = simulate(values.network, x, trace=[values.network.output]).trace.membranes
    unit = np.reshape(folded.scale, (4, 1, 1)) * 2.0**-folded.fraction_bits
    membranes = got[values.network.output] * unit
    assert np.unique(membranes).size > 20
    expected = values.recorded().membranes
    assert expected is not None
    assert np.array_equal(membranes, expected)
    with pytest.raises(NotMappable, match="its channels differ in what one input is worth"):
        from_torch(nn.Sequential(*front, neurons), x, readout="last")


def dyadic_loop(looped: Any) -> Any:
    dyadic(looped.recurrent)
    return looped


def test_branches_of_maxima_that_are_added() -> None:
    """One turned by its norm, beside weights: the greatest stays that of each branch."""
    torch.manual_seed(5)
    x, model = events(6, 9, 2, 9, 9), Branches()
    converted = from_torch(model, x)
    assert converted.exact
    assert differing(converted) == 0
    assert sum(isinstance(node, MaxPool2d) for node in converted.network.nodes.values()) == 1


class Branches(nn.Module):
    """Maxima of currents, normed by gains of both signs, added to currents of other weights."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = dyadic(nn.Conv2d(2, 4, 2)), dyadic(nn.Conv2d(2, 4, 2, 2))
        self.pool, self.norm, self.lif = nn.MaxPool2d(2), norm_of(*NORMS), leaky()

    def forward(self, x: Tensor) -> Any:
        return self.lif(self.norm(self.pool(self.one(x))) + self.two(x))


@budget(6, 60)
@given(st.data())
def test_any_window_is_torch_s(data: st.DataObject) -> None:
    kernel = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pool = nn.MaxPool2d(
        kernel,
        data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        (data.draw(st.integers(0, kernel[0] // 2)), data.draw(st.integers(0, kernel[1] // 2))),
        data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        ceil_mode=data.draw(st.booleans()),
    )
    _, converted = behind_weights(pool)
    got = simulate(converted.network, converted.sample, trace=converted.network.neurons)
    for layer, want in converted.spikes().items():
        assert (got.trace.spikes[layer] == want).all()


def test_maxima_of_spikes_are_neurons_where_these_say_it_and_maxima_elsewhere() -> None:
    for pool, nodes in ((nn.MaxPool2d(2), 0), (nn.MaxPool2d(2, 1, dilation=2), 1)):
        torch.manual_seed(5)
        model = nn.Sequential(
            dyadic(nn.Conv2d(2, 4, 3)), leaky(), pool, dyadic(nn.Conv2d(4, 3, 2), 0.125), leaky(0.5)
        )
        converted = from_torch(model, events(6, 9, 2, 9, 9))
        assert sum(isinstance(n, MaxPool2d) for n in converted.network.nodes.values()) == nodes
        assert differing(converted) == 0


class Function(nn.Module):
    """A function that takes maxima of spikes, before weights."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.conv, self.lif = dyadic(nn.Conv2d(2, 4, 3)), leaky()
        self.next, self.out = dyadic(nn.Conv2d(4, 3, 2), 0.125), leaky(0.5)
        self.options = options

    def forward(self, x: Tensor) -> Any:
        spikes = functional.max_pool2d(self.lif(self.conv(x)), 2, **self.options)
        return self.out(self.next(spikes))


def test_a_function_that_takes_maxima_of_spikes() -> None:
    torch.manual_seed(5)
    converted = from_torch(Function(), events(6, 9, 2, 9, 9))
    got = simulate(converted.network, converted.sample, trace=converted.network.neurons).trace
    expected = converted.spikes()
    assert expected.keys() == got.spikes.keys() == {"lif", "max_pool2d", "out"}
    assert all((got.spikes[name] == spikes).all() for name, spikes in expected.items())
    assert all(0 < spikes.mean() < 1 for spikes in expected.values())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Function(return_indices=True),
            "model: its forward calls max_pool2d_with_indices after lif, which is no layer that",
        ),
    ],
)
def test_functions_that_are_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(NotMappable, match=re.escape(message)):
        from_torch(model, events(6, 9, 2, 9, 9))


def test_an_offset_that_differs_within_a_window_is_refused() -> None:
    """Zeros around the map lack what a batch norm adds to the input: sums at the edge have less.

    The greatest of such sums is not the greatest of the integers; without padding it is.
    """
    for padding in (0, 1):
        torch.manual_seed(5)
        model = nn.Sequential(
            norm_of([1.0, 0.5], [0.5, -0.25]),
            dyadic(nn.Conv2d(2, 4, 3, padding=padding), 0.5),
            nn.MaxPool2d(2),
            leaky(),
        )
        if padding:
            with pytest.raises(NotMappable, match="differs from value to value"):
                from_torch(model, events(6, 9, 2, 9, 9))
            continue
        converted = from_torch(model, events(6, 9, 2, 9, 9))
        assert converted.exact
        assert differing(converted) == 0
