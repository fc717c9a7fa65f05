"""The solver's Python interface, whose types no checker can tell."""

from __future__ import annotations

from importlib import import_module
from typing import Any

z3: Any = import_module("z3")
