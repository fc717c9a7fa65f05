"""Networks of Brevitas' layers and snnTorch's neurons.

The right integers are worked out here by numpy from the layers' real weights, as Brevitas documents
its quantizers; the right spikes are those of neurons stepped in float64 on these integers times
their scales. Without Brevitas the tests are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import snntorch as snn
import torch
from torch import nn
from torch_models import differing, events, result_of, stepped_by_snntorch

from lehr.errors import NotMappable
from lehr.export import from_torch

pytestmark = pytest.mark.filterwarnings("ignore:No quant bias cache:UserWarning")
qnn = pytest.importorskip("brevitas.nn", reason="Brevitas is not installed")
quant = pytest.importorskip("brevitas.quant")

X = events(32, 12, 16)
Float = npt.NDArray[np.float64]


def neuron(threshold: float = 0.25) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, init_hidden=True)


def greatest(weight: Float, levels: int, axis: int | None = None) -> tuple[Float, Float]:
    """Return integers and scales by the greatest magnitude, of all weights or of an output."""
    scale = np.abs(weight).max(axis=axis, keepdims=axis is not None) / levels
    return np.rint(weight / scale), np.asarray(scale)


def by_tensor(weight: Float) -> tuple[Float, Float]:
    return greatest(weight, 127)


def by_output(weight: Float) -> tuple[Float, Float]:
    return greatest(weight, 127, 1)


def of_power_of_two(weight: Float) -> tuple[Float, Float]:
    """The power of two from the greatest magnitude on is 128 of the scale."""
    scale = 2.0 ** np.ceil(np.log2(np.abs(weight).max())) / 128
    return np.rint(weight / scale).clip(-127, 127), np.asarray(scale)


def four_bits(weight: Float) -> tuple[Float, Float]:
    return greatest(weight, 7)


def signs(weight: Float) -> tuple[Float, Float]:
    return np.where(weight >= 0, 1.0, -1.0), np.asarray(np.float64(0.1))


def ternary(weight: Float) -> tuple[Float, Float]:
    """Half of the scale, 0.1, is the threshold for 0."""
    return np.where(np.abs(weight) > 0.05, np.sign(weight), 0.0), np.asarray(np.float64(0.1))


def bits(count: int, **fields: Any) -> Any:
    """Return Brevitas' 8-bit weights with other bits."""
    return type("Bits", (quant.Int8WeightPerTensorFloat,), {"bit_width": count, **fields})


RULES: dict[str, tuple[Any, Callable[[Float], tuple[Float, Float]], str]] = {
    "Int8WeightPerTensorFloat": (quant.Int8WeightPerTensorFloat, by_tensor, "int8"),
    "Int8WeightPerChannelFloat": (quant.Int8WeightPerChannelFloat, by_output, "int8"),
    "Int8WeightPerTensorFixedPoint": (quant.Int8WeightPerTensorFixedPoint, of_power_of_two, "int8"),
    "4 bits": (bits(4), four_bits, "int4"),
    "SignedBinaryWeightPerTensorConst": (quant.SignedBinaryWeightPerTensorConst, signs, "binary"),
    "SignedTernaryWeightPerTensorConst": (
        quant.SignedTernaryWeightPerTensorConst,
        ternary,
        "ternary",
    ),
}


def by_hand(weight: Float, bias: Float, x: npt.NDArray[np.uint8], threshold: float) -> Any:
    """Return the spikes of a layer of snnTorch's Leaky, `[N, T, neurons]`: reset a step later."""
    membrane = np.zeros((len(x), len(weight)))
    spikes = []
    for t in range(x.shape[1]):
        reset = membrane > threshold
        membrane = 0.5 * membrane + x[:, t] @ weight.T + bias - reset * threshold
        spikes.append(membrane > threshold)
    return np.stack(spikes, 1).astype(np.uint8)


