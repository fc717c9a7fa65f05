"""A torch module as the chain of layers that one of its time steps runs through, and where its states come in and go out.

nirtorch's tracer, which is torch.fx with snnTorch's neurons kept whole, records what one call of `forward` does. Only what it
records is read here, not what nirtorch makes of it: its own graph forgets which neuron ran twice, and drops additions.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import snntorch as snn
import torch
from nirtorch.torch_tracer import NIRTorchTracer
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from lehr.errors import NotMappable

Model = TypeVar("Model", bound=nn.Module)

ONE_STEP = (
    "write forward for one time step, as forward(x, mem1, mem2) that returns the output's spikes and the new states,"
    " or with init_hidden=True, and leave the loop over time to lehr"
)
STATES: Mapping[type[nn.Module], tuple[tuple[str, int], ...]] = {
    snn.Leaky: (("mem", 1),),
    snn.Lapicque: (("mem", 1),),
    snn.RLeaky: (("spk", 0), ("mem", 1)),
    snn.Synaptic: (("syn", 1), ("mem", 2)),
    snn.RSynaptic: (("spk", 0), ("syn", 1), ("mem", 2)),
}
"""The neurons that are known: the states that each takes after its input, and where each new one stands in what it returns."""


@dataclass(frozen=True)
class State:
    """An argument of forward: the state of `neuron`, whose new value is number `position` in what forward returns, counted flat."""

    neuron: str
    position: int


@dataclass(frozen=True)
class Chain:
    """What one time step runs through.

    Attributes:
        layers: modules by qualified name, from the input to the output.
        states: by name of the argument of forward; neurons that keep their state themselves have none.
    """

    layers: Mapping[str, nn.Module]
    states: Mapping[str, State]


def neuron_class(module: nn.Module) -> type[nn.Module] | None:
    """Which of snnTorch's known neurons a module is; lehr's own, with annealed thresholds, compute what their base does."""
    bases = (base for base in type(module).__mro__ if not base.__module__.startswith("lehr."))
    found = next(bases)
    return found if found in STATES else None


def settled_copy(model: Model) -> Model:
    """A copy in double precision and evaluation mode, without the graphs that a run has left in membranes.

    Raises:
        NotMappable: when the model cannot be copied.
    """
    values = [value for module in model.modules() for value in (*vars(module).values(), *module._buffers.values())]
    memo: dict[int, Any] = {id(value): value.detach() for value in values if isinstance(value, Tensor) and value.grad_fn is not None}
    try:
        made = copy.deepcopy(model, memo).to("cpu", torch.float64).eval()
    except (RuntimeError, TypeError) as error:
        raise NotMappable(f"model: it cannot be copied ({error}); export it before it runs") from error
    for module in made.modules():
        if isinstance(module, snn.SpikingNeuron):
            vars(module)["spike_grad"] = functools.partial(_fire, module.spike_grad)
    return made


def _fire(spike_grad: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Spikes in the type of the membrane: snnTorch's own are float32, which weights in double precision do not take."""
    return spike_grad(x).to(x.dtype)


def trace(model: nn.Module) -> Chain:
    """Follow one time step through a model.

    Raises:
        NotMappable: when it is no chain of modules, naming the first thing that is none.
    """
    try:
        graph = NIRTorchTracer((snn.SpikingNeuron,)).trace(model)
    except Exception as error:  # whatever the user's forward raises when it is called with a symbol
        reason = str(error).partition("\n")[0]
        raise NotMappable(f"model: its forward cannot be followed ({type(error).__name__}: {reason}); {ONE_STEP}") from error
    _require_once(model, Counter(str(node.target) for node in graph.nodes if node.op == "call_module"))
    walk = _Walk(model)
    for node in graph.nodes:
        getattr(walk, node.op)(node)
    return Chain(walk.layers, walk.states)


def _require_once(model: nn.Module, runs: Mapping[str, int]) -> None:
    """Refuse modules that run several times in a call of forward: neurons by name where there are some, for it is a loop then."""
    again = [name for name, count in runs.items() if count > 1]
    neurons = [name for name in again if isinstance(model.get_submodule(name), snn.SpikingNeuron)]
    if again:
        name, what = (neurons[0], "as in a loop over time") if neurons else (again[0], "in several places")
        raise NotMappable(f"{name}: it runs {runs[name]} times in one call of forward, {what}; {ONE_STEP}")


