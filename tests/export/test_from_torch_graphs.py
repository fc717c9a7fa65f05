"""Models that are no chain: sums, concatenation, several answers, against snnTorch's own steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch_models import (
    differing,
    dyadic,
    events,
    require_machines_agree,
    result_of,
    stepped_by_snntorch,
)

from lehr.errors import NotMappable, UsageError
from lehr.export import from_torch
from lehr.export.torchmodels.network import FromTorch
from lehr.export.verified import export_model
from lehr.simulate import simulate


def leaky(threshold: float = 0.5) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, init_hidden=True)


def norm(channels: int, gains: tuple[float, ...]) -> Any:
    """Make a batch norm of powers of two."""
    made = nn.BatchNorm2d(channels, eps=0.0)
    with torch.no_grad():
        made.weight.copy_(torch.tensor(gains))
        made.bias.fill_(0.125)
        made.get_buffer("running_var").fill_(1.0)
    return made


class Maps(nn.Module):
    """Two convolutions of one size, neurons behind each, and a readout of all their spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.l1 = dyadic(nn.Conv2d(1, 4, 3, padding=1)), leaky()
        self.c2, self.l2 = dyadic(nn.Conv2d(4, 4, 3, padding=1)), leaky(0.75)
        self.norm, self.pool = norm(4, (1.0, -0.5, 2.0, 1.0)), nn.AvgPool2d(2)
        self.join, self.l3 = dyadic(nn.Conv2d(8, 4, 3, padding=1)), leaky()
        self.flat, self.out, self.lo = nn.Flatten(), dyadic(nn.Linear(256, 4)), leaky()
        self.wide = dyadic(nn.Linear(512, 4))


class SumOfSpikes(Maps):
    """A residual connection of spikes."""

    def forward(self, x: Tensor) -> Any:
        """Run one step."""
        first = self.l1(self.c1(x))
        return self.lo(self.out(self.flat(first + self.l2(self.c2(first)))))


class SumOfCurrents(Maps):
    """A residual connection of spikes to the currents of a convolution and a batch norm."""

    def forward(self, x: Tensor) -> Any:
        """Run one step."""
        first = self.l1(self.c1(x))
        return self.lo(self.out(self.flat(self.l2(self.norm(self.c2(first)) + first))))


class TwoSteps(Maps):
    """Currents of two convolutions, of 1/4 and of 1/2, added with the method of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.c3 = dyadic(nn.Conv2d(1, 4, 1), 0.5)

    def forward(self, x: Tensor) -> Any:
        """Run one step."""
        currents = self.c2(self.l1(self.c1(x))).add(self.c3(x))
        return self.lo(self.out(self.flat(self.l2(currents))))


class Beside(Maps):
    """Spikes of two layers beside each other, into a convolution."""

    def forward(self, x: Tensor) -> Any:
        """Run one step."""
        first = self.l1(self.c1(x))
        both = torch.cat([first, self.l2(self.c2(first))], dim=1)
        return self.lo(self.out(self.flat(self.l3(self.join(both)))))


class BesideFlat(Maps):
    """The same into a dense layer, through a flattening."""

    def forward(self, x: Tensor) -> Any:
        """Run one step."""
        first = self.l1(self.c1(x))
        return self.lo(self.wide(self.flat(torch.cat((first, self.l2(self.c2(first))), 1))))


class BesideIntoNeurons(Maps):
    """Currents and spikes beside each other, pooled, into neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.small = dyadic(nn.Linear(128, 4))

    def forward(self, x: Tensor) -> Any:
        """Run one step."""
        first = self.l1(self.c1(x))
        both = self.pool(torch.cat((self.norm(self.c2(first)), first), 1))
        return self.lo(self.small(self.flat(self.l3(both))))


class Twice(Maps):
    """Spikes added to themselves."""

    def forward(self, x: Tensor) -> Any:
        """Run one step."""
        first = self.l1(self.c1(x))
        return self.lo(self.out(self.flat(first + first)))


class Heads(Maps):
    """Two answers of one body."""

    def __init__(self) -> None:
        super().__init__()
        self.other, self.lother = dyadic(nn.Linear(256, 3)), leaky(0.25)

    def forward(self, x: Tensor) -> Any:
        """Run one step."""
        flat = self.flat(self.l1(self.c1(x)))
        return self.lo(self.out(flat)), self.lother(self.other(flat))


