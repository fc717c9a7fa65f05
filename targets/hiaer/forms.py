"""The update of HiAER-Spike, and which updates of networks are the same.

In a step the machine tests its neurons, resets those that fire, leaks, and adds the weights of what
has fired and come in:

    s = v > threshold; v[s] = 0; v = v - v // 2^leak; v = v + weights

Source: `simple_sim.step_run` of hs_api 0.1.7. The spike of a membrane thus comes a step after that
membrane: an update in fields that fires at its end is the machine's with its spikes a step later;
the program `hiaer` of lehr.machines is the machine's as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from lehr.network import Neuron
from lehr.targets.forms import matched

_TAKE = """\
    add v input {shift}
    ? add v bias 0
    ? bound v {low} {high} {overflow:name}
"""
_LEAK = "    leak v shift {kept} {leak} floor\n"
_FIRE = "    fire fired v gt threshold 1\n"
_RESET = "    put v 0 when fired\n"
AT_ONCE = f"{_FIRE}{_RESET}{_LEAK}{_TAKE}"
"""Tests first: a spike leaves in the step in which the machine fires it."""
IN_FIELDS = f"{_LEAK}{_RESET}{_TAKE}{_FIRE}"
"""Tests last: a spike leaves a step before the machine fires it."""
INTEGRATOR = f"{_LEAK}{_TAKE}"
"""Never fires, nor does the machine while its membrane stays at or below the threshold."""


@dataclass(frozen=True)
class Numbers:
    """Numbers that an update leaves open.

    Attributes:
        leak: n of v - v // 2^n.
        shift: F, by which weights are shifted to the left.
        hop: steps from the network's spike to the machine's.
    """

    leak: int
    shift: int
    hop: int


def numbers(neuron: Neuron) -> Numbers | str:
    """Return the numbers of a layer whose update the machine computes.

    Else return the sentence that says where it differs.
    """
    first = neuron.program.statements[0]
    forms = (
        {INTEGRATOR: 0}
        if neuron.integrates
        else {AT_ONCE: 0}
        if type(first).__name__ == "Fire"
        else {IN_FIELDS: 1}
    )
    ((form, hop),) = forms.items()
    matching = matched(neuron.program, form)
    return (
        matching
        if isinstance(matching, str)
        else Numbers(int(matching["leak"]), int(matching["shift"]), hop)
    )


def numbers_of(neuron: Neuron) -> Numbers:
    """Return the numbers of a layer that `check` has passed."""
    result = numbers(neuron)
    assert isinstance(result, Numbers), result
    return result
