"""What is read as the membrane: any register of a program, its spikes included, as long as 32 bits hold it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lehr.errors import NotMappable
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate import Result, Trace, compare, reference, torch_engine
from lehr.simulate.fast import engine
from lehr.targets.c import C
from lehr.targets.c.runner import CRunner
from lehr.targets.contract import Runner, Target
from lehr.targets.fpga import Fpga
from lehr.targets.fpga.runner import FpgaRunner
from lehr.targets.onnx import Onnx
from lehr.targets.onnx.runner import OnnxRuntime
from lehr.update_text import program_of_lines

X = np.random.default_rng(3).integers(0, 2, (3, 12, 5), np.uint8)
FREE = "add v input 16; add v v 2; fire fired v gt threshold 1"
TARGETS: list[tuple[Target, Runner]] = [(C(), CRunner()), (Onnx(), OnnxRuntime()), (Fpga(), FpgaRunner("iverilog"))]


def network(lines: str, membrane: str = "v") -> Network:
    program = program_of_lines(lines.split("; "), membrane)
    weight = np.random.default_rng(4).integers(-9, 10, (4, 5), np.int8)
    neuron = Neuron(np.array([3, 5, 9, 4], np.int32), np.zeros(4, np.int32), program)
    nodes = {"w": Linear(weight, "int8"), "n": neuron}
    return Network(nodes, ((INPUT, "w"), ("w", "n"), ("n", OUTPUT)), Input((5,), "spikes"), 12, "membrane_sum_argmax_lowest")


@pytest.mark.parametrize(("target", "runner"), TARGETS, ids=lambda part: getattr(part, "name", ""))
@pytest.mark.parametrize("most", [1, 3])
def test_spikes_may_be_the_membrane(target: Target, runner: Runner, most: int, tmp_path: Path) -> None:
    if missing := runner.missing():
        pytest.skip(missing)
    fire = f"fire fired v gt threshold {most}; subtract v threshold 0 times fired"
    net = network(f"leak v shift 7 3 floor; add v input 0; bound v -64 63 saturate; {fire}", "fired")
    expected = reference.simulate(net, X, trace=["n"])
    assert 0 < expected.rates["n"] < most
    assert expected.layers["n"].highest == most
    if problems := target.check(net):
        assert (target.name, most) == ("fpga", 3), problems
        return
    target.plan(net, {}).with_manifest({}).write(tmp_path / "out")
    compare(expected.trace, runner.run(tmp_path / "out", X)).require_equal(target.name)


@pytest.mark.parametrize("simulate", [reference.simulate, engine.simulate, torch_engine.simulate])
def test_a_membrane_beyond_32_bits_is_refused_when_it_is_reached(simulate: Callable[..., Result]) -> None:
    assert isinstance(simulate(network(FREE), X, steps=1).trace, Trace)
    message = r"n: its membrane v reached -?[0-9,]+, more than the 32 bits in which it is read; bound v in its update"
    with pytest.raises(NotMappable) as refused:
        simulate(network(FREE), X)
    assert re.fullmatch(message, str(refused.value))


def test_onnx_refuses_registers_that_nothing_bounds() -> None:
    problem = "n: nothing keeps its register v within 64 bits; bound v in its update"
    assert list(map(str, Onnx().check(network(FREE)))) == [problem]
    held = network("add v input 16; add v v 16; put w v; bound v -9 9 saturate; fire fired v gt threshold 1", "w")
    (problem,) = map(str, Onnx().check(held))
    assert re.fullmatch(r"n: its membrane w reaches [0-9,]+, more than the 32 bits in which it is read; bound w in its update", problem)
