"""Upsample2d in every engine: alike in every spike and membrane, and right.

What is right is stepped here in double precision, with torch's own interpolation and convolution.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Delay, Flatten, Input, Linear, Network, Neuron
from lehr.nodes import Upsample2d
from lehr.simulate import compare, simulate
from lehr.simulate.engines import ENGINES, STREAMS
from lehr.simulate.fast.plans.flows import Edge, Scatter
from lehr.simulate.fast.plans.plan import plan
from lehr.targets.conformance.building import Images, calibrated, flowing
from lehr.targets.conformance.forms import Parts
from lehr.targets.conformance.upsampled import upsampled
from lehr.targets.engines import engine

PLAIN = Arithmetic(
    decay_numerator=3, decay_shift=2, reset="zero", reset_timing="same_step", fires="ge"
)
OTHERS = [name for name in ENGINES if name != "reference"]


def around(scale: tuple[int, int], kind: Any = "spikes") -> tuple[Network, Images]:
    """Build larger maps of the input, a convolution, larger maps of its sums, and neurons."""
    rng = np.random.default_rng(2)
    nodes = {
        "before": Upsample2d(scale),
        "conv": Conv2d(rng.integers(-3, 4, (5, 2, 3, 2)).astype(np.int8), kind="int3"),
        "behind": Upsample2d((scale[1], scale[0])),
        "out": Neuron(np.ones(5, np.int32), np.zeros(5, np.int32), PLAIN),
    }
    edges = tuple(pairwise((INPUT, *nodes, OUTPUT)))
    net = calibrated(Network(nodes, edges, Input((2, 5, 4), kind), 7))
    return net, rng.integers(0, 2 if kind == "spikes" else 256, (9, 7, 2, 5, 4)).astype(np.uint8)


def stepped(net: Network, x: Images) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return spikes and membranes of that, in double precision."""
    weight = torch.from_numpy(net.weighted["conv"].weight.astype(np.float64))
    neuron = net.neurons["out"]
    threshold, bias = (
        torch.from_numpy(v.astype(np.float64)).view(1, -1, 1, 1)
        for v in (neuron.threshold, neuron.bias)
    )
    before, behind = net.nodes["before"], net.nodes["behind"]
    assert isinstance(before, Upsample2d)
    assert isinstance(behind, Upsample2d)
    kept: list[Tensor] = []
    membranes: list[Tensor] = []
    v = torch.zeros(1, dtype=torch.float64)
    for t in range(x.shape[1]):
        large = functional.interpolate(
            torch.from_numpy(x[:, t]).double(), scale_factor=before.scale
        )
        sums = functional.interpolate(functional.conv2d(large, weight), scale_factor=behind.scale)
        v = (v * 3 / 4).trunc() + sums + bias
        fired = v >= threshold
        v = torch.where(fired, 0.0, v)
        kept.append(fired)
        membranes.append(v)
    return torch.stack(kept, 1).numpy(), torch.stack(membranes, 1).numpy()


@pytest.mark.parametrize("kind", ["spikes", "u8"])
@pytest.mark.parametrize("scale", [(2, 2), (1, 3)])
@pytest.mark.parametrize("which", ENGINES)
def test_engines_compute_what_torch_does(which: str, scale: tuple[int, int], kind: str) -> None:
    net, x = around(scale, kind)
    got = engine(which, net)(x, ("out",))
    spikes, membranes = stepped(net, x)
    assert flowing(net, got)
    assert np.array_equal(got.trace.spikes["out"], spikes)
    assert np.array_equal(got.trace.membranes["out"], membranes)
    weight = net.weighted["conv"].weight.copy()
    weight[0, 0, 1, 1] += 1 if weight[0, 0, 1, 1] < 3 else -1
    changed = replace(net, nodes={**net.nodes, "conv": Conv2d(weight, kind="int3")})
    assert not np.array_equal(stepped(changed, x)[1], membranes)


def test_every_way_through_the_fast_engine() -> None:
    """Of bits and of pixels, sums, a late branch, held and not; in int16 lanes and in int64."""
    for form in upsampled():
        for arithmetic in (PLAIN, replace(PLAIN, state_bits=32, fraction_bits=14)):
            net, x = form.make(Parts(arithmetic), seed=3)
            expected = simulate(net, x, trace=net.neurons)
            assert flowing(net, expected)
            got = engine("fast", net)(x, tuple(net.neurons))
            compare(expected.trace, got.trace).require_equal(form.name)


def test_spikes_stay_bits_for_the_convolution_behind() -> None:
    """Whatever takes maps of bits takes larger maps of bits, too, and nothing scatters integers."""
    net, _ = upsampled()[2].make(Parts(PLAIN), seed=3)
    ops = [op for stage in plan(net, held=False, steps=4).stages for op in stage.ops]
    edges = [getattr(op, "look", op) for op in ops]  # one that neurons make themselves is theirs
    (behind,) = (edge for edge in edges if isinstance(edge, Edge) and edge.source.name == "up")
    assert behind.source.bits
    assert not isinstance(behind, Scatter)


def of_late_spikes() -> tuple[Network, Images]:
    """Larger maps of spikes of the step before, that a delay and a row of values take, too."""
    rng = np.random.default_rng(5)
    one = np.ones(3, np.int32)
    nodes = {
        "conv": Conv2d(rng.choice(np.array((-1, 1), np.int8), (3, 2, 2, 2))),
        "lif": Neuron(one, 0 * one, PLAIN),
        "up": Upsample2d((2, 2)),
        "slow": Delay(2),
        "narrow": Conv2d(rng.choice(np.array((-1, 1), np.int8), (3, 3, 2, 2)), (2, 2)),
        "flat": Flatten(),
        "fc": Linear(rng.choice(np.array((-1, 1), np.int8), (4, 3 * 6 * 8))),
        "out": Neuron(np.ones(4, np.int32), np.zeros(4, np.int32), PLAIN),
    }
    back = pairwise((INPUT, "conv", "lif", "up", "slow", "narrow", "lif"))
    edges = (*back, *pairwise(("up", "flat", "fc", "out", OUTPUT)))
    net = calibrated(Network(nodes, edges, Input((2, 4, 5), "spikes"), 8))
    return net, rng.integers(0, 2, (3, 8, 2, 4, 5)).astype(np.uint8)


@pytest.mark.parametrize("which", OTHERS)
def test_delays_behind_it_and_runs_in_pieces(which: str) -> None:
    net, x = of_late_spikes()
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    compare(expected.trace, engine(which, net)(x, tuple(net.neurons)).trace).require_equal(which)
    feed = STREAMS[which](net, ("out",))
    parts = [feed(part).trace for part in (x[:1, :3], x[:1, 3:4], x[:1, 4:])]
    spikes = np.concatenate([part.spikes["out"] for part in parts], axis=1)
    assert np.array_equal(spikes, expected.trace.spikes["out"][:1])
