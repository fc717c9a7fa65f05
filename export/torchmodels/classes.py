"""Known layers and neurons: which of them a torch module is, and why another is none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import snntorch as snn
import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

from lehr.export.torchmodels.others import norse, sinabs, spikingjelly
from lehr.export.torchmodels.others.neuron import OtherNeuron
from lehr.nodes import Int32Array

STATES: Mapping[type[nn.Module], tuple[tuple[str, int], ...]] = {
    snn.Leaky: (("mem", 1),),
    snn.Lapicque: (("mem", 1),),
    snn.RLeaky: (("spk", 0), ("mem", 1)),
    snn.Synaptic: (("syn", 1), ("mem", 2)),
    snn.RSynaptic: (("spk", 0), ("syn", 1), ("mem", 2)),
    OtherNeuron: (("state", 1),),
}
"""The neurons that are known, each with the states that it takes after its input.

With a state stands the place of the new one in what the neuron returns.
"""


NEURONS = (snn.SpikingNeuron, OtherNeuron)
"""Classes of neurons; of snnTorch's, some are not known."""

_SNNTORCH = tuple(kind.__name__ for kind in STATES if kind is not OtherNeuron)


def count_returned(neuron: nn.Module) -> int:
    """Return how many values a known neuron returns, its spikes first; 4 of one that is not."""
    kind = neuron_class(neuron)
    return 4 if kind is None else 1 + max(place for _, place in STATES[kind])


class HoldsBack(nn.Module, ABC):
    """A layer that holds each channel back by steps of its own; `lehr.train.AxonalDelays` is one.

    It is called once a step. Its parameter `steps` has one number a channel.
    """

    @abstractmethod
    def whole(self) -> Int32Array:
        """Return the steps as integers, each at least 1."""

    @abstractmethod
    def reset_mem(self) -> None:
        """Forget what it has taken."""


_QUANTIZED = (
    "which quantizes as it runs; build the model of plain torch.nn layers, and copy its quantized "
    "weights, {},"
    " into them, where they are recognized as levels"
)
_SPIKING = (
    "of which {} are read; use those, or have {} write the network as a NIR graph, if it can, "
    "and `lehr quantize` read that"
)
FOREIGN: Mapping[str, str] = {
    "brevitas": (
        "of which QuantLinear, QuantConv1d, QuantConv2d, QuantIdentity and QuantReLU are read; "
        "build the model of those, or of torch.nn's"
    ),
    "torch.ao": _QUANTIZED.format("layer.weight().dequantize()"),
    "torchao": _QUANTIZED.format("layer.weight.dequantize()"),
    "bitsandbytes": _QUANTIZED.format("dequantized"),
    "norse": _SPIKING.format(", ".join(norse.NEURONS), "norse.torch.to_nir"),
    "sinabs": _SPIKING.format(", ".join(sinabs.NEURONS), "sinabs.nir.to_nir"),
    "spikingjelly": _SPIKING.format(", ".join(spikingjelly.NEURONS), "nir_exchange.export_to_nir"),
}
"""Packages whose layers are met instead of torch's own, and the way out."""

TORCHSCRIPT = (
    "it is TorchScript, which cannot be followed; give the Python model that it was made of"
)

_BUILDS = frozenset({"__init__", "reset_parameters", "extra_repr", "__repr__"})
_OF_EVERY_CLASS = frozenset(vars(type("_", (), {}))) | {
    "__annotations__",
    "__parameters__",
    "__orig_bases__",
    "__constants__",
}
_NO_LAYERS = ("torch.nn.modules.module", "torch.nn.modules.container")


def name_of(module: nn.Module) -> str:
    """Return the name of a module's class, as its author wrote it."""
    named = module.inner if isinstance(module, OtherNeuron) else module
    return parametrize.type_before_parametrizations(named).__name__


