"""Neurons and layers of spikingjelly.activation_based.

The equations are those of its `neuron` modules (2.0.0). With H the membrane before the spike, X the
input, V_r the reset voltage, which the membrane begins with:

    IFNode                      H = V + X
    LIFNode, decay_input        H = V + (X - (V - V_r)) / tau
    LIFNode                     H = V - (V - V_r) / tau + X
    ParametricLIFNode           the same with 1 / tau = sigmoid(w)
    CUBALIFNode                 I = c_decay I + X;  H = v_decay V + I

It fires where H >= V_threshold. Then V = V_r, or, where v_reset is None, which counts as 0 above,
V = H - V_threshold.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lehr.arithmetic import Fires
from lehr.errors import NotMappable
from lehr.export.torchmodels.others.neuron import (
    ONE,
    Equations,
    Named,
    OtherNeuron,
    library_class,
    number,
)
from lehr.export.torchmodels.surrogates import fires

PACKAGE = "spikingjelly.activation_based"
_INTEGRATE = ("IFNode", "SimpleIFNode")
NEURONS = (*_INTEGRATE, "LIFNode", "SimpleLIFNode", "ParametricLIFNode", "CUBALIFNode")
"""The neurons that are read."""

CONTAINERS = ("SeqToANNContainer", "MultiStepContainer", "StepModeContainer")
"""Sequences of modules that run all steps in a call, or one."""

_LAYERS = (
    "Conv1d",
    "Conv2d",
    "Linear",
    "Flatten",
    "AvgPool2d",
    "MaxPool2d",
    "AdaptiveAvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Upsample",
)
"""Layers that compute in a step what torch's class of that name does."""


class Node(OtherNeuron):
    """A neuron module in step mode 's'."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of one step."""
        spikes: Tensor = self.inner(x)
        return spikes

    def reset_mem(self) -> None:
        """Set its state to what it begins with."""
        self.inner.reset()

    def equations(self) -> Equations:
        """Return what it computes."""
        node: Any = self.inner
        kind = type(node).__name__
        beta, gain = _leak(node, kind)
        if getattr(node, "_neuron_precision", None) is not None:
            raise NotMappable("it rounds its states to a precision of its own; build it without")
        rest = 0.0 if node.v_reset is None else node.v_reset
        if kind == "CUBALIFNode" and rest != 0:
            raise NotMappable(
                f"its v_reset is {rest:g} and it leaks towards 0; use v_reset=0.0 or v_reset=None"
            )
        alpha = Named(number(node.c_decay), "c_decay") if kind == "CUBALIFNode" else None
        return Equations(
            Named(number(node.v_threshold - rest), "v_threshold, less v_reset,"),
            beta,
            gain,
            "subtract" if node.v_reset is None else "zero",
            "same_step",
            _test(node.surrogate_function),
            alpha=alpha,
        )


def _leak(node: Any, kind: str) -> tuple[Named, Named]:
    """Return what a membrane is multiplied with in a step, and what the input is."""
    if kind in _INTEGRATE:
        return ONE, ONE
    if kind == "CUBALIFNode":
        return Named(number(node.v_decay), "v_decay"), ONE
    if kind == "ParametricLIFNode":
        part, name = number(node.w).sigmoid(), "sigmoid(w)"
    else:
        part, name = 1 / number(node.tau), "1 / tau"
    takes_part = getattr(node, "decay_input", True)
    return Named(1 - part, f"1 - {name}"), Named(part, name) if takes_part else ONE


def _test(surrogate: Any) -> Fires:
    """Return how a surrogate function compares, which a switch can turn into a smooth one."""
    if not surrogate.spiking:
        raise NotMappable(
            "its surrogate_function has spiking=False, so that it gives no spikes; call its "
            "set_spiking_mode(True)"
        )
    return fires(surrogate, "surrogate_function", "spikingjelly.activation_based.surrogate")


def in_one_step(module: nn.Module) -> nn.Module | None:
    """Return what computes one step of a module of spikingjelly's; None where it is none."""
    kind = library_class(module, PACKAGE)
    if kind in NEURONS:
        _set_single(module)
        return Node(module)
    if kind in CONTAINERS:
        return nn.Sequential(*module.children())
    if kind in ("Dropout", "Dropout2d"):
        return nn.Identity()
    if kind in _LAYERS:
        _set_single(module)
        module.__class__ = getattr(nn, kind)
        return module
    return None


def takes_all_steps(module: nn.Module) -> bool:
    """Return whether a module takes all steps in a call, along the first axis."""
    kind = library_class(module, PACKAGE)
    if kind is None:
        return False
    if kind in CONTAINERS and kind != "StepModeContainer":
        return True
    return bool(getattr(module, "_step_mode", "s") == "m")


def runs_step_by_step(module: nn.Module) -> bool:
    """Return whether a module calls those in it for each step."""
    kind = library_class(module, PACKAGE)
    return kind == "MultiStepContainer" or (
        kind == "StepModeContainer" and bool(getattr(module, "stateful", False))
    )


def _set_single(module: Any) -> None:
    module.step_mode = "s"


def reset(module: nn.Module) -> None:
    """Set the state of a neuron of spikingjelly's to what it begins with."""
    if library_class(module, PACKAGE) in NEURONS:
        node: Any = module
        node.reset()
