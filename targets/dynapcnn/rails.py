"""Rails at which a core and a network could part: 16 bits, the leak's tick, the order of events.

What the vendor documents of a core: an event adds its weight, the membrane is held at
`threshold_low`, and a neuron at its threshold fires once, whatever is left (SynSense, "Weight
Clipping During Training"). What it does not: what 16 bits do when they overflow, whether the leak's
tick tests the threshold, and in which order a core passes on the spikes that one event made. A
network maps only where the first two do not matter; where the third matters, the host carries the
spikes from core to core, in the network's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lehr.network import INPUT, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.dynapcnn.layers import Layer
from lehr.targets.dynapcnn.updates import HIGHEST, HINTS, INTEGRATOR, LOWEST, STEP
from lehr.targets.rooms import outside
from lehr.widths import analyse

Order = Literal["host", "any", "emission"]
ORDERS: Mapping[Order, str] = {
    "host": (
        "the host sends all its events, those of the input first, then those of other layers as "
        "listed, each by feature, y and x"
    ),
    "any": "no order of a step's events changes a spike or a membrane",
    "emission": (
        "events come in the order in which cores send them, which the vendor does not document"
    ),
}


def order_of(layer: Layer) -> Order:
    """Return what the order of a step's events can do to a layer whose sources send to it."""
    adds = not layer.update.zero and int(layer.kernel.weight.min()) >= 0
    if layer.update.kind == INTEGRATOR or adds:
        return "any"
    return "host" if set(layer.sources) == {INPUT} else "emission"


def rails(net: Network, by_name: Mapping[str, Layer]) -> list[Problem]:
    """Layers for which something matters that the vendor does not document."""
    problems: list[Problem] = []
    for name, layer in by_name.items():
        if layer.update.kind == INTEGRATOR:
            problems += outside(net, name, {"v": (LOWEST, HIGHEST - 1)})
        else:
            problems += _upwards(name, layer) or _downwards(net, name, layer)
            problems += _by_step(net, name, layer) if layer.update.kind == STEP else []
    return problems


def _upwards(name: str, layer: Layer) -> list[Problem]:
    """Return the problems of a layer in which a neuron is not below its threshold after each event.

    If it is, the leak's tick, which takes away, has nothing to test then.
    """
    update, most = layer.update, max(0, int(layer.kernel.weight.max()))
    if int(update.bias.max()) > 0:
        reason = (
            f"its biases reach {int(update.bias.max())}, and it is not documented whether a "
            "core tests its threshold at the leak's tick"
        )
        return [Problem(name, reason, "use biases of at most 0")]
    if most > update.threshold and not update.zero:
        reason = (
            f"a weight of {most} is above its threshold of {update.threshold}: an event brings "
            "more than its spike takes away"
        )
        return [Problem(name, reason, "use a threshold of at least the greatest weight")]
    top, high = update.threshold - 1 + most, min(update.high, HIGHEST)
    if top > high:
        reason = (
            f"its membranes reach {top:,}, where a core does not hold them, and must stay "
            f"within {high:,}"
        )
        return [Problem(name, reason, "use a lower threshold or smaller weights")]
    return []


def _downwards(net: Network, name: str, layer: Layer) -> list[Problem]:
    update = layer.update
    lowest = update.low + min(0, int(layer.kernel.weight.min()), int(update.bias.min()))
    if (
        lowest >= LOWEST
        or (lowest := max(lowest, analyse(net).layers[name].written["v"][0])) >= LOWEST
    ):
        return []
    reason = (
        f"its membranes could reach {lowest:,} before they are brought to their floor, and 16 "
        f"bits hold {LOWEST:,}"
    )
    return [Problem(name, reason, f"use a floor of at least {LOWEST + 128:,}")]


def _by_step(net: Network, name: str, layer: Layer) -> list[Problem]:
    """Return the problems of an update by step, where events can do more than add.

    By step is what a core does only where they add, so that neither order nor number of tests
    counts.
    """
    update = layer.update
    if order_of(layer) != "any" or update.bias.any():
        why = "weights below 0" if order_of(layer) != "any" else "biases"
        return [
            Problem(
                name,
                f"it updates by step, and with {why} a neuron can fire within a step and not at "
                "its end",
                HINTS[STEP],
            )
        ]
    top = update.threshold - 1 + analyse(net).layers[name].current[1]
    if top > update.high or top // update.threshold > update.most:
        reason = (
            f"it updates by step, and its membranes reach {top:,} there, more than "
            f"{update.most} spikes or its Bound hold"
        )
        return [Problem(name, reason, "use a higher threshold")]
    return []
