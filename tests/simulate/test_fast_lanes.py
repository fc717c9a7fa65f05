"""Integers in which a program is computed.

They are the narrowest that are proven to hold all of it, at their edges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from machine_networks import program_network
from results import require_same

from lehr.arithmetic import Arithmetic, Synapse
from lehr.machines import MACHINES
from lehr.network import Network
from lehr.programs import program_of
from lehr.simulate import compare, simulate
from lehr.simulate.fast import engine
from lehr.simulate.fast.plans import bounds
from lehr.simulate.fast.plans.reach import reach
from lehr.simulate.fast.plans.usual import fields_of
from lehr.update import Program
from lehr.update_text import program_of_lines


def lines(*text: str) -> Program:
    return program_of_lines([*text, "fire fired v ge threshold 1"], "v")


def chosen(net: Network) -> Any:
    return engine.Engine(net).plan_for(False, net.steps).states["hidden"][0]


EDGES = {  # by how much the bias of the hidden layer differs from the last one that fits: sums of its inputs are within -9 and 10
    "sum": (
        lines("put v bias", "add v input 0", "bound v -2147483648 2147483647 saturate"),
        (2**15 - 11, 2**31 - 11),
    ),
    "doubled": (
        lines("put v bias", "add v bias 0", "put w input", "add v w 0"),
        (2**14 - 6, 2**30 - 6),
    ),
    "shifted": (
        lines("put v input", "put w bias", "add v w 3", "bound v -100 100 saturate"),
        (2**12 - 2, 2**28 - 2),
    ),
    "times": (
        lines("put v input", "fire n v ge 1 3", "add v bias 0 times n"),
        ((2**15 - 11) // 3, (2**31 - 11) // 3),
    ),
    "decay": (
        lines("put v bias", "add v input 0", "leak v multiply 255 8 nearest_even"),
        (2**15 - 11, (2**31 - 256) // 255 - 10),
    ),
    "decay alone": (
        lines("leak v multiply 1 1 toward_zero", "add v bias 0", "add v input 0"),
        (2**14 - 10, 2**30 - 12),
    ),
    "decay by neuron": (
        lines("put v bias", "add v input 0", "leak v multiply decay shift floor"),
        (None, (2**31 - 513) // 256 - 10),
    ),
}


@pytest.mark.parametrize("name", EDGES)
def test_the_narrowest_lanes_that_hold_all_of_it(name: str) -> None:
    program, edges = EDGES[name]
    for edge, narrow, wide in zip(edges, (np.int16, np.int32), (np.int32, np.int64), strict=True):
        if edge is None:
            continue
        for beyond, lanes in ((0, narrow), (1, wide)):
            net, x = program_network(program, 9)
            neuron, size = net.neurons["hidden"], edge + beyond
            bias = np.where(np.arange(10) % 2, size, -size).astype(np.int32)
            given = {
                key: np.full(10, 256 if key == "decay" else 9, np.int32)
                for key in neuron.parameters
            }
            changed = replace(neuron, bias=bias, parameters=given)
            net = replace(
                net,
                nodes={
                    **net.nodes,
                    "hidden": changed,
                    "out": replace(net.neurons["out"], bias=np.zeros(5, np.int32)),
                },
            )
            expected = simulate(net, x, trace=net.neurons)
            assert 0 < expected.rates["hidden"] < 3
            assert chosen(net) is lanes, (edge, beyond)
            require_same(expected, engine.simulate(net, x, trace=net.neurons))


@pytest.mark.parametrize(
    ("bits", "name", "size"), [(16, "doubled", 3 * 2**13), (32, "sum", 2**31 - 1)]
)
def test_lanes_that_are_too_narrow_are_caught(
    bits: int, name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, _ = EDGES[name]
    net, x = program_network(program, 9)
    net = replace(
        net,
        nodes={
            **net.nodes,
            "hidden": replace(net.neurons["hidden"], bias=np.full(10, size, np.int32)),
        },
    )
    expected = simulate(net, x, trace=net.neurons)
    monkeypatch.setattr(bounds, f"INT{bits}", 2**40)
    got = engine.simulate(net, x, trace=net.neurons)
    assert (
        compare(expected.trace, got.trace).first is not None
        or expected.layers["hidden"].highest != got.layers["hidden"].highest
    )


def test_a_register_that_nothing_bounds_is_computed_in_64_bits() -> None:
    net, x = program_network(lines("add v input 4", "subtract v threshold 0 times fired"), 9)
    assert reach(net.neurons["hidden"], (-9, 9)).partial > 2**63
    assert chosen(net) is np.int64
    require_same(simulate(net, x, trace=net.neurons), engine.simulate(net, x, trace=net.neurons))


SYNAPSE = Synapse(decay_numerator=3, decay_shift=2, state_bits=16, bias_to="synapse")


@pytest.mark.parametrize("fields", [
    (Arithmetic(), None),
    (Arithmetic(decay_form="shift", decay_numerator=7, decay_shift=3, rounding="floor", reset="zero", fires="ge", overflow="wrap"), None),
    (Arithmetic(decay_numerator=7, decay_shift=3, reset="subtract", reset_timing="same_step", fraction_bits=4), None),
    (Arithmetic(decay_numerator=7, decay_shift=3, reset="none", fires="never"), SYNAPSE),
    (Arithmetic(decay_numerator=7, decay_shift=3, reset="zero", reset_timing="same_step"), SYNAPSE),
    (Arithmetic(decay_numerator=7, decay_shift=3, update="event", reset_timing="same_step"), None),
])  # fmt: skip
def test_a_program_of_fields_is_recognised(fields: tuple[Arithmetic, Synapse | None]) -> None:
    program = program_of(*fields)
    read_back = fields_of(program)
    assert read_back is not None
    assert program_of(*read_back) == program


@pytest.mark.parametrize("name", MACHINES)
def test_a_program_that_no_fields_say_is_not_taken_for_one(name: str) -> None:
    assert fields_of(MACHINES[name]) is None
