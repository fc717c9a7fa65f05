"""The arithmetic of the fast engine's kernel of neurons, from its own source.

Of layers with one state, which that kernel computes. Two questions are asked of a layer, so that
none has two products in it: whether the kernel's decay is the update's, for every membrane; and
whether all else is, whatever a decay leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lehr.arithmetic import Int64
from lehr.errors import NotMappable
from lehr.prove.asking import Asked, Claims, version
from lehr.prove.engine.lanes import LINE_BITS, Products, functions, operations
from lehr.prove.obligations import Obligation
from lehr.prove.smt import Term, Terms, Words, follow
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.simulate.fast.kernels.layout import KEEP
from lehr.simulate.fast.plans.fusing import CountedNeurons, LookedUpNeurons
from lehr.simulate.fast.plans.layers import Fire as FireOp
from lehr.simulate.fast.plans.plan import plan
from lehr.update import FIRED, INPUT, MEMBRANE, Fire, Leak

CLAIM = "what the kernel of the fast engine makes of a neuron is what its update says"
ASSUMED = (
    "membranes and sums are within the bounds of the width analysis",
    "numba and LLVM translate what the kernel's source says",
)
_NAMES = ("divided", "_divided_halves", "leaked", "bounded", "updated", "_reset")


@dataclass(frozen=True)
class _Layer:
    """A layer as the planner has it.

    Attributes:
        name: of it.
        op: the kernel's call.
        bits: of a lane.
    """

    name: str
    op: FireOp
    bits: int

    @property
    def wide(self) -> int:
        """Bits of words that hold every product and sum of the update."""
        return _wide(self.bits)


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield one obligation for each layer that the kernel computes.

    Args:
        subject: whose network it is.
        timeout: seconds for a question.
    """
    for layer in _layers(subject):
        yield _proven(subject, layer, timeout)


def _layers(subject: Subject) -> Iterator[_Layer]:
    made = plan(subject.net, held=False, steps=subject.net.steps)
    for stage in made.stages:
        for op in stage.ops:
            fire = op.neurons if isinstance(op, (CountedNeurons, LookedUpNeurons)) else op
            if isinstance(fire, FireOp):
                yield _Layer(fire.name, fire, 8 * fire.layer.dtype.itemsize)


def _proven(subject: Subject, layer: _Layer, timeout: float) -> Obligation:
    asked = Asked(timeout)
    failed: dict[str, Any] = {}
    seen = False
    leaks = [s for s in subject.net.neurons[layer.name].program.all if isinstance(s, Leak)]
    leak = Decayed(layer.op.rule, layer.bits, leaks, _range(subject, layer.name))
    cases: list[Decayed | _Rest] = [leak, *_rests(subject, layer)]
    for case in cases:
        if failed := case.refuted(asked):
            failed = {"layer": layer.name, **failed}
            break
    if not failed and not asked.undecided:
        seen = all(case.refuted(asked, fault=True) for case in cases[:2])
    state, reason = asked.outcome(failed, seen=seen)
    return Obligation(
        "arithmetic",
        f"{layer.name}, fast engine",
        f"{CLAIM}, in lanes of {layer.bits} bits",
        ASSUMED,
        state,
        version(),
        asked.seconds,
        asked.queries,
        "a decay, or a membrane, that is greater by one" if seen else "",
        failed,
        reason,
    )


def _kernel(products: Products) -> dict[str, Any]:
    """Return the functions of the kernel, run on words of z3."""
    namespace = {"Any": Any, **operations(products)}
    exec(functions("neurons.py", _NAMES), namespace)  # noqa: S102 - lehr's own source
    return namespace


def _wide(bits: int) -> int:
    return 64 if bits <= 32 else 128


