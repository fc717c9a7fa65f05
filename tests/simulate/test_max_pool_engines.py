"""MaxPool2d in every engine: alike in every spike and membrane, and right.

What is right is stepped here in double precision, with torch's own convolution and maximum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from max_pool_networks import networks_of_maxima
from strategies import inputs
from torch import Tensor
from torch.nn import functional

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Delay, Input, Network, Neuron
from lehr.nodes import MaxPool2d
from lehr.simulate import compare, simulate
from lehr.simulate.engines import ENGINES, STREAMS
from lehr.targets.conformance.building import Images, calibrated, flowing
from lehr.targets.conformance.forms import Parts
from lehr.targets.conformance.maxima import maxima
from lehr.targets.engines import engine

PLAIN = Arithmetic(
    decay_numerator=3, decay_shift=2, reset="zero", reset_timing="same_step", fires="ge"
)
POOLS = {
    "two by two": MaxPool2d((2, 2), (2, 2)),
    "overlapping, padded": MaxPool2d((3, 2), (1, 1), (1, 1)),
    "dilated": MaxPool2d((2, 2), (1, 2), (0, 1), (2, 3)),
    "its last windows cut off": MaxPool2d((3, 3), (2, 2), (1, 0), ceil_mode=True),
    "one row": MaxPool2d((1, 3), (2, 1)),
}


def convolved(pool: MaxPool2d, kind: Any = "spikes") -> tuple[Network, Images]:
    """Build two convolutions that are added, maxima of that, and neurons; and samples."""
    rng = np.random.default_rng(2)
    one, two = (rng.integers(-3, 4, (5, 2, 3, 3)).astype(np.int8) for _ in range(2))
    ones = np.ones(5, np.int32)
    nodes = {
        "one": Conv2d(one, kind="int3"),
        "two": Conv2d(two, kind="int3"),
        "pool": pool,
        "out": Neuron(ones, 0 * ones, PLAIN),
    }
    edges = (
        (INPUT, "one"),
        (INPUT, "two"),
        ("one", "pool"),
        ("two", "pool"),
        ("pool", "out"),
        ("out", OUTPUT),
    )
    net = calibrated(Network(nodes, edges, Input((2, 9, 8), kind), 7))
    x = rng.integers(0, 2 if kind == "spikes" else 256, (20, 7, 2, 9, 8)).astype(np.uint8)
    return net, x


def stepped(net: Network, x: Images) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return spikes and membranes of that, in double precision."""
    weight = sum(net.weighted[name].weight.astype(np.float64) for name in ("one", "two"))
    pool, neuron = net.nodes["pool"], net.neurons["out"]
    assert isinstance(pool, MaxPool2d)
    threshold, bias = (
        torch.from_numpy(v.astype(np.float64)).view(1, -1, 1, 1)
        for v in (neuron.threshold, neuron.bias)
    )
    kept: list[Tensor] = []
    membranes: list[Tensor] = []
    v = torch.zeros(1, dtype=torch.float64)
    for t in range(x.shape[1]):
        sums = functional.conv2d(torch.from_numpy(x[:, t]).double(), torch.from_numpy(weight))
        greatest = functional.max_pool2d(
            sums, pool.kernel, pool.stride, pool.padding, pool.dilation, pool.ceil_mode
        )
        v = (v * 3 / 4).trunc() + greatest + bias
        fired = v >= threshold
        v = torch.where(fired, 0.0, v)
        kept.append(fired)
        membranes.append(v)
    return torch.stack(kept, 1).numpy(), torch.stack(membranes, 1).numpy()


@pytest.mark.parametrize("kind", ["spikes", "u8"])
@pytest.mark.parametrize("name", POOLS)
def test_the_definition_is_what_torch_computes(name: str, kind: str) -> None:
    net, x = convolved(POOLS[name], kind)
    got = simulate(net, x, trace=["out"])
    spikes, membranes = stepped(net, x)
    assert flowing(net, got)
    assert np.array_equal(got.trace.spikes["out"], spikes)
    assert np.array_equal(got.trace.membranes["out"], membranes)
    weight = net.weighted["one"].weight.copy()
    weight[0, 0, 1, 1] += 1 if weight[0, 0, 1, 1] < 3 else -1
    changed = replace(net, nodes={**net.nodes, "one": Conv2d(weight, kind="int3")})
    assert not np.array_equal(stepped(changed, x)[1], membranes)


@pytest.mark.parametrize("kind", ["spikes", "u8"])
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("which", [name for name in ENGINES if name != "reference"])
def test_engines_agree_with_torch(which: str, name: str, kind: str) -> None:
    net, x = convolved(POOLS[name], kind)
    got = engine(which, net)(x, ("out",))
    spikes, membranes = stepped(net, x)
    assert np.array_equal(got.trace.spikes["out"], spikes)
    assert np.array_equal(got.trace.membranes["out"], membranes)


def test_every_way_through_the_fast_engine() -> None:
    """Of bits, counts, sums of one branch and of two, held and not; in int16 lanes and in int64."""
    for form in maxima():
        for arithmetic in (PLAIN, replace(PLAIN, state_bits=32, fraction_bits=14)):
            net, x = form.make(Parts(arithmetic), seed=3)
            expected = simulate(net, x, trace=net.neurons)
            assert flowing(net, expected)
            got = engine("fast", net)(x, tuple(net.neurons))
            compare(expected.trace, got.trace).require_equal(form.name)


def held_back(net: Network) -> Network:
    """Put a delay before the maxima and one behind."""
    edges = [e for e in net.edges if e not in (("two", "pool"), ("pool", "out"))]
    edges += [("two", "slow"), ("slow", "pool"), ("pool", "late"), ("late", "out")]
    nodes = {**net.nodes, "slow": Delay(2), "late": Delay(1)}
    return replace(net, nodes=nodes, edges=tuple(edges))


@pytest.mark.parametrize("which", [name for name in ENGINES if name != "reference"])
def test_delays_around_it_and_runs_in_pieces(which: str) -> None:
    net, x = convolved(POOLS["overlapping, padded"])
    net = calibrated(held_back(net))
    expected = simulate(net, x, trace=["out"])
    assert flowing(net, expected)
    compare(expected.trace, engine(which, net)(x, ("out",)).trace).require_equal(which)
    feed = STREAMS[which](net, ("out",))
    parts = [feed(part).trace for part in (x[:1, :3], x[:1, 3:4], x[:1, 4:])]
    spikes = np.concatenate([part.spikes["out"] for part in parts], axis=1)
    assert np.array_equal(spikes, expected.trace.spikes["out"][:1])


@pytest.mark.parametrize("which", [name for name in ENGINES if name != "reference"])
@budget(6, 150)
@given(st.data())
def test_random_networks_with_maxima(which: str, data: st.DataObject) -> None:
    net = data.draw(networks_of_maxima())
    x = data.draw(inputs(net))
    expected = simulate(net, x, trace=net.neurons)
    compare(expected.trace, engine(which, net)(x, tuple(net.neurons)).trace).require_equal(which)
