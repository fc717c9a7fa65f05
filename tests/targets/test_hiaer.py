"""Target hiaer: its synapses, stepped by hand as the machine steps them, and in hs_api."""

from __future__ import annotations

import io
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
from lehr.errors import FileRefused
from lehr.machines import HIAER
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
from lehr.targets.build import build, verify
from lehr.targets.contract import MachineTrace
from lehr.targets.hiaer import Hiaer
from lehr.targets.hiaer.runner import HS_API

tool = pytest.mark.skipif(HS_API.missing() is not None, reason=str(HS_API.missing()))
FIELDS = Arithmetic("shift", 7, 3, "floor", "zero", "next_step", "gt", 4, 20)
NEVER = replace(FIELDS, fires="never", reset="none", fraction_bits=0)
Spikes = npt.NDArray[np.uint8]


def weights(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.int8]:
    return rng.choice(np.array([-1, 1], np.int8), shape)


def neurons(size: int, update: Any = FIELDS, threshold: int = 40, bias: Any = 0) -> Neuron:
    return Neuron(np.full(size, threshold, np.int32), np.broadcast_to(np.int32(bias), size), update)


def chain(
    nodes: Mapping[str, Node],
    *more: tuple[str, str],
    shape: tuple[int, ...] = (12,),
    readout: Readout = "count_argmax_lowest",
) -> Network:
    steps = [name for name in nodes if not name.startswith("beside")]
    return Network(
        nodes, (*pairwise((INPUT, *steps, OUTPUT)), *more), Input(shape, "spikes"), 14, readout
    )


def everything() -> Network:
    """Return a convolution and a pool, biases, a layer that hears itself, and late spikes.

    These arrive beside some that are not late.
    """
    rng = np.random.default_rng(1)
    nodes: dict[str, Node] = {
        "conv": Conv2d(weights(rng, 3, 2, 3, 3), padding=(1, 1)),
        "pool": SumPool2d((2, 2), (2, 2)),
        "maps": neurons(3, bias=[3, 0, -5]),
        "flat": Flatten(),
        "fc": Linear(weights(rng, 8, 27)),
        "hidden": neurons(8, bias=np.arange(8) - 2),
        "last": Linear(weights(rng, 4, 8)),
        "out": neurons(4),
        "beside_self": Linear(weights(rng, 8, 8)),
        "beside_late": Delay(3),
        "beside_weights": Linear(weights(rng, 4, 8)),
    }
    more = [
        ("hidden", "beside_self"),
        ("beside_self", "hidden"),
        ("hidden", "beside_late"),
        ("beside_late", "beside_weights"),
    ]
    return chain(nodes, *more, ("beside_weights", "out"), shape=(2, 6, 6))


def dense(update: Any = FIELDS, bias: Any = 0) -> Network:
    rng = np.random.default_rng(2)
    nodes = {"fc": Linear(weights(rng, 10, 12)), "hidden": neurons(10, update, bias=bias)}
    return chain({**nodes, "last": Linear(weights(rng, 5, 10)), "out": neurons(5, update)})


def integrating(shift: int = 5) -> Network:
    rng = np.random.default_rng(3)
    nodes = {
        "fc": Linear(weights(rng, 10, 12)),
        "hidden": neurons(10, replace(FIELDS, fraction_bits=shift), threshold=3 << shift),
    }
    nodes = {**nodes, "last": Linear(weights(rng, 5, 10)), "out": neurons(5, NEVER, threshold=0)}
    return chain(nodes, readout="membrane_sum_argmax_lowest")


def samples(net: Network, seed: int = 0, count: int = 3) -> Spikes:
    return (np.random.default_rng(seed).random((count, net.steps, *net.input.shape)) < 0.5).astype(
        np.uint8
    )


def flowing(net: Network, x: Spikes) -> Result:
    ran = simulate(net, x, trace=net.neurons)
    assert all(
        0 < rate < 1 for name, rate in ran.rates.items() if not net.neurons[name].integrates
    ), ran.rates
    return ran