def require_equal(model: nn.Module, converted: FromTorch) -> None:
    """Assert that nothing is rounded, and every spike of every layer is snnTorch's."""
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    assert differing(converted) == 0
    trace, right = result_of(converted).trace, stepped_by_snntorch(model, converted.sample)
    for name, layer in converted.layers.items():
        np.testing.assert_array_equal(trace.spikes[name], right[layer.source][0].numpy())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(5)


X = events(4, 5, 1, 8, 8)


@pytest.mark.parametrize(
    "kind", [SumOfSpikes, SumOfCurrents, TwoSteps, Beside, BesideFlat, BesideIntoNeurons, Twice]
)
def test_signals_that_meet(kind: Any, tmp_path: Path) -> None:
    model = kind().eval()
    converted = from_torch(model, X)
    require_equal(model, converted)
    require_machines_agree(converted.network, X, tmp_path)
    assert sum(export_model(converted, tmp_path / "m.nir").differ.values()) == 0


def test_a_lost_connection_is_noticed() -> None:
    converted = from_torch(SumOfSpikes().eval(), X)
    net = converted.network
    edges = tuple(edge for edge in net.edges if edge != ("l1", "flat"))
    assert len(edges) == len(net.edges) - 1
    other = simulate(replace(net, edges=edges), X, trace=["lo"]).trace.spikes["lo"]
    assert np.any(other != result_of(converted).trace.spikes["lo"])


def test_real_weights_that_are_added_are_rounded_to_one_step() -> None:
    model = SumOfCurrents().eval()
    with torch.no_grad():
        model.c2.weight.copy_(torch.randn(4, 4, 3, 3) / 4)
    with pytest.raises(NotMappable, match=r"c2 \(Conv2d\): its weights are real numbers"):
        from_torch(model, X)
    converted = from_torch(model, X, weights="int8")
    assert "weights" in converted.layers["l2"].rounded
    right = stepped_by_snntorch(model, X)["l2"][0].numpy()
    got = result_of(converted).trace.spikes["l2"]
    assert (right != got).mean() < 0.02


def test_two_answers(tmp_path: Path) -> None:
    model = Heads().eval()
    with pytest.raises(
        UsageError,
        match=r"^forward returns what 2 layers give; say which of them decides: --read-from lo or "
        r"--read-from lother \(in Python: read_from='lo'\)",
    ):
        from_torch(model, X)
    with pytest.raises(
        UsageError, match="^--read-from is 'l1', which forward does not end in; use"
    ):
        from_torch(model, X, read_from="l1")
    for name, classes in (("lo", 4), ("lother", 3)):
        converted = from_torch(model, X, read_from=name)
        assert converted.network.output == name
        require_equal(model, converted)
        right = stepped_by_snntorch(model, X)[name][0].sum(1).numpy()
        assert right.shape[1] == classes
        np.testing.assert_array_equal(result_of(converted).prediction, right.argmax(1))
        require_machines_agree(converted.network, X, tmp_path / name)


class Elsewhere(Maps):
    """Things that meet as no integer network has it."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> Any:
        """Run one step."""
        first = self.l1(self.c1(x))
        if self.what == "axis":
            first = torch.cat((first, first), 2)
        elif self.what == "number":
            first = first + torch.ones(3, 1, 1)
        elif self.what == "unused":
            self.l2(self.c2(first))
        elif self.what == "shapes":
            first = first + self.pool(first)
        return self.lo(self.out(self.flat(first)))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("axis", "cat: it concatenates along axis 2; use axis 1, that of the channels"),
        (
            "number",
            r"add \(ByNumbers\): its numbers have shape \[3, 1, 1\], not one a channel; give them",
        ),
        ("unused", "model: its forward does not return what l2 gives, which no other layer takes"),
        ("shapes", r"add \(Sum\): it takes shapes \[4, 8, 8\], \[4, 4, 4\]; make them equal"),
    ],
)
def test_what_does_not_meet(what: str, message: str) -> None:
    with pytest.raises(NotMappable, match=message):
        from_torch(Elsewhere(what).eval(), X)