class Decayed:
    """The decay of a membrane by the kernel, for every one.

    Args:
        rule: the kernel's.
        bits: of a lane.
        statements: the decay, or nothing where there is none.
        ends: the least and the greatest membrane.
    """

    def __init__(
        self, rule: Any, bits: int, statements: Sequence[Leak], ends: tuple[int, int]
    ) -> None:
        self.rule, self.bits, self.statements, self.range = rule, bits, statements, ends

    def refuted(self, asked: Asked, *, fault: bool = False) -> dict[str, Any]:
        """Return a membrane of which the kernel leaves something else; empty if there is none."""
        rule, bits = self.rule, self.bits
        wide = _wide(bits) - bits
        products = Products(max(-self.range[0], self.range[1]))
        v = z3.BitVec(MEMBRANE, bits)
        kernel = _kernel(products)["leaked"](v, rule)
        within = [v >= self.range[0], v <= self.range[1]]
        if not self._fits():
            asked.undecided = f"the product of a decay does not fit {bits} bits"
            return {}
        terms = Terms({MEMBRANE: z3.SignExt(wide, v)}, {}, _Shared(products, v, _wide(bits)))
        follow(map(self._in_halves, self.statements), terms)
        left = terms.values[MEMBRANE] + int(fault)
        claims = [z3.SignExt(wide, kernel) == left]
        return asked.refuted([*within, *products.known], [Claims((), claims)], {MEMBRANE: v})

    def _in_halves(self, s: Leak) -> Leak:
        """Return a decay in units of 2**-16, as the kernel takes it in lanes of 16 bits."""
        decay, factor = s.decay, self.rule.factor
        if self.bits > 16 or decay.form != "multiply":
            return s
        assert isinstance(decay.numerator, int)
        assert isinstance(decay.shift, int)
        assert factor << decay.shift == decay.numerator << 16
        return replace(s, decay=replace(decay, numerator=factor, shift=16))

    def _fits(self) -> bool:
        """Return whether the product with the factor, and what rounding adds, fits a lane."""
        rule, most = self.rule, max(-self.range[0], self.range[1])
        if rule.leak == KEEP:
            return True
        if self.bits == 16:  # which takes products by halves
            return most < 2**15 and 0 <= rule.factor < 2**16
        factor = rule.factor if self.statements else 0
        return bool(most * factor + (1 << rule.places) < 2 ** (self.bits - 1))


class _Shared(Words):
    """Words whose products are the kernel's own, sign and magnitude put together."""

    def __init__(self, products: Products, v: Term, bits: int) -> None:
        super().__init__(bits)
        self.products, self.v = products, v

    def product(self, value: Term, factor: Term) -> Term:
        """Return the product of the membrane with the factor of its decay."""
        del value
        assert isinstance(factor, int)
        bits = self.v.size()
        if bits > 16:
            return z3.SignExt(self.bits - bits, self.products.of(self.v, factor, bits, signed=True))
        magnitude = z3.If(self.v < 0, -self.v, self.v)
        full = z3.ZeroExt(self.bits - 32, self.products.of(magnitude, factor, 32, signed=False))
        return z3.If(self.v < 0, -full, full)


class _Rest:
    """All but the decay, for any parameters that the planner laid down as most are."""

    def __init__(self, subject: Subject, layer: _Layer, alike: _Alike) -> None:
        self.layer, self.alike = layer, alike
        self.program = subject.net.neurons[layer.name].program
        self.range = _range(subject, layer.name)
        self.limits = subject.reached[layer.name].limits(MEMBRANE)
        sums = subject.sums[layer.name]
        self.sums = int(sums.low.min()), int(sums.high.max())

    def refuted(self, asked: Asked, *, fault: bool = False) -> dict[str, Any]:
        """Return a step of which the kernel makes something else; empty if there is none."""
        rule, bits = self.layer.op.rule, self.layer.bits
        wide = self.layer.wide - bits
        names = _kernel(Products(0))
        v, a, left = (z3.BitVec(name, bits) for name in (MEMBRANE, INPUT, "left"))
        decayed: list[Term] = []

        def leaked(x: Term, _: object) -> Term:
            decayed.append(x)
            return left

        names["leaked"] = leaked
        nothing = z3.BitVecVal(0, bits)
        words = {x: z3.BitVec(x, bits) for x in self.program.parameters}
        own = self.alike.own(words, bits)
        # a step that ends with the membrane v, and the next one, in which a comes
        begins, before, _, _ = names["updated"](v - own[2], nothing, *own, rule)
        _, after, fires, _ = names["updated"](begins, a, *own, rule)
        given = {x: z3.SignExt(wide, word) for x, word in words.items()}
        given[INPUT] = z3.SignExt(wide, a)
        spec = self._specified(z3.SignExt(wide, v), given, z3.SignExt(wide, left))
        reset, membrane, fired, bounded = spec
        claims = [
            z3.SignExt(wide, decayed[0]) == reset,
            z3.SignExt(wide, before) == reset,
            z3.SignExt(wide, after) == membrane + int(fault),
            z3.If(fires, Words(self.layer.wide).number(1), Words(self.layer.wide).number(0))
            == fired,
        ]
        most = max(-self.range[0], self.range[1])
        low, high = self.limits
        within = [
            *(v >= self.range[0], v <= self.range[1]),
            *(a >= self.sums[0], a <= self.sums[1]),
            *(left >= -most, left <= most),
            *(condition for term in bounded for condition in (term >= low, term <= high)),
            *self.alike.ranges(words),
        ]
        shown = {MEMBRANE: v, INPUT: a, "left": left, **words}
        return asked.refuted(within, [Claims((), claims)], shown)

    def _specified(
        self, v: Term, given: dict[str, Term], left: Term
    ) -> tuple[Term, Term, Term, list[Term]]:
        """Return what the update decays, and what it makes of that.

        That is the membrane, spikes, and what came to its Bound.
        """
        words, statements = Words(self.layer.wide), self.program.statements
        number = words.number
        last = (
            next(n for n, s in enumerate(statements) if isinstance(s, Fire))
            if self.program.fires
            else len(statements)
        )
        terms = Terms({x: number(0) for x in self.program.registers}, given, words)
        terms.values[MEMBRANE] = v
        follow(statements[last:], terms)
        reset = terms.values[MEMBRANE]
        begins = {
            x: terms.values[x] if x in self.program.states else number(0)
            for x in self.program.registers
        }
        terms = Terms({**begins, MEMBRANE: left}, given, words)
        follow([s for s in statements[:last] if not isinstance(s, Leak)], terms)
        follow(statements[last:], terms)
        bounded = [term for _, term in terms.bounded]
        return reset, terms.values[MEMBRANE], terms.values[FIRED], bounded