class _Walk:
    """Visits the operations that torch.fx recorded, one method a kind, in the order in which they ran."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.layers: dict[str, nn.Module] = {}
        self.states: dict[str, State] = {}
        self.arguments: list[fx.Node] = []
        self.given: dict[fx.Node, tuple[str, int]] = {}  # arguments of forward: the state, as a neuron and its place, that they hold
        self.made: dict[fx.Node, tuple[str, int]] = {}  # values: which one of what a neuron returns
        self.tuples: dict[fx.Node, str] = {}  # calls of neurons that return several values
        self.signal: fx.Node | None = None

    def placeholder(self, node: fx.Node) -> None:
        """An argument of forward: the first is the input."""
        if str(node.target).startswith("*"):
            raise NotMappable(f"model: its forward takes {node.target}; give each state an argument of its own")
        if self.signal is None:
            self.signal = node
        else:
            self.arguments.append(node)

    def get_attr(self, node: fx.Node) -> None:
        """A tensor of the model's: refused where it is used."""

    def call_module(self, node: fx.Node) -> None:
        """The next layer."""
        name = str(node.target)
        module = self.model.get_submodule(name)
        self._require_next(name, node)
        self.layers[name] = module
        self.signal = node
        kind = neuron_class(module)
        if kind is None:
            if isinstance(module, snn.SpikingNeuron):
                known = ", ".join(each.__name__ for each in STATES)
                raise NotMappable(f"{name} ({type(module).__name__}): no integer neuron computes it; use {known} of snntorch")
            if len(node.args) + len(node.kwargs) > 1:
                raise NotMappable(f"{name} ({type(module).__name__}): it takes more than its input; use only layers of one input")
            return
        for (state, place), value in self._given_states(kind, node):
            if value not in self.arguments or len(value.users) > 1:
                raise NotMappable(f"{name}: its state {state} is not one that forward only takes and hands on ({value}); {ONE_STEP}")
            self.given[value] = (name, place)
        if module.output or not module.init_hidden:
            self.tuples[node] = name

    @staticmethod
    def _given_states(kind: type[nn.Module], node: fx.Node) -> list[tuple[tuple[str, int], Any]]:
        values = dict(zip([state for state, _ in STATES[kind]], node.args[1:], strict=False)) | dict(node.kwargs)
        return [(told, values[told[0]]) for told in STATES[kind] if values.get(told[0]) is not None]

    def call_function(self, node: fx.Node) -> None:
        """Unpacking what a neuron returns, or torch.flatten."""
        if node.target is operator.getitem and node.args[0] in self.tuples:
            source: Any = node.args[0]
            place: Any = node.args[1]
            name = self.tuples[source]
            if not isinstance(place, int):
                raise NotMappable(f"{name}: forward takes part {place} of what it returns; unpack it into spikes and states")
            place %= self._returns(name)
            self.made[node] = (name, place)
            if place == 0 and source is self.signal:
                self.signal = node
        elif node.target is torch.flatten:
            self._flatten(node)
        else:
            self._refuse(getattr(node.target, "__name__", str(node.target)))

    def call_method(self, node: fx.Node) -> None:
        """x.flatten(1)."""
        if node.target != "flatten":
            self._refuse(f".{node.target}()")
        self._flatten(node)

    def output(self, node: fx.Node) -> None:
        """What forward returns: the last spikes and every state that it was given."""
        returned: list[tuple[str, int] | None] = []
        ends = False
        for leaf in tree_leaves(node.args[0]):
            ends |= leaf is self.signal
            if leaf in self.tuples:
                name = self.tuples[leaf]
                returned += [(name, place) for place in range(self._returns(name))]
            else:
                returned.append(self.made.get(leaf))
        if not ends:
            raise NotMappable(f"model: its forward does not return what its last layer, {next(reversed(self.layers), 'none')}, gives")
        for argument in self.arguments:
            if argument not in self.given:
                if not argument.users and argument.args:
                    continue  # an option that nothing asks for, with its default
                raise NotMappable(f"model: its argument {argument.target} is not the state of one neuron; {ONE_STEP}")
            if self.given[argument] not in returned:
                neuron = self.given[argument][0]
                raise NotMappable(f"{neuron}: forward takes its state as {argument.target} and does not return the new one; return it")
            self.states[str(argument.target)] = State(self.given[argument][0], returned.index(self.given[argument]))

    def _returns(self, name: str) -> int:
        """How many values a neuron returns, its spikes first."""
        kind = neuron_class(self.layers[name])
        assert kind is not None
        return 1 + max(place for _, place in STATES[kind])

    def _flatten(self, node: fx.Node) -> None:
        start, end = (*node.args[1:], *node.kwargs.values(), -1)[:2] if node.args[1:] or node.kwargs else (0, -1)
        if (start, end) != (1, -1):
            self._refuse(f"flatten from axis {start}")
        self._require_next(node.name, node)
        self.layers[node.name] = nn.Flatten()
        self.signal = node

    def _require_next(self, name: str, node: fx.Node) -> None:
        taken = node.args[0] if node.args else next(iter(node.kwargs.values()), None)
        if taken in self.tuples and taken is self.signal:
            raise NotMappable(f"{name}: it takes all that {self.tuples[taken]} returns, its state too; give that init_hidden=True")
        if taken is not self.signal:
            raise NotMappable(f"{name}: it takes {taken}, not what the layer before it gives; a model is one chain of layers")

    def _refuse(self, what: str) -> None:
        where = next(reversed(self.layers), None)
        place = f"after {where}" if where else "at its start"
        raise NotMappable(
            f"model: its forward calls {what} {place}, which is no layer that can be read;"
            f" use modules such as nn.AvgPool2d and nn.Flatten, and {ONE_STEP}"
        )
