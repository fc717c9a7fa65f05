"""The updates of an artefact's C by CBMC: proven as they are, and refuted where a file is edited."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from commands import Lehr
from strategies import small_network

import lehr as api
from lehr.arithmetic import Arithmetic
from lehr.prove.c.arithmetic import prove
from lehr.prove.c.cbmc import CBMC, Asked
from lehr.prove.c.faults import faults
from lehr.prove.c.files import MODEL, read_c
from lehr.prove.c.survivors import said_of
from lehr.prove.c.uses import uses
from lehr.prove.obligations import Obligation
from lehr.prove.subject import read_subject

pytest.importorskip("z3")
needs_cbmc = pytest.mark.skipif(shutil.which(CBMC) is None, reason=f"{CBMC} is not here")
BY_EVENT = Arithmetic(
    decay_numerator=7,
    decay_shift=3,
    fraction_bits=2,
    state_bits=9,
    update="event",
    reset_timing="same_step",
)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """The folder of a network that updates by event, in C."""
    net, x = small_network(BY_EVENT)
    api.build(net, "c", tmp_path / "out", x)
    return tmp_path / "out"


def edited(folder: Path, old: str, new: str) -> None:
    """Change one place of lehr_model.c."""
    text = (folder / MODEL).read_text()
    assert text.count(old) == 1, old
    (folder / MODEL).write_text(text.replace(old, new))


def proofs(folder: Path, timeout: float = 60.0) -> dict[str, Obligation]:
    """Return the worst that is said of each update, by its function."""
    found = prove(read_subject(folder), timeout)
    worst = sorted(found, key=lambda each: each.state == "refuted")
    return {each.name.partition(" ")[0]: each for each in worst}


@needs_cbmc
def test_updates_are_proven_and_a_fault_in_each_is_seen(built: Path) -> None:
    said = proofs(built)
    assert said.keys() == {"update_1_begin", "update_1_event"}
    for each in said.values():
        assert each.state == "proven", each
        assert each.tool.startswith("cbmc ")
        assert "in place of" in each.fault
        assert each.queries >= 2


@needs_cbmc
def test_an_edited_update_is_refuted_with_values(built: Path) -> None:
    edited(built, "r.now = r.v > threshold;", "r.now = r.v >= threshold;")
    said = proofs(built)
    assert said["update_1_begin"].state == "proven"
    refuted = said["update_1_event"]
    assert refuted.state == "refuted"
    values = refuted.counterexample
    # 9 bits, 2 fraction bits
    comes = max(-256, min(255, values["v"] + 4 * values["input"]))
    assert comes == values["threshold"]
    assert values["v_defined"] == comes
    assert values["v_there"] == 0


@needs_cbmc
@pytest.mark.parametrize(
    ("old", "new", "claim"),
    [
        ("r.v * 7 / 8", "r.v * 9 / 10", "v is what the definition says"),
        (
            "bias_lif1[c]);\n            s->sp",
            "-1);\n            s->sp",
            "v is what the definition says",
        ),
        ("r.fired = 0;", "r.fired = r.v << 30;", "shift operand is negative"),
    ],
)
def test_edits_of_one_line_are_refuted(built: Path, old: str, new: str, claim: str) -> None:
    edited(built, old, new)
    refuted = proofs(built)["update_1_begin"]
    assert refuted.state == "refuted", refuted
    assert claim in refuted.counterexample["claim"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("#define int32_t int64_t\n", "define int32_t"),
        ("#pragma CPROVER check disable\n", "pragma"),
        ('#include "/etc/passwd"\n', "include"),
        ("int x(void) { __CPROVER_assume(0); return 0; }\n", "__CPROVER"),
    ],
)
def test_what_changes_the_meaning_of_a_file_is_refused(
    built: Path, lehr: Lehr, line: str, word: str
) -> None:
    (built / MODEL).write_text(line + (built / MODEL).read_text())
    ran = lehr("prove", built, "--only", "arithmetic")
    assert ran.code == 5
    assert word in ran.err
    assert "build the artefact again" in " ".join(ran.err.split())


def test_without_cbmc_nothing_is_proven(
    built: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    ran = lehr("prove", built, "--only", "arithmetic")
    assert (ran.code, ran.last) == (6, "FAIL")
    assert "apt install cbmc" in " ".join(ran.out.split())


@needs_cbmc
def test_what_takes_too_long_is_undecided(tmp_path: Path) -> None:
    arithmetic = Arithmetic(decay_numerator=241, decay_shift=8, state_bits=28)
    net, x = small_network(arithmetic)
    api.build(net, "c", tmp_path / "out", x)
    (said,) = list(prove(read_subject(tmp_path / "out"), 1e-3))[:1]
    assert said.state == "undecided"
    assert said.reason == "cbmc did not end within 0.001 s"


@needs_cbmc
def test_what_is_not_seen_of_faults_is_explained(built: Path) -> None:
    subject, files = read_subject(built), read_c(built)
    (event,) = (use for use in uses(subject, files) if use.kind == "event")
    asked = Asked(60.0)
    said = {
        change: said_of(files, event, fault, asked)
        for fault in faults(files, event.update)
        for change in ("r.fired >= 255 ? 255", "r.fired > 256 ? 255", "r.fired -= ")
        if change in fault.what
    }
    assert said.pop("r.fired -= ") == ""
    assert said.pop("r.fired >= 255 ? 255") == "the same within bounds and 2 bits beyond"
    (count,) = said.values()
    assert re.match("the same within bounds, another beyond them: fired = 25[56]", count)
