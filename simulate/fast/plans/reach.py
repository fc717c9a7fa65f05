"""What the registers of any program can hold in any step: bounds of all neurons together that one step maps into themselves.

Every rule maps wider bounds to wider ones. So bounds that hold 0, where all states begin, and what a step makes of them, hold in every
step; and what a step makes of them does again, and is narrower. Such bounds are looked for from 0 on; what has not come to rest soon is
taken for everything, from which the Bounds of a program lead back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lehr.network import Neuron
from lehr.tables import Table
from lehr.update import INPUT, Add, Bound, Fire, Leak, Put, Source

Bounds = tuple[int, int]
RULES: Table[Callable[..., None]] = Table("the fast engine", "use the engine 'reference'")
EVERYTHING = 2**60
ROUNDS = 8
"""How many steps are followed from the beginning, and how often bounds are narrowed."""
NARROWEST = 15
"""The greatest shift in lanes of 16 bits."""


@dataclass
class Reach:
    """What one step makes of bounds.

    Attributes:
        values: bounds of registers; changed.
        given: of parameters and of the input.
        partial: the greatest magnitude that any register or summand has.
        product: the greatest magnitude of a product in a decay, with what rounding adds.
        narrow: whether there are lanes of 16 bits for all its operations.
        free: registers that no Bound of theirs changes.
    """

    values: dict[str, Bounds]
    given: dict[str, Bounds]
    partial: int = 0
    product: int = 0
    narrow: bool = True
    changed: set[str] = field(default_factory=set)

    def get(self, source: Source) -> Bounds:
        """Bounds of a register, a parameter or a number."""
        if isinstance(source, int):
            return source, source
        return self.given[source] if source in self.given else self.values.get(source, (0, 0))

    def put(self, x: str, value: Bounds) -> None:
        """Give a register bounds."""
        self.partial = max(self.partial, magnitude(value))
        self.values[x] = value

    @property
    def free(self) -> frozenset[str]:
        """Registers that no Bound of theirs changes."""
        return frozenset(self.values) - self.changed


def magnitude(bounds: Bounds) -> int:
    """The greatest."""
    return max(-bounds[0], bounds[1])


def hull(*bounds: Bounds) -> Bounds:
    """What holds all of them."""
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def reach(neuron: Neuron, a: Bounds) -> Reach | None:
    """What a layer's registers can hold, for summed inputs between `a`; None where no bounds are found."""
    given = {name: (int(neuron.values[name].min()), int(neuron.values[name].max())) for name in neuron.program.parameters}

    def step(states: dict[str, Bounds]) -> Reach:
        made = Reach(dict(states), {**given, INPUT: a})
        for statement in neuron.program.statements:
            RULES[type(statement)](made, statement)
        return made

    def after(states: dict[str, Bounds]) -> dict[str, Bounds]:
        made = step(states).values
        return {name: hull(made[name], (0, 0)) for name in states}

    states: dict[str, Bounds] = dict.fromkeys(neuron.program.states, (0, 0))
    for _ in range(ROUNDS):  # states that soon reach all that they ever do, such as counters
        states = {name: hull(states[name], value) for name, value in after(states).items()}
    for _ in range(len(states) + 1):
        growing = [name for name, value in after(states).items() if hull(value, states[name]) != states[name]]
        if not growing:
            break
        states.update(dict.fromkeys(growing, (-EVERYTHING, EVERYTHING)))
    else:
        return None
    for _ in range(ROUNDS):
        states = after(states)
    return step(states)


@RULES.rule(Leak)
def _leak(r: Reach, s: Leak) -> None:
    x, places = r.get(s.x), 1 << r.get(s.decay.shift)[1]
    factor = r.get(s.decay.numerator)[1] if s.decay.form == "multiply" else 1
    r.product = max(r.product, magnitude(x) * factor + places)
    by_neuron = isinstance(s.decay.shift, str) or isinstance(s.decay.numerator, str)
    if s.decay.form in ("dash", "linear"):
        r.narrow &= r.get(s.decay.shift)[1] <= NARROWEST
    else:
        r.narrow &= not by_neuron
    r.put(s.x, hull(x, (0, 0)))


@RULES.rule(Add)
def _add(r: Reach, s: Add) -> None:
    low, high = (end << s.shift for end in r.get(s.source))
    if s.times:
        ends = [end * times for end in (low, high) for times in r.get(s.times)]
        r.partial = max(r.partial, magnitude((low, high)))
        low, high = min(ends), max(ends)
    r.partial = max(r.partial, magnitude((low, high)))
    x = r.get(s.x)
    r.put(s.x, (x[0] - high, x[1] - low) if s.negative else (x[0] + low, x[1] + high))


@RULES.rule(Put)
def _put(r: Reach, s: Put) -> None:
    r.put(s.x, hull(r.get(s.source), r.get(s.x)) if s.when else r.get(s.source))


@RULES.rule(Bound)
def _bound(r: Reach, s: Bound) -> None:
    (low, high), lowest, highest = r.get(s.x), r.get(s.low), r.get(s.high)
    if lowest[1] <= low and high <= highest[0]:
        return
    r.changed.add(s.x)
    if s.overflow == "wrap":
        r.put(s.x, (lowest[0], highest[1]))
    else:
        r.put(s.x, (min(max(low, lowest[0]), highest[0]), min(max(high, lowest[1]), highest[1])))


@RULES.rule(Fire)
def _fire(r: Reach, s: Fire) -> None:
    r.put(s.into, (0, s.up_to))
