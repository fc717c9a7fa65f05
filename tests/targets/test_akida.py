"""Target akida: its model, computed by hand from the JSON, and in Akida's software back end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotBitExact
from lehr.machines import AKIDA as PROGRAM
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
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
from lehr.targets.akida import Akida
from lehr.targets.akida.runner import AKIDA
from lehr.targets.build import build, verify
from lehr.targets.contract import MachineTrace

tool = pytest.mark.skipif(AKIDA.missing() is not None, reason=str(AKIDA.missing()))
FIELDS = Arithmetic(decay_numerator=0, reset="none", state_bits=16)
NEVER = replace(FIELDS, fires="never")
Spikes = npt.NDArray[np.uint8]


def weights(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.int8]:
    return rng.choice(np.array([-1, 1], np.int8), shape)


def neurons(size: int, update: Any = FIELDS, threshold: Any = 1, bias: Any = 0) -> Neuron:
    return Neuron(
        np.broadcast_to(np.int32(threshold), size), np.broadcast_to(np.int32(bias), size), update
    )


def chain(
    nodes: Mapping[str, Node],
    shape: tuple[int, ...] = (12,),
    readout: Readout = "count_argmax_lowest",
) -> Network:
    return Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input(shape, "spikes"), 6, readout
    )


def everything() -> Network:
    """Return two convolutions of the chip's geometry, one that is not, a pool, and dense layers.

    Their biases turn thresholds negative.
    """
    rng = np.random.default_rng(1)
    nodes: dict[str, Node] = {
        "conv": Conv2d(weights(rng, 4, 2, 3, 3), padding=(1, 1)),
        "maps": neurons(4, threshold=[1, 2, 1, 3], bias=[3, 0, -2, 5]),
        "wide": Conv2d(weights(rng, 3, 4, 5, 5), padding=(2, 2)),
        "more": neurons(3, threshold=[1, 3, 2]),
        "strided": Conv2d(weights(rng, 3, 3, 3, 2)),
        "pool": SumPool2d((2, 2), (2, 1)),
        "pooled": neurons(3, threshold=[2, 1, 4], bias=[6, 9, 3]),
        "flat": Flatten(),
        "fc": Linear(weights(rng, 8, 30)),
        "hidden": neurons(8, bias=np.arange(8) - 4),
        "last": Linear(weights(rng, 5, 8)),
        "out": neurons(5, bias=[0, 0, 1, -1, 0]),
    }
    return chain(nodes, shape=(2, 6, 7))


def dense(update: Any = FIELDS, bias: Any = 0, threshold: Any = 1) -> Network:
    rng = np.random.default_rng(2)
    nodes = {"fc": Linear(weights(rng, 10, 12)), "hidden": neurons(10, update, threshold, bias)}
    return chain({**nodes, "last": Linear(weights(rng, 5, 10)), "out": neurons(5, update)})


def read_out(readout: Readout, update: Any = FIELDS) -> Network:
    net = dense()
    out = neurons(5, update, int(update != NEVER), [0, 3, -2, 1, 0])
    return replace(net, nodes={**net.nodes, "out": out}, readout=readout)


NETWORKS = {
    "everything": everything(),
    "dense": dense(bias=np.arange(10) - 5),
    "program": dense(PROGRAM),
    "potentials": read_out("membrane_max_argmax_lowest"),
    "integrators": read_out("membrane_sum_argmax_lowest", NEVER),
    "last potentials": read_out("membrane_last_argmax_lowest", NEVER),
}


def samples(net: Network, seed: int = 0, count: int = 4) -> Spikes:
    return (np.random.default_rng(seed).random((count, net.steps, *net.input.shape)) < 0.5).astype(
        np.uint8
    )


def flowing(net: Network, x: Spikes) -> Result:
    ran = simulate(net, x, trace=net.neurons)
    assert all(
        0 < rate < 1 for name, rate in ran.rates.items() if not net.neurons[name].integrates
    ), ran.rates
    return ran


def convolved(x: npt.NDArray[np.int64], kernel: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return a convolution of maps `[N, x, y, channels]`, padded to their size, by its definition.

    Kernels run against the maps.
    """
    reach = len(kernel) // 2
    padded, out = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0))), 0
    for i in range(len(kernel)):
        for j in range(len(kernel)):
            out = out + padded[:, i : i + x.shape[1], j : j + x.shape[2]] @ kernel[-1 - i, -1 - j]
    return np.asarray(out)


