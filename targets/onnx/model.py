"""The ONNX model of a network: one Scan over time.

    input            uint8  [N, T, *shape]     one slice per step
    counts           int32  [N, classes]       spikes of the output layer; where the network reads
    out its membranes instead: scores           int64  [N, classes]       the last membranes, their
    sums or their maxima prediction       int64  [N]                the highest count or score, the
    lowest index at ties spikes.LAYER     uint8  [N, T, *shape]     with a trace, for every neuron
    layer in order of evaluation membrane.LAYER   int32  [N, T, *shape]

N and T are symbolic, unless numbers are asked for. Time is the first axis inside, because not every
runtime scans over another one. `make_step_model` makes one step of the same as a model without a
Scan.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from onnx import GraphProto, ModelProto, ValueInfoProto, checker, helper

from lehr.intervals import intervals
from lehr.network import INPUT, OUTPUT, Network
from lehr.nodes import Shape
from lehr.simulate.result import LEAST
from lehr.targets.onnx.graph import (
    INT32,
    INT64,
    IR_VERSION,
    MEMBRANE,
    NEXT,
    OPSET,
    SPIKES,
    STATES,
    STEPS,
    UINT8,
    Graph,
)
from lehr.targets.onnx.step import State, Step

Dim = int | str
"""A dimension: a number, or the name of one that is free."""


@dataclass(frozen=True)
class Traced:
    """A value of every step that becomes an output `[N, T, *shape]` of the model."""

    name: str
    value: str
    dtype: int
    shape: Shape


def make_model(net: Network, trace: bool, samples: Dim = "N", steps: Dim = "T") -> ModelProto:
    """Return the model of `net`, which maps, checked by onnx itself.

    Args:
        net: the network.
        trace: whether every spike and membrane is an output.
        samples: how many samples it takes at once, for runtimes that want a number.
        steps: of how many steps, likewise.
    """
    step = Step(net, intervals(net))
    states = [_scores(step), *step.states]
    traced = _traced(step) if trace else []
    graph = _over_time(net, states, traced, _body(step, states, traced, samples), (samples, steps))
    return _model(graph, {STEPS: str(net.steps)})


def make_step_model(net: Network, trace: bool, samples: Dim = "N") -> ModelProto:
    """Return one time step of `net` without a Scan.

    The states come in and go out, and whoever runs it hands them on:

        input                      uint8  [N, *shape]      one step
        STATE                             [N, *its shape]  what the step before made of each state;
                                                           for the first step see the metadata
        counts or scores                  [N, classes]     as in `make_model`, up to this step;
                                                           the first state after the step
        prediction                 int64  [N]
        spikes.LAYER,                                      of this step, if `trace`
        membrane.LAYER
        next/STATE                        [N, *its shape]  the other states after the step

    The metadata `lehr.states` is a JSON list with the input, the output and the first value of each
    state.
    """
    step = Step(net, intervals(net))
    states = [_scores(step), *step.states]
    traced = _traced(step) if trace else []
    after = [scores_of(net), *(NEXT + state.before for state in states[1:])]
    for state, name in zip(states, after, strict=True):
        step.graph.op("Identity", state.after, at=OUTPUT, name=name)
    step.graph.op(
        "ArgMax",
        scores_of(net),
        at=OUTPUT,
        name="prediction",
        axis=1,
        keepdims=0,
        select_last_index=0,
    )
    for t in traced:
        step.graph.op("Identity", t.value, at=OUTPUT, name=t.name)
    states_after = [
        _info(name, s.dtype, samples, *s.shape) for s, name in zip(states, after, strict=True)
    ]
    graph = helper.make_graph(
        [helper.make_node("Identity", [INPUT], [step.value[INPUT]]), *step.graph.nodes],
        "lehr",
        [
            _info(INPUT, UINT8, samples, *net.input.shape),
            *(_info(s.before, s.dtype, samples, *s.shape) for s in states),
        ],
        [
            states_after[0],
            _info("prediction", INT64, samples),
            *(_info(t.name, t.dtype, samples, *t.shape) for t in traced),
            *states_after[1:],
        ],
        initializer=step.graph.constants,
    )
    links = [[state.before, name, state.first] for state, name in zip(states, after, strict=True)]
    return _model(graph, {STEPS: str(net.steps), STATES: json.dumps(links)})


MAKERS: Mapping[str, Callable[[Network, bool], ModelProto]] = {
    "scan": make_model,
    "step": make_step_model,
}
"""By the values of the target's option `form`."""


def _model(graph: GraphProto, facts: dict[str, str]) -> ModelProto:
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lehr",
    )
    helper.set_model_props(model, facts)
    checker.check_model(model, full_check=True)
    return model


