"""Updates of neurons in a core's numbers: one threshold, one lowest membrane, a leak by channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lehr.arithmetic import Int64
from lehr.network import Neuron
from lehr.targets.arithmetics import Problem
from lehr.targets.forms import matched
from lehr.targets.wiring import shared
from lehr.update import MOST_SPIKES, Bound

LOWEST, HIGHEST = -(1 << 15), (1 << 15) - 1
"""What 16 bits of a membrane hold."""
EVENT, STEP, INTEGRATOR = "by event", "by step", "integrator"
_LOOP = """
    for each event
    add v input 0
    ? bound v {{low:name}} {{high}} saturate
    fire now v ge threshold 1
    {reset}
    add fired now 0
    end
"""
_TICK = "? add v bias 0\n? bound v {low:name} {high} saturate"
_SUBTRACT, _ZERO = "subtract v threshold 0 times now", "put v 0 when now"


@dataclass(frozen=True)
class Form:
    """Form of a program that a core computes.

    Attributes:
        kind: of the update.
        zero: whether a spike sets the membrane to 0.
        text: for lehr.targets.forms.
    """

    kind: str
    zero: bool
    text: str


FORMS = (
    *(
        Form(EVENT, reset == _ZERO, f"put fired 0\n{_TICK}{_LOOP.format(reset=reset)}")
        for reset in (_SUBTRACT, _ZERO)
    ),
    *(
        Form(EVENT, reset == _ZERO, f"{_TICK}\nput fired 0{_LOOP.format(reset=reset)}")
        for reset in (_SUBTRACT, _ZERO)
    ),
    Form(
        STEP,
        False,
        f"add v input 0\n{_TICK}\nfire fired v ge threshold {{times}}\nsubtract v threshold 0 "
        "times fired",
    ),
    Form(INTEGRATOR, False, "add v input 0\n? add v bias 0\n? bound v {low} {high} saturate"),
)
"""Forms of a core. Spikes of a step are counted from 0.

lehr.machines says so before the leak, fields behind it.
"""
HINTS = {
    EVENT: "use lehr.machines.DYNAPCNN_BY_EVENT, or fields without leak: fires ge, fraction_bits 0",
    STEP: (
        "the machine takes events one by one: say it with lehr.machines.DYNAPCNN_BY_EVENT, by "
        "lehr.targets.dynapcnn.by_event"
    ),
    INTEGRATOR: "use integrators without leak and without fraction bits",
}


@dataclass(frozen=True, eq=False)
class Update:
    """Numbers that a core gets for its neurons.

    Attributes:
        kind: how the network says it.
        threshold: at which a neuron fires; that of an integrator is never reached.
        low: below which no membrane falls.
        high: above which the network's own Bound would hold it; the core has none there.
        zero: a spike sets the membrane to 0; else it takes the threshold away.
        bias: what each tick of the slow clock adds, int64 by channel.
        most: spikes of a neuron in a step.
    """

    kind: str
    threshold: int
    low: int
    high: int
    zero: bool
    bias: Int64
    most: int


def update_of(name: str, neuron: Neuron) -> Update | Problem:
    """Return the numbers of a layer, or why it has none."""
    kind = INTEGRATOR if neuron.integrates else EVENT if neuron.by_event else STEP
    reasons = []
    for form in (form for form in FORMS if form.kind == kind):
        holes = matched(neuron.program, form.text)
        if not isinstance(holes, str):
            return _half_bounded(name, neuron) or _numbers(name, neuron, form, holes)
        reasons.append(holes)
    return Problem(name, max(reasons, key=_line), HINTS[kind])


def _line(reason: str) -> int:
    """Return how far a program went along with a form."""
    return int(reason.split()[1])


def _half_bounded(name: str, neuron: Neuron) -> Problem | None:
    """Return a layer that is cut at its floor at its leak or at its events alone."""
    loop = neuron.program.loop
    if loop is None:
        return None
    inside = any(isinstance(s, Bound) for s in loop.body)
    outside = any(isinstance(s, Bound) for s in neuron.program.statements)
    if inside == outside or (inside and not neuron.bias.any()):
        return None
    reason = (
        "it is brought into its range at its leak or at its events alone, the machine does both"
    )
    return Problem(name, reason, "put the same Bound behind the bias and behind the input")


def _numbers(name: str, neuron: Neuron, form: Form, holes: dict[str, str]) -> Update | Problem:
    lowest = holes.get("low", str(LOWEST))
    by_name = lowest in neuron.values
    for parameter in (
        *(["threshold"] if form.kind != INTEGRATOR else []),
        *([lowest] if by_name else []),
    ):
        if shared(neuron.values[parameter].astype(np.int64)) is None:
            reason = f"its {parameter} differs from channel to channel, a core has one"
            return Problem(name, reason, f"use one {parameter} for the whole layer")
    low = int(neuron.values[lowest].flat[0]) if by_name else int(lowest)
    if low > 0:
        return Problem(
            name,
            f"its membranes start at 0, below their floor of {low}",
            "use a floor of at most 0",
        )
    threshold = HIGHEST if form.kind == INTEGRATOR else int(neuron.threshold.flat[0])
    high, most = int(holes.get("high", HIGHEST)), int(holes.get("times", MOST_SPIKES))
    return Update(
        form.kind, threshold, max(low, LOWEST), high, form.zero, neuron.bias.astype(np.int64), most
    )
