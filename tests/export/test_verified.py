"""The verifying export from Python, as `lehr export` and `lehr quantize` call it.

What is equal is written, what differs is not.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
import snntorch as snn
from nir_graphs import chain
from torch import nn
from torch_models import dyadic, events

from lehr import nirfile
from lehr.errors import NotBitExact, UsageError
from lehr.export import from_torch
from lehr.export.nirgraph import Quantized, Semantics, from_nir, quantize
from lehr.export.proven import EQUAL
from lehr.export.readers import READERS, for_reader
from lehr.export.readers.check import write_for_reader
from lehr.export.torchmodels.network import FromTorch
from lehr.export.verified import export_graph, export_model
from lehr.network import Network
from lehr.simulate import simulate


def higher(net: Network) -> Network:
    """Raise the thresholds of the first layer of neurons by one weight."""
    name, neuron = next(iter(net.neurons.items()))
    by = 1 << neuron.fields.fraction_bits
    return replace(net, nodes={**net.nodes, name: replace(neuron, threshold=neuron.threshold + by)})


@pytest.fixture
def converted() -> FromTorch:
    """Convert a model of two layers that need no rounding."""
    layers = [
        each
        for size in ((12, 16), (16, 4))
        for each in (nn.Linear(*size), snn.Leaky(beta=0.5, threshold=0.5, init_hidden=True))
    ]
    model = nn.Sequential(dyadic(layers[0]), layers[1], dyadic(layers[2]), layers[3])
    return from_torch(model, events(20, 8, 12, rate=0.5))


def test_a_model_is_written_where_every_spike_is_its_own(
    converted: FromTorch, tmp_path: Path
) -> None:
    verified = export_model(converted, tmp_path / "m.nir")
    assert (
        nirfile.read(tmp_path / "m.nir").digest
        == verified.network.digest
        == converted.network.digest
    )
    assert verified.differ == {"layer1": 0, "layer3": 0}
    assert verified.values == 20 * 8 * (16 + 4)
    assert verified.proven == {"layer1": EQUAL, "layer3": EQUAL}
    assert verified.reader is None
    assert all(0 < rate < 1 for rate in verified.result.rates.values())
    wrong = replace(converted, network=higher(converted.network))
    with pytest.raises(
        NotBitExact,
        match=r"^model: layer1 is proven to be equal, but [\d,]+ of its spikes differ, first layer1 neuron \(",
    ):
        export_model(wrong, tmp_path / "wrong.nir")
    assert not (tmp_path / "wrong.nir").exists()


def test_a_model_is_written_for_an_importer(converted: FromTorch, tmp_path: Path) -> None:
    verified = export_model(converted, tmp_path / "s.nir", reader="snntorch")
    assert verified.reader is not None
    assert verified.reader.file.title == "snntorch"
    assert (tmp_path / "s.nir").read_bytes() == for_reader(converted.network, "snntorch").to_bytes()
    with pytest.raises(UsageError, match="^--for is 'torch', no importer that lehr writes for"):
        export_model(converted, tmp_path / "t.nir", reader="torch")
    assert not (tmp_path / "t.nir").exists()


def test_what_was_asked_for_is_remembered() -> None:
    model = nn.Sequential(
        dyadic(nn.Linear(12, 4)), snn.Leaky(beta=0.9, threshold=0.5, init_hidden=True)
    )
    assert from_torch(model, events(4, 8, 12), decay_bits=3, error=0.5).asked == (
        "--decay-bits",
        "--error",
    )


@pytest.fixture
def graph() -> Quantized:
    """Build a graph that needs no rounding."""
    ones = np.ones(3)
    neurons = nir.LIF(
        tau=2e-3 * ones, r=2 * ones, v_leak=0 * ones, v_threshold=2 * ones, v_reset=0 * ones
    )
    weights = np.random.default_rng(0).choice([-1.0, 1.0], (3, 5))
    return quantize(
        from_nir(chain({"fc": nir.Linear(weights), "lif": neurons}, (5,), (3,))),
        events(20, 12, 5, rate=0.5),
        Semantics(dt=1e-3),
    )


def test_a_graph_is_written_where_it_differs_in_nothing_that_is_proven(
    graph: Quantized, tmp_path: Path
) -> None:
    x = events(20, 12, 5, rate=0.5, seed=1)
    verified = export_graph(graph, x, tmp_path / "m.nir", Path("some/graph.nir"))
    assert (
        nirfile.read(tmp_path / "m.nir").digest == verified.network.digest == graph.network.digest
    )
    assert verified.proven == {"lif": EQUAL}
    assert verified.effect.layers["lif"].spikes_apart == 0
    assert 0 < verified.effect.layers["lif"].rate < 1
    wrong = replace(graph, network=higher(graph.network))
    with pytest.raises(
        NotBitExact,
        match=r"^some/graph.nir: lif is proven to be equal, but [\d,]+ of its spikes differ, on these samples; ",
    ):
        export_graph(wrong, x, tmp_path / "wrong.nir", Path("some/graph.nir"))
    assert not (tmp_path / "wrong.nir").exists()


@pytest.mark.parametrize("reader", ["nir", "rockpool"])
def test_a_file_for_an_importer_is_compared_on_its_samples(
    reader: str, graph: Quantized, tmp_path: Path
) -> None:
    """An importer that subtracts may fire several times in a step.

    Nothing is compared then unless the file is proven.
    """
    net, x = graph.network, events(20, 12, 5, rate=0.5, seed=1)
    assert all(0 < rate < 1 for rate in simulate(net, x).rates.values())
    file = for_reader(net, reader)
    assert file.proven == (READERS[reader].reset == "zero")
    check = write_for_reader(net, file, tmp_path / "r.nir", x)
    assert (check.samples, check.differ, check.values) == (
        (16, 0, 16 * 12 * 3) if file.proven else (16, 0, 0)
    )
    assert write_for_reader(net, file, tmp_path / "r.nir").samples == 0
    assert (tmp_path / "r.nir").read_bytes() == file.to_bytes()
    if file.proven:
        with pytest.raises(
            NotBitExact,
            match=r"^[\d,]+ of 576 spikes differ, but nothing was left out; report it as a bug of lehr$",
        ):
            write_for_reader(higher(net), file, tmp_path / "wrong.nir", x)
        assert not (tmp_path / "wrong.nir").exists()
