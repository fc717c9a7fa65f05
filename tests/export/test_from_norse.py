"""Models of norse, against norse: each spike in each step, in double precision.

Without norse the tests are skipped.
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
from other_models import STEPS, Spikes, by_step, frames, recorded, require_equal
from torch import Tensor, nn
from torch_models import dyadic, events

from lehr.errors import NotMappable
from lehr.export import from_torch
from lehr.export.nirgraph import Semantics, quantize, read
from lehr.simulate import simulate
from lehr.simulate.result import predicted

pytestmark = pytest.mark.filterwarnings("ignore:nirtorch.extract_nir_graph:DeprecationWarning")
norse = pytest.importorskip("norse.torch", reason="norse is not installed")
reset_subtract = pytest.importorskip("norse.torch.functional.reset").reset_subtract

X = events(6, STEPS, 2, 8, 8)
FIRE = {"layer1": "1", "layer5": "5"}


def box(**fields: Any) -> Any:
    """Return parameters of LIFBoxCell; in steps of 1 ms a membrane keeps three quarters."""
    given = {"tau_mem_inv": 250.0, "v_th": 0.125, **fields}
    return norse.LIFBoxParameters(**{name: _tensor(value) for name, value in given.items()})


def lif(**fields: Any) -> Any:
    """Return parameters of LIFCell; its current keeps half in a step."""
    given = {"tau_mem_inv": 250.0, "tau_syn_inv": 500.0, "v_th": 0.375, **fields}
    return norse.LIFParameters(**{name: _tensor(value) for name, value in given.items()})


def _tensor(value: Any) -> Any:
    return torch.as_tensor(value) if isinstance(value, float) else value


CELLS: dict[str, Callable[[], Any]] = {
    "LIFBoxCell": lambda: norse.LIFBoxCell(box()),
    "LIFBoxCell subtracting": lambda: norse.LIFBoxCell(box(reset_method=reset_subtract)),
    "LIFBoxCell at rest below 0": lambda: norse.LIFBoxCell(
        box(v_leak=-65.0, v_reset=-65.0, v_th=-64.875)
    ),
    "IAFCell": norse.IAFCell,
    "IAFCell reset below 0": lambda: norse.IAFCell(
        norse.IAFParameters(v_reset=torch.tensor(-0.5), v_th=torch.tensor(0.5))
    ),
    "LIFCell": lambda: norse.LIFCell(lif()),
    "LIFCell at rest above 0": lambda: norse.LIFCell(lif(v_leak=0.5, v_reset=0.5, v_th=0.75)),
    "LIFCell of another surrogate": lambda: norse.LIFCell(lif(method="triangle")),
}


def network(cell: Callable[[], Any]) -> Any:
    torch.manual_seed(0)
    return norse.SequentialState(
        dyadic(nn.Conv2d(2, 4, 3, padding=1)),
        cell(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        dyadic(nn.Linear(64, 5), 0.5),
        cell(),
    )


def run_by_step(model: nn.Module, x: Spikes = X) -> None:
    state = None
    for frame in frames(x):
        _, state = model(frame, state)


def stepped(model: nn.Module, layers: dict[str, str] = FIRE) -> dict[str, Spikes]:
    """Return the right spikes of a model that hands on the states of its cells."""
    return by_step(recorded(model, layers, run_by_step))


def at_once(model: nn.Module, layers: dict[str, str] = FIRE) -> dict[str, Spikes]:
    """Return the right spikes of a model that takes all steps in a call."""
    given = recorded(model, layers, lambda m: m(frames(X)))
    return {name: each[0].transpose(0, 1).numpy().astype(np.uint8) for name, each in given.items()}


@pytest.mark.parametrize("name", CELLS)
def test_every_cell(name: str) -> None:
    model = network(CELLS[name])
    require_equal(model, X, stepped(model), exact=False)


def test_c_and_onnx_compute_it(tmp_path: Path) -> None:
    model = network(CELLS["LIFCell at rest above 0"])
    require_equal(model, X, stepped(model), tmp_path, exact=False)


def test_what_is_lifted_over_time() -> None:
    torch.manual_seed(0)
    model = norse.SequentialState(
        norse.Lift(dyadic(nn.Conv2d(2, 4, 3, padding=1))),
        norse.LIF(lif()),
        norse.Lift(nn.AvgPool2d(2)),
        norse.Lift(nn.Flatten()),
        norse.Lift(dyadic(nn.Linear(64, 5), 0.5)),
        norse.IAF(),
    )
    require_equal(model, X, at_once(model), exact=False)


class Layers(nn.Module):
    """Two layers of neurons, which are given their states."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.first = dyadic(nn.Conv2d(2, 4, 3, padding=1)), norse.LIFCell(lif())
        self.linear, self.last = dyadic(nn.Linear(256, 5)), norse.LIFBoxCell(box())

    def step(self, x: Tensor, first: Any, last: Any) -> Any:
        """Return spikes and states."""
        hidden, first = self.first(self.conv(x), first)
        spikes, last = self.last(self.linear(hidden.flatten(1)), last)
        return spikes, first, last


class Step(Layers):
    """One time step, whose states the caller keeps."""

    def forward(self, x: Tensor, first: Any = None, last: Any = None) -> Any:
        """Return spikes and states."""
        return self.step(x, first, last)


class Loop(Layers):
    """A loop over time."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of all steps."""
        spikes, states = [], [None, None]
        for step in range(x.shape[0]):
            given, *states = self.step(x[step], *states)
            spikes.append(given)
        return torch.stack(spikes)


