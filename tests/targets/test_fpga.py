"""The Verilog computes what the reference computes, and shows it where it does not.

Every spike and membrane is compared.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from budgets import budget
from hard_networks import HARD, flows
from hypothesis import assume, given
from hypothesis import strategies as st
from states import MEMBRANE_READOUTS, grown_networks, integrating_network, two_state_network
from strategies import Images, delayed_network, inputs, networks, recurrent_network, small_network
from verilog import SWITCHES, replay, write

from lehr.arithmetic import Arithmetic, Synapse
from lehr.network import INPUT, OUTPUT, Network, Readout
from lehr.simulate import compare, simulate
from lehr.targets.fpga import Fpga
from lehr.targets.fpga.runner import FpgaRunner
from lehr.targets.verilog import command, lacking, missing, search_path

MISSING = missing("iverilog")
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
MAPPED = (
    "all kinds of weights, recurrent",
    "delayed",
    "knot",
    "narrow",
    "weightless",
    "two states, 8 bits that wrap",
    "two states, wide",
    pytest.param("8 bits", marks=pytest.mark.slow),
    pytest.param("32 bits", marks=pytest.mark.slow),
)

FORGETFUL = partial(
    two_state_network,
    Arithmetic(decay_numerator=0, decay_shift=1, reset="none", state_bits=9),
    Synapse(decay_numerator=0, decay_shift=1),
)


@pytest.mark.slow
# -------------------------------------------------------------------- the same numbers
@pytest.mark.parametrize("name", MAPPED)
def test_equals_the_reference(name: str, tmp_path: Path) -> None:
    net, x = HARD[name]()
    x = {"narrow": x[:1], "8 bits": x[:1, :6]}.get(name, x)
    result = simulate(net, x, trace=net.neurons)
    assert flows(net, result), result.rates
    if name in ("8 bits", "32 bits"):
        assert min(result.saturations.values()) > 0, "a layer never leaves its width"
    folder = write(tmp_path / "out", net, x, lanes="2")
    compare(result.trace, FpgaRunner("iverilog").run(folder, x)).require_equal("fpga")


@pytest.mark.slow
@pytest.mark.parametrize("readout", MEMBRANE_READOUTS)
def test_integrators_are_read_out_by_their_membranes(readout: Readout, tmp_path: Path) -> None:
    """The membranes equal the reference's.

    The scores and the winner in the status equal those of the golden vectors.
    """
    net, x = integrating_network(readout)
    result = simulate(net, x, trace=net.neurons)
    assert flows(net, result), result.rates
    assert (np.ptp(result.scores, axis=1) > 0).all()
    folder = write(tmp_path / "out", net, x, lanes="8")
    compare(result.trace, FpgaRunner("iverilog").run(folder, x)).require_equal("fpga")
    status, lines = replay(folder, "+events")
    assert (status, lines[-1]) == (0, "PASS"), lines


ONE_STATE = partial(
    recurrent_network, Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=5, state_bits=8)
)


@pytest.mark.slow
@pytest.mark.parametrize("make", [HARD["two states, 8 bits that wrap"], ONE_STATE])
def test_the_status_counts_what_states_lose_to_their_width(
    make: Callable[[], tuple[Network, Images]], tmp_path: Path
) -> None:
    net, x = make()
    expected = sum(simulate(net, x).saturations.values())
    assert expected > 0
    folder = write(tmp_path / "out", net, x, lanes="4")
    switches = (
        "+input=golden/input.u8",
        "+output=sent",
        f"+samples={len(x)}",
        f"+steps={net.steps}",
    )
    assert replay(folder, *switches)[0] == 0
    description = json.loads((folder / "lehr_fpga.json").read_bytes())
    status = np.fromfile(folder / "sent", np.uint8).reshape(len(x), -1)[
        :, -description["status_bytes"] :
    ]
    assert int(status[:, 11:15].copy().view("<u4").sum()) == expected


def test_membranes_of_a_feature_map_are_not_read_out() -> None:
    net, _ = small_network()
    spatial = Network(
        {name: net.nodes[name] for name in ("conv1", "pool1", "lif1")},
        ((INPUT, "conv1"), ("conv1", "pool1"), ("pool1", "lif1"), ("lif1", OUTPUT)),
        net.input,
        net.steps,
        "membrane_sum_argmax_lowest",
    )
    (problem,) = Fpga().check(spatial)
    assert str(problem) == (
        "lif1: its membranes are read out at 16 places, the engine compares those of one; pool or "
        "connect them to one neuron a class"
    )


@budget(2, 27)
@given(st.data())
def test_random_networks(data: st.DataObject) -> None:
    net = data.draw(networks() | grown_networks())
    assume(not Fpga().check(net))
    x = data.draw(inputs(net))[:2]
    result = simulate(net, x, trace=net.neurons)
    assume(flows(net, result))
    switches = data.draw(st.sampled_from(("", *SWITCHES)))
    with tempfile.TemporaryDirectory() as scratch:
        folder = write(
            Path(scratch) / "out", net, x, lanes=str(data.draw(st.sampled_from((1, 2, 4, 8))))
        )
        got = FpgaRunner("iverilog", tuple(switches.split())).run(folder, x)
    compare(result.trace, got).require_equal("fpga")


# -------------------------------------------------------------------- streams, resets, a second
# inference
@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the artefact of a small network on two samples, compiled once."""
    net, x = small_network()
    folder = write(tmp_path_factory.mktemp("fpga") / "out", net, x[:2], lanes="4")
    assert replay(folder)[0] == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("switches", ["", *SWITCHES, "+events", "+events +gaps=4"])
