"""The network that a command is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lehr.cli.console import Output
    from lehr.network import Network


def read_model(out: Output, path: Path) -> Network:
    """Read the network of a `.nir` file; note it if the file states no digest."""
    from lehr import nirfile

    model = nirfile.open_model(path)
    if not model.stated:
        unseen = "so that damage to its weights cannot be seen"
        out.note(f"{path} states no digest of its network, {unseen}; compare it with its source")
    return model.network
