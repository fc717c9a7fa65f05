"""SynSense's DYNAP-CNN, Speck 2 and Speck 2b, configured for samna.

They have nine cores, each of a convolution and neurons.
"""

from __future__ import annotations

from lehr.network import Network
from lehr.targets.dynapcnn.target import Dynapcnn, Speck, Speck2
from lehr.targets.training_form import said_by

__all__ = ["Dynapcnn", "Speck", "Speck2", "by_event"]


def by_event(net: Network) -> Network:
    """Return a network that was trained by step, in sinabs' arithmetic, as the chip computes it.

    The chip computes event by event; the accuracy is another.
    """
    return said_by(net, "dynapcnn", "dynapcnn_by_event")
