"""One time step of a whole network: the body of the model's Scan.

Spikes and inputs are uint8, sums int32. Weights are applied by ConvInteger and MatMulInteger, which
take 8-bit inputs; a value that may lie outside of 0..255 goes through them in digits of eight bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lehr.interval import Interval
from lehr.network import INPUT, Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import MaxPool2d, Scale, Shape, Upsample2d
from lehr.tables import Table
from lehr.targets.onnx.graph import INT8, INT32, INT64, NUMPY, UINT8, Graph
from lehr.targets.onnx.neuron import Layer
from lehr.targets.onnx.temporaries import types_of
from lehr.update import FIRED
from lehr.weights import LARGEST

BYTE = 256
PAIRED_MAX = 64
"""The greatest weight of which two, times 255 each, stay inside 16 bits: 32,640 of 32,767."""


@dataclass(frozen=True)
class State:
    """State that a step hands to the next.

    Attributes:
        before, after: the body's input and output, `[N, *shape]`.
        first: what all of it is at first.
    """

    before: str
    after: str
    dtype: int
    shape: Shape
    first: int = 0

    @property
    def bytes(self) -> int:
        """Its size for one sample."""
        return math.prod(self.shape) * np.dtype(NUMPY[self.dtype]).itemsize


def sum_of_sources(net: Network, name: str, bounds: dict[str, Interval]) -> tuple[int, int]:
    """Lowest and highest value of the summed input of a node."""
    lows, highs = zip(*(bounds[source].limits for source in net.sources(name)), strict=True)
    return sum(lows), sum(highs)


def current(net: Network, name: str, bounds: dict[str, Interval]) -> int:
    """Return the greatest magnitude of the summed input of a node."""
    low, high = sum_of_sources(net, name, bounds)
    return max(-low, high)


def digit_count(low: int, high: int) -> int:
    """Return how many bytes hold `low` to `high` in two's complement.

    It is 0 where one unsigned byte does.
    """
    if low >= 0 and high < BYTE:
        return 0
    bits = max((~low if low < 0 else low).bit_length(), high.bit_length()) + 1
    return -(-bits // 8)


NODES: Table[Callable[..., None]] = Table("target onnx")


class Step:
    """The operators of one step of `net`, in `graph`; what comes out of each node is in `value`."""

    def __init__(self, net: Network, bounds: dict[str, Interval]) -> None:
        self.net, self.bounds, self.graph = net, bounds, Graph()
        self.value = {INPUT: f"{INPUT}/now"}
        self.membrane: dict[str, str] = {}
        self.states: list[State] = []
        late = {name for name, node in net.neurons.items() if FIRED in node.program.states}
        self.remembered = [
            name for name in net.order if name in late | {source for source, _ in net.feedback}
        ]
        for name in net.order:
            node = net.nodes[name]
            NODES[type(node)](self, name, node)
        self.states += [
            State(f"{n}/before", self.value[n], self.dtype(n), net.shapes[n])
            for n in self.remembered
        ]

    def dtype(self, name: str) -> int:
        """Return the type of what comes out of a node."""
        node = self.net.nodes.get(name)
        if node is None or isinstance(node, Neuron):
            return UINT8
        return self.dtype_in(name) if node.copies else INT32

    def dtype_in(self, name: str) -> int:
        """Return the type of what arrives at a node."""
        sources = self.net.sources(name)
        return self.dtype(sources[0]) if len(sources) == 1 else INT32

    def arriving(self, name: str, dtype: int) -> str:
        """Return the sum over the edges into a node, as `dtype`."""
        values = []
        for source in self.net.sources(name):
            value = (
                f"{source}/before" if (source, name) in self.net.feedback else self.value[source]
            )
            values.append(
                value if self.dtype(source) == dtype else self.graph.cast(value, dtype, name)
            )
        return self.graph.total(values, name)

    def digits(self, name: str) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield what arrives at a node as uint8 digits.

        Each comes with its zero point, if any, and its place value.
        """
        count = digit_count(*sum_of_sources(self.net, name, self.bounds))
        if count == 0:
            dtype = self.dtype_in(name)
            value = self.arriving(name, dtype)
            yield (value if dtype == UINT8 else self.graph.cast(value, UINT8, name),), 1
            return
        rest, base = self.arriving(name, INT32), self.graph.constant(BYTE, INT32, name)
        for index in range(count - 1):
            digit = self.graph.op("Mod", rest, base, at=name)
            yield (self.graph.cast(digit, UINT8, name),), BYTE**index
            rest = self.graph.op("Div", self.graph.op("Sub", rest, digit, at=name), base, at=name)
        raised = self.graph.op("Add", rest, self.graph.constant(BYTE // 2, INT32, name), at=name)
        yield (
            (self.graph.cast(raised, UINT8, name), self.graph.constant(BYTE // 2, UINT8, name)),
            BYTE ** (count - 1),
        )


@NODES.rule(Conv2d, Linear)
def _weights(step: Step, name: str, node: Conv2d | Linear) -> None:
    kind, weight, attributes = "MatMulInteger", node.weight.T, dict[str, Any]()
    if isinstance(node, Conv2d):
        kind, weight = "ConvInteger", node.weight
        attributes = {
            "strides": node.stride,
            "pads": node.padding * 2,
            "dilations": node.dilation,
            "group": node.groups,
        }
    # Kernels for signed bytes may add pairs of products in 16 bits, saturating; weights for which
    # that is not exact go as unsigned bytes around a zero point, whose kernels widen first.
    around = []
    if LARGEST[node.kind] > PAIRED_MAX:
        matrix = step.graph.constant(weight.astype(np.int16) + BYTE // 2, UINT8, name)
        around = [step.graph.constant(BYTE // 2, UINT8, name)]
    else:
        matrix = step.graph.constant(weight, INT8, name)
    parts = []
    for (value, *zero), place in step.digits(name):
        zeros = [*(zero or [""]), *around] if around else zero
        part = step.graph.op(kind, value, matrix, *zeros, at=name, **attributes)
        parts.append(
            part
            if place == 1
            else step.graph.op("Mul", part, step.graph.constant(place, INT32, name), at=name)
        )
    step.value[name] = step.graph.total(parts, name)


@NODES.rule(SumPool2d)
def _pool(step: Step, name: str, node: SumPool2d) -> None:
    """Sum over windows: first over their rows, then over their columns."""
    total = step.arriving(name, INT32)
    if any(node.padding):
        pads = step.graph.constant([0, 0, *node.padding] * 2, INT64, name)
        total = step.graph.op("Pad", total, pads, at=name)
    for axis in range(2):
        total = step.graph.total(_shifted(step, name, node, total, axis), name)
    step.value[name] = total


@NODES.rule(MaxPool2d)
def _maximum(step: Step, name: str, node: MaxPool2d) -> None:
    """Take the greatest over the rows of windows, then over their columns.

    MaxPool itself takes no int32 in the usual runtimes.
    """
    value, ends = step.arriving(name, INT32), node.ends(step.net.shapes[step.net.sources(name)[0]])
    if any((*node.padding, *ends)):
        pads = step.graph.constant([0, 0, *node.padding, 0, 0, *ends], INT64, name)
        least = step.graph.constant(np.iinfo(np.int32).min, INT32, name)
        value = step.graph.op("Pad", value, pads, least, at=name)
    for axis in range(2):
        shifted = _shifted(step, name, node, value, axis, node.dilation[axis])
        value = step.graph.op("Max", *shifted, at=name) if len(shifted) > 1 else shifted[0]
    step.value[name] = value


def _shifted(
    step: Step, name: str, node: SumPool2d | MaxPool2d, value: str, axis: int, dilation: int = 1
) -> list[str]:
    """Return each row (axis 0), or column, of all windows."""
    size, stride, out = node.kernel[axis], node.stride[axis], step.net.shapes[name][1 + axis]
    ranges = [
        ([start], [start + (out - 1) * stride + 1], [axis + 2], [stride])
        for start in range(0, size * dilation, dilation)
    ]
    constants = [[step.graph.constant(number, INT64, name) for number in part] for part in ranges]
    return [step.graph.op("Slice", value, *part, at=name) for part in constants]


@NODES.rule(Upsample2d)
def _upsample(step: Step, name: str, node: Upsample2d) -> None:
    """Take each row several times, then each column."""
    value = step.arriving(name, step.dtype_in(name))
    for axis, (size, times) in enumerate(
        zip(step.net.shapes[name][1:], node.scale, strict=True), 2
    ):
        if times > 1:
            places = step.graph.constant(np.arange(size) // times, INT64, name)
            value = step.graph.op("Gather", value, places, at=name, axis=axis)
    step.value[name] = value


@NODES.rule(Scale)
def _scale(step: Step, name: str, node: Scale) -> None:
    factor = node.factor.reshape(
        1, *node.factor.shape, *[1] * (len(step.net.shapes[name]) - node.factor.ndim)
    )
    step.value[name] = step.graph.op(
        "Mul", step.arriving(name, INT32), step.graph.constant(factor, INT32, name), at=name
    )


@NODES.rule(Flatten)
def _flatten(step: Step, name: str, node: Flatten) -> None:
    del node
    step.value[name] = step.graph.op("Flatten", step.arriving(name, step.dtype_in(name)), at=name)


@NODES.rule(Delay)
def _delay(step: Step, name: str, node: Delay) -> None:
    """Write a delay as a line `[N, steps, *shape]`.

    What arrives goes in at its end. The oldest comes out, or of each value the one of its own time.
    """
    graph, shape = step.graph, step.net.shapes[name]
    dtype, one = step.dtype_in(name), graph.constant([1], INT64, name)
    newest = graph.op("Unsqueeze", step.arriving(name, dtype), one, at=name)
    line = State(f"{name}/line", f"{name}/line_after", dtype, (node.longest, *shape))
    longer = graph.op("Concat", line.before, newest, at=name, axis=1)
    end = graph.constant([node.longest + 1], INT64, name)
    graph.op("Slice", longer, one, end, one, at=name, name=line.after)
    step.states.append(line)
    if isinstance(node.steps, int):
        step.value[name] = graph.op(
            "Gather", longer, graph.constant(0, INT64, name), at=name, axis=1
        )
        return
    # as a place in the line, which is a step longer
    ago = graph.constant((node.longest - node.spread(shape))[None, None], INT64, name)
    size = graph.op(
        "Concat",
        graph.op("Shape", newest, at=name, start=0, end=1),
        graph.constant([1, *shape], INT64, name),
        at=name,
        axis=0,
    )
    own = graph.op(
        "GatherElements", longer, graph.op("Expand", ago, size, at=name), at=name, axis=1
    )
    step.value[name] = graph.op("Squeeze", own, one, at=name)


@NODES.rule(Neuron)
def _neuron(step: Step, name: str, node: Neuron) -> None:
    shape, program = step.net.shapes[name], node.program
    dtype, kept = types_of(node, current(step.net, name, step.bounds))
    layer = Layer(step.graph, name, node, shape, dtype)
    before = {x: f"{name}/before" if x == FIRED else f"{name}/register.{x}" for x in program.states}
    layer.step(before, step.arriving(name, dtype))
    step.value[name] = layer.after(FIRED, UINT8)
    for x, wide in kept.items():
        step.states.append(State(before[x], layer.after(x, wide), wide, shape))
    step.membrane[name] = next(
        state.after for state in step.states if state.before == before[program.membrane]
    )
