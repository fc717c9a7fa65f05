"""Axonal delays against a plain loop, torch's autograd, and the integer network's Delay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Input, Network, Neuron
from lehr.nodes import Delay, Int32Array
from lehr.simulate import simulate
from lehr.train.floats import delay_kernels, delays_torch
from lehr.train.floats import delays as module
from lehr.train.floats.delays import Delays, Learning, held_back
from lehr.train.keys.delay import DelayRecipe
from lehr.train.twin.network import Twin, trace

STEPS, SAMPLES = 9, 3
SHAPES = [(5,), (3, 2, 4)]
DOUBLE = torch.float64


def plain(
    x: npt.NDArray[np.floating], delays: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Two steps that lie around each delay, one value after another; `[T, N, C, ...]`."""
    out = np.zeros_like(x)
    for t in range(len(x)):
        for channel, delay in enumerate(delays):
            near = int(np.floor(delay))
            part = delay - near
            for lag, share in ((near, 1 - part), (near + 1, part)):
                if t - lag >= 0:
                    out[t, :, channel] += share * x[t - lag, :, channel]
    return out


def in_autograd(x: Tensor, delays: Tensor) -> Tensor:
    """The same as a sum over lags, each with a hat function's share: torch differentiates it."""
    lags = torch.arange(len(x) + 1, dtype=x.dtype)
    share = (1 - (lags[:, None] - delays).abs()).clamp(min=0)
    wide = share.view(*share.shape, *[1] * (x.ndim - 3))
    late = [torch.cat([torch.zeros_like(x[:lag]), x[: len(x) - lag]]) for lag in range(len(x) + 1)]
    return torch.stack([one * weight for one, weight in zip(late, wide, strict=True)]).sum(0)


def drawn(shape: tuple[int, ...], seed: int, dtype: torch.dtype = DOUBLE) -> tuple[Tensor, Tensor]:
    """Return values and delays of 0 to 6 steps, none of them whole."""
    torch.manual_seed(seed)
    x = torch.randn(STEPS, SAMPLES, *shape, dtype=dtype)
    return x, torch.randint(0, 6, shape[:1]) + 0.1 + 0.8 * torch.rand(shape[0], dtype=dtype)


@pytest.mark.parametrize("shape", SHAPES)
def test_values_are_those_of_a_plain_loop(shape: tuple[int, ...]) -> None:
    x, delays = drawn(shape, 1)
    expected = plain(x.numpy(), delays.numpy())
    np.testing.assert_allclose(held_back(x, delays).numpy(), expected, atol=1e-15)
    part = held_back(x, delays, 4).numpy()  # the last steps alone, what came before at hand
    np.testing.assert_allclose(part, expected[-4:], atol=1e-15)
    moved = delays.clone()
    moved[1] += 1
    assert not np.allclose(held_back(x, moved).numpy(), expected)


