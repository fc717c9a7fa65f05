"""A torch model run step by step in double precision: what its integer network is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lehr.errors import NotMappable
from lehr.export.torch_chain import Chain
from lehr.export.torch_classes import HoldsBack, name_of
from lehr.export.torch_trace import uncompiled
from lehr.export.torch_values import differing, read_tensors
from lehr.network import Network
from lehr.nodes import Shape

Spikes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Recorded:
    """Record of a model's run.

    Attributes:
        spikes: of every layer that fires, uint8 `[N, T, *shape]`, by node name.
        membranes: of the last layer, where they are what is read out, or what it gives where it is
            no neurons, float64 `[N, T, *shape]`; None where spikes are counted.
    """

    spikes: Mapping[str, Spikes]
    membranes: npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class Stepper:
    """Runner of a model as its user runs it: one call a step, states handed on.

    Attributes:
        model: in double precision and evaluation mode, the run's own.
        chain: its layers and states.
        sources: qualified names of the modules that spike, by node name.
        full_scale: what inputs are divided by.
        reads_membranes: whether the last layer's membranes, or values, are read out.
    """

    model: nn.Module
    chain: Chain
    sources: Mapping[str, str]
    full_scale: float
    reads_membranes: bool

    def run(self, x: npt.NDArray[np.uint8], network: Network) -> Recorded:
        """Return the spikes of every layer on inputs, and what else is read out.

        Inputs are `[N, T, *shape]`, or `[N, *shape]` held for all steps.

        Raises:
            NotMappable: when the model raises an error on them.
        """
        return self._run(x, network, network.steps)

    def require_steady(self, x: npt.NDArray[np.uint8], network: Network) -> None:
        """Run the first sample for a step, after which all layers must hold what was read of them.

        Raises:
            NotMappable: naming the layer whose weights are computed by what runs around it, or when
                the model raises an error.
        """
        before = {name: read_tensors(layer) for name, layer in self.chain.layers.items()}
        self._run(x[:1], network, 1)
        for name, layer in self.chain.layers.items():
            if changed := differing(before[name], read_tensors(layer)):
                raise NotMappable(
                    f"{name} ({name_of(layer)}): its {changed[0]} is another after a call of the "
                    "model than before, so that"
                    " forward sets it; keep what it sets as the layer's own parameter, or use "
                    "torch.nn.utils.parametrize"
                )

    def _run(self, x: npt.NDArray[np.uint8], network: Network, steps: int) -> Recorded:
        held = x.shape[1:] == network.input.shape
        recorded: dict[str, list[Tensor]] = {name: [] for name in self.sources}
        read: list[Tensor] = []
        last = self.sources.get(network.output)
        hooks = [
            self.chain.layers[source].register_forward_hook(
                lambda _m, _i, out, kept=recorded[name]: kept.append(_first(out))
            )
            for name, source in self.sources.items()
        ]
        if self.reads_membranes and last is not None:
            hooks.append(
                self.chain.layers[last].register_forward_hook(
                    lambda m, _i, _out: read.append(m.get_buffer("mem"))
                )
            )
        for layer in self.chain.layers.values():
            if isinstance(layer, snn.SpikingNeuron | HoldsBack):
                layer.reset_mem()
        states: dict[str, Any] = {}
        for argument, state in self.chain.states.items():
            node = next(name for name, source in self.sources.items() if source == state.neuron)
            states[argument] = torch.zeros(len(x), *network.shapes[node], dtype=torch.float64)
        try:
            with torch.no_grad(), uncompiled():
                for t in range(steps):
                    now = (
                        torch.from_numpy((x if held else x[:, t]).astype(np.float64))
                        / self.full_scale
                    )
                    returned = tree_leaves(self.model(now, **states))
                    if self.reads_membranes and last is None and self.chain.answer is not None:
                        read.append(returned[self.chain.answer])
                    states = {
                        argument: returned[state.position]
                        for argument, state in self.chain.states.items()
                    }
        except Exception as error:  # whatever the user's forward raises
            raise NotMappable(
                f"model: it does not run on the sample ({type(error).__name__}: {error}); check "
                "the sample's shape"
            ) from error
        finally:
            for hook in hooks:
                hook.remove()
        fired = {
            name: kept for name, kept in recorded.items() if not network.neurons[name].integrates
        }
        return Recorded(
            {name: torch.stack(kept, 1).numpy().astype(np.uint8) for name, kept in fired.items()},
            torch.stack(read, 1).numpy() if read else None,
        )


def _first(output: Any) -> Tensor:
    """Return the spikes among what a neuron returns."""
    spikes: Tensor = output[0] if isinstance(output, tuple) else output
    return spikes


def given_shape(layer: nn.Module, shape: Shape) -> Shape | None:
    """Return the shape of what a layer gives for `shape`, both without batch.

    It is None where the layer does not run on it.
    """
    try:
        with torch.no_grad():
            given = _first(layer(torch.zeros(1, *shape, dtype=torch.float64)))
        return tuple(given.shape[1:]) or None
    except Exception:  # whatever somebody else's layer raises
        return None
