"""In which integers a layer is updated in ONNX: what its operators come to beside what registers hold, by a rule for each statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

from lehr.analysis.bounds import hull, magnitude, terms
from lehr.analysis.spans import Place, Spans
from lehr.nodes import INT32_MAX, Neuron
from lehr.tables import Table
from lehr.targets.onnx.graph import INT32, INT64
from lehr.update import FIRED, Add, Bound, Fire, Leak, Put

RULES: Table[Callable[..., list[int]]] = Table("target onnx")


def types_of(neuron: Neuron, current: int) -> tuple[int, Mapping[str, int]]:
    """The type in which a layer is updated, and those in which its states go to the next step: INT32 where it holds all, else INT64.

    Args:
        neuron: the layer.
        current: the greatest magnitude of its summed input A.
    """
    spans = Spans.of(neuron, (-current, current))
    most = current
    for place in spans.places:
        beside = [(value, value) for value in RULES[type(place.statement)](place, place.statement)]
        most = max(most, magnitude(hull(place.after, *beside)))
    kept = {x: spans.kept[x] for x in neuron.program.states if x != FIRED}
    states = {x: INT32 if low >= -INT32_MAX - 1 and high <= INT32_MAX else INT64 for x, (low, high) in kept.items()}
    return INT32 if most <= INT32_MAX else INT64, states


@RULES.rule(Leak)
def _leak(at: Place, s: Leak) -> list[int]:
    x, k, n = at.get(s.x), at.get(s.decay.numerator), at.get(s.decay.shift)
    divided = [value * factor for value, factor in product(x, k)] if s.decay.form == "multiply" else list(x)
    return [*divided, min(divided) - (1 << n[1]), 2 << n[1], -k[1], k[1]]  # twice a remainder is compared with the divisor


@RULES.rule(Add)
def _add(at: Place, s: Add) -> list[int]:
    """The sum is computed of all neurons, and where a spike says that there is none to add it is not used."""
    (low, high), added = at.get(s.x), terms(at.before, s)
    least, most = added[-1]
    return [*(end for term in added for end in term), *((low - most, high - least) if s.negative else (low + least, high + most))]


@RULES.rule(Put)
def _put(at: Place, s: Put) -> list[int]:
    return [*at.get(s.source)]


@RULES.rule(Bound)
def _bound(at: Place, s: Bound) -> list[int]:
    x, low, high = at.get(s.x), at.get(s.low)[0], at.get(s.high)[1]
    return [x[0] - low, x[1] - low, high - low + 1] if s.overflow == "wrap" else []


@RULES.rule(Fire)
def _fire(at: Place, s: Fire) -> list[int]:
    """A count is divided by its level, what is left over taken off first."""
    x, level = at.get(s.x), at.get(s.level)
    return [*level, x[0] - level[1]] if s.up_to > 1 else [*level]
