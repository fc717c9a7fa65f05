"""Code that a call of a torch module runs besides the forward pass of its class.

Hooks and replaced methods change what a layer computes, and its weights do not show it. Wrappers
compute what is inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as everywhere
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from lehr.export.torchmodels.classes import layer_class, name_of
from lehr.export.torchmodels.torchao import is_torchao, quantized_problem

WRAPPERS: Mapping[str, str] = {
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.optim.swa_utils.AveragedModel": "module",
}
"""Classes that compute what the module in them does, and where they keep it.

By name, because importing what torch.compile makes takes seconds.
"""

_COMPUTES_WEIGHT: Mapping[Any, str] = {
    BasePruningMethod.__call__: "_tensor_name",
    WeightNorm.__call__: "name",
    SpectralNorm.__call__: "name",
}
"""torch's own forward pre-hooks, and where they keep the name of the tensor that they compute.

They compute one tensor of their module and nothing else.
"""

_LIBRARIES = ("torch", "snntorch", "sinabs", "norse", "spikingjelly")
_CALLS = ("forward", "_call_impl", "_slow_forward", "_wrapped_call_impl")


def is_wrapper(module: nn.Module) -> bool:
    """Return whether a module only runs another one."""
    return _class_path(module) in WRAPPERS


def is_compiled(module: nn.Module) -> bool:
    """Return whether a module is what torch.compile makes of another one."""
    return WRAPPERS.get(_class_path(module)) == "_orig_mod"


def unwrapped(module: nn.Module) -> nn.Module:
    """Return what is inside all wrappers: DataParallel, torch.compile, an average of weights."""
    while is_wrapper(module):
        module = module.get_submodule(WRAPPERS[_class_path(module)])
    return module


def computed_tensor(hook: Callable[..., Any]) -> str | None:
    """Return the name of the tensor that a forward pre-hook computes.

    It is None for a hook that is not torch's own.

    Torch's own are those of pruning, weight norm and spectral norm.
    """
    attribute = _COMPUTES_WEIGHT.get(type(hook).__call__)
    return getattr(hook, attribute) if attribute else None


def all_problems(model: nn.Module) -> dict[str, list[str]]:
    """Say why the modules of a model need not compute what their classes say, with the way out.

    Returns:
        Sentences, by "name (Class)".
    """
    by_module = {"torch": list(global_problems())}
    for name, module in _named(model, "", set()):
        by_module[f"{name or 'model'} ({name_of(module)})"] = list(call_problems(module))
    return {where: problems for where, problems in by_module.items() if problems}


def _named(module: nn.Module, name: str, seen: set[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Yield a module and all in it, by the names that they have without wrappers."""
    if module in seen:
        return
    seen.add(module)
    yield name, module
    for key, inner in module.named_children():
        yield from _named(
            inner, name if is_wrapper(module) else f"{name}.{key}".removeprefix("."), seen
        )


def global_problems() -> Iterator[str]:
    """Yield why the values of every module may change.

    Reasons are the hooks that torch calls for every module, and the functions that its layers call
    and others have replaced.
    """
    for hooks, what in (
        (everywhere._global_forward_pre_hooks, "forward pre-hook"),
        (everywhere._global_forward_hooks, "forward hook"),
    ):
        for hook in hooks.values():
            yield (
                f"it has a global {what} ({_called(hook)}), which may change every module's "
                "values; remove it: handle.remove()"
            )
    for name, function in vars(nn.functional).items():
        if (
            isinstance(function, FunctionType)
            and function.__globals__["__name__"].partition(".")[0] != "torch"
        ):
            yield (
                f"its nn.functional.{name} was replaced (by {_called(function)}); export in a "
                "process that leaves it as installed"
            )


