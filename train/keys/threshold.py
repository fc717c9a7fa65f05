"""A layer's firing threshold in a recipe: where it starts, and how it is annealed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lehr.strict import Positive, Strict

_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "exponential": ({"final", "rate"}, set()),
    "linear": ({"final"}, {"until"}),
    "cosine": ({"final"}, {"until"}),
    "step": ({"final", "stages"}, {"until"}),
    "restarts": ({"final"}, {"until"}),
    "rate-controlled": (set(), {"final", "rate", "floor"}),
    "learned": (set(), set()),
}
"""What each schedule needs, and what it may be given, beside `start`."""


class Threshold(Strict):
    """Firing threshold of a layer, in the membrane units of training.

    It is held at `start` if nothing else is given.

    Attributes:
        start: where it starts.
        schedule: how it moves after every batch of phase A; `lehr.train.learning.anneal` defines
            each but `learned`, by which the optimiser moves it as it moves weights.
        final: where it goes; for `rate-controlled` the highest it may reach.
        rate: `exponential`: the share of the gap to `final` that a batch closes; `rate-controlled`:
            by how much of itself it grows.
        until: the share of phase A (of each cycle for `restarts`) after which it has arrived and
            stays.
        stages: how many equal steps `step` takes.
        floor: the firing rate, per neuron and step, under which `rate-controlled` raises nothing.
    """

    start: Positive
    schedule: Literal[
        "exponential", "linear", "cosine", "step", "restarts", "rate-controlled", "learned"
    ] = "exponential"
    final: Positive | None = None
    rate: Annotated[float, Field(ge=0, le=1)] | None = None
    until: Annotated[float, Field(gt=0, le=1)] | None = None
    stages: Annotated[int, Field(ge=1)] | None = None
    floor: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Threshold:
        given = self.model_dump(exclude_none=True).keys() - {"start", "schedule"}
        if self.held and not given:
            return self
        needed, possible = _KEYS[self.schedule]
        if missing := sorted(needed - given):
            raise ValueError(f"the schedule '{self.schedule}' needs '{missing[0]}'; add it")
        if useless := sorted(given - needed - possible):
            raise ValueError(
                f"{useless[0]} is {getattr(self, useless[0]):g}, but the schedule "
                f"'{self.schedule}' takes none; leave it out"
            )
        return self

    @property
    def held(self) -> bool:
        """Whether it never moves."""
        return self.schedule == "exponential" and self.final is None

    @property
    def learned(self) -> bool:
        """Whether it goes nowhere in particular, but where the loss wants it."""
        return self.schedule == "learned"
