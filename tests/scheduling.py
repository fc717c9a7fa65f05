"""Which tests go to one worker together: those of a file, so that what it makes is made once.

The first tier begins where nothing is compiled, and then those of the simulator stay together as
well: two workers would compile the same kernels at the same time. Those of the conformance suite,
which are a quarter of all, are told apart by their target.
"""

from __future__ import annotations

import re

import budgets
from xdist.scheduler import LoadFileScheduling


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Files, the simulator's folder, and targets of the conformance suite."""

    def _split_scope(self, nodeid: str) -> str:
        if not budgets.second_tier and nodeid.startswith("tests/simulate/"):
            return "tests/simulate"
        suite = re.match(r"tests/targets/test_conformance\.py::\w+\[(\w+)", nodeid)
        return f"conformance of {suite[1]}" if suite else nodeid.partition("::")[0]
