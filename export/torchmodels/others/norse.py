"""Neurons and containers of norse.

The equations are those of its `functional` modules (1.1.0), Euler steps of length dt. With X the
input, m = dt tau_mem_inv, s = dt tau_syn_inv, and V beginning at v_leak, of IAF at v_reset:

    IAFCell, IAF        V = V + X
    LIFBoxCell          V = V + m (v_leak - V + X)
    LIFCell, LIF        J = I + X;  V = V + m (v_leak - V + J);  I = (1 - s) J
    LIBoxCell, LICell, LI   the same, give V

They fire where V > v_th, and then V = v_reset, or, of LIFBoxCell with reset_subtract, V = V - v_th.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lehr.errors import NotMappable
from lehr.export.torchmodels.others.neuron import (
    ONE,
    Equations,
    Named,
    OtherNeuron,
    library_class,
    number,
)

PACKAGE = "norse.torch"
_CELLS = ("IAFCell", "LIFBoxCell", "LIFCell", "LIBoxCell", "LICell")
_IN_TIME = ("IAF", "LIF", "LI")
NEURONS = (*_CELLS, *_IN_TIME)
"""The neurons that are read; the last of them take all steps in a call."""

_SURROGATES = ("super", "heaviside", "triangle", "tanh", "circ", "heavi_erfc")
"""Methods that compute a step above the threshold."""


class Cell(OtherNeuron):
    """A neuron module that is given its state, or keeps it, and returns the new one.

    In a SequentialState it keeps it, and returns its spikes alone.
    """

    def __init__(self, inner: nn.Module, *, in_sequence: bool) -> None:
        in_time = type(inner).__name__ in _IN_TIME
        super().__init__(inner, init_hidden=in_sequence or in_time, output=not in_sequence)
        self._in_time, self._state = in_time, None

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """Return the spikes of one step, and the new state where that is not kept for it."""
        given = self._state if self.init_hidden else state
        if self._in_time:
            spikes, new = self.inner(x[None], given)
            spikes = spikes[0]
        else:
            spikes, new = self.inner(x, given)
        if self.init_hidden:
            self._state = new
        return (spikes, new) if self.output else spikes

    def reset_mem(self) -> None:
        """Forget its state."""
        self._state = None

    def equations(self) -> Equations:
        """Return what it computes."""
        p, dt, kind = self.inner.p, self.inner.dt, type(self.inner).__name__
        beta, gain, alpha = ONE, ONE, None
        if not kind.startswith("IAF"):
            part = number(dt * p.tau_mem_inv)
            beta, gain = Named(1 - part, "1 - dt tau_mem_inv"), Named(part, "dt tau_mem_inv")
        if hasattr(p, "tau_syn_inv"):
            alpha = Named(1 - number(dt * p.tau_syn_inv), "1 - dt tau_syn_inv")
        if kind.startswith("LI") and not kind.startswith("LIF"):
            if bool((number(p.v_leak) != 0).any()):
                raise NotMappable(
                    f"its v_leak is {float(number(p.v_leak).max()):g}, from which its membranes "
                    "are counted; use v_leak=0"
                )
            return Equations(ONE, beta, gain, "none", "same_step", "never", alpha)
        if p.method not in _SURROGATES:
            raise NotMappable(
                f"its method is {p.method!r}, which is not known; use {', '.join(_SURROGATES)}"
            )
        rest = p.v_reset if kind.startswith("IAF") else p.v_leak
        how = getattr(getattr(p, "reset_method", None), "__name__", "reset_value")
        _require_rest(how, number(p.v_reset), number(rest))
        return Equations(
            Named(number(p.v_th) - number(rest), "v_th, less what it rests at,"),
            beta,
            gain,
            "subtract" if how == "reset_subtract" else "zero",
            "same_step",
            "gt",
            alpha,
        )


def _require_rest(how: str, reset: Tensor, rest: Tensor) -> None:
    """Refuse resets that do not bring a membrane to where it rests."""
    if how not in ("reset_value", "reset_subtract"):
        raise NotMappable(
            f"its reset_method is {how}, which is not known; use reset_value or reset_subtract"
        )
    if how == "reset_subtract" and bool((rest != 0).any()):
        raise NotMappable(
            f"it takes v_th off and rests at v_leak {float(rest.max()):g}, from which v_th is not "
            "counted; use v_leak=0"
        )
    if how == "reset_value" and bool((reset != rest).any()):
        raise NotMappable(
            f"its v_reset is {float(reset.max()):g}, and it rests at v_leak {float(rest.max()):g}; "
            "make them equal"
        )


def in_one_step(module: nn.Module, *, in_sequence: bool) -> nn.Module | None:
    """Return what computes one step of a module of norse's; None where it is none.

    Args:
        module: the module.
        in_sequence: whether it stands in a SequentialState, which hands on states.
    """
    kind = library_class(module, PACKAGE)
    if kind in NEURONS:
        return Cell(module, in_sequence=in_sequence)
    if kind == "Lift":
        return module.get_submodule("lifted_module")
    return None


def is_sequence(module: nn.Module) -> bool:
    """Return whether a module runs others and hands on their states."""
    return library_class(module, PACKAGE) == "SequentialState"


def takes_all_steps(module: nn.Module) -> bool:
    """Return whether a module takes all steps in a call, along the first axis."""
    return library_class(module, PACKAGE) in (*_IN_TIME, "Lift")