def stepped(files: Mapping[str, bytes], x: Spikes) -> dict[str, npt.NDArray[np.int64]]:
    """Return membranes and spikes by layer as the machine computes them.

    It is written by hand from the README and the machine's formula.
    """
    description, rows = (
        json.loads(files["network.json"]),
        np.load(io.BytesIO(files["synapses.npz"])),
    )
    axons, inner = (
        np.zeros((description["axons"], description["neurons"]), int),
        np.zeros((description["neurons"], description["neurons"]), int),
    )
    for matrix, name in ((axons, "axons"), (inner, "neurons")):
        for source, target, weight in rows[name].tolist():
            assert matrix[source, target] == 0, (
                "hs_api keeps the last of two synapses between the same neurons"
            )
            matrix[source, target] = weight
            assert -(1 << 15) <= weight < 1 << 15
    steps, shown = x.shape[1], dict[str, Any]()
    for sample in x.reshape(len(x), steps, -1):
        v, fired, potentials = np.zeros(description["neurons"], int), [], []
        for t in range(steps + 20):
            entering = np.zeros(description["axons"], int)
            for entry in description["inputs"]:
                if 0 <= t - entry["late"] < steps:
                    entering[entry["first"] : entry["first"] + sample.shape[1]] = sample[
                        t - entry["late"]
                    ]
            for entry in description["biases"]:
                entering[entry["axon"]] = t >= entry["late"]
            s = v > description["threshold"]
            v = np.where(s, 0, v)
            v = v - v // 2 ** description["leak"] + entering @ axons + s @ inner
            fired.append(s)
            potentials.append(v)
        for layer in description["layers"]:
            own = slice(layer["first"], layer["first"] + int(np.prod(layer["shape"])))
            for name, values, late in (
                ("v", potentials, layer["late"]),
                ("s", fired, layer["late"] + layer["spikes"]),
            ):
                shown.setdefault(f"{name} {layer['name']}", []).append(
                    np.array(values)[late : late + steps, own]
                )
    return {name: np.array(values).astype(int) for name, values in shown.items()}


def differing(net: Network, files: Mapping[str, bytes], x: Spikes) -> int:
    ran, stepped_trace = flowing(net, x), stepped(files, x)
    pairs: list[tuple[Any, Any]] = [
        (stepped_trace[f"v {name}"], ran.trace.membranes[name]) for name in net.neurons
    ]
    pairs += [(stepped_trace[f"s {name}"], ran.trace.spikes[name]) for name in net.neurons]
    return sum(int((a != b.reshape(a.shape)).sum()) for a, b in pairs)


NETWORKS = {
    "everything": everything(),
    "dense": dense(),
    "program": dense(HIAER),
    "weights of 15 bits": dense(replace(FIELDS, fraction_bits=14, state_bits=32), bias=9),
    "integrating": integrating(),
}
NETWORKS["weights of 15 bits"] = replace(
    NETWORKS["weights of 15 bits"],
    nodes={
        name: replace(node, threshold=np.full_like(node.threshold, 2 << 14))
        if isinstance(node, Neuron)
        else node
        for name, node in NETWORKS["weights of 15 bits"].nodes.items()
    },
)


# -------------------------------------------------------------------- exact
@pytest.mark.parametrize("name", NETWORKS)
def test_the_machine_by_hand_computes_the_network(name: str) -> None:
    net = NETWORKS[name]
    assert Hiaer().check(net) == ()
    files = Hiaer().plan(net, {}).files
    assert differing(net, files, samples(net)) == 0


def test_one_weight_and_one_threshold_more_are_seen() -> None:
    net, x = dense(), samples(dense())
    files = dict(Hiaer().plan(net, {}).files)
    description = json.loads(files["network.json"])
    higher = {
        **files,
        "network.json": json.dumps(
            {**description, "threshold": description["threshold"] - 9}
        ).encode(),
    }
    assert differing(net, higher, x) > 0
    rows = dict(np.load(io.BytesIO(files["synapses.npz"])))
    rows["axons"][0, 2] += 1
    buffer = io.BytesIO()
    np.savez(buffer, **rows)
    assert differing(net, {**files, "synapses.npz": buffer.getvalue()}, x) > 0


