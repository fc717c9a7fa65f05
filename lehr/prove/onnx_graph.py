"""The neurons of an ONNX model, operator by operator, against their update.

The operators are those of the file, over the integers; that no result leaves its type is claimed
with the rest. Written from the operators' definitions in ONNX's standard, opset 21.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from lehr.errors import FileRefused, NotMappable
from lehr.prove.asking import Asked, Claims, version
from lehr.prove.obligations import Obligation
from lehr.prove.smt import Term, Terms, follow
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.reading import read_bytes
from lehr.update import FIRED, INPUT

FILE, LARGEST = "model.onnx", 1 << 31
CLAIM = "the operators of a layer make of states and sums what its update says, in their types"
ASSUMED = (
    "states and sums are within the bounds of the width analysis",
    "ONNX Runtime computes each operator as its standard says",
)
BOOL = onnx.TensorProto.BOOL
LIMITS = {
    onnx.TensorProto.UINT8: (0, 2**8 - 1),
    onnx.TensorProto.INT32: (-(2**31), 2**31 - 1),
    onnx.TensorProto.INT64: (-(2**63), 2**63 - 1),
}
"""The integers of a type."""
_WAY_OUT = "build the artefact again"


def _number(value: Term) -> Term:
    return z3.If(value, 1, 0) if z3.is_bool(value) else value


def _truncated(a: Term, b: Term) -> Term:
    """Return a / b towards 0, b above 0."""
    return z3.If(a < 0, -(-a / b), a / b)


def _mod(a: Term, b: Term, fmod: int = 0) -> Term:
    return a - _truncated(a, b) * b if fmod else a % b


def _clip(x: Term, low: Term, high: Term) -> Term:
    return z3.If(x < low, low, z3.If(x > high, high, x))


OPERATORS: Mapping[str, Callable[..., Term]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": _truncated,
    "Mod": _mod,
    "Clip": _clip,
    "Min": lambda a, b: z3.If(a < b, a, b),
    "Max": lambda a, b: z3.If(a > b, a, b),
    "Greater": lambda a, b: a > b,
    "GreaterOrEqual": lambda a, b: a >= b,
    "Less": lambda a, b: a < b,
    "Equal": lambda a, b: a == b,
    "Not": z3.Not,
    "And": z3.And,
    "Or": z3.Or,
    "Where": z3.If,
    "Identity": lambda a: a,
}


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each layer of neurons; the target takes none that update by event.

    Args:
        subject: an artefact of target onnx.
        timeout: seconds for a question.

    Raises:
        FileRefused: when the model is none.
        NotMappable: for an operator that has no rule here.
    """
    assert subject.folder is not None
    body = _body(read_bytes(subject.folder / FILE, LARGEST, _WAY_OUT))
    for name, neuron in subject.net.neurons.items():
        yield _proven(subject, _Layer(body, name, neuron.program.membrane), timeout)


def _body(data: bytes) -> Any:
    """Return the graph of a step."""
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise FileRefused(f"{FILE} is no ONNX model ({error}); {_WAY_OUT}") from None
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Scan" and attribute.name == "body":
                return attribute.g
    raise FileRefused(f"{FILE} has no step that is repeated; {_WAY_OUT}")


class _Layer:
    """The operators of a layer, as the file has them.

    Attributes:
        nodes: in order.
        states: names of the states' inputs and outputs, by register.
        shown: names of what is passed on and traced, by register.
        constants: numbers by name.
        sums: names of what comes to it.
    """

    def __init__(self, body: Any, name: str, membrane: str) -> None:
        passed = {n.output[0]: n.input[0] for n in body.node if n.op_type == "Identity"}
        traced = {FIRED: f"spikes.{name}/now", membrane: f"membrane.{name}/now"}
        self.shown = {x: passed[output] for x, output in traced.items() if output in passed}
        self.name, self.nodes = name, [n for n in body.node if n.name.startswith(f"{name}/")]
        self.states = {
            _register(given.name, name): (given.name, body.output[place].name)
            for place, given in enumerate(body.input)
            if given.name.startswith(f"{name}/") and place < len(body.output)
        }
        own = {output for node in self.nodes for output in node.output}
        own |= {given for given, _ in self.states.values()}
        constants = {each.name: each for each in body.initializer}
        read = dict.fromkeys(x for node in self.nodes for x in node.input if x and x not in own)
        self.constants = {x: numpy_helper.to_array(constants[x]) for x in read if x in constants}
        self.sums = [x for x in read if x not in constants]

    @cached_property
    def type(self) -> int:
        """The type in which it computes, that of its numbers."""
        kinds = {array.dtype for array in self.constants.values()}
        return onnx.TensorProto.INT64 if np.dtype(np.int64) in kinds else onnx.TensorProto.INT32

    def follow(
        self, values: dict[str, Term], numbers: Mapping[str, int]
    ) -> tuple[dict[str, Term], list[Term]]:
        """Return all values of a step, and that none leaves its type."""
        values = {**values, **{x: z3.IntVal(number) for x, number in numbers.items()}}
        fits = []
        for node in self.nodes:
            if node.domain or not values.keys() >= set(node.input):
                raise FileRefused(
                    f"{FILE}: operator {node.name} is of another domain, or takes what is not "
                    f"there; {_WAY_OUT}"
                )
            taken = [values[x] for x in node.input]
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            kind = attributes.pop("to", self.type)
            if node.op_type == "Cast":
                result = _cast(taken[0], kind)
            elif node.op_type in OPERATORS:
                result = OPERATORS[node.op_type](*taken, **attributes)
            else:
                raise NotMappable(
                    f"{self.name}: the proof has no rule for the ONNX operator {node.op_type}; "
                    "prove another part"
                )
            values[node.output[0]] = result
            if not z3.is_bool(result):
                low, high = LIMITS[kind]
                fits += [result >= low, result <= high]
        return values, fits


