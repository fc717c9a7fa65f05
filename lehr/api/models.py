"""Networks in files, and the recipes that train them."""

from __future__ import annotations

from pathlib import Path

from lehr import nirfile
from lehr.api.given import AnyNetwork, Place, network
from lehr.network import Network


def read(path: Place) -> Network:
    """Read a network from a `.nir` file of any tool's.

    Args:
        path: of the file.

    Raises:
        UsageError: when there is no such file.
        FileRefused: naming the node, the value and the way out, when the file holds no integer
            network, or contradicts itself.

    >>> import lehr
    >>> net = lehr.read("model.nir")
    >>> net.input.kind
    'u8'
    """
    return network(path)


def write(net: AnyNetwork, path: Place) -> None:
    """Write a network to a `.nir` file, whole or not at all.

    Args:
        net: the network.
        path: of the file; one that is there is replaced.

    Raises:
        NotMappable: when NIR has no type for what a layer computes.
        FileRefused: when the file cannot be written.

    >>> import lehr
    >>> net = lehr.read("model.nir")
    >>> lehr.write(net, "copy.nir")
    >>> lehr.read("copy.nir") == net
    True
    """
    nirfile.write(network(net), Path(path))


def recipes() -> tuple[str, ...]:
    """Name the recipes that come along, as `lehr train` takes them.

    >>> import lehr
    >>> "digits" in lehr.recipes()
    True
    """
    # here, so that no other name needs what training is made of
    from lehr.train.recipefile import (
        bundled,
    )

    return tuple(bundled())