def layer_class(module: nn.Module) -> type[nn.Module]:
    """Return the class that says what a module computes.

    It is its own, or the one that it only builds in another way.

    lehr's own neurons, with annealed thresholds, compute what their base does; its delays are
    known as `HoldsBack`.
    """
    kind = parametrize.type_before_parametrizations(module)
    if issubclass(kind, torch.jit.ScriptModule):
        return torch.jit.ScriptModule
    bases = (base for base in kind.__mro__ if issubclass(base, nn.Module))
    return next(
        base
        for base in bases
        if base in (HoldsBack, OtherNeuron)
        or (
            not base.__module__.startswith("lehr.")
            and (base is nn.Module or _replaced(base, module))
        )
    )


def neuron_class(module: nn.Module) -> type[nn.Module] | None:
    """Return which of the known neurons a module is; None where it is none of them."""
    kind = layer_class(module)
    return kind if kind in STATES else None


def is_layer(module: nn.Module) -> bool:
    """Return whether a module counts as one layer, to be known or refused by name.

    All others are looked into.

    A layer comes from a library, is derived from a layer of torch, or computes with parameters of
    its own.
    """
    kinds = type(module).__mro__
    if torch.jit.ScriptModule in kinds:
        return True
    torch_layer = any(
        kind.__module__.startswith("torch.nn.modules.") and kind.__module__ not in _NO_LAYERS
        for kind in kinds
    )
    return (
        torch_layer
        or _package(module) is not None
        or bool(module._parameters and not module._modules)
    )


def why_unknown(module: nn.Module, known: Sequence[str]) -> str:
    """Say why a module is none of the `known` classes and no neuron, and the way out."""
    package = _package(module)
    if isinstance(module, torch.jit.ScriptModule):
        return TORCHSCRIPT
    if package:
        return f"it is a layer of {package}, {FOREIGN[package]}"
    if isinstance(module, LazyModuleMixin):
        return "it has no weights yet; run the model once before"
    if isinstance(module, snn.SpikingNeuron):
        return f"no integer neuron computes it; use {', '.join(_SNNTORCH)} of snntorch"
    kind = layer_class(module)
    if base := next(
        (
            base
            for base in kind.__mro__[1:]
            if base.__name__ in known and base.__module__.startswith("torch.nn.")
        ),
        None,
    ):
        replaced = ", ".join(_replaced(kind, module))
        return (
            f"it is derived from {base.__name__} and replaces {replaced}, so that it may compute "
            f"anything; use nn.{base.__name__}"
        )
    usable = ", ".join(dict.fromkeys([*known, *_SNNTORCH]))
    return f"the integer network has no such layer; use {usable}"


def computes_weights(module: nn.Module) -> bool:
    """Return whether a module is no layer of torch's, but may be a product with weights.

    It is then one's own, or a layer of Brevitas or of torch.ao.nn.qat, derived from torch's.
    """
    kind = layer_class(module)
    if isinstance(module, (torch.jit.ScriptModule, HoldsBack, *NEURONS)):
        return False
    if _package(module) is None:
        return not kind.__module__.startswith("torch.") and any(True for _ in module.parameters())
    derived = isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
    return derived and kind.__module__.startswith(("brevitas.", "torch.ao.nn.qat."))


def _package(module: nn.Module) -> str | None:
    """Return the foreign package that a module's class, or one of its bases, comes from."""
    return next(
        (
            package
            for kind in type(module).__mro__
            for package in FOREIGN
            if f"{kind.__module__}.".startswith(f"{package}.")
        ),
        None,
    )


def _replaced(kind: type, module: nn.Module) -> list[str]:
    """Return the names that a class defines anew and that its bases, or the module, hold.

    How it is built and printed does not count.
    """
    mro = type(module).__mro__
    behind = mro[mro.index(kind) + 1 :]
    held = {*vars(module), *module._parameters, *module._buffers, *module._modules}
    names = [name for name in vars(kind) if name not in _BUILDS | _OF_EVERY_CLASS]
    return [name for name in names if name in held or any(hasattr(base, name) for base in behind)]
