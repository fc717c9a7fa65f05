"""Models that loop over time in forward, as snnTorch's tutorials do, against their own calls."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import snntorch as snn
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from snntorch import utils
from torch import Tensor, nn
from torch.nn import functional
from torch_models import differing, dyadic, events, require_machines_agree, result_of

from lehr.export import from_torch
from lehr.export.torchmodels.network import FromTorch
from lehr.simulate import simulate

STEPS = 7
HELD = events(9, 10, rate=0.5)
TIMED = events(9, STEPS, 10, rate=0.5)
MAPS = events(9, STEPS, 1, 8, 8)


def called(model: nn.Module, x: Tensor) -> dict[str, npt.NDArray[np.float64]]:
    """Return every neuron's spikes `[N, T, *shape]` in one call of a model, without lehr.

    It is snnTorch's own code in double precision. What forward returns first are the last spikes.
    """
    model = copy.deepcopy(model).double().eval()
    kept: dict[str, list[Tensor]] = {}
    neurons: dict[str, Any] = {
        name: each for name, each in model.named_modules() if isinstance(each, snn.SpikingNeuron)
    }
    for name, neuron in neurons.items():
        neuron.reset_mem()
        vars(neuron)["spike_grad"] = lambda above: (above > 0).double()
        kept[name] = []

        def keep(_: nn.Module, __: Any, out: Any, lists: Any = kept[name]) -> None:
            lists.append(out[0] if isinstance(out, tuple) else out)

        neuron.register_forward_hook(keep)
    with torch.no_grad():
        model(x.double())
    return {name: torch.stack(each, 1).numpy() for name, each in kept.items()}


def require_equal(model: nn.Module, x: npt.NDArray[np.uint8], taken: Tensor) -> FromTorch:
    """Assert that a model's integers are its own spikes in a call on `taken`, every one."""
    converted = from_torch(model, x, steps=STEPS if x is HELD else None)
    assert converted.exact, [layer.notes for layer in converted.layers.values()]
    expected, trace = called(model, taken), result_of(converted).trace
    assert len(expected) == len(trace.spikes)
    for name, spikes in expected.items():
        node = name if name in trace.spikes else f"layer{name}"
        np.testing.assert_array_equal(trace.spikes[node], spikes)
    assert differing(converted) == 0
    return converted


def leaky(threshold: float = 0.5, **options: Any) -> Any:
    return snn.Leaky(beta=0.5, threshold=threshold, **options)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(4)


class Feedforward(nn.Module):
    """Two layers, states passed by hand, one input for all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = dyadic(nn.Linear(10, 12)), leaky()
        self.fc2, self.lif2 = dyadic(nn.Linear(12, 4)), leaky()

    def forward(self, x: Tensor) -> Any:
        """Spikes and membranes of all steps."""
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        spk2_rec, mem2_rec = [], []
        for _ in range(STEPS):
            cur1 = self.fc1(x)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.fc2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)


class InTime(Feedforward):
    """An input for each step, sizes asked for, states of every kind at the start."""

    def forward(self, x: Tensor, axis: int = 0, collect: bool = True) -> Any:
        """Spikes of all steps."""
        batch = x.size(1 - axis)
        mem1, mem2 = torch.zeros(batch, 12, device=x.device), self.lif2.reset_mem()
        record = []
        for step in range(x.shape[axis]):
            spk1, mem1 = self.lif1(self.fc1(x[step] if axis == 0 else x[:, step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1.clone()), mem2.detach())
            record.append(spk2)
        return torch.stack(record, dim=axis) if collect else record


class BatchFirst(InTime):
    """Time in the second axis."""

    def forward(self, x: Tensor, axis: int = 1, collect: bool = False) -> Any:
        """Spikes of all steps, in a list."""
        return super().forward(x, axis, collect)


class Hoisted(Feedforward):
    """Currents of a constant input, computed once, and spikes that are counted as they come."""

    def forward(self, x: Tensor) -> Any:
        """Counts of spikes."""
        mem1 = mem2 = None
        current, counts = self.fc1(x), torch.zeros(len(x), 4)
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(current, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            counts = counts + spk2
        return counts


class Iterated(Feedforward):
    """Steps taken one after another from the input, turned around, and a mean of what they give."""

    def forward(self, x: Tensor) -> Any:
        """Firing rates."""
        mem1, mem2, record = torch.zeros_like(x[:, 0, 0]).new_zeros(1), None, []
        for now in x.permute(1, 0, 2).contiguous():
            spk1, mem1 = self.lif1(self.fc1(now), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            record += [spk2]
        return torch.stack(record).mean(0)


class Unbound(Feedforward):
    """Steps unbound, and modules that keep their states themselves, reset by snnTorch's utils."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            self.fc1, leaky(init_hidden=True), self.fc2, leaky(init_hidden=True, output=True)
        )
        del self.lif1, self.lif2, self.fc1, self.fc2

    def forward(self, x: Tensor) -> Any:
        """Spikes and membranes of all steps."""
        utils.reset(self.net)
        record: tuple[list[Any], list[Any]] = ([], [])
        for now in x.unbind(0):
            spk, mem = self.net(now)
            record[0].append(spk)
            record[1].append(mem)
        return torch.stack(record[0]), torch.stack(record[1])


