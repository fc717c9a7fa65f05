"""The ONNX model of a network: one Scan over time.

    input            uint8  [N, T, *shape]     one slice per step
    counts           int32  [N, classes]       spikes of the output layer
    prediction       int64  [N]                the highest count, the lowest index at ties
    spikes.LAYER     uint8  [N, T, *shape]     with a trace, for every neuron layer in order of evaluation
    membrane.LAYER   int32  [N, T, *shape]

N and T are symbolic. Time is the first axis inside, because not every runtime scans over another one.
"""

from __future__ import annotations

import math

from onnx import ModelProto, ValueInfoProto, checker, helper

from lehr.export.widths import intervals
from lehr.network import INPUT, Network
from lehr.nodes import Shape
from lehr.targets.onnx.graph import INT32, INT64, UINT8, Graph
from lehr.targets.onnx.step import State, Step

OPSET, IR_VERSION = 21, 10
STEPS = "lehr.steps"


def spikes_name(layer: str) -> str:
    """Name of the output that holds a layer's spikes."""
    return f"spikes.{layer}"


def membrane_name(layer: str) -> str:
    """Name of the output that holds a layer's membranes."""
    return f"membrane.{layer}"


def make_model(net: Network, trace: bool) -> ModelProto:
    """The model of `net`, with an output for every spike and membrane if `trace`; checked by onnx itself.

    Raises:
        NotMappable: when an accumulator can leave int32.
    """
    step = Step(net, intervals(net))
    classes = math.prod(net.shapes[net.output])
    spikes = step.graph.cast(step.graph.op("Flatten", step.value[net.output], at="counts"), INT32, "counts")
    counts = step.graph.op("Add", "counts/before", spikes, at="counts")
    states = [State("counts/before", counts, INT32, (classes,)), *step.states]
    traced = [
        (name, value, dtype, net.shapes[layer])
        for layer in (net.neurons if trace else ())
        for name, value, dtype in ((spikes_name(layer), step.value[layer], UINT8), (membrane_name(layer), step.membrane[layer], INT32))
    ]
    for name, value, _, _ in traced:
        step.graph.op("Identity", value, at="trace", name=f"{name}/now")
    body = helper.make_graph(
        step.graph.nodes,
        "step",
        [*(_info(s.before, s.dtype, "N", *s.shape) for s in states), _info(step.value[INPUT], UINT8, "N", *net.input.shape)],
        [*(_info(s.after, s.dtype, "N", *s.shape) for s in states), *(_info(f"{n}/now", d, "N", *shape) for n, _, d, shape in traced)],
        initializer=step.graph.constants,
    )

    outer = Graph()
    over_time = outer.op("Transpose", INPUT, at="time", perm=_swapped(net.input.shape))
    batch = outer.op("Shape", INPUT, at="time", start=0, end=1)
    initial = [_zeros(outer, batch, state) for state in states]
    last = ["counts", *(f"{state.after}/last" for state in states[1:])]
    scan = helper.make_node("Scan", [*initial, over_time], [*last, *(f"{n}/all" for n, *_ in traced)], "time", num_scan_inputs=1, body=body)
    outer.nodes.append(scan)
    for name, _, _, shape in traced:
        outer.op("Transpose", f"{name}/all", at="trace", name=name, perm=_swapped(shape))
    outer.op("ArgMax", "counts", at="prediction", name="prediction", axis=1, keepdims=0, select_last_index=0)
    graph = helper.make_graph(
        outer.nodes,
        "lehr",
        [_info(INPUT, UINT8, "N", "T", *net.input.shape)],
        [
            _info("counts", INT32, "N", classes),
            _info("prediction", INT64, "N"),
            *(_info(name, dtype, "N", "T", *shape) for name, _, dtype, shape in traced),
        ],
        initializer=outer.constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="lehr")
    helper.set_model_props(made, {STEPS: str(net.steps)})
    checker.check_model(made, full_check=True)
    return made


def _zeros(outer: Graph, batch: str, state: State) -> str:
    size = outer.op("Concat", batch, outer.constant(state.shape, INT64, state.before), at=state.before, axis=0)
    value = helper.make_tensor("value", state.dtype, [1], [0])
    return outer.op("ConstantOfShape", size, at=state.before, name=f"{state.before}/first", value=value)


def _info(name: str, dtype: int, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def _swapped(shape: Shape) -> list[int]:
    """Axes of `[N, T, *shape]` with the first two exchanged."""
    return [1, 0, *range(2, 2 + len(shape))]
