"""Layers of neurons over many steps: a block of neurons takes all of them in registers.

The arithmetic is that of `lehr.simulate.reference`, in lanes of 16, 32 or 64 bits of which the
planner has proven that nothing in an update leaves them.
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
    FLOOR,
    FREE,
    KEEP,
    MULTIPLY,
    NEAREST_EVEN,
    SATURATE,
    SHIFT,
    SUBTRACT,
    TOWARD_ZERO,
    ZERO,
    NeuronSizes,
    Rows,
    UpdateRule,
)
from lehr.simulate.fast.kernels.vector import (
    data,
    load_like,
    load_line,
    load_mask,
    read,
    store,
    store_mask,
)


@inlined
def divided(v: Any, p: Any) -> Any:
    """V * factor / 2**shift, rounded; factor below 2**shift."""
    if lanes_of(v) == 32:
        return _divided_halves(v, p)
    product = mul(v, p.factor)
    if p.rounding == TOWARD_ZERO:
        product = add(product, both(signs(v), (1 << p.places) - 1))
    elif p.rounding == NEAREST_EVEN and p.places > 0:
        odd = both(signed_right(product, p.places), 1)
        product = add(product, add(odd, (1 << (p.places - 1)) - 1))
    return signed_right(product, p.places)


@inlined
def _divided_halves(v: Any, p: Any) -> Any:
    """Return the same in lanes of 16 bits, which the product does not fit.

    The factor comes in units of 2**-16.

    It is made of magnitude and sign: `high` is the whole part of |V| * factor and `low` the rest,
    with which each rounding compares.
    """
    sign, magnitude = signs(v), without_sign(v)
    high = high_product(magnitude, p.factor)
    if p.rounding != TOWARD_ZERO:
        low = mul(magnitude, p.factor)
        if p.rounding == FLOOR:
            up = both(sign, filled(unequal(low, 0), v))
        else:
            tie = both(equal(low, -32768), equal(both(high, 1), 1))
            up = filled(either(above(low, -32768), tie), v)
        high = sub(high, up)
    return sub(xor(high, sign), sign)


@inlined
def leaked(v: Any, p: Any) -> Any:
    """One step of leak."""
    if p.leak == MULTIPLY:
        return divided(v, p)
    if p.leak == SHIFT:
        return sub(v, divided(v, p))
    return v


@inlined
def bounded(v: Any, p: Any) -> Any:
    """V brought into its width."""
    if p.overflow == SATURATE:
        low, high = spread(p.lowest, v), spread(p.highest, v)
        v = select(less(v, low), low, v)
        return select(greater(v, high), high, v)
    return add(both(sub(v, p.lowest), p.highest - p.lowest), p.lowest)


@compiled
def neurons(
    current: Any,
    state: Any,
    spikes: Any,
    layer: Any,
    rule: Any,
    totals: Any,
    saturations: Any,
    membranes: Any,
    sizes: Any,
    rows: Any,
) -> None:
    """Run a layer of neurons.

    Args:
        current: summed inputs, rows of `[neurons]`.
        state: membranes `[samples, neurons]`, in lanes' type; changed.
        spikes: bits, rows of `[words]`; the row before the first is read, too.
        layer: what the neurons have, `[3, neurons]` in lanes' type: the threshold that a membrane
            must pass, what a reset takes, bias.
        rule: to compute, see layout.UpdateRule.
        totals: int64 `[samples or 1, 3, neurons]`: spikes so far, lowest and highest membrane so
            far; changed.
        saturations: int64 `[samples]`; changed.
        membranes: int32, rows of `[neurons]` to keep them in, or empty.
        sizes: layout.NeuronSizes.
        rows: layout.Rows of `current`, `spikes` and `membranes` each.
    """
    p, s = read(UpdateRule, rule, 0), read(NeuronSizes, sizes, 0)
    size = s.neurons
    source, into, where = read(Rows, rows, 0), read(Rows, rows, 3), read(Rows, rows, 6)
    inputs, held, out, each = data(current), data(state), data(spikes), data(layer)
    all_totals, kept, usual = data(totals), data(membranes), _is_usual(p)
    for n in range(s.samples):
        for at in range(0, size, 64 // state.itemsize):
            v = load_line(held, n * size + at)
            blocks = size // lanes_of(v)
            layout = (
                (source.first + n * source.sample) * size + at, source.step * size,
                (into.first + n * into.sample) * blocks + at // lanes_of(v), into.step * blocks,
                (where.first + n * where.sample) * size + at, where.step * size,
            )  # fmt: skip
            threshold, taken, bias = (
                load_line(each, at),
                load_line(each, size + at),
                load_line(each, 2 * size + at),
            )
            if usual:
                outcome = _through_steps(
                    v, _usual(p), threshold, taken, bias, inputs, out, kept, layout, s.steps
                )
            else:
                outcome = _through_steps(
                    v, p, threshold, taken, bias, inputs, out, kept, layout, s.steps
                )
            v, count, lowest, highest, lost = outcome
            store(held, n * size + at, v)
            add_totals(all_totals, n * s.totals + at, size, count, lowest, highest)
            saturations[n] += lost


@inlined
def _is_usual(p: Any) -> Any:
    """Whether a layer computes as most do: what `_usual` takes for known."""
    shape = p.leak == MULTIPLY and p.rounding == TOWARD_ZERO and p.overflow == FREE
    return shape and p.reset == SUBTRACT and p.late != 0 and p.fires != 0 and p.kept == 0


@inlined
def _usual(p: Any) -> Any:
    """Return the same for such a layer, whose decisions the compiler sees.

    It leaves out what they do not ask for.

    As int64, they are of the same type as any layer's, so that numba translates one function for
    both.
    """
    yes: Any = np.int64(1)
    no: Any = np.int64(0)
    free, leak, round_to = no + FREE, no + MULTIPLY, no + TOWARD_ZERO
    subtract = no + SUBTRACT
    return UpdateRule(
        leak, p.factor, p.places, round_to, free, no, no, p.fraction, subtract, yes, yes, no
    )


@inlined
def _through_steps(
    v: Any,
    p: Any,
    threshold: Any,
    taken: Any,
    bias: Any,
    inputs: Any,
    out: Any,
    membranes: Any,
    layout: Any,
    steps: Any,
) -> Any:
    """Run one line of neurons.

    Returns their membranes, spikes, lowest and highest membranes, and how many saturated.
    """
    source, source_step, into, into_step, kept, kept_step = layout
    leak, overflow, reset, late, fires = (
        p.leak != KEEP,
        p.overflow != FREE,
        p.reset,
        p.late != 0,
        p.fires != 0,
    )
    count, lowest, highest, lost = spread(0, v), greatest(v), xor(greatest(v), -1), 0
    fired = apart(
        filled(load_mask(out, into - into_step, v), v)
    )  # lanes of all ones or none: cheaper to carry than a mask
    end = into + steps * into_step
    while (
        into != end
    ):  # as a count of steps LLVM would take two at once, for which there are not enough registers
        if leak:
            v = leaked(v, p)
        if late and reset == ZERO:
            v = both(v, xor(fired, -1))
        a = resized(load_like(inputs, source, v), v)
        v = add(v, add(shift_left(a, p.fraction), bias))
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
        lowest, highest = (
            select(less(v, lowest), v, lowest),
            select(greater(v, highest), v, highest),
        )
        if p.kept != 0:
            store(membranes, kept, v)
            kept += kept_step
        into += into_step
        source += source_step
    return v, count, lowest, highest, lost


@inlined
def add_totals(totals: Any, at: Any, size: Any, count: Any, lowest: Any, highest: Any) -> None:
    """Take a line of neurons' spikes, lowest and highest membranes into the totals of a layer."""
    spikes = load_like(totals, at, count)
    store(totals, at, add(spikes, resized(count, spikes)))
    before, now = load_like(totals, at + size, count), resized(lowest, spikes)
    store(totals, at + size, select(less(now, before), now, before))
    before, now = load_like(totals, at + 2 * size, count), resized(highest, spikes)
    store(totals, at + 2 * size, select(greater(now, before), now, before))
