"""Values held back."""

from __future__ import annotations

from dataclasses import dataclass

from lehr.errors import FileRefused
from lehr.nodes.base import Node, Shape

MAX_DELAY = 2**16


@dataclass(frozen=True, eq=False)
class Delay(Node):
    """Holds its input back by a whole number of steps; zero until then."""

    steps: int

    def __post_init__(self) -> None:
        if type(self.steps) is not int or not 1 <= self.steps <= MAX_DELAY:
            raise FileRefused(f"Delay steps is {self.steps!r}; use 1 to {MAX_DELAY:,}")

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape
