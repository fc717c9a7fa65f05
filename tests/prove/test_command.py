"""`lehr prove`: what it writes, its exit codes, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from commands import Lehr
from strategies import small_network

pytest.importorskip("z3")

import lehr as api
from lehr.artifact import PROOF
from lehr.prove.obligations import Obligation, State
from lehr.prove.widths import certificates


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """The folder of a network that was built for C."""
    net, x = small_network()
    api.build(net, "c", tmp_path / "out", x)
    return tmp_path / "out"


def test_the_proof_is_written_with_what_it_is_about(built: Path, lehr: Lehr) -> None:
    ran = lehr("prove", built, "--only", "widths", "--json")
    assert (ran.code, ran.facts["result"]) == (0, "PASS"), ran.err
    proof = json.loads((built / PROOF).read_bytes())
    assert proof["state"] == "proven"
    assert proof["network"] == api.read(built / "model.nir").digest
    code = (built / "lehr_model.c").read_bytes()
    assert proof["files"]["lehr_model.c"] == hashlib.sha256(code).hexdigest()
    assert proof["obligations"] == ran.facts["obligations"]
    for each in proof["obligations"]:
        assert each["state"] == "proven"
        assert each["tool"].startswith("z3 ")
        assert each["queries"] >= 4
        assert each["fault"]
        assert each["assumptions"]
    assert lehr("verify", built).code == 0


def test_the_report_has_the_proof_and_sees_when_it_is_of_other_files(
    built: Path, lehr: Lehr
) -> None:
    lehr("prove", built, "--only", "widths")
    rows = lehr("report", built, "--json").facts["proofs"]
    assert [row["state"] for row in rows] == ["proven"] * len(rows)
    assert {row["of"] for row in rows} == set(api.read(built / "model.nir").neurons)
    code = (built / "lehr_model.c").read_bytes()
    (built / "lehr_model.c").write_bytes(code + b"\n")
    (row,) = lehr("report", built, "--json").facts["proofs"]
    assert row["claim"] == "it is of other files: give 'lehr prove' again"
    assert not row["state"]


def test_a_build_has_widths_proven_and_stops_where_they_are_refuted(
    built: Path, tmp_path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, words = built / "model.nir", ("--target", "c", "--json", "-o")
    states = lehr("build", model, *words, tmp_path / "a").facts["widths"]
    assert states == dict.fromkeys(api.read(model).neurons, "proven")

    def wrong(*_: object) -> list[Obligation]:
        return [Obligation("widths", "lif", "", (), "refuted", "z3", counterexample={"v": 9})]

    monkeypatch.setattr(certificates, "prove", wrong)
    ran = lehr("build", model, *words, tmp_path / "b")
    assert ran.code == 4
    assert "z3 refutes the bounds of its registers by v 9" in ran.err.replace("\n", " ")
    assert not (tmp_path / "b").exists()


def test_a_network_alone_is_proven_and_nothing_is_written(built: Path, lehr: Lehr) -> None:
    before = sorted(built.iterdir())
    assert lehr("prove", built / "model.nir").last == "PASS"
    assert sorted(built.iterdir()) == before
    assert not (built / PROOF).exists()


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["proven", "undecided"], 1),
        (["undecided", "missing"], 6),
        (["missing", "refuted", "proven"], 4),
        (["proven"], 0),
    ],
)
def test_the_worst_state_is_the_exit_code(
    built: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch, states: list[State], code: int
) -> None:
    def stood_in(*_: object) -> list[Obligation]:
        return [Obligation("widths", "lif", "a claim", (), state, "z3") for state in states]

    monkeypatch.setattr(certificates, "prove", stood_in)
    ran = lehr("prove", built, "--only", "widths")
    assert ran.code == code
    assert ran.last == ("PASS" if code == 0 else "FAIL")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--only", "width"), "--only is 'width'; did you mean 'widths'?"),
        (("--timeout", "0"), "--timeout is 0; give seconds from above 0"),
        (("--only", "netlist"), "there is nothing to prove of"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    built: Path, lehr: Lehr, words: tuple[str, ...], sentence: str
) -> None:
    ran = lehr("prove", built, *words)
    assert ran.code == 2
    assert sentence in ran.err.replace("\n", " ")
    assert not (built / PROOF).exists()


def test_a_target_that_no_proof_is_about_is_named(built: Path, tmp_path: Path, lehr: Lehr) -> None:
    api.build(built / "model.nir", "iree", tmp_path / "chip")
    ran = lehr("prove", tmp_path / "chip", "--only", "widths")
    assert "no proof is about artefacts of target iree" in ran.out
    assert "no proof" not in lehr("prove", built, "--only", "widths").out


def test_a_folder_of_something_else_is_refused(tmp_path: Path, lehr: Lehr) -> None:
    ran = lehr("prove", tmp_path)
    assert ran.code == 2
    assert "lehr build" in ran.err
