"""From a trained network to integers: folding, width analysis, and the network that goes into the `.nir` file."""

from typing import TYPE_CHECKING, Any

if __name__ == "export":
    raise ImportError("import lehr.export, not export: the folder is part of the package lehr")

from lehr.callable import make_callable

if TYPE_CHECKING:
    from lehr.export.torch_network import from_torch

__all__ = ["from_torch"]


def __getattr__(name: str) -> Any:
    """`from_torch`, when it is asked for: it imports torch, which the simulator and the targets do without."""
    if name != "from_torch":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lehr.extras import needed_by

    with needed_by("lehr.export.from_torch"):
        from lehr.export import torch_network

    return torch_network.from_torch


make_callable(__name__)
