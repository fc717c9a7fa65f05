"""Recurrent layers that are refused, and why."""

from __future__ import annotations

import re
from typing import Any

import pytest
import snntorch as snn
import torch
from torch import nn
from torch_models import dyadic, events

from lehr.errors import NotMappable
from lehr.export import from_torch

NEURONS = 4


def rleaky() -> Any:
    return snn.RLeaky(beta=0.5, linear_features=NEURONS, init_hidden=True)


def rsynaptic(**options: Any) -> Any:
    return snn.RSynaptic(alpha=0.5, beta=0.5, linear_features=NEURONS, init_hidden=True, **options)


def with_weights(layer: nn.Module, *after: nn.Module) -> nn.Sequential:
    return nn.Sequential(dyadic(layer), *after)


def far_smaller() -> nn.Sequential:
    """Build a layer whose input counts pixels, and whose recurrent weights count spikes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, NEURONS), rleaky())


def through_a_sequence() -> Any:
    neuron = rleaky()
    neuron.recurrent = nn.Sequential(nn.Linear(NEURONS, NEURONS))
    return neuron


def diverged() -> Any:
    neuron = rleaky()
    neuron.recurrent.weight.data.fill_(float("inf"))
    return neuron


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            with_weights(nn.Linear(6, NEURONS), rleaky()),
            {},
            "1 (RLeaky): its recurrent weights and its input's are not up to 127 levels of one "
            "step in each output; train both with one step,"
            " or have them rounded to one with --weights int8 (weights='int8' in Python)",
        ),
        (
            nn.Sequential(nn.Linear(6, NEURONS), rleaky()),
            {},
            "0 (Linear): its weights are real numbers, not -1 and +1 or up to 127 levels of one "
            "step; train it with lehr.train.binarize, or have"
            " them rounded with --weights int8 (weights='int8' in Python)",
        ),
        (
            nn.Sequential(snn.RLeaky(beta=0.5, linear_features=6, init_hidden=True)),
            {"weights": "int8"},
            "0 (RLeaky): its recurrent weights are no whole multiples of what it takes, and there "
            "are no weights before it that could share a"
            " step with them; put a layer with weights before it",
        ),
        (
            far_smaller(),
            {"weights": "int4", "full_scale": 255.0},
            " times smaller than those that are added to them, so that a common step leaves none "
            "of them to 4 of 4 outputs; use more bits, or"
            " put neurons before it where it takes pixels or counts",
        ),
        (
            with_weights(nn.Linear(6, NEURONS), diverged()),
            {"weights": "int8"},
            "1 (RLeaky): its recurrent.weight is not finite (infinite); train it again",
        ),
        (
            with_weights(nn.Linear(6, NEURONS), through_a_sequence()),
            {"weights": "int8"},
            "1 (RLeaky): its spikes come back through Sequential; use nn.Linear or nn.Conv2d",
        ),
        (
            with_weights(nn.Linear(6, NEURONS), rsynaptic(reset_delay=False)),
            {"weights": "int8"},
            "1 (RSynaptic): snnTorch cannot run it with both init_hidden=True and "
            "reset_delay=False; use reset_delay=True",
        ),
        (
            with_weights(nn.Linear(6, NEURONS), rsynaptic(reset_mechanism="zero")),
            {"weights": "int8"},
            "1 (RSynaptic): its reset_mechanism='zero' drops the input of the step after a spike, "
            "which no integer neuron does; use"
            " reset_mechanism='subtract'",
        ),
    ],
)
def test_refused(model: nn.Module, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NotMappable, match=re.escape(message)):
        from_torch(model, events(2, 3, 6), **options)


def test_snntorch_itself_fails_on_what_it_is_said_to() -> None:
    lif = rsynaptic(reset_delay=False)
    with pytest.raises(TypeError):
        lif(torch.zeros(1, NEURONS))


def test_outputs_that_lose_their_input_are_named() -> None:
    """Recurrent weights of one output are 1,000 times its input's."""
    torch.manual_seed(1)
    layer = nn.Linear(6, NEURONS)
    with torch.no_grad():
        layer.weight[2] /= 1000
    converted = from_torch(nn.Sequential(layer, rleaky()), events(4, 8, 6), weights="int8")
    assert not converted.network.weighted["layer0"].weight[2].any()
    assert (
        "1.recurrent: outputs 2 keep none of their input's weights beside the others, which are "
        "larger" in converted.layers["layer1"].notes
    )
