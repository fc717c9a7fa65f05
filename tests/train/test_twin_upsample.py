"""Upsample2d in the training twin: exact, and its gradient is that of torch.nn.Upsample."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Input, Network, Neuron
from lehr.nodes import Upsample2d
from lehr.simulate import compare, simulate
from lehr.targets.conformance.building import flowing
from lehr.targets.conformance.forms import Parts
from lehr.targets.conformance.upsampled import upsampled
from lehr.train.twin.network import Twin, trace


def test_twin_is_exact() -> None:
    for form in upsampled():
        net, x = form.make(Parts(Arithmetic(decay_numerator=7, decay_shift=3)), seed=3)
        expected = simulate(net, x, trace=net.neurons)
        assert flowing(net, expected)
        compare(expected.trace, trace(Twin(net).double(), x)).require_equal(form.name)


def test_the_gradient_is_the_sum_over_a_block() -> None:
    """Weights get what torch's own layers give them, over 4 steps of 3 samples."""
    never = Arithmetic(decay_numerator=0, reset="none", fires="never", state_bits=16)
    weight = np.random.default_rng(4).integers(-3, 4, (3, 2, 2, 2)).astype(np.int8)
    nodes = {
        "conv": Conv2d(weight, kind="int3"),
        "up": Upsample2d((2, 3)),
        "out": Neuron(np.zeros(3, np.int32), np.zeros(3, np.int32), never),
    }
    edges = tuple(pairwise((INPUT, *nodes, OUTPUT)))
    twin = Twin(Network(nodes, edges, Input((2, 4, 5), "u8"), 4, "membrane_last_argmax_lowest"))
    x = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 4, 2, 4, 5))).float()
    _, membranes = twin.layers(x)
    toward = torch.randn(membranes["out"].shape, generator=torch.manual_seed(0))
    (membranes["out"] * toward).sum().backward()

    own = torch.from_numpy(weight.astype(np.float32)).requires_grad_()
    sums: Tensor = nn.functional.conv2d(x.transpose(0, 1).flatten(0, 1), own)
    large = nn.Upsample(scale_factor=(2.0, 3.0))(sums).view(toward.shape)
    assert torch.equal(large, membranes["out"])
    (large * toward).sum().backward()
    got = twin.weights["conv"].grad
    assert got is not None
    assert own.grad is not None
    assert own.grad.abs().sum() > 0
    torch.testing.assert_close(got, own.grad)
    assert twin.network() == twin.net