@dataclass(frozen=True)
class _Alike:
    """Neurons whose parameters the planner laid down by one rule.

    Attributes:
        given: bounds of their parameters.
        passed: what their membranes must pass: their threshold less so much, or this number where
            no membrane comes so far.
        taken: whether a reset takes their threshold, or nothing.
        ever: whether a membrane can pass it.
    """

    given: dict[str, tuple[int, int]]
    passed: int
    taken: bool
    ever: bool

    def own(self, words: dict[str, Term], bits: int) -> list[Term]:
        """Return what the kernel gets: what a membrane must pass, what a reset takes, the bias."""
        none = z3.BitVecVal(0, bits)
        theta = words.get("threshold", none)
        passed = theta - self.passed if self.ever else z3.BitVecVal(self.passed, bits)
        return [passed, theta if self.taken else none, words.get("bias", none)]

    def ranges(self, words: dict[str, Term]) -> list[Term]:
        """Return the bounds of parameters."""
        ends = ((word, self.given[x]) for x, word in words.items())
        return [term for word, (low, high) in ends for term in (word >= low, word <= high)]


def _rests(subject: Subject, layer: _Layer) -> Iterator[_Rest]:
    """Yield the neurons of a layer by what the planner made of their parameters.

    Raises:
        NotMappable: where it is nothing that a rule says.
    """
    neuron, shape = subject.net.neurons[layer.name], subject.net.shapes[layer.name]
    size = int(np.prod(shape))
    lanes, where, sizes = LINE_BITS // layer.bits, np.arange(size), layer.op.shape
    whole = size // lanes * lanes
    place = np.where(where < whole, where % sizes.period, sizes.last + where - whole)
    passed, taken, bias = layer.op.layer[:, place].astype(np.int64)
    given = {
        x: _channels_last(np.asarray(neuron.values[x], np.int64), shape)
        for x in neuron.program.parameters
    }
    none = np.zeros(size, np.int64)
    theta, known = given.get("threshold", none), given.get("bias", none)
    if not np.array_equal(bias, known):
        raise NotMappable(f"{layer.name}: the plan has other biases than the network")
    ever = passed < max(-_range(subject, layer.name)[0], _range(subject, layer.name)[1])
    rules = np.stack([np.where(ever, theta - passed, passed), taken != 0, ever])
    if not np.array_equal(taken[taken != 0], theta[taken != 0]):
        raise NotMappable(f"{layer.name}: the plan has other resets than the network")
    for rule in np.unique(rules, axis=1).T:
        mine = (rules == rule[:, None]).all(0)
        bounds = {x: (int(v[mine].min()), int(v[mine].max())) for x, v in given.items()}
        alike = _Alike(bounds, int(rule[0]), bool(rule[1]), bool(rule[2]))
        yield _Rest(subject, layer, alike)


def _channels_last(values: Int64, shape: tuple[int, ...]) -> Int64:
    """Return a parameter of each neuron, in the order in which the engine has them."""
    wide = values.reshape(*values.shape, *[1] * (len(shape) - values.ndim))
    return np.moveaxis(np.broadcast_to(wide, shape), 0, -1).reshape(-1)


def _range(subject: Subject, name: str) -> tuple[int, int]:
    """Return the bounds of the membrane behind its Bound."""
    low, high = subject.reached[name].limits(MEMBRANE)
    fields = subject.net.neurons[name].fields
    if fields.overflow == "wrap" and not fields.lowest <= low <= high <= fields.highest:
        return fields.lowest, fields.highest
    return max(low, fields.lowest), min(high, fields.highest)
