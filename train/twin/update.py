"""The update of a neuron for training, a rule a statement: integers forward, gradients back.

Every register holds integers in floating point. Backward, a decay passes its factor, straight
through what it rounds; a Bound that saturates stops the gradient where it changed a value, one that
wraps passes it; spikes use the fast-sigmoid surrogate of the distance to their level, in the units
of training or in levels, and where a neuron may fire several times, of the distance to the nearest
multiple of it. What spikes do to the neuron that fired them, a reset say, is a constant to
gradients, as in snnTorch.

Phase A computes the same update smoothly: registers hold any numbers, decays round nothing, and a
Bound changes none.

Source: Zenke & Ganguli 2018, "SuperSpike", for the fast sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from lehr.arithmetic import Rounding
from lehr.tables import Table
from lehr.train.floats.quantize import straight_through
from lehr.update import FIRED, INPUT, Add, Bound, Fire, Leak, Program, Put, Source

RULES: Table[Callable[..., None]] = Table(
    "the training twin", "train neurons that update once a step"
)

_ROUND: Mapping[Rounding, Callable[[Tensor], Tensor]] = {
    "toward_zero": torch.trunc,
    "floor": torch.floor,
    "nearest_even": torch.round,
}


@dataclass(frozen=True)
class Surrogate:
    """The gradient of a spike, 1 / (1 + slope * |distance|)^2.

    Attributes:
        unit: what one step of the membrane is worth in the units of training.
        slope: of the fast sigmoid.
        in_thresholds: whether the distance is counted in levels, and not in the units of training.
    """

    unit: float
    slope: float
    in_thresholds: bool = False


@dataclass
class Registers:
    """Registers on which an update works.

    Attributes:
        values: every register by name, of one shape and floating type; replaced, never changed.
        given: parameters, and `input`, by name, of a shape that broadcasts with them.
        spikes: `fired`, and the registers that a Fire writes.
        surrogate: how spikes pass gradients.
        smooth: whether nothing is rounded or bounded.
    """

    values: dict[str, Tensor]
    given: Mapping[str, Tensor]
    spikes: frozenset[str]
    surrogate: Surrogate
    smooth: bool

    def get(self, source: Source) -> Any:
        """Return the value of a register, a parameter or a number.

        It is a constant to gradients where it holds spikes.
        """
        if isinstance(source, int):
            return source
        value = self.values[source] if source in self.values else self.given[source]
        return value.detach() if source in self.spikes else value


def scan(
    program: Program,
    current: Tensor,
    given: Mapping[str, Tensor],
    steps: int,
    states: Mapping[str, Tensor],
    surrogate: Surrogate,
    *,
    smooth: bool = False,
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Run a layer of neurons.

    Args:
        program: of one update a step.
        current: `[steps or 1, N, *shape]`; one step is held for all.
        given: its parameters by name, integers by channel (the first axis of `shape`) or by neuron.
        steps: how many.
        states: the program's states by name, `[N, *shape]` each.
        surrogate: as in `Registers`.
        smooth: as in `Registers`; thresholds and biases need not be integers then.

    Returns:
        Spikes and membranes `[steps, N, *shape]`, and the states for the step that follows.
    """
    zero, spikes, axes = (
        torch.zeros_like(current[0]),
        frozenset({FIRED, *(fire.into for fire in program.fires)}),
        current.ndim - 2,
    )
    given = {
        name: value.to(zero.dtype) if value.is_floating_point() else value
        for name, value in given.items()
    }
    given = {
        name: value.reshape(*value.shape, *[1] * (axes - value.ndim))
        for name, value in given.items()
    }
    fired, membranes = [], []
    for t in range(steps):
        values = {name: states.get(name, zero) for name in program.registers}
        r = Registers(
            values, {**given, INPUT: current[t % len(current)]}, spikes, surrogate, smooth
        )
        for statement in program.statements:
            RULES[type(statement)](r, statement)
        states = {name: r.values[name] for name in program.states}
        fired.append(r.values[FIRED])
        membranes.append(r.values[program.membrane])
    return torch.stack(fired), torch.stack(membranes), dict(states)