def test_the_program_and_the_fields_are_one_machine_whose_spikes_come_a_step_apart() -> None:
    """Membranes are equal on a layer that takes the same input.

    A spike in fields comes a step before the program's.
    """
    x = samples(dense())
    first, second = (
        simulate(dense(update), x, trace=["hidden"]).trace for update in (FIELDS, HIAER)
    )
    assert np.array_equal(first.membranes["hidden"], second.membranes["hidden"])
    assert np.array_equal(first.spikes["hidden"][:, :-1], second.spikes["hidden"][:, 1:])
    assert 0 < first.spikes["hidden"].mean() < 1
    late = [
        json.loads(Hiaer().plan(dense(update), {}).files["network.json"])["layers"]
        for update in (FIELDS, HIAER)
    ]
    assert [[(layer["late"], layer["spikes"]) for layer in layers] for layers in late] == [
        [(0, 1), (1, 1)],
        [(0, 0), (0, 0)],
    ]


def test_what_is_said_otherwise_is_listed() -> None:
    readme = Hiaer().plan(everything(), {}).files["README.md"].decode()
    assert (
        "- the biases of maps are the weights of axon 72, which fires in every step from step 0 "
        "on\n" in readme
    )
    assert (
        "- the biases of hidden are the weights of axon 73, which fires in every step from step 1 "
        "on\n" in readme
    )
    assert "- spikes of hidden wait their step 1 in relays, neurons 39..46\n" in readme
    assert "- spikes of hidden wait their step 3 in relays, neurons 55..62\n" in readme
    assert (
        "out never fires: its membranes provably stay at or below the threshold"
        in Hiaer().plan(integrating(), {}).files["README.md"].decode()
    )


def test_costs() -> None:
    figures = {figure.name: figure.value for figure in Hiaer().estimate(everything(), {}).figures}
    assert (figures["neurons"], figures["relays"], figures["axons"], figures["steps"]) == (
        63,
        24,
        74,
        17,
    )
    assert figures["synaptic operations"] == 18 + 7, (
        "biases alone: those of two maps of 9 neurons, and of hidden all but one"
    )
    rates = {
        figure.name: figure.value
        for figure in Hiaer().estimate(dense(), {"input": 0.5, "hidden": 0.25}).figures
    }
    assert rates["synaptic operations"] == 0.5 * 120 + 0.25 * 50


# -------------------------------------------------------------------- what does not map
def refused(net: Network) -> str:
    return "\n".join(map(str, Hiaer().check(net)))


def changed(net: Network, **layers: Neuron) -> Network:
    return replace(net, nodes={**net.nodes, **layers})


def test_one_threshold_and_one_leak() -> None:
    assert refused(changed(dense(), out=neurons(5, threshold=41))) == (
        "out: its thresholds are 41..41, the machine has one for all neurons, 40 in hidden; train "
        "with --target hiaer, or with one threshold for the network"
    )
    slower = replace(FIELDS, decay_numerator=15, decay_shift=4)
    assert refused(changed(dense(), out=neurons(5, slower))) == (
        "out: it leaks 1/2^4, the machine has one leak for all neurons, 1/2^3 in hidden; train "
        "with one decay for the network"
    )


def test_updates_that_are_another_machines() -> None:
    usual = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=4)
    assert (
        "hidden: decay_form is 'multiply', the machine has 'shift'; train with decay_form = 'shift'"
        in refused(dense(usual))
    )
    other = replace(HIAER, statements=HIAER.statements[::-1][1:])
    assert refused(dense(other)) == "\n".join(
        f"{name}: line 1 of its update is 'add v input 4', which the machine does not compute "
        "there; train with --target hiaer, or use the program 'hiaer' of lehr.machines"
        for name in ("hidden", "out")
    )


