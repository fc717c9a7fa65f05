"""Tracer that follows forward, knows the shapes of what it meets, and says in which line it is."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import snntorch as snn
import torch
from nirtorch.torch_tracer import NIRTorchTracer
from torch import Tensor, fx, nn
from torch.fx.node import map_arg
from torch.overrides import TorchFunctionMode

from lehr.errors import NotMappable
from lehr.export.torchmodels.classes import NEURONS, HoldsBack, count_returned, is_layer
from lehr.export.torchmodels.functions import called, is_reshape

_OTHERS = frozenset({"torch", "snntorch", "nirtorch", "lehr", "contextlib"})
"""Packages whose lines are not the user's."""

_STATES = ("spk", "syn", "mem")


class Sized(fx.Proxy):
    """A symbol that stands for a tensor of a known shape."""

    @property
    def shape(self) -> torch.Size:
        """Shape, with the record's own number of samples."""
        return self._tensor().shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._tensor().ndim

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers: that in which models are run."""
        return torch.float64

    @property
    def device(self) -> torch.device:
        """Device on which models are run."""
        return torch.device("cpu")

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or one number of it."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Return the number of axes."""
        return self.ndim

    def numel(self) -> int:
        """Return how many numbers there are."""
        return self._tensor().numel()

    def __len__(self) -> int:
        return len(self._value())

    def _value(self) -> Any:
        tracer: Any = self.tracer
        return tracer.value(self.node)

    def _tensor(self) -> Tensor:
        value = self._value()
        if not isinstance(value, Tensor):
            raise NotMappable(
                f"model: its forward asks for the shape of {self.node}, which is not one tensor "
                f"({self.node.meta['line']})"
            )
        return value


