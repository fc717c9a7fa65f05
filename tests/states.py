"""Networks of the conformance suite, and what two-state neurons add to them."""

from lehr.targets.conformance.building import flowing
from lehr.targets.conformance.networks import (
    MEMBRANE_READOUTS,
    SLOW,
    integrating_network,
    two_state_network,
)
from lehr.targets.conformance.strategies import grown_networks, synapses

__all__ = [
    "MEMBRANE_READOUTS",
    "SLOW",
    "flowing",
    "grown_networks",
    "integrating_network",
    "synapses",
    "two_state_network",
]
