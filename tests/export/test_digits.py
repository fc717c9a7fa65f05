"""Layers whose numbers are whole in exact arithmetic.

Their model rounds in double precision, so that they are not equal, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import pytest
import snntorch as snn
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from nir_graphs import chain
from torch import nn

from lehr.export import from_torch
from lehr.export.digits import DOUBLE, digits
from lehr.export.nirgraph import Semantics, from_nir, quantize
from lehr.simulate import simulate

RANDOM = np.random.default_rng(5)
EVENTS = (RANDOM.random((40, 12, 2, 4, 4)) < 0.3).astype(np.uint8)
PIXELS = (RANDOM.integers(0, 6, (200, 2)) * 51).astype(
    np.uint8
)  # fifths of 255, of which whole thresholds come


@budget(100, 3333)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_digits_are_those_of_the_fraction(value: float) -> None:
    numerator = abs(Fraction(value).numerator)
    while numerator and not numerator % 2:
        numerator //= 2
    assert digits(value) == numerator.bit_length()


def test_digits_of_several_are_the_most() -> None:
    assert digits(np.array([0.5, 0.75, 0.0]), 5.0) == 3
    assert min(digits(1 / 255), digits(0.1), digits(1 / 9)) > 2 * DOUBLE // 3
    assert digits(float(np.float32(0.1))) <= 24


def signs(layer: Any, times: float = 1.0) -> Any:
    """Give a layer weights of -1 and 1, times a number, and no bias."""
    with torch.no_grad():
        layer.weight.copy_(
            torch.where(torch.rand(layer.weight.shape) < 0.3, -1.0, 1.0).double() * times
        )
    return layer


def integrating(threshold: float = 1.0) -> Any:
    """Neurons that do not leak, so that whole thresholds come together."""
    return snn.Leaky(beta=1.0, threshold=threshold, init_hidden=True)


def pixels() -> Any:
    """Make inputs in steps of 1/255."""
    return nn.Sequential(signs(nn.Linear(2, 5, bias=False)), integrating())


def averaged() -> Any:
    """Means of 9."""
    return nn.Sequential(
        signs(nn.Conv2d(2, 8, 2, bias=False)), nn.AvgPool2d(3), nn.Flatten(), integrating()
    )


def tenths() -> Any:
    """Weights of 0.1 in double precision."""
    layer = signs(nn.Linear(32, 20, bias=False).double(), 0.1)
    return nn.Sequential(nn.Flatten(), layer, integrating(0.5))


def normalized() -> Any:
    """Build a layer and a batch norm with a standard deviation of 10."""
    norm = nn.BatchNorm1d(20, eps=0.0).double()
    assert norm.running_var is not None
    norm.running_var.fill_(100.0)
    return nn.Sequential(nn.Flatten(), signs(nn.Linear(32, 20, bias=False)), norm, integrating(0.5))


def stepped(
    model: Any, x: npt.NDArray[np.uint8], steps: int, full_scale: float
) -> npt.NDArray[np.uint8]:
    """Spikes of a model in double precision, by a loop over time; it is changed."""
    model.double().eval()
    inputs = torch.from_numpy(x.astype(np.float64)) / full_scale
    with torch.no_grad():
        spikes = [model(inputs if x.ndim == 2 else inputs[:, t]).numpy() for t in range(steps)]
    return np.stack(spikes, 1).astype(np.uint8)


@pytest.mark.parametrize("build", [pixels, averaged, tenths, normalized])
def test_what_double_precision_rounds_is_not_called_equal(build: Callable[[], Any]) -> None:
    torch.manual_seed(3)
    model = build()
    held: dict[str, Any] = {"steps": 60, "full_scale": 255.0} if build is pixels else {}
    x = PIXELS if held else EVENTS
    converted = from_torch(model, x, **held)
    (name,) = converted.network.neurons
    ours = simulate(converted.network, x, trace=(name,)).trace.spikes[name]
    theirs = stepped(model, x, held.get("steps", 12), held.get("full_scale", 1.0))
    assert 0 < ours.mean() < 1
    assert (ours != theirs).any(), "an example in which rounding shows"
    assert not converted.exact
    assert any("the model's floats round sums of" in note for note in converted.layers[name].notes)


def test_float32_has_digits_to_spare() -> None:
    """The same weights of 0.1 have exact sums as float32: equal may be said, and is true."""
    torch.manual_seed(3)
    layer = signs(nn.Linear(32, 20, bias=False), 0.1)
    step = float(layer.weight.detach().abs().max())
    model = nn.Sequential(nn.Flatten(), layer, integrating(step * 4))
    converted = from_torch(model, EVENTS)
    assert converted.exact
    (name,) = converted.network.neurons
    ours = simulate(converted.network, EVENTS, trace=(name,)).trace.spikes[name]
    assert 0 < ours.mean() < 1
    np.testing.assert_array_equal(ours, stepped(model, EVENTS, 12, 1.0))


def test_weights_that_float32_rounds_are_noted() -> None:
    """Of 1/2 and the next number after it lehr makes one level; the rounding is said."""
    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.5 + 2.0**-24]]))
    x = np.ones((1, 4, 2), np.uint8)
    converted = from_torch(nn.Sequential(layer, integrating()), x)
    assert not converted.exact
    (report,) = converted.layers.values()
    assert (
        report.notes[0]
        == "0: weights are levels but for 1e-07 of a step, as float32 may write them"
    )


def test_pixels_of_a_graph_are_not_called_equal() -> None:
    """A graph of whole numbers on inputs in steps of 1/255 agrees with a loop of numpy's."""
    weight = np.where(RANDOM.random((5, 2)) < 0.3, -1.0, 1.0).astype(np.float32)
    ones = np.ones(5, np.float32)
    nodes = {"l": nir.Linear(weight), "n": nir.IF(r=ones, v_threshold=ones, v_reset=0 * ones)}
    semantics = Semantics(integrate="step", reset="subtract", reset_timing="next_step")
    quantized = quantize(
        from_nir(chain(nodes, (2,), (5,))), PIXELS, semantics, steps=60, full_scale=255.0
    )
    membrane = spikes = np.zeros((len(PIXELS), 5))
    theirs = []
    for _ in range(60):
        membrane = membrane + (PIXELS / 255.0) @ weight.T.astype(np.float64) - spikes
        spikes = (membrane > 1).astype(np.float64)
        theirs.append(spikes)
    ours = simulate(quantized.network, PIXELS, trace=("n",)).trace.spikes["n"]
    assert 0 < ours.mean() < 1
    assert (ours != np.stack(theirs, 1)).any(), "an example in which rounding shows"
    assert not quantized.exact
    assert (
        "n: the model's floats round sums of 0.00392157, so that at its threshold a membrane may "
        "fire or not" in quantized.notes
    )


def test_levels_of_a_graph_that_float32_rounds_are_not_called_equal() -> None:
    weight = np.array([[1.0, 0.5 + 2.0**-24]], np.float32)
    one = np.ones(1, np.float32)
    nodes = {"l": nir.Linear(weight), "n": nir.IF(r=one, v_threshold=one, v_reset=0 * one)}
    quantized = quantize(
        from_nir(chain(nodes, (2,), (1,))),
        np.ones((1, 4, 2), np.uint8),
        Semantics(integrate="step"),
    )
    assert not quantized.exact