class Tracer(NIRTorchTracer):  # type: ignore[misc]  # nirtorch has no types
    """Tracer that keeps whole what counts as one layer, so that one that is not known can be named.

    Nodes have in `meta` the user's "line", of neurons whether their state was set "anew" since
    their last call, and of neurons' first calls whether states are "nonzero".

    Attributes:
        batch: how many samples alone a call takes; None where it takes any number.
    """

    def __init__(self, model: nn.Module, given: Tensor) -> None:
        leaves: Any = NEURONS
        super().__init__(leaves)
        self.batch: int | None = None
        self._given = given
        self._on_meta: dict[str, nn.Module] = {}
        self._held: dict[nn.Module, Any] = {
            module: _held(module) for module in model.modules() if isinstance(module, NEURONS)
        }

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether a module is not looked into."""
        return is_layer(m) or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Return a symbol that knows its shape."""
        return Sized(node, self)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """Record an operation, and the user's line."""
        node: fx.Node = super().create_node(*args, **kwargs)
        node.meta["line"] = line(sys._getframe(1))
        return node

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Refuse branches that depend on values."""
        raise NotMappable(
            f"model: its forward goes one way or another by the value of {called(obj.node)} "
            f"({line(sys._getframe(1))}); let it compute the same whatever its values are"
        )

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """Go through a tensor along its first axis, or through what a call returns."""
        return iter([obj[number] for number in range(len(obj))])  # type: ignore[index]

    def _proxy_placeholder(
        self, name: str, concrete_args: Any, sig: Any, fn_for_analysis: Any
    ) -> Any:
        """Take the default of an option that is no tensor, as a number of steps."""
        default = sig.parameters[name].default if name in sig.parameters else None
        if isinstance(default, bool | int | float | str):
            return default
        return super()._proxy_placeholder(name, concrete_args, sig, fn_for_analysis)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Record the call of a layer, and of neurons what was done to their states before it."""
        returned = super().call_module(m, forward, args, kwargs)
        if isinstance(m, NEURONS) and isinstance(returned, fx.Proxy):
            meta, held = returned.node.meta, _held(m)
            meta["anew"] = any(
                a is not b or was != now
                for (a, was), (b, now) in zip(self._held[m], held, strict=True)
            )
            states = (*args[1:], *kwargs.values(), *_own_states(m))
            meta["nonzero"] = any(isinstance(t, Tensor) and bool(t.any()) for t in states)
            self._held[m] = held
        return returned

    def value(self, node: fx.Node) -> Any:
        """Return a tensor of the shape that an operation's result has, or a tuple of them.

        Raises:
            NotMappable: when it cannot be known.
        """
        missing = [node]
        while missing:
            last = missing[-1]
            if inner := [each for each in self._taken(last) if "value" not in each.meta]:
                missing += inner
                continue
            missing.pop()
            try:
                last.meta["value"] = self._computed(last)
            except Exception as error:  # whatever layers and functions raise
                raise NotMappable(
                    f"model: the shape of {last} cannot be known ({type(error).__name__}: "
                    f"{str(error).partition(chr(10))[0]}; {last.meta['line']})"
                ) from error
        return node.meta["value"]

    def measure_reshapes(self, nodes: Iterable[fx.Node]) -> None:
        """Write into the `meta` of reshapes, and of what they take, their "shape" if it is known.

        What it is not known for is refused where it is read.
        """
        for node in filter(is_reshape, nodes):
            with contextlib.suppress(NotMappable):
                for each in (node, node.all_input_nodes[0]):
                    each.meta["shape"] = self.value(each).shape

    def _taken(self, node: fx.Node) -> list[fx.Node]:
        """Return what an operation's shape depends on: of neurons their input alone."""
        return node.all_input_nodes[:1] if self._stateful(node) else node.all_input_nodes

    def _stateful(self, node: fx.Node) -> nn.Module | None:
        module = self.root.get_submodule(str(node.target)) if node.op == "call_module" else None
        return module if isinstance(module, (HoldsBack, *NEURONS)) else None

    def _computed(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            if next(iter(self.graph.nodes)) is node:
                return self._given
            raise ValueError("it is an argument of forward")
        if node.op == "get_attr":
            return held_tensor(self.root, str(node.target)).to("meta")
        if module := self._stateful(node):
            taken = node.all_input_nodes[0].meta["value"]
            return (taken,) * count_returned(module) if _gives_states(module) else taken
        args, kwargs = map_arg((node.args, node.kwargs), lambda each: each.meta["value"])
        with torch.no_grad(), torch._C.DisableTorchFunction():
            if node.op == "call_module":
                path = str(node.target)
                if path not in self._on_meta:
                    layer = copy.deepcopy(self.root.get_submodule(path))
                    self._on_meta[path] = layer.to("meta")
                # while forward is followed, calls of modules are recorded
                return self._on_meta[path].forward(*args, **kwargs)
            if node.op == "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            return node.target(*args, **kwargs)  # type: ignore[operator]


def _gives_states(module: nn.Module) -> bool:
    """Return whether a neuron returns its states, too."""
    return isinstance(module, NEURONS) and (module.output or not module.init_hidden)


def _own_states(neuron: nn.Module) -> list[Tensor]:
    return [held for name in _STATES if isinstance(held := getattr(neuron, name, None), Tensor)]


def _held(neuron: nn.Module) -> list[tuple[Tensor, int]]:
    """Return what shows whether a neuron's states were set anew, or in place."""
    return [(held, held._version) for held in _own_states(neuron)]


def line(frame: FrameType | None) -> str:
    """Return file and number of the innermost line of the user's own that is running."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _OTHERS:
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return "no line of its own"


def failing_line(traceback: TracebackType | None) -> str:
    """Return the user's line in which an error came up."""
    lines = []
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _OTHERS:
            lines.append(f"{Path(frame.f_code.co_filename).name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return lines[-1] if lines else "no line of its own"


def held_tensor(root: nn.Module, name: str) -> Tensor:
    """Return a tensor of a model's by its qualified name: itself, also while forward is followed.

    What a module is asked for is a symbol then.
    """
    owner, _, own = name.rpartition(".")
    module = root.get_submodule(owner)
    held = {**vars(module), **module._buffers, **module._parameters}
    tensor: Tensor = held[own]
    return tensor.detach()


class InDouble(TorchFunctionMode):
    """Let code that says float32, or another device, run in float64 and on the CPU.

    Models are run in double precision, and what forward makes or converts itself must fit. Tensors
    that are made of plain numbers are float64, too.
    """

    def __enter__(self) -> Any:
        """Begin, and keep the type of tensors of plain numbers."""
        self._default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: object) -> None:
        """End, and give that type back."""
        torch.set_default_dtype(self._default)
        super().__exit__(*error)  # type: ignore[no-untyped-call]  # torch has no types here

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function with the types and devices that models are run with."""
        given = {
            key: "cpu" if key == "device" else _doubled(v) for key, v in (kwargs or {}).items()
        }
        func = {Tensor.float: Tensor.double, Tensor.cuda: Tensor.cpu}.get(func, func)
        return func(*map(_doubled, args if func is not Tensor.cpu else args[:1]), **given)


def _doubled(value: Any) -> Any:
    """Return what stands for a type or a device in a run in double precision on the CPU."""
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return torch.float64 if value is torch.float32 else value


@contextlib.contextmanager
def own_instances(model: nn.Module) -> Iterator[None]:
    """Let snnTorch's utils.reset act on this model's neurons, and on no others.

    It goes through a list of all neurons that were built, in which a copy's are not.
    """
    others = snn.SpikingNeuron.instances
    snn.SpikingNeuron.instances = [
        module for module in model.modules() if isinstance(module, snn.SpikingNeuron)
    ]
    try:
        yield
    finally:
        snn.SpikingNeuron.instances = others
