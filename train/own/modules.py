"""A user's own torch model with snnTorch neurons, binarized.

The modules are the same, in the same places, with other weights and thresholds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

from lehr.errors import UsageError
from lehr.export.torchmodels.calls import call_problems, global_problems, is_compiled
from lehr.export.torchmodels.recurrent import ONE_TO_ONE
from lehr.export.torchmodels.values import not_finite, trained_tensors
from lehr.train.floats.quantize import Quantizer, Signs
from lehr.train.keys.threshold import Threshold
from lehr.train.own.delays import AxonalDelays
from lehr.train.own.neurons import ANNEALED, adopt

Model = TypeVar("Model", bound=nn.Module)

WEIGHTS = (nn.Linear, nn.Conv2d)
"""The classes whose weights are binarized, beside those of spikes that come back one to one.

Classes derived from them are not: their forward pass may do anything.
"""

_NEURONS = "Leaky, RLeaky, Synaptic or RSynaptic"


class QuantizedWeight(nn.Module):
    """torch's parametrization, by which whoever reads `layer.weight` sees -1 and +1.

    Or what else the quantizer makes of the latents.

    The latents, which the optimiser trains, are `layer.parametrizations.weight.original`.

    Attributes:
        quantizer: this layer's own.
    """

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.quantizer = quantizer

    def forward(self, latent: Tensor) -> Tensor:
        """Levels times their step, in the shape of the latents."""
        rows = latent.reshape(1) if latent.ndim == 0 else latent  # one weight for all neurons
        return self.quantizer.scaled(self.quantizer.levels(rows), rows).view_as(latent)


def binarize(
    model: Model,
    *,
    thresholds: Threshold | Mapping[str, Threshold],
    skip: Iterable[str] = (),
    quantizer: Callable[[], Quantizer] = Signs,
) -> Model:
    """Return a copy of a model with binarized weights and annealed thresholds.

    Weights are those of every Linear and Conv2d, and those through which the spikes of snntorch's
    RLeaky and RSynaptic come back, all to all or one to one; thresholds those of its Leaky, RLeaky,
    Synaptic and RSynaptic.

    The real weights stay as what is trained, biases and batch norms as they are. Modules without
    weights pass, and so do `lehr.train.AxonalDelays`. Weights that the forward pass takes from
    anywhere else than a module's parameters and buffers cannot be found.

    Args:
        model: any module; it is not touched.
        thresholds: the schedule of each neuron by the neuron's qualified name, or one for all; in
            the units of the membrane.
        skip: qualified names of modules that stay as they are, with all that is in them, and of
            parameters and buffers that are no layer's, such as the mean of the inputs.
        quantizer: makes the quantizer of each layer; signs if none is given.

    Returns:
        The copy, a module of the same class: train it with `lehr.train.ThresholdAnnealer`.

    Raises:
        UsageError: with every module that would silently keep float weights or a fixed threshold,
            that has hooks or a replaced forward, or holds numbers that are not finite, and a way
            out for each; when a name is none of the model's; when there is nothing to binarize or
            to anneal.
    """
    names = dict(model.named_modules(remove_duplicate=False))
    held = {
        f"{name}.{key}".removeprefix("."): tensor
        for name, module in names.items()
        for key, tensor in _held(module).items()
    }
    skipped = _known("skip", skip, names | held)
    left = {id(inner) for name in skipped if name in names for inner in names[name].modules()}
    left |= {id(held[name]) for name in skipped if name in held}
    neurons = {
        name: module
        for name, module in names.items()
        if type(module) in ANNEALED and id(module) not in left
    }
    if isinstance(thresholds, Threshold):
        thresholds = dict.fromkeys(neurons, thresholds)
    if learned := [name for name, schedule in thresholds.items() if schedule.learned]:
        raise UsageError(
            f"thresholds: the schedule of {', '.join(learned)} is 'learned', which layers of "
            "recipes have alone; give one that moves it, or skip the neuron and build it with "
            "learn_threshold"
        )
    schedules = {
        id(neurons[name]): thresholds[name] for name in _known("thresholds", thresholds, neurons)
    }
    taken = {name: module for name, module in model.named_modules() if id(module) not in left}
    _require_possible(taken, left | schedules.keys(), {id(module) for module in names.values()})

    result = _copy(model)
    for name, module in list(result.named_modules()):
        if name not in taken:
            continue
        if (tensor := _quantized(module)) is not None:
            weight = module.get_parameter(tensor)
            parametrize.register_parametrization(
                module, tensor, QuantizedWeight(quantizer().to(weight))
            )
        elif type(module) in ANNEALED:
            adopt(module, schedules[id(taken[name])])
    return result


def _quantized(module: nn.Module) -> str | None:
    """Name the parameter of a module that is binarized; None where none is."""
    if type(module) in WEIGHTS:
        return "weight"
    return "V" if type(module) in ONE_TO_ONE and "V" in module._parameters else None


def _known(argument: str, given: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the names given, all of which are among those there are."""
    given, names = list(given), [name for name in names if name]
    if unknown := [name for name in given if name not in names]:
        known = ", ".join(names) or "none"
        raise UsageError(
            f"{argument}: '{unknown[0]}' is nothing that it can name in this model; there are "
            f"{known}"
        )
    return given