def _scores(step: Step) -> State:
    """Return what the readout keeps of the output layer.

    It is its counts so far, or what became of its membranes.
    """
    layer, before = step.net.output, f"{OUTPUT}/before"
    shape = (math.prod(step.net.shapes[layer]),)
    if step.net.readout == "count_argmax_lowest":
        spikes = step.graph.op("Flatten", step.value[layer], at=OUTPUT)
        return State(
            before,
            step.graph.op("Add", before, step.graph.cast(spikes, INT32, OUTPUT), at=OUTPUT),
            INT32,
            shape,
        )
    now = step.graph.cast(step.graph.op("Flatten", step.membrane[layer], at=OUTPUT), INT64, OUTPUT)
    if step.net.readout == "membrane_last_argmax_lowest":
        return State(before, now, INT64, shape)
    if step.net.readout == "membrane_sum_argmax_lowest":
        return State(before, step.graph.op("Add", before, now, at=OUTPUT), INT64, shape)
    return State(before, step.graph.op("Max", before, now, at=OUTPUT), INT64, shape, first=LEAST)


def scores_of(net: Network) -> str:
    """Return the name of the output that the prediction is made from."""
    return "counts" if net.readout == "count_argmax_lowest" else "scores"


def _traced(step: Step) -> list[Traced]:
    outputs = []
    for layer in step.net.neurons:
        outputs.append(Traced(SPIKES + layer, step.value[layer], UINT8, step.net.shapes[layer]))
        outputs.append(
            Traced(MEMBRANE + layer, step.membrane[layer], INT32, step.net.shapes[layer])
        )
    return outputs


def _body(
    step: Step, states: Sequence[State], traced: Sequence[Traced], samples: Dim
) -> GraphProto:
    """Write one step: states and the input of now to new states and what is traced."""
    now = [step.graph.op("Identity", t.value, at=OUTPUT, name=f"{t.name}/now") for t in traced]
    return helper.make_graph(
        step.graph.nodes,
        "step",
        [
            *(_info(s.before, s.dtype, samples, *s.shape) for s in states),
            _info(step.value[INPUT], UINT8, samples, *step.net.input.shape),
        ],
        [
            *(_info(s.after, s.dtype, samples, *s.shape) for s in states),
            *(_info(name, t.dtype, samples, *t.shape) for name, t in zip(now, traced, strict=True)),
        ],
        initializer=step.graph.constants,
    )


def _over_time(
    net: Network,
    states: Sequence[State],
    traced: Sequence[Traced],
    body: GraphProto,
    lead: tuple[Dim, Dim],
) -> GraphProto:
    """Return the whole graph: `body` scanned over the input's steps, from the states before it."""
    graph = Graph()
    slices = graph.op("Transpose", INPUT, at=INPUT, perm=_swapped(net.input.shape))
    batch = graph.op("Shape", INPUT, at=INPUT, start=0, end=1)
    first = [_zeros(graph, batch, state) for state in states]
    last = [scores_of(net), *(f"{state.after}/last" for state in states[1:])]
    every = [f"{t.name}/all" for t in traced]
    graph.nodes.append(
        helper.make_node(
            "Scan", [*first, slices], [*last, *every], "time", num_scan_inputs=1, body=body
        )
    )
    for t, stacked in zip(traced, every, strict=True):
        graph.op("Transpose", stacked, at=OUTPUT, name=t.name, perm=_swapped(t.shape))
    graph.op(
        "ArgMax",
        scores_of(net),
        at=OUTPUT,
        name="prediction",
        axis=1,
        keepdims=0,
        select_last_index=0,
    )
    return helper.make_graph(
        graph.nodes,
        "lehr",
        [_info(INPUT, UINT8, *lead, *net.input.shape)],
        [
            _info(scores_of(net), states[0].dtype, lead[0], *states[0].shape),
            _info("prediction", INT64, lead[0]),
            *(_info(t.name, t.dtype, *lead, *t.shape) for t in traced),
        ],
        initializer=graph.constants,
    )


def _zeros(graph: Graph, batch: str, state: State) -> str:
    size = graph.op(
        "Concat", batch, graph.constant(state.shape, INT64, state.before), at=state.before, axis=0
    )
    value = helper.make_tensor("value", state.dtype, [1], [state.first])
    return graph.op(
        "ConstantOfShape", size, at=state.before, name=f"{state.before}/first", value=value
    )


def _info(name: str, dtype: int, *shape: Dim) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def _swapped(shape: Shape) -> list[int]:
    """Axes of `[N, T, *shape]` with the first two exchanged."""
    return [1, 0, *range(2, 2 + len(shape))]
