"""Questions to z3."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lehr.prove.obligations import State
from lehr.prove.solver import z3


def version() -> str:
    """Return the name and version of the solver."""
    return f"z3 {z3.get_version_string()}"


class Claims(NamedTuple):
    """What is assumed in a step, and what is claimed of it."""

    assumed: Sequence[Any]
    claimed: Sequence[Any]


class Asked:
    """What was asked so far.

    Args:
        timeout: seconds for a question.

    Attributes:
        seconds: of the processor.
        queries: how many questions were asked.
        undecided: why there is an answer that z3 does not know; empty where it knows all.
    """

    def __init__(self, timeout: float) -> None:
        self.seconds, self.queries, self.undecided = 0.0, 0, ""
        self.solver = z3.Solver()
        self.solver.set("timeout", max(1, int(1000 * timeout)))

    def refuted(
        self, common: Sequence[Any], claims: Sequence[Claims], shown: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the values of `shown` that contradict a claim, with its number in `step`.

        Nothing comes back where there are none. What nothing can meet is refused, as everything
        follows from it: the first claim has to be met, and each is weaker than those before it.

        Args:
            common: what is assumed by every claim.
            claims: what is assumed and claimed in each step.
            shown: terms by name.
        """
        began = time.process_time()
        solver, step = self.solver, z3.Int("step")
        solver.push()
        try:
            solver.add(*common)
            if self._check(*claims[0].assumed) != z3.sat:
                self.undecided = self.undecided or "nothing can meet what is assumed"
                return {}
            solver.add(
                z3.Or(
                    *(
                        z3.And(step == number, *each.assumed, z3.Not(z3.And(*each.claimed)))
                        for number, each in enumerate(claims, 1)
                    )
                )
            )
            answer = self._check()
            if answer == z3.unknown:
                self.undecided = self.undecided or f"z3 says: {solver.reason_unknown()}"
            if answer != z3.sat:
                return {}
            model = solver.model()
            values = {x: model.eval(term, True) for x, term in (("step", step), *shown.items())}
            return {x: value.as_long() for x, value in values.items()}
        finally:
            solver.pop()
            self.seconds += time.process_time() - began

    def outcome(
        self, failed: Mapping[str, Any], reason: str = "", *, seen: bool
    ) -> tuple[State, str]:
        """Return what came of a claim, and why it is undecided.

        Args:
            failed: values that contradict it, if any.
            reason: why it is not shown, where it is known.
            seen: whether a fault that was put in was seen.
        """
        if failed:
            return "refuted", ""
        reason = self.undecided or reason or ("" if seen else "no fault that was put in was seen")
        return ("undecided" if reason else "proven"), reason

    def _check(self, *assumed: Any) -> Any:
        self.queries += 1
        return self.solver.check(*assumed)
