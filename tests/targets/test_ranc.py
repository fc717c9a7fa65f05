"""Target ranc: what it takes, its cores in Python integers, and RANC's own simulator if present."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotBitExact, ToolMissing
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    Readout,
    SumPool2d,
)
from lehr.nodes import Node
from lehr.simulate import Result, compare, simulate
from lehr.targets.ranc import Ranc
from lehr.targets.ranc.runner import UPSTREAM, RancRunner

ROOT = Path(__file__).resolve().parents[2]
RUNNER = RancRunner()
tool = pytest.mark.skipif(RUNNER.missing() is not None, reason=str(RUNNER.missing()))
ZERO = Arithmetic(
    decay_numerator=1,
    decay_shift=0,
    reset="zero",
    reset_timing="same_step",
    fires="ge",
    state_bits=16,
)
SUBTRACT = replace(ZERO, reset="subtract")
BEYOND = replace(ZERO, fires="gt")
NEVER = replace(ZERO, fires="never", reset="none")
Spikes = npt.NDArray[np.uint8]


def weights(seed: int, *shape: int, ternary: bool = False) -> npt.NDArray[np.int8]:
    return np.random.default_rng(seed).choice(
        np.array([-1, 0, 1] if ternary else [-1, 1], np.int8), shape
    )


def neurons(size: int, arithmetic: Arithmetic = ZERO, threshold: int = 2, bias: int = 0) -> Neuron:
    """Thresholds of three sizes and biases around `bias`."""
    return Neuron(
        (threshold + np.arange(size) % 3).astype(np.int32),
        (bias * (np.arange(size) % 3 - 1)).astype(np.int32),
        arithmetic,
    )


def chain(
    nodes: Mapping[str, Node],
    shape: tuple[int, ...] = (12,),
    readout: Readout = "count_argmax_lowest",
) -> Network:
    return Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input(shape, "spikes"), 8, readout
    )


def dense(
    arithmetic: Arithmetic = ZERO,
    last: Arithmetic | None = None,
    size: int = 10,
    readout: Readout = "count_argmax_lowest",
) -> Network:
    out = (
        neurons(5, ZERO, 3, 1)
        if last is None
        else Neuron(np.zeros(5, np.int32), np.array([1, 0, -2, 3, 0], np.int32), last)
    )
    nodes = {
        "fc": Linear(weights(1, size, 12)),
        "hidden": neurons(size, arithmetic, bias=1),
        "last": Linear(weights(2, 5, size)),
        "out": out,
    }
    return chain(nodes, readout=readout)


def maps() -> Network:
    """Return a convolution, a pool whose windows add up under a convolution, and a third layer.

    The third layer is two ticks late, and has biases.
    """
    nodes: dict[str, Node] = {
        "conv1": Conv2d(weights(3, 3, 1, 3, 3, ternary=True), kind="ternary"),
        "maps": neurons(3, SUBTRACT, 1),
        "pool": SumPool2d((2, 2), (1, 1)),
        "conv2": Conv2d(weights(4, 2, 3, 2, 2)),
        "more": neurons(2, BEYOND, 1),
        "flat": Flatten(),
        "fc": Linear(weights(5, 6, 8)),
        "out": neurons(6, SUBTRACT, 2, 1),
    }
    return chain(nodes, (1, 6, 6))


def looped() -> Network:
    """Return a layer that hears itself, and a layer that hears it twice, and the input.

    It hears it once at once and once three steps later.
    """
    nodes: dict[str, Node] = {
        "fc": Linear(weights(1, 8, 12)),
        "hidden": neurons(8, SUBTRACT),
        "back": Linear(weights(6, 8, 8)),
    }
    nodes |= {
        "now": Linear(weights(7, 5, 8)),
        "wait": Delay(3),
        "late": Linear(weights(8, 5, 8)),
        "over": Linear(weights(9, 5, 12)),
    }
    nodes["out"] = neurons(5, bias=1)
    edges = (
        (INPUT, "fc"),
        ("fc", "hidden"),
        ("hidden", "back"),
        ("back", "hidden"),
        ("hidden", "now"),
        ("now", "out"),
    )
    edges += (
        ("hidden", "wait"),
        ("wait", "late"),
        ("late", "out"),
        (INPUT, "over"),
        ("over", "out"),
        ("out", OUTPUT),
    )  # type: ignore[assignment]
    return Network(nodes, edges, Input((12,), "spikes"), 8)


NETWORKS = {
    "zero": dense(),
    "subtract": dense(SUBTRACT),
    "beyond": dense(BEYOND),
    "integrators": dense(last=NEVER, readout="membrane_sum_argmax_lowest"),
    "maps": maps(),
    "looped": looped(),
    "several cores": dense(size=200),
}


def samples(net: Network, count: int = 2) -> Spikes:
    return (np.random.default_rng(0).random((count, net.steps, *net.input.shape)) < 0.4).astype(
        np.uint8
    )


def flowing(net: Network, x: Spikes) -> Result:
    ran = simulate(net, x, trace=net.neurons)
    assert all(
        0 < rate < 1 for name, rate in ran.rates.items() if not net.neurons[name].integrates
    ), ran.rates
    return ran


def planned(net: Network) -> tuple[dict[str, Any], dict[str, Any]]:
    assert Ranc().check(net) == ()
    files = Ranc().plan(net, {}).files
    return json.loads(files["network.json"]), json.loads(files["map.json"])


def by_hand(
    network: Mapping[str, Any], placed: Mapping[str, Any], x: Spikes
) -> dict[str, npt.NDArray[np.int64]]:
    """Return membranes of each layer `[T, neurons]` of a sample, in Python integers.

    There are cores, axons, one destination a neuron.
    """
    cores, steps = network["cores"], len(x)
    due = {
        (t + wait, core, axon)
        for i, core, axon, wait in placed["inputs"]
        for t in range(steps)
        if x[t, i]
    }
    v = [[neuron["current_potential"] for neuron in core["neurons"]] for core in cores]
    ticks = []
    for t in range(steps + placed["late"]):
        for number, core in enumerate(cores):
            for j, (neuron, bits) in enumerate(
                zip(core["neurons"], core["connections"], strict=True)
            ):
                heard = [a for a, bit in enumerate(bits) if bit and (t, number, a) in due]
                v[number][j] += (
                    sum(neuron["weights"][core["axons"][a]] for a in heard) + neuron["leak"]
                )
                assert v[number][j] >= neuron["negative_threshold"]
                if v[number][j] >= neuron["positive_threshold"]:
                    v[number][j] = (
                        v[number][j] - neuron["positive_threshold"]
                        if neuron["reset_mode"]
                        else neuron["reset_potential"]
                    )
                    due.add(
                        (
                            t + 1 + neuron["destination_tick"],
                            number + neuron["destination_core_offset"][0],
                            neuron["destination_axon"],
                        )
                    )
        ticks.append([list(core) for core in v])
    return {
        layer["name"]: np.array(
            [
                [ticks[t + layer["late"]][core][row] for core, row in layer["rows"]]
                for t in range(steps)
            ]
        )
        for layer in placed["layers"]
    }


def differing(net: Network, network: Mapping[str, Any], placed: Mapping[str, Any]) -> int:
    x = samples(net, 1)
    expected = flowing(net, x).trace.membranes
    own = by_hand(network, placed, x[0].reshape(net.steps, -1))
    return sum(
        int((own[name] != expected[name][0].reshape(net.steps, -1)).sum()) for name in net.neurons
    )


# -------------------------------------------------------------------- exact
@pytest.mark.parametrize("name", NETWORKS)
def test_the_cores_by_hand_compute_the_network(name: str) -> None:
    assert differing(NETWORKS[name], *planned(NETWORKS[name])) == 0


def test_one_unit_more_is_seen() -> None:
    net = maps()
    for core, field in (
        (0, "positive_threshold"),
        (0, "leak"),
        (-1, "positive_threshold"),
        (-1, "current_potential"),
    ):
        network, placed = planned(net)
        for neuron in network["cores"][core]["neurons"]:
            neuron[field] += 1
        assert differing(net, network, placed) > 0, (core, field)


def test_what_is_said_otherwise_is_listed() -> None:
    readme = Ranc().plan(maps(), {}).files["README.md"].decode()
    assert "- weights of more other than +-1 and +-2 are sums of these, an axon for each" in readme
    assert (
        "- thresholds of more are one more: it fires beyond them, the machine at them, and both "
        "then set to 0" in readme
    )
    assert (
        "- membranes of out start at -2 biases, so that they are 0 when its first spikes can come"
        in readme
    )
    assert re.search(
        r"- [0-9]+ rows of maps are copies of its neurons, as a neuron sends to one axon", readme
    )
    network, _ = planned(dense())
    assert [len(core["neurons"]) for core in network["cores"]] == [20, 5]
    assert sorted(network["cores"][0]["axons"]) == [0] * 12 + [1] * 12
    waits = Ranc().plan(looped(), {}).files["README.md"].decode()
    assert "- spikes that come later wait in the scheduler: destination_tick 3" in waits


def test_costs() -> None:
    figures = {
        figure.name: figure.value
        for figure in Ranc().estimate(dense(), {"input": 0.5, "hidden": 0.25}).figures
    }
    assert figures["synaptic operations"] == 0.5 * 12 * 20 + 0.25 * 10 * 5
    assert [
        figures[name] for name in ("cores", "neurons", "copies", "axons", "synapses", "ticks")
    ] == [2, 25, 10, 44, 290, 10]


# -------------------------------------------------------------------- what does not map
def refused(net: Network) -> str:
    return "\n".join(map(str, Ranc().check(net)))


def test_other_updates() -> None:
    leaks = replace(ZERO, decay_numerator=7, decay_shift=3)
    assert refused(dense(leaks)) == (
        "hidden: line 1 of its update is 'leak v multiply 7 3 toward_zero', which the machine does "
        "not compute there;"
        " train with --target ranc, without a leak"
    )
    assert refused(dense(replace(SUBTRACT, fires="gt"))) == (
        "hidden: line 4 of its update is 'fire fired v gt threshold 1', which the machine does not "
        "compute there;"
        " train with --target ranc, without a leak"
    )
    assert "hidden: reset_timing is 'next_step'" in refused(
        dense(replace(ZERO, reset_timing="next_step"))
    )


def test_widths_count_the_steps() -> None:
    narrow = replace(ZERO, state_bits=8)
    assert refused(dense(narrow)) == ""
    longer = replace(dense(narrow), steps=40)
    assert refused(longer) == (
        "hidden: its v reaches -137..12, partial sums included, and must stay within -128..127;"
        " use fewer fraction bits, a smaller fan-in, or a decay that is shorter"
    )


def test_what_no_core_holds() -> None:
    wide = chain({"fc": Linear(np.ones((2, 257), np.int8)), "out": neurons(2)}, (257,))
    assert (
        refused(wide) == "out: a neuron of it hears 257 axons, a core has 256; use a smaller fan-in"
    )
    assert refused(replace(dense(), input=Input((12,), "u8"))) == (
        "fc: the input is 'u8', an axon takes one spike a tick or none; code the input as spikes"
    )
    net = looped()
    assert refused(replace(net, nodes={**net.nodes, "wait": Delay(14)})) == ""
    assert refused(replace(net, nodes={**net.nodes, "wait": Delay(15)})) == (
        "out: spikes of hidden wait 15 ticks for it, a scheduler holds them for 14 at most; use "
        "shorter delays"
    )
    early = replace(maps(), nodes={**maps().nodes, "out": neurons(6, SUBTRACT, 2, 5)})
    assert refused(early) == (
        "out: it runs 2 ticks late, in which neuron 0 would fire, of bias -5 and threshold 2; use "
        "a smaller bias, or fewer layers before it"
    )


def test_a_fan_in_larger_than_a_core() -> None:
    net = looped()
    large = {
        "fc": Linear(weights(1, 250, 12)),
        "hidden": neurons(250),
        "back": Linear(weights(6, 250, 250)),
    }
    small = {"now": Linear(weights(7, 5, 250)), "late": Linear(weights(8, 5, 250))}
    assert refused(replace(net, nodes={**net.nodes, **large, **small})) == (
        "hidden: a neuron of it hears 262 axons, a core has 256; use a smaller fan-in\n"
        "out: a neuron of it hears 512 axons, a core has 256; use a smaller fan-in"
    )


# -------------------------------------------------------------------- the tool
def write(net: Network, folder: Path) -> Path:
    Ranc().plan(net, {}).with_manifest({"target": "ranc"}).write(folder)
    return folder


def test_a_missing_simulator_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    way = f"clone UA-RCL/RANC from GitHub and set {UPSTREAM.variable} to its folder simulator"
    monkeypatch.delenv(UPSTREAM.variable, raising=False)
    assert RUNNER.missing() == f"the simulator of RANC is not known here; {way}"
    with pytest.raises(ToolMissing, match="is not known here"):
        RUNNER.run(write(dense(), tmp_path / "out"), samples(dense()))
    monkeypatch.setenv(UPSTREAM.variable, str(tmp_path))
    assert RUNNER.missing() == f"{UPSTREAM.variable} is {tmp_path}, where no src/main.cpp is; {way}"


@tool
@pytest.mark.parametrize("name", NETWORKS)
def test_the_simulator_computes_the_network(name: str, tmp_path: Path) -> None:
    net, x = NETWORKS[name], samples(NETWORKS[name])
    assert compare(flowing(net, x).trace, RUNNER.run(write(net, tmp_path / "out"), x)).equal


@tool
def test_the_simulator_sees_one_unit_and_complaints_are_errors(tmp_path: Path) -> None:
    net, x = dense(), samples(dense())
    folder = write(net, tmp_path / "out")
    network = json.loads((folder / "network.json").read_text())
    network["cores"][1]["neurons"][2]["positive_threshold"] += 1
    (folder / "network.json").write_text(json.dumps(network))
    assert not compare(flowing(net, x).trace, RUNNER.run(folder, x)).equal
    for neuron in network["cores"][0]["neurons"]:
        neuron["destination_axon"] = 0
    (folder / "network.json").write_text(json.dumps(network))
    with pytest.raises(
        NotBitExact,
        match=r"says 'Scheduler received duplicate spike in same time tick \(core \(1, 0\)",
    ):
        RUNNER.run(folder, x)
    with pytest.raises(
        FileRefused,
        match=r"input is uint8 \[2, 3, 4\], the artefact takes uint8 \[N, 12\] or \[N, T, 12\] of 0 and 1; reshape or convert it",
    ):
        RUNNER.run(folder, np.zeros((2, 3, 4), np.uint8))


@tool
@pytest.mark.slow
def test_the_commands_of_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lehr: Lehr
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (
        (ROOT / "docs" / "ranc.md")
        .read_text("utf-8")
        .partition("## From a recipe to the cores")[2]
        .partition("\n## ")[0]
    )
    commands = [
        line.split("#")[0].split()[1:] for line in page.splitlines() if line.startswith("    lehr ")
    ]
    assert [words[0] for words in commands] == ["train", "export", "recipes", "build", "verify"]
    shorter = {
        "train": [
            f"--set={each}=1"
            for each in ("train.epochs", "finetune.epochs", "finetune.frozen_epochs")
        ],
        "verify": ["-n", "2"],
    }
    printed = ""
    for words in commands:
        ran = lehr(*words, *shorter.get(words[0], []))
        assert ran.code == 0, ran.err
        printed = ran.out
    assert "PASS" in printed
