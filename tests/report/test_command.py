"""`lehr report` on the command line: places, options, what is said of what is no source."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from report_pages import Page

import lehr as api
from lehr.errors import UsageError


def test_without_a_place_nothing_is_written_and_no_artefact_is_run(
    line: Path, built: Path, tmp_path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lehr.report.artefacts.verify", None)
    ran = lehr("report", built)
    assert ran.code == 0
    assert ran.last not in ("PASS", "FAIL")
    assert "estimate" in ran.out
    assert "widths" in ran.out
    facts = lehr("report", built, "--json").facts
    assert {row["figure"] for row in facts["estimate"]} >= {"flash", "RAM"}
    assert facts["report"]["verdict"]["word"] == ""
    assert "write a page with -o" in facts["report"]["verdict"]["sentence"]
    for source, given, word in (
        (line / "run", [], "PASS"),
        (line / "model.nir", [], ""),
        (line / "model.nir", ["-i", line / "in.npz"], "PASS"),
    ):
        ran = lehr("report", source, *given)
        assert ran.code == 0
        assert (ran.last in ("PASS", "FAIL")) == bool(word)
        result = lehr("report", source, *given, "--json").facts
        assert result.get("result", "") == result["report"]["verdict"]["word"] == word
        assert api.read(line / "model.nir").digest in ran.out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_json_is_the_facts(line: Path, tmp_path: Path, lehr: Lehr) -> None:
    page = tmp_path / "m.html"
    inputs = line / "in.npz"
    ran = lehr("report", line / "model.nir", "-i", inputs, "-o", page, "--json")
    facts = ran.facts["report"]
    assert ran.facts["output"] == str(page)
    assert ran.facts["result"] == "PASS"
    assert facts["schema"] == 1
    shown = api.report(line / "model.nir", inputs, output=None)
    assert facts == json.loads(json.dumps(shown.facts.to_json()))
    assert page.read_text("utf-8") == shown.html
    assert facts["network"]["digest"] == api.read(line / "model.nir").digest
    assert np.array(facts["confusion"]).sum() == facts["inputs"]["samples"] == 80


def test_the_page_is_opened_where_that_is_asked_for(
    line: Path, tmp_path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.chdir(tmp_path)
    assert lehr("report", line / "model.nir", "--open").code == 0
    assert opened == [(tmp_path / "report.html").as_uri()]
    assert (tmp_path / "report.html").is_file()


def test_a_list_of_samples_and_their_labels_are_the_same_report(line: Path) -> None:
    arrays = np.load(line / "in.npz")
    by_file = api.report(line / "model.nir", line / "in.npz", output=None).facts
    by_list = api.report(
        line / "model.nir", arrays["input"].tolist(), output=None, labels=arrays["labels"].tolist()
    ).facts
    for name in ("confusion", "by_step", "layers", "samples", "verdict"):
        assert getattr(by_file, name) == getattr(by_list, name)
    assert by_list.inputs is not None
    assert by_list.inputs.origin == "samples given as an array"


@pytest.mark.slow
def test_others_stand_beside(line: Path, built: Path, tmp_path: Path, lehr: Lehr) -> None:
    beside = ("--beside", built, "--beside", line / "run" / "last")
    ran = lehr("report", line / "run", *beside, "-o", tmp_path / "r.html", "--json")
    assert ran.code == 0, ran.err
    stations = [(each["arm"], each["station"]) for each in ran.facts["report"]["accuracies"]]
    assert {("run", "integer"), ("run", "c"), ("last", "integer")} <= set(stations)
    ran = lehr("report", line / "run", "--beside", line / "model.nir", "-o", tmp_path / "x.html")
    assert ran.code == 2
    assert "model.nir is a model; --beside takes runs and built folders" in ran.err


@pytest.mark.parametrize("name", ["report.html", "report/page.html"])
@pytest.mark.parametrize("source", ["run", "report-c"])
def test_a_page_is_not_laid_into_a_folder_of_lehr_s(
    line: Path, built: Path, lehr: Lehr, source: str, name: str
) -> None:
    place = line / source / name
    ran = lehr("report", line / source, "-o", place)
    assert ran.code == 2
    assert (
        f"{place} would lie in {line / source}, which holds only what lehr wrote there" in ran.err
    )
    assert not place.exists()
    with pytest.raises(UsageError, match="choose another place"):
        api.report(line / "model.nir", output=place)


def test_half_a_page_is_never_left(
    line: Path, tmp_path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.html").write_text("mine")
    monkeypatch.setattr("lehr.report.page.chips", lambda _: 1 / 0)
    ran = lehr("report", line / "model.nir", "-o", tmp_path / "m.html")
    assert ran.code == 1
    assert (tmp_path / "m.html").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "m.html"]


def test_what_is_no_source_is_said_with_what_is(
    line: Path, built: Path, tmp_path: Path, lehr: Lehr
) -> None:
    (tmp_path / "file.txt").write_text("no network")
    (tmp_path / "empty").mkdir()
    for source, code, message in (
        ("nothere", 2, "nothere: no such file or folder; give a run, a model (.nir), or what "),
        ("empty", 2, "empty holds no manifest.json; give a folder that 'lehr build' made"),
        ("file.txt", 5, "file.txt"),
    ):
        ran = lehr("report", tmp_path / source)
        assert ran.code == code, ran.err
        assert message in ran.err
    ran = lehr("report", line)
    assert ran.code == 2
    assert f"{line} holds no manifest.json; give a folder in it that does: {built}" in ran.err


def test_a_missing_matplotlib_is_named_with_the_line_that_installs_it(
    line: Path, tmp_path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert lehr("report", line / "model.nir", "--json").code == 0
    ran = lehr("report", line / "model.nir", "-o", tmp_path / "m.html")
    assert ran.code == 6
    assert "lehr.plot needs matplotlib; pip install" in ran.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_float_baseline_has_its_training_and_stands_beside(
    line: Path, tmp_path: Path, lehr: Lehr
) -> None:
    arm = tmp_path / "float-arm"
    trained = lehr("train", line / "tiny.toml", "--set", "network.weights=float", "-o", arm)
    assert trained.code == 0, trained.err
    share = json.loads((arm / "state.json").read_bytes())["accuracy"]["phase A"]
    shown = api.report(arm, output=None)
    page = Page(shown.html)
    assert shown.facts.verdict.word == ""
    assert "A float baseline has no integer network" in page.items["layers"].text
    assert len(page.items["training"].captions) == 4
    assert not page.items["rasters"].captions
    shown = api.report(line / "run", output=None, beside=[arm])
    bars = {(row[0], row[1]): row for row in Page(shown.html).table("accuracy", "Acc").rows[1:]}
    assert bars["float-arm", "float weights"][2] == f"{100 * share:.2f} %"
    assert next(iter(bars)) == ("float-arm", "float weights")  # the line begins with it
    assert ("run", "integer") in bars