@pytest.mark.parametrize("rule", RULES)
def test_integers_scales_and_spikes_are_brevitas(rule: str) -> None:
    torch.manual_seed(0)
    quantizer, right, kind = RULES[rule]
    layers = [
        qnn.QuantLinear(a, b, bias=True, weight_quant=quantizer) for a, b in ((16, 8), (8, 4))
    ]
    model = nn.Sequential(layers[0], neuron(), layers[1], neuron(0.125))
    converted = from_torch(model, X)
    assert differing(converted) == 0
    trace, taken = result_of(converted).trace, X
    for name, layer, threshold in zip(("0", "2"), layers, (0.25, 0.125), strict=True):
        weight = layer.weight.detach().double().numpy()
        integers, scale = right(weight)
        node: Any = converted.network.nodes[f"layer{name}"]
        np.testing.assert_array_equal(node.weight, integers)
        assert node.kind == kind
        bias = layer.bias.detach().double().numpy()
        given = trace.spikes[f"layer{int(name) + 1}"]
        np.testing.assert_array_equal(given, by_hand(integers * scale, bias, taken, threshold))
        more = (integers + 1) * scale
        assert (given != by_hand(more, bias, taken, threshold)).any()
        taken = given


def test_fixed_point_weights_are_proven_equal() -> None:
    """Scales, thresholds, bias and leak are binary fractions, so that nothing is rounded."""
    torch.manual_seed(0)
    layer = qnn.QuantLinear(16, 8, bias=True, weight_quant=quant.Int8WeightPerTensorFixedPoint)
    layer.bias.data.copy_((layer.bias.data * 16).round() / 16)
    converted = from_torch(nn.Sequential(layer, neuron()), events(8, 6, 16))
    assert converted.exact, [each.notes for each in converted.layers.values()]
    assert differing(converted) == 0


def test_convolutions_quantized_bias_and_a_batch_norm() -> None:
    torch.manual_seed(2)
    options: Any = {"weight_quant": quant.Int8WeightPerChannelFloat}
    conv = qnn.QuantConv2d(2, 4, 3, padding=1, stride=2, groups=2, bias=True, **options)
    norm = nn.BatchNorm2d(4)
    norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    norm.weight.data.uniform_(-2, 2)
    linear = qnn.QuantLinear(
        16, 5, bias=True, bias_quant=quant.Int8BiasPerTensorFloatInternalScaling, **options
    )
    model = nn.Sequential(
        conv, norm, neuron(), nn.AvgPool2d(2), nn.Flatten(), linear, neuron(0.125)
    )
    converted = from_torch(model, events(8, 12, 2, 8, 8))
    assert differing(converted) == 0
    node: Any = converted.network.nodes["layer0"]
    weight = conv.weight.detach().double().numpy()
    integers, _ = greatest(weight.reshape(4, -1), 127, 1)
    sign = np.sign(norm.weight.detach().numpy()).reshape(-1, 1, 1, 1)
    np.testing.assert_array_equal(node.weight, integers.reshape(weight.shape) * sign)


def test_convolutions_over_one_axis() -> None:
    torch.manual_seed(2)
    conv = qnn.QuantConv1d(
        2, 4, 3, padding=2, dilation=2, bias=True, weight_quant=quant.Int8WeightPerChannelFloat
    )
    linear = quantized(24, 5)
    model = nn.Sequential(conv, neuron(), nn.AvgPool1d(2), nn.Flatten(), linear, neuron(0.125))
    x = events(8, 12, 2, 12)
    converted = from_torch(model, x)
    assert differing(converted) == 0
    weight = conv.weight.detach().double().numpy()
    integers, scale = (each.reshape(4, 1, -1) for each in greatest(weight.reshape(4, -1), 127, 1))
    integers = integers.reshape(weight.shape)
    node: Any = converted.network.nodes["layer0"]
    np.testing.assert_array_equal(node.weight[:, :, 0], integers)
    plain = nn.Conv1d(2, 4, 3, padding=2, dilation=2).double()
    plain.weight.data.copy_(torch.from_numpy(integers * scale))
    plain.bias.data.copy_(conv.bias)  # type: ignore[union-attr]
    right = stepped_by_snntorch(nn.Sequential(plain, neuron()), x)["1"][0].numpy()
    own = result_of(converted).trace.spikes["layer1"]
    np.testing.assert_array_equal(own.reshape(right.shape), right)
    plain.weight.data[:, :, 0] += torch.from_numpy(scale[:, :, 0])
    more = stepped_by_snntorch(nn.Sequential(plain, neuron()), x)["1"][0].numpy()
    assert (more != right).any()


