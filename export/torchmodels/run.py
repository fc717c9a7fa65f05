"""A torch model run step by step in double precision: what its integer network is compared with."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lehr.errors import NotMappable
from lehr.export.scaling import Scaling
from lehr.export.torchmodels.chain import Chain
from lehr.export.torchmodels.classes import NEURONS, STATES, HoldsBack, name_of, neuron_class
from lehr.export.torchmodels.others.neuron import OtherNeuron
from lehr.export.torchmodels.others.stepped import Own
from lehr.export.torchmodels.trace import uncompiled
from lehr.export.torchmodels.tracer import InDouble, own_instances
from lehr.export.torchmodels.values import differing, read_tensors
from lehr.network import INPUT, Network
from lehr.nodes import Shape

Spikes = npt.NDArray[np.uint8]
MOST_VALUES = 2**24
"""Values in double precision, of all layers and steps, that are recorded at a time."""


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
        own: the same as its user calls it, where that is not one call a step; None where it is.
        chain: its layers and states.
        sources: qualified names of the modules that spike, by node name.
        scaling: what the model takes for the integers of its input.
        last: qualified name of the layer that is read out.
        reads_membranes: whether the last layer's membranes, or values, are read out.
        rows: whether maps of one row are `[channels, n]` in the model.
    """

    model: nn.Module
    own: Own | None
    chain: Chain
    sources: Mapping[str, str]
    scaling: Scaling
    last: str
    reads_membranes: bool
    rows: bool

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
        loop = self.chain.loop
        whole = loop is not None or self.own is not None
        own = self._run(x[:1], network, network.steps if whole else 1)
        for name, layer in self.chain.layers.items():
            if changed := differing(before[name], read_tensors(layer)):
                raise NotMappable(
                    f"{name} ({name_of(layer)}): its {changed[0]} is another after a call of the "
                    "model than before, so that"
                    " forward sets it; keep what it sets as the layer's own parameter, or use "
                    "torch.nn.utils.parametrize"
                )
        if not whole:
            return
        chained = self._run(x[:1], network, network.steps, chained=True)
        for name, spikes in own.spikes.items():
            if not np.array_equal(spikes, chained.spikes[name]):
                raise NotMappable(
                    f"{name}: its spikes in the model's own call are not those of its layers run "
                    "step by step, so that forward does more than can be seen; write forward for "
                    "one time step"
                )

    def _run(
        self, x: npt.NDArray[np.uint8], network: Network, steps: int, *, chained: bool = False
    ) -> Recorded:
        """Run the model, or only the layers that were read of it, one after another.

        Samples run together as far as memory has room. A model that takes so many samples alone
        gets the last one again to fill a call.
        """
        each = steps * sum(math.prod(network.shapes[name]) for name in self.sources)
        fixed = self.chain.batch
        size = fixed or max(1, MOST_VALUES // max(1, each))
        runs = [
            self._run_batch(
                np.concatenate([part, part[-1:].repeat((fixed or len(part)) - len(part), 0)]),
                network,
                steps,
                chained=chained,
            )
            for part in (x[at : at + size] for at in range(0, len(x), size))
        ]
        spikes = {
            name: np.concatenate([run.spikes[name] for run in runs])[: len(x)]
            for name in runs[0].spikes
        }
        read = [run.membranes for run in runs if run.membranes is not None]
        return Recorded(spikes, np.concatenate(read)[: len(x)] if read else None)

    def _run_batch(
        self, x: npt.NDArray[np.uint8], network: Network, steps: int, *, chained: bool
    ) -> Recorded:
        held = x.shape[1:] == network.input.shape
        frames = [
            torch.from_numpy(self.scaling.floats(x if held else x[:, t])) for t in range(steps)
        ]
        if self.rows:
            frames = [frame.squeeze(-2) for frame in frames]
        membranes: list[Tensor] = []
        self._reset()
        states: dict[str, Any] = {}
        for argument, state in self.chain.states.items():
            node = next(name for name, source in self.sources.items() if source == state.neuron)
            if not isinstance(self.chain.layers[state.neuron], OtherNeuron):
                states[argument] = torch.zeros(len(x), *network.shapes[node], dtype=torch.float64)
        try:
            with (
                self._recording(membranes, None if chained else self.own, steps) as recorded,
                torch.no_grad(),
                uncompiled(),
                InDouble(),
                own_instances(self.model),
            ):
                if chained:
                    self._step_layers(frames)
                elif self.own is not None:
                    self.own.run(frames)
                elif self.chain.loop is not None:
                    self.model(self.chain.loop.input(frames))
                else:
                    self._step(frames, states)
                given = {
                    name: self._given_by(source, recorded, frames)
                    for name, source in self.sources.items()
                    if not network.neurons[name].integrates
                }
                if self.reads_membranes and not membranes:
                    membranes = self._given_by(self.last, recorded, frames)
        except Exception as error:  # whatever the user's forward raises
            raise NotMappable(
                f"model: it does not run on the sample ({type(error).__name__}: {error}); check "
                "the sample's shape"
            ) from error
        return Recorded(
            {
                name: _stacked(kept, network.shapes[name]).astype(np.uint8)
                for name, kept in given.items()
            },
            _stacked(membranes, network.shapes[network.output]) if membranes else None,
        )

    def _step(self, frames: list[Tensor], states: dict[str, Tensor]) -> None:
        """Call the model once a step, and hand on the states that it returns."""
        for now in frames:
            returned = tree_leaves(self.model(now, **states), is_leaf=_is_state)
            states = {
                argument: returned[state.position] for argument, state in self.chain.states.items()
            }

    def _step_layers(self, frames: list[Tensor]) -> None:
        """Run the layers alone, and hand on states to neurons that do not keep them."""
        states: dict[str, tuple[Tensor, ...]] = {}
        for frame in frames:
            values = {INPUT: frame}
            for name, layer in self.chain.layers.items():
                taken = [values[before] for before in self.chain.inputs[name]]
                returned = layer(*taken, *states.get(name, ()))
                values[name], kind = _first(returned), neuron_class(layer)
                if kind is not None and isinstance(returned, tuple) and not layer.init_hidden:
                    states[name] = tuple(returned[place] for _, place in STATES[kind])

    def _reset(self) -> None:
        for layer in self.chain.layers.values():
            if isinstance(layer, (HoldsBack, *NEURONS)):
                layer.reset_mem()

    @contextlib.contextmanager
    def _recording(
        self, membranes: list[Tensor], own: Own | None, steps: int
    ) -> Iterator[dict[str, list[Tensor]]]:
        """Record what layers give in each step: those that spike, or that functions take, the last.

        Where the model runs as its user calls it, `own`, its modules are recorded.

        Membranes are those of the last layer, where it is neurons and they are read out.
        """
        recorded: dict[str, list[Tensor]] = {}
        hooks = []
        for source in {*self.sources.values(), self.last}:
            for name in self._own_before(source):
                if name not in recorded:
                    kept = recorded[name] = []
                    module = self.chain.layers[name] if own is None else own.module(name)

                    def keep(
                        _m: Any, _i: Any, out: Any, name: str = name, kept: list[Tensor] = kept
                    ) -> None:
                        given = _first(out)
                        kept.extend([given] if own is None else own.steps(name, given, steps))

                    hooks.append(module.register_forward_hook(keep))
        if self.reads_membranes and isinstance(self.chain.layers[self.last], snn.SpikingNeuron):
            hooks.append(
                self.chain.layers[self.last].register_forward_hook(
                    lambda m, _i, _out: membranes.append(m.get_buffer("mem"))
                )
            )
        try:
            yield recorded
        finally:
            for hook in hooks:
                hook.remove()

    def _given_by(
        self, name: str, recorded: Mapping[str, list[Tensor]], frames: list[Tensor]
    ) -> list[Tensor]:
        """Return what a layer gave in each step: as recorded, or what its function makes of it."""
        if name in recorded:
            return recorded[name]
        taken = [
            frames if before == INPUT else self._given_by(before, recorded, frames)
            for before in self.chain.inputs[name]
        ]
        return [self.chain.layers[name](*each) for each in zip(*taken, strict=True)]

    def _is_own(self, name: str) -> bool:
        """Return whether a layer is a module of the model, and not made for a function."""
        return any(self.chain.layers[name] is module for module in self.model.modules())

    def _own_before(self, name: str) -> set[str]:
        """Return a layer that is the model's own, or those of whose values its function is."""
        if name == INPUT or self._is_own(name):
            return {name} - {INPUT}
        return set().union(*map(self._own_before, self.chain.inputs[name]))


def _stacked(steps: list[Tensor], shape: Shape) -> npt.NDArray[np.float64]:
    """Return `[N, T, *shape]` of what a layer gave in each step, in the network's shape."""
    values: npt.NDArray[np.float64] = torch.stack(steps, 1).numpy()
    return values.reshape(*values.shape[:2], *shape)


def _is_state(value: Any) -> bool:
    """Return whether a value that forward returns is the whole state of a neuron of norse's."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


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
