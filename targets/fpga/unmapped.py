"""Refusal of what the engine has no circuit for."""

from __future__ import annotations

from lehr.errors import NotMappable


class Unmapped(NotMappable):
    """Part of a network that does not map: why, what to do, and the node.

    The node is left out where it is the one that was asked about.
    """

    def __init__(self, reason: str, hint: str, node: str = "") -> None:
        super().__init__(f"{node}: {reason}; {hint}" if node else f"{reason}; {hint}")
        self.reason, self.hint, self.node = reason, hint, node
