"""The golden networks of the conformance suite, for tests that need them as well."""

from lehr.targets.conformance.golden import IN_FIELDS as GOLDEN
from lehr.targets.conformance.golden import InFields as Golden
from lehr.targets.conformance.golden import usual
from lehr.targets.conformance.mutations import one_higher_threshold

__all__ = ["GOLDEN", "Golden", "one_higher_threshold", "usual"]