def _cast(value: Term, kind: int) -> Term:
    if kind == BOOL:
        return value if z3.is_bool(value) else value != 0
    return _number(value)


def _register(name: str, layer: str) -> str:
    """Return which register an input of a step is."""
    own = name.removeprefix(f"{layer}/")
    return FIRED if own == "before" else own.removeprefix("register.")


def _proven(subject: Subject, layer: _Layer, timeout: float) -> Obligation:
    asked, failed, found = Asked(timeout), dict[str, Any](), False
    columns = list(_distinct(subject, layer))
    for place, (numbers, given) in enumerate(columns):
        question = _question(subject, layer, numbers, given, asked)
        if failed := question(0):
            failed = {"layer": layer.name, **failed, **given}
            break
        if place == 0:
            found = bool(question(1))
    state, reason = asked.outcome(failed, seen=found)
    return Obligation(
        "arithmetic",
        f"{layer.name}, {FILE}",
        f"{CLAIM}, of {len(columns)} distinct neurons",
        ASSUMED,
        state,
        version(),
        asked.seconds,
        asked.queries,
        "a membrane that is greater by one" if found else "",
        failed,
        reason,
    )


def _question(
    subject: Subject,
    layer: _Layer,
    numbers: Mapping[str, int],
    given: Mapping[str, int],
    asked: Asked,
) -> Callable[[int], dict[str, Any]]:
    """Return what asks whether neurons with these numbers do what their update says."""
    program = subject.net.neurons[layer.name].program
    reached, sums = subject.reached[layer.name], subject.sums[layer.name]
    states = {x: z3.Int(x) for x in program.states}
    parts = [z3.Int(x) for x in layer.sums]
    total = z3.Sum(parts) if parts else z3.Int(INPUT)  # which such a layer does not hear
    values: dict[str, Term] = dict(zip(layer.sums, parts, strict=True))
    values |= {taken: states.get(x, z3.IntVal(0)) for x, (taken, _) in layer.states.items()}
    after, fits = layer.follow(values, numbers)
    terms = Terms(
        {x: states.get(x, z3.IntVal(0)) for x in program.registers}, {**given, INPUT: total}
    )
    follow(program.statements, terms)
    within = [total >= int(sums.low.min()), total <= int(sums.high.max())]
    for x, term in states.items():
        low, high = reached.limits(x)
        within += [term >= low, term <= high]
    within += [z3.And(part >= -(2**31), part < 2**31) for part in parts]
    for x, term in ((x, term) for _, x, term in terms.written):
        low, high = reached.written[x]
        within += [term >= low, term <= high]
    shown = {**states, INPUT: total}
    puts = [*((x, put) for x, (_, put) in layer.states.items()), *layer.shown.items()]
    if lacking := {FIRED, *program.states} - dict(puts).keys():
        raise FileRefused(f"{FILE} keeps no {min(lacking)} of {layer.name}; {_WAY_OUT}")

    def ask(fault: int) -> dict[str, Any]:
        claims = [
            _number(after[put]) == terms.values[x] + (fault if x == program.membrane else 0)
            for x, put in puts
        ]
        return asked.refuted(within, [Claims((), [*claims, *fits])], shown)

    return ask


def _distinct(subject: Subject, layer: _Layer) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """Yield the numbers of the file and the parameters of the network that stand together."""
    neuron, shape = subject.net.neurons[layer.name], subject.net.shapes[layer.name]

    def flat(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        wide = values.reshape(*values.shape, *[1] * (len(shape) - values.ndim))
        return np.broadcast_to(wide, shape).reshape(-1).astype(np.int64)

    numbers, names = list(layer.constants), neuron.program.parameters
    try:  # as ONNX does it, the last axes together
        columns = [
            np.broadcast_to(layer.constants[x], shape).reshape(-1).astype(np.int64) for x in numbers
        ]
    except ValueError:
        raise FileRefused(f"{FILE}: a number of {layer.name} fits no neuron; {_WAY_OUT}") from None
    columns += [flat(np.asarray(neuron.values[x])) for x in names]
    rows = np.stack(columns) if columns else np.zeros((1, math.prod(shape)), np.int64)
    for column in np.unique(rows, axis=1).T:
        held: Sequence[int] = [int(value) for value in column]
        yield (
            dict(zip(numbers, held, strict=False)),
            dict(zip(names, held[len(numbers) :], strict=False)),
        )
