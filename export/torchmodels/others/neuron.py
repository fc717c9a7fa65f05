"""What neurons of torch libraries compute, and those that are not snnTorch's, step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lehr.arithmetic import Fires, Reset, ResetTiming


@dataclass(frozen=True)
class Named:
    """A number, or one by channel or neuron, and what it is called in errors."""

    value: Tensor
    name: str


@dataclass(frozen=True)
class Equations:
    """The computation of a layer of neurons in one step.

    With `x` what comes in and `V` how far the membrane is from where it rests:

        J = alpha J + gain x;  V = beta V + J

    or `V = beta V + gain x` without alpha. The neuron fires where V passes its threshold, is reset,
    and V is brought up to `floor` where it is below.

    Attributes:
        threshold: how far above rest it fires.
        beta, alpha, gain: the factors; alpha is None without a synapse state.
        reset, reset_timing, fires: as in `lehr.arithmetic.Arithmetic`.
        most: how often it fires in a step, at most, where it passes its threshold so often; None
            for any number.
        floor: the least V; None where there is none.
        recurrent: the module through which the neurons' spikes come back a step later.
        gives_back: a threshold is given back where one reset left the membrane above it, as
            snnTorch's neurons do.
    """

    threshold: Named
    beta: Named
    gain: Named
    reset: Reset
    reset_timing: ResetTiming
    fires: Fires
    alpha: Named | None = None
    most: int | None = 1
    floor: Named | None = None
    recurrent: nn.Module | None = None
    gives_back: bool = False


def number(value: Any) -> Tensor:
    """Return numbers in double precision, without their history."""
    return torch.as_tensor(value).detach().double()


ONE = Named(torch.ones((), dtype=torch.float64), "1")


class OtherNeuron(nn.Module, ABC):
    """A neuron module of another library, of which a call runs one step.

    Attributes:
        inner: the library's own module, which computes the step.
        init_hidden: whether it keeps its state itself.
        output: whether it returns its state beside its spikes.
    """

    def __init__(self, inner: nn.Module, *, init_hidden: bool = True, output: bool = False) -> None:
        super().__init__()
        self.inner: Any = inner
        self.init_hidden, self.output = init_hidden, output

    @abstractmethod
    def equations(self) -> Equations:
        """Return what it computes.

        Raises:
            NotMappable: when no integer neuron does. The caller names the module.
        """

    @abstractmethod
    def reset_mem(self) -> None:
        """Set its state to what it begins with."""


def library_class(module: nn.Module, package: str) -> str | None:
    """Return the name of a module's class if it is of a package itself, and not derived from it."""
    kind = type(module)
    return kind.__name__ if f"{kind.__module__}.".startswith(f"{package}.") else None