def differing(net: Network, model: Mapping[str, Any], x: Spikes) -> int:
    """Spikes and potentials that the model, computed by hand, has otherwise than the network."""
    ran, count = flowing(net, x), 0
    width, height, channels = model["input_shape"]
    values = x.reshape(-1, channels, height, width).transpose(0, 3, 2, 1).astype(int)
    for layer in model["layers"][1:]:
        kernel, name = np.array(layer["variables"]["weights"]["data"]), layer["name"]
        dense = layer["parameters"]["layer_type"] == "FullyConnected"
        # a fully connected layer takes maps channel by channel, then along y, then along x
        potential = (
            values.transpose(0, 3, 2, 1).reshape(len(values), -1) @ kernel[0, 0]
            if dense
            else convolved(values, kernel)
        )
        bias, own = net.neurons[name].bias, ran.trace.membranes[name].reshape(-1, *net.shapes[name])
        shown = potential.reshape(own.shape) if dense else potential.transpose(0, 3, 2, 1)
        count += int((shown + bias.reshape(-1, *[1] * (own.ndim - 2)) != own).sum())
        if layer["parameters"]["activation"]:
            values = (potential > np.array(layer["variables"]["threshold"]["data"])).astype(int)
            fired = values if dense else values.transpose(0, 3, 2, 1)
            count += int(
                (fired.reshape(own.shape) != ran.trace.spikes[name].reshape(own.shape)).sum()
            )
            values = values[:, None, None] if dense else values
    return count


# -------------------------------------------------------------------- exact
@pytest.mark.parametrize("name", NETWORKS)
def test_the_model_by_hand_computes_the_network(name: str) -> None:
    net = NETWORKS[name]
    assert Akida().check(net) == ()
    assert differing(net, json.loads(Akida().plan(net, {}).files["model.json"]), samples(net)) == 0


def test_one_weight_and_one_threshold_more_are_seen() -> None:
    net, x = everything(), samples(everything())
    for number, (layer, variable) in enumerate(
        [(1, "threshold"), (2, "weights"), (3, "weights"), (4, "threshold")]
    ):
        model = json.loads(Akida().plan(net, {}).files["model.json"])
        data = model["layers"][layer]["variables"][variable]
        changed = np.array(data["data"])
        changed.flat[number] += 1
        data["data"] = changed.tolist()
        assert differing(net, model, x) > 0, (layer, variable)


def test_layers_are_of_the_chips_types() -> None:
    model = json.loads(Akida().plan(everything(), {}).files["model.json"])
    kinds = [
        (layer["name"], layer["parameters"]["layer_type"], layer["parameters"].get("weights_bits"))
        for layer in model["layers"]
    ]
    assert kinds == [
        ("input", "InputData", None),
        ("maps", "Convolutional", 2),
        ("more", "Convolutional", 2),
        ("pooled", "FullyConnected", 4),
        ("hidden", "FullyConnected", 2),
        ("out", "FullyConnected", 2),
    ]
    assert model["layers"][1]["variables"]["threshold"]["data"] == [-2, 2, 3, -2]
    assert (
        "| pooled | 3x2x5 | FullyConnected | 1x1x126x30 of 4 bits |"
        in Akida().plan(everything(), {}).files["README.md"].decode()
    )


def test_costs() -> None:
    figures = {
        figure.name: figure.value
        for figure in Akida().estimate(dense(), {"input": 0.5, "hidden": 0.25}).figures
    }
    assert figures == {
        "neurons": 15,
        "weights": 43,
        "inferences": 6,
        "synaptic operations": 0.5 * 120 + 0.25 * 50,
    }


# -------------------------------------------------------------------- what does not map
def refused(net: Network) -> str:
    return "\n".join(map(str, Akida().check(net)))


def test_updates_that_remember() -> None:
    assert refused(dense(replace(FIELDS, decay_numerator=1, decay_shift=1))) == "\n".join(
        f"{name}: line 1 of its update is 'leak v multiply 1 1 toward_zero', which the machine "
        "does not compute there;"
        " train with --target akida, without memory, or use the program 'akida' of lehr.machines"
        for name in ("hidden", "out")
    )
    assert "hidden: fraction_bits is 1, the machine has 0; export with at most 0" in refused(
        dense(replace(FIELDS, fraction_bits=1))
    )


def test_what_is_no_chain() -> None:
    net = dense()
    back = replace(
        net,
        nodes={**net.nodes, "back": Linear(np.ones((10, 10), np.int8))},
        edges=(*net.edges, ("hidden", "back"), ("back", "hidden")),
    )
    assert refused(back) == (
        "hidden: it takes hidden of the step before and input, the machine has a chain of layers, "
        "in which it takes input; make the network a chain without feedback"
    )
    over = replace(
        net,
        nodes={**net.nodes, "over": Linear(np.ones((5, 12), np.int8))},
        edges=(*net.edges, (INPUT, "over"), ("over", "out")),
    )
    assert refused(over) == (
        "out: it takes hidden and input, the machine has a chain of layers, in which it takes "
        "hidden; make the network a chain without feedback"
    )


