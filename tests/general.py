"""Targets that take any network of the line's tests.

Those of chips, each of which has a form of its own, are not among them.
"""

from __future__ import annotations

from lehr.targets import registry

GENERAL = ("c", "fpga", "onnx")
RUNNABLE = [
    name
    for name in GENERAL
    if (runner := registry.get(name).runner()) is not None and runner.missing() is None
]
