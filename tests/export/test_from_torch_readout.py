"""Models whose answer is a membrane, or what weights give, against snnTorch's own stepping."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn
from torch_models import (
    differing,
    dyadic,
    events,
    require_machines_agree,
    result_of,
    stepped_by_snntorch,
)

from lehr.errors import NotBitExact, NotMappable, UsageError
from lehr.export import from_torch
from lehr.export.nirgraph.semantics import ReadWhat
from lehr.export.torchmodels.network import FromTorch
from lehr.export.verified import export_model
from lehr.simulate import simulate

READS: tuple[ReadWhat, ...] = ("last", "sum", "max")
SCORES = {
    "last": lambda v: v[:, -1],
    "sum": lambda v: v.sum(1),
    "max": lambda v: v.max(1),
}


class Returns(nn.Module):
    """Two layers of neurons, of which forward returns what `answer` says, and the states."""

    def __init__(self, last: Any, answer: str) -> None:
        super().__init__()
        self.a, self.la = dyadic(nn.Linear(12, 16)), snn.Leaky(beta=0.5, threshold=0.5)
        self.b, self.lb, self.answer = dyadic(nn.Linear(16, 4)), last, answer

    def forward(self, x: Any, m1: Any = None, m2: Any = None) -> Any:
        """Run one step."""
        spikes, m1 = self.la(self.a(x), m1)
        spikes, m2 = self.lb(self.b(spikes), m2)
        return (m2 if self.answer == "membrane" else spikes), m1, m2


def leaky(reset: str, **options: Any) -> Any:
    return snn.Leaky(beta=0.5, threshold=0.75, reset_mechanism=reset, **options)


def units(converted: FromTorch) -> np.ndarray[Any, Any]:
    """Return the integer membranes that are read out, in the model's units."""
    name, folded = converted.network.output, converted.layers[converted.network.output].folded
    unit = folded.scale * 2.0**-folded.fraction_bits
    return result_of(converted).trace.membranes[name] * unit


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("reset", ["none", "subtract", "zero"])
@pytest.mark.parametrize("read", READS)
def test_the_membrane_of_the_last_neurons(
    read: ReadWhat, reset: str, delay: bool, tmp_path: Path
) -> None:
    model = Returns(leaky(reset, reset_delay=delay), "membrane")
    converted = from_torch(model, events(12, 8, 12, rate=0.6), readout=read)
    net = converted.network
    assert converted.exact
    assert net.readout == f"membrane_{read}_argmax_lowest"
    assert net.neurons["lb"].integrates == (reset == "none")
    right = {
        name: v.numpy() for name, (_, v) in stepped_by_snntorch(model, converted.sample, 2).items()
    }
    np.testing.assert_array_equal(units(converted), right["lb"])
    assert differing(converted) == 0
    scores = SCORES[read](right["lb"])
    assert len(np.unique(scores.argmax(1))) > 1
    np.testing.assert_array_equal(result_of(converted).prediction, scores.argmax(1))
    if read == "last":
        require_machines_agree(net, converted.sample, tmp_path)
    verified = export_model(converted, tmp_path / "m.nir")
    assert verified.membranes is not None
    assert (verified.membranes.differ, verified.membranes.decisions) == (0, 0)
    assert verified.membranes.values == right["lb"].size


def test_it_is_asked_which_of_the_membranes_counts() -> None:
    x = events(4, 8, 12)
    with pytest.raises(
        UsageError,
        match=r"^lb: forward returns its membrane and not its spikes; say which of its membranes "
        r"counts: --readout last, sum or max \(in Python: readout='last'\)",
    ):
        from_torch(Returns(leaky("subtract"), "membrane"), x)
    with pytest.raises(
        UsageError, match="^--readout is 'mean'; use 'count' or 'last' or 'sum' or 'max'"
    ):
        from_torch(Returns(leaky("subtract"), "spikes"), x, readout="mean")  # type: ignore[arg-type]
    assert (
        from_torch(Returns(leaky("subtract"), "spikes"), x).network.readout == "count_argmax_lowest"
    )
    both = from_torch(Returns(leaky("subtract"), "spikes"), x, readout="max").network
    assert both.readout == "membrane_max_argmax_lowest"