def test_numbers_that_the_machine_does_not_hold() -> None:
    rng = np.random.default_rng(0)
    pooled = chain(
        {
            "conv": Conv2d(np.ones((2, 1, 3, 3), np.int8)),
            "pool": SumPool2d((3, 3), (3, 3)),
            "maps": neurons(2),
            "flat": Flatten(),
        }
        | {"fc": Linear(weights(rng, 3, 8)), "out": neurons(3)},
        shape=(1, 8, 8),
    )
    assert (
        refused(pooled)
        == "maps: its synapses add up to 9, the machine holds weights of -7..7; use a smaller pool"
    )
    wide = replace(FIELDS, state_bits=32)
    assert refused(dense(wide, bias=-600_000)) == (
        "hidden: its thresholds less biases are 600,001..600,001, the machine holds "
        "-524,288..524,287; train with smaller ones"
    )
    assert refused(dense(replace(FIELDS, state_bits=8), bias=125)) == (
        "hidden: its v reaches -7..134, partial sums included, and must stay within -128..127; use "
        "fewer fraction bits, a smaller fan-in, or a decay that is shorter"
    )
    large = chain(
        {
            "fc": Linear(np.ones((2, 57_335), np.int8)),
            "out": neurons(2, replace(FIELDS, state_bits=32)),
        },
        shape=(57_335,),
    )
    assert refused(large) == "out: it has 57,335 inputs, the machine takes 57,334; pool before it"
    deep: dict[str, Node] = {}
    for number in range(24):
        deep |= {f"fc{number}": Linear(np.ones((2, 2), np.int8)), f"lif{number}": neurons(2)}
    assert (
        refused(chain(deep, shape=(2,)))
        == "lif22: it is fully connected layer 23, an AKD1000 holds 22; use fewer layers"
    )


def test_pixels_are_refused() -> None:
    net = replace(dense(), input=Input((12,), "u8"))
    assert (
        refused(net)
        == "fc: the input is 'u8', the first layer takes spikes of 0 and 1; code the input as spikes"
    )


@pytest.mark.few(2)
# -------------------------------------------------------------------- in the tool
@tool
@pytest.mark.parametrize("name", NETWORKS)
def test_the_software_back_end_computes_the_network(name: str, tmp_path: Path) -> None:
    net, x = NETWORKS[name], samples(NETWORKS[name])
    Akida().plan(net, {}).with_manifest({}).write(tmp_path / "built")
    trace, ran = Akida().runner().run(tmp_path / "built", x), flowing(net, x)
    assert isinstance(trace, MachineTrace)
    assert trace.decision is not None
    assert compare(ran.trace, trace).equal
    assert np.array_equal(trace.decision, ran.prediction)
    assert trace.figures[0].value >= len(net.neurons)


@tool
def test_a_built_artefact_verifies_and_is_measured(tmp_path: Path) -> None:
    net = everything()
    built = build(net, Akida(), samples(net), measure=True)
    built.plan.write(tmp_path / "built")
    verify(tmp_path / "built").require()
    assert [(figure.name, figure.unit) for figure in built.measured] == [
        ("neural processors", "of 78"),
        ("program", "bytes"),
    ]


@pytest.mark.slow
@tool
def test_what_does_not_fit_an_akd1000_fails(tmp_path: Path) -> None:
    """Split convolutions among more neural processors than there are.

    The tool alone knows how many that takes.
    """
    convolutions: dict[str, Node] = {}
    for number in range(80):
        convolutions |= {
            f"conv{number}": Conv2d(np.ones((1, 1, 3, 3), np.int8), padding=(1, 1)),
            f"lif{number}": neurons(1),
        }
    net = chain(
        {
            **convolutions,
            "flat": Flatten(),
            "fc": Linear(np.ones((2, 16), np.int8)),
            "out": neurons(2),
        },
        shape=(1, 4, 4),
    )
    Akida().plan(net, {}).with_manifest({}).write(tmp_path / "built")
    with pytest.raises(
        NotBitExact,
        match=r"^akida does not run or map the model: RuntimeError: Cannot map layer 'lif\d+'\. Not enough hardware",
    ):
        Akida().runner().run(tmp_path / "built", samples(net, count=1))


@tool
def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    Akida().plan(dense(), {}).with_manifest({}).write(tmp_path / "built")
    with pytest.raises(
        FileRefused,
        match=r"^input is uint8 \[1, 6, 11\], the artefact takes uint8 \[N, 12\] or \[N, T, 12\] of 0 and 1; reshape or convert it$",
    ):
        Akida().runner().run(tmp_path / "built", np.zeros((1, 6, 11), np.uint8))
    (tmp_path / "built" / "network.json").write_text("{}")
    with pytest.raises(
        FileRefused, match=r"network.json does not parse \('shape'\); build the artefact again$"
    ):
        Akida().runner().run(tmp_path / "built", np.zeros((1, 6, 12), np.uint8))