def _require_possible(
    taken: Mapping[str, nn.Module], settled: set[int], registered: set[int]
) -> None:
    """Refuse a model with all its reasons, or one in which nothing is to be done.

    Args:
        taken: modules by qualified name.
        settled: ids of neurons with a schedule, and of tensors that stay as they are.
        registered: ids of all modules that torch knows of.
    """
    problems = {
        name: problem
        for name, module in taken.items()
        if (problem := _problem(module, settled, registered))
    }
    defects = [f"torch: {problem}" for problem in global_problems()]
    defects += [
        f"{_place(name, module)}: {problem}"
        for name, module in taken.items()
        for problem in _defects(module)
    ]
    if problems or defects:
        reasons = ". ".join(
            [
                *defects,
                *(f"{_place(name, taken[name])}: {problem}" for name, problem in problems.items()),
            ]
        )
        names = ", ".join(
            f'"{each}"' for name in problems for each in ([name] if name else _held(taken[name]))
        )
        raise UsageError(
            f"the model cannot be binarized: {reasons}"
            + (f". To leave them as they are: skip=[{names}]" if names else "")
        )
    for kinds, what in (
        (WEIGHTS, "Linear or Conv2d to binarize"),
        (ANNEALED, f"neuron to anneal, which are snntorch's {_NEURONS}"),
    ):
        if not any(type(module) in kinds for module in taken.values()):
            raise UsageError(f"model: it has no {what}; add one, or skip less")


def _place(name: str, module: nn.Module) -> str:
    return f"{name or 'model'} ({type(module).__name__})"


def _defects(module: nn.Module) -> Iterator[str]:
    """Say why a module, without what is in it, is nothing to go on from.

    What else its call runs, and numbers that are none.
    """
    if is_compiled(module):
        yield "torch.compile has made it; binarize the model itself, and compile what that gives"
    yield from call_problems(module)
    if not isinstance(module, LazyModuleMixin | parametrize.ParametrizationList) and (
        reason := not_finite(trained_tensors(module))
    ):
        yield f"{reason}; train it again"


def _problem(module: nn.Module, settled: set[int], registered: set[int]) -> str | None:
    """Why a module, without what is in it, cannot be binarized, and the way out."""
    if isinstance(module, LazyModuleMixin):
        return "it has no weights yet; run the model once before"
    if isinstance(module, parametrize.ParametrizationList):
        return None  # the module that it belongs to is named
    if parametrize.is_parametrized(module) or (
        type(module) in WEIGHTS and "weight" not in module._parameters
    ):
        return (
            "its weight is computed from others (parametrization, weight norm, pruning, or "
            "binarized already); remove that before"
        )
    if isinstance(module, snn.SpikingNeuron):
        return _neuron_problem(module, settled)
    if type(module) in (*WEIGHTS, AxonalDelays) or isinstance(module, _BatchNorm):
        return None
    if type(module) in ONE_TO_ONE:
        return _fixed(module)
    if stays := [name for name, tensor in _held(module).items() if id(tensor) not in settled]:
        return f"its {', '.join(stays)} would stay float; compute with Linear and Conv2d"
    if hidden := [
        name
        for name, value in vars(module).items()
        if name not in vars(nn.Module()) and _hides(value, registered)
    ]:
        return (
            f"its {', '.join(hidden)} hides weights from torch; make it an nn.ModuleList, "
            "nn.ModuleDict or nn.Parameter"
        )
    return None


def _neuron_problem(neuron: Any, settled: set[int]) -> str | None:
    """Why a neuron cannot be annealed, and the way out."""
    if type(neuron) not in ANNEALED:
        return f"it is a neuron without annealing; use snntorch's {_NEURONS}"
    if isinstance(neuron.threshold, nn.Parameter):
        return (
            "its threshold is learnt, which annealing would overwrite; build it without "
            "learn_threshold"
        )
    return None if id(neuron) in settled else "it has no schedule; name it in thresholds"


def _fixed(module: Any) -> str | None:
    """Say why spikes that come back one to one would do so through weights that stay float."""
    if isinstance(module.V, nn.Parameter) or bool((torch.as_tensor(module.V).abs() == 1).all()):
        return None
    return (
        f"its V, {module.V.tolist()}, is fixed and would stay float; build the neuron with "
        "learn_recurrent=True, or with V=1"
    )


def _held(module: nn.Module) -> dict[str, Tensor]:
    """Name float parameters and buffers of a module of no kind that is known here.

    What computes with them cannot be seen.
    """
    if type(module) in (*WEIGHTS, *ONE_TO_ONE, AxonalDelays) or isinstance(
        module, _BatchNorm | snn.SpikingNeuron | LazyModuleMixin | parametrize.ParametrizationList
    ):
        return {}
    own = {**module._parameters, **module._buffers}
    return {
        name: tensor
        for name, tensor in own.items()
        if tensor is not None and tensor.is_floating_point()
    }


def _hides(value: Any, registered: set[int]) -> bool:
    """Whether a plain attribute is a tensor to be trained, or hides modules from torch.

    A container of which torch knows nothing hides them.
    """
    if isinstance(value, Tensor):
        return value.is_leaf and value.requires_grad
    inner = (
        value.values()
        if isinstance(value, dict)
        else value
        if isinstance(value, list | tuple)
        else ()
    )
    return any(isinstance(each, nn.Module) and id(each) not in registered for each in inner)


def _copy(model: Model) -> Model:
    """Return a deep copy without the run's graph.

    Membranes, and what else a run has left, stand without it.
    """
    values = [
        value
        for module in model.modules()
        for value in (*vars(module).values(), *module._buffers.values())
    ]
    memo: dict[int, Any] = {
        id(value): value.detach().clone()
        for value in values
        if isinstance(value, Tensor) and value.grad_fn is not None
    }
    try:
        return copy.deepcopy(model, memo)
    except (RuntimeError, TypeError) as error:
        raise UsageError(
            "model: it cannot be copied, perhaps for tensors that its last run left; binarize it "
            "before it runs"
        ) from error