def call_problems(module: nn.Module) -> Iterator[str]:
    """Yield why a module, without those in it, need not compute what its class says."""
    if isinstance(module, torch.jit.ScriptModule):
        return  # refused where it is read
    remove = "remove it: handle.remove()"
    for hook in module._forward_pre_hooks.values():
        if computed_tensor(hook) is None and not isinstance(module, LazyModuleMixin):
            yield (
                f"it has a forward pre-hook ({_called(hook)}), which may change what it takes or "
                f"computes with; {remove}"
            )
    for hook in module._forward_hooks.values():
        yield f"it has a forward hook ({_called(hook)}), which may change what it gives; {remove}"
    if is_wrapper(module):
        return
    for name in _replaced_methods(module):
        by = _called(vars(module)[name])
        yield (
            f"its {name} was replaced on this one object (by {by}); write a class of its own, or "
            f"bring it back: del module.{name}"
        )
    if type(module).__call__ is not nn.Module.__call__ and not isinstance(module, fx.GraphModule):
        yield (
            "its class replaces __call__, which is run around forward; do in forward what that does"
        )
    yield from _changed_classes(module)
    tensors = {**module._parameters, **module._buffers}.items()
    odd = {
        name: reason for name, tensor in tensors if tensor is not None and (reason := _odd(tensor))
    }
    for reason in dict.fromkeys(odd.values()):
        names = [name for name, other in odd.items() if other == reason]
        yield f"its {', '.join(names)} {'is' if len(names) == 1 else 'are'} {reason}"


def compiled_forward(module: nn.Module) -> bool:
    """Return whether forward was replaced by what torch.compile makes of that very forward."""
    compiled = getattr(vars(module).get("forward"), "_torchdynamo_orig_callable", None)
    # torch puts a frame around functions of its own before it compiles them
    if getattr(compiled, "__globals__", {}).get("__name__") == "torch._dynamo.external_utils":
        compiled = getattr(compiled, "__wrapped__", None)
    return compiled is not None and getattr(compiled, "__func__", None) is type(module).forward


def _replaced_methods(module: nn.Module) -> list[str]:
    """Return the methods for which an object has something of its own.

    Of a library's layer all count, of other modules those by which torch calls them.
    """
    kind = layer_class(module)
    library = kind.__module__.partition(".")[0] in _LIBRARIES
    names = [
        name for name in vars(module) if name in _CALLS or (library and name in _methods(kind))
    ]
    return [name for name in names if not (name == "forward" and compiled_forward(module))]


def _changed_classes(module: nn.Module) -> Iterator[str]:
    """Yield the methods of torch's and snnTorch's classes that were replaced, and by what.

    They are replaced for the whole process.
    """
    for kind in type(module).__mro__:
        if not kind.__module__.startswith(("torch.nn.modules.", "snntorch.")):
            continue
        for name, function in vars(kind).items():
            checked = isinstance(function, FunctionType) and (
                kind is not nn.Module or name in (*_CALLS, "__call__")
            )
            if checked and function.__globals__["__name__"] != kind.__module__:
                yield (
                    f"{kind.__name__}.{name} was replaced (by {_called(function)}); export in a "
                    "process that leaves it as installed"
                )


def _methods(kind: type) -> set[str]:
    """Return the names of a class's callables, and its bases', without those of all modules."""
    return {
        name for base in kind.__mro__ for name, value in vars(base).items() if callable(value)
    } - set(dir(nn.Module))


def _odd(tensor: Tensor) -> str | None:
    """Say why a parameter or buffer is no plain tensor of numbers, and the way out."""
    if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
        return None  # the layer is lazy, and refused where it is read
    if is_torchao(tensor):
        return quantized_problem(tensor)
    if type(tensor) not in (Tensor, nn.Parameter):
        return (
            f"of the class {type(tensor).__name__}, whose operations may compute anything; make it "
            "a plain nn.Parameter"
        )
    if tensor.is_meta:
        return "without values, on the device 'meta'; load the model's weights"
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
        return (
            f"{tensor.dtype} in the layout {tensor.layout}; make it a dense tensor of real numbers"
        )
    return None


def _class_path(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _called(hook: Any) -> str:
    """Return the name that its author gave a hook."""
    return str(getattr(hook, "__qualname__", None) or type(hook).__qualname__)
