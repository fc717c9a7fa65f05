"""Proofs of an fpga artefact from a start to the end: order, progress, streams, serial line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("z3")
pytest.importorskip("bitwuzla")

from strategies import (
    Builder,
    Images,
    delayed_network,
    random_input,
    recurrent_network,
    small_network,
)

import lehr as api
from lehr.arithmetic import Arithmetic
from lehr.network import Input, Network
from lehr.nodes import MaxPool2d
from lehr.prove.obligations import Obligation
from lehr.prove.subject import read_subject
from lehr.prove.verilog.control import inferences
from lehr.targets.verilog import missing

pytestmark = pytest.mark.skipif(missing("yosys") is not None, reason="Yosys is not here")
SECONDS = 600.0


def maxima() -> tuple[Network, Images]:
    """Return a network whose sums are the greatest of those of windows."""
    net = Builder(Input((1, 9, 8), "spikes"), np.random.default_rng(3), ("ternary",))
    net.conv("conv", 3, (2, 2))
    net.add("most", MaxPool2d((3, 2), (2, 1), (1, 1), (1, 2), ceil_mode=True))
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3)
    net.neuron("lif", arithmetic)
    net.linear("fc", 4)
    net.neuron("out", arithmetic)
    made = net.network(4, 1)
    return made, random_input(made, np.random.default_rng(1), 1, held=False)


NETWORKS = {
    "small": small_network,
    "recurrent": recurrent_network,
    "delayed": delayed_network,
    "maxima": maxima,
}


def built(folder: Path, name: str, **options: str) -> Path:
    """Build a network for fpga."""
    net, x = NETWORKS[name]()
    api.build(net, "fpga", folder / "out", x[:1], options=options)
    return folder / "out"


def proven(folder: Path) -> list[Obligation]:
    """Return what is shown of an artefact, which has to be proven, with a fault that is seen."""
    shown = list(inferences.prove(read_subject(folder), SECONDS))
    for each in shown:
        assert (each.state, bool(each.fault)) == ("proven", True), each
    return shown


def test_an_engine_and_its_streams_are_proven(tmp_path: Path) -> None:
    shown = proven(built(tmp_path, "small", lanes="8"))
    assert [each.name for each in shown] == ["lehr_core.v"] * 6 + ["lehr_top.v"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("lanes", ["2", "16"])
def test_other_engines_are_proven(tmp_path: Path, name: str, lanes: str) -> None:
    proven(built(tmp_path, name, lanes=lanes))


@pytest.mark.slow
def test_a_chain_behind_a_serial_line_is_proven(tmp_path: Path) -> None:
    options = {"engines": "layers", "front": "uart", "device": "ecp5", "clock": "25"}
    names = [each.name for each in proven(built(tmp_path, "small", **options))]
    assert names.count("lehr_core.v") == 1
    assert names[-1] == "lehr_uart.v"


EDITS = {
    "lehr_neurons.v: sums are taken too soon": (r"left <= 4'd4", "left <= 4'd5"),
    "lehr_sums.v: sums are taken a clock too soon": (r"take = marks\[3\]", "take = marks[2]"),
    "lehr_control.v: a layer ends with neurons on their way": (r"quiet && !ending", "!ending"),
    "lehr_control.v: a step too many": (r"final_step <= step == last", "final_step <= step > last"),
    "lehr_control.v: a place is done again and again": (
        r"x <= x == last_x \?",
        "x <= x != last_x ?",
    ),
    "lehr_scan.v: a row that has no end": (r"row_tap \+ (\d+)'d1", r"row_tap + \1'd0"),
    "lehr_core.v: neurons do not wait": (r"advance = .*?;", "advance = 1'b1;"),
    "lehr_neurons.v: a word is left out": (r"write_at \+ (\d+)'d1", r"write_at + \1'd2"),
    "lehr_program.v: two maps overlap": (r"2'd2: map_address = 7'd16", "2'd2: map_address = 7'd15"),
    "lehr_scan.v: a tap is left out": (r"column_tap \+ (\d+)'d1", r"column_tap + \1'd2"),
    "lehr_control.v: a sweep that is too short": (r"sweeping && cleared", "sweeping"),
    "lehr_readout.v: a score goes on": (
        r"first_step \? added : score_q",
        "first_step ? score_q : score_q",
    ),
    "lehr_top.v: a byte is taken too soon": (r"!full \|\| \(event_ready && !closes\)", "1'b1"),
    "lehr_top.v: a byte changes while it waits": (r"out_valid && out_ready\)", "out_valid)"),
    "lehr_top.v: a beat is dropped": (r"assign beat_taken = free", "assign beat_taken = 1'b1"),
}
"""What is edited in a file, with what comes of it."""


@pytest.mark.few(1)
@pytest.mark.parametrize("edit", list(EDITS))
def test_what_is_edited_is_refuted(tmp_path: Path, edit: str) -> None:
    folder = built(tmp_path, "small", lanes="8")
    old, new = EDITS[edit]
    file = folder / edit.partition(":")[0]
    text, count = re.subn(old, new, file.read_text(), count=1)
    assert count == 1
    file.write_text(text)
    refuted = [e for e in inferences.prove(read_subject(folder), SECONDS) if e.state == "refuted"]
    assert refuted
    assert refuted[0].counterexample


@pytest.mark.slow
def test_a_host_that_sends_on_is_refuted(tmp_path: Path) -> None:
    """A line that asks for a pause one byte later than there is room for."""
    folder = built(tmp_path, "small", front="uart", device="hx8k", clock="12")
    file = folder / "lehr_uart.v"
    text = file.read_text()
    late = text.replace("waiting[FIFO:FIFO-1] != 2'd0", "waiting > 5'd8")
    assert late != text
    file.write_text(late)
    *_, last = inferences.prove(read_subject(folder), SECONDS)
    assert (last.name, last.state) == ("lehr_uart.v", "refuted")
