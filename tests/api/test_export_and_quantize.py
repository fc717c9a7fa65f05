"""`lehr.export`, `lehr.quantize` and resumed runs, from Python, as on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import snntorch
import torch
from commands import run

import lehr
from lehr.errors import FileRefused, NotBitExact, UsageError
from lehr.export.verified import VerifiedModel
from lehr.simulate import engines
from lehr.simulate.resuming import Interrupted
from lehr.train.runs.exporting import VerifiedRun


def test_a_run_is_exported_as_the_command_exports_it(line: Path, tmp_path: Path) -> None:
    exported = lehr.export(line / "run", tmp_path / "model.nir")
    assert isinstance(exported, VerifiedRun)
    assert (tmp_path / "model.nir").read_bytes() == (line / "model.nir").read_bytes()
    assert exported.compared.equal
    assert all(0 < rate < 1 for rate in exported.result.rates.values())
    assert lehr.read(line / "model.nir") == exported.network
    again = lehr.export(str(line / "run"))
    assert again.network == exported.network
    assert repr(again) == repr(exported)
    assert "0 of" in repr(again)
    assert {path.name for path in tmp_path.iterdir()} == {"model.nir"}


def _model(weights: torch.Tensor) -> torch.nn.Sequential:
    layer = torch.nn.Linear(weights.shape[1], weights.shape[0], bias=False)
    layer.weight.data = weights
    return torch.nn.Sequential(layer, snntorch.Leaky(beta=0.5, threshold=2.0, init_hidden=True))


def test_a_model_is_exported_and_used_wherever_a_network_is(tmp_path: Path) -> None:
    generator = torch.manual_seed(3)
    model = _model(torch.randint(0, 2, (4, 16), generator=generator) * 2.0 - 1)
    x = torch.randint(0, 2, (8, 20, 16), generator=generator).numpy()
    exported = lehr.export(model, tmp_path / "model.nir", x)
    assert isinstance(exported, VerifiedModel)
    assert all(0 < rate < 1 for rate in exported.result.rates.values())
    result = lehr.simulate(exported, x, trace="all")
    assert np.array_equal(result.counts, exported.result.counts)
    assert lehr.check(exported, "c") == ()
    lehr.write(exported, tmp_path / "copy.nir")
    assert lehr.read(tmp_path / "copy.nir") == exported.network
    np.savez(tmp_path / "in.npz", input=x.astype(np.uint8))
    assert lehr.export(model, x=tmp_path / "in.npz").network == exported.network
    for text in (exported.summary(), exported._repr_html_()):
        assert "spikes differ" in text


def test_what_is_for_a_model_is_refused_of_a_run(line: Path) -> None:
    source: Any = line / "run"
    with pytest.raises(UsageError, match=r"steps is for a model, but .*run is a run; leave it out"):
        lehr.export(source, steps=4)
    with pytest.raises(UsageError, match="x is for a model"):
        lehr.export(source, None, [[1]])
    with pytest.raises(UsageError, match="x is None; give samples"):
        lehr.export(_model(torch.ones(2, 2)))


def test_a_model_whose_spikes_differ_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lehr.export import verified

    generator = torch.manual_seed(0)
    x = torch.randint(0, 2, (4, 20, 16), generator=generator).numpy()
    model = _model(torch.randint(0, 2, (4, 16), generator=generator) * 2.0 - 1)
    one_more = verified.put_network

    def changed(network: Any, *rest: Any) -> Any:
        from dataclasses import replace

        name, neuron = next(iter(network.neurons.items()))
        other = replace(neuron, threshold=neuron.threshold + (1 << neuron.fields.fraction_bits))
        return one_more(replace(network, nodes={**network.nodes, name: other}), *rest)

    monkeypatch.setattr(verified, "put_network", changed)
    with pytest.raises(NotBitExact, match="spikes of .* differ from the model's"):
        lehr.export(model, tmp_path / "model.nir", x)
    assert not list(tmp_path.iterdir())


def _graph() -> nir.NIRGraph:
    weights = np.random.default_rng(5).normal(size=(6, 9)).astype(np.float32)
    neurons = nir.IF(r=np.ones(6), v_threshold=np.full(6, 1.5))
    return nir.NIRGraph.from_list(nir.Linear(weights), neurons)


def test_a_graph_is_quantized_as_the_command_does_it(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (70, 12, 9), dtype=np.uint8)
    nir.write(tmp_path / "graph.nir", _graph())
    np.savez(tmp_path / "in.npz", input=x)
    done = run(
        "quantize",
        tmp_path / "graph.nir",
        *("--calibrate", tmp_path / "in.npz", "-o", tmp_path / "command.nir"),
        *("--integrate", "step", "--weights", "int4"),
    )
    assert done.code == 0, done.err
    quantized = lehr.quantize(
        tmp_path / "graph.nir",
        tmp_path / "in.npz",
        tmp_path / "python.nir",
        integrate="step",
        weights="int4",
    )
    assert (tmp_path / "python.nir").read_bytes() == (tmp_path / "command.nir").read_bytes()
    assert quantized.effect.samples == 64
    assert all(0 < layer.rate < 1 for layer in quantized.effect.layers.values())
    held = lehr.quantize(_graph(), x[:64], integrate="step", weights="int4")
    assert held.network == quantized.network
    assert held.effect.layers == quantized.effect.layers
    assert len(repr(held)) < 200


def test_what_a_graph_does_not_say_is_asked_for() -> None:
    with pytest.raises(UsageError, match="integrate"):
        lehr.quantize(_graph(), np.zeros((1, 4, 9), np.uint8))
    reset: Any = "never"
    with pytest.raises(UsageError, match="'never'"):
        lehr.quantize(_graph(), np.zeros((1, 4, 9), np.uint8), integrate="step", reset=reset)


def test_an_interrupted_run_goes_on(
    line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, samples, output = line / "model.nir", line / "in.npz", tmp_path / "out.npz"
    whole = lehr.simulate(model, samples, trace="all", output=tmp_path / "whole.npz")
    assert np.array_equal(np.load(tmp_path / "whole.npz")["counts"], whole.counts)
    fast, calls = engines.ENGINES["fast"], 0

    def stops(net: Any, threads: int) -> Any:
        whole_run = fast(net, threads)

        def called(*values: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return whole_run(*values)

        return called

    monkeypatch.setattr("lehr.simulate.pieces.PIECE", 30)
    monkeypatch.setitem(engines.ENGINES, "fast", stops)
    with pytest.raises(Interrupted, match="30 samples were finished"):
        lehr.simulate(model, samples, trace="all", output=output)
    monkeypatch.setitem(engines.ENGINES, "fast", fast)
    resumed = lehr.simulate(model, samples, trace="all", output=output, resume=True)
    assert lehr.compare(whole, resumed).equal
    assert output.read_bytes() == (tmp_path / "whole.npz").read_bytes()
    with pytest.raises(UsageError, match="is a finished result"):
        lehr.simulate(model, samples, trace="all", output=output, resume=True)
    with pytest.raises(UsageError, match="resume is for samples in a file"):
        lehr.simulate(model, np.load(samples)["input"], output=output, resume=True)
    with pytest.raises(FileRefused, match="uint8"):
        lehr.simulate(model, [[1, 2]], output=tmp_path / "none.npz")


def test_chosen_samples_are_traced(line: Path) -> None:
    model, samples = line / "model.nir", line / "in.npz"
    every = lehr.simulate(model, samples, trace="all")
    for x in (samples, np.load(samples)["input"]):
        some = lehr.simulate(model, x, trace="all", trace_samples=(7, 2))
        for name, spikes in every.trace.spikes.items():
            assert np.array_equal(some.trace.spikes[name], spikes[[2, 7]])
