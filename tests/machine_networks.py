"""Networks of the machines of lehr.machines, of the conformance suite.

They are here for tests that need them as well.
"""

from lehr.targets.conformance.machines import (
    RANGES,
    STEPS,
    THRESHOLDS,
    machine_network,
    program_network,
)

__all__ = ["RANGES", "STEPS", "THRESHOLDS", "machine_network", "program_network"]
