"""`lehr report` shows what the build estimated, and what follows from measurements.

These are what nextpnr and the simulation left behind.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from strategies import small_network

from lehr.errors import FileRefused
from lehr.targets import registry
from lehr.targets.build import build
from lehr.targets.report import tables

PLACED = {
    "utilization": {
        "ICESTORM_LC": {"used": 1000, "available": 5280},
        "ICESTORM_SPRAM": {"used": 3, "available": 4},
        "SB_WARMBOOT": {},
    },
    "fmax": {"clk$SB_IO_IN_$glb_clk": {"achieved": 25.0, "constraint": 20.0}},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an artefact for an UP5K."""
    folder = tmp_path_factory.mktemp("report") / "out"
    net, x = small_network()
    build(net, registry.get("fpga"), x[:2], {"device": "up5k"}).plan.write(folder)
    return folder


def test_a_fresh_artefact_shows_estimate_and_widths(built: Path) -> None:
    by_title = {table.title: table for table in tables(built)}
    assert list(by_title) == ["estimate", "widths"]
    assert {"clocks", "memory of even states", "clocks with engines=layers"} <= {
        row[0] for row in by_title["estimate"].rows
    }
    assert [row[0] for row in by_title["widths"].rows] == ["lif1", "lif2", "out"]
    assert all(row[3] for row in by_title["estimate"].rows), "a figure without a source"


def test_the_manifest_maps_names_to_identifiers(built: Path) -> None:
    names = json.loads((built / "manifest.json").read_bytes())["names"]
    assert names == json.loads((built / "lehr_fpga.json").read_bytes())["identifiers"]
    assert len(set(names.values())) == len(names)
    assert all(name.isidentifier() for name in names.values())


def test_what_was_measured_is_shown_with_what_follows(built: Path) -> None:
    (built / "report" / "nextpnr.json").write_text(json.dumps(PLACED))
    (built / "report" / "cycles.txt").write_text("2000 80\n1000 40\n4000 160\n")
    by_title = {table.title: table for table in tables(built)}
    assert by_title["resources"].rows == (
        ("cells (a table and a flip-flop)", 1000, 5280, "18.9 %"),
        ("SPRAM of 256 kbit", 3, 4, "75.0 %"),
    )
    assert by_title["timing"].rows == (("clk", "20.00", "25.00", "10.00"),)
    speed = by_title["an inference, by spikes, in simulation"]
    assert [row[3:] for row in speed.rows] == [
        ("1,000", "50.0", "20,000"),
        ("2,000", "100.0", "10,000"),
        ("4,000", "200.0", "5,000"),
    ]
    neurons = sum(json.loads((built / "lehr_fpga.json").read_bytes())["neurons"] for _ in range(8))
    assert [row[2] for row in speed.rows] == [f"{spikes / neurons:.4f}" for spikes in (40, 80, 160)]
    # 1.219 V * (92.1 uA + 20 MHz * (43.5 + 0.1625 * 1000) uA/MHz)
    energy = by_title["energy of an inference, an estimate"]
    assert [row[1:3] for row in energy.rows] == [
        ("5.13", "0.26"),
        ("5.13", "0.51"),
        ("5.13", "1.03"),
    ]
    assert all("ice40_power" in str(row[3]) for row in energy.rows)


def test_the_work_of_each_engine_of_a_chain_is_shown(built: Path) -> None:
    (built / "report" / "cycles.txt").write_text("2000 80 1500 900 100\n4000 40 3000 1500 200\n")
    engines = next(
        table
        for table in tables(built)
        if table.title == "work of the engines in an inference, in simulation"
    )
    assert engines.rows == (
        ("lif1", "2,250", "75.0 %"),
        ("lif2", "1,200", "40.0 %"),
        ("out", "150", "5.0 %"),
    )


def test_a_report_with_another_number_is_refused(tmp_path: Path) -> None:
    net, x = small_network()
    build(net, registry.get("c"), x[:1]).plan.write(tmp_path / "out")
    estimate = tmp_path / "out" / "report" / "estimate.json"
    figures = json.loads(estimate.read_bytes())
    figures[0]["value"] += 1
    estimate.write_text(json.dumps(figures))
    with pytest.raises(
        FileRefused,
        match=r"report/estimate.json in .*out changed since the artefact was built; build the artefact again$",
    ):
        tables(tmp_path / "out")


def test_a_damaged_report_is_refused(built: Path) -> None:
    whole = (built / "report" / "estimate.json").read_bytes()
    (built / "report" / "estimate.json").write_bytes(b"{")
    with pytest.raises(
        FileRefused, match=r"the report in .* cannot be read .*; build the artefact again"
    ):
        tables(built)
    (built / "report" / "estimate.json").write_bytes(whole)
