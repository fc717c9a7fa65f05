"""The bit-exact simulator: the definition of the arithmetic, traces, and their comparison."""

if __name__ == "simulate":
    raise ImportError("import lehr.simulate, not simulate: the folder is part of the package lehr")

from lehr.callable import make_callable
from lehr.simulate.compare import Comparison, Difference, compare
from lehr.simulate.reference import simulate
from lehr.simulate.result import Result, Trace

__all__ = ["Comparison", "Difference", "Result", "Trace", "compare", "simulate"]

make_callable(__name__)
