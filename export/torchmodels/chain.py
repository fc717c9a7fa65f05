"""The record of one call of a model by torch.fx, read as layers that take what others give.

It says where states come in and go out, and what is no layer.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import snntorch as snn
import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from lehr.errors import NotMappable
from lehr.export.torchmodels.classes import STATES, count_returned, name_of, neuron_class
from lehr.export.torchmodels.functions import called, layer_of
from lehr.export.torchmodels.joins import join_of
from lehr.export.torchmodels.numbers import Numbers
from lehr.export.torchmodels.others.neuron import OtherNeuron
from lehr.export.torchmodels.products import by_numbers, is_product, product_of
from lehr.network import INPUT

ONE_STEP = (
    "write forward for one time step, as forward(x, mem1, mem2) that returns the output's spikes "
    "and the new states,"
    " or with init_hidden=True, and leave the loop over time to lehr"
)


@dataclass(frozen=True)
class State:
    """An argument of forward: the state of `neuron`.

    Its new value is number `position` in what forward returns, counted flat.
    """

    neuron: str
    position: int


@dataclass(frozen=True)
class Loop:
    """A loop over time in forward.

    Attributes:
        steps: how many steps a call runs.
        axis: of the input, along which time runs; None where every step takes all of it.
    """

    steps: int
    axis: int | None

    def input(self, frames: Sequence[Tensor]) -> Tensor:
        """Return what a call takes of the inputs of its steps, each `[N, *shape]`."""
        return frames[0] if self.axis is None else torch.stack([*frames], self.axis)


@dataclass(frozen=True)
class Chain:
    """Layers that one time step runs through.

    Attributes:
        layers: modules by qualified name, from the input to the output.
        states: by name of the argument of forward; neurons that keep their state themselves have
            none.
        inputs: by layer, the layers whose values it takes; of the first it is the model's input,
            "input".
        heads: the layers whose values forward returns and no other layer takes, each with whether
            forward returns its spikes, where that are neurons, and not their membrane alone.
        loop: over time, where a call runs all steps; None where it runs one.
        batch: how many samples alone a call takes; None where it takes any number.
    """

    layers: Mapping[str, nn.Module]
    states: Mapping[str, State]
    inputs: Mapping[str, tuple[str, ...]]
    heads: Mapping[str, bool]
    loop: Loop | None = None
    batch: int | None = None

    @property
    def forks(self) -> frozenset[str]:
        """Layers whose values several others take."""
        taken = Counter(name for names in self.inputs.values() for name in names)
        return frozenset(name for name, times in taken.items() if times > 1)


class Walk:
    """Visitor of the operations that torch.fx recorded, in the order in which they ran.

    It has one method a kind.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.numbers = Numbers(model)
        self.layers: dict[str, nn.Module] = {}
        self.states: dict[str, State] = {}
        self.inputs: dict[str, tuple[str, ...]] = {}  # as in Chain
        self.heads: dict[str, bool] = {}
        self.arguments: list[fx.Node] = []
        # arguments of forward: the state, as a neuron and its place, that they hold
        self.given: dict[fx.Node, tuple[str, int]] = {}
        # values: which one of what a neuron returns
        self.returned: dict[fx.Node, tuple[str, int]] = {}
        self.tuples: dict[fx.Node, str] = {}  # calls of neurons that return several values
        self.signal: fx.Node | None = None
        self.gives: dict[fx.Node, str] = {}  # values: the layer that gives them
        self.problems: list[str] = []
        self.operations: list[str] = []  # that are no layers
        self.unknown: set[fx.Node] = set()  # what these and unknown neurons give
        # those of them that come from the signal, and may be what the next layer takes
        self.behind: set[fx.Node] = set()

    def chain(self) -> Chain:
        """Return the layers and what forward returns of them."""
        return Chain(self.layers, self.states, self.inputs, self.heads)

    def all_problems(self) -> list[str]:
        """Return all that keeps the calls from being a chain of layers, in sentences."""
        return [*([self._refused_operations()] if self.operations else []), *self.problems]

    def placeholder(self, node: fx.Node) -> None:
        """Take in an argument of forward: the first is the input."""
        if self.signal is None:
            self.signal, self.gives[node] = node, INPUT
        else:
            self.arguments.append(node)
        if str(node.target).startswith("*"):
            raise NotMappable(
                f"model: its forward takes {node.target}; give each state an argument of its own"
            )

    def get_attr(self, node: fx.Node) -> None:
        """Pass over a tensor of the model's: it is refused where it is used."""

    def call_module(self, node: fx.Node) -> None:
        """Take in the next layer."""
        if self.numbers.are(node):
            return
        name = str(node.target)
        module: Any = self.model.get_submodule(name)
        why_not = self._why_not_next(name, node)
        self._go_on(name, module, node)
        kind = neuron_class(module)
        if kind is None and isinstance(module, snn.SpikingNeuron):
            self.unknown.add(node)  # and refused where it is read
        elif kind is not None and (module.output or not module.init_hidden):
            self.tuples[node] = name
        if why_not:
            raise NotMappable(why_not)
        if kind is None:
            if len(node.args) + len(node.kwargs) > 1 and node not in self.unknown:
                raise NotMappable(
                    f"{name} ({name_of(module)}): it takes more than its input; use only layers of "
                    "one input"
                )
            return
        given = self._given_states(kind, node)
        if isinstance(module, OtherNeuron) and not module.init_hidden and not given:
            raise NotMappable(
                f"{name} ({name_of(module)}): it is not given its state, and begins anew in each "
                "call; hand it the one that it returned in the step before"
            )
        for (state, place), value in given:
            if value not in self.arguments or len(value.users) > 1:
                raise NotMappable(
                    f"{name}: its state {state} is not one that forward only takes and hands on "
                    f"({value}); {ONE_STEP}"
                )
            self.given[value] = (name, place)

    @staticmethod
    def _given_states(kind: type[nn.Module], node: fx.Node) -> list[tuple[tuple[str, int], Any]]:
        values = dict(
            zip([state for state, _ in STATES[kind]], node.args[1:], strict=False)
        ) | dict(node.kwargs)
        return [
            (state, values[state[0]]) for state in STATES[kind] if values.get(state[0]) is not None
        ]

    def call_function(self, node: fx.Node) -> None:
        """Unpack what a neuron returns, or take in a function that is a layer."""
        if node.target is operator.getitem and node.args[0] in self.tuples:
            source: Any = node.args[0]
            place: Any = node.args[1]
            name = self.tuples[source]
            if not isinstance(place, int):
                raise NotMappable(
                    f"{name}: forward takes part {place} of what it returns; unpack it into spikes "
                    "and states"
                )
            place %= self._returns(name)
            self.returned[node] = (name, place)
            if place == 0:
                self.gives[node] = name
                if source is self.signal:
                    self.signal = node
        elif node.target is operator.getitem and node.args[0] in self.unknown:
            self._pass_over(node)
        else:
            self._function(node)

    def call_method(self, node: fx.Node) -> None:
        """Take in a method that is a layer."""
        self._function(node)

    def output(self, node: fx.Node) -> None:
        """Check what forward returns: the answer of its last layer and every state that it took.

        The answer is spikes, a membrane, or what weights give.
        """
        if self.all_problems():
            return  # of which what is returned may be a consequence
        returned = self._returned(node)
        for argument in self.arguments:
            if argument not in self.given:
                if not argument.users and argument.args:
                    continue  # an option that nothing asks for, with its default
                raise NotMappable(
                    f"model: its argument {argument.target} is not the state of one neuron; "
                    f"{ONE_STEP}"
                )
            if self.given[argument] not in returned:
                neuron = self.given[argument][0]
                raise NotMappable(
                    f"{neuron}: forward takes its state as {argument.target} and does not return "
                    "the new one; return it"
                )
            self.states[str(argument.target)] = State(
                self.given[argument][0], returned.index(self.given[argument])
            )

    def _returned(self, node: fx.Node) -> list[tuple[str, int] | None]:
        """Return what the values that forward returns, counted flat, are of a neuron.

        It is the neuron and the place among what that returns. The answer is found among them.
        """
        returned: list[tuple[str, int] | None] = []
        spikes: set[str] = set()
        for leaf in tree_leaves(node.args[0]):
            spikes |= {self.gives[leaf]} if leaf in self.gives else set()
            if leaf in self.tuples:
                name = self.tuples[leaf]
                returned += [(name, place) for place in range(self._returns(name))]
            else:
                returned.append(self.returned.get(leaf))
        taken = {name for names in self.inputs.values() for name in names}
        for name in [name for name in self.layers if name not in taken]:
            fires = neuron_class(self.layers[name]) is not None
            if name not in spikes and not (fires and (name, self._returns(name) - 1) in returned):
                raise NotMappable(
                    f"model: its forward does not return what {name} gives, which no other layer "
                    "takes"
                )
            self.heads[name] = name in spikes
        if not self.heads:
            raise NotMappable("model: its forward runs no layer; give a model with neurons")
        return returned

    def _returns(self, name: str) -> int:
        """Return how many values a neuron returns, its spikes first."""
        return count_returned(self.layers[name])

    def _function(self, node: fx.Node) -> None:
        """Take in the layer that a function or method is, and refuse one that is none."""
        if self.numbers.are(node):
            return
        try:
            layer, taken = self._with_numbers(node) or join_of(node) or (layer_of(node), None)
        except NotMappable:
            self._pass_over(node)
            raise
        if layer is None:
            self._refuse(called(node), node)
            return
        why_not = self._why_not_next(node.name, node, taken)
        self._go_on(node.name, layer.eval(), node, taken)
        if why_not:
            raise NotMappable(why_not)

    def _with_numbers(self, node: fx.Node) -> tuple[nn.Module, tuple[Any, ...]] | None:
        """Return the layer that a product with weights, or a sum with numbers, is."""
        if not is_product(node):
            return by_numbers(node, self.numbers.of)
        product = product_of(node, self.numbers.of)
        if product is None:
            raise NotMappable(
                f"{node.name}: {called(node)} multiplies no signal with weights; compute its "
                "weights from parameters alone, outputs first"
            )
        return product.layer, (product.signal,)

    def _why_not_next(
        self, name: str, node: fx.Node, several: tuple[Any, ...] | None = None
    ) -> str | None:
        """Say why a layer does not take what layers before it give."""
        for taken in several or (_taken(node),):
            if taken in self.tuples and (taken is self.signal or several or taken in self.gives):
                return (
                    f"{name}: it takes all that {self.tuples[taken]} returns, its state too; give "
                    "that init_hidden=True"
                )
            if taken not in self.gives and taken not in self.behind:
                return f"{name}: it takes {taken}, which is not what a layer before it gives"
        return None

    def _go_on(
        self,
        name: str,
        layer: nn.Module,
        node: fx.Node,
        several: tuple[Any, ...] | None = None,
    ) -> None:
        """Take in a layer; what it gives, others may take."""
        last = next(reversed(self.layers), INPUT)
        self.layers[name] = layer
        self.inputs[name] = tuple(
            self.gives.get(taken, last) for taken in several or (_taken(node),)
        )
        self.signal, self.gives[node] = node, name
        self.behind.clear()

    def _refuse(self, what: str, node: fx.Node) -> None:
        """Keep in mind an operation that is no layer."""
        where = next(reversed(self.layers), None)
        self.operations.append(f"{what} {f'after {where}' if where else 'at its start'}")
        self._pass_over(node)

    def _pass_over(self, node: fx.Node) -> None:
        self.unknown.add(node)
        if self.behind.union([self.signal]).intersection(node.all_input_nodes):
            self.behind.add(node)

    def _refused_operations(self) -> str:
        *first, last = dict.fromkeys(self.operations)
        calls = (
            f"{', '.join(first)} and {last}, which are no layers"
            if first
            else f"{last}, which is no layer"
        )
        return (
            f"model: its forward calls {calls} that can be read; use modules such as nn.AvgPool2d "
            f"and nn.Flatten, and {ONE_STEP}"
        )


def _taken(node: fx.Node) -> Any:
    """Return what an operation takes first."""
    return node.args[0] if node.args else next(iter(node.kwargs.values()), None)
