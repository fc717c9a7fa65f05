"""The tensors of a torch model as its next call computes with them.

What of them cannot be relied on is named.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import snntorch as snn
import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from lehr.errors import NotMappable
from lehr.export.torchmodels.calls import compiled_forward, computed_tensor, is_wrapper, unwrapped
from lehr.export.torchmodels.qat import keep_scales
from lehr.export.torchmodels.torchao import keep_values

_READ = frozenset(
    {
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "threshold",
        "beta",
        "alpha",
        "R",
        "C",
        "time_step",
        "graded_spikes_factor",
        "steps",
        "w",
        "tau_mem",
        "tau_syn",
        "alpha_mem",
        "alpha_syn",
        "spike_threshold",
        "min_v_mem",
    }
)
"""Names of the tensors that layers and neurons compute with."""

_STATE = frozenset({"spk", "syn", "mem"})
"""Buffers of neurons that hold what the last run left, and are set anew before the next."""


class NotCopied(NotMappable):
    """A model that cannot be copied."""


def settled_copy(model: nn.Module) -> nn.Module:
    """Return a copy in double precision and evaluation mode, on the CPU.

    It is without wrappers, without hooks but torch's own, and without the graphs that a run has
    left. Tensors that torch's own pre-hooks compute (pruning, weight norm, spectral norm) are what
    the next call will compute.

    Raises:
        NotCopied: when the model cannot be copied.
    """
    modules = list(model.modules())
    values = [
        value for module in modules for value in (*vars(module).values(), *module._buffers.values())
    ]
    memo: dict[int, Any] = {
        id(value): value.detach()
        for value in values
        if isinstance(value, Tensor) and value.grad_fn is not None
    }
    try:
        for module in reversed(modules):  # inner ones first
            if is_wrapper(module):
                memo[id(module)] = copy.deepcopy(unwrapped(module), memo)
        copied: nn.Module = copy.deepcopy(model, memo)
        for module in copied.modules():
            keep_values(module)
        copied.to("cpu", torch.float64)
        copied.eval()
    except Exception as error:  # whatever the user's own methods of copying raise
        reason = str(error).partition("\n")[0]
        raise NotCopied(
            f"model: it cannot be copied ({reason}); export it before it runs"
        ) from error
    for module in copied.modules():
        keep_scales(module)
        module._forward_hooks.clear()
        for key, hook in list(module._forward_pre_hooks.items()):
            if computed_tensor(hook) is None:
                del module._forward_pre_hooks[key]
            else:
                with torch.no_grad():
                    hook(module, ())
        if compiled_forward(module):
            del module.forward
        if isinstance(module, snn.SpikingNeuron):
            vars(module)["spike_grad"] = functools.partial(_fire, module.spike_grad)
    return copied


def _fire(spike_grad: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return spikes in the type of the membrane.

    snnTorch's own are float32, which double weights do not take.
    """
    return spike_grad(x).to(x.dtype)


def not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """Say which of a layer's tensors hold NaN or infinity, and what of the two.

    It is None where all are finite.
    """
    wrong = {name: tensor for name, tensor in tensors if not bool(torch.isfinite(tensor).all())}
    if not wrong:
        return None
    kind = "NaN" if any(bool(tensor.isnan().any()) for tensor in wrong.values()) else "infinite"
    return f"its {', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} not finite ({kind})"


def trained_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield what training has set in a layer, without the layers in it.

    These are its parameters, those behind its parametrizations, and of norms and neurons the
    buffers but for states.
    """
    yield from module.named_parameters(recurse=False)
    if parametrize.is_parametrized(module):
        behind = module.get_submodule("parametrizations")
        yield from (
            (f"parametrizations.{name}", tensor) for name, tensor in behind.named_parameters()
        )
    if isinstance(module, nn.modules.batchnorm._NormBase | snn.SpikingNeuron):
        yield from (
            (name, tensor)
            for name, tensor in module.named_buffers(recurse=False)
            if name not in _STATE
        )


def read_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return, by name, what a layer of a settled copy, and those in it, compute with.

    Computed tensors are what its next call computes.
    """
    with torch.no_grad():
        return {
            f"{prefix}.{name}".removeprefix("."): value.detach()
            for prefix, inner in module.named_modules()
            for name in sorted(_READ | {"V"})
            if isinstance(value := getattr(inner, name, None), Tensor)
        }


def value_problem(module: nn.Module) -> str | None:
    """Say why the values of a layer of a settled copy cannot be relied on, and the way out."""
    if module.training:
        return (
            "it stays in training mode when the model's eval() is called; let train() of the "
            "modules around it reach it"
        )
    if loose := [name for inner in module.modules() for name in _loose(inner)]:
        return (
            f"its {loose[0]} is no parameter, and what computes it cannot be seen; make it an "
            "nn.Parameter or a torch parametrization"
        )
    held = (
        (f"{prefix}.{name}".removeprefix("."), tensor)
        for prefix, inner in module.named_modules()
        for name, tensor in trained_tensors(inner)
    )
    if (norm := _undefined_norm(module)) is not None:
        return norm
    reason = not_finite([*held, *read_tensors(module).items()])
    if reason:
        return f"{reason}; train it again"
    if parametrize.is_parametrized(module) and (
        moved := differing(read_tensors(module), read_tensors(module))
    ):
        return (
            f"its {moved[0]} is another each time it is read; use a parametrization that computes "
            "the same in evaluation mode"
        )
    return None


def _loose(module: nn.Module) -> list[str]:
    """Name the tensors that a layer computes with and that nothing accounts for.

    Neither the layer does nor a hook of torch's own.
    """
    computed = {computed_tensor(hook) for hook in module._forward_pre_hooks.values()}
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, Tensor | fx.Proxy) and name in _READ - computed
    ]


def _undefined_norm(module: nn.Module) -> str | None:
    """Say why a batch norm divides by 0 or takes the root of less."""
    variance = getattr(module, "running_var", None)
    if not isinstance(module, nn.modules.batchnorm._NormBase) or variance is None:
        return None
    bad = torch.nonzero(~(variance + module.eps > 0) & variance.isfinite()).flatten().tolist()
    if not bad:
        return None
    return (
        f"its running_var is {float(variance[bad[0]]):g} in channel {bad[0]} and its eps "
        f"{module.eps:g},"
        " so that what it gives is not finite; set eps to 1e-5, or train it again"
    )


def differing(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Return the names of what has another value, or is gone."""
    return [
        name
        for name, value in before.items()
        if name not in after or not torch.equal(value, after[name])
    ]
