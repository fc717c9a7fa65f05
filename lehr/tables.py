"""A table of rules by type: the closed world of a station.

Every walk over statements or nodes asks a table. What nobody registered is refused by name, never
assumed, and a second rule for the same type is an error of whoever writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from lehr.errors import NotMappable

Rule = TypeVar("Rule", bound=Callable[..., object])


class Table(Generic[Rule]):
    """One rule for each type of statement or node.

    Attributes:
        owner: who computes by these rules, as messages name it.
        way_out: what a reader can do who meets a type without a rule.
    """

    def __init__(self, owner: str, way_out: str = "use another target or engine") -> None:
        self.owner, self.way_out = owner, way_out
        self._rules: dict[type, Rule] = {}

    def rule(self, *kinds: type) -> Callable[[Rule], Rule]:
        """Register the decorated function for some types.

        Raises:
            TypeError: when one of them has a rule already.
        """

        def register(rule: Rule) -> Rule:
            for kind in kinds:
                if kind in self._rules:
                    raise TypeError(f"{self.owner} has two rules for {kind.__name__}; remove one")
                self._rules[kind] = rule
            return rule

        return register

    def __getitem__(self, kind: type) -> Rule:
        """Return the rule for a type.

        Raises:
            NotMappable: when there is none.
        """
        if kind not in self._rules:
            raise NotMappable(f"{self.owner} computes no {kind.__name__}; {self.way_out}")
        return self._rules[kind]

    @property
    def kinds(self) -> frozenset[type]:
        """The types that have a rule."""
        return frozenset(self._rules)

    def missing(self, things: Iterable[object]) -> list[str]:
        """Return the names of the types among `things` that have no rule, each once, in order."""
        return list(
            dict.fromkeys(
                type(thing).__name__ for thing in things if type(thing) not in self._rules
            )
        )
