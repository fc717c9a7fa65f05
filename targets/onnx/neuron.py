"""Step of a layer of neurons in ONNX operators on integers: a printer of programs.

There is a rule a statement. Division is done so that no reading of the standard can change it: the
remainder is taken off first, then the quotient is exact. `Mod` with `fmod=0` has the divisor's sign
(floor), with `fmod=1` the dividend's (toward zero).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lehr.arithmetic import Rounding
from lehr.nodes import Neuron, Shape
from lehr.tables import Table
from lehr.targets.onnx.graph import BOOL, Graph
from lehr.update import FIRED, INPUT, Add, Bound, Decay, Fire, Leak, Put, Source

RULES: Table[Callable[..., None]] = Table("target onnx")


class Layer:
    """The operators of one layer of neurons.

    Attributes:
        values: of every register at this point of the update, by name; spikes that a Fire tells 0
            from 1 are BOOL, all else `dtype`.
        flags: the registers that are BOOL.
        thin: the registers that are constants, which have not the layer's whole shape.
    """

    def __init__(self, graph: Graph, name: str, neuron: Neuron, shape: Shape, dtype: int) -> None:
        """Begin a layer.

        Args:
            graph: to which operators are added.
            name: of the layer.
            neuron: the layer.
            shape: of the layer, without batch.
            dtype: of the update, from `types_of`.
        """
        self.graph, self.name, self.neuron, self.dtype = graph, name, neuron, dtype
        self._axes = len(shape)
        self._parameters: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.flags: set[str] = set()
        self.thin: set[str] = set()

    def step(self, before: Mapping[str, str], current: str) -> None:
        """Write one step.

        Args:
            before: the states after the step before, by register: `fired` uint8, all others int32
                or int64.
            current: the summed input A, in the layer's type.
        """
        for register, value in before.items():
            single = register == FIRED and self.neuron.program.most_spikes == 1
            self.put(
                register,
                self.graph.cast(value, BOOL if single else self.dtype, self.name),
                flag=single,
            )
        self.values[INPUT] = current
        for statement in self.neuron.program.statements:
            RULES[type(statement)](self, statement)

    # ---------------------------------------------------------------- values
    def put(self, register: str, value: str, *, flag: bool = False, thin: bool = False) -> None:
        """Give a register a value."""
        self.values[register] = value
        (self.flags.add if flag else self.flags.discard)(register)
        (self.thin.add if thin else self.thin.discard)(register)

    def is_thin(self, *sources: Source) -> bool:
        """Return whether nothing of what is read has the layer's whole shape."""
        return all(
            source in self.thin or not (isinstance(source, str) and source in self.values)
            for source in sources
            if source != ""
        )

    def get(self, source: Source) -> str:
        """Return a register, the input, a parameter or a number, in the layer's type.

        A register that nothing wrote yet is 0.
        """
        if isinstance(source, int):
            return self.number(source)
        if source in self.flags:
            return self.graph.cast(self.values[source], self.dtype, self.name)
        if source in self.values:
            return self.values[source]
        return self.number(0) if source in self.neuron.program.registers else self.parameter(source)

    def parameter(self, name: str) -> str:
        """Return a parameter by channel or by neuron as a constant, which is stored once."""
        if name not in self._parameters:
            value = self.neuron.values[name]
            laid = value.reshape(*value.shape, *[1] * (self._axes - value.ndim))
            self._parameters[name] = self.graph.constant(laid, self.dtype, self.name)
        return self._parameters[name]

    def where(self, register: str) -> str:
        """Return, as BOOL, where a register is not 0."""
        if register in self.flags:
            return self.values[register]
        return self.graph.cast(self.get(register), BOOL, self.name)

    def number(self, value: int) -> str:
        """Return a number in the layer's type."""
        return self.graph.constant(value, self.dtype, self.name)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Return an operator."""
        return self.graph.op(kind, *inputs, at=self.name, **attributes)

    def after(self, register: str, dtype: int) -> str:
        """Return a register after the step, in a type that holds it and of the layer's whole shape.

        What nothing wrote is 0.
        """
        if not self.is_thin(register):
            return self.graph.cast(self.values[register], dtype, self.name)
        zero = self.op("Sub", self.values[INPUT], self.values[INPUT])
        return self.graph.cast(self.op("Add", self.get(register), zero), dtype, self.name)

    # ---------------------------------------------------------------- division
    def power(self, shift: Source) -> str:
        """2**shift, of a number or a parameter."""
        if isinstance(shift, int):
            return self.number(1 << shift)
        value = 1 << self.neuron.values[shift].astype(np.int64)
        return self.graph.constant(
            value.reshape(*value.shape, *[1] * (self._axes - value.ndim)), self.dtype, self.name
        )

    def divided(self, value: str, shift: Source, rounding: Rounding) -> str:
        """`value / 2**shift`, rounded."""
        divisor = self.power(shift)
        remainder = self.op("Mod", value, divisor, fmod=int(rounding == "toward_zero"))
        quotient = self.op("Div", self.op("Sub", value, remainder), divisor)
        if rounding != "nearest_even":
            return quotient
        # Up where 2 * remainder > divisor, and at equality where the quotient is odd: both sides
        # are even, one more decides.
        odd = self.op("Mod", quotient, self.number(2))
        up = self.op("Greater", self.op("Add", self.op("Add", remainder, remainder), odd), divisor)
        return self.op("Add", quotient, self.graph.cast(up, self.dtype, self.name))

    def sign(self, value: str) -> str:
        """-1, 0 or 1."""
        return self.op("Clip", value, self.number(-1), self.number(1))


@RULES.rule(Leak)
def _leak(layer: Layer, s: Leak) -> None:
    layer.put(s.x, _FORMS[s.decay.form](layer, layer.get(s.x), s.decay), thin=layer.is_thin(s.x))


def _multiply(layer: Layer, x: str, decay: Decay) -> str:
    return layer.divided(
        layer.op("Mul", x, layer.get(decay.numerator)), decay.shift, decay.rounding
    )


def _shift(layer: Layer, x: str, decay: Decay) -> str:
    return layer.op("Sub", x, layer.divided(x, decay.shift, decay.rounding))


def _dash(layer: Layer, x: str, decay: Decay) -> str:
    lost = layer.divided(x, decay.shift, "floor")
    nothing = layer.op("Equal", lost, layer.number(0))
    return layer.op("Sub", x, layer.op("Where", nothing, layer.sign(x), lost))


def _linear(layer: Layer, x: str, decay: Decay) -> str:
    """X less what of it lies within k on both sides."""
    most = layer.get(decay.numerator)
    least = layer.op("Sub", layer.number(0), most)
    return layer.op("Sub", x, layer.op("Max", least, layer.op("Min", x, most)))


_FORMS: Mapping[str, Callable[[Layer, str, Decay], str]] = {
    "multiply": _multiply,
    "shift": _shift,
    "dash": _dash,
    "linear": _linear,
}


@RULES.rule(Add)
def _add(layer: Layer, s: Add) -> None:
    thin = layer.is_thin(s.x, s.source, s.times)
    term = layer.get(s.source)
    if s.shift:
        term = layer.op("Mul", term, layer.number(1 << s.shift))
    if s.times in layer.flags:  # where it fired; else what was
        changed = layer.op("Sub" if s.negative else "Add", layer.get(s.x), term)
        layer.put(s.x, layer.op("Where", layer.values[s.times], changed, layer.get(s.x)), thin=thin)
        return
    if s.times:
        term = layer.op("Mul", term, layer.get(s.times))
    layer.put(s.x, layer.op("Sub" if s.negative else "Add", layer.get(s.x), term), thin=thin)


@RULES.rule(Put)
def _put(layer: Layer, s: Put) -> None:
    value, thin = layer.get(s.source), layer.is_thin(s.source, *((s.x, s.when) if s.when else ()))
    layer.put(
        s.x,
        layer.op("Where", layer.where(s.when), value, layer.get(s.x)) if s.when else value,
        thin=thin,
    )


@RULES.rule(Bound)
def _bound(layer: Layer, s: Bound) -> None:
    thin = layer.is_thin(s.x)
    x, low, high = layer.get(s.x), layer.get(s.low), layer.get(s.high)
    if s.overflow == "wrap":
        assert isinstance(s.low, int) and isinstance(s.high, int)  # noqa: PT018  # a program wraps at numbers alone
        raised = layer.op("Mod", layer.op("Sub", x, low), layer.number(s.high - s.low + 1))
        layer.put(s.x, layer.op("Add", raised, low), thin=thin)
    elif isinstance(s.low, int) and isinstance(s.high, int):
        layer.put(s.x, layer.op("Clip", x, low, high), thin=thin)
    else:  # Clip takes numbers alone
        layer.put(s.x, layer.op("Min", layer.op("Max", x, low), high), thin=thin)


@RULES.rule(Fire)
def _fire(layer: Layer, s: Fire) -> None:
    x, level, thin = layer.get(s.x), layer.get(s.level), layer.is_thin(s.x, s.level)
    if s.up_to == 1:
        layer.put(
            s.into,
            layer.op("Greater" if s.test == "gt" else "GreaterOrEqual", x, level),
            flag=True,
            thin=thin,
        )
        return
    passed = layer.op("Sub", x, layer.number(1)) if s.test == "gt" else x
    remainder = layer.op("Mod", passed, level, fmod=0)
    count = layer.op("Div", layer.op("Sub", passed, remainder), level)
    layer.put(s.into, layer.op("Clip", count, layer.number(0), layer.number(s.up_to)), thin=thin)