class TwoStates(nn.Module):
    """Synapses, and spikes that come back."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = dyadic(nn.Linear(10, 12)), snn.Synaptic(0.5, 0.5, threshold=0.5)
        self.fc2, self.lif2 = (
            dyadic(nn.Linear(12, 4)),
            snn.RLeaky(0.5, linear_features=4, threshold=0.5),
        )
        self.fc3, self.lif3 = (
            dyadic(nn.Linear(4, 3)),
            snn.RSynaptic(0.5, 0.5, linear_features=3, threshold=0.25),
        )
        dyadic(self.lif2.recurrent)
        dyadic(self.lif3.recurrent)

    def forward(self, x: Tensor) -> Any:
        """Spikes of all steps."""
        syn1, mem1 = self.lif1.init_synaptic()
        spk2, mem2 = self.lif2.init_rleaky()
        spk3, syn3, mem3 = self.lif3.init_rsynaptic()
        record = []
        for step in range(x.size(0)):
            spk1, syn1, mem1 = self.lif1(self.fc1(x[step]), syn1, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), spk2, mem2)
            spk3, syn3, mem3 = self.lif3(self.fc3(spk2), spk3, syn=syn3, mem=mem3)
            record.append(spk3)
        return torch.stack(record)


class Convolutional(nn.Module):
    """Maps, averages, and all that lies between two layers as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.lif1 = dyadic(nn.Conv2d(1, 3, 3, padding=1)), leaky()
        self.conv2, self.lif2 = dyadic(nn.Conv2d(3, 4, 3, padding="same")), leaky()
        self.fc1, self.lif3 = dyadic(nn.Linear(16, 4)), leaky(0.25)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Any:
        """Spikes and membranes of all steps."""
        mem1, mem2, mem3 = (each.init_leaky() for each in (self.lif1, self.lif2, self.lif3))
        record = []
        for step in range(STEPS):
            spk1, mem1 = self.lif1(functional.avg_pool2d(self.conv1(x[step]), 2), mem1)
            spk2, mem2 = self.lif2(self.conv2(functional.relu(spk1)), mem2)
            pooled = self.dropout(functional.avg_pool2d(spk2, 2))
            spk3, mem3 = self.lif3(self.fc1(pooled.view(pooled.size(0), -1)), mem3)
            record.append((spk3, mem3))
        spikes, membranes = zip(*record, strict=True)
        return torch.stack(spikes), torch.stack(membranes)


class Parted(Feedforward):
    """Signals that part and meet in each step."""

    def __init__(self) -> None:
        super().__init__()
        self.fc3 = dyadic(nn.Linear(10, 4))

    def forward(self, x: Tensor) -> Any:
        """Spikes of all steps."""
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        record = []
        for now in x:
            spk1, mem1 = self.lif1(self.fc1(now), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1) + self.fc3(now), mem2)
            record.append(spk2)
        return torch.stack(record)


