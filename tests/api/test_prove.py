"""`lehr.prove`: of files and of networks, and what it raises where not all is proven."""

from __future__ import annotations

from pathlib import Path

import pytest
from strategies import small_network

pytest.importorskip("z3")

import lehr
from lehr.errors import LehrError, NotBitExact, ToolMissing, Undecided, UsageError
from lehr.prove.obligations import Obligation, State
from lehr.prove.widths import certificates


def test_a_network_and_a_folder_are_proven_alike(tmp_path: Path) -> None:
    net, x = small_network()
    built = lehr.build(net, "c", tmp_path / "out", x)
    alone, whole = lehr.prove(net, "widths"), lehr.prove(built, "widths")
    alone.require()
    assert alone.written is None
    assert whole.written == tmp_path / "out" / "report" / "proof.json"
    names = [[each.name for each in proof.obligations] for proof in (alone, whole)]
    assert names == [list(net.neurons)] * 2
    assert repr(whole) == f"Proof({len(net.neurons)} of {len(net.neurons)} proven: proven)"
    assert len(whole.summary().splitlines()) == len(net.neurons) + 2
    with pytest.raises(UsageError, match="did you mean 'widths'"):
        lehr.prove(net, "width")
    with pytest.raises(UsageError, match="is no network"):
        lehr.prove(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "error"),
    [("refuted", NotBitExact), ("missing", ToolMissing), ("undecided", Undecided)],
)
def test_what_is_not_proven_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, state: State, error: type[LehrError]
) -> None:
    def stood_in(*_: object) -> list[Obligation]:
        return [
            Obligation("widths", "a", "", (), "proven", "z3"),
            Obligation("widths", "b", "", (), state, "z3", reason="of something"),
        ]

    monkeypatch.setattr(certificates, "prove", stood_in)
    proof = lehr.prove(small_network()[0], "widths")
    assert [each.name for each in proof.of(state)] == ["b"]
    with pytest.raises(error, match=f"widths, b: {state}: of something"):
        proof.require()
