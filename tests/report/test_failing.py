"""Reports of artefacts that are not exact, or not as they were built."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from report_pages import Page

from lehr import nirfile
from lehr.artifact import BuildPlan
from lehr.network import Network
from lehr.npz import npz_bytes
from lehr.simulate import simulate
from lehr.targets.c import C
from lehr.targets.c.compiler import missing
from lehr.targets.verification import verify_here

needs_compiler = pytest.mark.skipif(missing("make") is not None, reason=str(missing("make")))


def with_one_higher_threshold(net: Network, layer: str) -> Network:
    """Return a network in which the first threshold of a layer is one higher."""
    neuron = net.neurons[layer]
    threshold = neuron.threshold.copy()
    threshold[0] += 1
    return replace(net, nodes={**net.nodes, layer: replace(neuron, threshold=threshold)})


@needs_compiler
def test_the_first_neuron_that_differs_is_shown_with_what_was_expected(
    line: Path, tmp_path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that prints one threshold wrong.

    The neuron and the step are those in which two networks part.
    """
    plan = C.plan

    def wrong(self: C, net: Network, options: Mapping[str, str]) -> BuildPlan:
        files = dict(plan(self, net, options).files)
        text = files["lehr_weights.h"].decode()
        changed = re.sub(
            r"(threshold_lif2\[\d+\] = \{\s*)(\d+)",
            lambda match: f"{match[1]}{int(match[2]) + 1}",
            text,
        )
        assert changed != text
        return BuildPlan(files | {"lehr_weights.h": changed.encode()})

    monkeypatch.setattr(C, "plan", wrong)
    monkeypatch.setattr(
        "lehr.report.artefacts.verify", lambda folder, limit, _: verify_here(folder, limit)
    )
    out, page_file = tmp_path / "out", tmp_path / "c.html"
    model, samples = line / "model.nir", line / "in.npz"
    assert lehr("build", model, "--target", "c", "-i", samples, "-o", out, "-n", 8).code == 0
    ran = lehr("report", out, "-o", page_file)
    assert (ran.code, ran.last) == (4, "FAIL")

    net, x = nirfile.read(model), np.load(samples)["input"][:8]
    right = simulate(net, x, trace=net.neurons).trace
    other = with_one_higher_threshold(net, "lif2")
    got = simulate(other, x, trace=other.neurons).trace
    parts = np.argwhere(right.membranes["lif2"] != got.membranes["lif2"])
    sample, step, *neuron = map(int, parts[0])
    page = Page.of(page_file)
    assert "Verdict: FAIL" in page.text
    assert "PASS" not in page.text
    text = page.items["membranes"].text
    where = f"lif2 ({', '.join(map(str, neuron))})"
    at = (sample, step, *neuron)
    expected, value = right.membranes["lif2"][at], got.membranes["lif2"][at]
    sentence = (
        f"{where}: membrane at step {step} of sample {sample} is {value:,}, expected {expected:,}"
    )
    assert sentence in text
    rows = {row[0]: row for row in page.table("membranes", f"Neuron {where}").rows[1:]}
    assert rows[str(step)][1:3] == [f"{expected:,}", f"{value:,}"]
    assert rows[str(step)][5] == "first difference"
    for t, row in rows.items():
        at = (sample, int(t), *neuron)
        assert row[1] == f"{right.membranes['lif2'][at]:,}"
        assert row[3:5] == [str(right.spikes["lif2"][at]), str(got.spikes["lif2"][at])]
    assert len(page.items["membranes"].captions) == 1


def test_a_changed_artefact_is_not_run_and_fails(
    built: Path, tmp_path: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(built, tmp_path / "out"))
    weights = out / "lehr_weights.h"
    weights.write_text(
        re.sub(r"(threshold_lif1\[\d+\] = \{\s*)(\d)", r"\g<1>9\2", weights.read_text())
    )
    (out / "Makefile").write_text(f"$(shell touch {tmp_path / 'ran'})\n")
    ran = lehr("report", out, "-o", tmp_path / "c.html")
    assert (ran.code, ran.last) == (5, "FAIL")
    page = Page.of(tmp_path / "c.html")
    sentence = "Makefile, lehr_weights.h changed since the artefact was built; build it again."
    assert sentence in page.items["verdict"].text
    assert "Verdict: FAIL" in page.text
    assert not (tmp_path / "ran").exists()


def test_another_network_or_other_samples_in_the_folder_are_refused(
    line: Path, built: Path, tmp_path: Path, lehr: Lehr
) -> None:
    for name in ("model.nir", "golden/input.u8", "report/estimate.json"):
        out = Path(shutil.copytree(built, tmp_path / name.replace("/", "-")))
        whole = (out / name).read_bytes()
        (out / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        ran = lehr("report", out, "-o", tmp_path / "c.html")
        assert ran.code == 5, name
        assert "build" in ran.err
        assert not (tmp_path / "c.html").exists()


def test_labels_that_do_not_fit_are_refused(line: Path, tmp_path: Path, lehr: Lehr) -> None:
    x = np.load(line / "in.npz")["input"]
    (tmp_path / "in.npz").write_bytes(npz_bytes({"input": x, "labels": np.full(len(x), 10)}))
    ran = lehr("report", line / "model.nir", "-i", tmp_path / "in.npz", "-o", tmp_path / "m.html")
    assert ran.code == 5
    assert "the label of sample 0 is 10, but there are 10 classes" in ran.err
    assert list(tmp_path.iterdir()) == [tmp_path / "in.npz"]


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("metrics.jsonl", (b'"loss": ', b'"loss": "x", "l": '), "metrics.jsonl"),
        ("state.json", (b'"tested": 80', b'"tested": -1'), "state.json"),
    ],
)
def test_a_run_that_was_changed_is_refused(
    line: Path, tmp_path: Path, lehr: Lehr, name: str, change: tuple[bytes, bytes], reason: str
) -> None:
    run = Path(shutil.copytree(line / "run", tmp_path / "run"))
    data = (run / name).read_bytes()
    assert change[0] in data
    (run / name).write_bytes(data.replace(*change))
    ran = lehr("report", run, "-o", tmp_path / "r.html")
    assert ran.code == 5
    assert reason in ran.err
    assert not (tmp_path / "r.html").exists()
