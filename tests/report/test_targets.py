"""The report of a built folder of each target.

Verified where its tool is here, with all it tells of itself.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from report_pages import Page
from strategies import small_network

import lehr as api
from lehr.targets import registry
from lehr.targets.conformance.golden import mapping
from lehr.targets.report import tables

FIRST = ("c", "onnx", "speck")
"""Of C, of a tool of Python, and of a chip."""
TARGETS = [
    pytest.param(target.name, marks=[] if target.name in FIRST else pytest.mark.slow)
    for target in registry.targets()
    if not target.no_artefact
]
PER = re.compile(r"([pnum]?)([sJ]) per (step|inference|sample)\Z")
SIZES = {"": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", TARGETS)
def test_the_page_of_an_artefact_says_what_the_target_says(name: str, tmp_path: Path) -> None:
    target = registry.get(name)
    _, example = next(iter(mapping(target)))
    net, x = example.net, example.x
    out = tmp_path / "out"
    api.build(net, target, out, x)
    labels = (example.expected.prediction + (np.arange(len(x)) == 0)) % math.prod(
        net.shapes[net.output]
    )
    written = api.report(out, x, labels=labels, output=tmp_path / "page.html")
    page = Page.of(tmp_path / "page.html")
    verdict = written.facts.verdict
    runner = target.runner()
    missing = "no tool" if runner is None else runner.missing()
    if missing:
        assert verdict.word == ""
        assert missing == "no tool" or missing in verdict.sentence
        assert "PASS" not in page.text
        assert "0 of " not in page.items["verdict"].text
    else:
        assert verdict.word == "PASS"
        assert "Verdict: PASS" in page.text
        assert verdict.samples == len(x)
    figures = json.loads((out / "report" / "estimate.json").read_bytes())
    shown = {row[0] for row in page.table("costs", "Figures").rows[1:]}
    published = {f["name"] for f in figures if "published benchmark" in f["name"]}
    assert {figure["name"] for figure in figures} - published <= shown
    assert not published & shown
    own = [t.title for t in tables(out) if t.title not in ("estimate", "widths")]
    captions = [t.caption for t in page.items["costs"].tables[1:]]
    if published:
        captions.pop()
        other = page.table("costs", "Published of another network")
        assert {row[0] for row in other.rows[1:]} == published
    assert own == captions
    limits = [  # beside which a run in a tool may tell others
        f["value"] / float(limit[1].replace(",", ""))
        for f in figures
        if (limit := re.search(r"\bof ([\d,]+)", f["unit"]))
    ]
    if limits and not own and missing:
        share = dict(page.table("verdict", "In short").rows[1:])["share of the device"]
        assert share.startswith(f"{100 * max(limits):.1f} % of ")
    elif not limits and not own and missing:
        assert "estimate names no amount of the device" in page.items["costs"].text
    energy = [
        f["value"] * SIZES[unit[1]] * (net.steps if unit[3] == "step" else 1)
        for f in figures
        if (unit := PER.match(f["unit"])) and unit[2] == "J" and "benchmark" not in f["name"]
    ]
    rows = dict(page.table("verdict", "In short").rows[1:])
    assert ("energy" in rows) == bool(energy)
    if energy:
        microjoules = float(rows["energy"].partition(" ")[0])
        assert microjoules == pytest.approx(energy[0] * 1e6, rel=1e-3)
    assert rows["target"] == name
    right = int((example.expected.prediction == labels).sum())
    accuracy = {row[1]: row for row in page.table("accuracy", "Accuracies").rows[1:]}
    assert accuracy["simulator"][2] == f"{100 * right / len(x):.2f} %"
    assert len((tmp_path / "page.html").read_bytes()) < 1_000_000


def test_what_a_design_reached_in_simulation_is_its_headline(tmp_path: Path) -> None:
    """The median time and energy, which are not those of the middle row, and the fullest cells."""
    net, x = small_network()
    out = tmp_path / "out"
    api.build(net, "fpga", out, x[:2], options={"device": "up5k"})
    placed = {
        "utilization": {
            "ICESTORM_LC": {"used": 1000, "available": 5280},
            "ICESTORM_SPRAM": {"used": 3, "available": 4},
        },
        "fmax": {"clk$SB_IO_IN_$glb_clk": {"achieved": 25.0, "constraint": 20.0}},
    }
    (out / "report" / "nextpnr.json").write_text(json.dumps(placed))
    (out / "report" / "cycles.txt").write_text("4000 80\n1000 40\n2000 160\n")
    written = api.report(out, output=None, verify=False)
    rows = dict(Page(written.html).table("verdict", "In short").rows[1:])
    assert written.facts.device == rows["device"] == "up5k"
    assert rows["time"].startswith("0.1 ms an inference, ")  # 2,000 clocks at 20 MHz
    assert rows["energy"].startswith("0.51 uJ an inference, ")
    assert rows["share of the device"].startswith("75.0 % of SPRAM")


def test_the_share_of_a_microcontroller_is_its_headline(tmp_path: Path) -> None:
    net, x = small_network()
    out = tmp_path / "out"
    api.build(net, "c", out, x[:2], options={"device": "samd21g18"})
    written = api.report(out, output=None, verify=False)
    page = Page(written.html)
    figures = {row[0]: row for row in page.table("costs", "Figures").rows[1:]}
    assert figures["flash of the device"][2:4] == ["bytes", f"{256 * 1024:,}"]
    assert figures["RAM of the device"][2:4] == ["bytes", f"{32 * 1024:,}"]
    shares = {
        name: float(row[1].replace(",", "")) / float(row[3].replace(",", ""))
        for name, row in figures.items()
        if row[3]
    }
    fullest = max(shares, key=lambda name: shares[name])
    said = dict(page.table("verdict", "In short").rows[1:])["share of the device"]
    memory = fullest.partition(" ")[0]
    assert said.startswith(f"{100 * shares[fullest]:.1f} % of {memory}, ")
