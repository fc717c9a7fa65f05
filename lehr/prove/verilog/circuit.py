"""A claim about a circuit, asked of it and of copies with a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lehr.prove.obligations import Obligation, Part, State
from lehr.prove.verilog.faults import Fault
from lehr.prove.verilog.questions import Questions, Undecided, version
from lehr.prove.verilog.yosys import Circuit, circuits

Thing = Any
"""What a claim is about: a circuit, or a netlist."""
Differs = Callable[[Thing, Questions], "dict[str, Any] | None"]
"""What contradicts a claim about a circuit; None where nothing does."""


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        part: what it is about.
        name: the layer or the module.
        sentence: what is claimed.
        assumptions: each a sentence.
        differs: what asks.
    """

    part: Part
    name: str
    sentence: str
    assumptions: Sequence[str]
    differs: Differs

    def shown(
        self, circuit: Thing, faulty: Iterable[tuple[str, Thing]], timeout: float
    ) -> Obligation:
        """Ask of a circuit, and of faulty ones until one of them is refuted.

        Args:
            circuit: the artefact's.
            faulty: copies, each with what was changed in it.
            timeout: seconds for a question.
        """
        asked, fault, reason = Questions(timeout), "", ""
        found: dict[str, Any] | None = None
        try:
            found = self.differs(circuit, asked)
            if found is None:
                fault = next(self._refuted(faulty, asked), "")
                reason = "" if fault else "no fault that was put in was seen"
        except Undecided as error:
            reason = str(error)
        state: State = "refuted" if found is not None else "undecided" if reason else "proven"
        return self.said(state, asked, fault=fault, counterexample=found or {}, reason=reason)

    def missing(self, reason: str) -> Obligation:
        """Return that a tool is not here."""
        return Obligation(
            self.part, self.name, self.sentence, self.assumptions, "missing", "", reason=reason
        )

    def said(self, state: State, asked: Questions, **more: Any) -> Obligation:
        """Return what came of it."""
        return Obligation(
            self.part,
            self.name,
            self.sentence,
            self.assumptions,
            state,
            version(),
            asked.seconds,
            asked.asked,
            **more,
        )

    def _refuted(self, faulty: Iterable[tuple[str, Thing]], asked: Questions) -> Iterator[str]:
        for what, circuit in faulty:
            try:
                if self.differs(circuit, asked) is not None:
                    yield what
            except Undecided:
                continue


def with_faults(
    files: Mapping[str, str],
    top: str,
    faulty: Sequence[Fault],
    timeout: float,
    given: Mapping[str, int] | None = None,
) -> list[tuple[str, Circuit]]:
    """Return a module as it is, with nothing that was changed, and with each of some faults.

    Args:
        files: texts of Verilog by name; the faults are in that of the module.
        top: the module.
        faulty: its changed texts.
        timeout: seconds for Yosys.
        given: parameters of the module that are other than its own.
    """
    variants = [files, *({**files, f"{top}.v": each.text} for each in faulty)]
    names = ["", *(each.what for each in faulty)]
    return list(zip(names, circuits(variants, top, timeout, given), strict=True))
