"""Neurons that adapt: the statements that a second state adds to the update of a layer.

`threshold`, Bellec et al. 2018, "Long short-term memory and learning-to-learn in networks of
spiking neurons", Eq. 1 and 2 with its own units, and the machine `adaptive` of lehr.machines: what
the threshold has risen by, a, decays and takes the spikes of the step before,

    a[t] = rho a[t-1] + jump S[t-1],   S[t] = V[t] > threshold + a[t]

`current`, Baronig et al. 2024, "Advancing spatio-temporal processing in spiking neural networks
through adaptation", Eq. 6a and 6b, by the symplectic Euler method: w takes the new membrane V[t],
as the step leaves it, and the new spikes,

    V[t] = beta V[t-1] + I[t] - w[t-1] (and the reset),   w[t] = rho w[t-1] + a V[t] + jump S[t]

With the paper's I and w times 1 - alpha, its a and b times (1 - alpha)(1 - rho), a reset to zero
and reset_timing = "same_step" that is its SE-adLIF neuron. Coefficients are k / 2**n, so that the
integers are exact, and each state has a Bound, whose width `lehr.widths` proves.
"""

from __future__ import annotations

from fractions import Fraction

from lehr.arithmetic import Arithmetic
from lehr.train.keys.dynamics import (
    Adaptation,
    CurrentAdaptation,
    ThresholdAdaptation,
    binary_digits,
)
from lehr.update import (
    FIRED,
    MEMBRANE,
    Add,
    Bound,
    Decay,
    Fire,
    Leak,
    Program,
    Put,
    Statement,
    width,
)

JUMP = "jump"
"""The parameter that holds what a spike adds, by channel, in units of the membrane."""
_RISEN, _LEVEL, _CURRENT, _SHARE = "a", "level", "w", "d"


def adapting(program: Program, adaptation: Adaptation, fields: Arithmetic) -> Program:
    """Return the update of fields, `program`, with the state of an adaptation.

    Args:
        program: of `fields`, and of a synapse state if there is one.
        adaptation: which, and its numbers.
        fields: by whose form, rounding and width the state decays and is bounded.

    Raises:
        FileRefused: when the form of the decays is not one that the adaptation's has.
    """
    statements = program.statements
    return Program(
        _threshold(statements, adaptation, fields)
        if isinstance(adaptation, ThresholdAdaptation)
        else _current(statements, adaptation, fields)
    )


def _threshold(
    statements: tuple[Statement, ...], adaptation: ThresholdAdaptation, fields: Arithmetic
) -> tuple[Statement, ...]:
    rise = (
        Leak(_RISEN, _decay(adaptation.beta, fields)),
        Add(_RISEN, JUMP, times=FIRED),
        width(_RISEN, fields.state_bits, fields.overflow),
        Put(_LEVEL, "threshold"),
        Add(_LEVEL, _RISEN),
        Fire(MEMBRANE, _LEVEL, fields.fires if fields.fires != "never" else "gt"),
    )
    return tuple(new for s in statements for new in (rise if isinstance(s, Fire) else (s,)))


def _current(
    statements: tuple[Statement, ...], adaptation: CurrentAdaptation, fields: Arithmetic
) -> tuple[Statement, ...]:
    share = Fraction(adaptation.membrane)
    taken = tuple(
        new
        for s in statements
        for new in (
            (Add(MEMBRANE, _CURRENT, negative=True), s)
            if isinstance(s, Bound) and s.x == MEMBRANE
            else (s,)
        )
    )
    return (
        *taken,
        Put(_SHARE, MEMBRANE),
        Leak(_SHARE, Decay("multiply", share.numerator, binary_digits(share), fields.rounding)),
        Leak(_CURRENT, _decay(adaptation.beta, fields)),
        Add(_CURRENT, _SHARE),
        Add(_CURRENT, JUMP, times=FIRED),
        width(_CURRENT, fields.state_bits, fields.overflow),
    )


def _decay(beta: str, fields: Arithmetic) -> Decay:
    factor = Fraction(beta)
    return Decay(fields.decay_form, factor.numerator, binary_digits(factor), fields.rounding)
