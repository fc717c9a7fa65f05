"""The golden networks of the conformance suite whose neurons are alike within a channel, for tests that need them as well."""

from lehr.targets.conformance.golden import IN_FIELDS, usual
from lehr.targets.conformance.golden import InFields as Golden
from lehr.targets.conformance.mutations import one_higher_threshold

GOLDEN = tuple(golden for golden in IN_FIELDS if not golden.name.endswith("_by_neuron"))

__all__ = ["GOLDEN", "Golden", "one_higher_threshold", "usual"]
