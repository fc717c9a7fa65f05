"""The loops for other devices, in torch operations and in Triton, against the compiled ones.

The same bits, forward and backward. What Triton would compile for a GPU is interpreted here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from strategies import small_network
from torch import Tensor, nn

from lehr.train.floats import lif, lif_kernels
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


def loops_in(name: str) -> ModuleType:
    """Return the loops of that name; Triton's as its interpreter runs them, on the host."""
    if name == "triton":
        pytest.importorskip("triton", reason="triton, which torch for GPUs brings, is not here")
    with patch.dict(os.environ, TRITON_INTERPRET="1"):
        return import_module(f"lehr.train.floats.lif_{name}")


@pytest.mark.parametrize("name", ["torch", "triton"])
@budget(30, 666)
@given(
    st.data(),
    CODES,
    st.integers(0, 2**31 - 1),
    st.sampled_from([torch.float32, torch.float64]),
    st.booleans(),
)
def test_every_rule_gives_the_kernels_bits(
    name: str,
    data: st.DataObject,
    codes: tuple[int, int, int, int, bool],
    seed: int,
    dtype: torch.dtype,
    held: bool,
) -> None:
    others = loops_in(name)
    torch.manual_seed(seed)
    whole = codes[0] != lif_kernels.NO_ROUNDING
    scale = data.draw(st.integers(5, 21))  # up to where float32 rounds the product of a decay
    span, shift = 2.0 ** (scale + data.draw(st.integers(1, 3))), data.draw(st.integers(0, 16))
    rule = drawn_rule(codes, np.dtype(str(dtype).removeprefix("torch.")), span, shift)
    rule = rule._replace(in_thresholds=data.draw(st.booleans()))

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
    for loops in (lif_kernels, others):

        def call(name: str, *tensors: Any, loops: Any = loops) -> None:
            getattr(loops, name)(*(tensors if loops is others else lif._arrays(tensors)), rule)

        spikes, raw, membranes = (torch.full(size, torch.nan, dtype=dtype) for _ in range(3))
        call("forward", current, theta, bias, beta, before, spikes, raw, membranes)
        of_current = torch.zeros_like(current)
        sums = tuple(torch.full(size[1:], torch.nan, dtype=dtype) for _ in range(3))
        call("backward", tuple(grads), theta, beta, (spikes, before[1]), raw, of_current, sums)
        results.append(
            {"spikes": spikes, "raw": raw, "membranes": membranes, "current": of_current}
            | dict(zip("tbm", sums, strict=True))
        )
    for what, one in results[0].items():
        assert bool(one.isfinite().all()), what
        assert same_bits(one, results[1][what]), what


@pytest.mark.parametrize("kind", ["*fp32", "*fp64"])
def test_triton_compiles_them_for_a_gpu_without_fused_multiply_adds(kind: str) -> None:
    """No GPU is needed to make code for one; quotients are rounded to nearest."""
    triton = pytest.importorskip(
        "triton", reason="triton, which torch for GPUs brings, is not here"
    )
    script = f"""
from lehr.train.floats import lif_triton as loops
from lehr.train.floats.lif_kernels import SATURATE, SHIFT, SUBTRACT, TOWARD_ZERO
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
codes = dict(leak=SHIFT, rounding=TOWARD_ZERO, reset=SUBTRACT, overflow=SATURATE, same_step=False)
asked = dict(by_spikes=True, by_membranes=True, theta_wanted=True, bias_wanted=True)
for kernel in (loops._forward, loops._backward):
    known = dict(codes, **asked, held=False, in_thresholds=True, block=loops.BLOCK)
    known = {{name: known[name] for name in kernel.arg_names if name in known}}
    numbers = dict.fromkeys(("steps", "given", "size", "neurons"), "i32")
    kinds = {{
        name: "constexpr" if name in known else numbers.get(name, {kind!r})
        for name in kernel.arg_names
    }}
    places = {{(kernel.arg_names.index(name),): value for name, value in known.items()}}
    source = ASTSource(kernel, kinds, constexprs=places)
    options = {{"enable_fp_fusion": False}}
    print(compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["ptx"])
"""
    found = os.pathsep.join([str(Path(triton.__file__).parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": found}
    ran = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    bits = kind.removeprefix("*fp")
    assert ran.stdout.count(".entry") == 2
    assert f"mul.rn.f{bits}" in ran.stdout or f"mul.f{bits}" in ran.stdout
    assert f"div.rn.f{bits}" in ran.stdout
    assert "fma" not in ran.stdout
    assert "div.full" not in ran.stdout


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
