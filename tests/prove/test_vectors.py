"""What a proof refutes of an artefact is seen by `lehr verify`, on an input that the proof adds."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Lehr
from saturating import saturating_network

pytest.importorskip("z3")

import lehr as api
from lehr.artifact import REFUTED, BuildPlan
from lehr.network import Network
from lehr.prove import vectors
from lehr.prove.c.cbmc import CBMC
from lehr.prove.c.files import MODEL, WEIGHTS
from lehr.targets import verification
from lehr.targets.c import C
from lehr.targets.contract import Options

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is here")
with_cbmc = pytest.mark.skipif(shutil.which(CBMC) is None, reason=f"{CBMC} is not here")


def lower(text: str) -> str:
    """Return tables in which the last number of the first is another."""
    head, end, tail = text.partition("};")
    number = re.compile(r"(-?\d+)(\s*)\Z")
    return number.sub(lambda x: f"{int(x[1]) - 1}{x[2]}", head) + end + tail


@pytest.fixture
def with_fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[str], str]], None]:
    """Let target c write another file than it should, in all that runs in this process."""
    plan = C.plan

    def begin(name: str, changed: Callable[[str], str]) -> None:
        def planned(self: C, net: Network, options: Options) -> BuildPlan:
            files = dict(plan(self, net, options).files)
            text = files[name].decode()
            assert changed(text) != text
            return BuildPlan({**files, name: changed(text).encode()})

        def here(seconds: float, function: str, arguments: Mapping[str, Any]) -> Any:
            del seconds
            module = {each.__name__: each for each in (verification, vectors)}
            place, _, called = function.partition(":")
            return getattr(module[place], called)(**arguments)

        monkeypatch.setattr(C, "plan", planned)
        monkeypatch.setattr(verification, "call_within", here)
        monkeypatch.setattr(vectors, "call_within", here)

    return begin


@pytest.mark.parametrize(
    ("part", "name", "changed"),
    [
        ("sums", WEIGHTS, lower),
        pytest.param(
            "arithmetic",
            MODEL,
            lambda text: text.replace("r.fired != 0", "r.fired > 1"),
            marks=(with_cbmc, pytest.mark.slow),
        ),
    ],
)
def test_a_refutation_becomes_a_golden_vector_on_which_verify_fails(
    tmp_path: Path,
    lehr: Lehr,
    with_fault: Callable[[str, Callable[[str], str]], None],
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    name: str,
    changed: Callable[[str], str],
) -> None:
    net = saturating_network()
    silent = np.zeros((1, net.steps, *net.input.shape), np.uint8)
    api.build(net, "c", tmp_path / "good", silent)
    assert lehr("prove", tmp_path / "good", "--only", part).code == 0
    with_fault(name, changed)
    out = tmp_path / "out"
    api.build(net, "c", out, silent)
    assert lehr("verify", out).code == 0
    ran = lehr("prove", out, "--only", part, "--json")
    assert ran.code == 4
    shown = [e["vector"] for e in ran.facts["obligations"] if e["state"] == "refuted"]
    assert shown[0].startswith("golden sample 1 was made of it: ")
    seen = lehr("verify", out)
    assert seen.code == 4
    difference = shown[0].partition(": ")[2]
    assert re.fullmatch(
        r"\w+: (spike|membrane) of neuron \([\d, ]+\) at step \d+ of sample 1 is .*", difference
    )
    assert difference in seen.err.replace("\n", " ")
    again = json.loads(lehr("prove", out, "--only", part, "--json").out)
    assert "golden sample 1 shows it" in next(
        e["vector"] for e in again["obligations"] if e["vector"]
    )
    monkeypatch.undo()
    assert lehr("verify", out).code == 5
    api.build(net, "c", out, out / REFUTED)
    assert lehr("verify", out).code == 0
    assert lehr("prove", out, "--only", part).code == 0


def test_nothing_is_run_of_files_that_lehr_does_not_make(tmp_path: Path, lehr: Lehr) -> None:
    api.build(saturating_network(), "c", tmp_path / "out")
    place = tmp_path / "out" / WEIGHTS
    place.write_text(lower(place.read_text()))
    ran = lehr("prove", tmp_path / "out", "--only", "sums")
    assert ran.code == 4
    assert f"no input is run: {WEIGHTS} changed since" in ran.out.replace("\n", " ")
    assert not (tmp_path / "out" / REFUTED).exists()
