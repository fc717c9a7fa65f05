"""The card of a model: what it is, what it reaches on what, and the command lines that make it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from lehr.network import Network
from lehr.network_shown import network_line, network_table
from lehr.zoo.index import Entry
from lehr.zoo.plans import DATA, Plan
from lehr.zoo.rendering import rendered


def card(
    entry: Entry,
    plan: Plan,
    net: Network,
    spikes: Mapping[str, float],
    commands: Sequence[str],
) -> str:
    """Return `MODEL_CARD.md`.

    Args:
        entry: the model, whose files are not yet complete: the card is one of them.
        plan: what it was made by.
        net: the network.
        spikes: of each layer of neurons in an inference, on the test set.
        commands: the lines that make and measure it.
    """
    return rendered(
        "MODEL_CARD.md.j2",
        entry=entry,
        net_line=network_line(net).partition(", digest")[0],
        rows=network_table(net).rows,
        plan=plan,
        data=DATA[plan.data],
        spikes=spikes,
        commands=commands,
        versions={"python": platform.python_version()}
        | {package: version(package) for package in ("torch", "numpy")},
    )