def time_first(x: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(x).transpose(0, 1)


CASES: dict[str, tuple[Callable[[], nn.Module], npt.NDArray[np.uint8], Tensor]] = {
    "constant input": (Feedforward, HELD, torch.from_numpy(HELD)),
    "time first": (InTime, TIMED, time_first(TIMED)),
    "batch first": (BatchFirst, TIMED, torch.from_numpy(TIMED)),
    "hoisted, counted": (Hoisted, HELD, torch.from_numpy(HELD)),
    "iterated, averaged": (Iterated, TIMED, torch.from_numpy(TIMED)),
    "unbound, kept, reset": (Unbound, TIMED, time_first(TIMED)),
    "parted": (Parted, TIMED, time_first(TIMED)),
    "several states": (TwoStates, TIMED, time_first(TIMED)),
    "convolutional": (Convolutional, MAPS, time_first(MAPS)),
}


@pytest.mark.parametrize(("build", "x", "taken"), CASES.values(), ids=CASES)
def test_a_loop_is_the_model_s_own_call(
    build: Callable[[], nn.Module], x: npt.NDArray[np.uint8], taken: Tensor
) -> None:
    net = require_equal(build(), x, taken).network
    assert net.steps == STEPS
    (name, *_) = net.weighted
    weights = net.weighted[name]
    changed = replace(net, nodes={**net.nodes, name: replace(weights, weight=-weights.weight)})
    assert (simulate(changed, x).counts != simulate(net, x).counts).any()


@pytest.mark.parametrize("name", ["several states", "convolutional"])
def test_c_and_onnx_compute_what_the_loop_does(name: str, tmp_path: Path) -> None:
    build, x, _ = CASES[name]
    require_machines_agree(from_torch(build(), x).network, x, tmp_path)


def test_held_samples_are_given_to_a_loop_over_inputs() -> None:
    model = InTime()
    converted = from_torch(model, HELD, steps=STEPS)
    expected = called(model, torch.from_numpy(HELD).expand(STEPS, *HELD.shape))
    np.testing.assert_array_equal(result_of(converted).trace.spikes["lif2"], expected["lif2"])
    assert differing(converted) == 0


def test_a_loop_of_one_step() -> None:
    x = events(9, 1, 10, rate=0.5)
    converted = from_torch(InTime(), x)
    assert differing(converted) == 0


def test_the_user_s_own_neurons_are_left_as_they_are() -> None:
    """snnTorch's utils.reset, called in forward, acts on all neurons that were ever built."""
    other, model = leaky(init_hidden=True), Unbound()
    other(torch.ones(3, 4))
    before = other.mem.clone()
    from_torch(model, TIMED)
    assert torch.equal(other.mem, before)
    assert before.any()


class OneStep(nn.Module):
    """Layers whose states the caller keeps, and the same in a loop."""

    def __init__(self, widths: list[int], kinds: list[str], seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.ModuleList(dyadic(nn.Linear(a, b)) for a, b in itertools.pairwise(widths))
        self.neurons = nn.ModuleList(
            leaky() if kind == "Leaky" else snn.Synaptic(0.5, 0.5, threshold=0.75) for kind in kinds
        )

    def forward(self, x: Tensor, a: Any = None, b: Any = None, c: Any = None, d: Any = None) -> Any:
        """Spikes and states."""
        held, states = iter((a, b, c, d)), []
        for layer, neuron in zip(self.layers, self.neurons, strict=True):
            own = [next(held) for _ in range(1 if isinstance(neuron, snn.Leaky) else 2)]
            x, *own = neuron(layer(x), *own)
            states += own
        return x, states


class Looped(OneStep):
    """The loop."""

    def __init__(self, *options: Any, axis: int | None, hidden: bool) -> None:
        super().__init__(*options)
        self.axis, self.hidden = axis, hidden

    def forward(self, x: Tensor) -> Any:  # type: ignore[override]
        """Spikes of all steps."""
        states, record = [], []
        for neuron in self.neurons:
            own: Any = neuron.reset_mem()  # type: ignore[operator]
            states.append(own if isinstance(own, tuple) else (own,))
        for step in range(STEPS):
            now = x if self.axis is None else x.select(self.axis, step)
            for number, (layer, neuron) in enumerate(zip(self.layers, self.neurons, strict=True)):
                own = () if self.hidden else states[number]
                now, *states[number] = neuron(layer(now), *own)
            record.append(now)
        return torch.stack(record)


@budget(6, 60)
@given(
    st.lists(st.integers(3, 9), min_size=2, max_size=3),
    st.lists(st.sampled_from(["Leaky", "Synaptic"]), min_size=2, max_size=2),
    st.sampled_from([None, 0, 1]),
    st.booleans(),
    st.integers(0, 99),
)
def test_a_loop_makes_the_network_of_its_one_step(
    widths: list[int], kinds: list[str], axis: int | None, hidden: bool, seed: int
) -> None:
    options = (widths, kinds[: len(widths) - 1], seed)
    x = events(6, *([] if axis is None else [STEPS]), widths[0], rate=0.6, seed=seed)
    steps = STEPS if axis is None else None
    looped = from_torch(Looped(*options, axis=axis, hidden=hidden), x, steps=steps)
    assert looped.network == from_torch(OneStep(*options), x, steps=steps).network
    spikes = simulate(looped.network, x, trace=looped.network.neurons).trace.spikes
    for name, own in looped.spikes().items():
        np.testing.assert_array_equal(spikes[name], own)
