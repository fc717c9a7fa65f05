"""What is to be shown of a network or of an artefact, and what a tool said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Part = Literal["widths", "arithmetic", "sums", "control", "netlist"]
PARTS: tuple[Part, ...] = ("widths", "arithmetic", "sums", "control", "netlist")
USUAL = PARTS[:-1]
"""What is proven if no part is asked for: a netlist is made and placed first, which takes long."""
State = Literal["proven", "refuted", "undecided", "missing"]
About = Literal["network", "engine", "artefact"]
EXIT: Mapping[State, int] = {"proven": 0, "undecided": 1, "refuted": 4, "missing": 6}
"""The command's exit code for each; of several, that of the last that occurs in `WORST`."""
WORST: tuple[State, ...] = ("proven", "undecided", "missing", "refuted")


@dataclass(frozen=True)
class Obligation:
    """A claim about files that are here, and what came of it.

    A claim is proven only where all three questions were answered as they must be: its assumptions
    can be met, nothing that meets them contradicts it, and a fault that was put in does.

    Attributes:
        part: what it is about.
        name: the layer, update or table.
        claim: a sentence.
        assumptions: what it supposes, each a sentence.
        state: `proven`; `refuted`, where there is a counterexample; `undecided`, where the time was
            not enough; `missing`, where the tool is not here.
        tool: that was asked, with its version.
        seconds: of the processor, or of the tool's own clock where it tells no other.
        queries: how many questions the tool was asked.
        fault: what was changed for the proof to fail, and did; empty where there was no proof.
        counterexample: values by name; empty unless refuted.
        reason: why it is undecided or missing.
        about: whether it is about the network alone, the fast engine, or the artefact's files.
        vector: where it is refuted, what an input of the whole network shows of it, or why there is
            none that does.
    """

    part: Part
    name: str
    claim: str
    assumptions: Sequence[str]
    state: State
    tool: str
    seconds: float = 0.0
    queries: int = 0
    fault: str = ""
    counterexample: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    about: About = "artefact"
    vector: str = ""

    @property
    def outcome(self) -> str:
        """What came of it, in words, with the counterexample or the reason."""
        if not self.counterexample:
            return f"{self.state}: {self.reason}" if self.reason else self.state
        values = ", ".join(f"{name} {value}" for name, value in self.counterexample.items())
        return f"refuted by {values}{f'; {self.vector}' if self.vector else ''}"


def worst(states: Sequence[State]) -> State:
    """Return the state of several obligations together."""
    there: list[State] = [state for state in WORST if state in states]
    return there[-1] if there else "undecided"
