"""Nodes in C: a class for each type, and what is not here is refused by name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lehr.network import Conv2d, Delay, Flatten, Linear, Network, Neuron, SumPool2d
from lehr.nodes import MaxPool2d, Scale, Upsample2d
from lehr.tables import Table
from lehr.targets.c.memory import Field
from lehr.targets.c.tables import Constants, number_table, weight_table
from lehr.update import FIRED
from lehr.update_text import lines_of

if TYPE_CHECKING:
    from lehr.targets.c.layout import Layout

Role = Literal["sums", "maxima", "renames", "delays", "neurons"]
"""What a node does with values.

It adds them up, takes the greatest, calls them otherwise, holds them back, or takes them into
neurons.
"""


class Rules(ABC):
    """A type of node in C.

    Attributes:
        role: of its values.
    """

    role: ClassVar[Role]

    @abstractmethod
    def words(self, node: Any) -> str:
        """Return a node's parameters, for comments."""

    def constants(self, layout: Layout, name: str) -> Iterator[Constants]:
        """Return its constant arrays."""
        del layout, name
        return iter(())

    def scatter(self, layout: Layout, name: str, c_type: str) -> str:
        """Return the statement that adds what value x of input i makes to `out`, of type `c_type`.

        It is empty where linear.c.j2 has loops for it.
        """
        del layout, name, c_type
        return ""

    def states(self, layout: Layout, name: str) -> Iterator[Field]:
        """Return what it carries from step to step."""
        del layout, name
        return iter(())

    def pairs(self, net: Network, name: str) -> int:
        """Return how many pairs of an input and an output it connects, outside the padding."""
        return math.prod(net.shapes[net.sources(name)[0]])


NODES: Table[type[Rules]] = Table("target c")


def rules(node: object) -> Rules:
    """Return the rules by which C computes a node.

    Raises:
        NotMappable: when there are none.
    """
    return NODES[type(node)]()


def _weights(layout: Layout, name: str) -> Iterator[Constants]:
    node: Any = layout.net.nodes[name]
    called = f"weight_{layout.id[name]}"
    note = f"{name}: {node.weight.size} {node.kind} weights"
    counters = layout.sliced.get(layout.sums(name))
    if counters:
        note += ", rows follow one another bit by bit" if counters.packed else ""
        yield weight_table(node, called, note, counters.row_bits, packed=counters.packed)
    else:
        yield weight_table(node, called, note)


@NODES.rule(Conv2d)
class _Conv2d(Rules):
    role = "sums"

    def words(self, node: Conv2d) -> str:
        shape = " x ".join(map(str, node.weight.shape))
        return (
            f"{shape} {node.kind} weights, stride {node.stride}, padding {node.padding}, "
            f"dilation {node.dilation}, groups {node.groups}"
        )

    def constants(self, layout: Layout, name: str) -> Iterator[Constants]:
        return _weights(layout, name)

    def pairs(self, net: Network, name: str) -> int:
        node, source, target = net.nodes[name], net.shapes[net.sources(name)[0]], net.shapes[name]
        assert isinstance(node, Conv2d)
        axes = zip(
            source[1:],
            target[1:],
            node.weight.shape[2:],
            node.stride,
            node.padding,
            node.dilation,
            strict=True,
        )
        return source[0] // node.groups * target[0] * math.prod(_met(*axis) for axis in axes)


@NODES.rule(Linear)
class _Linear(Rules):
    role = "sums"

    def words(self, node: Linear) -> str:
        return f"{node.weight.shape[0]} x {node.weight.shape[1]} {node.kind} weights"

    def constants(self, layout: Layout, name: str) -> Iterator[Constants]:
        return _weights(layout, name)

    def pairs(self, net: Network, name: str) -> int:
        return net.shapes[net.sources(name)[0]][0] * net.shapes[name][0]


@NODES.rule(SumPool2d)
class _SumPool2d(Rules):
    role = "sums"

    def words(self, node: SumPool2d) -> str:
        return f"sum over {node.kernel}, stride {node.stride}, padding {node.padding}"

    def pairs(self, net: Network, name: str) -> int:
        node, source, target = net.nodes[name], net.shapes[net.sources(name)[0]], net.shapes[name]
        assert isinstance(node, SumPool2d)
        axes = zip(
            source[1:], target[1:], node.kernel, node.stride, node.padding, (1, 1), strict=True
        )
        return source[0] * math.prod(_met(*axis) for axis in axes)


@NODES.rule(MaxPool2d)
class _MaxPool2d(Rules):
    role = "maxima"

    def words(self, node: MaxPool2d) -> str:
        return (
            f"greatest of {node.kernel}, stride {node.stride}, padding {node.padding}, "
            f"dilation {node.dilation}"
        )

    def pairs(self, net: Network, name: str) -> int:
        node, source, target = net.nodes[name], net.shapes[net.sources(name)[0]], net.shapes[name]
        assert isinstance(node, MaxPool2d)
        axes = zip(source[1:], target[1:], strict=True)
        return source[0] * math.prod(
            sum(map(len, node.taps(axis, *sizes))) for axis, sizes in enumerate(axes)
        )


