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
from torch import fx, nn

from lehr.errors import NotMappable
from lehr.export.torch_chain import ONE_STEP, Chain, Walk
from lehr.export.torch_classes import TORCHSCRIPT, name_of
from lehr.export.torch_functions import drop_identities, merge_reshapes
from lehr.export.torch_tracer import Tracer, failing_line, own_instances
from lehr.nodes import Shape

_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29)
"""Numbers of samples to follow a model with, one of which is no other size."""


def trace(model: nn.Module, shape: Shape) -> tuple[Chain, list[str]]:
    """Follow one time step through a model.

    Args:
        model: a settled copy.
        shape: of what it takes, without batch.

    Returns:
        The chain, and all that keeps the model from being one, in sentences: behind such a thing
        the chain goes on as well as it can.

    Raises:
        NotMappable: when the model cannot be followed, or a module runs several times.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise NotMappable(f"model ({name_of(model)}): {TORCHSCRIPT}")
    batch = next(number for number in _PRIMES if number not in shape)
    tracer = Tracer(torch.empty(batch, *shape, dtype=torch.float64, device="meta"))
    try:
        with uncompiled(), own_instances(model):
            graph: fx.Graph = tracer.trace(model)
    except NotMappable:
        raise
    except Exception as error:  # whatever the user's forward raises when it is called with a symbol
        reason = str(error).partition("\n")[0]
        raise NotMappable(
            f"model: its forward cannot be followed ({type(error).__name__}: {reason}; "
            f"{failing_line(error.__traceback__)}); {ONE_STEP}"
        ) from error
    drop_identities(graph)
    _require_once(
        model, Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    )
    tracer.measure_reshapes(graph.nodes)
    merge_reshapes(graph)
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
