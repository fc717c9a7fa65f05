"""Time constants against the step: odd ones are named, with the step that would suit them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from lehr.errors import NotMappable
from lehr.export.fold import Float
from lehr.export.nirgraph.graph import Cells

FAR = 10_000
"""A time constant of more steps than this is likely in another unit than the step."""
NEAR = 0.1
"""A time constant of fewer steps is, too: what is left after a step is below 5e-5."""

_STEPS = (1.0, 1e-3, 1e-4, 1e-5, 1e-6)
_USUAL = (1.05, 1_000.0)  # of how many steps the time constants of networks are


def odd_time(tau: Float, name: str, dt: float) -> str:
    """Say what is odd about a time constant; nothing where nothing is.

    It reads as "its tau_mem is 2.2222 s, 22,222 steps at dt 0.0001; is dt 1?".

    Args:
        tau: in seconds, above 0.
        name: of the field.
        dt: seconds of a step.
    """
    low, high = float(tau.min()), float(tau.max())
    if NEAR * dt <= low and high <= FAR * dt:
        return ""
    worst = high if high > FAR * dt else low
    steps = f"{worst / dt:,.0f}" if worst > dt else f"{worst / dt:.2g}"
    likely = [step for step in _STEPS if _USUAL[0] * step <= low and high <= _USUAL[1] * step]
    asked = f"is dt {likely[0]:g}?" if likely else "is it in seconds?"
    return f"its {name} is {worst:g} s, {steps} steps at dt {dt:g}; {asked}"


def odd_times(values: Mapping[str, Float], dt: float | None) -> list[str]:
    """Say what is odd about the time constants among a layer's fields."""
    named = {name: value for name, value in values.items() if name in ("tau", "tau_mem", "tau_syn")}
    known = {
        name: value for name, value in named.items() if dt is not None and bool(np.all(value > 0))
    }
    return [
        odd
        for name, value in known.items()
        if dt is not None and (odd := odd_time(value, name, dt))
    ]


@contextmanager
def asking_about_times(cells: Mapping[str, Cells], dt: float | None) -> Iterator[None]:
    """Answer a refusal of too many bits by what is odd about the time constants, if anything is.

    Raises:
        NotMappable: naming each layer of odd time constants, in place of the way out that the
            refusal inside had.
    """
    try:
        yield
    except NotMappable as error:
        odd = {
            f"{name} ({each.kind})": " And ".join(odd_times(each.values, dt))
            for name, each in cells.items()
        }
        asked = [f"{name}: {said}" for name, said in odd.items() if said]
        if not asked:
            raise
        reason = str(error).partition(";")[0]
        raise NotMappable(*(f"{each} As it stands, {reason}" for each in asked)) from None
