"""The layers of a torch model, one after another, as nodes of an integer network.

Their neurons still wait for their thresholds.

What flows between two nodes is an integer; what the model has in that place is `gain * integer +
offset` per channel. Weights give the gain, biases the offset, batch norm and average pooling change
both, and the next neurons take them into their thresholds and biases. The greatest of several
values is that of their integers where the gain is above 0; where it is below, the sign is turned
before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from lehr.errors import NotMappable
from lehr.export.digits import digits
from lehr.export.fold import Affine
from lehr.export.levels import Levels, kind_of, read_levels
from lehr.export.offsets import (
    by_value,
    changed,
    columns,
    through_weights,
)
from lehr.export.pending import Dynamics, Waiting
from lehr.export.scaling import Scaling
from lehr.export.torchmodels.brevitas import is_activation, quantizer_problem, spike_values
from lehr.export.torchmodels.classes import (
    HoldsBack,
    computes_weights,
    layer_class,
    name_of,
    neuron_class,
    why_unknown,
)
from lehr.export.torchmodels.folded import folded, is_over_one_axis
from lehr.export.torchmodels.joins import Concatenation, Sum
from lehr.export.torchmodels.meeting import Place
from lehr.export.torchmodels.neurons import read_neuron
from lehr.export.torchmodels.nodes import (
    SILENT,
    node_of,
    with_equal_sides,
)
from lehr.export.torchmodels.others.neuron import OtherNeuron
from lehr.export.torchmodels.passing import Passing
from lehr.export.torchmodels.products import ByNumbers
from lehr.export.torchmodels.qat import fake_quantize_problem
from lehr.export.torchmodels.readout import require_read, values
from lehr.export.torchmodels.recurrent import recurrent_weights, share_step
from lehr.export.torchmodels.rows import OVER_ROWS, as_map
from lehr.export.torchmodels.signal import Read
from lehr.export.torchmodels.values import value_problem
from lehr.network import INPUT
from lehr.nodes import Shape, ShapeMismatch
from lehr.weights import WeightKind


class Builder(Passing):
    """Builder of a network, which takes in layers from the input to the output.

    Attributes:
        membranes_of: qualified name of the neurons whose membranes are read out; None for none.
        places: by layer, where the signal is behind it.
    """

    def __init__(
        self,
        shape: Shape,
        scaling: Scaling,
        spikes: bool,
        rounded: WeightKind | None,
        decay_bits: int | None,
    ) -> None:
        plain = not scaling.offset.any() and bool((scaling.gain == 1).all())
        super().__init__(shape, scaling.gain, spikes and plain, rounded)
        self.membranes_of: str | None = None
        self._decay_bits = decay_bits
        self._offset, self._digits = scaling.offset, scaling.digits
        self.places: dict[str, Place] = {INPUT: self.here()}

    def add(
        self, source: str, module: nn.Module, inputs: Sequence[str], *, forks: bool = False
    ) -> None:
        """Take in a layer, by its qualified name.

        Args:
            source: the name.
            module: the layer.
            inputs: the layers whose values it takes.
            forks: whether several others take its own.

        Raises:
            NotMappable: naming the layer, when the integer network does not compute it.
        """
        method = Builder._neuron if neuron_class(module) else _METHODS.get(layer_class(module))
        if method is None:
            method = _method_of(module)
        try:
            if method is None:
                raise NotMappable(why_unknown(module, [each.__name__ for each in _METHODS]))
            if problem := value_problem(module):
                raise NotMappable(problem)
            self.go_to(self.place(inputs[0]))
            if isinstance(module, (Sum, Concatenation)):
                self._meet(source, module, [self.place(name) for name in inputs])
            else:
                if self.parts and method not in _BESIDE:
                    self._merge(f"{source}.joined")
                method(self, source, module)
            if forks:
                self.fix()
        except (NotMappable, ShapeMismatch) as error:
            raise NotMappable(f"{source} ({name_of(module)}): {error}") from None
        self.places[source] = self.here()

    def place(self, name: str) -> Place:
        """Return where the signal is behind a layer, or, where that was not taken in, here."""
        return self.places.get(name, self.here())

    def _meet(self, source: str, module: nn.Module, places: Sequence[Place]) -> None:
        if isinstance(module, Sum):
            self._sum(source, places)
        else:
            self._concatenate(places)

    def begin(self, layers: Iterable[nn.Module]) -> None:
        """Take inputs `[channels, n]` as maps of one row, if any of the layers runs over one."""
        if len(self.shape) != 2 or not any(map(_is_over_one_axis, layers)):
            return
        taken, self.shape, self.rows = self.shape, as_map(self.shape), True
        self._notes.append(
            f"the input is {[*taken]}, and {[*self.shape]} in the network: a map of one row"
        )
        self.places[INPUT] = self.here()

    def end_in_values(self, source: str) -> None:
        """End in what the layer `source`, which is no neurons, gives: it is what is read out.

        Raises:
            NotMappable: naming the layer, when its channels have no one unit.
        """
        try:
            if self.parts:
                self._merge(f"{source}.joined")
            self._make_positive(source, "its gain is negative")
            self._share_unit()
            self._wait(source, self._name(source, ".readout"), values(len(self._gain)), False)
        except NotMappable as error:
            raise NotMappable(f"{source}: {error}") from None

    @staticmethod
    def knows(module: nn.Module) -> bool:
        """Return whether a module is of a kind that is known, whatever it is made of."""
        return (
            neuron_class(module) is not None
            or layer_class(module) in _METHODS
            or _method_of(module) is not None
        )

    # ---------------------------------------------------------------- one method a kind of layer
    def _over_rows(self, source: str, module: nn.Module) -> None:
        if not self.rows:
            raise ShapeMismatch(f"takes (channels, n) but gets {self.shape}")
        upright = OVER_ROWS[layer_class(module)](module)
        _METHODS[type(upright)](self, source, upright)

    def _computed(self, source: str, module: nn.Module) -> None:
        if problem := quantizer_problem(module) or fake_quantize_problem(module):
            raise NotMappable(problem)
        read = folded(module, self.modelled(self.shape))
        layer: nn.Module = read.layer
        levels = read.levels
        if isinstance(layer, nn.Conv1d):
            layer = OVER_ROWS[nn.Conv1d](layer)
            levels = levels and replace(levels, levels=np.expand_dims(levels.levels, 2))
        self._weighted(source, layer, levels)

    def _activation(self, _: str, module: nn.Module) -> None:
        if not self._spikes:
            raise NotMappable(
                "it quantizes currents, which no integer neuron does; put it behind the neurons, "
                "or leave it out"
            )
        worth = spike_values(module, self.shape)
        self._digits = max(self._digits, digits(worth))
        self._gain = self._gain * worth
        self._spikes = bool((self._gain == 1).all())

    def _weighted(self, source: str, module: Any, levels: Levels | None = None) -> None:
        if levels is None:
            module = with_equal_sides(module)
        if self.parts and getattr(module, "groups", 1) > 1:
            self._merge(f"{source}.joined")
        weight, taken = module.weight.detach().numpy(), self.shape
        node_of(module, np.zeros(weight.shape, np.int8), "ternary").output_shape(taken)
        if np.ptp(self._gain) == 0:
            worth = float(self._gain[0])
        else:
            # a step is found for the products, which the model computes one after another
            self._digits = max(self._digits, digits(self._gain), digits(weight))
            weight = columns(weight, self._gain, getattr(module, "groups", 1))
            levels, worth = None, 1.0
        read = levels or read_levels(weight, self._rounded)
        self._tell_moved()
        name = self._name(source)
        nodes = self._put_weights(name, module, read)
        real = weight / read.step.reshape(-1, *[1] * (read.levels.ndim - 1))
        if len(nodes) > 1:
            real = np.concatenate([part.reshape(len(real), -1) for part in self._split(real)], 1)
        self._weights, self.parts = Read(nodes, source, real, read.moved), ()
        self._behind_maxima = False
        self._gain = worth * read.step
        self._offset = (
            through_weights(module, self._offset, taken)
            if self._offset.any()
            else np.zeros(len(read.step))
        )
        if module.bias is not None:
            self._add(module.bias.detach().numpy())
        self._spikes, self._currents = False, True

    def _neuron(self, source: str, module: nn.Module) -> None:
        read = read_neuron(module, self.modelled(self.shape), self._decay_bits)
        dynamics = read.dynamics
        if dynamics.shape is not None:
            dynamics = replace(dynamics, shape=self.shape)
        if isinstance(module, OtherNeuron):
            require_read(dynamics, at_end=source == self.membranes_of)
        elif source == self.membranes_of and dynamics.arithmetic.reset == "none":
            never = replace(dynamics.arithmetic, fires="never")
            dynamics = replace(dynamics, arithmetic=never)
        self._gain = self._gain * read.gain
        self._offset = changed(self._offset, read.gain, np.zeros(1), self.shape)
        self._make_positive(source, "its input's gain is negative")
        if source == self.membranes_of:
            self._share_unit()
        name = self._name(source)
        self.sources[name] = source
        if read.recurrent is not None:
            self._recurrent(name, f"{source}.recurrent", read.recurrent)
        self._wait(source, name, dynamics, read.gives_back)
        self._spikes = dynamics.most == 1

    def _wait(self, source: str, name: str, dynamics: Dynamics, back: bool) -> None:
        """Add neurons that wait for their integers."""
        self._go(name)
        self._tell_moved()
        moved = [
            f"{source}: decay moved by {d.moved:.2g} to {d.fractions}"
            for d in dynamics.decays
            if d.moved
        ]
        self._notes += moved
        gain, offset = self._gain, self._offset
        if offset.ndim > 1:
            dynamics = dynamics.by_neuron(self.shape)
        if dynamics.shape is not None:
            gain = np.repeat(gain, math.prod(self.shape[1:]))
            offset = by_value(offset, self.shape).ravel()
        affine = Affine(gain, offset)
        self.neurons[name] = Waiting(
            source, affine, dynamics, tuple(self._notes), self._exact, back, digits=self._digits
        )
        self._begin(1.0, spikes=True)

    def _recurrent(self, name: str, source: str, module: Any) -> None:
        """Add the spikes of the step before, through weights of their own.

        These share a step with the input's weights: both are added.
        """
        back = recurrent_weights(module, self.shape)
        if len(back.weight) != self.shape[0]:
            raise NotMappable(
                f"its recurrent weights make {len(back.weight)} channels of {self.shape[0]}; make "
                "them equal"
            )
        deaf = self._gain == 0
        self._turn(np.where(deaf, 0, 1), "a channel of its input has a gain of 0")
        self._gain = np.where(deaf, 1.0, self._gain)
        before = self._weights
        read = share_step(
            None if before is None else before.real, back.weight, self._gain, self._rounded
        )
        if before is not None:
            self._set_levels(before, read.input)
            self._weights = replace(
                before, sources=f"{before.sources} and {source}", moved=read.moved
            )
        self._notes += [f"{source}: {note}" for note in read.notes]
        self._gain = self._gain * read.step
        node = self._name(source)
        self.nodes[node] = node_of(module, read.recurrent, kind_of(read.recurrent))
        if self.nodes[node].output_shape(self.shape) != self.shape:
            raise NotMappable(
                f"its recurrent weights make {self.nodes[node].output_shape(self.shape)} of "
                f"{self.shape}; make them equal"
            )
        self.edges += [(name, node), (node, name)]
        self._add(np.atleast_1d(back.bias))
        if (
            self.membranes_of is not None
            and self.sources[name] == self.membranes_of
            and np.ptp(self._gain) > 0
        ):
            raise NotMappable(
                "its membranes are read out, and the step that its recurrent weights share with "
                "the others is not the same in all channels; read out its spikes"
            )


def _is_over_one_axis(module: nn.Module) -> bool:
    """Return whether a layer runs over one axis, as torch's or by weights that it computes."""
    known = layer_class(module) in (nn.Upsample, *OVER_ROWS)
    return known or (_method_of(module) is Builder._computed and is_over_one_axis(module))


