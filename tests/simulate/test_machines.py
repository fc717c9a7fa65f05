"""Machines of lehr.machines against updates by hand in Python's integers, neuron by neuron.

The functions say what a chip's documentation says (docs/arithmetic.md names it), in loops, ifs and
Python's own integers: no statement of lehr.update, no numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from machine_networks import machine_network
from strategies import Images

from lehr.machines import MACHINES
from lehr.network import Linear, Network
from lehr.simulate import compare, simulate
from lehr.update import FIRED, Add, Fire, ForEachEvent, Leak, Program, Put, Statement

State = dict[str, int]
Given = dict[str, int]


def clip(x: int, low: int, high: int) -> int:
    """x within low and high."""
    return low if x < low else high if x > high else x


def toward_zero(x: int, bits: int) -> int:
    """x / 2**bits, cut."""
    return x >> bits if x >= 0 else -(-x >> bits)


def dash(x: int, bits: int) -> int:
    """Return what Xylo takes away from x in a step."""
    down = x >> bits
    return down if down != 0 else (x > 0) - (x < 0)


def loihi(s: State, p: Given, a: int) -> int:
    u = toward_zero(s["u"] * p["du"], 12) + a * 64
    s["u"] = (u + 2**23 - 1) % 2**24 - (
        2**23 - 1
    )  # Lava leaves 2^23 as it is, and makes it of -2^23
    v = clip(toward_zero(s["v"] * p["dv"], 12) + s["u"] + p["bias"], -(2**23 - 1), 2**23 - 1)
    spike = int(v > p["threshold"])
    s["v"] = 0 if spike else v
    return spike


def reckon(s: State, p: Given, a: int) -> int:
    left = (s["v"] * p["alpha"]) // 2**15 - (p["threshold"] if s["z"] else 0)
    s["v"] = clip(left + 16 * a, -(2**15), 2**15 - 1)
    s["z"] = int(s["v"] >= p["threshold"])
    return s["z"]


def hiaer(s: State, p: Given, a: int) -> int:
    spike = int(s["v"] > p["threshold"])
    v = 0 if spike else s["v"]
    s["v"] = clip(v - v // 8 + 16 * a, -(2**31), 2**31 - 1)
    return spike


def akida(s: State, p: Given, a: int) -> int:
    s["v"] = a
    return int(a > p["threshold"])


def xylo(s: State, p: Given, a: int) -> int:
    i = clip(s["i"] + a, -(2**15), 2**15 - 1)
    s["i"] = i - dash(i, p["dash_syn"])
    change = clip(s["i"] - dash(s["v"], p["dash_mem"]), -(2**15), 2**15 - 1)
    change = clip(change + p["bias"], -(2**15), 2**15 - 1)
    v = clip(s["v"] + change, -(2**15), 2**15 - 1)
    spikes = 0
    while v >= p["threshold"] and spikes < 31:
        v -= p["threshold"]
        spikes += 1
    s["v"] = v
    return spikes


def dynapcnn(s: State, p: Given, a: int) -> int:
    v = clip(s["v"] + a + p["bias"], p["floor"], 2**15 - 1)
    spikes = 0
    while v >= p["threshold"] and spikes < 255:
        v -= p["threshold"]
        spikes += 1
    s["v"] = v
    return spikes


def adaptive(s: State, p: Given, a: int) -> int:
    v = toward_zero(7 * s["v"], 3) + 16 * a + p["bias"] - (p["threshold"] if s["z"] else 0)
    s["v"] = clip(v, -(2**15), 2**15 - 1)
    s["a"] = clip(15 * s["a"] // 16 + (48 if s["z"] else 0), -(2**11), 2**11 - 1)
    s["z"] = int(s["v"] >= p["threshold"] + s["a"])
    return s["z"]


def refractory(s: State, p: Given, a: int) -> int:
    v = clip(toward_zero(7 * s["v"], 3) + 16 * a + p["bias"], -(2**15), 2**15 - 1)
    if s["r"] > 0:
        v = 0
        s["r"] -= 1
    spike = int(v > p["threshold"])
    if spike:
        v, s["r"] = 0, 3
    s["v"] = v
    return spike


BY_STEP: dict[str, Callable[[State, Given, int], int]] = {
    function.__name__: function
    for function in (adaptive, akida, dynapcnn, hiaer, loihi, reckon, refractory, xylo)
}


def tinyodin(s: State, p: Given, events: list[int]) -> int:
    spikes = 0
    for weight in events:
        s["v"] = clip(s["v"] + weight, -2048, 2047)
        if s["v"] >= p["threshold"]:
            s["v"] = 0
            spikes += 1
    s["v"] = max(s["v"] - p["leak"], 0) if s["v"] > 0 else min(s["v"] + p["leak"], 0)
    return spikes


def dynapcnn_by_event(s: State, p: Given, events: list[int]) -> int:
    s["v"] = clip(s["v"] + p["bias"], p["floor"], 2**15 - 1)
    spikes = 0
    for weight in events:
        s["v"] = clip(s["v"] + weight, p["floor"], 2**15 - 1)
        if s["v"] >= p["threshold"]:
            s["v"] -= p["threshold"]
            spikes += 1
    return spikes


BY_EVENT: dict[str, Callable[[State, Given, list[int]], int]] = {
    function.__name__: function for function in (dynapcnn_by_event, tinyodin)
}


def require_as_by_hand(name: str, net: Network, x: Images) -> None:
    """Assert that a dense network of a machine computes what its update by hand does.

    Every spike and every membrane is compared.
    """
    trace = simulate(net, x, trace=net.neurons).trace
    for sample in range(len(x)):
        rest: State = dict.fromkeys(("v", "u", "i", "a", "r", "z"), 0)
        states = {layer: [dict(rest) for _ in range(net.shapes[layer][0])] for layer in net.neurons}
        for t in range(x.shape[1]):
            arriving = [int(value) for value in x[sample, t]]
            for weights, layer in (("first", "hidden"), ("second", "out")):
                linear, neuron = net.nodes[weights], net.neurons[layer]
                assert isinstance(linear, Linear)
                spikes = []
                for n, row in enumerate(linear.weight.tolist()):
                    given = {key: int(value[n]) for key, value in neuron.values.items()}
                    if name in BY_STEP:
                        spikes.append(
                            BY_STEP[name](
                                states[layer][n],
                                given,
                                sum(w * count for w, count in zip(row, arriving, strict=True)),
                            )
                        )
                    else:
                        events = [
                            w for w, count in zip(row, arriving, strict=True) for _ in range(count)
                        ]
                        spikes.append(BY_EVENT[name](states[layer][n], given, events))
                assert trace.spikes[layer][sample, t].tolist() == spikes, f"{layer}, step {t}"
                assert trace.membranes[layer][sample, t].tolist() == [
                    state["v"] for state in states[layer]
                ], f"{layer}, step {t}"
                arriving = spikes


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_computes_what_its_chip_does(name: str) -> None:
    net, x = machine_network(name)
    rates = simulate(net, x).rates
    assert all(0 < rate < MACHINES[name].most_spikes for rate in rates.values()), rates
    require_as_by_hand(name, net, x)


def test_every_machine_has_an_update_by_hand() -> None:
    assert {*BY_STEP, *BY_EVENT} == {*MACHINES}


def changed_words(s: Statement) -> list[Statement]:
    """Change a single word of a statement, in each way that a network can notice.

    Bounds are noticed at the rails alone.
    """
    match s:
        case Leak(_, decay) if decay.form == "multiply":
            return [replace(s, decay=replace(decay, rounding="nearest_even"))]
        case Add() if s.x != FIRED:
            return [replace(s, negative=not s.negative), replace(s, shift=s.shift + 1)]
        case Put() if s.x != FIRED and s.when:
            return [replace(s, source=1)]
        case Fire():
            return [replace(s, test="ge" if s.test == "gt" else "gt")]
        case ForEachEvent(body):
            places = [
                (place, other) for place, inner in enumerate(body) for other in changed_words(inner)
            ]
            return [
                ForEachEvent((*body[:place], other, *body[place + 1 :])) for place, other in places
            ]
    return []


def mutants(program: Program) -> list[Program]:
    """Programs that differ from one in a single word of a single statement."""
    places = [
        (index, other) for index, s in enumerate(program.statements) for other in changed_words(s)
    ]
    return [
        Program((*program.statements[:i], other, *program.statements[i + 1 :]), program.membrane)
        for i, other in places
    ]


def at_equality(net: Network, x: Images) -> Network:
    """Give the first layer of `net` a threshold that a membrane reaches exactly.

    It does before the neuron has ever fired.
    """
    name, neuron = next(iter(net.neurons.items()))

    def with_threshold(place: int, value: int) -> Network:
        threshold = neuron.threshold.copy()
        threshold[place] = value
        return replace(net, nodes={**net.nodes, name: replace(neuron, threshold=threshold)})

    for place in range(len(neuron.threshold)):
        membranes = simulate(with_threshold(place, 2**20), x, trace=[name]).trace.membranes[name][
            0, :-1, place
        ]
        if membranes.max() >= 1:
            return with_threshold(place, int(membranes.max()))
    raise AssertionError("no membrane rises")


def differs(net: Network, x: Images, program: Program) -> bool:
    """Return whether a network notices another program in all of its layers."""
    nodes = {key: replace(node, arithmetic=program) for key, node in net.neurons.items()}
    expected, result = (
        simulate(each, x, trace=each.neurons).trace
        for each in (net, replace(net, nodes={**net.nodes, **nodes}))
    )
    return not compare(expected, result).equal


@pytest.mark.few(3)
@pytest.mark.parametrize("name", MACHINES)
def test_a_wrong_word_in_a_program_is_noticed(name: str) -> None:
    net, x = machine_network(name)
    wrong = mutants(MACHINES[name])
    assert len(wrong) >= 3
    for program in wrong:
        assert differs(net, x, program) or differs(at_equality(net, x), x, program), program
