"""An artificial neural network read as a chain of layers, between which are ReLUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn import functional

from lehr.errors import NotMappable, together
from lehr.export.fold import Float
from lehr.export.torchmodels.brevitas import is_activation, is_quant_tensor, quantizer_problem
from lehr.export.torchmodels.calls import all_problems, unwrapped
from lehr.export.torchmodels.chain import Chain
from lehr.export.torchmodels.classes import computes_weights, layer_class, name_of
from lehr.export.torchmodels.folded import folded
from lehr.export.torchmodels.trace import trace
from lehr.export.torchmodels.values import settled_copy, value_problem

BATCH = 256
"""Samples that run at a time."""

_LAST = (nn.Softmax, nn.LogSoftmax)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_ACTIVATIONS = "torch.nn.modules.activation"


@dataclass(frozen=True)
class Ann:
    """An artificial neural network.

    Attributes:
        model: a copy in double precision and evaluation mode.
        layers: from the input to the output, by qualified name, without a softmax at the end;
            layers that compute their weights are plain ones.
        full_scale: what its inputs are divided by.
    """

    model: nn.Module
    layers: Mapping[str, nn.Module]
    full_scale: float

    @property
    def rectifiers(self) -> list[str]:
        """Return the names of the ReLUs."""
        return [name for name, layer in self.layers.items() if is_rectifier(layer)]

    def batches(self, x: npt.NDArray[np.uint8]) -> Iterator[Tensor]:
        """Yield inputs as the model takes them, some at a time."""
        for start in range(0, len(x), BATCH):
            yield torch.from_numpy(x[start : start + BATCH].astype(np.float64)) / self.full_scale

    def activations(self, x: npt.NDArray[np.uint8]) -> Iterator[dict[str, Tensor]]:
        """Yield what each ReLU gives, by its name, for some inputs at a time.

        What the last layer gives has the empty string for a name.
        """
        with torch.no_grad():
            for signal in self.batches(x):
                kept = {}
                for name, layer in self.layers.items():
                    signal = value_of(layer(signal))
                    if is_rectifier(layer):
                        kept[name] = signal
                yield {**kept, "": signal}

    def scores(self, x: npt.NDArray[np.uint8]) -> Float:
        """Return what the last layer gives, float64 `[N, classes]`."""
        return torch.cat([each[""].flatten(1) for each in self.activations(x)]).numpy()


def is_rectifier(layer: nn.Module) -> bool:
    """Return whether a layer is a ReLU, cut off at some value or not, quantized or not."""
    kinds = [kind.__name__ for kind in type(layer).__mro__]
    if isinstance(layer, nn.Hardtanh) and layer_class(layer) is nn.Hardtanh:  # which ReLU6 is, too
        return layer.min_val == 0
    return layer_class(layer) is nn.ReLU or (is_activation(layer) and "QuantReLU" in kinds)


def is_weighted(layer: nn.Module) -> bool:
    """Return whether a layer has weights that are no norm's."""
    return layer_class(layer) in (nn.Linear, nn.Conv2d)


def is_norm(layer: nn.Module) -> bool:
    """Return whether a layer is a batch norm."""
    return layer_class(layer) in _NORMS


def value_of(given: Any) -> Tensor:
    """Return the numbers that a layer gives, whether Brevitas has wrapped them or not."""
    numbers: Tensor = given.value if is_quant_tensor(given) else given
    return numbers


def read_ann(module: nn.Module, x: npt.NDArray[np.uint8], full_scale: float) -> Ann:
    """Read an artificial neural network.

    Args:
        module: a chain of layers. It is not touched.
        x: inputs, uint8 `[N, *shape]`, of which some are run.
        full_scale: what the model's inputs are divided by.

    Raises:
        NotMappable: naming all layers of which no integrate-and-fire neurons can be made, with the
            way out for each.
    """
    problems = [
        f"{where}: {problem}"
        for where, reasons in all_problems(module).items()
        for problem in reasons
    ]
    if problems:
        raise NotMappable(*together(problems))
    model = settled_copy(unwrapped(module))
    _part_rectifiers(model, torch.from_numpy(x[:1].astype(np.float64)) / full_scale)
    chain, problems = trace(model, x.shape[1:], 1, held=True)
    if problems:
        raise NotMappable(*together(problems))
    _require_chain(chain)
    ann = Ann(model, _without_softmax(chain.layers), full_scale)
    problems = [
        f"{name} ({name_of(layer)}): {problem}" for name, layer, problem in _problems(ann.layers)
    ]
    if problems:
        raise NotMappable(*together(problems))
    if not ann.rectifiers:
        raise NotMappable(
            "model: it has no ReLU, of which neurons would be made; train it with nn.ReLU between "
            "its layers"
        )
    plain = Ann(model, _plain(ann, x), full_scale)
    _require_same(plain, x)
    return plain


