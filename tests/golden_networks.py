"""The golden networks of the conformance suite whose neurons are alike within a channel.

They are here for tests that need them as well.
"""

from __future__ import annotations

from lehr.network import Network
from lehr.targets.conformance.golden import IN_FIELDS
from lehr.targets.conformance.in_fields import InFields as Golden
from lehr.targets.conformance.in_fields import usual
from lehr.targets.conformance.mutations import one_higher_threshold, weights

GOLDEN = tuple(golden for golden in IN_FIELDS if not golden.name.endswith("_by_neuron"))

__all__ = ["GOLDEN", "Golden", "changed_weight", "one_higher_threshold", "usual"]


def changed_weight(net: Network) -> Network:
    """Return the network with another sign, or one unit more, in a weight that hears the input."""
    return next(weights(net))