def test_what_the_last_weights_give(tmp_path: Path) -> None:
    model = nn.Sequential(
        dyadic(nn.Linear(12, 16)),
        snn.Leaky(beta=0.5, threshold=0.5, init_hidden=True),
        dyadic(nn.Linear(16, 4)),
    )
    x = events(12, 8, 12, rate=0.6)
    with pytest.raises(
        NotMappable,
        match=r"^2: it is the last layer, and no neurons follow it; end in neurons, or say which of "
        r"its values counts: --readout last, sum or max",
    ):
        from_torch(model, x)
    converted = from_torch(model, x, readout="sum")
    assert converted.exact
    spikes = stepped_by_snntorch(model, x)["1"][0]
    right = model[2].double()(spikes).detach().numpy()
    np.testing.assert_array_equal(units(converted), right)
    np.testing.assert_array_equal(result_of(converted).prediction, right.sum(1).argmax(1))
    require_machines_agree(converted.network, x, tmp_path)


def test_channels_of_several_steps_get_one_unit() -> None:
    """Steps of 1/4 and 1/2 are levels of 1/4: integers in units of their own decide otherwise."""
    model = Returns(leaky("none"), "membrane")
    with torch.no_grad():
        model.b.weight[1::2] *= 2
    converted = from_torch(model, events(40, 8, 12, rate=0.6), readout="last")
    assert converted.exact
    assert len(np.unique(converted.layers["lb"].folded.scale)) == 1
    right = stepped_by_snntorch(model, converted.sample, 2)["lb"][1].numpy()
    np.testing.assert_array_equal(units(converted), right)
    own = np.array([1, 2, 1, 2])
    assert np.any((right / own)[:, -1].argmax(1) != right[:, -1].argmax(1))
    with torch.no_grad():
        model.b.weight[0] *= 1.2345
    with pytest.raises(
        NotMappable,
        match=r"lb \(Leaky\): its membranes are read out and compared, and the weights of its "
        "channels have no one step in common; have them rounded to one with --weights int8",
    ):
        from_torch(model, converted.sample, readout="last")
    rounded = from_torch(model, converted.sample, readout="last", weights="int8")
    assert not rounded.exact
    assert (
        np.abs(
            units(rounded) - stepped_by_snntorch(model, rounded.sample, 2)["lb"][1].numpy()
        ).max()
        > 0
    )


def test_a_changed_unit_is_refused(tmp_path: Path) -> None:
    converted = from_torch(
        Returns(leaky("none"), "membrane"), events(12, 8, 12, rate=0.6), readout="last"
    )
    net = converted.network
    bias = net.neurons["lb"].bias + np.eye(4, dtype=np.int32)[2]
    wrong = replace(net, nodes={**net.nodes, "lb": replace(net.neurons["lb"], bias=bias)})
    with pytest.raises(
        NotBitExact,
        match=r"^model: lb is proven to be equal, but 96 of its 384 membranes differ; look whether",
    ):
        export_model(replace(converted, network=wrong), tmp_path / "wrong.nir")
    assert not (tmp_path / "wrong.nir").exists()


def test_decisions_that_rounding_changes_are_counted(tmp_path: Path) -> None:
    model = Returns(leaky("none"), "membrane")
    with torch.no_grad():
        model.b.weight.copy_(torch.randn(4, 16))
    converted = from_torch(model, events(200, 8, 12, rate=0.6), readout="last", weights="int2")
    verified = export_model(converted, tmp_path / "m.nir")
    right = stepped_by_snntorch(model, converted.sample, 2)["lb"][1].numpy()[:, -1].argmax(1)
    got = simulate(converted.network, converted.sample).prediction
    assert verified.membranes is not None
    assert verified.membranes.decisions == int((right != got).sum()) > 0
    assert 0 < verified.membranes.apart < 1
    with pytest.raises(
        NotBitExact, match=r"decisions differ from the model's, by the membranes of lb"
    ):
        export_model(converted, tmp_path / "strict.nir", strict=True)


def test_gains_that_differ_between_neurons_of_shared_weights_are_refused() -> None:
    norm = nn.BatchNorm1d(8).eval()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0] * 4))
        norm.get_buffer("running_var").fill_(1.0)
    norm.eps = 0.0
    model = nn.Sequential(
        dyadic(nn.Conv2d(1, 2, 2, 2)), nn.Flatten(), norm, leaky("none", init_hidden=True)
    )
    with pytest.raises(
        NotMappable, match="neurons that share weights have different gains; read out its spikes"
    ):
        from_torch(model, events(4, 6, 1, 4, 4), readout="sum")
