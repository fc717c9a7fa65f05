"""A model with neurons of other libraries as one that runs a time step in each call.

Where its user calls it for all steps at once, or hands on one state of all its neurons, the model
as it is remains beside it: the two are compared, and the integer network with the latter.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lehr.errors import NotMappable
from lehr.export.torchmodels.others import norse, sinabs, spikingjelly


@dataclass(frozen=True)
class Own:
    """A model as its user calls it, where that is not for one time step after another.

    Attributes:
        model: in double precision, the run's own.
        axis: of its input, along which time runs; None where a call runs one step, and takes and
            returns one state of all neurons.
        flat: whether that axis and the one of samples before it are one.
    """

    model: nn.Module
    axis: int | None
    flat: bool = False

    def module(self, name: str) -> nn.Module:
        """Return a module by its qualified name."""
        return self.model.get_submodule(name)

    def run(self, frames: list[Tensor]) -> None:
        """Run the model from its beginning on the inputs of its steps, each `[N, *shape]`."""
        for module in self.model.modules():
            spikingjelly.reset(module)
            if sinabs.is_neuron(module):
                layer: Any = module
                layer.reset_states()
        if self.axis is None:
            state = None
            for frame in frames:
                _, state = self.model(frame, state)
            return
        given = torch.stack(frames, self.axis)
        self.model(given.flatten(0, 1) if self.flat else given)

    def steps(self, name: str, given: Tensor, steps: int) -> list[Tensor]:
        """Return what a layer gave in the steps, `steps` or one, of a call of it."""
        names = name.split(".")
        around = [self.module(".".join(names[:depth])) for depth in range(1, len(names))]
        if self.axis is None or any(map(spikingjelly.runs_step_by_step, around)):
            return [given]
        return list((given.unflatten(0, (-1, steps)) if self.flat else given).unbind(self.axis))


def in_steps(model: nn.Module, steps: int) -> tuple[nn.Module, Own | None]:
    """Return a model that runs one time step in each call, and how its user calls it else.

    Args:
        model: a settled copy, which is changed.
        steps: how many steps samples have.

    Raises:
        NotMappable: when its modules take steps in several ways.
    """
    modules = dict(model.named_modules())
    stepped = any(
        spikingjelly.takes_all_steps(m) or norse.takes_all_steps(m) for m in modules.values()
    )
    layers = {name: m for name, m in modules.items() if sinabs.is_neuron(m)}
    flat = {name: m for name, m in layers.items() if sinabs.is_squeezed(m)}
    if layers and flat and len(flat) < len(layers):
        plain = next(name for name in layers if name not in flat)
        raise NotMappable(
            f"{plain} ({type(layers[plain]).__name__}): it takes steps along an axis of its own, "
            f"and {next(iter(flat))} along that of samples; use Squeeze for both or for neither"
        )
    own = None
    if stepped or layers or norse.is_sequence(model):
        axis = 1 if layers else 0 if stepped else None
        own = Own(copy.deepcopy(model), axis, bool(flat))
        for name in flat:
            sinabs.set_steps(own.model.get_submodule(name), name, steps)
    return _in_one_step(model, {}, in_sequence=norse.is_sequence(model)).eval(), own


def _in_one_step(
    module: nn.Module, seen: dict[nn.Module, nn.Module], *, in_sequence: bool
) -> nn.Module:
    """Return a module as it computes one step, with all that is in it; those `seen` as before."""
    if module in seen:
        return seen[module]
    for name, inner in module._modules.items():
        if inner is not None:
            setattr(module, name, _in_one_step(inner, seen, in_sequence=in_sequence))
    if in_sequence and norse.is_sequence(module):
        stepped: nn.Module | None = nn.Sequential(*module.children())
    else:
        stepped = (
            spikingjelly.in_one_step(module)
            or sinabs.in_one_step(module)
            or norse.in_one_step(module, in_sequence=in_sequence)
        )
    seen[module] = module if stepped is None else stepped
    return seen[module]
