"""Layers of neurons over many steps, all neurons of a step after one another.

What one line of neurons does never waits for another. The arithmetic is that of
`lehr.simulate.reference`, in lanes of 16, 32 or 64 bits of which the planner has proven that
nothing in an update leaves them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lehr.simulate.fast.kernels.adders import add_spikes
from lehr.simulate.fast.kernels.compiled import compiled, inlined
from lehr.simulate.fast.kernels.lanes import (
    above,
    add,
    apart,
    bits_of,
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
    MULTIPLY,
    NEAREST_EVEN,
    SATURATE,
    SHIFT,
    SUBTRACT,
    TOWARD_ZERO,
    WORD,
    ZERO,
    NeuronSizes,
    Rows,
    UpdateRule,
)
from lehr.simulate.fast.kernels.vector import (
    data,
    load_like,
    load_line,
    read,
    store,
    store_mask,
)


@inlined
def divided(v: Any, p: Any) -> Any:
    """V * factor / 2**shift, rounded; factor below 2**shift."""
    if bits_of(v) == 16:
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
    return apart(sub(xor(high, sign), sign))


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


@inlined
def updated(left: Any, a: Any, threshold: Any, taken: Any, bias: Any, p: Any) -> Any:
    """One step of a line of neurons.

    Args:
        left: what the step before left: decayed, and less what a late reset takes; 0 at first.
        a: summed inputs.
        threshold: what a membrane must pass to fire; a neuron that never does has one that no
            membrane passes.
        taken: what a reset takes.
        bias: of the neurons.
        p: the rule.

    Returns:
        What this step leaves, the membranes, a mask of those that fire, and how many saturated.
    """
    drive, lost = resized(a, left), 0
    if p.fraction != 0:
        drive = shift_left(drive, p.fraction)
    v = add(left, add(drive, bias))
    if p.overflow != FREE:
        inside = bounded(v, p)
        lost, v = set_lanes(unequal(inside, v)), inside
    fires = greater(v, threshold)
    fired = apart(filled(fires, v))
    if p.late == 0:
        v = _reset(v, fired, taken, p)
        return leaked(v, p), v, fires, lost
    return _reset(leaked(v, p), fired, taken, p), v, fires, lost


@inlined
def _reset(v: Any, fired: Any, taken: Any, p: Any) -> Any:
    if p.reset == SUBTRACT:
        return sub(v, both(fired, taken))
    return both(v, xor(fired, -1)) if p.reset == ZERO else v


@inlined
def is_usual(p: Any) -> Any:
    """Return whether a layer computes as most do: what `usual` takes for known."""
    shape = p.leak == MULTIPLY and p.rounding == TOWARD_ZERO and p.overflow == FREE
    return shape and p.reset == SUBTRACT and p.late != 0 and p.kept == 0


@inlined
def usual(p: Any) -> Any:
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
        leak, p.factor, p.places, round_to, free, no, no, p.fraction, subtract, yes, no
    )


@inlined
def whole(p: Any) -> Any:
    """Return a rule whose inputs have no fraction, which the compiler sees.

    Where it does not, it shifts by 0: many instructions, in lanes of 16 bits without AVX-512.
    """
    none: Any = np.int64(0)
    return UpdateRule(
        p.leak, p.factor, p.places, p.rounding, p.overflow, p.lowest, p.highest, none, p.reset,
        p.late, p.kept,
    )  # fmt: skip


@compiled
def neurons(
    current: Any, state: Any, spikes: Any, layer: Any, rule: Any, totals: Any,
    saturations: Any, membranes: Any, spare: Any, sizes: Any, rows: Any,
) -> None:  # fmt: skip
    """Run a layer of neurons.

    Args:
        current: summed inputs, rows of `[neurons]`.
        state: what steps leave, `[samples, neurons]`, in lanes' type; changed.
        spikes: bits, rows of `[words]`.
        layer: what the neurons have, `[3, width]` in lanes' type: the threshold that a membrane
            must pass, what a reset takes, bias. See layout.NeuronSizes.
        rule: to compute, see layout.UpdateRule.
        totals: int64 `[samples or 1, 3, neurons]`: spikes so far, and the lowest and highest
            membrane so far of some neurons in the same lane together; changed.
        saturations: int64 `[samples]`; changed.
        membranes: int32, rows of `[neurons]` to keep them in, or empty.
        spare: uint8 `[256]`.
        sizes: layout.NeuronSizes.
        rows: layout.Rows of `current`, `spikes` and `membranes` each.
    """
    p, s = read(UpdateRule, rule, 0), read(NeuronSizes, sizes, 0)
    source, into, where = read(Rows, rows, 0), read(Rows, rows, 3), read(Rows, rows, 6)
    inputs, held, out, each = data(current), data(state), data(spikes), data(layer)
    all_totals, kept, known = data(totals), data(membranes), is_usual(p)
    lanes, words = lanes_of(load_line(held, 0)), s.neurons // WORD
    for n in range(s.samples):
        here, there, own = (
            source.first + n * source.sample,
            into.first + n * into.sample,
            where.first + n * where.sample,
        )
        at = np.int64(0)
        while at < s.used:
            low, high, lost = no_extremes(held)
            end, place = part_of(s, at, lanes)
            for t in range(s.steps):
                row, bits = (here + t * source.step) * s.neurons, (there + t * into.step) * words
                keep = (own + t * where.step) * s.neurons
                low, high, more = one_step(
                    p, known, s, inputs, row, held, n * s.neurons, each, out, bits, kept, keep, at,
                    end, place, low, high,
                )  # fmt: skip
                lost += more
            add_extremes(all_totals, n * s.totals + end - lanes, s.neurons, low, high)
            saturations[n] += lost
            at = end
        add_spikes(
            all_totals, n * s.totals, out, there * words, into.step * words, s.steps, words,
            data(spare),
        )  # fmt: skip


@inlined
def no_extremes(held: Any) -> Any:
    """Return a lowest and a highest membrane of none, and that none saturated."""
    most = greatest(load_line(held, 0))
    return most, xor(most, -1), 0


@inlined
def part_of(s: Any, at: Any, lanes: Any) -> Any:
    """Return where the part of a row that begins at `at` ends, and where its line of `layer` lies.

    A line in which there is padding is a part of its own, so that its extremes are.
    """
    whole = s.used // lanes * lanes
    if at < whole:
        return min(at + s.block, whole), at % s.period
    return at + lanes, s.last


@inlined
def one_step(
    p: Any, known: Any, s: Any, inputs: Any, row: Any, held: Any, own: Any, each: Any, out: Any,
    bits: Any, membranes: Any, kept: Any, at: Any, end: Any, place: Any, low: Any, high: Any,
) -> Any:  # fmt: skip
    """Run neurons `at` to `end` of a row through one step.

    `known` says whether `is_usual` is true of the rule; `row`, `own` and `kept` are where rows
    begin, in elements; `bits` in words; `place` where the first line's own numbers stand.

    Returns the lowest and highest membranes, with those that are given, and how many saturated.
    """
    if not known:
        return _one_step(
            p, s, inputs, row, held, own, each, out, bits, membranes, kept, at, end, place, low,
            high,
        )  # fmt: skip
    if p.fraction == 0:
        return _one_step(
            whole(usual(p)), s, inputs, row, held, own, each, out, bits, membranes, kept, at, end,
            place, low, high,
        )  # fmt: skip
    return _one_step(
        usual(p), s, inputs, row, held, own, each, out, bits, membranes, kept, at, end, place, low,
        high,
    )  # fmt: skip


@inlined
def _one_step(
    p: Any, s: Any, inputs: Any, row: Any, held: Any, own: Any, each: Any, out: Any, bits: Any,
    membranes: Any, kept: Any, at: Any, end: Any, place: Any, low: Any, high: Any,
) -> Any:  # fmt: skip
    """Do the same by a rule of which the compiler sees what it may."""
    lost, lanes = 0, lanes_of(low)
    lines, mask = (end - at) // lanes, bits * (WORD // lanes) + at // lanes
    if s.period == lanes:  # all lines have the same numbers, which stay in registers
        threshold, taken, bias = _own(each, s, place, low)
        for line in range(lines):
            low, high, more = _one_line(
                p, inputs, row + at, held, own + at, out, mask, membranes, kept + at, line,
                threshold, taken, bias, low, high,
            )  # fmt: skip
            lost += more
        return low, high, lost
    for line in range(lines):
        threshold, taken, bias = _own(each, s, place, low)
        low, high, more = _one_line(
            p, inputs, row + at, held, own + at, out, mask, membranes, kept + at, line, threshold,
            taken, bias, low, high,
        )  # fmt: skip
        lost += more
        place += lanes
        place = select(place == s.period, 0, place)
    return low, high, lost


@inlined
def _own(each: Any, s: Any, place: Any, like: Any) -> Any:
    """Return what a line of neurons has: thresholds, what resets take, biases."""
    threshold, taken = load_like(each, place, like), load_like(each, s.width + place, like)
    return threshold, taken, load_like(each, 2 * s.width + place, like)


@inlined
def _one_line(
    p: Any, inputs: Any, row: Any, held: Any, own: Any, out: Any, mask: Any, membranes: Any,
    kept: Any, line: Any, threshold: Any, taken: Any, bias: Any, low: Any, high: Any,
) -> Any:  # fmt: skip
    """Run a line of neurons, so many lines behind where the memory begins, through one step."""
    at = line * lanes_of(low)
    left, v, fires, lost = updated(
        load_like(held, own + at, low), load_like(inputs, row + at, low), threshold, taken, bias, p
    )
    store(held, own + at, left)
    store_mask(out, mask + line, fires)
    if p.kept != 0:
        store(membranes, kept + at, v)
    return select(less(v, low), v, low), select(greater(v, high), v, high), lost


@inlined
def add_extremes(totals: Any, at: Any, size: Any, lowest: Any, highest: Any) -> None:
    """Take a line of lowest and highest membranes into the totals of a layer."""
    before = load_like(totals, at + size, lowest)
    now = resized(lowest, before)
    store(totals, at + size, select(less(now, before), now, before))
    before, now = load_like(totals, at + 2 * size, highest), resized(highest, now)
    store(totals, at + 2 * size, select(greater(now, before), now, before))