def test_replays_its_golden_vectors(small: Path, switches: str) -> None:
    status, lines = replay(small, *switches.split())
    assert (status, lines[-1]) == (0, "PASS"), lines
    assert lines[0] == "every spike and membrane of 3 layers is equal in 8 steps of 2 samples"


@pytest.mark.slow
def test_a_reset_of_one_clock_ends_an_inference_at_any_time(tmp_path: Path) -> None:
    """Among them the clock in which it ends by itself: no status comes out of it."""
    folder = write(tmp_path / "out", *HARD["weightless"](), lanes="1")
    status, lines = replay(folder, "+limit=1", "+abort=1", "+until=400")
    assert (status, lines[-1]) == (0, "PASS"), lines


@pytest.mark.slow
def test_a_held_input_is_summed_once(small: Path) -> None:
    def clocks(*switches: str) -> int:
        return int(replay(small, "+events", *switches)[1][1].split()[0])

    assert 3 * clocks() < 2 * clocks("+frames")


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the same, one sample, behind a serial line of 4 clocks a bit."""
    net, x = small_network()
    folder = write(
        tmp_path_factory.mktemp("fpga") / "out", net, x[:1], lanes="4", front="uart", clock="4"
    )
    assert replay(folder, "+events")[0] == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("switches", ["+gaps=5", "+frames", "+gaps=6 +abort=2500"])
def test_a_serial_line_carries_every_bit(serial: Path, switches: str) -> None:
    """Stop the host where `rts_n` says so, pause it between bytes, end an inference by a break."""
    status, lines = replay(serial, "+events", *switches.split())
    assert (status, lines[-1]) == (0, "PASS"), lines


@pytest.mark.slow
def test_golden_vectors_that_are_cut_off_fail(small: Path) -> None:
    cut = small / "golden" / "02_out.spikes.u8"
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-1])
    status, lines = replay(small)
    cut.write_bytes(whole)
    assert status != 0
    assert lines[-2:] == ["the golden vectors end too early", "FAIL"]


@pytest.mark.slow
# -------------------------------------------------------------------- one unit is seen
@pytest.mark.parametrize(
    ("make", "engines", "image", "word"),
    [
        (recurrent_network, "shared", "constants.mem", 0),
        (recurrent_network, "shared", "weights0.mem", 1),
        (recurrent_network, "shared", "chunks.mem", 0),
        (delayed_network, "layers", "layer1_constants.mem", 1),
        (delayed_network, "layers", "layer0_weights0.mem", 1),
    ],
)
def test_one_unit_is_seen_and_named(
    make: Callable[[], tuple[Network, Images]], engines: str, image: str, word: int, tmp_path: Path
) -> None:
    net, x = make()
    folder = write(tmp_path / "out", net, x, lanes="4", engines=engines)
    words = (folder / image).read_text().splitlines()
    words[word] = f"{int(words[word], 16) ^ 1:0{len(words[word])}x}"
    (folder / image).write_text("\n".join(words) + "\n")
    difference = compare(
        simulate(net, x, trace=net.neurons).trace, FpgaRunner("iverilog").run(folder, x)
    )
    assert difference.first is not None
    status, lines = replay(folder)
    at = np.ravel_multi_index(difference.first.neuron, net.shapes[difference.first.layer])
    assert status != 0
    assert lines[-1] == "FAIL"
    named = re.fullmatch(
        r"(\w+): (membrane|spike) of neuron (\d+) at step (\d+) of sample (\d+) is -?\d+, expected -?\d+",
        lines[0],
    )
    assert named is not None, lines
    assert (named[1], int(named[4]), int(named[5])) == (
        difference.first.layer,
        difference.first.step,
        difference.first.sample,
    )
    assert int(named[3]) == at


@pytest.mark.few(1)
# -------------------------------------------------------------------- the code
@pytest.mark.parametrize(
    ("name", "engines"),
    [
        *(
            (name, "shared")
            for name in (
                "small",
                "knot",
                "narrow",
                "weightless",
                "two states, 8 bits that wrap",
                "two states, forgotten",
            )
        ),
        *((name, "layers") for name in ("small", "delayed", "membrane_last_argmax_lowest")),
    ],
)
def test_verilator_has_nothing_to_say(name: str, engines: str, tmp_path: Path) -> None:
    if lacking := missing("verilator"):
        pytest.skip(lacking)
    net, x = FORGETFUL() if name == "two states, forgotten" else HARD[name]()
    folder = write(tmp_path / "out", net, x, engines=engines)
    done = subprocess.run(
        ["make", "-s", "lint", f"VERILATOR={command('verilator')}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%Warning" not in done.stdout + done.stderr


@pytest.mark.slow
def test_verilator_computes_the_same(tmp_path: Path) -> None:
    if lacking := missing("verilator"):
        pytest.skip(lacking)
    net, x = small_network()
    folder = write(tmp_path / "out", net, x)
    compare(
        simulate(net, x, trace=net.neurons).trace, FpgaRunner("verilator").run(folder, x)
    ).require_equal("fpga")
    environment = {**os.environ, "PATH": search_path()}
    done = subprocess.run(
        ["make", "-s", "sim-verilator"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        done.stdout.splitlines()[0]
        == "every spike and membrane of 3 layers is equal in 8 steps of 6 samples"
    )


def test_the_core_names_no_primitive_of_a_vendor() -> None:
    files = Fpga().plan(replace(small_network()[0]), {"device": "up5k"}).files
    text = b"\n".join(files[name] for name in files if name.endswith(".v")).decode()
    assert not re.findall(r"\bSB_\w+|\bEHX\w+|\bRAMB\w+", text)


@pytest.mark.parametrize(
    ("goal", "tool"),
    [
        ("sim", "iverilog"),
        ("sim-verilator", "verilator"),
        ("lint", "verilator"),
        ("synth", "yosys"),
    ],
)
def test_a_goal_whose_tool_is_missing_tells_how_to_install_it(
    goal: str, tool: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "out", *small_network(), device="up5k")
    (tmp_path / "empty").mkdir()
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, goal],
        cwd=folder,
        env={"PATH": str(tmp_path / "empty")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert re.fullmatch(
        rf"Makefile:\d+: \*\*\* {re.escape(lacking(tool))}\.  Stop\.\n", done.stderr
    )