def quantized(inputs: int, outputs: int, **options: Any) -> Any:
    """Return a layer whose weights are -1 to +1, but for the least, which is -2."""
    layer = qnn.QuantLinear(
        inputs, outputs, **{"bias": True, "weight_quant": quant.Int8WeightPerTensorFloat, **options}
    )
    layer.weight.data.clamp_(-1, 1)[0, 0] = -2
    layer.weight.data[1, 1] = 1
    return layer


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("kind", ["QuantIdentity", "QuantReLU"])
def test_activation_quantizers_on_spikes(kind: str, wrapped: bool) -> None:
    """What the quantizer makes of 1 stands in place of 1, which QuantReLU alone leaves as it is."""
    torch.manual_seed(4)
    between = getattr(qnn, kind)(return_quant_tensor=wrapped)
    first, second = quantized(16, 8), quantized(8, 4)
    converted = from_torch(nn.Sequential(first, neuron(), between, second, neuron(0.125)), X)
    assert differing(converted) == 0
    between.double().eval()
    spike = between(torch.ones(1, 8).double())
    worth = float((spike.value if wrapped else spike)[0, 0])
    assert (worth == 1) == (kind == "QuantReLU")
    trace = result_of(converted).trace
    integers, scale = by_tensor(second.weight.detach().double().numpy())
    bias = second.bias.detach().double().numpy()
    right = by_hand(worth * integers * scale, bias, trace.spikes["layer1"], 0.125)
    np.testing.assert_array_equal(trace.spikes["layer4"], right)


ACTIVATION = quant.Int8ActPerTensorFloat


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda: [quantized(16, 4, weight_quant=quant.ShiftedUint8WeightPerTensorFloat)], "0 (QuantLinear): the zero_point of its weights is 170; use a quantizer around 0, as Int8WeightPerTensorFloat"),
        (lambda: [quantized(16, 4, weight_quant=bits(16))], "0 (QuantLinear): its integer weights are -32767 to 16384, and int8 here holds -127 to 127; use up to 8 bits with narrow_range=True"),
        (lambda: [quantized(16, 4, weight_quant=bits(8, narrow_range=False))], "0 (QuantLinear): its integer weights are -128 to 64, and int8 here holds -127 to 127; use up to 8 bits"),
        (lambda: [quantized(16, 4, weight_quant=quant.Fp8e4m3WeightPerTensorFloat)], "0 (QuantLinear): its weights are of Brevitas' FloatQuantTensor, no integers of one scale an output; use an integer quantizer"),
        (lambda: [quantized(16, 4, weight_quant=None)], "0 (QuantLinear): its weights are real numbers, not -1 and +1 or up to 127 levels of one step"),
        (lambda: [quantized(16, 4, input_quant=ACTIVATION)], "0 (QuantLinear): it quantizes what it takes; build it with input_quant=None"),
        (lambda: [quantized(16, 4, output_quant=ACTIVATION)], "0 (QuantLinear): it quantizes what it gives; build it with output_quant=None"),
        (lambda: [quantized(16, 4, bias_quant=quant.Int32Bias)], "0 (QuantLinear): its bias_quant takes the scale of what comes in, and spikes have none; build it with bias_quant=None"),
        (lambda: [quantized(16, 4), qnn.QuantIdentity()], "1 (QuantIdentity): it quantizes currents, which no integer neuron does; put it behind the neurons, or leave it out"),
        (lambda: [quantized(16, 4), neuron(), qnn.QuantIdentity(act_quant=quant.SignedBinaryActPerTensorConst), quantized(4, 4)], "2 (QuantIdentity): it makes 1 of 0 and 1 to 1 of a spike, and spikes are one value above 0 a channel; leave"),
        (lambda: [qnn.QuantConvTranspose1d(16, 4, 1, weight_quant=quant.Int8WeightPerTensorFloat)], "0 (QuantConvTranspose1d): it is a layer of brevitas, of which QuantLinear, QuantConv1d, QuantConv2d, QuantIdentity and QuantReLU are read"),
    ],
)  # fmt: skip
def test_what_is_no_integer_layer_is_named(layers: Callable[[], list[Any]], message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}"):
        from_torch(nn.Sequential(*layers(), neuron()), X)
