"""Delays in a model of one's own: steps as in a plain loop, learning, rounding, and the export."""

from __future__ import annotations

import copy
from typing import Any, cast

import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch import surrogate
from torch import Tensor, nn
from torch_models import differing, events

from lehr.errors import NotMappable, UsageError
from lehr.export import from_torch
from lehr.network import Delay
from lehr.train import AxonalDelays, Threshold, ThresholdAnnealer, binarize

STEPS = 14
KEEPS: dict[str, Any] = {
    "beta": 0.75,
    "init_hidden": True,
    "spike_grad": surrogate.fast_sigmoid(slope=2),
}


def model(longest: int = 5) -> nn.Sequential:
    """Return delays of 12 inputs and of 8 hidden neurons."""
    torch.manual_seed(1)
    return nn.Sequential(
        AxonalDelays(12, longest),
        nn.Linear(12, 8, bias=False),
        snn.Leaky(**KEEPS),
        AxonalDelays(8, longest, until=0.5),
        nn.Linear(8, 5, bias=False),
        snn.Leaky(**KEEPS),
    )


def run(net: nn.Sequential, x: Tensor) -> Tensor:
    """Return the output's spikes `[T, N, 5]`, from states of 0."""
    for module in net:
        if isinstance(module, snn.SpikingNeuron | AxonalDelays):
            cast(Any, module).reset_mem()
    return torch.stack([net(step) for step in x.unbind(1)])


def interpolated(x: Tensor, steps: Tensor) -> Tensor:
    """Hold back `[T, N, C]` by a plain loop; between two steps by linear interpolation."""
    rows = []
    for t in range(len(x)):
        columns = []
        for channel, delay in enumerate(steps):
            whole = int(delay.detach().floor())
            rest = delay - whole
            now = x[t - whole, :, channel] if t >= whole else torch.zeros_like(x[0, :, channel])
            late = x[t - whole - 1, :, channel] if t > whole else torch.zeros_like(now)
            columns.append((1 - rest) * now + rest * late)
        rows.append(torch.stack(columns, 1))
    return torch.stack(rows)


def test_steps_one_by_one_are_those_of_a_plain_loop_with_their_gradients() -> None:
    torch.manual_seed(0)
    delays = AxonalDelays(6, 5)
    assert 1 <= float(delays.steps.detach().min()) < float(delays.steps.detach().max()) <= 5
    x = torch.rand(STEPS, 3, 6, requires_grad=True)
    steps = delays.steps.detach().clone().requires_grad_()
    given = torch.stack([delays(step) for step in x.unbind(0)])
    mine = x.detach().clone().requires_grad_()
    expected = interpolated(mine, steps)
    torch.testing.assert_close(given, expected)
    factor = torch.rand_like(expected)
    (given * factor).sum().backward()
    (expected * factor).sum().backward()
    torch.testing.assert_close(x.grad, mine.grad)
    torch.testing.assert_close(delays.steps.grad, steps.grad)
    assert steps.grad is not None
    assert float(steps.grad.abs().min()) > 0


def test_a_reset_and_another_batch_forget_what_was_taken() -> None:
    delays = AxonalDelays(4, 3, learn=False)
    assert torch.equal(delays.steps, delays.steps.round())
    assert not delays.steps.requires_grad
    for _ in range(5):
        delays(torch.ones(2, 4))
    assert delays(torch.ones(2, 4)).sum() == 8
    assert delays(torch.ones(3, 4)).sum() == 0
    for _ in range(5):
        delays(torch.ones(3, 4))
    other = copy.deepcopy(delays)
    assert other(torch.ones(3, 4)).sum() == 0
    delays.reset_mem()
    assert delays(torch.ones(3, 4)).sum() == 0


