"""Rules by which statements become values of the pipeline: the table of the fpga target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby

from lehr.tables import Table
from lehr.targets.fpga import expressions as text
from lehr.targets.fpga.circuit import BIT, Circuit
from lehr.targets.fpga.kinds import Step, merged
from lehr.targets.fpga.reach import Range, Reach
from lehr.targets.fpga.sums import add_up
from lehr.update import Add, Bound, Fire, Leak, Program, Put, Statement

RULES: Table[Callable[..., None]] = Table("the fpga target")
RULES.rule(Add)(add_up)


def circuit_of(
    programs: list[Program], reaches: list[list[Reach]], parameters: Mapping[str, Range]
) -> Circuit:
    """Return the circuit of some kinds of neurons, for the ranges of the layers of each kind."""
    circuit = Circuit(programs, reaches, parameters)
    for _, alike in groupby(merged(programs), key=_sum_of):
        steps = list(alike)
        RULES[type(steps[0].first)](circuit, steps)
    circuit.end()
    return circuit


def _sum_of(step: Step[Statement]) -> object:
    """Return what is alike in steps that add to one register, as they are one sum."""
    s = step.first
    return (Add, s.x) if isinstance(s, Add) and s.x not in (s.source, s.times) else id(step)


@RULES.rule(Leak)
def _leak(circuit: Circuit, steps: list[Step[Leak]]) -> None:
    (step,) = steps
    x, wide = circuit.wire(circuit.now(step.first.x)), circuit.pipe.wide
    stage = x.stage + 1
    name = circuit.pipe.at(x, stage)

    def operands(kind: int, s: Leak) -> tuple[text.Operand, text.Operand]:
        return circuit.operand(s.decay.numerator, kind, stage), circuit.operand(
            s.decay.shift, kind, stage
        )

    products = {
        kind: text.product(name, operands(kind, s)[0], wide)
        for kind, (s, _) in step.by_kind.items()
        if s.decay.form == "multiply"
    }
    otherwise = next(iter(products.values()), "")  # of kinds that take none
    texts = [products.get(kind, otherwise) for kind in range(len(circuit.programs))]
    product = circuit.choose("Product", texts, stage, BIT).name if products else ""

    def left(kind: int, s: Leak) -> str:
        k, n = operands(kind, s)
        if s.decay.form == "multiply":
            return text.divided(product, n, s.decay.rounding, wide)
        return text.leak(name, s.decay, k, n, wide)

    circuit.write(step, step.first.x, stage, left)


@RULES.rule(Bound)
def _bound(circuit: Circuit, steps: list[Step[Bound]]) -> None:
    (step,) = steps
    x = circuit.wire(circuit.now(step.first.x))
    stage, wide = x.stage + 1, circuit.pipe.wide
    name = circuit.pipe.at(x, stage)

    def inside(kind: int, s: Bound) -> str:
        low, high = circuit.operand(s.low, kind, stage), circuit.operand(s.high, kind, stage)
        return text.within(name, low, high, s.overflow, wide)

    value = circuit.write(step, step.first.x, stage, inside)
    changed = f"{value.name} != {name} ? {text.wide(1, wide)} : {text.wide(0, wide)}"
    circuit.losses.append(circuit.choose("Lost", [changed], stage, BIT))


@RULES.rule(Fire)
def _fire(circuit: Circuit, steps: list[Step[Fire]]) -> None:
    (step,) = steps
    stage = 1 + max(
        circuit.get(source, kind).stage
        for kind, (s, _) in step.by_kind.items()
        for source in (s.x, s.level)
    )
    stage = circuit.earliest(step, step.first.into, stage)
    circuit.write(step, step.first.into, stage, lambda kind, s: circuit.passes(s, kind, stage))


@RULES.rule(Put)
def _put(circuit: Circuit, steps: list[Step[Put]]) -> None:
    (step,) = steps
    sources = [circuit.get(s.source, kind) for kind, (s, _) in step.by_kind.items()]
    before, when = (
        circuit.now(step.first.x),
        circuit.now(step.first.when) if step.first.when else None,
    )
    if (
        when is None
        and circuit.whole(step)
        and len({(value.name, value.stage) for value in sources}) == 1
    ):
        circuit.put(step.first.x, sources[0])
        return
    if when is not None and when.constant == 0:
        return
    stage = max(
        *(value.stage for value in sources),
        *([before.stage, when.stage] if when is not None else []),
        0,
    )
    stage = circuit.earliest(step, step.first.x, stage)

    def chosen(kind: int, s: Put) -> str:
        source = circuit.operand(s.source, kind, stage).name
        return (
            source
            if when is None
            else f"{circuit.holds(when, stage)} ? {source} : {circuit.pipe.at(before, stage)}"
        )

    circuit.write(step, step.first.x, stage, chosen)
