"""Files for other tools' importers: equal where they say so, in double precision and snnTorch."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import pytest
from budgets import budget
from float_networks import AT_ONCE, COUNTING, HALVING, SYNAPSE, flat, once_a_step, spatial
from float_stepping import Floats, euler, read_bytes, subtracting
from hypothesis import given
from hypothesis import strategies as st
from snntorch.import_nir import import_from_nir
from states import grown_networks
from strategies import Images, alive, random_input

from lehr.errors import NotMappable
from lehr.export.readers import READERS, ReaderFile, for_reader
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    SumPool2d,
)
from lehr.nodes import MaxPool2d, Upsample2d
from lehr.simulate import simulate


def exact_spikes(net: Network, x: Images, name: str) -> Floats:
    """Return the integer network's spikes, `[N, T, *shape]`."""
    return simulate(net, x, trace=net.neurons).trace.spikes[name].astype(np.float64)


def assert_equal_by_euler(net: Network, reader_file: ReaderFile, x: Images) -> None:
    graph = read_bytes(reader_file.to_bytes())
    steps = x if x.ndim == len(net.input.shape) + 2 else np.repeat(x[:, None], net.steps, axis=1)
    floats = [euler(graph, sample, READERS[reader_file.title].dt) for sample in steps]
    for name, neuron in net.neurons.items():
        if not neuron.integrates:
            np.testing.assert_array_equal(
                np.stack([each[name] for each in floats]), exact_spikes(net, x, name), err_msg=name
            )


# -------------------------------------------------------------------- equal where it says so
NETWORKS = {
    "counting": flat(COUNTING),
    "halving": flat(HALVING),
    "synapse": flat(HALVING, SYNAPSE),
    "maps": spatial(COUNTING),
    "halving maps": spatial(HALVING),
}


