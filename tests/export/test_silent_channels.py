"""Channels that no weight drives, or as good as none, against snnTorch.

They come of batch norms with gains of 0 or nearly 0, and of rows of zeros.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import pytest
import snntorch as snn
import torch
from nir_graphs import DT, chain, graph, lif
from torch import nn
from torch_models import differing, dyadic, events

from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.export.effect import measure
from lehr.export.nirgraph import Options, Semantics, from_nir, quantize
from lehr.export.silence import without_weights
from lehr.simulate import simulate

OTHERS = (1.0, -1.0, 0.5)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(5)


def normed(norm: Any, gains: tuple[float, ...], offsets: tuple[float, ...]) -> Any:
    """Set a batch norm as it is after training: its gains are no binary fractions."""
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gains))
        norm.bias.copy_(torch.tensor(offsets))
        norm.running_mean.copy_(torch.linspace(-0.2, 0.3, len(gains)))
    return norm


def leaky(**options: Any) -> Any:
    """Make a neuron that keeps its state."""
    return snn.Leaky(**{"beta": 0.75, "threshold": 0.9, "init_hidden": True, **options})


def layers(
    kind: str, gains: tuple[float, ...], offsets: tuple[float, ...]
) -> tuple[nn.Sequential, npt.NDArray[np.uint8]]:
    """Weights of -1 and +1, a batch norm, and neurons; and samples."""
    if kind == "linear":
        first = [
            dyadic(nn.Linear(7, len(gains), bias=False), 1.0),
            normed(nn.BatchNorm1d(len(gains)), gains, offsets),
        ]
        return nn.Sequential(*first, leaky()), events(10, 20, 7)
    conv, norm, pool = (
        dyadic(nn.Conv2d(2, len(gains), 3, bias=False), 1.0),
        normed(nn.BatchNorm2d(len(gains)), gains, offsets),
        nn.AvgPool2d(2),
    )
    layers = {
        "conv": [conv, norm],
        "norm, pool": [conv, norm, pool],
        "pool, norm": [conv, pool, norm],
    }[kind]
    return nn.Sequential(*layers, leaky()), events(6, 20, 2, 6, 6)


@pytest.mark.few(2)
@pytest.mark.parametrize("kind", ["linear", "conv", "norm, pool", "pool, norm"])
@pytest.mark.parametrize("gain", [0.0, -0.0, 1e-7, 1e-12, -1e-12, 1e-30, -1e-42])
def test_an_offset_alone_drives_a_channel_without_gain(kind: str, gain: float) -> None:
    """Offsets fire it always, often, and never; other channels are as precise as without it."""
    gains = (gain,) * 4 + OTHERS
    model, x = layers(kind, gains, (0.37, 0.0, -0.6, 3.1, 0.1, 0.2, 0.3))
    converted = from_torch(model, x)
    name, weighted = converted.network.output, converted.network.weighted["layer0"]
    assert differing(converted) == 0
    assert weighted.kind == "ternary"
    assert np.array_equal(
        weighted.weight.any(axis=tuple(range(1, weighted.weight.ndim))), [False] * 4 + [True] * 3
    )
    neuron = converted.network.neurons[name]
    alone = from_torch(*layers(kind, OTHERS, (0.1, 0.2, 0.3))).network.neurons[name].fields
    assert neuron.fields.fraction_bits == alone.fraction_bits == 16
    assert (
        neuron.fields.state_bits <= alone.state_bits + 1
    )  # the channels of weights have others' signs
    said = converted.layers[name].notes[0]
    assert said.startswith(
        f"{converted.layers[name].source}: channels 0, 1, 2, 3 have a gain "
        f"{'of' if gain == 0 else 'near'} 0, and "
    )
    if gain:
        share = float(re.search(r"at most (\S+) of a threshold$", said)[1])  # type: ignore[index]
        assert 0 < share <= 400 * abs(gain)
    spikes = simulate(converted.network, converted.sample, trace=[name]).trace.spikes[name]
    rates = spikes.mean(axis=(0, 1, *range(3, spikes.ndim)))
    assert rates[1] == rates[2] == 0
    assert 0 < rates[0] < rates[3]
    off = replace(neuron, bias=neuron.bias - (np.arange(7) == 0) * (neuron.threshold // 8))
    other = replace(converted.network, nodes={**converted.network.nodes, name: off})
    assert not np.array_equal(
        simulate(other, converted.sample, trace=[name]).trace.spikes[name], spikes
    )


def test_nothing_is_rounded_where_gains_are_0_and_the_rest_is_dyadic() -> None:
    norm = normed(nn.BatchNorm1d(4), (0.0, 1.0, -0.5, 0.0), (0.75, 0.25, 0.5, -0.5))
    norm.running_mean.zero_()
    norm.eps = 0.0
    model = nn.Sequential(
        dyadic(nn.Linear(7, 4, bias=False), 1.0), norm, leaky(beta=0.5, threshold=1.0)
    )
    converted = from_torch(model, events(10, 9, 7))
    assert converted.exact
    assert converted.layers["layer2"].notes == (
        "2: channels 0, 3 have a gain of 0, and so weights of 0",
    )
    assert differing(converted) == 0


@pytest.mark.parametrize("gain", [0.0, 1e-20])
def test_a_layer_of_such_channels_alone(gain: float) -> None:
    model, x = layers("linear", (gain,) * 4, (0.37, 0.0, -0.6, 3.1))
    converted = from_torch(model, x)
    assert differing(converted) == 0
    assert not converted.network.weighted["layer0"].weight.any()


def test_integers_of_more_bits_stay_what_they_are() -> None:
    model, x = layers("linear", (0.0, *OTHERS), (0.37, 0.1, 0.2, 0.3))
    layer: Any = model[0]
    with torch.no_grad():
        layer.weight.copy_(torch.randn(4, 7))
        layer.weight[1:] /= 3
    converted = from_torch(model, x, weights="int5")
    assert converted.network.weighted["layer0"].kind == "int5"
    assert not converted.network.weighted["layer0"].weight[0].any()


def test_recurrent_weights_drive_a_channel_whose_input_has_no_gain() -> None:
    norm = normed(nn.BatchNorm1d(4), (0.0, 1.0, -1.0, 1.0), (0.7, 0.1, 0.2, 0.3))
    norm.eps = 0.0
    neuron = snn.RLeaky(beta=0.5, threshold=1.0, init_hidden=True, linear_features=4)
    dyadic(neuron.recurrent, 0.5)
    converted = from_torch(
        nn.Sequential(dyadic(nn.Linear(7, 4, bias=False), 1.0), norm, neuron), events(10, 20, 7)
    )
    assert differing(converted) == 0
    rows = [
        converted.network.weighted[name].weight[0].any() for name in ("layer0", "layer2.recurrent")
    ]
    assert rows == [False, True]


def test_a_weak_channel_is_left_out_only_if_it_matters_less_than_what_that_gains() -> None:
    """Weights of two channels stay.

    One has a gain of 1/1000 with a fraction bit less for it, the other counts for 3 % of a
    threshold.
    """
    model, x = layers("linear", (1e-3, *OTHERS), (0.37, 0.1, 0.2, 0.3))
    converted = from_torch(model, x)
    assert converted.network.weighted["layer0"].kind == "binary"
    assert converted.network.neurons["layer2"].threshold[0] == pytest.approx(900 * 2**16, rel=1e-4)
    assert differing(converted) == 0


def partly() -> tuple[nn.Module, npt.NDArray[np.uint8]]:
    """Build a gain of 0 for one pixel of a map, whose weights other pixels share."""
    norm = normed(nn.BatchNorm1d(36), (0.0, *[1.0] * 35), (0.3,) * 36)
    return nn.Sequential(
        dyadic(nn.Conv2d(1, 4, 3, bias=False), 1.0), nn.Flatten(), norm, leaky()
    ), events(3, 4, 1, 5, 5)


def unweighted() -> tuple[nn.Module, npt.NDArray[np.uint8]]:
    """Build a gain of 0 for one input."""
    return nn.Sequential(normed(nn.BatchNorm1d(3), (0.0, 1.0, 1.0), (0.3,) * 3), leaky()), events(
        3, 4, 3
    )


@pytest.mark.parametrize(("case", "source"), [(partly(), "3"), (unweighted(), "1")])
def test_where_no_weights_are_its_own_it_is_refused(
    case: tuple[nn.Module, npt.NDArray[np.uint8]], source: str
) -> None:
    with pytest.raises(
        NotMappable,
        match=f"^{source}: channel 0 has a gain of 0, and there are no weights of its own before it that could be 0 in its place;"
        " add a layer with weights$",
    ):
        from_torch(*case)


@pytest.mark.parametrize(
    ("gain", "offset", "message"),
    [
        (1e-5, 0.2, r"^2: the threshold of channel 0 is 5\.87e\+09 times what one weight is worth, 32 bits hold 2,147,483,647, and its"
                    r" weights can move its membrane by 0\.02\d of a threshold; use greater weights, or prune it$"),
        (1.0, 1e12, r"^2: the bias of channel 0 is 2\.55e\+14 times what one weight is worth, 32 bits hold 2,147,483,647, and its"),
    ],
)  # fmt: skip
def test_what_no_32_bits_hold_is_refused_by_channel(
    gain: float, offset: float, message: str
) -> None:
    norm = normed(nn.BatchNorm1d(2), (gain, 1.0), (offset, 0.1))
    model = nn.Sequential(
        dyadic(nn.Linear(5000, 2, bias=False), 1.0), norm, leaky(threshold=230.0, beta=1.0)
    )
    with pytest.raises(NotMappable, match=message):
        from_torch(model, np.ones((1, 5000), np.uint8), steps=200, full_scale=255)


def test_a_membrane_that_no_32_bits_hold_is_refused_by_channel() -> None:
    model = nn.Sequential(dyadic(nn.Linear(40_000, 2, bias=False), 1.0), leaky(beta=1.0))
    with pytest.raises(
        NotMappable,
        match="^1: the states of channel 0 take more than 32 bits within 450 steps, even without fraction bits; use fewer steps, a faster"
        " decay or a smaller fan-in$",
    ):
        from_torch(model, np.ones((1, 40_000), np.uint8), steps=450, full_scale=255)


def test_rows_of_zeros_and_of_next_to_nothing_in_a_graph() -> None:
    """Their biases alone fire them, and the layer has the bits that it has without them."""
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(0, 0.4, (6, 5)), np.array([0.02, 0.05, -0.1, 0.03, 0.0, 0.1])
    weight[1], weight[3], weight[4] = 0, weight[3] * 1e-15, weight[4] * 1e-200
    x = (rng.random((8, 40, 5)) < 0.4).astype(np.uint8)

    def quantized(rows: list[int], **options: Any) -> Any:
        nir_graph = chain(
            {"w": nir.Affine(weight[rows], bias[rows]), "n": lif(len(rows), threshold=0.02)},
            (5,),
            (len(rows),),
        )
        return quantize(from_nir(nir_graph), x, Semantics(dt=DT), Options(**options))

    every, rest = quantized([0, 1, 2, 3, 4, 5], error=1e-4), quantized([0, 2, 5], error=1e-4)
    fields = every.network.neurons["n"].fields
    assert fields == rest.network.neurons["n"].fields
    assert every.network.weighted["w"].weight.any(axis=1).tolist() == [
        True,
        False,
        True,
        False,
        False,
        True,
    ]
    assert every.layers["n"].threshold_error <= 1e-4
    effect = measure(every, x)
    assert 0.02 < effect.layers["n"].rate < 0.95
    spikes = simulate(every.network, x, trace=["n"]).trace.spikes["n"]
    assert spikes[..., 1].any()
    u = 0.0
    for t in range(40):  # NIR's equation: towards its input, and to 0 at a spike
        u = u + DT / 2.5e-3 * (bias[1] - u)
        assert spikes[0, t, 1] == (u > 0.02)
        u = 0.0 if u > 0.02 else u


def test_weights_that_lead_elsewhere_too_are_not_taken_out() -> None:
    body = {
        "w": nir.Linear(np.ones((2, 3))),
        "a": lif(2),
        "b": lif(2),
        "c": nir.Linear(np.ones((2, 2))),
        "d": nir.Linear(np.ones((2, 2))),
        "o": lif(2),
    }
    edges = [
        ("input", "w"),
        ("w", "a"),
        ("w", "b"),
        ("a", "c"),
        ("b", "d"),
        ("c", "o"),
        ("d", "o"),
        ("o", "output"),
    ]
    network = quantize(
        from_nir(graph(body, edges, (3,), (2,))), events(2, 5, 3), Semantics(dt=DT)
    ).network
    first = np.array([True, False])
    assert without_weights(network, "a", first) is None
    both = without_weights(network, "o", first)
    assert both is not None
    assert [both.weighted[name].weight.any(axis=1).tolist() for name in ("c", "d", "w")] == [
        [False, True]
    ] * 2 + [[True, True]]
    assert without_weights(network, "o", ~first & first) is network
