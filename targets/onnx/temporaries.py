"""Types of integers in which a layer is updated in ONNX.

A rule for each statement says what its operators come to beside what registers hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

from lehr.analysis.bounds import hull, magnitude, terms
from lehr.analysis.spans import Place, Spans
from lehr.nodes import INT32_MAX, Neuron
from lehr.tables import Table
from lehr.targets.arithmetics import Problem
from lehr.targets.onnx.graph import INT32, INT64
from lehr.update import FIRED, Add, Bound, Fire, Leak, Put, written

INT64_MAX = 2**63 - 1
RULES: Table[Callable[..., list[int]]] = Table("target onnx")


def types_of(neuron: Neuron, current: int) -> tuple[int, Mapping[str, int]]:
    """Return the type in which a layer is updated, and those in which its states go on.

    The states go to the next step: INT32 where it holds all, else INT64.

    Args:
        neuron: the layer.
        current: the greatest magnitude of its summed input A.
    """
    spans = Spans.of(neuron, (-current, current))
    most = max(current, *(_reached(place) for place in spans.places))
    kept = {x: spans.kept[x] for x in neuron.program.states if x != FIRED}
    states = {
        x: INT32 if low >= -INT32_MAX - 1 and high <= INT32_MAX else INT64
        for x, (low, high) in kept.items()
    }
    return INT32 if most <= INT32_MAX else INT64, states


def problems(name: str, neuron: Neuron, current: int) -> list[Problem]:
    """Return why operators on integers do not compute a layer's update.

    Nothing bounds a register, or its membrane.
    """
    if RULES.missing(neuron.program.all):
        return []  # said already
    spans, membrane = Spans.of(neuron, (-current, current)), neuron.program.membrane
    wide = next((place.statement for place in spans.places if _reached(place) > INT64_MAX), None)
    if wide is not None:
        x = written(wide)
        return [
            Problem(
                name, f"nothing keeps its register {x} within 64 bits", f"bound {x} in its update"
            )
        ]
    low, high = spans.kept[membrane]
    if -INT32_MAX - 1 <= low <= high <= INT32_MAX:
        return []
    reason = (
        f"its membrane {membrane} reaches {max(-low, high):,}, more than the 32 bits in which "
        "it is read"
    )
    return [Problem(name, reason, f"bound {membrane} in its update")]


def _reached(place: Place) -> int:
    """Return the greatest magnitude that operators come to at a statement."""
    beside = [(value, value) for value in RULES[type(place.statement)](place, place.statement)]
    return magnitude(hull(place.after, *beside))


@RULES.rule(Leak)
def _leak(at: Place, s: Leak) -> list[int]:
    x, k, n = at.get(s.x), at.get(s.decay.numerator), at.get(s.decay.shift)
    divided = (
        [value * factor for value, factor in product(x, k)]
        if s.decay.form == "multiply"
        else list(x)
    )
    # twice a remainder is compared with the divisor
    return [*divided, min(divided) - (1 << n[1]), 2 << n[1], -k[1], k[1]]


@RULES.rule(Add)
def _add(at: Place, s: Add) -> list[int]:
    """Return what the sum comes to.

    It is computed of all neurons, and where a spike says that there is none to add it is not used.
    """
    (low, high), added = at.get(s.x), terms(at.before, s)
    least, most = added[-1]
    return [
        *(end for term in added for end in term),
        *((low - most, high - least) if s.negative else (low + least, high + most)),
    ]


@RULES.rule(Put)
def _put(at: Place, s: Put) -> list[int]:
    return [*at.get(s.source)]


@RULES.rule(Bound)
def _bound(at: Place, s: Bound) -> list[int]:
    x, low, high = at.get(s.x), at.get(s.low)[0], at.get(s.high)[1]
    return [x[0] - low, x[1] - low, high - low + 1] if s.overflow == "wrap" else []


@RULES.rule(Fire)
def _fire(at: Place, s: Fire) -> list[int]:
    """Return a count is divided by its level, what is left over taken off first."""
    x, level = at.get(s.x), at.get(s.level)
    return [*level, x[0] - level[1]] if s.up_to > 1 else [*level]