@pytest.mark.few(8)
@pytest.mark.parametrize("title", ["nir", "norse", "snntorch", "spikingjelly"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_leaves_nothing_out_is_equal_in_double_precision(name: str, title: str) -> None:
    net, x = NETWORKS[name]
    reader_file = for_reader(net, title)
    assert reader_file.notes == ()
    assert reader_file.proven
    assert_equal_by_euler(net, reader_file, x)


_COUNTS = {"decay_form": "multiply", "decay_numerator": 1, "decay_shift": 0, "state_bits": 32}


@budget(8, 66)
@given(
    st.one_of(
        grown_networks(reset="zero", **_COUNTS),
        grown_networks(reset="zero", overflow="saturate", state_bits=32),
    )
)
def test_whatever_is_called_proven_is_equal(net: Network) -> None:
    x = random_input(net, np.random.default_rng(0), samples=2)
    for title in ("nir", "spikingjelly"):
        try:
            reader_file = for_reader(net, title)
        except NotMappable:
            own = any(isinstance(node, MaxPool2d | Upsample2d) for node in net.nodes.values())
            assert title != "nir" or own, "nir has every other type of node"
            continue
        if reader_file.proven:
            assert_equal_by_euler(net, reader_file, x)


def test_that_is_no_empty_promise() -> None:
    shapes = {len(net.input.shape) for net, _ in NETWORKS.values()}
    assert shapes == {1, 3}
    assert for_reader(flat(replace(HALVING, fraction_bits=6))[0], "nir").notes == (
        "hidden, out: the leak of its membrane, 1/2, is rounded to an integer in every step; a "
        "float is not",
    )


@pytest.mark.few(2)
@pytest.mark.parametrize("name", NETWORKS)
def test_snntorch_imports_the_file_and_has_every_spike(name: str) -> None:
    net, x = NETWORKS[name]

    def imported(reader_file: ReaderFile) -> Floats:
        return np.stack([_snntorch(read_bytes(reader_file.to_bytes()), sample) for sample in x])

    right = exact_spikes(net, x, "out")
    np.testing.assert_array_equal(imported(for_reader(net, "snntorch")), right)
    nearly = _lowered(net, x)
    assert_equal_by_euler(nearly, for_reader(nearly, "snntorch"), x)
    with pytest.raises(AssertionError):
        assert_equal_by_euler(net, for_reader(nearly, "snntorch"), x)


def _snntorch(graph: Any, x: Images) -> Floats:
    """Every step of one sample through snnTorch's importer, in its float32."""
    import torch

    module, state, out = import_from_nir(graph), None, []
    for now in x.astype(np.float32):
        spikes, state = module(torch.from_numpy(now), state)
        spikes = spikes[0] if isinstance(spikes, tuple) else spikes
        out.append(spikes.detach().double().numpy())
    return np.stack(out)


def _lowered(net: Network, x: Images) -> Network:
    """Lower one threshold of the first layer until another of its membranes has a spike.

    It is the highest of those that had none.
    """
    name, neuron = next(iter(net.neurons.items()))
    trace = simulate(net, x, trace=[name]).trace
    silent = np.where(trace.spikes[name][:, :, 0] == 0, trace.membranes[name][:, :, 0], 0).max()
    threshold = neuron.threshold.copy()
    threshold[0] = silent - (neuron.fields.fires == "gt")
    assert 0 < threshold[0] < neuron.threshold[0]
    return replace(net, nodes={**net.nodes, name: replace(neuron, threshold=threshold)})


@pytest.mark.parametrize("title", ["sinabs", "rockpool"])
def test_importers_that_subtract_have_every_spike_where_a_neuron_fires_once(title: str) -> None:
    for arithmetic in (AT_ONCE, replace(AT_ONCE, reset_timing="next_step")):
        net, x = once_a_step(arithmetic)
        reader_file = for_reader(net, title)
        assert reader_file.notes == ()
        graph = read_bytes(reader_file.to_bytes())
        for sample, right in zip(x, exact_spikes(net, x, "out"), strict=True):
            first = title == "rockpool"
            dt = (
                float((graph.nodes["out"].tau_mem / (1 + graph.nodes["out"].r)).min())
                if first
                else 1.0
            )
            np.testing.assert_array_equal(
                subtracting(graph, sample, dt, drives_first=first)["out"], right
            )


# -------------------------------------------------------------------- what is in the file
def test_the_file_holds_what_importers_take_for_granted() -> None:
    net, _ = spatial(HALVING)
    for title, reader in READERS.items():
        if title in ("rockpool", "sc-neurocore", "sinabs"):
            continue
        reader_file = for_reader(net, title)
        assert reader_file.to_bytes() == for_reader(net, title).to_bytes()
        graph = read_bytes(reader_file.to_bytes())
        assert graph.metadata["dt"] == reader.dt
        assert graph.metadata["origin"]["network"] == net.digest
        for name, fields in reader_file.tree["nodes"].items():
            assert fields.keys().isdisjoint({"metadata", "v_reset"}), (
                name
            )  # nir 1.0.4 knows neither
            node = graph.nodes[name]
            assert not isinstance(node, nir.Linear)
            if isinstance(node, (nir.Affine, nir.Conv2d)):
                assert node.weight.dtype == node.bias.dtype == np.float32
            if isinstance(node, nir.Conv2d):
                assert node.groups == 1
            if isinstance(node, nir.LIF):
                assert (node.v_threshold == 1).all()
                assert not node.v_leak.any()
                assert not np.any(node.v_reset)  # as it is read where it is left out
                assert len(np.unique(node.tau)) == 1
                np.testing.assert_allclose(
                    node.r, 1 if title == "norse" else node.tau / reader.dt, rtol=1e-12
                )
        assert isinstance(
            graph.nodes["pool2"], nir.Conv2d
        )  # before neurons, it carries their scale and bias
        assert isinstance(graph.nodes["pool1"], nir.SumPool2d) == (title in ("nir", "norse"))


def test_a_threshold_stands_between_two_integers_by_a_float_of_few_bits() -> None:
    theta = np.unique(
        np.concatenate(
            [
                np.arange(1, 3000),
                2 ** np.arange(1, 16),
                np.random.default_rng(0).integers(1, 2**15, 500),
            ]
        )
    )
    for fires in ("gt", "ge"):
        arithmetic = replace(COUNTING, fires=fires)
        weight = np.full((len(theta), 1), 127, np.int8)
        nodes = {
            "fc": Linear(weight, "int8"),
            "out": Neuron(theta.astype(np.int32), np.zeros(len(theta), np.int32), arithmetic),
        }
        net = Network(
            nodes, ((INPUT, "fc"), ("fc", "out"), ("out", OUTPUT)), Input((1,), "spikes"), 5
        )
        reader_file = for_reader(net, "nir")
        assert reader_file.notes == ()  # 127 times the scale is a float32, too
        scale = np.asarray(reader_file.tree["nodes"]["fc"]["weight"], np.float64)[:, 0] / 127
        lower = theta if fires == "gt" else theta - 1
        assert (scale * lower < 1).all()
        assert (scale * (lower + 1) > 1).all()
        assert (np.abs(1 / scale - (lower + 0.5)) <= 0.25 * (1 + 1e-9)).all()


def test_numbers_that_float32_cannot_hold_are_counted() -> None:
    net, _ = flat(COUNTING)
    out = replace(net.neurons["out"], threshold=np.full(5, 1_044_481, np.int32))
    assert for_reader(replace(net, nodes={**net.nodes, "out": out}), "nir").notes == ()
    wide = Linear(np.full((5, 9), 127, np.int8), "int8")
    reader_file = for_reader(replace(net, nodes={**net.nodes, "out": out, "fc_out": wide}), "nir")
    assert reader_file.notes == ("fc_out: 45 of its numbers are rounded to float32",)
    assert not reader_file.proven


def test_neurons_without_weights_of_their_own_get_some() -> None:
    rng = np.random.default_rng(5)

    def counting(channels: int, theta: int, bias: int = 0) -> Neuron:
        return Neuron(
            np.full(channels, theta, np.int32), np.full(channels, bias, np.int32), COUNTING
        )

    conv, fc = (
        Conv2d(rng.choice(np.array([-1, 1], np.int8), (3, 1, 3, 3))),
        Linear(rng.choice(np.array([-1, 1], np.int8), (4, 36))),
    )
    nodes: dict[str, Any] = {
        "a": counting(1, 1, 1),
        "conv": conv,
        "wait": Delay(2),
        "b": counting(3, 3),
        "pool": SumPool2d((2, 2), (1, 1)),
    }
    nodes |= {
        "c": counting(3, 2, 1),
        "flat": Flatten(),
        "d": counting(27, 2),
        "fc": Linear(fc.weight[:, :27]),
        "e": counting(4, 3),
    }
    path = [INPUT, *nodes, OUTPUT]
    edges = [
        *itertools.pairwise(path),
        ("d", "d_again"),
        ("d_again", "d"),
        ("b", "shared"),
        ("shared", "b"),
        ("shared", "twin"),
    ]
    nodes |= {
        "d_again": Linear(np.eye(27, dtype=np.int8), "ternary"),
        "shared": Conv2d(conv.weight[:, [0, 0, 0]], padding=(1, 1)),
    }
    nodes["twin"] = counting(3, 2)
    edges += [("twin", "c_in"), ("c_in", "c")]
    nodes["c_in"] = SumPool2d((2, 2), (1, 1))
    net = Network(nodes, tuple(edges), Input((1, 6, 6), "spikes"), 12)
    x = (rng.random((4, 12, 1, 6, 6)) < 0.4).astype(np.uint8)
    assert alive(simulate(net, x))
    reader_file = for_reader(net, "nir")
    assert {name for name in reader_file.tree["nodes"] if name.endswith("_scale")} == {
        "a_scale",
        "b_scale",
        "d_scale",
        "twin_scale",
    }
    assert reader_file.notes == ()
    assert_equal_by_euler(net, reader_file, x)
