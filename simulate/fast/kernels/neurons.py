"""Layers of neurons over many steps: a block of neurons goes through all of them while its membranes stay in registers.

The arithmetic is that of `lehr.simulate.reference`, in lanes of 16, 32 or 64 bits of which the planner has proven that nothing in
an update leaves them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    above,
    add,
    apart,
    both,
    either,
    equal,
    filled,
    greater,
    greatest,
    high_product,
    lanes_of,
    less,
    mul,
    resized,
    select,
    set_lanes,
    shift_left,
    signed_right,
    signs,
    spread,
    sub,
    unequal,
    without_sign,
    xor,
)
from lehr.simulate.fast.kernels.layout import (
    FACTOR,
    FIELDS,
    FIRES,
    FLOOR,
    FRACTION,
    FREE,
    HIGHEST,
    KEEP,
    LATE,
    LEAK,
    LOWEST,
    MULTIPLY,
    NEAREST_EVEN,
    OVERFLOW,
    PLACES,
    RESET,
    ROUNDING,
    SATURATE,
    SHIFT,
    SUBTRACT,
    TOWARD_ZERO,
    ZERO,
)
from lehr.simulate.fast.kernels.vector import data, load_like, load_line, load_mask, store, store_mask

KEPT = len(FIELDS)
"""Place, behind them, of whether membranes are kept."""


@inlined
def divided(v: Any, p: Any) -> Any:
    """V * factor / 2**shift, rounded; factor below 2**shift."""
    if lanes_of(v) == 32:
        return _divided_halves(v, p)
    product = mul(v, p[FACTOR])
    if p[ROUNDING] == TOWARD_ZERO:
        product = add(product, both(signs(v), (1 << p[PLACES]) - 1))
    elif p[ROUNDING] == NEAREST_EVEN and p[PLACES] > 0:
        odd = both(signed_right(product, p[PLACES]), 1)
        product = add(product, add(odd, (1 << (p[PLACES] - 1)) - 1))
    return signed_right(product, p[PLACES])


@inlined
def _divided_halves(v: Any, p: Any) -> Any:
    """The same in lanes of 16 bits, which the product does not fit; the factor comes in units of 2**-16.

    It is made of magnitude and sign: `high` is the whole part of |V| * factor and `low` the rest, with which each rounding compares.
    """
    sign, magnitude = signs(v), without_sign(v)
    high = high_product(magnitude, p[FACTOR])
    if p[ROUNDING] != TOWARD_ZERO:
        low = mul(magnitude, p[FACTOR])
        if p[ROUNDING] == FLOOR:
            up = both(sign, filled(unequal(low, 0), v))
        else:
            tie = both(equal(low, -32768), equal(both(high, 1), 1))
            up = filled(either(above(low, -32768), tie), v)
        high = sub(high, up)
    return sub(xor(high, sign), sign)


@inlined
def leaked(v: Any, p: Any) -> Any:
    """One step of leak."""
    if p[LEAK] == MULTIPLY:
        return divided(v, p)
    if p[LEAK] == SHIFT:
        return sub(v, divided(v, p))
    return v


@inlined
def bounded(v: Any, p: Any) -> Any:
    """V brought into its width."""
    if p[OVERFLOW] == SATURATE:
        low, high = spread(p[LOWEST], v), spread(p[HIGHEST], v)
        v = select(less(v, low), low, v)
        return select(greater(v, high), high, v)
    return add(both(sub(v, p[LOWEST]), p[HIGHEST] - p[LOWEST]), p[LOWEST])


@inlined
def _numbers(p: Any, kept: Any) -> Any:
    """The numbers of layout.FIELDS, and `kept`, as a tuple: numba counts references to an array that is passed on, and none to a tuple."""
    return p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], kept


@compiled
def neurons(
    current: Any, state: Any, spikes: Any, layer: Any, how: Any, totals: Any, saturations: Any, membranes: Any, sizes: Any, rows: Any
) -> None:
    """Run a layer of neurons.

    Args:
        current: summed inputs, rows of `[neurons]`.
        state: membranes `[samples, neurons]`, in lanes' type; changed.
        spikes: bits, rows of `[words]`; the row before the first is read, too.
        layer: what the neurons have, `[3, neurons]` in lanes' type: the threshold that a membrane must pass, what a reset takes, bias.
        how: to compute, see layout.FIELDS.
        totals: int64 `[samples or 1, 3, neurons]`: spikes so far, lowest and highest membrane so far; changed.
        saturations: int64 `[samples]`; changed.
        membranes: int32, rows of `[neurons]` to keep them in, or empty.
        sizes: samples, steps, neurons, elements from sample to sample in `totals`, 0 if it is of all together.
        rows: of `current`, `spikes` and `membranes` each: the row of the first sample's first step, how many rows it is from there to
            the next sample's, and how many to the next step's (0 for an input that is held).
    """
    p, samples, steps, size = _numbers(how, np.int64(membranes.size > 0)), sizes[0], sizes[1], sizes[2]
    inputs, held, out, each = data(current), data(state), data(spikes), data(layer)
    all_totals, kept, usual = data(totals), data(membranes), _is_usual(p)
    for n in range(samples):
        for at in range(0, size, 64 // state.itemsize):
            v = load_line(held, n * size + at)
            blocks = size // lanes_of(v)
            layout = (
                (rows[0] + n * rows[1]) * size + at, rows[2] * size,
                (rows[3] + n * rows[4]) * blocks + at // lanes_of(v), rows[5] * blocks,
                (rows[6] + n * rows[7]) * size + at, rows[8] * size,
            )  # fmt: skip
            threshold, taken, bias = load_line(each, at), load_line(each, size + at), load_line(each, 2 * size + at)
            if usual:
                found = _through_steps(v, _usual(p), threshold, taken, bias, inputs, out, kept, layout, steps)
            else:
                found = _through_steps(v, p, threshold, taken, bias, inputs, out, kept, layout, steps)
            v, count, lowest, highest, lost = found
            store(held, n * size + at, v)
            _add_totals(all_totals, n * sizes[3] + at, size, count, lowest, highest)
            saturations[n] += lost


@inlined
def _is_usual(p: Any) -> Any:
    """Whether a layer computes as most do: what `_usual` takes for known."""
    shape = p[LEAK] == MULTIPLY and p[ROUNDING] == TOWARD_ZERO and p[OVERFLOW] == FREE
    return shape and p[RESET] == SUBTRACT and p[LATE] != 0 and p[FIRES] != 0 and p[KEPT] == 0


@inlined
def _usual(p: Any) -> Any:
    """The numbers of such a layer, in which the compiler sees what each decides; it leaves out what they do not ask for.

    As int64, they are of the same type as any layer's, so that numba translates one function for both.
    """
    yes, no = np.int64(1), np.int64(0)
    shape = np.int64(MULTIPLY), p[FACTOR], p[PLACES], np.int64(TOWARD_ZERO), np.int64(FREE), no, no, p[FRACTION]
    return (*shape, np.int64(SUBTRACT), yes, yes, no)


@inlined
def _through_steps(
    v: Any, p: Any, threshold: Any, taken: Any, bias: Any, inputs: Any, out: Any, membranes: Any, layout: Any, steps: Any
) -> Any:
    """Run one line of neurons; gives their membranes, spikes, lowest and highest membranes, and how many saturated."""
    source, source_step, into, into_step, kept, kept_step = layout
    leak, overflow, reset, late, fires = p[LEAK] != KEEP, p[OVERFLOW] != FREE, p[RESET], p[LATE] != 0, p[FIRES] != 0
    count, lowest, highest, lost = spread(0, v), greatest(v), xor(greatest(v), -1), 0
    fired = apart(filled(load_mask(out, into - into_step, v), v))  # lanes of all ones or none: cheaper to carry than a mask
    end = into + steps * into_step
    while into != end:  # as a count of steps LLVM would take two at once, for which there are not enough registers
        if leak:
            v = leaked(v, p)
        if late and reset == ZERO:
            v = both(v, xor(fired, -1))
        a = resized(load_like(inputs, source, v), v)
        v = add(v, add(shift_left(a, p[FRACTION]), bias))
        if late and reset == SUBTRACT:
            v = sub(v, both(fired, taken))
        if overflow:
            inside = bounded(v, p)
            lost += set_lanes(unequal(inside, v))
            v = inside
        if fires:
            mask = greater(v, threshold)
            store_mask(out, into, mask)
            fired = apart(filled(mask, v))
            count = sub(count, fired)
        if not late:
            if reset == SUBTRACT:
                v = sub(v, both(fired, taken))
            elif reset == ZERO:
                v = both(v, xor(fired, -1))
        lowest, highest = select(less(v, lowest), v, lowest), select(greater(v, highest), v, highest)
        if p[KEPT] != 0:
            store(membranes, kept, v)
            kept += kept_step
        into += into_step
        source += source_step
    return v, count, lowest, highest, lost


@inlined
def _add_totals(totals: Any, at: Any, size: Any, count: Any, lowest: Any, highest: Any) -> None:
    spikes = load_like(totals, at, count)
    store(totals, at, add(spikes, resized(count, spikes)))
    before, now = load_like(totals, at + size, count), resized(lowest, spikes)
    store(totals, at + size, select(less(now, before), now, before))
    before, now = load_like(totals, at + 2 * size, count), resized(highest, spikes)
    store(totals, at + 2 * size, select(greater(now, before), now, before))


@compiled
def currents(drive: Any, state: Any, made: Any, bias: Any, how: Any, saturations: Any, sizes: Any, rows: Any) -> None:
    """The synapse states of a layer: they leak, take the input, and are brought into their width.

    Args:
        drive: summed inputs, rows of `[neurons]`.
        state: synapse states `[samples, neurons]`, in lanes' type; changed.
        made: int32, rows of `[neurons]` for the states after each step.
        bias: what each takes in addition, `[neurons]` in lanes' type.
        how: to compute, see layout.FIELDS.
        saturations: int64 `[samples]`; changed.
        sizes: samples, steps, neurons.
        rows: of `drive` and `made` each, as in `neurons`.
    """
    p, samples, steps, size = _numbers(how, np.int64(0)), sizes[0], sizes[1], sizes[2]
    inputs, held, out, extras = data(drive), data(state), data(made), data(bias)
    leak, overflow = p[LEAK] != KEEP, p[OVERFLOW] != FREE
    for n in range(samples):
        lost = 0
        for at in range(0, size, 64 // state.itemsize):
            v, extra = load_line(held, n * size + at), load_line(extras, at)
            source = (rows[0] + n * rows[1]) * size + at
            into = (rows[3] + n * rows[4]) * size + at
            for _ in range(steps):
                if leak:
                    v = leaked(v, p)
                v = add(v, add(shift_left(resized(load_like(inputs, source, v), v), p[FRACTION]), extra))
                if overflow:
                    inside = bounded(v, p)
                    lost += set_lanes(unequal(inside, v))
                    v = inside
                store(out, into, v)
                source += rows[2] * size
                into += rows[5] * size
            store(held, n * size + at, v)
        saturations[n] += lost
