"""Targets that take any network of the line's tests: not those of chips, each of which has a form of its own."""

from __future__ import annotations

from lehr.targets import registry

GENERAL = ("c", "fpga", "onnx")
RUNNABLE = [
    name
    for name in GENERAL
    if (runner := registry.get(name).runner()) is not None and runner.missing() is None
]
