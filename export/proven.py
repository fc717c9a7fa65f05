"""Proofs about the layers of a network that was made of another model.

A network of which samples show otherwise is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lehr.errors import NotBitExact
from lehr.network import Network

EQUAL, ROUNDED = "equal", "rounded"
AFTER_ROUNDED = "equal where its input is"
"""The mark of a layer in which nothing is rounded, that hears one in which something is."""
OUR_FAULT = "report it as a bug of lehr"
ROUNDS: Mapping[str, tuple[str, ...]] = {
    "--weights": ("weights",),
    "--decay-bits": ("decays",),
    "--fraction-bits": ("thresholds", "leaks"),
    "--error": ("thresholds", "leaks"),
}
"""The rounding that each option of `from_torch`, called as on the command line, asks for.

Where weights or decays are, the thresholds of their layer follow.
"""


def marks(net: Network, rounded: Collection[str]) -> dict[str, str]:
    """Say what is proven of each layer of neurons, for every input.

    It is `EQUAL`, `ROUNDED` or `AFTER_ROUNDED`, by name.

    Args:
        net: the network.
        rounded: the layers in which something was rounded.
    """
    return {
        name: ROUNDED
        if name in rounded
        else AFTER_ROUNDED
        if _heard(net, name) & set(rounded)
        else EQUAL
        for name in net.neurons
    }


def require_proven(
    source: str,
    proven: Mapping[str, str],
    differ: Mapping[str, int],
    where: str = "on these samples",
    why: str = OUR_FAULT,
) -> None:
    """Refuse a network in which a layer differs on samples that was proven to be equal.

    Args:
        source: what the network was made of.
        proven: from `marks`.
        differ: how many spikes of each layer are not those of the model.
        where: the first of them, if known.
        why: what can be the reason, and the way out.

    Raises:
        NotBitExact: naming the layer.
    """
    for name, mark in proven.items():
        if mark == EQUAL and differ[name]:
            raise NotBitExact(
                f"{source}: {name} is proven to be equal, but {differ[name]:,} of its spikes "
                f"differ, {where}; {why}"
            )


def explained(
    net: Network, rounded: Mapping[str, Collection[str]], asked: Collection[str]
) -> set[str]:
    """Find the layers whose spikes may differ by what was asked for.

    They do by their own rounding, or by that of a layer that they hear.

    Args:
        net: the network.
        rounded: what was rounded, as `LayerReport` names it, by layer.
        asked: the options by which rounding was asked for.
    """
    wanted = {what for option in asked for what in ROUNDS[option]}
    own = {name for name, what in rounded.items() if wanted & set(what)}
    return {name for name in net.neurons if name in own or _heard(net, name) & own}


def _heard(net: Network, name: str) -> set[str]:
    """Return every node whose values reach a node, at once or later."""
    reached: set[str] = set()
    pending = [name]
    while pending:
        for source in net.sources(pending.pop()):
            if source not in reached and source in net.nodes:
                reached.add(source)
                pending.append(source)
    return reached