@pytest.mark.parametrize("count", [STEPS, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_torchs_and_finite_differences(shape: tuple[int, ...], count: int) -> None:
    x, delays = (value.requires_grad_() for value in drawn(shape, 2))
    given = torch.randn(count, *x.shape[1:], dtype=DOUBLE)
    got = torch.autograd.grad(held_back(x, delays, count), (x, delays), given)
    expected = torch.autograd.grad(in_autograd(x, delays)[-count:], (x, delays), given)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
        assert (one.abs() > 1e-6).any()
    assert torch.autograd.gradcheck(lambda a, b: held_back(a, b, count), (x, delays))


@pytest.mark.parametrize("reach", [1, 2, 4, 20])
def test_a_reach_is_the_difference_of_means_on_either_side(reach: int) -> None:
    x, delays = drawn((4, 2), 3)
    delays.requires_grad_()
    given = torch.randn_like(x)
    held_back(x, delays, reach=reach).backward(given)
    expected = torch.zeros_like(delays)
    for channel in range(len(delays)):
        near = int(delays[channel].detach().floor())
        for t in range(STEPS):
            for lag in range(near - reach + 1, near + reach + 1):
                if 0 <= t - lag < STEPS:
                    sign = 1 if lag > near else -1
                    slope = sign * (given[t, :, channel] * x[t - lag, :, channel]).sum()
                    expected[channel] += slope / reach**2
    assert delays.grad is not None
    torch.testing.assert_close(delays.grad, expected, rtol=1e-12, atol=1e-12)


@budget(20, 300)
@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from(SHAPES),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(1, STEPS),
    st.integers(1, 4),
)
def test_other_devices_compute_the_same(
    seed: int, shape: tuple[int, ...], dtype: torch.dtype, count: int, reach: int
) -> None:
    x, delays = drawn(shape, seed, dtype)
    x = x.view(*x.shape[:2], shape[0], -1)
    whole, rest = delays.floor(), (delays - delays.floor()).to(dtype)
    whole = whole.long()
    given = torch.randn(count, *x.shape[1:], dtype=dtype)
    one, other = torch.empty_like(given), torch.empty_like(given)
    delay_kernels.forward(x.numpy(), whole.numpy(), rest.numpy(), one.numpy())
    delays_torch.forward(x, whole, rest, other)
    assert one.equal(other)
    one, other = torch.empty_like(x), torch.empty_like(x)
    delay_kernels.backward(given.numpy(), whole.numpy(), rest.numpy(), one.numpy())
    delays_torch.backward(given, whole, rest, other)
    assert one.equal(other)
    sums = torch.empty(x.shape[1:3], dtype=dtype)
    other = torch.empty_like(sums)
    delay_kernels.slopes(given.numpy(), x.numpy(), whole.numpy(), reach, sums.numpy())
    delays_torch.slopes(given, x, whole, reach, other)
    torch.testing.assert_close(sums, other, rtol=1e-4, atol=1e-4)


def test_a_delay_that_is_no_number_reads_nothing_else() -> None:
    x, delays = drawn((4, 2), 4)
    delays[1] = float("nan")
    delays.requires_grad_()
    held_back(x, delays, reach=3).sum().backward()
    expected = plain(x[:, :, 2:].numpy(), delays[2:].detach().numpy())
    np.testing.assert_allclose(
        held_back(x, delays).detach().numpy()[:, :, 2:], expected, atol=1e-15
    )


# -------------------------------------------------------------------- as the integer network has it
@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize(
    "steps",
    [3, np.array([1, 4, 2], np.int32), np.array([[1, 2], [6, 3], [4, 5]], np.int32)],
    ids=["one", "C", "CxP"],
)
def test_whole_delays_are_the_networks(steps: int | Int32Array, feedback: bool) -> None:
    arithmetic = Arithmetic(decay_numerator=3, decay_shift=2, state_bits=16)
    neuron = Neuron(np.full((3, 2), 2), np.zeros((3, 2), np.int32), arithmetic)
    nodes = {"late": Delay(steps), "lif": neuron, "back": Delay(2)}
    edges = [(INPUT, "late"), ("late", "lif"), ("lif", OUTPUT)]
    if feedback:
        edges += [("lif", "back"), ("back", "lif")]
    else:
        del nodes["back"]
    net = Network(nodes, tuple(edges), Input((3, 2), "u8"), 20)
    x = np.random.default_rng(1).integers(0, 3, (4, 20, 3, 2), dtype=np.uint8)
    reference = simulate(net, x, trace=net.neurons)
    assert 0 < reference.rates["lif"] < 1
    expected = reference.trace.spikes["lif"]
    assert np.array_equal(trace(Twin(net), x).spikes["lif"], expected)
    if not feedback:  # phase A's, whose rounded delays are the same
        late = held_back(torch.from_numpy(x).float().transpose(0, 1), torch.tensor(steps)).numpy()
        at_once = Network(
            {"lif": neuron}, ((INPUT, "lif"), ("lif", OUTPUT)), Input((3, 2), "u8"), 20
        )
        shifted = late.swapaxes(0, 1).astype(np.uint8)
        spikes = simulate(at_once, shifted, trace=("lif",)).trace.spikes["lif"]
        assert np.array_equal(spikes, expected)
    moved = np.broadcast_to(np.asarray(steps, np.int32), (3, 2) if np.ndim(steps) == 2 else (3,))
    moved = moved.copy()
    moved.flat[-1] += 1
    other = Network({**nodes, "late": Delay(moved)}, tuple(edges), Input((3, 2), "u8"), 20)
    assert not np.array_equal(trace(Twin(other), x).spikes["lif"], expected)


# -------------------------------------------------------------------- over phase A
def test_delays_learn_within_their_bounds_until_they_are_rounded() -> None:
    torch.manual_seed(1)
    delays = Delays(DelayRecipe(max=6, until=0.5), 50)
    delays.draw()
    assert 1 <= float(delays.steps.detach().min()) < 2 < 5 < float(delays.steps.detach().max()) <= 6
    learning = Learning([delays], 8)
    for batch in range(1, 9):
        with torch.no_grad():
            delays.steps.add_(0.9 if delays.learns else 0.0)
        learning.step()
        values = delays.steps.detach()
        assert 1 <= float(values.min()) <= float(values.max()) <= 6
        assert delays.learns == (not learning.held) == (batch < 4)
        assert bool((values == values.round()).all()) == (batch >= 4)
    assert delays.whole().dtype == np.int32
    assert np.array_equal(delays.whole(), delays.steps.detach().numpy())


def test_delays_that_do_not_learn_are_whole_from_the_start() -> None:
    torch.manual_seed(2)
    delays = Delays(DelayRecipe(max=6, learn=False), 200)
    delays.draw()
    assert set(delays.steps.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}
    assert not delays.learns
    assert Learning([delays], 8).held
    assert delays.metrics() == {
        "mean": round(float(np.mean(delays.whole())), 6),
        "spread": round(float(np.std(delays.whole())), 6),
    }


@pytest.mark.parametrize("first_reach", [module.FIRST_REACH, 0.0])
def test_they_find_the_delay_that_a_task_asks_for(
    first_reach: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One channel comes five steps before the other, and has to wait for it.

    With a gradient of neighbouring steps alone it never learns to.
    """
    monkeypatch.setattr(module, "FIRST_REACH", first_reach)
    torch.manual_seed(3)
    x = (torch.rand(40, 32, 2) < 0.2).float()
    x = torch.cat([x[..., :1], torch.cat([x[5:, :, :1], torch.zeros(5, 32, 1)])], 2)
    delays = Delays(DelayRecipe(max=12), 2)
    with torch.no_grad():
        delays.steps.copy_(torch.tensor([1.0, 3.0]))
    learning = Learning([delays], 400)
    optimizer = torch.optim.Adam([delays.steps], 0.1)
    while delays.learns:
        optimizer.zero_grad()
        late = delays(x)
        if delays.measured:
            (late[..., 0] - late[..., 1]).square()[12:-12].mean().backward()
        optimizer.step()
        learning.step()
    first, second = delays.whole()
    assert (second - first == 5) == (first_reach > 0)
