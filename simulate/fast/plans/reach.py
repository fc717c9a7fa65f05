"""What a layer's registers and lanes come to, for any program: a rule for each statement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lehr.analysis.bounds import Bounds, bites_never, magnitude, terms
from lehr.analysis.spans import Place, Spans
from lehr.network import Neuron
from lehr.tables import Table
from lehr.update import Add, Bound, Fire, Leak, Put

RULES: Table[Callable[..., None]] = Table("the fast engine", "use the engine 'reference'")
NARROWEST = 15
"""The greatest shift in lanes of 16 bits."""


@dataclass
class Reach:
    """What the operations of an update come to in any step.

    Attributes:
        partial: the greatest magnitude that any register or summand has.
        product: the greatest magnitude of a product in a decay, with what rounding adds.
        narrow: whether there are lanes of 16 bits for all its operations.
        free: registers that no Bound of theirs changes.
    """

    partial: int = 0
    product: int = 0
    narrow: bool = True
    free: frozenset[str] = frozenset()


def reach(neuron: Neuron, a: Bounds) -> Reach:
    """Return what a layer comes to, for summed inputs between `a`."""
    reached = Reach(free=frozenset(neuron.program.registers))
    for place in Spans.of(neuron, a).places:
        reached.partial = max(reached.partial, magnitude(place.after))
        RULES[type(place.statement)](reached, place, place.statement)
    return reached


@RULES.rule(Leak)
def _leak(r: Reach, at: Place, s: Leak) -> None:
    x, (_, shift) = at.get(s.x), at.get(s.decay.shift)
    factor = at.get(s.decay.numerator)[1] if s.decay.form == "multiply" else 1
    r.product = max(r.product, magnitude(x) * factor + (1 << shift))
    by_neuron = isinstance(s.decay.shift, str) or isinstance(s.decay.numerator, str)
    r.narrow &= shift <= NARROWEST if s.decay.form in ("dash", "linear") else not by_neuron


@RULES.rule(Add)
def _add(r: Reach, at: Place, s: Add) -> None:
    r.partial = max(r.partial, *(magnitude(term) for term in terms(at.before, s)))


@RULES.rule(Put, Fire)
def _no_more(r: Reach, at: Place, s: Put | Fire) -> None:
    """Nothing but what the register holds."""


@RULES.rule(Bound)
def _bound(r: Reach, at: Place, s: Bound) -> None:
    if not bites_never(at.get(s.x), at.get(s.low), at.get(s.high)):
        r.free -= {s.x}
