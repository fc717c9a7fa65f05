"""Sums: terms that statements add to a register one after another, added up once they are there."""

from __future__ import annotations

from dataclasses import dataclass

from lehr.targets.fpga import expressions as text
from lehr.targets.fpga.circuit import BIT, Circuit
from lehr.targets.fpga.kinds import Step
from lehr.targets.fpga.pipeline import Value
from lehr.targets.fpga.reach import Range
from lehr.update import Add


@dataclass(frozen=True)
class Term:
    """Part of a sum: a value, with a shift and a sign.

    It counts where the mask is 1, or always.
    """

    value: Value
    shift: int = 0
    negative: bool = False
    mask: Value | None = None

    @property
    def range(self) -> Range:
        """Range of what it adds."""
        low, high = (end << self.shift for end in self.value.range)
        if self.mask is not None:
            low, high = min(low, 0), max(high, 0)
        return (-high, -low) if self.negative else (low, high)

    @property
    def stage(self) -> int:
        """Stage in which it is there."""
        return max(self.value.stage, self.mask.stage if self.mask is not None else 0)


def add_up(circuit: Circuit, steps: list[Step[Add]]) -> None:
    """Add up what follows one another on one register as one sum: the rule of Add."""
    x = steps[0].first.x
    terms = [Term(circuit.now(x)), *(_term(circuit, step) for step in steps)]
    waiting = [term for term in terms if term.range != (0, 0)]
    stage = 1
    while not _closes(waiting, stage):
        ready = [term for term in waiting if term.stage < stage]
        plain = [term for term in ready if term.mask is None][:2]
        masked = [term for term in ready if term.mask is not None][: 1 if plain else 2]
        together = [*plain, *masked]
        if len(together) > 1:
            low, high = (sum(ends) for ends in zip(*(term.range for term in together), strict=True))
            part = circuit.choose(f"{x}_part", [_sum(circuit, together, stage)], stage, (low, high))
            waiting = [*(term for term in waiting if term not in together), Term(part)]
        stage += 1
    if not waiting:
        circuit.put(x, circuit.pipe.number(0))
    elif waiting == [Term(waiting[0].value)]:
        circuit.put(x, waiting[0].value)
    else:
        circuit.close(steps, x, stage, _sum(circuit, waiting, stage))


def _closes(waiting: list[Term], stage: int) -> bool:
    """Return whether all that is left of a sum is added up in this stage.

    A stage is two adders deep, or a choice with one.
    """
    plain = [term for term in waiting if term.mask is None]
    if waiting == plain and len(plain) < 2:
        return not waiting or waiting == [Term(waiting[0].value)] or waiting[0].stage <= stage
    if len(waiting) > len(plain) + 1 or len(plain) > 2:
        return False
    if all(term.stage < stage for term in waiting):
        return True
    return len(plain) < 2 and all(
        term.value.stage < stage and term.stage <= stage for term in waiting
    )


def _term(circuit: Circuit, step: Step[Add]) -> Term:
    """Return what a step adds; nothing for kinds that lack it."""
    kinds = range(len(circuit.programs))
    adds = {kind: s for kind, (s, _) in step.by_kind.items()}
    first, like = next(iter(adds.items()))
    values = {kind: circuit.get(s.source, kind) for kind, s in adds.items()}
    value, shift, whole = values[first], like.shift, circuit.whole(step)
    mask = circuit.now(like.times) if like.times else None
    if mask is not None and mask.range not in ((0, 0), BIT, (1, 1)):
        return _times(circuit, step, mask)
    if mask is not None and not whole:
        zero = circuit.pipe.number(0)
        names = [circuit.pipe.at(mask if kind in adds else zero, mask.ready) for kind in kinds]
        mask = circuit.choose("Counts", names, mask.stage, BIT)
    alike = len({(v.name, adds[kind].shift) for kind, v in values.items()}) == 1
    if not alike or (mask is None and not whole):
        otherwise = text.wide(0, circuit.pipe.wide) if mask is None else ""
        stage = max(v.stage for v in values.values())
        texts = [
            _shifted(circuit, values[kind], adds[kind].shift, stage) if kind in adds else otherwise
            for kind in kinds
        ]
        texts = [given or texts[first] for given in texts]
        ends = [end << adds[kind].shift for kind, v in values.items() for end in v.range]
        value, shift = circuit.choose("Term", texts, stage, (min(*ends, 0), max(*ends, 0))), 0
    return Term(value, shift, like.negative, mask)


def _times(circuit: Circuit, step: Step[Add], factor: Value) -> Term:
    """Return a product with a register, in a stage of its own."""
    adds = {kind: s for kind, (s, _) in step.by_kind.items()}
    values = {kind: circuit.get(s.source, kind) for kind, s in adds.items()}
    stage = 1 + max(factor.stage, *(v.stage for v in values.values()))
    zero, name = text.wide(0, circuit.pipe.wide), circuit.pipe.at(factor, stage)
    products = {
        kind: f"{_shifted(circuit, v, adds[kind].shift, stage)} * {name}"
        for kind, v in values.items()
    }
    ends = [
        (end << adds[kind].shift) * times
        for kind, v in values.items()
        for end in v.range
        for times in factor.range
    ]
    texts = [products.get(kind, zero) for kind in range(len(circuit.programs))]
    return Term(
        circuit.choose("Term", texts, stage, (min(*ends, 0), max(*ends, 0))),
        negative=next(iter(adds.values())).negative,
    )


def _shifted(circuit: Circuit, value: Value, shift: int, stage: int) -> str:
    if value.constant is not None:
        return text.wide(value.constant << shift, circuit.pipe.wide)
    return text.shift_left(circuit.pipe.at(value, stage), shift)


def _sum(circuit: Circuit, terms: list[Term], stage: int) -> str:
    """Return the terms added up.

    A term that counts now and then stands beside the last of those that always do.
    """
    plain, masked = (
        [term for term in terms if (term.mask is None) == always] for always in (True, False)
    )

    def part(term: Term) -> str:
        return ("-" if term.negative else "") + _shifted(circuit, term.value, term.shift, stage)

    def signed(term: Term) -> str:
        return ("- " if term.negative else "+ ") + _shifted(circuit, term.value, term.shift, stage)

    first = part(plain[0]) if plain else text.wide(0, circuit.pipe.wide)
    rest = [signed(term) for term in plain[1:]]
    for number, term in enumerate(masked):
        assert term.mask is not None
        if number or not plain:
            rest.append(
                f"+ ({circuit.holds(term.mask, stage)} ? {part(term)} : "
                f"{text.wide(0, circuit.pipe.wide)})"
            )
        elif len(plain) == 1:
            first = f"({circuit.holds(term.mask, stage)} ? {first} {signed(term)} : {first})"
        else:
            rest[-1] = (
                f"+ ({circuit.holds(term.mask, stage)} ? {part(plain[-1])} {signed(term)} : "
                f"{part(plain[-1])})"
            )
    return " ".join([first, *rest])
