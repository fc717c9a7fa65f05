"""Layers that are traced."""

from __future__ import annotations

from collections.abc import Iterable

from lehr.errors import UsageError
from lehr.network import Network
from lehr.spelling import one_of


def named_layers(net: Network, names: Iterable[str]) -> tuple[str, ...]:
    """Return the layers of neurons that are named, all for "all", in order of evaluation.

    Raises:
        UsageError: when one is none.
    """
    asked = set(names)
    for name in asked - {"all", *net.neurons}:
        raise UsageError(
            f"{name!r} is no neuron layer; {one_of(name, net.neurons, 'trace one of')}"
        )
    return tuple(name for name in net.neurons if name in asked or "all" in asked)
