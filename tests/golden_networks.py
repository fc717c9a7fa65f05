"""The golden networks of the conformance suite, for tests that need them as well."""

from __future__ import annotations

from lehr.network import Network
from lehr.targets.conformance.golden import IN_FIELDS as GOLDEN
from lehr.targets.conformance.golden import InFields as Golden
from lehr.targets.conformance.golden import usual
from lehr.targets.conformance.mutations import one_higher_threshold, weights

__all__ = ["GOLDEN", "Golden", "changed_weight", "one_higher_threshold", "usual"]


def changed_weight(net: Network) -> Network:
    """One weight that hears the input has the other sign, or is changed by one."""
    return next(weights(net))
