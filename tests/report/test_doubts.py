"""What gives reason to doubt a network stands at the top of its page; what is right is not doubted.

Judged by scipy, and by networks whose layers are known.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from report_pages import Page

import lehr as api
from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.network import Input, Linear, Network, Neuron
from lehr.report.making import Report
from lehr.report.section import Finding
from lehr.report.sections import layers, network, rasters, verdict
from lehr.simulate import simulate
from lehr.sums import SUMS, with_sums

stats = pytest.importorskip("scipy.stats")


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A network whose output integrates, and is read out."""
    rng = np.random.default_rng(1)
    fires = Arithmetic(decay_numerator=7, decay_shift=3, state_bits=16)
    never = replace(fires, fires="never", reset="none")
    zero = np.zeros(4, np.int32)
    signs = np.array([-1, 1], np.int8)
    nodes = {
        "fc1": Linear(rng.choice(signs, (6, 8))),
        "lif1": Neuron(np.full(6, 2, np.int32), np.zeros(6, np.int32), fires),
        "fc2": Linear(rng.choice(signs, (4, 6))),
        "li2": Neuron(zero, zero, never),
    }
    names = ("input", *nodes, "output")
    edges = tuple(pairwise(names))
    net = Network(nodes, edges, Input((8,), "spikes"), 6, "membrane_last_argmax_lowest")
    nirfile.write(net, tmp_path / "reader.nir")
    return tmp_path / "reader.nir"


def samples(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return spikes of so many samples."""
    return np.random.default_rng(2).integers(0, 2, (count, 6, 8)).astype(np.uint8)


def bad(findings: object) -> list[str]:
    """Return the texts of findings that are bad."""
    assert isinstance(findings, list)
    assert all(isinstance(each, Finding) for each in findings)
    return [each.text for each in findings if each.mark == "bad"]


def test_a_layer_that_cannot_fire_is_not_called_silent(reader: Path) -> None:
    written = api.report(reader, samples(30), output=None)
    facts = {each.name: each for each in written.facts.layers}
    assert (facts["li2"].rate, facts["li2"].dead) == (None, None)
    assert facts["lif1"].rate
    graph, table = network.section(written.gathered), layers.section(written.gathered)
    texts = " ".join(f.text for f in (*graph.findings, *table.findings))
    assert "li2" not in texts
    assert graph.findings[0].mark == "good"
    assert {row[0]: row[-1] for row in graph.tables[0].rows}["li2"] == "does not fire"
    spikes = rasters.section(written.gathered)
    assert "li2, which decides, never fires: its membranes are read out" in spikes.caption
    assert "spikes of li2" not in spikes.tables[0].columns


@pytest.mark.parametrize(("right", "doubted"), [(14, True), (15, True), (40, False)])
def test_an_accuracy_that_may_be_chance_is_bad(reader: Path, right: int, doubted: bool) -> None:
    x = samples(40)
    prediction = simulate(nirfile.read(reader), x).prediction
    labels = (prediction + (np.arange(40) >= right)) % 4
    interval = stats.binomtest(right, 40).proportion_ci(0.95, "wilson")
    assert (interval.low <= 1 / 4) == doubted
    written = api.report(reader, x, labels=labels, output=None, verify=False)
    assert written.facts.verdict.word == "PASS"
    texts = bad(verdict.section(written.gathered).findings)
    if not doubted:
        assert (texts, written.facts.warnings) == ([], ())
        return
    (text,) = texts
    assert text.startswith(f"At chance level: {100 * right / 40:.2f} % of 40 samples are right")
    assert f"{100 * interval.low:.2f} to {100 * interval.high:.2f} %" in text
    assert text.endswith("who guesses among 4 classes has 25.00 %.")


@pytest.fixture
def warned(line: Path, tmp_path: Path) -> Callable[[object], Path]:
    """Return a copy of the tiny run whose training warned of something."""

    def copy(warnings: object) -> Path:
        folder = tmp_path / "run"
        shutil.copytree(line / "run", folder)
        state = json.loads((folder / "state.json").read_bytes())
        del state[SUMS]
        others = {
            path.name: path.read_bytes()
            for path in folder.iterdir()
            if path.is_file() and path.name != "state.json"
        }
        files = with_sums("state.json", {**state, "warnings": warnings}, others)
        (folder / "state.json").write_bytes(files["state.json"])
        return folder

    return copy


def test_what_training_warned_of_stands_in_the_head(
    warned: Callable[[object], Path], lehr: Lehr, tmp_path: Path
) -> None:
    folder = warned(["lif1 <b>never</b> fires", "thresholds are late."])
    ran = lehr("report", folder, "-o", tmp_path / "r.html", "--json")
    assert ran.code == 0, ran.err
    assert ran.facts["report"]["warnings"][:2] == [
        "lif1 <b>never</b> fires",
        "thresholds are late.",
    ]
    html = (tmp_path / "r.html").read_text("utf-8")
    head = re.sub(r"<[^>]*>", "", html[html.index("<header>") : html.index("</header>")])
    assert "Lif1 &lt;b&gt;never&lt;/b&gt; fires." in head
    assert "Thresholds are late." in head
    assert "Thresholds are late." in Page(html).items["verdict"].text


def test_warnings_that_are_none_are_refused(warned: Callable[[object], Path], lehr: Lehr) -> None:
    ran = lehr("report", warned([{"a": 1}]))
    assert ran.code == 5
    assert "tells warnings that are no sentences" in ran.err


def test_a_report_without_labels_doubts_nothing(reader: Path) -> None:
    written = api.report(reader, samples(10), output=None)
    assert isinstance(written, Report)
    assert written.facts.warnings == ()


def test_a_file_that_every_model_has_is_headed_with_its_folder(
    reader: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    shutil.copy(reader, folder / "model.nir")
    for path, title in ((folder / "model.nir", "digits/model.nir"), (reader, "reader.nir")):
        written = api.report(path, output=None)
        assert (written.facts.title, written.facts.name) == (title, path.name)
        assert f"<h1>{title}</h1>" in written.html
