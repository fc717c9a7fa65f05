"""The card of a model: what it is, what it reaches and on what, and the command lines that make it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined

from lehr.network import Network
from lehr.network_shown import network_line, network_table
from lehr.zoo.index import Entry, File
from lehr.zoo.plans import Data


def card(
    entry: Entry,
    net: Network,
    data: Data,
    spikes: Mapping[str, float],
    commands: Sequence[str],
    files: Mapping[str, File],
) -> str:
    """Return `MODEL_CARD.md`.

    Args:
        entry: the model, whose files are not yet complete: the card is one of them.
        net: the network.
        data: what it was trained and measured on.
        spikes: of each layer of neurons in an inference, on the test set.
        commands: the lines that make and measure it.
        files: the model's other files.
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
        data=data,
        spikes=spikes,
        commands=commands,
        files=files,
        versions={"python": platform.python_version()}
        | {package: version(package) for package in ("torch", "numpy")},
    )
