"""Tables of an artefact's C: every form of them is read, and one entry that differs is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hard_networks import HARD

pytest.importorskip("z3")

import lehr as api
from lehr.prove.c.files import WEIGHTS
from lehr.prove.c.tables import prove
from lehr.prove.obligations import Obligation
from lehr.prove.subject import read_subject


def proofs(folder: Path) -> dict[str, Obligation]:
    """Return what is said of each table, by its name."""
    return {each.name: each for each in prove(read_subject(folder), 1.0)}


@pytest.mark.parametrize("name", ["all kinds of weights", "knot", "recurrent"])
def test_every_table_is_proven_and_one_other_entry_refutes_it(tmp_path: Path, name: str) -> None:
    net, x = HARD[name]()
    api.build(net, "c", tmp_path / "out", x)
    place = tmp_path / "out" / WEIGHTS
    whole = place.read_text()
    said = proofs(tmp_path / "out")
    assert {each.state for each in said.values()} == {"proven"}
    for table in re.findall(r"static const \w+ (\w+)\[", whole):
        head, begin, rest = whole.partition(f" {table}[")
        numbers = re.search(r"= \{\s*(0x[0-9a-f]+|-?\d+)", rest)
        assert numbers is not None
        first = int(numbers[1], 0)
        other = str(first ^ 1 if "0x" in numbers[1] else first - 1 if first > 0 else first + 1)
        place.write_text(head + begin + rest[: numbers.start(1)] + other + rest[numbers.end(1) :])
        refuted = proofs(tmp_path / "out")[table]
        assert refuted.state == "refuted", table
        values = refuted.counterexample
        assert (values["row"], values["entry"], values["differing"]) == (0, 0, 1)
        assert values["there"] != values["network"]
