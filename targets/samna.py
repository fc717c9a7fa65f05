"""samna, SynSense's Python package for its chips, in the last version that has its modules.

It needs an older Python.
"""

from __future__ import annotations

from lehr.targets.environments import Environment

SAMNA = Environment("samna", "samna", (("samna==0.7.1.0", "numpy<2"),), "3.10")
