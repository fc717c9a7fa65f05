"""Names of nodes that come from others' models and graphs."""

from __future__ import annotations

import re
from collections.abc import Container

from lehr.network import INPUT, OUTPUT


def node_name(source: str, taken: Container[str]) -> str:
    """Return a name that a network's node may have: the source's own, if that can be.

    It cannot where the name is a number, as in nn.Sequential, or taken.
    """
    name = source if re.match(r"[A-Za-z_]", source) else f"layer{source}"
    while name in (INPUT, OUTPUT) or name in taken:
        name += "_"
    return name
