"""The loops in torch operations, for other devices, against the compiled ones.

The same bits, forward and backward.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from strategies import small_network
from torch import Tensor, nn

from lehr.train.floats import lif, lif_kernels, lif_torch
from lehr.train.floats.model import FloatNet
from lehr.train.recipe import NetworkRecipe
from lehr.train.twin.network import Twin

STEPS, SAMPLES, NEURONS = 7, 3, 37
CODES = st.tuples(*(st.sampled_from(range(n)) for n in (3, 3, 3, 3)), st.booleans())
NET = {
    "steps": 6,
    "beta": "253/256",
    "slope": 1.0,
    "layers": [
        {
            "type": "conv",
            "channels": 3,
            "kernel": 3,
            "pool": 2,
            "batch_norm": True,
            "threshold": {"start": 0.3},
        },
        {"type": "linear", "features": 4, "bias": True, "threshold": {"start": 0.5}},
    ],
}


def drawn_rule(
    codes: tuple[int, int, int, int, bool], dtype: np.dtype[Any], span: float, shift: int
) -> lif_kernels.Rule:
    """Every number plays its part: a bound that is reached, an offset, a gain, a unit."""
    numbers = (2.0**-shift, 4, -span / 2, span / 2 - 1, span, 32 / span, 0.5, 3)
    return lif_kernels.Rule(*codes, *(dtype.type(number) for number in numbers))


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Equal, the signs of zeros included."""
    return torch.equal(one, other) and torch.equal(one.signbit(), other.signbit())


@budget(30, 666)
@given(
    st.data(),
    CODES,
    st.integers(0, 2**31 - 1),
    st.sampled_from([torch.float32, torch.float64]),
    st.booleans(),
)
def test_every_rule_gives_the_kernels_bits(
    data: st.DataObject,
    codes: tuple[int, int, int, int, bool],
    seed: int,
    dtype: torch.dtype,
    held: bool,
) -> None:
    torch.manual_seed(seed)
    whole = codes[0] != lif_kernels.NO_ROUNDING
    scale = data.draw(st.integers(5, 21))  # up to where float32 rounds the product of a decay
    span, shift = 2.0 ** (scale + data.draw(st.integers(1, 3))), data.draw(st.integers(0, 16))
    rule = drawn_rule(codes, np.dtype(str(dtype).removeprefix("torch.")), span, shift)

    def some(*shape: int) -> Tensor:
        value = torch.randn(shape, dtype=dtype).mul(2**scale)
        return value.round() if whole else value

    size = (STEPS, SAMPLES, NEURONS)
    current, theta, bias = (
        some(1 if held else STEPS, SAMPLES, NEURONS),
        some(NEURONS).abs() + 1,
        some(NEURONS),
    )
    # several numerators below 2**16, one by neuron
    numerators = torch.randint(0, (1 << shift) + 1, (NEURONS,))
    beta = numerators.to(dtype) * 2.0**-shift
    before = (some(SAMPLES, NEURONS), (some(SAMPLES, NEURONS) > 0).to(dtype))
    grads = [
        some(*size) if data.draw(st.booleans()) else torch.zeros(0, *size[1:], dtype=dtype)
        for _ in range(2)
    ]
    results = []
    for loops in (lif_kernels, lif_torch):

        def call(name: str, *tensors: Any, loops: Any = loops) -> None:
            getattr(loops, name)(*(tensors if loops is lif_torch else lif._arrays(tensors)), rule)

        spikes, raw, membranes = (torch.full(size, torch.nan, dtype=dtype) for _ in range(3))
        call("forward", current, theta, bias, beta, before, spikes, raw, membranes)
        of_current = torch.zeros_like(current)
        sums = tuple(torch.full(size[1:], torch.nan, dtype=dtype) for _ in range(3))
        call("backward", tuple(grads), theta, beta, (spikes, before[1]), raw, of_current, sums)
        results.append(
            {"spikes": spikes, "raw": raw, "membranes": membranes, "current": of_current}
            | dict(zip("tbm", sums, strict=True))
        )
    for name, one in results[0].items():
        assert bool(one.isfinite().all()), name
        assert same_bits(one, results[1][name]), name


def iteration(module: nn.Module, layers: Iterable[Tensor], device: str) -> None:
    """A backward pass that reaches every parameter."""
    assert {layer.device.type for layer in layers} == {device}
    torch.stack([layer.sum() for layer in layers]).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None or not parameter.requires_grad, name


def test_tensors_elsewhere_do_not_come_to_the_host() -> None:
    """On torch's device without memory.

    To read a number from it, or to mix it with the host's, is an error.
    """
    float_net = FloatNet(NetworkRecipe.model_validate(NET), (2, 8, 8)).to("meta")
    iteration(float_net, float_net.run(torch.empty(5, 2, 8, 8, device="meta"))[0], "meta")
    net, _ = small_network()
    twin = Twin(net).to("meta")
    iteration(
        twin, twin.layers(torch.empty(5, *net.input.shape, device="meta"))[0].values(), "meta"
    )
