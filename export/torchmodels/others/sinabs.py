"""Neurons and layers of sinabs.

The equations are those of its `layers.functional.lif` (3.1.3). With X the input:

    IAF          V = V + X
    LIF          V = a V + X,  or, with norm_input,  V = a V + (1 - a) X,  a = exp(-1 / tau_mem)
    tau_syn      I = s (I + X), s = exp(-1 / tau_syn), in place of X above
    ExpLeak      as LIF, gives V

They fire where V >= spike_threshold: SingleSpike once, MultiSpike so often as V holds the
threshold, MaxSpike likewise, up to a number. MembraneSubtract takes the threshold off for each
spike, MembraneReset sets V to 0. After that V is at least min_v_mem.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lehr.arithmetic import Reset
from lehr.errors import NotMappable
from lehr.export.torchmodels.others.neuron import (
    ONE,
    Equations,
    Named,
    OtherNeuron,
    library_class,
    number,
)
from lehr.update import MOST_SPIKES

PACKAGE = "sinabs.layers"
NEURONS = ("IAF", "IAFSqueeze", "LIF", "LIFSqueeze", "ExpLeak", "ExpLeakSqueeze")
"""The neurons that are read."""


class Layer(OtherNeuron):
    """A neuron layer, which takes steps along an axis of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of one step."""
        spikes: Tensor = self.inner(x) if is_squeezed(self.inner) else self.inner(x[:, None])[:, 0]
        return spikes

    def reset_mem(self) -> None:
        """Set its states to 0."""
        self.inner.reset_states()

    def equations(self) -> Equations:
        """Return what it computes."""
        layer: Any = self.inner
        beta, gain, alpha = ONE, number(1.0), None
        if not type(layer).__name__.startswith("IAF"):
            beta = Named(number(layer.alpha_mem_calculated), "exp(-1 / tau_mem)")
            if layer.norm_input:
                gain = 1 - beta.value
        if layer.alpha_syn_calculated is not None:
            alpha = Named(number(layer.alpha_syn_calculated), "exp(-1 / tau_syn)")
            gain = gain * alpha.value
        takes = Named(gain, "factor of its input")
        floor = None if layer.min_v_mem is None else Named(number(layer.min_v_mem), "min_v_mem")
        if layer.spike_fn is None:
            if floor is not None:
                raise NotMappable(
                    f"its min_v_mem is {float(floor.value):g}, and it never fires; use "
                    "min_v_mem=None"
                )
            return Equations(ONE, beta, takes, "none", "same_step", "never", alpha)
        return Equations(
            Named(number(layer.spike_threshold), "spike_threshold"),
            beta,
            takes,
            _reset(layer),
            "same_step",
            "ge",
            alpha,
            _most(layer.spike_fn),
            floor,
        )


def _most(function: Any) -> int | None:
    """Return how often a spike function lets a neuron fire in a step; None for any number."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "SingleSpike":
        return 1
    if name == "MultiSpike":
        return None
    if isinstance(function, type) and name == "MaxSpike":
        raise NotMappable(
            "its spike_fn is MaxSpike, which must be made first; use MaxSpike(2), say"
        )
    if name == "MaxSpike":
        most: int | None = function.max_num_spikes_per_bin
        return None if most is None or most > MOST_SPIKES else most
    raise NotMappable(
        f"its spike_fn is {name}, which is not known; use SingleSpike, MultiSpike or MaxSpike of "
        "sinabs.activation"
    )


def _reset(layer: Any) -> Reset:
    """Return what a spike does to the membrane."""
    function, name = layer.reset_fn, type(layer.reset_fn).__name__
    if name == "MembraneSubtract":
        value, threshold = function.subtract_value, number(layer.spike_threshold)
        if value is not None and bool((threshold != value).any()):
            raise NotMappable(
                f"its reset_fn takes {float(value):g} off, and its threshold is "
                f"{float(threshold.max()):g}; use MembraneSubtract()"
            )
        return "subtract"
    if name == "MembraneReset":
        if function.reset_value != 0:
            raise NotMappable(
                f"its reset_fn adds {function.reset_value:g} to every membrane in every step, as "
                "sinabs' MembraneReset does; use MembraneReset()"
            )
        return "zero"
    raise NotMappable(
        f"its reset_fn is {name}, which is not known; use MembraneSubtract() or MembraneReset()"
    )


def in_one_step(module: nn.Module) -> nn.Module | None:
    """Return what computes one step of a module of sinabs'; None where it is none."""
    kind = library_class(module, PACKAGE)
    layer: Any = module
    if kind in NEURONS:
        if is_squeezed(module):
            layer.batch_size, layer.num_timesteps = -1, 1
        return Layer(module)
    if kind == "Repeat":
        inner: nn.Module = layer.module
        return inner
    if kind == "SumPool2d":
        return nn.AvgPool2d(
            layer.kernel_size, layer.stride, ceil_mode=layer.ceil_mode, divisor_override=1
        )
    return None


def is_squeezed(module: nn.Module) -> bool:
    """Return whether a layer takes samples and steps along one axis."""
    return (library_class(module, PACKAGE) or "").endswith("Squeeze")


def is_neuron(module: nn.Module) -> bool:
    """Return whether a module is one of the neurons that are read."""
    return library_class(module, PACKAGE) in NEURONS


def set_steps(module: nn.Module, name: str, steps: int) -> None:
    """Let a squeezed layer take any number of samples of so many steps.

    Raises:
        NotMappable: when it is built for another number of steps.
    """
    layer: Any = module
    if layer.num_timesteps not in (-1, steps):
        raise NotMappable(
            f"{name} ({type(layer).__name__}): it is built for {layer.num_timesteps} steps, and "
            f"samples have {steps}; give it num_timesteps={steps}, or samples of as many"
        )
    layer.batch_size, layer.num_timesteps = -1, steps
