"""Registers that are read as the membrane.

Any of a program is, its spikes included, as long as 32 bits hold it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from lehr.errors import NotMappable
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate import Result, Trace, reference, torch_engine
from lehr.simulate.fast import engine
from lehr.targets.onnx import Onnx
from lehr.update_text import program_of_lines

X = np.random.default_rng(3).integers(0, 2, (3, 12, 5), np.uint8)
FREE = "add v input 16; add v v 2; fire fired v gt threshold 1"


def network(lines: str, membrane: str = "v") -> Network:
    program = program_of_lines(lines.split("; "), membrane)
    weight = np.random.default_rng(4).integers(-9, 10, (4, 5), np.int8)
    neuron = Neuron(np.array([3, 5, 9, 4], np.int32), np.zeros(4, np.int32), program)
    nodes = {"w": Linear(weight, "int8"), "n": neuron}
    return Network(
        nodes,
        ((INPUT, "w"), ("w", "n"), ("n", OUTPUT)),
        Input((5,), "spikes"),
        12,
        "membrane_sum_argmax_lowest",
    )


@pytest.mark.parametrize("simulate", [reference.simulate, engine.simulate, torch_engine.simulate])
def test_a_membrane_beyond_32_bits_is_refused_when_it_is_reached(
    simulate: Callable[..., Result],
) -> None:
    assert isinstance(simulate(network(FREE), X, steps=1).trace, Trace)
    message = r"n: its membrane v reached -?[0-9,]+, more than the 32 bits in which it is read; bound v in its update"
    with pytest.raises(NotMappable) as refused:
        simulate(network(FREE), X)
    assert re.fullmatch(message, str(refused.value))


def test_onnx_refuses_registers_that_nothing_bounds() -> None:
    problem = "n: nothing keeps its register v within 64 bits; bound v in its update"
    assert list(map(str, Onnx().check(network(FREE)))) == [problem]
    held = network(
        "add v input 16; add v v 16; put w v; bound v -9 9 saturate; fire fired v gt threshold 1",
        "w",
    )
    (problem,) = map(str, Onnx().check(held))
    assert re.fullmatch(
        r"n: its membrane w reaches [0-9,]+, more than the 32 bits in which it is read; bound w in its update",
        problem,
    )
