"""The way from a trained network to integers: folding, widths, and the network of the file."""

from typing import TYPE_CHECKING, Any

if __name__ == "export":
    raise ImportError("import lehr.export, not export: the folder is part of the package lehr")

from lehr.callable import make_callable

if TYPE_CHECKING:
    from lehr.export.torchmodels.network import from_torch

__all__ = ["from_torch"]


def __getattr__(name: str) -> Any:
    """Return `from_torch` when it is asked for.

    It imports torch, which the simulator and the targets do without.
    """
    if name != "from_torch":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lehr.extras import needed_by

    with needed_by("lehr.export.from_torch"):
        from lehr.export.torchmodels import network

    return network.from_torch


make_callable(__name__)
