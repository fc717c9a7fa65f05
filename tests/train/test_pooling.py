"""Pooling in the convolution's kernel.

The same sums, the same gradients, in every place that uses it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from strategies import Builder, alive, random_input
from torch.nn import functional

from lehr.arithmetic import Arithmetic
from lehr.network import Input, SumPool2d
from lehr.simulate import compare, simulate
from lehr.train.floats.model import FloatNet
from lehr.train.floats.pooling import pooled_kernel
from lehr.train.recipe import NetworkRecipe
from lehr.train.twin.network import Twin, trace

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@budget(40, 266)
@given(st.integers(0, 2**31 - 1), PAIR, PAIR, PAIR, PAIR, PAIR, st.sampled_from([1, 2]))
def test_one_convolution_is_convolution_and_pooling(
    seed: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    pool: tuple[int, int],
    step: tuple[int, int],
    groups: int,
) -> None:
    torch.manual_seed(seed)
    x = torch.randint(0, 3, (2, 4, 11, 12)).double()
    weight = torch.randn(6, 4 // groups, *kernel).sign().double().requires_grad_()
    expected = functional.avg_pool2d(
        functional.conv2d(x, weight, None, stride, padding, 1, groups),
        pool,
        step,
        divisor_override=1,
    )
    both = (stride[0] * step[0], stride[1] * step[1])
    got = functional.conv2d(x, pooled_kernel(weight, pool, stride), None, both, padding, 1, groups)
    assert torch.equal(got, expected)
    toward = torch.randn_like(expected)
    one, other = (torch.autograd.grad((out * toward).sum(), weight)[0] for out in (got, expected))
    assert torch.allclose(one, other)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_phase_a_pools_spikes_in_the_kernel(batch_norm: bool) -> None:
    layer = {
        "type": "conv",
        "channels": 4,
        "kernel": 3,
        "padding": 1,
        "pool": 2,
        "threshold": {"start": 1.0},
        "batch_norm": batch_norm,
    }
    fields = {"steps": 6, "beta": "7/8", "slope": 2.0, "layers": [layer, {**layer, "stride": 2}]}
    torch.manual_seed(0)
    net = FloatNet(NetworkRecipe.model_validate(fields), (2, 12, 12), full_scale=1)
    x = (torch.rand(3, 6, 2, 12, 12) < 0.3).float()
    got = net.run(x)[0]
    assert all(block.window == (2, 2) for block in net.layers)
    for block in net.layers:
        block.window = (1, 1)
    for one, other in zip(got, net.run(x)[0], strict=True):
        assert torch.equal(one, other)
        assert 0 < float(one.detach().mean()) < 1


def test_batch_norm_measures_what_is_pooled() -> None:
    layer = {
        "type": "conv",
        "channels": 4,
        "kernel": 3,
        "pool": 2,
        "batch_norm": True,
        "threshold": {"start": 1.0},
    }
    net = FloatNet(
        NetworkRecipe.model_validate({"steps": 6, "beta": "7/8", "slope": 2.0, "layers": [layer]}),
        (2, 12, 12),
        full_scale=1,
    )
    x = (torch.rand(5, 6, 2, 12, 12) < 0.3).float()
    net.reestimate_batch_norm([x])
    block = net.layers[0]
    pooled = functional.avg_pool2d(block.weight(x.flatten(0, 1)), 2)
    assert isinstance(block.norm, torch.nn.BatchNorm2d)
    assert block.norm.running_var is not None
    assert torch.allclose(block.norm.running_var, pooled.var((0, 2, 3)), rtol=1e-4)


def test_twin_pools_in_the_kernel_only_where_that_is_the_same() -> None:
    net = Builder(Input((2, 12, 12), "spikes"), np.random.default_rng(0))
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
    net.conv("plain", 4, stride=(2, 1), padding=(1, 0))
    net.add("pool1", SumPool2d((2, 3), (1, 2)))
    net.neuron("lif1", arithmetic)
    net.conv("dilated", 4, (2, 2), dilation=(2, 1))
    net.add("pool2", SumPool2d((2, 2), (2, 2)))
    net.neuron("lif2", arithmetic)
    net.conv("small", 6, (1, 1))
    net.add("padded", SumPool2d((2, 2), (2, 2), (1, 1)))
    net.neuron("lif3", arithmetic)
    network = net.network(steps=8)
    twin = Twin(network)
    assert twin.pooled == {"pool1": "plain"}
    x = random_input(network, np.random.default_rng(1))
    expected = simulate(network, x, trace=network.neurons)
    assert alive(expected)
    compare(expected.trace, trace(twin, x)).require_equal("twin")


def test_twin_computes_a_convolution_that_others_hear_too_by_itself() -> None:
    net = Builder(Input((1, 6, 6), "spikes"), np.random.default_rng(0))
    net.conv("conv", 3)
    net.add("pool", SumPool2d((2, 2), (1, 1), (0, 0)))
    net.neuron("lif", Arithmetic())
    network = net.network(steps=5)
    assert Twin(network).pooled == {"pool": "conv"}
    branched = replace(
        network,
        nodes={**network.nodes, "same": SumPool2d((2, 2), (1, 1))},
        edges=(*network.edges, ("conv", "same"), ("same", "lif")),
    )
    assert Twin(branched).pooled == {}
    x = random_input(branched, np.random.default_rng(1))
    compare(simulate(branched, x, trace=["lif"]).trace, trace(Twin(branched), x)).require_equal(
        "twin"
    )
