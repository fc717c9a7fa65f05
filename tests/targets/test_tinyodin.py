"""Target tinyodin: what it takes, its words, and the author's Verilog where it is there."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotBitExact, ToolMissing
from lehr.machines import TINYODIN
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.samples import read_samples
from lehr.simulate import compare, simulate
from lehr.targets.conformance.machines import machine_network
from lehr.targets.tinyodin import TinyOdin
from lehr.targets.tinyodin.events import events, read_output
from lehr.targets.tinyodin.runner import SOURCES, UPSTREAM, TinyOdinRunner

ROOT = Path(__file__).resolve().parents[2]
RUNNER = TinyOdinRunner()
FIELDS = Arithmetic(
    reset="zero", reset_timing="same_step", fires="ge", state_bits=12, update="event"
)


def one_layer(
    inputs: int = 12,
    neurons: int = 10,
    steps: int = 6,
    threshold: int = 4,
    leak: int = 1,
    seed: int = 0,
) -> Network:
    """Random weights of all 4 bits, thresholds and leaks of each neuron its own."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-7, 8, (neurons, inputs), np.int8)
    thresholds = (threshold + np.arange(neurons) % 5).astype(np.int32)
    leaks = (leak * (np.arange(neurons) % 3)).astype(np.int32)
    nodes = {
        "fc": Linear(weight, "int4"),
        "lif": Neuron(thresholds, 0 * thresholds, TINYODIN, parameters={"leak": leaks}),
    }
    return Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((inputs,), "spikes"), steps
    )


def spikes_in(net: Network, samples: int = 2, rate: float = 0.4) -> npt.NDArray[np.uint8]:
    return (np.random.default_rng(1).random((samples, net.steps, *net.input.shape)) < rate).astype(
        np.uint8
    )


def write(net: Network, folder: Path) -> Path:
    TinyOdin().plan(net, {}).with_manifest({"target": "tinyodin"}).write(folder)
    return folder


def by_hand(
    net: Network, x: npt.NDArray[np.uint8]
) -> tuple[list[list[tuple[int, int]]], npt.NDArray[np.int32]]:
    """Return the spikes of each sample as (step, neuron) in their order, and membranes.

    It is the machine in Python integers.
    """
    weight, lif = net.nodes["fc"].weight.T.tolist(), net.neurons["lif"]  # type: ignore[attr-defined]
    thresholds, leaks = lif.threshold.tolist(), lif.parameters["leak"].tolist()
    order, membranes = [], np.zeros((*x.shape[:2], len(thresholds)), np.int32)
    for n, sample in enumerate(x.tolist()):
        v, spikes = [0] * len(thresholds), []
        for t, step in enumerate(sample):
            for row in (row for row, count in enumerate(step) for _ in range(count)):
                for j, w in enumerate(weight[row]):
                    v[j] = min(max(v[j] + w, -2048), 2047)
                    if v[j] >= thresholds[j]:
                        v[j] = 0
                        spikes.append((t, j))
            v = [
                max(0, u - leak) if u >= 0 else min(0, u + leak)
                for u, leak in zip(v, leaks, strict=True)
            ]
            membranes[n, t] = v
        order.append(spikes)
    return order, membranes


# -------------------------------------------------------------------- what it takes
def reasons(net: Network) -> list[str]:
    return [str(problem) for problem in TinyOdin().check(net)]


def test_two_layers_and_recurrence_are_another_machine() -> None:
    net, _ = machine_network("tinyodin")
    queue = (
        "through the machine's queue, within the step and in the order in which they are emitted, "
        "not of address;"
        " use one layer of neurons that hears the input alone, or target c"
    )
    assert reasons(net) == [f"out: it would hear spikes of hidden {queue}"]
    alone = one_layer(neurons=4)
    loop = replace(
        alone,
        nodes={**alone.nodes, "self": Linear(np.ones((4, 4), np.int8))},
        edges=(*alone.edges, ("lif", "self"), ("self", "lif")),
    )
    assert reasons(loop) == [f"lif: it would hear spikes of lif {queue}"]


