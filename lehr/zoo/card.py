"""The card of a model: what it is, what it reaches and on what, and the command lines that make it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined

from lehr.network import Network
from lehr.network_shown import network_line, network_table
from lehr.zoo.index import Entry
from lehr.zoo.plans import DATA, Plan


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
    environment = Environment(  # noqa: S701 - it writes Markdown, not HTML
        loader=PackageLoader("lehr.zoo"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("MODEL_CARD.md.j2").render(
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
