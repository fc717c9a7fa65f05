"""Target spinnaker2: its files are converted as py-spinnaker2 publishes, and compute the network.

They compute it in floats written by hand here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from commands import run

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.simulate import compare, simulate
from lehr.targets.build import build, verify
from lehr.targets.conformance.building import flowing
from lehr.targets.conformance.mutations import thresholds, weights
from lehr.targets.spinnaker2 import Spinnaker2
from lehr.targets.spinnaker2.graph import GRAPH, SETTINGS
from lehr.targets.spinnaker2.runner import Model

TARGET = Spinnaker2()
RNG = np.random.default_rng
IF: dict[str, Any] = {
    "decay_numerator": 1,
    "decay_shift": 0,
    "reset_timing": "same_step",
    "state_bits": 32,
    "fraction_bits": 0,
}


def weight(*shape: int, seed: int = 0) -> Any:
    return RNG(seed).choice(np.array([-1, 1], np.int8), shape)


def neuron(size: int, threshold: int = 2, bias: int = 0, **fields: Any) -> Neuron:
    return Neuron(
        np.full(size, threshold, np.int32),
        np.full(size, bias, np.int32),
        Arithmetic(**{**IF, **fields}),
    )


def chain(
    nodes: Mapping[str, Node],
    shape: tuple[int, ...],
    steps: int = 12,
    more: tuple[tuple[str, str], ...] = (),
) -> Network:
    return Network(
        dict(nodes), (*pairwise((INPUT, *nodes, OUTPUT)), *more), Input(shape, "spikes"), steps
    )


def dense(steps: int = 12, **fields: Any) -> Network:
    nodes = {
        "fc1": Linear(weight(9, 14)),
        "lif1": neuron(9, **fields),
        "fc2": Linear(weight(5, 9)),
        "lif2": neuron(5, **fields),
    }
    return chain(nodes, (14,), steps)


def spikes(net: Network, samples: int = 5) -> Any:
    return (RNG(3).random((samples, net.steps, *net.input.shape)) < 0.4).astype(np.uint8)


def built(net: Network, folder: Path) -> Path:
    TARGET.require_mappable(net)
    TARGET.plan(net, {}).with_manifest({}).write(folder)
    return folder


def exact(net: Network, folder: Path) -> None:
    """Assert that every spike and membrane is equal, with spikes that flow.

    A threshold one unit higher, or a weight of the other sign, is not.
    """
    x = spikes(net)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    compare(expected.trace, Model().run(built(net, folder), x)).require_equal("the model")
    other = next(
        m
        for m in (*thresholds(net), *weights(net))
        if not compare(expected.trace, simulate(m, x, trace=m.neurons).trace).equal
    )
    if not TARGET.check(other):
        assert not compare(
            expected.trace, Model().run(built(other, folder.with_name("other")), x)
        ).equal


# -------------------------------------------------------------------- what it computes
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_it_is_the_machine_written_by_hand(reset: str, tmp_path: Path) -> None:
    """Loop in floats over the numbers that stand in the file, without lehr.

    Spikes take one step from layer to layer.
    """
    net = dense(reset=reset)
    folder = built(net, tmp_path / "built")
    graph, settings = nir.read(folder / GRAPH), json.loads((folder / SETTINGS).read_text())
    assert settings["conversion"]["reset"] == {"subtract": "SUBTRACT", "zero": "ZERO"}[reset]
    assert settings["conversion"]["scale_weights"] is False
    matrices = [node.weight for node in graph.nodes.values() if isinstance(node, nir.Linear)]
    neurons: list[Any] = [graph.nodes[name] for name in ("lif1", "lif2")]
    levels = [node.v_threshold / node.r for node in neurons]
    x = spikes(net)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    for sample in range(len(x)):
        v: list[Any] = [np.zeros(9, np.float32), np.zeros(5, np.float32)]
        fired: list[Any] = [np.zeros(9, np.float32), np.zeros(5, np.float32)]
        for t in range(net.steps + 1):
            arriving = [x[sample, t] if t < net.steps else np.zeros(14), fired[0]]
            for layer in (0, 1):
                v[layer] = (v[layer] + matrices[layer] @ arriving[layer]).astype(np.float32)
                fired[layer] = (v[layer] > levels[layer]).astype(np.float32)
                v[layer] = v[layer] - fired[layer] * (
                    v[layer] if reset == "zero" else levels[layer].astype(np.float32)
                )
            for layer, name in enumerate(("lif1", "lif2")):
                if 0 <= t - layer < net.steps:
                    assert np.array_equal(
                        v[layer], expected.trace.membranes[name][sample, t - layer]
                    )
                    assert np.array_equal(
                        fired[layer], expected.trace.spikes[name][sample, t - layer]
                    )
    exact(net, tmp_path / "again")


def convolutions(**conv: Any) -> Network:
    nodes: dict[str, Node] = {"conv": Conv2d(weight(4, 2 // conv.get("groups", 1), 3, 3), **conv)}
    shape = nodes["conv"].output_shape((2, 9, 9))
    nodes |= {"pool": SumPool2d((2, 2), (2, 2)), "lif1": neuron(4, 3)}
    rows = nodes["pool"].output_shape(shape)[1]
    nodes |= {"flat": Flatten(), "fc": Linear(weight(5, 4 * rows * rows)), "lif2": neuron(5, 4)}
    return chain(nodes, (2, 9, 9))


@pytest.mark.parametrize(
    "conv",
    [{}, {"padding": (1, 1)}, {"stride": (2, 2)}, {"dilation": (2, 2)}, {"groups": 2}],
    ids=str,
)
def test_pooling_dilation_and_groups_are_kernels(conv: dict[str, Any], tmp_path: Path) -> None:
    net = convolutions(**conv)
    exact(net, tmp_path / "built")
    text = (tmp_path / "built" / "README.md").read_text()
    assert "one kernel of " in text
    assert "a Flatten behind windows of one pixel" in text


def test_windows_before_weights_and_alone(tmp_path: Path) -> None:
    nodes: dict[str, Node] = {
        "p1": SumPool2d((2, 2), (2, 2)),
        "lif0": neuron(2, 1),
        "p2": SumPool2d((2, 2), (2, 2)),
        "conv": Conv2d(weight(4, 2, 2, 2)),
    }
    nodes |= {
        "lif1": neuron(4, 1),
        "p3": SumPool2d((1, 1), (1, 1)),
        "flat": Flatten(),
        "fc": Linear(weight(3, 4)),
        "lif2": neuron(3, 1),
    }
    exact(chain(nodes, (2, 8, 8)), tmp_path / "built")


def test_a_layer_hears_itself_one_step_later(tmp_path: Path) -> None:
    net = dense()
    nodes = {**net.nodes, "own": Linear(weight(9, 9, seed=5))}
    again = Network(nodes, (*net.edges, ("lif1", "own"), ("own", "lif1")), net.input, net.steps)
    exact(again, tmp_path / "built")


def test_integrators_are_neurons_that_never_reach_their_threshold(tmp_path: Path) -> None:
    net = dense()
    last = Neuron(
        np.zeros(5, np.int32),
        np.zeros(5, np.int32),
        Arithmetic(**{**IF, "fires": "never", "reset": "none"}),
    )
    scored = Network(
        {**net.nodes, "lif2": last}, net.edges, net.input, net.steps, "membrane_last_argmax_lowest"
    )
    x = spikes(scored)
    expected = simulate(scored, x, trace=scored.neurons)
    assert flowing(scored, expected)
    compare(expected.trace, Model().run(built(scored, tmp_path / "built"), x)).require_equal(
        "the model"
    )


@pytest.mark.parametrize("form", ["multiply", "shift"])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_a_decay_is_exact_while_float32_has_bits_for_it(
    form: str, reset: str, tmp_path: Path
) -> None:
    """One half a step for 12 steps takes 11 fraction bits.

    With one step more the network is refused, by name.
    """
    leak: dict[str, Any] = {
        "decay_form": form,
        "decay_numerator": 1,
        "decay_shift": 1,
        "fraction_bits": 11,
        "reset": reset,
        "threshold": 2 << 11,
    }
    net = dense(**leak)
    exact(net, tmp_path / "built")
    membranes = Model().run(tmp_path / "built", spikes(net)).membranes["lif1"]
    assert (membranes % 2).any()  # the last bit is used
    bits, multiples = (
        (str(problem) for problem in TARGET.check(dense(13, **leak))[:2])
        if reset == "subtract"
        else ("", "")
    )
    if reset == "subtract":
        assert bits == (
            "lif1: its decay is never rounded on the machine: in 13 steps that takes 12 fraction "
            "bits, it has 11;"
            " use fewer steps, no leak, or export with 12 fraction bits"
        )
        odd = TARGET.check(dense(**{**leak, "threshold": (2 << 11) + 1}))
        assert str(odd[0]) == (
            "lif1: its decay is never rounded on the machine: in 12 steps that takes thresholds "
            "that are multiples of 2^11;"
            " train with such thresholds, reset to zero, or no leak"
        )
        assert multiples


# -------------------------------------------------------------------- what it refuses
def sentences(net: Network) -> list[str]:
    return [str(problem) for problem in TARGET.check(net)]


def test_what_the_machine_computes_otherwise_is_refused_by_name() -> None:
    assert sentences(dense(fires="ge"))[0].startswith(
        "lif1: line 4 of its update is 'fire fired v ge threshold 1', which the machine does not "
        "compute there;"
    )
    assert sentences(dense(reset_timing="next_step"))[0].startswith("lif1: line ")
    assert sentences(dense(bias=1))[0] == (
        "lif1: it has biases, which act from the machine's first step on, before the layer's own "
        "first input;"
        " train without biases and without batch norm"
    )
    assert sentences(dense(state_bits=8, threshold=100, steps=60))[0].startswith(
        "lif1: its v reaches "
    )
    pixels = Network(dense().nodes, dense().edges, Input((14,), "u8"), 12)
    assert (
        sentences(pixels)[0]
        == "lif1: its input is pixels, the machine's is spikes; train with a code that turns pixels into spikes"
    )
    mixed = Network(
        {**dense().nodes, "lif2": neuron(5, reset="zero")},
        dense().edges,
        Input((14,), "spikes"),
        12,
    )
    assert sentences(mixed) == [
        "lif2: its neurons reset otherwise than those before, py-spinnaker2 has one reset for all; "
        "train with one reset"
    ]
    fine = dense(fraction_bits=16, threshold=2 << 16, steps=200)
    assert "must stay within -16,777,216..16,777,216" in sentences(fine)[0]


def test_ways_that_py_spinnaker2_has_not_are_refused_by_name() -> None:
    two = chain({"a": Linear(weight(4, 14)), "b": Linear(weight(5, 4)), "lif": neuron(5)}, (14,))
    assert sentences(two)[0].startswith(
        "b: there is Linear and Linear between input and lif, the machine has other ways; use one "
        "layer of weights"
    )
    oblong = chain({"conv": Conv2d(weight(4, 2, 3, 3), stride=(2, 1)), "lif": neuron(4)}, (2, 9, 9))
    assert sentences(oblong) == [
        "conv: its stride is 2 by 1, which py-spinnaker2 reads in an order of its own; use a "
        "square one"
    ]
    pool = chain(
        {"conv": Conv2d(weight(4, 2, 3, 3)), "pool": SumPool2d((3, 3), (2, 2)), "lif": neuron(4)},
        (2, 9, 9),
    )
    assert sentences(pool)[0].startswith(
        "pool: its windows overlap or are padded, the machine's do not; "
    )
    heavy = chain({"fc": Linear(np.full((2, 14), 127, np.int8), "int8"), "pre": neuron(2)}, (14,))
    assert sentences(heavy) == []
    wide = chain({"fc": Linear(np.full((2, 300), 127, np.int8), "int8"), "lif": neuron(2)}, (300,))
    assert sentences(wide)[0].startswith(
        "lif: the weights into one of its neurons come to 38,100, and 32,767 is what sums of 16 "
        "bits hold;"
    )
    large = chain(
        {
            "conv": Conv2d(np.full((1, 1, 2, 2), 64, np.int8), kind="int8"),
            "pool": SumPool2d((2, 2), (2, 2)),
            "lif": neuron(1),
        },
        (1, 5, 5),
    )
    assert (
        sentences(large)[0]
        == "conv: a weight of the machine would be 256, it holds up to 127; use smaller weights or windows"
    )
    net = dense()
    back = Network(
        {**net.nodes, "back": Linear(weight(9, 5))},
        (*net.edges, ("lif2", "back"), ("back", "lif1")),
        net.input,
        net.steps,
    )
    assert "py-spinnaker2 has one delay for all" in sentences(back)[0]


@pytest.mark.slow
def test_memory_is_counted_and_has_an_end() -> None:
    net = chain({"fc": Linear(weight(600, 14)), "lif": neuron(600)}, (14,))
    figures = {figure.name: figure.value for figure in TARGET.estimate(net, {INPUT: 0.5}).figures}
    assert figures["processing elements"] == 3
    # 200 neurons: 14 rows of 12 bytes and 200 synapses of 2, 20 bytes a neuron; 12 steps of 2 + 7
    # and 1 + 200 words
    assert figures["fullest element"] == 14 * (12 + 400) + 200 * 20 + 12 * 4 * (9 + 201)
    assert figures["synaptic operations"] == pytest.approx(0.5 * 14 * 600 * 12)
    assert figures["energy of synapses"] == pytest.approx(0.5 * 14 * 600 * 12 * 1e-5)
    long = chain({"fc": Linear(weight(2, 14)), "lif": neuron(2)}, (14,), steps=9_000)
    assert sentences(long)[0].startswith("lif: one of its neurons takes ")
    many = chain({"fc": Linear(weight(40_000, 2)), "lif": neuron(40_000)}, (2,))
    assert sentences(many) == [
        "lif: the network takes 160 processing elements, 160 of them this layer, a chip has 148; "
        "use smaller layers"
    ]


@pytest.mark.slow
# -------------------------------------------------------------------- the artefact
def test_it_builds_and_verifies_and_its_program_is_python(tmp_path: Path) -> None:
    net = convolutions()
    build(net, TARGET, spikes(net)).plan.write(tmp_path / "built")
    verified = verify(tmp_path / "built")
    verified.require()
    assert verified.comparison.values > 0
    compile((tmp_path / "built" / "run_spinnaker2.py").read_text(), "run_spinnaker2.py", "exec")


def test_the_runner_refuses_what_is_no_artefact_of_its(tmp_path: Path) -> None:
    net = dense()
    folder = built(net, tmp_path / "built")
    with pytest.raises(
        FileRefused,
        match=r"^input is uint8 \[5, 13, 14\], network\.nir takes uint8 \[N, up to 12, 14\]; convert or reshape it$",
    ):
        Model().run(folder, np.zeros((5, 13, 14), np.uint8))
    (folder / GRAPH).write_bytes(b"no graph")
    with pytest.raises(
        FileRefused,
        match=r"network\.nir cannot be converted \(OSError: .*\); build the artefact again$",
    ):
        Model().run(folder, spikes(net))


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the commands of docs/spinnaker2.md, from the trained network on.

    Training takes minutes and is the recipe's.
    """
    page = (Path(__file__).parents[2] / "docs" / "spinnaker2.md").read_text("utf-8")
    commands = [line.split()[1:] for line in page.splitlines() if line.startswith("    lehr ")]
    assert [command[0] for command in commands] == [
        "train",
        "export",
        "recipes",
        "check",
        "build",
        "verify",
    ]
    net = dense()
    nirfile.write(net, tmp_path / "model.nir")
    np.savez(tmp_path / "in.npz", input=spikes(net))
    monkeypatch.chdir(tmp_path)
    printed = ""
    for command in commands[3:]:
        ran = run(*command)
        assert ran.code == 0, ran.err
        assert ran.last == "PASS"
        printed = ran.out
    assert "0 of 840 membranes and 0 spikes differ" in printed