def changed(net: Network, **fields: object) -> Network:
    return replace(net, nodes={**net.nodes, "lif": replace(net.neurons["lif"], **fields)})  # type: ignore[arg-type]


def test_numbers_that_no_memory_holds() -> None:
    net = one_layer()
    assert reasons(net) == []
    ones = np.ones(10, np.int32)
    assert reasons(changed(net, threshold=4095 * ones, parameters={"leak": 127 * ones})) == []
    assert reasons(changed(net, threshold=4096 * ones, parameters={"leak": 128 * ones})) == [
        "lif: its thresholds are 4,096..4,096, the machine holds 1..4,095; use smaller weights, or "
        "fewer fraction bits",
        "lif: its leaks are 128..128, the machine holds 0..127; use a smaller leak",
    ]
    in_fields = changed(net, arithmetic=FIELDS, parameters={})
    assert reasons(in_fields) == []
    assert reasons(changed(in_fields, bias=ones)) == [
        "lif: its neurons have a bias, the machine has none; train without biases"
    ]
    assert reasons(changed(in_fields, arithmetic=replace(FIELDS, state_bits=10))) == [
        "lif: line 2 of its update is 'bound v -512 511 saturate', which the machine does not "
        "compute there;"
        " say it as the machine tinyodin of lehr.machines, or in fields with update 'event' and 12 "
        "bits"
    ]
    assert reasons(
        changed(in_fields, arithmetic=replace(FIELDS, fires="gt"), threshold=4095 * ones)
    ) == [
        "lif: its thresholds are 4,095..4,095, the machine holds 1..4,094; use smaller weights, or "
        "fewer fraction bits"
    ]


def test_sizes() -> None:
    assert reasons(one_layer(256, 256)) == []
    assert reasons(one_layer(257, 257)) == [
        "lif: it hears 257 inputs, the machine has 256 rows of weights; pool or crop the input",
        "lif: it has 257 neurons, the machine has 256; use fewer neurons",
    ]


# -------------------------------------------------------------------- what it writes
def memories(words: list[int]) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """Return registers, neurons and synapses after SPI words.

    They are as in section 2.1 of the machine's documentation; bytes that nothing wrote are 0.
    """
    registers, neurons, synapses = dict[int, int](), dict[int, int](), dict[int, int]()
    for word in words:
        address, data = word >> 20, word & 0xFFFFF
        command = address >> 16 & 3
        if command == 0:
            registers[address & 0xFFFF] = data
            continue
        assert address >> 18 == 1
        memory, place, byte = (
            (neurons, address & 0xFF, address >> 8 & 3)
            if command == 1
            else (synapses, address & 0x1FFF, address >> 13 & 3)
        )
        mask = ~(data >> 8) & 0xFF
        memory[place] = memory.get(place, 0) & ~(mask << 8 * byte) | (data & mask) << 8 * byte
    return registers, neurons, synapses


def lines(data: bytes) -> list[int]:
    return [int(line, 16) for line in data.split()]