def _method_of(module: nn.Module) -> Callable[[Builder, str, nn.Module], None] | None:
    """Return what takes in a layer of another class than torch's, if anything does."""
    if isinstance(module, (Sum, Concatenation)):
        return Builder._pass  # where they meet is found before
    if isinstance(module, ByNumbers):
        return Builder._by_numbers
    if is_activation(module):
        return Builder._activation
    return Builder._computed if computes_weights(module) else None


_METHODS: Mapping[type[nn.Module], Callable[[Builder, str, Any], None]] = {
    nn.Linear: Builder._weighted,
    nn.Conv2d: Builder._weighted,
    nn.BatchNorm1d: Builder._norm,
    nn.BatchNorm2d: Builder._norm,
    nn.SyncBatchNorm: Builder._norm,
    nn.AvgPool2d: Builder._average,
    nn.AdaptiveAvgPool2d: Builder._adaptive_average,
    nn.MaxPool2d: Builder._maximum,
    nn.AdaptiveMaxPool2d: Builder._adaptive_maximum,
    nn.Upsample: Builder._upsample,
    nn.Flatten: Builder._flatten,
    nn.ReLU: Builder._relu,
    **dict.fromkeys(SILENT, Builder._pass),
    **dict.fromkeys(OVER_ROWS, Builder._over_rows),
    HoldsBack: Builder._held_back,
}

_BESIDE = frozenset(
    {
        Builder._weighted,
        Builder._computed,
        Builder._norm,
        Builder._by_numbers,
        Builder._average,
        Builder._adaptive_average,
        Builder._upsample,
        Builder._flatten,
        Builder._relu,
        Builder._pass,
    }
)
"""Methods that take signals that lie beside each other as they are."""
