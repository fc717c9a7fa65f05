"""MaxPool2d in the training twin: exact, and its gradient is that of torch.nn.MaxPool2d."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from max_pool_networks import networks_of_maxima
from strategies import inputs
from torch import Tensor, nn

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Input, Network, Neuron
from lehr.nodes import MaxPool2d
from lehr.simulate import compare, simulate
from lehr.train.twin.network import Twin, trace

WEIGHT = np.random.default_rng(4).integers(-3, 4, (3, 2, 2, 2)).astype(np.int8)
POOLS = (
    MaxPool2d((2, 2), (2, 2)),
    MaxPool2d((3, 2), (1, 1), (1, 0)),
    MaxPool2d((2, 2), (1, 2), dilation=(2, 1)),
    MaxPool2d((2, 2), (2, 2), ceil_mode=True),
)


@budget(6, 66)
@given(st.data())
def test_twin_is_exact(data: st.DataObject) -> None:
    net = data.draw(networks_of_maxima())
    x = data.draw(inputs(net))
    compare(simulate(net, x, trace=net.neurons).trace, trace(Twin(net).double(), x)).require_equal(
        "twin"
    )


@pytest.mark.parametrize("pool", POOLS)
def test_the_gradient_goes_to_the_greatest_as_torch_s(pool: MaxPool2d) -> None:
    """Weights get what torch's own convolution and maximum give them, over 4 steps of 3 samples."""
    never = Arithmetic(decay_numerator=0, reset="none", fires="never", state_bits=16)
    nodes = {
        "conv": Conv2d(WEIGHT, kind="int3"),
        "pool": pool,
        "out": Neuron(np.zeros(3, np.int32), np.zeros(3, np.int32), never),
    }
    edges = tuple(pairwise((INPUT, *nodes, OUTPUT)))
    twin = Twin(Network(nodes, edges, Input((2, 6, 7), "u8"), 4, "membrane_last_argmax_lowest"))
    x = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 4, 2, 6, 7))).float()
    _, membranes = twin.layers(x)
    toward = torch.randn(membranes["out"].shape, generator=torch.manual_seed(0))
    (membranes["out"] * toward).sum().backward()

    own = torch.from_numpy(WEIGHT.astype(np.float32)).requires_grad_()
    layer = nn.MaxPool2d(
        pool.kernel, pool.stride, pool.padding, pool.dilation, ceil_mode=pool.ceil_mode
    )
    sums: Tensor = nn.functional.conv2d(x.transpose(0, 1).flatten(0, 1), own)
    greatest = layer(sums).view(toward.shape)
    assert torch.equal(greatest, membranes["out"])
    (greatest * toward).sum().backward()
    got = twin.weights["conv"].grad
    assert got is not None
    assert own.grad is not None
    assert own.grad.abs().sum() > 0
    torch.testing.assert_close(got, own.grad)
    assert twin.network() == twin.net