def trained(net: nn.Sequential, annealer: ThresholdAnnealer, batches: int) -> list[list[float]]:
    """Train on, and return the second delays after each batch."""
    delays = [p for n, p in net.named_parameters() if n.endswith("steps")]
    others = [p for n, p in net.named_parameters() if not n.endswith("steps")]
    groups: list[dict[str, Any]] = [{"params": others}, {"params": delays, "lr": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=1e-2)
    x, seen = torch.from_numpy(events(9, STEPS, 12)).float(), []
    while annealer.batch < batches:
        optimizer.zero_grad()
        (run(net, x).mean() - 0.4).square().mul(100).backward()
        optimizer.step()
        annealer.step()
        seen.append(cast(Any, net[3]).steps.tolist())
    return seen


def test_the_annealer_rounds_delays_when_it_is_time_and_they_are_exported() -> None:
    net = binarize(model(), thresholds=Threshold(start=1.0, schedule="linear", final=2.0))
    first = cast(Any, net[3]).steps.tolist()
    annealer = ThresholdAnnealer(net, 8)
    with pytest.raises(NotMappable) as refused:
        from_torch(net, events(9, STEPS, 12))
    assert str(refused.value) == (
        "0 (AxonalDelays), 3 (AxonalDelays): its delays are no whole steps yet; train on to where "
        "they are rounded, or call its hold()"
    )
    seen = trained(net, annealer, 8)
    assert seen[0] != first
    assert seen[2] != np.rint(seen[2]).tolist()
    assert all(each == seen[3] == np.rint(seen[3]).tolist() for each in seen[3:])
    assert all(1 <= step <= 5 for each in seen for step in each)
    whole = [cast(Any, net[n]).steps for n in (0, 3)]
    assert all(torch.equal(steps, steps.round()) for steps in whole)
    x = events(9, STEPS, 12, seed=3)
    converted = from_torch(net, x)
    nodes = [node for node in converted.network.nodes.values() if isinstance(node, Delay)]
    assert [np.asarray(node.steps).tolist() for node in nodes] == [s.tolist() for s in whole]
    assert differing(converted) == 0
    cast(Any, net[3]).steps.data[0] = 6 - cast(Any, net[3]).steps[0]
    assert any(
        (spikes != converted.spikes()[name]).any()
        for name, spikes in from_torch(net, x).spikes().items()
    )


def test_a_run_that_is_taken_up_again_goes_on_to_the_same_bits() -> None:
    schedule = Threshold(start=1.0, schedule="linear", final=2.0)
    whole, broken = (binarize(model(), thresholds=schedule) for _ in range(2))
    annealer, resumed = ThresholdAnnealer(whole, 8), ThresholdAnnealer(broken, 8)
    trained(whole, annealer, 5)
    broken.load_state_dict(copy.deepcopy(whole.state_dict()))
    trained(whole, annealer, 8)
    resumed.batch = 5
    trained(broken, resumed, 8)
    assert all(
        torch.equal(value, broken.state_dict()[key]) for key, value in whole.state_dict().items()
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"channels": 0, "longest": 5}, "channels is 0; give at least 1"),
        ({"channels": 3, "longest": 1}, "longest is 1; give at least 2"),
        (
            {"channels": 3, "longest": 5, "until": 0.0},
            "until is 0.0; give more than 0 and at most 1",
        ),
    ],
)
def test_arguments_out_of_range_are_named(arguments: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        AxonalDelays(**arguments)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (
            (nn.Linear(12, 8), AxonalDelays(8, 4, learn=False)),
            "what it takes is biased or normalized, and a current that has not come yet would lack "
            "that; put it behind spiking neurons",
        ),
        (
            (AxonalDelays(12, 4, learn=True), nn.Linear(12, 8, bias=False)),
            "its delays are no whole steps yet; train on to where they are rounded, or call its "
            "hold()",
        ),
    ],
)
def test_what_is_no_delay_of_the_integer_network_is_refused(layers: Any, sentence: str) -> None:
    net = nn.Sequential(*layers, snn.Leaky(**KEEPS), nn.Linear(8, 5), snn.Leaky(**KEEPS))
    with pytest.raises(NotMappable) as refused:
        from_torch(binarize(net, thresholds=Threshold(start=1.0)), events(4, STEPS, 12))
    assert sentence in str(refused.value)
