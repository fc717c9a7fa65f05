"""A torch module followed through one time step, as the chain of layers that it runs.

nirtorch's tracer, which is torch.fx with snnTorch's neurons kept whole, records what one call of
`forward` does. Only what it records is read, not what nirtorch makes of it: its own graph forgets
which neuron ran twice, and drops additions.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping

import snntorch as snn
import torch
from nirtorch.torch_tracer import NIRTorchTracer
from torch import nn

from lehr.errors import NotMappable
from lehr.export.torch_chain import ONE_STEP, Chain, Walk
from lehr.export.torch_classes import TORCHSCRIPT, is_layer, name_of


class _Tracer(NIRTorchTracer):  # type: ignore[misc]  # nirtorch has no types
    """Tracer that keeps whole what counts as one layer.

    So a layer that is not known can be named.
    """

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether a module is not looked into."""
        return is_layer(m) or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module) -> tuple[Chain, list[str]]:
    """Follow one time step through a model.

    Returns:
        The chain, and all that keeps the model from being one, in sentences: behind such a thing
        the chain goes on as well as it can.

    Raises:
        NotMappable: when the model cannot be followed, or a module runs several times.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise NotMappable(f"model ({name_of(model)}): {TORCHSCRIPT}")
    try:
        with uncompiled():
            graph = _Tracer((snn.SpikingNeuron,)).trace(model)
    except Exception as error:  # whatever the user's forward raises when it is called with a symbol
        reason = str(error).partition("\n")[0]
        raise NotMappable(
            f"model: its forward cannot be followed ({type(error).__name__}: {reason}); {ONE_STEP}"
        ) from error
    _require_once(
        model, Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    )
    walk = Walk(model)
    for node in graph.nodes:
        try:
            getattr(walk, node.op)(node)
        except NotMappable as error:
            walk.problems.append(str(error))
    return walk.chain(), walk.all_problems()


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Let functions run as they were before torch.compile.

    It does nothing where nothing can have been compiled.
    """
    if "torch._dynamo" not in sys.modules:  # importing it takes seconds
        yield
        return
    from torch._dynamo import config

    with config.patch(error_on_nested_fx_trace=False), torch.compiler.set_stance("force_eager"):
        yield


def _require_once(model: nn.Module, runs: Mapping[str, int]) -> None:
    """Refuse modules that run several times in a call of forward.

    Neurons are named first where there are some, for it is a loop then.
    """
    again = [name for name, count in runs.items() if count > 1]
    neurons = [name for name in again if isinstance(model.get_submodule(name), snn.SpikingNeuron)]
    if again:
        name, what = (
            (neurons[0], "as in a loop over time") if neurons else (again[0], "in several places")
        )
        raise NotMappable(
            f"{name}: it runs {runs[name]} times in one call of forward, {what}; {ONE_STEP}"
        )
