"""`lehr check` without a target: the targets that take the network, and the needs of the others.

`lehr targets list` is tested here, too.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Lehr

from lehr.targets import registry
from lehr.targets.changes import changes
from lehr.targets.conformance import golden, tally


def test_all_targets_are_asked_at_once(line: Path, lehr: Lehr) -> None:
    ran = lehr("check", line / "model.nir", "--json")
    assert ran.code == 0
    assert {"c", "fpga", "onnx"} <= set(ran.facts["maps"])
    assert {*ran.facts["maps"], *ran.facts["changes"]} == {
        target.name for target in registry.targets()
    }
    assert all(wanted for wanted in ran.facts["changes"].values())
    shown = lehr("check", line / "model.nir")
    assert "the network maps to " in shown.out
    assert shown.last == "PASS"


def test_a_network_that_maps_nowhere_fails_with_the_fewest_changes_first(
    line: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    fpga, onnx = registry.get("fpga"), registry.get("onnx")
    monkeypatch.setattr(registry, "targets", lambda: (onnx, fpga))
    for target, weights in ((onnx, ("int2",)), (fpga, ("int3",))):
        monkeypatch.setattr(type(target), "weights", weights)
    monkeypatch.setattr(type(onnx), "readouts", ("membrane_last_argmax_lowest",))
    ran = lehr("check", line / "model.nir", "--json")
    assert ran.code == 3
    assert ran.facts["maps"] == []
    assert list(ran.facts["changes"]) == ["fpga", "onnx"]
    (change,) = ran.facts["changes"]["fpga"]
    assert change["hint"] == "train with weights that are 'int3'"
    assert len(change["nodes"]) > 1  # once for all layers
    shown = lehr("check", line / "model.nir")
    assert "the network maps to no target" in shown.out
    assert "fpga needs" in shown.out
    assert shown.last == "FAIL"


def test_no_problem_needs_no_change() -> None:
    assert changes(()) == ()


@pytest.mark.slow
def test_workers_count_the_same_networks(lehr: Lehr, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tuple(registry.Entry(name, registry.get(name)) for name in ("onnx", "ranc"))
    monkeypatch.setattr(registry, "entries", lambda: chosen)
    alone, both = (
        lehr("targets", "list", "--run", "--json", "--workers", number) for number in (1, 2)
    )
    assert alone.out == both.out
    onnx, ranc = both.facts["targets"]
    assert onnx["exact"] == onnx["run"] > 20
    assert "onnx: by process " in both.err
    assert (ranc["run"] > 0) == ("ranc: by process " in both.err)


def test_the_list_counts_exact_networks_of_those_that_were_run(
    lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = registry.get("onnx")
    some = {name: golden.example(onnx, name) for name in ("small", "one_layer", "recurrent")}
    monkeypatch.setattr(tally, "mapped", lambda _: some)
    monkeypatch.setattr(registry, "entries", lambda: (registry.Entry("onnx", onnx),))
    ran = lehr("targets", "list", "--run", "--json")
    assert ran.code == 0
    (facts,) = ran.facts["targets"]
    assert (facts["exact"], facts["run"], facts["conformance"]) == (3, 3, "3 of 3")
    assert facts["judge"] == "ONNX Runtime"
    assert facts["tool"].startswith("found ")
    assert lehr("targets", "list", "--json").facts["targets"][0]["conformance"] == "not run"
    assert lehr("targets", "list", "--run", "--workers", 0).code == 2
    monkeypatch.setattr(tally, "compare", lambda *_: type("Other", (), {"equal": False}))
    wrong = lehr("targets", "list", "--run")
    assert "0 of 3" in wrong.out
    assert wrong.code == 4
