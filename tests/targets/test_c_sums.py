"""Sums in C, one by one and 32 at a time: rows of any width, pools that take sums in.

Types and counters come to their last value.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_code import require_equal
from hard_networks import EVENT, HARD, STEP
from strategies import Images, calibrated, random_input

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.targets.c.layout import Layout
from lehr.targets.c.runner import CRunner

MISSING = CRunner().missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def wide_network() -> tuple[Network, Images]:
    """Return layers of more than 32 outputs, in groups, before a padded pool.

    The pool leaves a column out. They stand behind an input of spikes and behind neurons.
    """
    rng = np.random.default_rng(11)

    def signs(*shape: int) -> np.ndarray[Any, np.dtype[np.int8]]:
        return rng.choice(np.array([-1, 1], np.int8), shape)

    def neuron(channels: int) -> Neuron:
        return Neuron(
            np.ones(channels, np.int32),
            np.zeros(channels, np.int32),
            Arithmetic(decay_numerator=7, decay_shift=3),
        )

    nodes = {
        "conv1": Conv2d(signs(72, 2, 3, 3), padding=(1, 1), groups=2),
        "pool": SumPool2d((2, 2), (2, 2), (1, 0)),
        "lif1": neuron(72),
        "conv2": Conv2d(signs(33, 72, 2, 2), stride=(2, 2)),
        "lif2": neuron(33),
        "flat": Flatten(),
        "fc": Linear(signs(17, 132)),
        "out": neuron(17),
    }
    net = calibrated(
        Network(
            nodes, tuple(pairwise([INPUT, *nodes, OUTPUT])), Input((4, 8, 9), "spikes"), steps=6
        )
    )
    return net, random_input(net, rng)


@pytest.mark.slow
@pytest.mark.parametrize("rate", ["0", "5", "100"])
def test_sums_and_counters_are_equal(rate: str, tmp_path: Path) -> None:
    net, x = wide_network()
    layout = Layout(net, float(rate) / 100)
    few = {"conv2": (2, False), "fc": (1, True)}
    assert {name: (c.words, c.packed) for name, c in layout.sliced.items()} == {
        "0": {},
        "5": few,
        "100": {"pool": (2, False), **few},
    }[rate]
    assert (
        layout.counted
        == {
            "0": {},
            "5": {"lif2": ["conv2"], "out": ["fc"]},
            "100": {"lif1": ["pool"], "lif2": ["conv2"], "out": ["fc"]},
        }[rate]
    )
    require_equal(tmp_path / "out", net, x, rate=rate)


@pytest.mark.slow
@pytest.mark.parametrize("rate", ["0", "100"])
def test_what_more_than_one_node_reads_is_kept(rate: str, tmp_path: Path) -> None:
    """Convolutions stand before an overlapping pool, and before a pool and neurons.

    Neurons hear weights by step and by event.
    """
    rng = np.random.default_rng(12)

    def signs(*shape: int) -> np.ndarray[Any, np.dtype[np.int8]]:
        return rng.choice(np.array([-1, 1], np.int8), shape)

    def neuron(channels: int, arithmetic: Arithmetic = STEP) -> Neuron:
        return Neuron(np.ones(channels, np.int32), np.zeros(channels, np.int32), arithmetic)

    nodes = {
        "conv1": Conv2d(signs(3, 2, 3, 3), padding=(1, 1)),
        "overlap": SumPool2d((3, 3), (2, 2)),
        "lif1": neuron(3),
        "conv2": Conv2d(signs(4, 3, 2, 2)),
        "pool": SumPool2d((2, 2), (2, 2)),
        "lif2": neuron(4),
        "beside": neuron(4),
        "flat": Flatten(),
        "fc": Linear(signs(9, 16)),
        "step": neuron(9),
        "event": neuron(9, EVENT),
    }
    edges = [
        *pairwise([INPUT, "conv1", "overlap", "lif1", "conv2", "pool", "lif2"]),
        ("conv2", "beside"),
    ]
    edges += [*pairwise(["beside", "flat", "fc", "step", OUTPUT]), ("fc", "event")]
    net = calibrated(Network(nodes, tuple(edges), Input((2, 7, 7), "spikes"), steps=8))
    require_equal(tmp_path / "out", net, random_input(net, rng), rate=rate)


def test_neurons_count_all_that_they_hear(tmp_path: Path) -> None:
    """Rows of 20 bits behind a dilated convolution, two of 160 in blocks, and a loop's."""
    rng = np.random.default_rng(14)

    def signs(*shape: int) -> np.ndarray[Any, np.dtype[np.int8]]:
        return rng.choice(np.array([-1, 1], np.int8), shape)

    def neuron(channels: int) -> Neuron:
        return Neuron(np.ones(channels, np.int32), np.zeros(channels, np.int32), STEP)

    nodes = {
        "conv": Conv2d(signs(20, 5, 3, 3), padding=(4, 3), dilation=(1, 2)),
        "lif": neuron(20),
        "flat": Flatten(),
        "fc": Linear(signs(160, 20 * 12 * 8)),
        "beside": Linear(signs(160, 20 * 12 * 8)),
        "out": neuron(160),
        "back": Linear(signs(160, 160)),
    }
    chain = [name for name in nodes if name not in ("beside", "back")]
    edges = (
        *pairwise([INPUT, *chain, OUTPUT]),
        *pairwise(["flat", "beside", "out", "back", "out"]),
    )
    net = calibrated(Network(nodes, edges, Input((5, 6, 6), "spikes"), steps=6))
    layout = Layout(net, 1)
    assert layout.counted == {"lif": ["conv"], "out": ["beside", "fc"], "back": ["back"]}
    assert layout.sliced["conv"].packed
    assert layout.block(layout.sliced["fc"]) < layout.sliced["fc"].words == 5
    require_equal(tmp_path / "out", net, random_input(net, rng), rate="100")


def test_counters_hold_as_many_spikes_as_there_are(tmp_path: Path) -> None:
    weight = np.ones((33, 64), np.int8)
    weight[1::2] = -1
    out = Neuron(np.full(33, 63, np.int32), np.zeros(33, np.int32), Arithmetic(decay_numerator=0))
    net = Network(
        {"fc": Linear(weight), "out": out},
        ((INPUT, "fc"), ("fc", "out"), ("out", OUTPUT)),
        Input((64,), "spikes"),
        steps=4,
    )
    x = np.ones((1, 4, 64), np.uint8)
    x[0, 1, 0] = x[0, 2] = 0
    assert Layout(net, 1).sliced["fc"].most == 64
    require_equal(tmp_path / "out", net, x, rate="100")


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
def test_hard_networks_with_counters(name: str, tmp_path: Path) -> None:
    net, x = HARD[name]()
    if not Layout(net, 1).sliced:
        pytest.skip(f"{name} has no layer that is counted")
    require_equal(tmp_path / "out", net, x, rate="100")


def test_as_many_inputs_as_an_index_of_16_bits_tells_apart(tmp_path: Path) -> None:
    lif = Neuron(
        np.array([1], np.int32),
        np.array([0], np.int32),
        Arithmetic(decay_numerator=7, decay_shift=3),
    )
    nodes = {"pool": SumPool2d((64, 64), (64, 64)), "lif": lif}
    net = Network(
        nodes, tuple(pairwise([INPUT, *nodes, OUTPUT])), Input((1, 256, 256), "spikes"), steps=3
    )
    x = np.zeros((1, net.steps, 65536), np.uint8)
    x[0, 0, [0, 1, 65535, 65534, 30_000]] = 1
    require_equal(tmp_path / "out", net, x.reshape(1, net.steps, *net.input.shape))