@NODES.rule(Upsample2d)
class _Upsample2d(Rules):
    role = "sums"

    def words(self, node: Upsample2d) -> str:
        return f"each value {node.scale[0]} x {node.scale[1]} times"

    def scatter(self, layout: Layout, name: str, c_type: str) -> str:
        (high, wide), width = layout.net.nodes[name].scale, layout.net.shapes[name][2]  # type: ignore[attr-defined]
        taken = width // wide
        return "\n".join(
            (
                f"{c_type} *row = out + i / {taken} * {high * width} + i % {taken} * {wide};",
                f"for (size_t oy = 0; oy < {high}; oy++, row += {width})",
                f"    for (size_t ox = 0; ox < {wide}; ox++)",
                f"        row[ox] = ({c_type})(row[ox] + x);",
            )
        )

    def pairs(self, net: Network, name: str) -> int:
        return math.prod(net.shapes[name])


@NODES.rule(Scale)
class _Scale(Rules):
    role = "sums"

    def words(self, node: Scale) -> str:
        return (
            f"times {node.factor.min()}..{node.factor.max()}, by "
            f"{'channel' if node.factor.ndim == 1 else 'value'}"
        )

    def constants(self, layout: Layout, name: str) -> Iterator[Constants]:
        factor = layout.net.nodes[name].factor  # type: ignore[attr-defined]
        yield number_table(factor, f"factor_{layout.id[name]}", f"{name}: a factor")

    def scatter(self, layout: Layout, name: str, c_type: str) -> str:
        factor = layout.net.nodes[name].factor  # type: ignore[attr-defined]
        alike = layout.size(name) // factor.size
        return (
            f"out[i] = ({c_type})(out[i] + "
            f"factor_{layout.id[name]}[i{f' / {alike}' if alike > 1 else ''}] * x);"
        )


@NODES.rule(Flatten)
class _Flatten(Rules):
    role = "renames"

    def words(self, node: Flatten) -> str:
        del node
        return "the same values in one row"


@NODES.rule(Delay)
class _Delay(Rules):
    role = "delays"

    def words(self, node: Delay) -> str:
        return (
            "held back by "
            f"{node.steps if isinstance(node.steps, int) else f'up to {node.longest}'} steps"
        )

    def constants(self, layout: Layout, name: str) -> Iterator[Constants]:
        node = layout.net.nodes[name]
        assert isinstance(node, Delay)
        if not isinstance(node.steps, int):
            yield number_table(node.steps, f"steps_{layout.id[name]}", f"{name}: steps")

    def states(self, layout: Layout, name: str) -> Iterator[Field]:
        node: Any = layout.net.nodes[name]
        identifier, size, c_type = layout.id[name], layout.size(name), layout.c_type(name)
        if isinstance(node.steps, int):
            yield Field(
                c_type, f"line_{identifier}", (node.steps, size), name, "values on their way"
            )
            yield Field("uint32_t", f"next_{identifier}", (), name, "which of them leave next")
            return
        lines = node.steps.size
        yield Field(
            c_type,
            f"line_{identifier}",
            (int(node.steps.sum()) * (size // lines),),
            name,
            "values on their way, a ring for each",
        )
        index = "uint8_t" if node.longest <= 1 << 8 else "uint16_t"
        yield Field(index, f"next_{identifier}", (lines,), name, "which of a ring leave next")


@NODES.rule(Neuron)
class _Neuron(Rules):
    role = "neurons"

    def words(self, node: Neuron) -> str:
        return "; ".join(lines_of(node.program))

    def constants(self, layout: Layout, name: str) -> Iterator[Constants]:
        neuron = layout.net.neurons[name]
        for parameter in layout.layers[name].update.program.parameters:
            if layout.alike(name, parameter) is not None:
                continue
            yield number_table(
                neuron.values[parameter],
                layout.parameters[name][parameter],
                f"{name}: one {parameter}",
            )

    def states(self, layout: Layout, name: str) -> Iterator[Field]:
        neuron, size, layer = layout.net.neurons[name], (layout.size(name),), layout.layers[name]
        for register, c_type in layer.types.items():
            what = {FIRED: "spikes", neuron.program.membrane: "membranes"}.get(
                register, f"register {register}"
            )
            yield Field(c_type, layout.registers[name][register], size, name, what)


def _met(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return how many pairs of an output and a kernel element meet the input along one axis."""
    return sum(
        0 <= o * stride + k * dilation - padding < size for o in range(out) for k in range(kernel)
    )
