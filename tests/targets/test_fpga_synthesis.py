"""The paper's network for Fashion-MNIST on an iCE40 UP5K: placed, routed, timed.

Its netlist runs on images of handwritten digits.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from strategies import Builder, Images, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable, UsageError
from lehr.network import Input, Network, SumPool2d
from lehr.simulate import simulate
from lehr.targets.build import build
from lehr.targets.fpga import Fpga
from lehr.targets.golden import golden_plan
from lehr.targets.verilog import missing, search_path
from lehr.widths import fit_state_bits

TOOLS = ("yosys", "nextpnr-ice40", "verilator")
MISSING = next((lacking for tool in TOOLS if (lacking := missing(tool))), None)


def papers_network() -> tuple[Network, Images]:
    """Return 16C5-P2-64C5-P2-10 over 5 steps, with random weights and thresholds that fit.

    Two digits at the size of Fashion-MNIST go with it.
    """
    arithmetic = Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=1, state_bits=20)
    net = Builder(Input((1, 28, 28), "u8"), np.random.default_rng(1))
    for depth, channels in ((1, 16), (2, 64)):
        net.conv(f"conv{depth}", channels, (5, 5))
        net.add(f"pool{depth}", SumPool2d((2, 2), (2, 2)))
        net.neuron(f"lif{depth}", arithmetic)
    net.linear("fc", 10)
    net.neuron("out", arithmetic)
    digits = load_digits(return_X_y=True)[0][:2].reshape(2, 8, 8).astype(np.uint8) * 15
    return fit_state_bits(net.network(5)), np.pad(
        np.kron(digits, np.ones((3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2))
    )[:, None]


def synthesize(folder: Path, *arguments: str) -> list[str]:
    """Run make, and return the lines that it prints."""
    environment = {**os.environ, "PATH": search_path()}
    done = subprocess.run(
        ["make", "-s", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done.stdout.splitlines()


REFUSED = """\
the network does not fit hx8k with 64 lanes: its memories do not; use device=up5k and lanes=64
                        needed   there
  block RAMs                47      32
    even states              9
    odd states               9
    sums                     9
    values                   1
    values beside them       1
    spikes                   1
    scores                   1
    weights0                 4
    weights1                 4
    weights2                 4
    weights3                 4
  SPRAMs                     0       0"""


@pytest.mark.slow
def test_a_network_that_does_not_fit_is_refused_with_the_table_of_what_it_needs() -> None:
    net, _ = papers_network()
    with pytest.raises(NotMappable) as refused:
        Fpga().plan(net, {"device": "hx8k"})
    assert str(refused.value) == REFUSED


def test_one_engine_is_proposed_where_those_of_all_layers_do_not_fit() -> None:
    net, _ = papers_network()
    with pytest.raises(NotMappable) as refused:
        Fpga().plan(net, {"device": "up5k", "engines": "layers"})
    first, head, blocks, *memories = str(refused.value).splitlines()
    assert first == (
        "the network does not fit up5k with up to 64 lanes in an engine for each layer: its "
        "memories do not; use engines=shared"
    )
    assert head.split() == ["needed", "there"]
    assert int(blocks.split()[2]) == sum(
        int(line.split()[-1])
        for line in memories[: memories.index(next(m for m in memories if "SPRAMs" in m))]
    )
    assert {line.split(":")[0].strip() for line in memories if ":" in line} == {
        "lif1",
        "lif2",
        "out",
    }


def test_fewer_lanes_are_proposed_where_they_would_fit() -> None:
    """33 channels leave half of 64 lanes unused, and their weights half of the memory."""
    net = Builder(Input((3000,), "spikes"), np.random.default_rng(1))
    net.linear("fc", 33)
    net.neuron("out", Arithmetic(decay_numerator=3, decay_shift=2, state_bits=20))
    with pytest.raises(
        NotMappable,
        match="does not fit hx8k with 64 lanes: its memories do not; use device=hx8k and lanes=2\n",
    ):
        Fpga().plan(net.network(1), {"device": "hx8k", "lanes": "64"})


@pytest.mark.slow
@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_the_papers_network_is_placed_routed_timed_and_exact(tmp_path: Path) -> None:
    net, x = papers_network()
    result = simulate(net, x, trace=net.neurons)
    assert all(0 < rate < 1 for rate in result.rates.values()), result.rates
    assert sum(spikes[0, 0].size for spikes in result.trace.spikes.values()) == 3338
    (Fpga().plan(net, {"device": "up5k", "clock": "20"}) | golden_plan(net, x)).with_manifest(
        {}
    ).write(tmp_path / "out")
    synthesize(tmp_path / "out", "synth")
    assert "PASS" in synthesize(tmp_path / "out", "sim-netlist", "SWITCHES=+limit=1")
    report = json.loads((tmp_path / "out" / "report" / "nextpnr.json").read_bytes())
    assert all(kind["used"] <= kind["available"] for kind in report["utilization"].values())
    assert report["utilization"]["ICESTORM_SPRAM"]["used"] == 4
    (clock,) = report["fmax"].values()
    assert clock["achieved"] >= clock["constraint"] == 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "nextpnr", "clock"), [("hx8k", "nextpnr-ice40", 12), ("ecp5", "nextpnr-ecp5", 25)]
)
def test_a_small_network_behind_a_serial_line_is_placed_on_a_board(
    device: str, nextpnr: str, clock: int, tmp_path: Path
) -> None:
    """Use the pins and the oscillator of the board; the bitstream is there."""
    if lacking := missing("yosys") or missing(nextpnr):
        pytest.skip(lacking)
    options = {"device": device, "front": "uart", "clock": str(clock), "lanes": "2"}
    Fpga().plan(small_network()[0], options).with_manifest({}).write(tmp_path / "out")
    synthesize(tmp_path / "out", "synth")
    report = json.loads((tmp_path / "out" / "report" / "nextpnr.json").read_bytes())
    assert all(kind["used"] <= kind["available"] for kind in report["utilization"].values())
    (reached,) = report["fmax"].values()
    assert reached["achieved"] >= reached["constraint"] == pytest.approx(clock, abs=0.01)
    assert (
        tmp_path / "out" / ("lehr.bin" if device == "hx8k" else "lehr.bit")
    ).stat().st_size > 10_000


@pytest.mark.slow
def test_a_build_measures_what_nextpnr_reports_and_a_device_that_is_too_slow_is_said(
    tmp_path: Path,
) -> None:
    if lacking := missing("yosys") or missing("nextpnr-ice40"):
        pytest.skip(lacking)
    net, x = small_network()
    options = {"device": "hx8k", "clock": "12", "lanes": "2"}
    built = build(net, Fpga(), x, options, measure=True)
    built.plan.write(tmp_path / "out")
    synthesize(tmp_path / "out", "lehr.asc")
    report = json.loads((tmp_path / "out" / "report" / "nextpnr.json").read_bytes())
    (clock,) = report["fmax"].values()
    figures = {figure.name: figure.value for figure in built.measured}
    assert figures == {
        "cells": report["utilization"]["ICESTORM_LC"]["used"],
        "block RAM of 4 kbit": report["utilization"]["ICESTORM_RAM"]["used"],
        "slowest path": pytest.approx(1e3 / clock["achieved"], abs=0.01),
    }
    assert figures["cells"] > 100
    with pytest.raises(NotMappable, match=r"not fit hx8k: nextpnr says .Max frequency .*FAIL"):
        build(net, Fpga(), x, options | {"clock": "400"}, measure=True)


def test_no_tool_measures_a_design_for_no_device() -> None:
    net, x = small_network()
    with pytest.raises(UsageError, match="target fpga has no tool here that could measure it"):
        build(net, Fpga(), x, measure=True)