def test_words_make_the_memories() -> None:
    net = one_layer(inputs=5, neurons=11, leak=9)
    files = TinyOdin().plan(net, {}).files
    registers, neurons, synapses = memories(lines(files["program.hex"]))
    assert registers == {0: 0, 1: 1, 2: 0, 3: 10}
    thresholds, leaks = (
        net.neurons["lif"].threshold.tolist(),
        net.neurons["lif"].parameters["leak"].tolist(),
    )
    assert neurons == {
        j: leak << 24 | threshold << 12
        for j, (threshold, leak) in enumerate(zip(thresholds, leaks, strict=True))
    }
    weight = net.nodes["fc"].weight  # type: ignore[attr-defined]
    assert synapses.keys() == {row * 32 + word for row in range(5) for word in (0, 1)}
    for j, row in np.ndindex(weight.shape):
        assert synapses[row * 32 + j // 8] >> 4 * (j % 8) & 15 == int(weight[j, row]) & 15
    assert lines(files["neurons.hex"])[:11] == [neurons[j] for j in range(11)]
    assert all(lines(files["synapses.hex"])[place] == word for place, word in synapses.items())


def test_clearing_leaves_thresholds_and_leaks() -> None:
    files = TinyOdin().plan(one_layer(), {}).files
    before = dict(enumerate(word | 0xABC for word in lines(files["neurons.hex"])[:10]))
    _, cleared, _ = memories(_written(before) + lines(files["clear.hex"]))
    assert cleared == {number: word & ~0xFFF for number, word in before.items()}


def _written(neurons: dict[int, int]) -> list[int]:
    return [
        ((5 << 16 | byte << 8 | j) << 20) | (word >> 8 * byte & 0xFF)
        for j, word in neurons.items()
        for byte in range(4)
    ]


def test_a_threshold_that_must_be_passed_is_one_more() -> None:
    net = changed(one_layer(), arithmetic=replace(FIELDS, fires="gt"), parameters={})
    files = TinyOdin().plan(net, {}).files
    thresholds = [word >> 12 & 0xFFF for word in lines(files["neurons.hex"])[:10]]
    assert thresholds == (net.neurons["lif"].threshold + 1).tolist()
    assert "Thresholds are one more than the network's" in files["README.md"].decode()
    assert "- None." in TinyOdin().plan(one_layer(), {}).files["README.md"].decode()


def test_events_and_output() -> None:
    x = np.array([[[0, 2, 1], [1, 0, 0]]], np.uint8)
    assert events(x, leaks=True) == [0x8000, 1, 1, 2, 0x1FF, 0x4000, 0, 0x1FF, 0x4000]
    spikes, membranes = read_output("01\n01\n= 005 fff\n00\n= 800 7ff\n", 1, 2, 2)
    assert spikes.tolist() == [[[0, 2], [1, 0]]]
    assert membranes.tolist() == [[[5, -1], [-2048, 2047]]]
    for text in ("= 000 000\n", "02\n= 0 0\n= 0 0\n", "x\n", "= 0\n= 0\n= 0\n"):
        with pytest.raises(NotBitExact, match="sends what no run of this artefact is"):
            read_output(text, 1, 2, 2)


@pytest.mark.slow
def test_without_its_verilog(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lehr: Lehr) -> None:
    way_out = f"clone ChFrenkel/tinyODIN from GitHub and set {UPSTREAM.variable} to the folder of its Verilog, where tinyODIN.v is"
    monkeypatch.delenv(UPSTREAM.variable, raising=False)
    assert RUNNER.missing() == f"the Verilog of tinyODIN is not known here; {way_out}"
    with pytest.raises(ToolMissing, match="is not known here"):
        TinyOdin().require_runner()
    monkeypatch.setenv(UPSTREAM.variable, str(tmp_path))
    assert (
        RUNNER.missing()
        == f"{UPSTREAM.variable} is {tmp_path}, where no {SOURCES[0]} is; {way_out}"
    )
    net = one_layer()
    nirfile.write(net, tmp_path / "model.nir", approximate=net.neurons)
    assert (
        lehr("build", tmp_path / "model.nir", "--target", "tinyodin", "-o", tmp_path / "out").code
        == 0
    )
    verified = lehr("verify", tmp_path / "out")
    assert verified.code == ToolMissing.exit_code == 6
    assert way_out in verified.err


def test_estimate_by_hand() -> None:
    net = one_layer(inputs=20, neurons=10)
    figures = {
        figure.name: figure.value for figure in TinyOdin().estimate(net, {INPUT: 0.25}).figures
    }
    assert figures["weights read"] == 5 * 10
    assert figures["clocks"] == 5 * 21 + 20
    assert figures["SPI words"] == 4 + 10 * 4 + 20 * 2 * 4 + 1
    nonzero = np.count_nonzero(net.nodes["fc"].weight)  # type: ignore[attr-defined]
    assert figures["synaptic operations"] == pytest.approx(nonzero / 4, abs=0)


# -------------------------------------------------------------------- the author's Verilog
@pytest.fixture
def verilog() -> None:
    if missing := RUNNER.missing():
        pytest.skip(missing)


@pytest.mark.slow
@pytest.mark.usefixtures("verilog")
@pytest.mark.parametrize("over_spi", [False, True])
def test_the_machine_computes_what_the_network_says(over_spi: bool, tmp_path: Path) -> None:
    """Compare every spike and membrane with Python integers and with the definition.

    Memories are loaded at once, or over SPI and read back.
    """
    net = one_layer()
    x = spikes_in(net)
    order, membranes = by_hand(net, x)
    got = TinyOdinRunner(over_spi).run(write(net, tmp_path / "out"), x)
    counts = np.zeros_like(got.spikes["lif"])
    for sample, emitted in enumerate(order):
        for step, neuron in emitted:
            counts[sample, step, neuron] += 1
    assert 0 < (counts > 0).mean() < 1
    assert np.array_equal(got.spikes["lif"], counts)
    assert np.array_equal(got.membranes["lif"], membranes)
    compare(simulate(net, x, trace=net.neurons).trace, got).require_equal("tinyodin")


@pytest.mark.slow
@pytest.mark.usefixtures("verilog")
def test_the_queue_never_fills(tmp_path: Path) -> None:
    """Send all 256 inputs in every step, the host as fast as the handshake.

    Every event is served before the next one is taken.
    """
    net = one_layer(inputs=256, neurons=4, steps=3, threshold=40)
    x = spikes_in(net, samples=1, rate=1.0)
    runner = TinyOdinRunner()
    got = runner.run(write(net, tmp_path / "out"), x)
    assert not runner.was_full
    assert 0 < (got.spikes["lif"] > 0).mean() < 1
    compare(simulate(net, x, trace=net.neurons).trace, got).require_equal("tinyodin")


@pytest.mark.slow
@pytest.mark.usefixtures("verilog")
def test_an_artefact_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    net = one_layer()
    folder = write(net, tmp_path / "out")
    with pytest.raises(
        FileRefused,
        match=r"input is uint8 \[1, 6, 5\], the artefact takes uint8 \[N, 12\] or \[N, T, 12\]; reshape or convert it",
    ):
        RUNNER.run(folder, np.zeros((1, 6, 5), np.uint8))
    words = (folder / "program.hex").read_text().splitlines()
    # a byte of a threshold is never sent
    (folder / "program.hex").write_text("\n".join([*words[:5], *words[6:], ""]))
    with pytest.raises(NotBitExact, match="words of the memories are not what was sent"):
        TinyOdinRunner(over_spi=True).run(folder, spikes_in(net))


@pytest.mark.slow
@pytest.mark.usefixtures("verilog")
def test_the_commands_of_the_page(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go from integers that were chosen by event to the author's Verilog.

    One weight or threshold of another value is noticed.
    """
    monkeypatch.chdir(tmp_path)
    page = (
        (ROOT / "docs" / "tinyodin.md")
        .read_text("utf-8")
        .partition("## From a network to the chip")[2]
        .partition("\n## ")[0]
    )
    python, *commands = [line.split() for line in page.splitlines() if line.startswith("    ")]
    printed = subprocess.run(
        [sys.executable, ROOT / python[1], *python[2:]], capture_output=True, text=True, check=True
    ).stdout
    (accuracy,) = re.findall(r"(0\.\d+) of the test samples", printed)
    assert float(accuracy) > 0.95
    assert [command[1] for command in commands] == ["check", "build", "verify"]
    for command in commands:
        ran = lehr(*command[1:])
        assert ran.code == 0, ran.err
    net = nirfile.read(tmp_path / "model.nir")
    x = read_samples(tmp_path / "in.npz")[0][:1]
    expected = simulate(net, x, trace=net.neurons)
    assert 0 < expected.rates["out"] < 1
    memory = tmp_path / "out" / "neurons.hex"
    words = lines(memory.read_bytes())
    memory.write_text(
        "".join(
            f"{word + (1 << 12) * (j == expected.prediction[0]):08x}\n"
            for j, word in enumerate(words)
        )
    )
    assert not compare(expected.trace, RUNNER.run(tmp_path / "out", x)).equal
