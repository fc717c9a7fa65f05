"""The operations of a table, each a loop over the lines of a block of neurons.

| operation | makes of register x |
|---|---|
| TAKE | x + (input << shift) |
| LOAD | input |
| LEAK | x * factor / 2**places, rounded; with `form` SHIFT x less that; see `then` |
| LEAK_EACH | the same by factors y and places m; `extra` and `odd` hold what rounding adds |
| DASH, LINEAR | x - (x >> m), at least 1 towards 0; x moved by m towards 0 |
| ADD, SUB | x +- (y << shift) |
| ADD_WHERE, SUB_WHERE | the same where m is 1, not 0 |
| ADD_TIMES, SUB_TIMES | x +- (y << shift) * m |
| COPY, PUT | y; y where m is not 0 |
| CLIP, MODULO | x between y and m; x between low and high by its lowest bits; changes are counted |
| PASS, REACH | whether y > m; whether y >= m |
| COUNT | how often y passes m, up to `shift` times; to pass it is to be more than `extra` |

`then` of a LEAK, if not -1, is a TAKE or ADD of x to do with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lehr.simulate.fast.kernels.compiled import inlined
from lehr.simulate.fast.kernels.lanes import (
    add,
    bits_set,
    both,
    filled,
    greater,
    lanes_of,
    less,
    mask_word,
    mul,
    resized,
    select,
    shift_left,
    signed_right,
    signs,
    spread,
    sub,
    unequal,
)
from lehr.simulate.fast.kernels.layout import (
    ADD,
    ADD_TIMES,
    ADD_WHERE,
    CLIP,
    COPY,
    COUNT,
    DASH,
    LEAK,
    LEAK_EACH,
    LINEAR,
    LOAD,
    MODULO,
    MULTIPLY,
    NEAREST_EVEN,
    PASS,
    PUT,
    REACH,
    SUB,
    SUB_TIMES,
    SUB_WHERE,
    TAKE,
    TOWARD_ZERO,
    Decay,
)
from lehr.simulate.fast.kernels.neurons import divided
from lehr.simulate.fast.kernels.vector import load_like, load_line, store


# One function for several operations: what they differ in the compiler takes out of the loop, and
# each function costs to compile.
@inlined
def _where(v: Any, m: Any) -> Any:
    """`v` where m is 1, 0 where it is 0."""
    return both(v, sub(spread(0, m), m))


@inlined
def _sum(r: Any, x: Any, y: Any, m: Any, op: Any, shift: Any, count: Any) -> None:
    for j in range(0, count, lanes_of(load_line(r, x))):
        v, term = load_line(r, x + j), shift_left(load_line(r, y + j), shift)
        if op == ADD:
            v = add(v, term)
        elif op == SUB:
            v = sub(v, term)
        elif op == ADD_WHERE:
            v = add(v, _where(term, load_line(r, m + j)))
        elif op == SUB_WHERE:
            v = sub(v, _where(term, load_line(r, m + j)))
        elif op == ADD_TIMES:
            v = add(v, mul(term, load_line(r, m + j)))
        else:
            v = sub(v, mul(term, load_line(r, m + j)))
        store(r, x + j, v)


@inlined
def _choice(r: Any, x: Any, y: Any, m: Any, op: Any, count: Any) -> None:
    for j in range(0, count, lanes_of(load_line(r, x))):
        v = load_line(r, y + j)
        if op == PUT:
            v = select(unequal(load_line(r, m + j), 0), v, load_line(r, x + j))
        elif op == PASS:
            v = both(filled(greater(v, load_line(r, m + j)), v), 1)
        elif op == REACH:
            v = add(filled(less(v, load_line(r, m + j)), v), 1)
        store(r, x + j, v)


@inlined
def _towards_zero(r: Any, x: Any, m: Any, op: Any, count: Any) -> None:
    for j in range(0, count, lanes_of(load_line(r, x))):
        v, most = load_line(r, x + j), load_line(r, m + j)
        if op == DASH:
            lost = signed_right(v, most)
            sign = select(greater(v, 0), spread(1, v), signs(v))
            lost = select(unequal(lost, 0), lost, sign)
        else:
            least = sub(spread(0, v), most)
            lost = select(greater(v, most), most, select(less(v, least), least, v))
        store(r, x + j, sub(v, lost))


@inlined
def _leak(r: Any, x: Any, y: Any, inputs: Any, at: Any, how: Any, count: Any) -> None:
    for j in range(0, count, lanes_of(load_line(r, x))):
        v = load_line(r, x + j)
        part = divided(v, how)
        part = part if how.form == MULTIPLY else sub(v, part)
        if how.then == TAKE:
            part = add(part, shift_left(resized(load_like(inputs, at + j, v), v), how.shift))
        elif how.then == ADD:
            part = add(part, shift_left(load_line(r, y + j), how.shift))
        store(r, x + j, part)


@inlined
def _leak_each(r: Any, x: Any, y: Any, m: Any, extra: Any, odd: Any, row: Any, count: Any) -> None:
    for j in range(0, count, lanes_of(load_line(r, x))):
        v, places = load_line(r, x + j), load_line(r, m + j)
        product = mul(v, load_line(r, y + j))
        if row.rounding == TOWARD_ZERO:
            product = add(product, both(signs(v), load_line(r, extra + j)))
        elif row.rounding == NEAREST_EVEN:
            product = add(
                product,
                add(
                    both(signed_right(product, places), load_line(r, odd + j)),
                    load_line(r, extra + j),
                ),
            )
        part = signed_right(product, places)
        store(r, x + j, part if row.form == MULTIPLY else sub(v, part))


@inlined
def _changed(inside: Any, v: Any, used: Any) -> Any:
    """How many lanes of neurons, not of padding, a bound changed."""
    changed = mask_word(unequal(inside, v))
    if changed == 0:
        return np.int64(0)
    return bits_set(changed if used >= lanes_of(v) else changed & ((1 << max(used, 0)) - 1))


@inlined
def _clip(r: Any, x: Any, y: Any, m: Any, count: Any, used: Any) -> Any:
    lost = np.int64(0)
    for j in range(0, count, lanes_of(load_line(r, x))):
        v, low, high = load_line(r, x + j), load_line(r, y + j), load_line(r, m + j)
        inside = select(less(v, low), low, v)
        inside = select(greater(inside, high), high, inside)
        lost += _changed(inside, v, used - j)
        store(r, x + j, inside)
    return lost


@inlined
def _modulo(r: Any, x: Any, low: Any, high: Any, count: Any, used: Any) -> Any:
    lost = np.int64(0)
    for j in range(0, count, lanes_of(load_line(r, x))):
        v = load_line(r, x + j)
        inside = add(both(sub(v, low), high - low), low)
        lost += _changed(inside, v, used - j)
        store(r, x + j, inside)
    return lost


@inlined
def _count(r: Any, x: Any, y: Any, m: Any, extra: Any, most: Any, count: Any) -> None:
    for j in range(0, count, lanes_of(load_line(r, x))):
        v, level, reach = load_line(r, y + j), load_line(r, m + j), load_line(r, extra + j)
        found = spread(0, v)
        for _ in range(most):
            passed = greater(v, reach)
            if mask_word(passed) == 0:
                break
            found = sub(found, filled(passed, v))
            v = sub(v, both(level, filled(passed, v)))
        store(r, x + j, found)


@inlined
def _take(r: Any, x: Any, inputs: Any, at: Any, shift: Any, keep: Any, count: Any) -> None:
    for j in range(0, count, lanes_of(load_line(r, x))):
        v = load_line(r, x + j)
        store(
            r,
            x + j,
            add(both(v, keep), shift_left(resized(load_like(inputs, at + j, v), v), shift)),
        )


@inlined
def address(place: Any, kept: Any, block: Any, own: Any) -> Any:
    """Return the place of a register.

    Those that live from step to step lie with their neurons, from `own` on; all others where every
    block has them.
    """
    return place * block + (own if place < kept else 0)


@inlined
def done(
    row: Any, r: Any, kept: Any, block: Any, own: Any, count: Any, used: Any, inputs: Any, at: Any
) -> Any:
    """Do one operation; how many values a bound changed."""
    op, shift, x = row.op, row.shift, address(row.x, kept, block, own)
    y, m = address(row.y, kept, block, own), address(row.m, kept, block, own)
    if op in (TAKE, LOAD):
        _take(r, x, inputs, at, shift, np.int64(-1 if op == TAKE else 0), count)
    elif op == LEAK:
        if (
            row.form == MULTIPLY and row.rounding == TOWARD_ZERO
        ):  # which the compiler sees in what it is given here
            form: Any = np.int64(MULTIPLY)
            rounding: Any = np.int64(TOWARD_ZERO)
            _leak(
                r,
                x,
                y,
                inputs,
                at,
                Decay(form, row.factor, row.places, rounding, row.then, shift),
                count,
            )
        else:
            _leak(
                r,
                x,
                y,
                inputs,
                at,
                Decay(row.form, row.factor, row.places, row.rounding, row.then, shift),
                count,
            )
    elif op == LEAK_EACH:
        if lanes_of(load_line(r, x)) < 32:  # 16 bits hold no product
            _leak_each(r, x, y, m, row.extra * block, row.odd * block, row, count)
    elif op in (ADD, SUB, ADD_WHERE, SUB_WHERE, ADD_TIMES, SUB_TIMES):
        _sum(r, x, y, m, op, shift, count)
    elif op in (COPY, PUT, PASS, REACH):
        _choice(r, x, y, m, op, count)
    elif op in (DASH, LINEAR):
        _towards_zero(r, x, m, op, count)
    elif op == CLIP:
        return _clip(r, x, y, m, count, used)
    elif op == MODULO:
        return _modulo(r, x, row.low, row.high, count, used)
    elif op == COUNT:
        _count(r, x, y, m, row.extra * block, shift, count)
    return np.int64(0)