def test_numbers_that_the_machine_does_not_hold() -> None:
    assert refused(dense(bias=40_000)) == (
        "hidden: its weights and biases are -16..40,000, the machine holds -32,768..32,767; use "
        "fewer fraction bits or smaller biases"
    )
    narrow = replace(FIELDS, state_bits=8)
    assert "hidden: its v reaches " in refused(dense(narrow))
    assert (
        "must stay within -128..127; use fewer fraction bits, a smaller fan-in, or a decay that is "
        "shorter" in refused(dense(narrow))
    )
    assert refused(integrating(2)) == (
        "out: it never fires, but its membrane can reach 57, and the machine fires above 12; read "
        "out spikes, or give the other layers more fraction bits than this one"
    )


def test_relays_need_a_threshold_that_a_weight_can_pass() -> None:
    high = {
        name: neurons(node.threshold.size, replace(FIELDS, state_bits=32), threshold=32_767)
        for name, node in everything().neurons.items()
    }
    assert refused(changed(everything(), **high)) == (
        "hidden: its spikes wait in relays, whose weight must pass the threshold 32,767, and "
        "32,767 is the highest; use fewer fraction bits, or leave the delay out"
    )


def test_circles_that_are_too_short() -> None:
    rng = np.random.default_rng(0)
    net = dense()
    back = {"back": Linear(weights(rng, 10, 5))}
    circle = replace(
        net, nodes={**net.nodes, **back}, edges=(*net.edges, ("out", "back"), ("back", "hidden"))
    )
    assert refused(circle) == (
        "out: its spikes run in a circle in fewer steps than the machine takes, which is one a "
        "layer; put a Delay into the circle"
    )
    longer = {**net.nodes, **back, "wait": Delay(1)}
    assert (
        refused(
            replace(
                net,
                nodes=longer,
                edges=(*net.edges, ("out", "wait"), ("wait", "back"), ("back", "hidden")),
            )
        )
        == ""
    )


def test_pixels_are_refused() -> None:
    net = replace(dense(), input=Input((12,), "u8"))
    assert (
        "fc: the input is 'u8', an axon fires once a step or not; code the input as spikes"
        in refused(net)
    )


# -------------------------------------------------------------------- in the tool
@tool
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_hs_api_computes_the_network(name: str, tmp_path: Path) -> None:
    net, x = NETWORKS[name], samples(NETWORKS[name])
    Hiaer().plan(net, {}).with_manifest({}).write(tmp_path / "built")
    trace, ran = Hiaer().runner().run(tmp_path / "built", x), flowing(net, x)
    assert isinstance(trace, MachineTrace)
    assert trace.decision is not None
    assert compare(ran.trace, trace).equal
    assert np.array_equal(trace.decision, ran.prediction)


@tool
@pytest.mark.slow
def test_a_built_artefact_verifies(tmp_path: Path) -> None:
    net = everything()
    build(net, Hiaer(), samples(net)).plan.write(tmp_path / "built")
    verified = verify(tmp_path / "built")
    assert verified.comparison.values > 0
    verified.require()


@tool
def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    Hiaer().plan(dense(), {}).with_manifest({}).write(tmp_path / "built")
    with pytest.raises(
        FileRefused,
        match=r"^input is uint8 \[1, 14, 11\], the artefact takes uint8 \[N, 12\] or \[N, T, 12\] of 0 and 1; reshape or convert it$",
    ):
        Hiaer().runner().run(tmp_path / "built", np.zeros((1, 14, 11), np.uint8))
    (tmp_path / "built" / "network.json").write_text("{}")
    with pytest.raises(
        FileRefused, match=r"network.json does not parse \('shape'\); build the artefact again$"
    ):
        Hiaer().runner().run(tmp_path / "built", np.zeros((1, 14, 12), np.uint8))
