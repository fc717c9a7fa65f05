"""The update of RANC, and which updates of networks are the same.

In a tick a neuron adds the weights of its axons that spike, then a constant, and fires at its
threshold or above it; firing sets it to a reset potential or takes the threshold off. Below a
negative threshold it is reset as well, which is made never to happen: the negative threshold is the
lowest int, and nothing is below that.

Source: `corecontroller.cpp` and `neuronblock.cpp` of RANC's simulator.
"""

from __future__ import annotations

from dataclasses import dataclass

from lehr.network import Neuron
from lehr.targets.forms import matched

LOWEST, HIGHEST = -(1 << 31), (1 << 31) - 1
_TAKE = """\
    add v input 0
    ? add v bias 0
    ? bound v {low} {high} {overflow:name}
"""
_FORMS = {
    "never": _TAKE,
    "zero": f"{_TAKE}    fire fired v {{test:name}} threshold 1\n    put v 0 when fired\n",
    "subtract": f"{_TAKE}    fire fired v ge threshold 1\n    subtract v threshold 0 times fired\n",
}


@dataclass(frozen=True)
class Numbers:
    """Numbers that an update leaves open.

    Attributes:
        reset: zero, subtract, or never, for neurons that do not fire.
        raised: whether the machine's thresholds are one more than the network's, which fires beyond
            them.
    """

    reset: str
    raised: bool


def numbers(neuron: Neuron) -> Numbers | str:
    """Return the numbers of a layer whose update the machine computes.

    Else return the sentence that says where it differs.
    """
    reset = (
        "never"
        if neuron.integrates
        else "subtract"
        if neuron.fields.reset == "subtract"
        else "zero"
    )
    matching = matched(neuron.program, _FORMS[reset])
    return matching if isinstance(matching, str) else Numbers(reset, matching.get("test") == "gt")


def numbers_of(neuron: Neuron) -> Numbers:
    """Return the numbers of a layer that `check` has passed."""
    result = numbers(neuron)
    assert isinstance(result, Numbers), result
    return result