def _require_chain(chain: Chain) -> None:
    """Refuse networks whose layers are not one after another."""
    before = "input"
    for name in chain.layers:
        if chain.inputs[name] != (before,):
            raise NotMappable(
                f"{name}: it takes what {' and '.join(chain.inputs[name])} give, and a network to "
                "convert is one chain of layers; leave sums and skips out"
            )
        before = name
    if list(chain.heads) != [before]:
        raise NotMappable(
            f"model: it returns what {' and '.join(chain.heads)} give, and a network to convert "
            "has one answer; return that of its last layer"
        )


class _Rectifier(nn.Module):
    """A ReLU that is followed as a function: each call of it is a layer of its own."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what is above 0."""
        return functional.relu(x)


def _part_rectifiers(model: nn.Module, x: Tensor) -> None:
    """Put functions in place of ReLUs that run several times in a call of the model.

    Raises:
        NotMappable: when the model does not run on `x`.
    """
    runs: Counter[nn.Module] = Counter()
    rectifiers = [module for module in model.modules() if layer_class(module) is nn.ReLU]
    hooks = [
        each.register_forward_hook(lambda module, *_: runs.update([module])) for each in rectifiers
    ]
    try:
        with torch.no_grad():
            model(x)
    except Exception as error:  # whatever the user's forward raises
        reason = str(error).partition("\n")[0]
        raise NotMappable(
            f"model: it does not run on samples of {list(x.shape[1:])} ({type(error).__name__}: "
            f"{reason}); check their shape, [N, *shape]"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is not None and runs[child] > 1:
                parent._modules[name] = _Rectifier()


def _without_softmax(layers: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Leave out a softmax at the end: the greatest value stays the greatest."""
    kept = dict(layers)
    if kept and layer_class(kept[last := next(reversed(kept))]) in _LAST:
        del kept[last]
    return kept


def _problems(layers: Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Module, str]]:
    """Yield the layers of which no neurons can be made, and why."""
    weighted = None  # since the last ReLU
    rectified = False
    for name, layer in layers.items():
        if problem := value_problem(layer) or _why_not(layer):
            yield name, layer, problem
            weighted = None if _in_place_of_relu(layer) else weighted
        elif is_rectifier(layer):
            weighted, rectified = None, True
        elif is_norm(layer) and weighted is None:
            what = "what a ReLU gives" if rectified else "the input"
            yield (
                name,
                layer,
                f"it normalizes {what}, and spikes are not shifted; fold it into the weights and "
                "bias of the layer after it, or put it behind one",
            )
        elif is_weighted(layer) or computes_weights(layer):
            if weighted is not None:
                yield (
                    name,
                    layer,
                    f"it follows {weighted} without a ReLU between them; put nn.ReLU there, or "
                    "make one layer of the two",
                )
            weighted = name


def _in_place_of_relu(layer: nn.Module) -> bool:
    """Return whether a refused layer stands where a ReLU would."""
    return isinstance(layer, snn.SpikingNeuron) or layer_class(layer).__module__ == _ACTIVATIONS


def _why_not(layer: nn.Module) -> str | None:
    """Say why a layer is none that neurons and integer weights compute, and the way out."""
    kind = layer_class(layer)
    if isinstance(layer, snn.SpikingNeuron):
        return "it spikes already; export the model with lehr export"
    if is_rectifier(layer):
        return None
    if kind in _LAST:
        return (
            "it divides by a sum over classes, which no neuron computes; leave it out, or have it "
            "last, where it decides nothing"
        )
    if kind.__module__ == _ACTIVATIONS:
        return "the rate of a neuron is a ReLU of what it takes; train the model with nn.ReLU"
    if kind in (nn.MaxPool2d, nn.AdaptiveMaxPool2d):
        return (
            "the greatest of several rates is no sum of spikes; train the model with nn.AvgPool2d"
        )
    if is_activation(layer):
        return "it quantizes what is no ReLU's; leave it out, or use QuantReLU"
    return quantizer_problem(layer)


def _plain(ann: Ann, x: npt.NDArray[np.uint8]) -> dict[str, nn.Module]:
    """Return the layers, plain ones in place of those that compute their weights."""
    signal, layers = next(ann.batches(x[:1])), {}
    for name, layer in ann.layers.items():
        shape = tuple(signal.shape[1:])
        try:
            layers[name] = folded(layer, shape).layer if computes_weights(layer) else layer
        except NotMappable as error:
            raise NotMappable(f"{name} ({name_of(layer)}): {error}") from None
        with torch.no_grad():
            signal = value_of(layers[name](signal))
    return layers


def _require_same(ann: Ann, x: npt.NDArray[np.uint8]) -> None:
    """Refuse a model that does not give what the chain of its layers gives."""
    some = x[:BATCH]
    with torch.no_grad():
        given = value_of(ann.model(next(ann.batches(some)))).flatten(1).numpy()
    if not np.array_equal(given.argmax(1), ann.scores(some).argmax(1)):
        raise NotMappable(
            "model: it does not give what its layers give one after another; report it as a bug of "
            "lehr"
        )