class Forgetting(Layers):
    """One time step that begins anew in each call."""

    def forward(self, x: Tensor) -> Any:
        """Return spikes."""
        return self.step(x, None, None)[0]


NAMES = {"first": "first", "last": "last"}


def run_with_states(model: nn.Module) -> None:
    states: list[Any] = []
    for frame in frames(X):
        _, *states = model(frame, *states)


def test_states_by_hand() -> None:
    right = by_step(recorded(Step(), NAMES, run_with_states))
    require_equal(Step(), X, right, exact=False)


def test_a_loop_in_forward() -> None:
    right = by_step(recorded(Loop(), NAMES, lambda m: m(frames(X))))
    require_equal(Loop(), X, right, exact=False)


def test_a_cell_that_is_not_given_its_state_is_refused() -> None:
    message = (
        "first (LIFCell), last (LIFBoxCell): it is not given its state, and begins anew in each call; hand it the one "
        "that it returned in the step before"
    )
    with pytest.raises(NotMappable, match=re.escape(message)):
        from_torch(Forgetting(), X)


@pytest.mark.parametrize(
    "cell",
    [
        lambda: norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=torch.tensor(500.0))),
        lambda: norse.LICell(
            norse.LIParameters(tau_mem_inv=torch.tensor(500.0), tau_syn_inv=torch.tensor(250.0))
        ),
    ],
    ids=["LIBoxCell", "LICell"],
)
def test_membranes_of_leaky_integrators_are_read_out(cell: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    model = norse.SequentialState(
        nn.Flatten(), dyadic(nn.Linear(128, 8)), norse.IAFCell(), dyadic(nn.Linear(8, 3)), cell()
    )
    values = torch.stack(recorded(model, {"out": "4"}, run_by_step)["out"], 1).numpy()
    converted = from_torch(model, X, readout="last")
    np.testing.assert_array_equal(converted.recorded().membranes, values)
    result = simulate(converted.network, X, trace=["layer4"])
    membranes = result.trace.membranes["layer4"].astype(np.float64)
    at = np.unravel_index(np.abs(values).argmax(), values.shape)
    np.testing.assert_array_equal(membranes * (values[at] / membranes[at]), values)
    np.testing.assert_array_equal(
        predicted(converted.network, result.trace), values[:, -1].argmax(1)
    )


@pytest.mark.parametrize("kind", ["LIFBoxCell", "IAFCell"])
def test_by_way_of_its_own_nir_graph(kind: str, tmp_path: Path) -> None:
    """With dt=1 norse writes time constants in seconds."""
    torch.manual_seed(0)
    wide, flat = torch.ones(5), X.reshape(*X.shape[:2], -1)
    cell = (
        norse.IAFCell(norse.IAFParameters(v_th=wide))
        if kind == "IAFCell"
        else norse.LIFBoxCell(box(tau_mem_inv=250 * wide, v_th=wide / 8, v_leak=0 * wide))
    )
    model = norse.SequentialState(dyadic(nn.Linear(128, 5)), cell)
    nir.write(tmp_path / "graph.nir", norse.to_nir(model, frames(flat)[0, 0].float(), dt=1))
    graph = read(tmp_path / "graph.nir")
    right = by_step(recorded(model, {"1": "1"}, lambda m: run_by_step(m, flat)))["1"]
    assert 0 < right.mean() < 1

    def spikes(reset: Any) -> Any:
        said = Semantics(dt=1e-3, integrate="step", reset=reset)
        network = quantize(graph, flat, said).network
        (only,) = simulate(network, flat, trace=network.neurons).trace.spikes.values()
        return only

    np.testing.assert_array_equal(spikes("zero"), right)
    assert (spikes("subtract") != right).any()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (norse.LIFRefracCell, "1 (LIFRefracCell): it is a layer of norse, of which IAFCell, LIFBoxCell, LIFCell, LIBoxCell, LICell, IAF, LIF, LI are read; use those, or have norse.torch.to_nir write the network as a NIR graph, if it can, and `lehr quantize` read that"),
        (lambda: norse.LIFBoxCell(box(tau_mem_inv=100.0)), "1 (LIFBoxCell): its 1 - dt tau_mem_inv is 0.9, no k/2**n with n up to 16; train it with 230/256, or have it rounded with --decay-bits 8 (in Python: decay_bits=8)"),
        (lambda: norse.LIFBoxCell(box(v_reset=-0.25)), "1 (LIFBoxCell): its v_reset is -0.25, and it rests at v_leak 0; make them equal"),
        (lambda: norse.LIFBoxCell(box(v_leak=-0.25, reset_method=reset_subtract)), "1 (LIFBoxCell): it takes v_th off and rests at v_leak -0.25, from which v_th is not counted; use v_leak=0"),
        (lambda: norse.LIFBoxCell(box(v_th=0.0)), "1 (LIFBoxCell): its v_th, less what it rests at, is 0; use one above 0"),
        (lambda: norse.LIFCell(lif(method="adjoint")), "1 (LIFCell): its method is 'adjoint', which is not known; use super, heaviside, triangle, tanh, circ, heavi_erfc"),
        (lambda: norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=torch.tensor(500.0))), "1 (LIBoxCell): it never fires, and what it gives is no spikes; let forward return it, and say which of its values counts: --readout last (in Python: readout='last')"),
    ],
)  # fmt: skip
def test_what_no_integer_neuron_computes_is_named(cell: Callable[[], Any], message: str) -> None:
    model = norse.SequentialState(
        dyadic(nn.Linear(4, 3)), cell(), dyadic(nn.Linear(3, 2)), norse.IAFCell()
    )
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}$"):
        from_torch(model, events(2, STEPS, 4))
