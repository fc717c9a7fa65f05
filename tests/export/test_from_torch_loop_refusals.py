"""Loops over time that are no one step again and again: each is refused by name, with the line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import snntorch as snn
import torch
from snntorch import utils
from torch import Tensor, nn
from torch.nn import functional
from torch_models import dyadic, events

from lehr.errors import NotMappable
from lehr.export import from_torch

STEPS = 4
X = events(5, STEPS, 6, rate=0.5)


class Net(nn.Module):
    """Two layers; what forward does with them is a function of its own."""

    def __init__(self, code: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.fc1, self.lif1 = dyadic(nn.Linear(6, 6)), snn.Leaky(beta=0.5, threshold=0.5)
        self.fc2, self.lif2 = dyadic(nn.Linear(6, 3)), snn.Leaky(beta=0.5, threshold=0.5)
        self.kept = snn.Leaky(beta=0.5, init_hidden=True)
        self.alpha = snn.Alpha(alpha=0.9, beta=0.5)
        self.code = code

    def forward(self, x: Tensor) -> Any:
        """Return what the function returns."""
        return self.code(self, x)


def by_number(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(STEPS):
        current = net.fc1(x[step])
        if step > 1:
            current = current * 2  # line
        spk, mem = net.lif1(current, mem)
        record.append(spk)
    return torch.stack(record)


def by_value(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(STEPS):
        spk, mem = net.lif1(net.fc1(x[step]), mem)
        if spk.sum() > 3:  # line
            record.append(spk)
    return torch.stack(record)


def by_count(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(int(x.sum())):  # line
        spk, mem = net.lif1(net.fc1(x[step]), mem)
        record.append(spk)
    return torch.stack(record)


def weakened(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(STEPS):
        spk, mem = net.lif1(net.fc1(x[step]), mem)  # line
        mem = mem * 0.5
        record.append(spk)
    return torch.stack(record)


def doubled_in_place(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(STEPS):
        current = net.fc1(x[step])
        current.mul_(2)  # line
        spk, mem = net.lif1(current, mem.detach_())
        record.append(spk)
    return torch.stack(record)


def swapped(net: Any, x: Any) -> Any:
    mem1, mem2, record = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for step in range(STEPS):
        spk, mem1 = net.lif1(net.fc1(x[step]), mem2)  # line
        spk, mem2 = net.lif1(spk, mem1)
        record.append(spk)
    return torch.stack(record)


def anew(net: Any, x: Any) -> Any:
    record = []
    for step in range(STEPS):
        mem = net.lif1.init_leaky()
        spk, mem = net.lif1(net.fc1(x[step]), mem)  # line
        record.append(spk)
    return torch.stack(record)


def kept_and_reset(net: Any, x: Any) -> Any:
    record = []
    for step in range(STEPS):
        utils.reset(net)
        record.append(net.kept(net.fc1(x[step])))  # line
    return torch.stack(record)


def kept_and_cleared(net: Any, x: Any) -> Any:
    record = []
    for step in range(STEPS):
        net.kept.mem.zero_()
        record.append(net.kept(net.fc1(x[step])))  # line
    return torch.stack(record)


def begun_high(net: Any, x: Any) -> Any:
    mem, record = torch.ones(x.size(1), 6), []
    for step in range(STEPS):
        spk, mem = net.lif1(net.fc1(x[step]), mem)  # line
        record.append(spk)
    return torch.stack(record)


def now_and_then(net: Any, x: Any) -> Any:
    mem1, mem2, record = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for step in range(STEPS):
        spk, mem1 = net.lif1(net.fc1(x[step]), mem1)
        if step % 2:
            spk2, mem2 = net.lif2(net.fc2(spk), mem2)  # line
            record.append(spk2)
    return torch.stack(record)


def late(net: Any, x: Any) -> Any:
    mem1, mem2, record = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    spk = torch.zeros(x.size(1), 6)
    for step in range(STEPS):
        spk2, mem2 = net.lif2(net.fc2(spk), mem2)
        spk, mem1 = net.lif1(net.fc1(x[step]), mem1)
        record.append(spk2)
    return torch.stack(record)


def backwards(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(STEPS):
        spk, mem = net.lif1(net.fc1(x[STEPS - 1 - step]), mem)
        record.append(spk)
    return torch.stack(record)


def at_once(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    currents = net.fc1(x)
    for step in range(x.size(0)):
        spk, mem = net.lif1(currents[step], mem)
        record.append(spk)
    return torch.stack(record)


def last_alone(net: Any, x: Any) -> Any:
    mem, spk = net.lif1.init_leaky(), None
    for step in range(STEPS):
        spk, mem = net.lif1(net.fc1(x[step]), mem)
    return spk


def weighed(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(STEPS):
        spk, mem = net.lif1(net.fc1(x[step]), mem)
        record.append(spk)
    return net.fc2(torch.stack(record).sum(0))


def alpha(net: Any, x: Any) -> Any:
    (syn_exc, syn_inh, mem), record = net.alpha.init_alpha(), []
    for step in range(STEPS):
        spk, syn_exc, syn_inh, mem = net.alpha(net.fc1(x[step]), syn_exc, syn_inh, mem)
        record.append(spk)
    return torch.stack(record)


def drawn(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(STEPS):
        spk, mem = net.lif1(net.fc1(functional.dropout(x[step])), mem)
        record.append(spk)
    return torch.stack(record)


def unseen(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(STEPS):
        now = 1 - x[step] if isinstance(x, Tensor) else x[step]
        spk, mem = net.lif1(net.fc1(now), mem)
        record.append(spk)
    return torch.stack(record)


def line_of(code: Callable[[Any, Any], Any]) -> str:
    """Return file and number of the line of a function that is marked."""
    lines, first = inspect.getsourcelines(code)
    marked = next(number for number, text in enumerate(lines) if "# line" in text)
    return f"{Path(__file__).name}:{first + marked}"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (by_number, "lif1: what it takes in step 0 is not computed as in step 3 ("),
        (by_value, "model: its forward goes one way or another by the value of gt (LINE); let it compute the same whatever its values are"),
        (by_count, "model: its forward cannot be followed (TypeError: int() argument must be a string, a bytes-like object or a real number, not 'Sized'; LINE); write forward for one time step"),
        (weakened, "lif1: its state mem in step 1 is not the one that it gave in the step before, but mul; hand on what it returns (LINE)"),
        (doubled_in_place, "model: its forward changes fc1 in place, by .mul_() (LINE); make a new tensor of it, as x = x * 2 does"),
        (swapped, "lif1: what it takes in step 0 is not computed as in step 7 ("),
        (anew, "lif1: its state mem in step 1 is not the one that it gave in the step before, but lif1_mem_1; hand on what it returns (LINE)"),
        (kept_and_reset, "kept: its state is set anew before step 1; set it before the loop, not in it (LINE)"),
        (kept_and_cleared, "kept: its state is set anew before step 1; set it before the loop, not in it (LINE)"),
        (begun_high, "lif1: its state does not begin at zero; begin with reset_mem() (LINE)"),
        (now_and_then, "lif2: it runs 2 times in one call of forward, and lif1 4 times (LINE); run every layer once in each step"),
        (late, "lif2: what it takes in step 0 is not computed as in step 3 ("),
        (backwards, "lif1: what it takes in step 0 is not computed as in step 3 ("),
        (at_once, "lif1: what it takes in step 0 is not computed as in step 2 ("),
        (last_alone, "model: its forward returns nothing of all its 4 steps; collect what each gives in a list, and return torch.stack of it"),
        (weighed, "model: its forward returns nothing of all its 4 steps"),
        (alpha, "alpha (Alpha): no integer neuron computes it; use Leaky, Lapicque, RLeaky, Synaptic, RSynaptic of snntorch"),
        (drawn, "dropout: dropout is called with training=True, as it is by default"),
        (unseen, "lif1: its spikes in the model's own call are not those of its layers run step by step, so that forward does more than can be seen; write forward for one time step"),
    ],
)  # fmt: skip
def test_steps_that_are_not_one(code: Callable[[Any, Any], Any], message: str) -> None:
    if "LINE" in message:
        message = message.replace("LINE", line_of(code))
    with pytest.raises(NotMappable, match=re.escape(message)):
        from_torch(Net(code), X)


def plain(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for step in range(STEPS):
        spk, mem = net.lif1(net.fc1(x[step]), mem)
        record.append(spk)
    return torch.stack(record)


def constant(net: Any, x: Any) -> Any:
    mem, record = net.lif1.init_leaky(), []
    for _ in range(STEPS):
        spk, mem = net.lif1(net.fc1(x), mem)
        record.append(spk)
    return torch.stack(record)


@pytest.mark.parametrize(
    ("code", "x", "steps", "message"),
    [
        (plain, X[:, :3], None, "model: its forward runs 4 steps, and the samples have 3; give samples of 4 steps"),
        (plain, events(5, 6, 6), None, "model: its forward runs 4 steps, and the samples have 6; give samples of 4 steps"),
        (plain, X[:, 0], 3, "model: its forward runs 4 steps, and the samples have 3; give --steps 4"),
        (constant, X[:, 0], 9, "model: its forward runs 4 steps, and the samples have 9; give --steps 4"),
        (constant, X, None, "model: its forward takes the same input in each of its 4 steps, and samples have another in each; let it take x[step], or give samples [N, *shape] and --steps 4"),
    ],
)  # fmt: skip
def test_samples_that_are_no_input_of_the_loop(
    code: Callable[[Any, Any], Any], x: Any, steps: int | None, message: str
) -> None:
    assert from_torch(
        Net(code), X if code is plain else X[:, 0], steps=None if code is plain else STEPS
    )
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}$"):
        from_torch(Net(code), x, steps=steps)


def test_one_step_that_forgets_is_refused() -> None:
    def forgets(net: Any, x: Any) -> Any:
        utils.reset(net)
        return net.kept(net.fc1(x))  # line

    message = (
        f"kept: its state is set anew in each call of forward ({line_of(forgets)}); reset it where "
        "forward is called, or loop over time in it"
    )
    with pytest.raises(NotMappable, match=f"^{re.escape(message)}$"):
        from_torch(Net(forgets), X)
