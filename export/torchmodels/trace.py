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
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from lehr.errors import NotMappable
from lehr.export.torchmodels.chain import ONE_STEP, Chain, Loop, Walk
from lehr.export.torchmodels.classes import NEURONS, TORCHSCRIPT, name_of
from lehr.export.torchmodels.functions import (
    drop_identities,
    in_place,
    merge_reshapes,
    said_batches,
)
from lehr.export.torchmodels.loop import Cut, most_calls
from lehr.export.torchmodels.tracer import InDouble, Tracer, failing_line, own_instances
from lehr.nodes import Shape

_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29)
"""Numbers of samples to follow a model with, one of which is no other size."""


def trace(model: nn.Module, shape: Shape, steps: int, *, held: bool) -> tuple[Chain, list[str]]:
    """Follow a call of a model: one time step, or a loop over time, of which one step is read.

    Args:
        model: a settled copy.
        shape: of what it takes in a step, without batch.
        steps: how many steps samples have, or are held for.
        held: whether samples are the same in every step.

    Returns:
        The chain, and all that keeps the model from being one, in sentences: behind such a thing
        the chain goes on as well as it can.

    Raises:
        NotMappable: when the model cannot be followed, its steps differ, or a module runs several
            times in one.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise NotMappable(f"model ({name_of(model)}): {TORCHSCRIPT}")
    reading: tuple[Chain, list[str]] | NotMappable
    try:
        reading = _read(model, *_followed(model, shape, steps, None), None)
    except NotMappable as error:
        reading = error
    if isinstance(reading, NotMappable) or reading[1]:
        reading = _in_time(model, shape, steps) or reading
    if isinstance(reading, NotMappable):
        raise reading
    chain, problems = reading
    loop = chain.loop
    if loop is not None and loop.axis is None and not held:
        raise NotMappable(
            f"model: its forward takes the same input in each of its {loop.steps} steps, and "
            "samples have another in each; let it take x[step], or give samples [N, *shape] and "
            f"--steps {loop.steps}"
        )
    if loop is not None and loop.steps != steps:
        way = f"--steps {loop.steps}" if held else f"samples of {loop.steps} steps"
        raise NotMappable(
            f"model: its forward runs {loop.steps} steps, and the samples have {steps}; give {way}"
        )
    return chain, problems


def _in_time(model: nn.Module, shape: Shape, steps: int) -> tuple[Chain, list[str]] | None:
    """Read a model whose input has an axis of time, the first or the second.

    It is None where forward does not take its input step by step.
    """
    for axis in (0, 1):
        try:
            graph, tracer = _followed(model, shape, steps, axis)
            own = most_calls(graph, model)
            if own == 0 or own < 2 <= steps:
                continue
            if own != steps:  # a number that forward says itself
                graph, tracer = _followed(model, shape, own, axis)
        except NotMappable:
            continue
        cut = Cut(graph, tracer, axis)
        if cut.takes_steps:
            return _read(model, graph, tracer, axis)
    return None


def _followed(
    model: nn.Module, shape: Shape, steps: int, axis: int | None
) -> tuple[fx.Graph, Tracer]:
    """Record a call of a model, whose input has an axis of time or none."""
    some = next(number for number in _PRIMES if number not in (*shape, steps))
    tracer, error = _call(model, shape, steps, axis, some)
    said = said_batches(tracer.graph) - {some}
    if len(said) == 1:  # as where forward was written for batches of one size
        (own,) = said
        again, failure = _call(model, shape, steps, axis, own)
        if failure is None and said_batches(again.graph) == {own}:
            tracer, error, again.batch = again, None, own
    if error is not None:
        raise error
    drop_identities(tracer.graph)
    return tracer.graph, tracer


def _call(
    model: nn.Module, shape: Shape, steps: int, axis: int | None, batch: int
) -> tuple[Tracer, NotMappable | None]:
    """Record a call of a model on so many samples, and why it ended, if it did."""
    sizes = [batch, *shape]
    if axis is not None:
        sizes.insert(axis, steps)
    neurons: list[Any] = [each for each in model.modules() if isinstance(each, NEURONS)]
    for neuron in neurons:
        neuron.reset_mem()
    tracer = Tracer(model, torch.empty(sizes, dtype=torch.float64, device="meta"))
    try:
        with uncompiled(), own_instances(model), InDouble():
            tracer.trace(model)
    except NotMappable as error:
        return tracer, error
    except Exception as error:  # whatever the user's forward raises when it is called with a symbol
        reason = str(error).partition("\n")[0]
        refused = NotMappable(
            f"model: its forward cannot be followed ({type(error).__name__}: {reason}; "
            f"{failing_line(error.__traceback__)}); {ONE_STEP}"
        )
        refused.__cause__ = error
        return tracer, refused
    return tracer, None


def _read(
    model: nn.Module, graph: fx.Graph, tracer: Tracer, axis: int | None
) -> tuple[Chain, list[str]]:
    """Read the record of one step, or of a loop, as a chain, with all that keeps it from one."""
    loop, problems = None, in_place(graph)
    if axis is not None or most_calls(graph, model) > 1:
        cut = Cut(graph, tracer, axis)
        loop, graph = Loop(cut.steps, axis), cut.body()
    else:
        problems += _set_anew(graph)
        tracer.measure_reshapes(graph.nodes)
    merge_reshapes(graph)
    _require_once(
        model, Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    )
    walk = Walk(model)
    for node in graph.nodes:
        try:
            getattr(walk, node.op)(node)
        except NotMappable as error:
            walk.problems.append(str(error))
    chain = replace(walk.chain(), batch=tracer.batch)
    if loop is not None:
        chain = replace(chain, loop=loop, states={})
    return chain, [*problems, *walk.all_problems()]


def _set_anew(graph: fx.Graph) -> Iterator[str]:
    """Yield the neurons that forget their state in each call of one step."""
    for node in graph.nodes:
        if node.meta.get("anew") and len(node.args) + len(node.kwargs) == 1:
            yield (
                f"{node.target}: its state is set anew in each call of forward "
                f"({node.meta['line']}); reset it where forward is called, or loop over time in it"
            )


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
    neurons = [name for name in again if isinstance(model.get_submodule(name), NEURONS)]
    if again:
        name, what = (
            (neurons[0], "as in a loop over time") if neurons else (again[0], "in several places")
        )
        raise NotMappable(
            f"{name}: it runs {runs[name]} times in one call of forward, {what}; {ONE_STEP}"
        )
