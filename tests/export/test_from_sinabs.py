"""Models of sinabs, against sinabs: each spike in each step, in double precision.

Without sinabs the tests are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from other_models import STEPS, Spikes, recorded, require_equal
from torch import nn
from torch_models import dyadic, events

from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.export.nirgraph import Semantics, quantize, read
from lehr.simulate import simulate
from lehr.simulate.result import predicted

pytestmark = pytest.mark.filterwarnings("ignore:nirtorch.extract_nir_graph:DeprecationWarning")
sl = pytest.importorskip("sinabs.layers", reason="sinabs is not installed")
activation = pytest.importorskip("sinabs.activation")
MaxSpike, SingleSpike = activation.MaxSpike, activation.SingleSpike
MembraneReset, MembraneSubtract = activation.MembraneReset, activation.MembraneSubtract

X = events(6, STEPS, 2, 8, 8)
FIRE = {"layer1": "1", "layer5": "5"}
ONCE: dict[str, Any] = {"batch_size": 1, "spike_fn": SingleSpike}


def leaking(
    alpha: float, synapse: float | None = None, kind: Any = sl.LIFSqueeze, **options: Any
) -> Any:
    """Return neurons that are trained in their decays, which these then are."""
    if synapse is not None:
        options["tau_syn"] = 1.0
    neurons = kind(tau_mem=1.0, train_alphas=True, **options)
    neurons.alpha_mem.data.fill_(alpha)
    if synapse is not None:
        neurons.alpha_syn.data.fill_(synapse)
    return neurons


def half(value: float = 0.5) -> torch.Tensor:
    return torch.tensor(value)


NEURONS: dict[str, Callable[[], Any]] = {
    "IAF": lambda: sl.IAFSqueeze(**ONCE),
    "IAF of one number of steps": lambda: sl.IAFSqueeze(num_timesteps=STEPS, spike_fn=SingleSpike),
    "IAF with a floor": lambda: sl.IAFSqueeze(min_v_mem=-0.5, spike_threshold=half(), **ONCE),
    "IAF with a deeper floor": lambda: sl.IAFSqueeze(
        min_v_mem=-1.0, spike_threshold=half(), reset_fn=MembraneReset(), **ONCE
    ),
    "LIF": lambda: leaking(0.75, norm_input=False, spike_threshold=half(), **ONCE),
    "LIF of normalized input": lambda: leaking(0.75, spike_threshold=half(0.125), **ONCE),
    "LIF with a synapse": lambda: leaking(
        0.75, 0.5, norm_input=False, spike_threshold=half(0.25), **ONCE
    ),
    "IAF of several spikes": lambda: sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0),
    "IAF of up to two spikes": lambda: sl.IAFSqueeze(batch_size=1, spike_fn=MaxSpike(2)),
    "LIF of several spikes": lambda: leaking(0.5, batch_size=1, norm_input=False),
}


def network(neurons: Callable[[], Any]) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        dyadic(nn.Conv2d(2, 4, 3, padding=1)),
        neurons(),
        sl.SumPool2d(2),
        nn.Flatten(),
        dyadic(nn.Linear(64, 5), 0.125),
        neurons(),
    )


def run_each(model: nn.Module, x: Spikes = X) -> None:
    """Call a model once for each sample, as one has to that is built for batches of 1.

    It takes samples and steps along one axis.
    """
    for sample in torch.from_numpy(x).double():
        layers: list[Any] = [each for each in model.modules() if isinstance(each, sl.StatefulLayer)]
        for layer in layers:
            layer.reset_states()
        model(sample)


def by_sample(model: nn.Module, layers: dict[str, str] = FIRE) -> dict[str, Spikes]:
    """Return the right spikes."""
    given = recorded(model, layers, run_each)
    return {name: torch.stack(each).numpy().astype(np.uint8) for name, each in given.items()}


@pytest.mark.parametrize("name", NEURONS)
def test_every_neuron(name: str) -> None:
    model = network(NEURONS[name])
    right = by_sample(model)
    several = "spikes" in name
    assert (max(int(raster.max()) for raster in right.values()) > 1) == several
    require_equal(model, X, right)


@pytest.mark.parametrize(
    "name",
    [pytest.param("LIF with a synapse", marks=pytest.mark.slow), "IAF of several spikes"],
)
def test_c_and_onnx_compute_it(name: str, tmp_path: Path) -> None:
    model = network(NEURONS[name])
    require_equal(model, X, by_sample(model), tmp_path)


def test_maxima_of_several_spikes() -> None:
    torch.manual_seed(0)
    model = network(NEURONS["IAF of several spikes"])
    model[2] = nn.MaxPool2d(2)
    right = by_sample(model)
    assert right["layer1"].max() > 1
    require_equal(model, X, right)


def test_decays_of_time_constants_are_rounded_on_request() -> None:
    model = network(lambda: sl.LIFSqueeze(tau_mem=3.0, norm_input=False, **ONCE))
    require_equal(model, X, by_sample(model), exact=False, decay_bits=16)


def test_steps_along_an_axis_of_their_own() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        sl.Repeat(dyadic(nn.Conv2d(2, 4, 3))),
        sl.IAF(spike_fn=SingleSpike),
        sl.Repeat(nn.Flatten()),
        dyadic(nn.Linear(144, 5)),
        leaking(0.5, kind=sl.LIF, norm_input=False, spike_fn=SingleSpike),
    )
    layers = {"layer1": "1", "layer4": "4"}
    given = recorded(model, layers, lambda m: m(torch.from_numpy(X).double()))
    right = {name: each[0].numpy().astype(np.uint8) for name, each in given.items()}
    require_equal(model, X, right)


@pytest.mark.parametrize("read", ["last", "sum", "max"])
def test_membranes_of_exp_leak_are_read_out(read: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(),
        dyadic(nn.Linear(128, 8)),
        sl.IAFSqueeze(**ONCE),
        dyadic(nn.Linear(8, 3)),
        leaking(0.5, kind=sl.ExpLeakSqueeze, batch_size=1),
    )
    values = torch.stack(recorded(model, {"out": "4"}, run_each)["out"]).numpy()
    converted = from_torch(model, X, readout=read)
    assert converted.exact
    np.testing.assert_array_equal(converted.recorded().membranes, values)
    result = simulate(converted.network, X, trace=["layer4"])
    membranes = result.trace.membranes["layer4"].astype(np.float64)
    at = np.unravel_index(np.abs(values).argmax(), values.shape)
    unit = values[at] / membranes[at]
    np.testing.assert_array_equal(membranes * unit, values)
    scores = {"last": values[:, -1], "sum": values.sum(1), "max": values.max(1)}[read]
    np.testing.assert_array_equal(predicted(converted.network, result.trace), scores.argmax(1))


@pytest.mark.parametrize("kind", ["IAF", "LIF"])
def test_by_way_of_its_own_nir_graph(kind: str, tmp_path: Path) -> None:
    to_nir = pytest.importorskip("sinabs.nir").to_nir
    torch.manual_seed(0)
    wide, flat = torch.ones(5), X.reshape(*X.shape[:2], -1)
    neurons = (
        sl.IAFSqueeze(**ONCE)
        if kind == "IAF"
        else sl.LIFSqueeze(tau_mem=2 * wide, spike_threshold=wide / 4, **ONCE)
    )
    model = nn.Sequential(dyadic(nn.Linear(128, 5)), neurons)
    model(torch.from_numpy(flat[0]).float())
    nir.write(tmp_path / "graph.nir", to_nir(model, torch.from_numpy(flat[0]).float()))
    graph = read(tmp_path / "graph.nir")
    given = recorded(model, {"1": "1"}, lambda m: run_each(m, flat))
    right = torch.stack(given["1"]).numpy()
    assert 0 < right.mean() < 1

    def spikes(reset: Any) -> Any:
        said = Semantics(dt=1.0, reset=reset, fires="ge", discretize="exact", integrate="step")
        network = quantize(graph, flat, said).network
        (only,) = simulate(network, flat, trace=network.neurons).trace.spikes.values()
        return only

    np.testing.assert_array_equal(spikes("subtract"), right)
    assert (spikes("zero") != right).any()


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        (lambda: sl.ALIF(tau_mem=2.0, tau_adapt=2.0), "1 (ALIF): it is a layer of sinabs, of which IAF, IAFSqueeze, LIF, LIFSqueeze, ExpLeak, ExpLeakSqueeze are read; use those, or have sinabs.nir.to_nir write the network as a NIR graph, if it can, and `lehr quantize` read that"),
        (lambda: sl.LIF(tau_mem=10.0), "1 (LIF): its exp(-1 / tau_mem) is 0.9048374, no k/2**n with n up to 16; train it with 232/256, or have it rounded with --decay-bits 8 (in Python: decay_bits=8)"),
        (lambda: sl.IAF(min_v_mem=-0.7), "1 (IAF): its min_v_mem is -0.7, no whole number of thresholds, each 1, below 0; use -1"),
        (lambda: sl.IAF(reset_fn=MembraneReset(0.5)), "1 (IAF): its reset_fn adds 0.5 to every membrane in every step, as sinabs' MembraneReset does; use MembraneReset()"),
        (lambda: sl.IAF(reset_fn=MembraneSubtract(0.5)), "1 (IAF): its reset_fn takes 0.5 off, and its threshold is 1; use MembraneSubtract()"),
        (lambda: sl.IAF(reset_fn=lambda *_: None), "1 (IAF): its reset_fn is function, which is not known; use MembraneSubtract() or MembraneReset()"),
        (lambda: sl.IAF(spike_fn=MaxSpike), "1 (IAF): its spike_fn is MaxSpike, which must be made first; use MaxSpike(2), say"),
        (lambda: sl.IAF(spike_fn=MaxSpike(400), spike_threshold=half(2**-12)), "1: it may fire 513 times in a step, and a network's neurons fire up to 255 times; give it a limit of at most 255 (sinabs: spike_fn=MaxSpike(255)), or a higher threshold"),
        (lambda: sl.IAF(spike_threshold=half(2**-12)), "1: it may fire 513 times in a step, and a network's neurons fire up to 255 times; give it a limit of at most 255 (sinabs: spike_fn=MaxSpike(255)), or a higher threshold"),
        (lambda: sl.ExpLeak(tau_mem=2.0), "1 (ExpLeak): its exp(-1 / tau_mem) is 0.6065307, no k/2**n with n up to 16; train it with 155/256, or have it rounded with --decay-bits 8 (in Python: decay_bits=8)"),
        (lambda: leaking(0.5, kind=sl.ExpLeak), "1 (ExpLeak): it never fires, and what it gives is no spikes; let forward return it, and say which of its values counts: --readout last (in Python: readout='last')"),
        (lambda: sl.IAFSqueeze(num_timesteps=8), "1 (IAFSqueeze): it is built for 8 steps, and samples have 6; give it num_timesteps=6, or samples of as many"),
    ],
)  # fmt: skip
def test_what_no_integer_neuron_computes_is_named(neurons: Callable[[], Any], message: str) -> None:
    torch.manual_seed(0)
    first = neurons()
    last = sl.IAFSqueeze(batch_size=1) if "Squeeze" in type(first).__name__ else sl.IAF()
    model = nn.Sequential(dyadic(nn.Linear(4, 3)), first, dyadic(nn.Linear(3, 2)), last)
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}$"):
        from_torch(model, events(2, STEPS, 4))


def test_steps_along_two_axes_are_refused() -> None:
    model = nn.Sequential(
        dyadic(nn.Linear(4, 3)), sl.IAF(), dyadic(nn.Linear(3, 2)), sl.IAFSqueeze(**ONCE)
    )
    message = (
        "1 (IAF): it takes steps along an axis of its own, and 3 along that of samples; use Squeeze "
        "for both or for neither"
    )
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}$"):
        from_torch(model, events(2, STEPS, 4))
