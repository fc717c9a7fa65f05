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
class Stepper:
    """Runner of a model as its user runs it: one call a step, states handed on.

    Attributes:
        model: in double precision and evaluation mode, the run's own.
        chain: its layers and states.
        sources: qualified names of the modules that spike, by node name.
        full_scale: what inputs are divided by.
    """

    model: nn.Module
    chain: Chain
    sources: Mapping[str, str]
    full_scale: float

    def run(self, x: npt.NDArray[np.uint8], network: Network) -> dict[str, Spikes]:
        """Return the spikes of every layer on inputs, uint8 `[N, T, *shape]` by node name.

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

    def _run(self, x: npt.NDArray[np.uint8], network: Network, steps: int) -> dict[str, Spikes]:
        held = x.shape[1:] == network.input.shape
        recorded: dict[str, list[Tensor]] = {name: [] for name in self.sources}
        hooks = [
            self.chain.layers[source].register_forward_hook(
                lambda _m, _i, out, kept=recorded[name]: kept.append(_first(out))
            )
            for name, source in self.sources.items()
        ]
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
        return {
            name: torch.stack(steps, 1).numpy().astype(np.uint8) for name, steps in recorded.items()
        }


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
