"""`lehr search` on the command line: a real search from recipe to artefact, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr, Ran
from report_pages import Page
from tiny import tiny_toml

pytest.importorskip("optuna")

import lehr as api
from lehr.searches import FILE, read_search
from lehr.train.recipefile import parse
from lehr.train.search.measures import Building
from lehr.train.search.trial import Job, dataset, run_trial

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SPACE = """
objectives = ["accuracy", "c.flash"]
trials = 4
sampler = "random"
[keys]
train.lr = { low = 5e-3, high = 2e-2, log = true }
network.layers.0.channels = { low = 4, high = 16, step = 4 }
[builds.c]
[builds.fpga.options]
device = "up5k"
lanes = { choices = [1, 4] }
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny recipe, a space, and the search of both."""
    from commands import run

    folder = tmp_path_factory.mktemp("search")
    (folder / "tiny.toml").write_text(tiny_toml())
    (folder / "space.toml").write_text(SPACE)
    ran = run("search", folder / "tiny.toml", "--space", folder / "space.toml", "-o", folder / "s")
    assert ran.code == 0, ran.err
    assert [line for line in ran.err.splitlines() if line.startswith("trial-0003: finished")]
    assert "run " in ran.out
    assert f"wrote {folder / 's'}" in ran.out.replace("\n", "")
    return folder


@pytest.mark.slow
def test_each_point_is_a_run_that_a_command_makes_again(
    study: Path, tmp_path: Path, lehr: Lehr
) -> None:
    searched = read_search(study / "s")
    assert [trial.state for trial in searched.trials] == ["finished"] * 4
    assert len({trial.measures["c.flash"] for trial in searched.trials}) > 1
    best = searched.front[0]
    run = study / "s" / best.folder
    again, export, *builds = searched.commands(best)
    assert again == f"lehr train s/{best.folder}/recipe.toml -o again"
    ran = lehr("train", run / "recipe.toml", "-o", tmp_path / "again")
    assert ran.code == 0, ran.err
    files = [file.relative_to(run) for file in run.rglob("*") if file.is_file()]
    assert len(files) == 10
    for file in files:
        assert (run / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file
    assert export == f"lehr export s/{best.folder} -o model.nir"
    exported = lehr("export", run, "-o", tmp_path / "model.nir", "--json").facts
    assert exported["spikes_differ"] == 0
    assert all(0 < rate < 1 for rate in exported["rates"].values())
    lanes = best.options["fpga"]["lanes"]
    assert builds == [
        "lehr build model.nir --target c -o c",
        f"lehr build model.nir --target fpga --option device=up5k --option lanes={lanes} -o fpga",
    ]
    for command in builds:
        words = command.replace("model.nir", str(tmp_path / "model.nir")).split()[1:]
        ran = lehr(*words[:-1], tmp_path / words[-1], "-n", 1)
        assert ran.code == 0, ran.err
    estimate = json.loads((tmp_path / "c" / "report" / "estimate.json").read_text())
    flash = {figure["name"]: figure["value"] for figure in estimate}["flash"]
    assert best.measures["c.flash"] == flash
    settings = parse((run / "recipe.toml").read_text(), "r")
    validation = dataset(settings.data.model_dump_json(), None).validation
    result = api.simulate(tmp_path / "model.nir", validation.x[:])
    assert best.measures["accuracy"] == pytest.approx(np.mean(result.prediction == validation.y))
    spikes = sum(int(layer.spikes.sum()) for layer in result.layers.values())
    assert best.measures["spikes"] == spikes / len(validation)
    assert spikes > 0


@pytest.mark.slow
def test_the_test_samples_have_no_say(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = read_search(study / "s").trials[0]
    run = study / "s" / trial.folder
    builds = {
        "c": Building(trial.options["c"]),
        "fpga": Building(trial.options["fpga"]),
    }
    job = Job((run / "recipe.toml").read_text(), None, builds)
    whole = dataset(parse(job.recipe, "r").data.model_dump_json(), None)
    wrong = replace(whole.test, x=whole.test.x[::-1] // 2, y=(whole.test.y + 1) % 10)
    for data, same in (
        (replace(whole, test=wrong), True),
        (replace(whole, validation=whole.validation.take(7)), False),
    ):
        monkeypatch.setattr("lehr.train.search.trial.dataset", lambda *_, data=data: data)
        assert (run_trial(job, run).measures == trial.measures) == same


@pytest.mark.slow
def test_a_search_is_reported(study: Path, tmp_path: Path, lehr: Lehr) -> None:
    ran = lehr("report", study / "s", "-o", tmp_path / "s.html", "--md")
    assert ran.code == 0, ran.err
    page = Page.of(tmp_path / "s.html")
    searched = read_search(study / "s")
    assert [trial.folder in page.text for trial in searched.trials] == [True] * 4
    assert "No trial beats these (accuracy high and c.flash low)" in page.text
    assert searched.commands(searched.front[0])[0] in page.text
    assert "Search" in (tmp_path / "MODEL_CARD.md").read_text()
    facts = lehr("report", study / "s", "--json").facts["report"]
    assert facts["kind"] == "search"
    assert facts["search"]["front"] == [trial.number for trial in searched.front]
    assert json.loads((study / "s" / FILE).read_text())["trials"] == facts["search"]["trials"]
    ran = lehr("report", study / "s", "--beside", study / "s" / "trial-0000")
    assert ran.code == 2
    assert "is a search, which is reported without samples and others beside" in ran.err
    ax = api.plot.search(study / "s")
    shown = {
        tuple(point) for line in ax.get_lines() for point in np.asarray(line.get_xydata()).tolist()
    }
    points = {(t.measures["c.flash"], 100 * t.measures["accuracy"]) for t in searched.trials}
    assert shown == points


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_to_the_same_bytes(
    study: Path, tmp_path: Path, lehr: Lehr
) -> None:
    """Within the second trial's training, at an epoch that was kept."""
    words = ("search", study / "tiny.toml", "--space", study / "space.toml", "-o", tmp_path / "s")
    unfinished = tmp_path / "s" / "trial-0001.unfinished" / "progress.json"
    with subprocess.Popen(
        [sys.executable, "-m", "lehr", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        while not unfinished.exists() and started.poll() is None:
            time.sleep(0.005)
        os.kill(started.pid, signal.SIGKILL)
    assert unfinished.exists()
    assert read_search(tmp_path / "s").trials[0].state == "finished"
    ran = lehr(*words)
    assert ran.code == 0, ran.err
    assert "trial-0000:" not in ran.err
    for trial in read_search(study / "s").trials:
        for name in ("checkpoint.safetensors", "metrics.jsonl", "state.json"):
            file = f"{trial.folder}/{name}"
            assert (tmp_path / "s" / file).read_bytes() == (study / "s" / file).read_bytes()
    assert (tmp_path / "s" / FILE).read_bytes() == (study / "s" / FILE).read_bytes()


@pytest.mark.slow
def test_what_does_not_fit_is_refused_and_searched_around(
    study: Path, tmp_path: Path, lehr: Lehr
) -> None:
    """In 1 KiB of flash there is no place for the code alone."""
    space = SPACE.replace("[builds.c]", "[builds.c.options]\nflash = { choices = [1, 64] }")
    (tmp_path / "space.toml").write_text(space.replace("trials = 4", "trials = 3"))
    facts = lehr(
        *("search", study / "tiny.toml", "--space", tmp_path / "space.toml"),
        *("-o", tmp_path / "s", "--json"),
    ).facts
    flash = [trial["options"]["c"]["flash"] for trial in facts["trials"]]
    assert set(flash) == {"1", "64"}
    states = ["refused" if size == "1" else "finished" for size in flash]
    assert [trial["state"] for trial in facts["trials"]] == states
    refused = facts["trials"][flash.index("1")]["refused"]
    assert refused.keys() == {"c"}
    assert "does not fit" in refused["c"]
    assert set(facts["front"]) <= {n for n, size in enumerate(flash) if size == "64"}


@pytest.mark.slow
def test_what_tools_measure_is_an_objective(tmp_path: Path, lehr: Lehr) -> None:
    """Of the C library, whose bytes `size` counts as it does for `lehr build --measure`."""
    (tmp_path / "tiny.toml").write_text(tiny_toml())
    space = SPACE.replace("[builds.c]", "[builds.c]\nmeasure = true").replace("= 4\ns", "= 2\ns")
    words = ("search", tmp_path / "tiny.toml", "--space", tmp_path / "space.toml")
    (tmp_path / "space.toml").write_text(space.replace("c.flash", "c.flash on a pdp-11"))
    refused(
        lehr(*words, "-o", tmp_path / "none"), 2, "'c.flash on a pdp-11' is measured by nothing"
    )
    assert not (tmp_path / "none").exists()
    (tmp_path / "space.toml").write_text(space.replace("c.flash", "c.flash on native"))
    lehr(*words, "-o", tmp_path / "s")
    for trial in read_search(tmp_path / "s").trials:
        model, out = tmp_path / f"{trial.folder}.nir", tmp_path / trial.folder
        lehr("export", tmp_path / "s" / trial.folder, "-o", model)
        built = lehr("build", model, "--target", "c", "-o", out, "--measure", "--json").facts
        figures = {figure["name"]: figure["value"] for figure in built["measured"]}
        assert trial.measures["c.flash on native"] == figures["flash on native"] > 500


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flash", "thresholds"])
def test_the_examples_run(tmp_path: Path, lehr: Lehr, name: str) -> None:
    ran = lehr(
        *("search", "digits", "--space", EXAMPLES / f"search_{name}.toml", "--trials", 2),
        *("--set", "train.epochs=2", "--set", "finetune.epochs=1"),
        *("--set", "data.train_samples=256", "--set", "data.test_samples=64"),
        *("--set", "finetune.frozen_epochs=1", "-o", tmp_path / "s", "--json"),
    )
    assert ran.code == 0, ran.err
    assert [trial["state"] for trial in ran.facts["trials"]] == ["finished"] * 2
    assert ran.facts["next"].startswith("lehr export ")


def refused(ran: Ran, code: int, sentence: str) -> None:
    assert ran.code == code, (ran.out, ran.err)
    assert sentence in ran.err.replace("\n", " ")
    assert len(ran.err.strip().splitlines()) == 1, ran.err
    assert ran.last == "FAIL"


@pytest.fixture
def begun(tmp_path: Path) -> tuple[object, ...]:
    """Words that begin a search of a trial."""
    (tmp_path / "tiny.toml").write_text(tiny_toml())
    (tmp_path / "space.toml").write_text("trials = 1\n[keys]\ntrain.lr = { low = 1, high = 2 }")
    words = ("search", tmp_path / "tiny.toml", "--space", tmp_path / "space.toml")
    return (*words, "-o", tmp_path / "s", "--storage")


def test_a_storage_that_is_not_there(begun: tuple[object, ...], tmp_path: Path, lehr: Lehr) -> None:
    (tmp_path / "text.db").write_text("no database, and long enough to be none of SQLite's" * 9)
    for code, url, sentence in (
        (2, f"sqlite:///{tmp_path}/none/s.db", "cannot be reached (unable to open database file)"),
        (2, "study.db", "storage 'study.db' is no URL of a database; give one as sqlite:///"),
        (2, "redis://localhost:6379", "is of no database that Optuna knows; give one as sqlite:"),
        (5, f"sqlite:///{tmp_path}/text.db", "is not as Optuna writes it (file is not a database)"),
    ):
        refused(lehr(*begun, url), code, sentence)
    assert not list((tmp_path / "s").glob("trial-*"))


def test_a_storage_s_driver_and_a_password(
    begun: tuple[object, ...], lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    ran = lehr(*begun, "mysql://me:secret@localhost/studies")
    refused(ran, 6, "storage mysql://me:***@localhost/studies needs a driver that is not installed")
    assert "secret" not in ran.err + ran.out


def test_without_a_space_or_with_none(
    begun: tuple[object, ...], tmp_path: Path, lehr: Lehr
) -> None:
    _, recipe, *_ = begun
    refused(
        lehr("search", recipe),
        2,
        "tiny.toml has no [search]; give what varies by --space SPACE.toml",
    )
    refused(
        lehr("search", recipe, "--space", tmp_path / "none.toml"),
        2,
        "none.toml: no such file; give the TOML file of a space",
    )


def test_without_optuna(
    begun: tuple[object, ...], lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("lehr.train.search")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    ran = lehr(*begun, "sqlite:///s.db")
    refused(ran, 6, "lehr search needs optuna")