@RULES.rule(Leak)
def _leak(r: Registers, s: Leak) -> None:
    x, numerator, shift = r.values[s.x], r.get(s.decay.numerator), r.get(s.decay.shift)
    if s.decay.form == "linear":
        r.values[s.x] = x.sign() * (x.abs() - numerator).relu()
        return
    exact, rounded = x.detach(), _ROUND[s.decay.rounding]
    part: Any = (
        2.0**-shift
        if isinstance(shift, int)
        else (torch.ones_like(shift) << shift).double().reciprocal()
    )
    if s.decay.form == "multiply":
        factor = numerator * part
        exact = rounded(exact.double() * factor)  # in double, or long decays would not be exact
    else:
        factor = 1 - part
        lost = exact * part
        exact = exact - (
            rounded(lost)
            if s.decay.form == "shift"
            else torch.where(lost.floor() == 0, exact.sign(), lost.floor())
        )
    smooth = x * (factor.to(x.dtype) if isinstance(factor, Tensor) else factor)
    r.values[s.x] = smooth if r.smooth else straight_through(smooth, lambda _: exact.to(x.dtype))


@RULES.rule(Add)
def _add(r: Registers, s: Add) -> None:
    x, counted = r.values[s.x], s.x == FIRED and isinstance(s.source, str)
    term = r.values[str(s.source)] if counted else r.get(s.source) * 2**s.shift
    if s.times:
        term = term * r.get(s.times)
    r.values[s.x] = x - term if s.negative else x + term


@RULES.rule(Put)
def _put(r: Registers, s: Put) -> None:
    before, source = r.values[s.x], r.get(s.source)
    value = (
        source.to(before.dtype).expand_as(before)
        if isinstance(source, Tensor)
        else torch.full_like(before, source)
    )
    r.values[s.x] = torch.where(r.get(s.when) != 0, value, before) if s.when else value


@RULES.rule(Bound)
def _bound(r: Registers, s: Bound) -> None:
    if r.smooth:
        return
    x, low, high = r.values[s.x], r.get(s.low), r.get(s.high)
    if (
        s.overflow == "wrap"
    ):  # the difference in double, since a width may be twice what float32 holds
        times = ((x.detach().double() - low) / (high - low + 1)).floor().to(x.dtype)
        r.values[s.x] = x - times * (high - low + 1)
    else:
        r.values[s.x] = x.clamp(min=low).clamp(max=high)


@RULES.rule(Fire)
def _fire(r: Registers, s: Fire) -> None:
    x, level = r.values[s.x], r.get(s.level)
    level = (
        level.to(x.dtype).expand_as(x) if isinstance(level, Tensor) else torch.full_like(x, level)
    )
    r.values[s.into] = cast(Tensor, _Spikes.apply(x, level, s, r.surrogate, r.smooth))  # type: ignore[no-untyped-call]


class _Spikes(torch.autograd.Function):
    """Count of a register's passings of its level, with the surrogate gradient of each."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, level: Tensor, s: Fire, surrogate: Surrogate, smooth: bool
    ) -> Tensor:
        ctx.save_for_backward(x, level)
        ctx.up_to, ctx.surrogate = s.up_to, surrogate
        ctx.offset = (
            0.5 if s.test == "ge" and not smooth else 0.0
        )  # on integers x >= level is x - level + 0.5 > 0
        if s.up_to == 1:
            return (x > level if s.test == "gt" else x >= level).to(x.dtype)
        if smooth and s.test == "gt":
            return ((x / level).ceil() - 1).clamp(0, s.up_to)
        gap = 1 if s.test == "gt" else 0
        # a quotient of integers that the type holds is never rounded up to the next integer
        return ((x - gap) / level).floor().clamp(0, s.up_to)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        x, level = ctx.saved_tensors
        unit, slope, offset = ctx.surrogate.unit, ctx.surrogate.slope, ctx.offset
        times = 1 if ctx.up_to == 1 else ((x + offset) / level).round().clamp(1, ctx.up_to)
        gap = x - times * level + offset
        root = (gap / level if ctx.surrogate.in_thresholds else gap * unit).abs() * slope + 1
        of_x = grad[0] * unit / (root * root)
        return of_x, -of_x * times, None, None, None
