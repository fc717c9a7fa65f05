"""Names of nodes as identifiers."""

from __future__ import annotations

import re

from budgets import budget
from hypothesis import given
from hypothesis import strategies as st

from lehr.targets.names import LONGEST, identifiers


def test_names_that_are_identifiers_stay_and_others_give_way() -> None:
    names = ("fc-out", "fc_out", "fc.out", "a" * 60, "lif1")
    assert identifiers(names) == {
        "fc-out": "fc_out_2",
        "fc_out": "fc_out",
        "fc.out": "fc_out_3",
        "a" * 60: "a" * LONGEST,
        "lif1": "lif1",
    }


@budget(50, 333)
@given(st.lists(st.from_regex(r"[a-c_][a-c.\-_2]{0,3}", fullmatch=True), unique=True))
def test_no_two_are_alike(names: list[str]) -> None:
    chosen = identifiers(names)
    assert list(chosen) == names
    assert len(set(chosen.values())) == len(names)
    assert all(re.fullmatch(r"\w+", identifier, re.ASCII) for identifier in chosen.values())
