"""Range of what comes up in C on the way to a register, beside what the register holds.

There is a rule for each statement, as printer.py writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from lehr.analysis.bounds import Bounds, hull, terms
from lehr.analysis.spans import Place, Spans
from lehr.tables import Table
from lehr.update import FIRED, Add, Bound, Fire, Leak, Program, Put, written

RULES: Table[Callable[..., list[int]]] = Table("target c", "say the update in other statements")


def reached(program: Program, spans: Spans) -> dict[str, Bounds]:
    """Bounds of every value that each register has, or that comes up on the way to one."""
    bounds: dict[str, Bounds] = dict.fromkeys(program.registers, (0, 0))
    for place in spans.places:
        s, x = place.statement, written(place.statement)
        bounds[x] = hull(
            bounds[x], place.after, *((value, value) for value in RULES[type(s)](place, s))
        )
    return bounds


@RULES.rule(Leak)
def _leak(at: Place, s: Leak) -> list[int]:
    x, k, n = at.get(s.x), at.get(s.decay.numerator), at.get(s.decay.shift)
    divided = (
        [value * factor for value, factor in product(x, k)]
        if s.decay.form == "multiply"
        else list(x)
    )
    lost = [-k[1], k[1]] if s.decay.form == "linear" else []
    # on the way to a quotient
    return [*divided, *(-value for value in divided), min(divided) - (1 << n[1]), *lost]


@RULES.rule(Add)
def _add(at: Place, s: Add) -> list[int]:
    added = terms(at.before, s)
    ends = [end for term in added for end in term]
    # before it is held at the most there are
    return [*ends, at.get(FIRED)[1] + added[-1][1]] if s.x == FIRED else ends


@RULES.rule(Put)
def _put(at: Place, s: Put) -> list[int]:
    return [*at.get(s.source)]


@RULES.rule(Bound)
def _bound(at: Place, s: Bound) -> list[int]:
    return [0, at.get(s.high)[1] - at.get(s.low)[0]] if s.overflow == "wrap" else []


@RULES.rule(Fire)
def _fire(at: Place, s: Fire) -> list[int]:
    return [*at.get(s.level)]
