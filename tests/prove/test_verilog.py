"""Proofs of an fpga artefact's Verilog, and of files that somebody edited."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("z3")
pytest.importorskip("bitwuzla")

import lehr as api
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import Input, Linear, Network, Neuron
from lehr.prove.subject import read_subject
from lehr.prove.verilog import neuron
from lehr.prove.verilog.control import engine
from lehr.prove.verilog.faults import faults
from lehr.prove.verilog.sums import summing
from lehr.targets.verilog import missing

pytestmark = pytest.mark.skipif(missing("yosys") is not None, reason="Yosys is not here")
SECONDS = 600.0


def network(arithmetic: Arithmetic) -> Network:
    """Two layers whose thresholds are 1.0 and 1.5, with biases of both signs."""
    rng = np.random.default_rng(7)
    one = 1 << arithmetic.fraction_bits
    weights = [rng.integers(-127, 128, shape).astype(np.int8) for shape in ((3, 4), (2, 3))]
    values = [(np.full(n, one * n, np.int32), rng.integers(-3, 4, n, np.int32)) for n in (3, 2)]
    nodes = {
        "fc1": Linear(weights[0], "int8"),
        "lif1": Neuron(*values[0], arithmetic),
        "fc2": Linear(weights[1], "int8"),
        "lif2": Neuron(*values[1], arithmetic),
    }
    chain = ("input", *nodes, "output")
    return Network(nodes, tuple(pairwise(chain)), Input((4,), "spikes"), 4)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """The folder of a network of 8 bits that was built for fpga."""
    arithmetic = Arithmetic(
        decay_numerator=7, decay_shift=3, state_bits=8, overflow="wrap", fraction_bits=0
    )
    x = np.random.default_rng(0).integers(0, 2, (2, 4, 4)).astype(np.uint8)
    api.build(network(arithmetic), "fpga", tmp_path / "out", x)
    return tmp_path / "out"


def test_the_neuron_is_proven_and_an_edited_one_refuted_with_values(built: Path) -> None:
    for each in neuron.prove(read_subject(built), SECONDS):
        assert (each.state, bool(each.fault)) == ("proven", True), each
        assert each.tool.startswith("Bitwuzla ")
        assert each.queries >= 6
    file = built / "lehr_neuron.v"
    (edit,) = [f for f in faults(file.read_text()) if f.what.startswith("> became >=")][-1:]
    file.write_text(edit.text)  # fires at the threshold, not above it
    first, second = neuron.prove(read_subject(built), SECONDS)
    assert (first.state, second.state) == ("refuted", "refuted")
    at = first.counterexample
    assert set(at) == {"v", "input", "bias", "threshold"}
    # in plain integers: what the program makes of it is exactly the threshold
    v = abs(at["v"]) * 7 // 8 * (1 if at["v"] >= 0 else -1)
    v += at["input"] + at["bias"] - at["threshold"] * (at["v"] > at["threshold"])
    assert (v + 128) % 256 - 128 == at["threshold"]


EDITS = {
    "control: lehr_events.v": (r"\(here - (\d)'d1\)", r"(here - \1'd2)", "word"),
    "control: lehr_neurons.v": (r"phase == neuron\[0\]", "phase != neuron[0]", "phase"),
    "sums: lehr_lane.v": (r"acc \+ term", "acc - term", "acc"),
    "sums: constants.mem": (r"^\S+", "00", "word"),
    "sums: lehr_program.v": (r"^( {16}kind = 1'd)0", r"\g<1>1", "kind"),
}
"""What is edited in a file, and what the counterexample names."""


def test_events_memories_parameters_and_lanes_are_proven(built: Path) -> None:
    subject = read_subject(built)
    for each in (*engine.prove(subject, SECONDS), *summing.prove(subject, SECONDS)):
        assert (each.state, bool(each.fault)) == ("proven", True), each


@pytest.mark.slow
@pytest.mark.parametrize("edit", list(EDITS))
def test_what_is_edited_in_control_and_sums_is_refuted(built: Path, edit: str) -> None:
    old, new, named = EDITS[edit]
    part, _, name = edit.partition(": ")
    file = built / name
    text, count = re.subn(old, new, file.read_text(), count=1, flags=re.M)
    assert count == 1
    file.write_text(text)
    prover = engine if part == "control" else summing
    refuted = [e for e in prover.prove(read_subject(built), SECONDS) if e.state == "refuted"]
    assert refuted
    assert named in refuted[0].counterexample


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('`include "/etc/passwd"', "says `include"),
        ('initial $system("id");', r"says \$system"),
        ("reg [31:0] more [0:7];", "not as lehr writes it"),
    ],
)
def test_verilog_that_reads_or_runs_is_refused(built: Path, text: str, said: str) -> None:
    (built / "lehr_neuron.v").write_text(text)
    with pytest.raises(FileRefused, match=said):
        list(neuron.prove(read_subject(built), SECONDS))


def test_a_machine_without_yosys_says_so(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lehr.prove.verilog.questions.missing", lambda tool: f"{tool} is not here")
    first, _ = neuron.prove(read_subject(built), SECONDS)
    assert first.state == "missing"
    assert "pip install 'lehr[fpga]'" in first.reason


HARD = {
    "253/256": Arithmetic(decay_numerator=253, decay_shift=8, state_bits=16),
    "65521/65536": Arithmetic(
        decay_numerator=65521, decay_shift=16, rounding="nearest_even", state_bits=24
    ),
    "shift": Arithmetic(
        "shift", 7, 3, "nearest_even", "subtract", "same_step", "gt", 2, 16, "wrap"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(HARD))
def test_long_decays_and_every_rounding_are_proven(name: str, tmp_path: Path) -> None:
    api.build(network(HARD[name]), "fpga", tmp_path / "out", np.zeros((1, 4, 4), np.uint8))
    for each in neuron.prove(read_subject(tmp_path / "out"), SECONDS):
        assert (each.state, bool(each.fault)) == ("proven", True), each
