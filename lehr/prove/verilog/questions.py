"""Questions to Bitwuzla about words of bits, each with a time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from lehr.prove.solver import z3
from lehr.targets.verilog import lacking, missing

_WAY_OUT = "bitwuzla is not on this machine; pip install 'lehr[prove]'"


class Undecided(Exception):
    """Error of a question that was not answered; the message says why."""


@cache
def _bitwuzla() -> Any:
    """Return the solver's Python interface, whose types no checker can tell."""
    return import_module("bitwuzla")


def lacks() -> str:
    """Return which tool for circuits is not here, and how to get it; empty with all of them."""
    try:
        _bitwuzla()
    except ImportError:
        return _WAY_OUT
    return lacking("yosys") if missing("yosys") else ""


def version() -> str:
    """Return the name and version of the solver."""
    return f"Bitwuzla {_bitwuzla().version()}"


class Questions:
    """What was asked so far.

    Args:
        timeout: seconds for a question.

    Attributes:
        seconds: of the processor.
        asked: how many questions.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = max(1, int(1000 * timeout))
        self.seconds, self.asked = 0.0, 0

    def met(
        self, assumed: Sequence[Any], shown: Mapping[str, Any] | None = None
    ) -> dict[str, int] | None:
        """Return values of `shown`, as signed numbers, that meet everything; None if none do.

        Args:
            assumed: terms of z3.
            shown: terms by name.

        Raises:
            Undecided: when the time was not enough.
        """
        began, shown = time.process_time(), shown or {}
        written = z3.Solver()
        written.add(*assumed)
        for name, term in shown.items():
            written.add(z3.BitVec(f"shown {name}", term.size()) == term)
        try:
            return self._answer(written.to_smt2(), {f"shown {name}": name for name in shown})
        finally:
            self.asked += 1
            self.seconds += time.process_time() - began

    def _answer(self, text: str, names: Mapping[str, str]) -> dict[str, int] | None:
        tool = _bitwuzla()
        options = tool.Options()
        options.set(tool.Option.PRODUCE_MODELS, True)
        options.set(tool.Option.TIME_LIMIT_PER, self.timeout)
        parser = tool.Parser(tool.TermManager(), options)
        parser.parse(text, True, False)
        solver = parser.bitwuzla()
        answer = solver.check_sat()
        if answer == tool.Result.UNKNOWN:
            raise Undecided(f"the time was not enough: {self.timeout / 1000:g} s for a question")
        if answer == tool.Result.UNSAT:
            return None
        found = {}
        for term in parser.get_declared_funs():
            symbol = term.symbol().strip("|")
            if symbol in names:
                bits = solver.get_value(term).value(2)
                number = int(bits, 2) - (int(bits[0]) << len(bits)) if len(bits) > 1 else int(bits)
                found[names[symbol]] = number
        return found
