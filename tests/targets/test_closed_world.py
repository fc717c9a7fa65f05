"""Every station refuses by name a type of node that nothing knows.

Nothing computes it as if it were something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lehr import nirfile
from lehr.arithmetic import Arithmetic, Int64
from lehr.errors import LehrError
from lehr.interval import Interval
from lehr.network import INPUT, OUTPUT, Conv2d, Input, Linear, Network, Neuron
from lehr.nodes import Node, Shape
from lehr.simulate import compare, simulate
from lehr.simulate.engines import ENGINES, STREAMS
from lehr.targets.contract import Target
from lehr.targets.engines import engine
from lehr.targets.registry import targets
from lehr.widths import analyse, fit_state_bits


@dataclass(frozen=True, eq=False)
class Stranger(Node):
    """Says its shape, and nothing else."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True, eq=False)
class Reversal(Stranger):
    """Node with what the core asks for: what it makes of its input, and bounds of that.

    No table of a station holds it.
    """

    def sums(self, x: Int64) -> Int64:
        return x[:, ::-1]

    def bounds(self, x: Interval, taken: Shape) -> Interval:
        return Interval(
            np.full_like(x.low, x.low.min()),
            np.full_like(x.high, x.high.max()),
            np.full_like(x.magnitude, x.magnitude.max()),
        )


@dataclass(frozen=True, eq=False)
class Weights(Linear):
    """A kind of Linear that is computed otherwise: who asks for a Linear does not mean this."""

    def sums(self, x: Int64) -> Int64:
        return -super().sums(x)


SPIKES = Input((6,), "spikes")


def neuron(channels: int) -> Neuron:
    return Neuron(
        np.ones(channels, np.int32),
        np.zeros(channels, np.int32),
        Arithmetic(decay_numerator=7, decay_shift=3),
    )


def binary(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.random.default_rng(0).choice(np.array((-1, 1), np.int8), shape)


def chain(entry: Input, **nodes: Node) -> Network:
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), entry, 4)


def of_all_places(node: Node) -> dict[str, Network]:
    """Return networks with a node wherever one may stand.

    It stands before weights, behind them, between neurons, beside weights, in a loop.
    """
    dense = chain(
        SPIKES, fc=Linear(binary(6, 6)), lif=neuron(6), fc2=Linear(binary(6, 6)), out=neuron(6)
    )
    between = tuple((a, b) for a, b in dense.edges if (a, b) != ("lif", "fc2"))
    beside = replace(
        dense, nodes={**dense.nodes, "it": node}, edges=(*dense.edges, ("lif", "it"), ("it", "out"))
    )
    return {
        "first": chain(SPIKES, it=node, fc=Linear(binary(6, 6)), out=neuron(6)),
        "behind weights": chain(SPIKES, fc=Linear(binary(6, 6)), it=node, out=neuron(6)),
        "between layers": replace(
            dense, nodes={**dense.nodes, "it": node}, edges=(*between, ("lif", "it"), ("it", "fc2"))
        ),
        "beside weights": beside,
        "in a loop": replace(
            dense,
            nodes={**dense.nodes, "it": node},
            edges=(*dense.edges, ("out", "it"), ("it", "lif")),
        ),
        "behind a convolution": chain(
            Input((2, 6, 6), "spikes"), conv=Conv2d(binary(3, 2, 3, 3)), it=node, out=neuron(3)
        ),
    }


NETWORKS = {
    f"{type(node).__name__} {place}": net
    for node in (Stranger(), Reversal())
    for place, net in of_all_places(node).items()
}
NETWORKS["Weights"] = chain(SPIKES, it=Weights(binary(6, 6)), out=neuron(6))
CORE = ("reference", "reference, in pieces", "widths", "state_bits")
"""What works by what a node says of itself, not by a table of types."""


def samples(net: Network) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return (np.random.default_rng(1).random((3, net.steps, *net.input.shape)) < 0.5).astype(
        np.uint8
    )


def twin(net: Network) -> object:
    from lehr.train.twin.network import Twin

    return Twin(net)


def stations() -> dict[str, Callable[[Network, Path], object]]:
    by_name: dict[str, Callable[[Network, Path], object]] = {
        "widths": lambda net, _: analyse(net),
        "state_bits": lambda net, _: fit_state_bits(net),
        "a .nir file": lambda net, folder: nirfile.write(net, folder / "net.nir"),
        "the training twin": lambda net, _: twin(net),
    }
    for name in ENGINES:
        by_name[name] = lambda net, _, name=name: engine(name, net)(
            samples(net), tuple(net.neurons)
        )  # type: ignore[misc]
        by_name[f"{name}, in pieces"] = lambda net, _, name=name: STREAMS[name](
            net, tuple(net.neurons)
        )(samples(net)[:1])  # type: ignore[misc]
    for target in targets():
        by_name[f"engine {target.name}"] = lambda net, _, name=target.name: engine(name, net)(
            samples(net), tuple(net.neurons)
        )  # type: ignore[misc]
    return by_name


def test_there_are_stations() -> None:
    assert {
        "fast",
        "reference",
        "torch",
        "engine onnx",
        "engine c",
        "engine fpga",
        "widths",
    } <= stations().keys()
    assert len(targets()) >= 3


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("station", stations())
def test_a_station_refuses_it_by_name(station: str, name: str, tmp_path: Path) -> None:
    if station in CORE and not name.startswith("Stranger"):
        pytest.skip("it asks the node itself")
    with pytest.raises(LehrError) as refused:
        stations()[station](NETWORKS[name], tmp_path)
    assert name.split()[0] in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_check_names_the_node(target: Target, name: str) -> None:
    problem, *rest = target.check(NETWORKS[name])
    # that nothing is written for the machine is said last
    assert len(rest) == (1 if target.no_artefact else 0)
    assert (problem.node, problem.reason) == (
        "it",
        f"{name.split()[0]} is not computed by the machine",
    )


@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith("Stranger")])
def test_the_definition_computes_what_a_node_says(name: str) -> None:
    net = NETWORKS[name]
    result = simulate(net, samples(net), trace=net.neurons)
    assert all(0 < rate < 1 for rate in result.rates.values())
    assert analyse(net).layers.keys() == net.neurons.keys()
    if "Weights" in name:
        usual = replace(net, nodes={**net.nodes, "it": Linear(binary(6, 6))})
        assert not compare(
            simulate(usual, samples(net), trace=net.neurons).trace, result.trace
        ).equal
