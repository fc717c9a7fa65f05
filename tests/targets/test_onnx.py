"""The ONNX model: exact in ONNX Runtime and in onnx's own evaluator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from budgets import budget
from hard_networks import HARD, flows
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from states import flowing, grown_networks
from strategies import (
    Images,
    calibrated,
    delayed_network,
    inputs,
    networks,
    random_input,
    recurrent_network,
)

from lehr.arithmetic import Arithmetic, Overflow
from lehr.network import OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import INT32_MAX, InputKind, Node, Shape
from lehr.simulate import Result, Trace, compare, simulate
from lehr.targets.golden import per_step
from lehr.targets.onnx import Onnx
from lehr.targets.onnx.graph import INT8, INT32, INT64, MEMBRANE, SPIKES, UINT8
from lehr.targets.onnx.model import make_model, scores_of
from lehr.targets.onnx.runner import OnnxRuntime
from lehr.targets.onnx.step import digit_count
from lehr.targets.onnx.temporaries import types_of
from lehr.weights import LARGEST, WeightKind

TARGET = Onnx()
ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=24)


def built(net: Network, folder: Path) -> Path:
    """Build a folder with the artefact of `net`."""
    assert not TARGET.check(net)
    TARGET.plan(net, {}).with_manifest({}).write(folder)
    return folder


def evaluated(net: Network, x: Images) -> dict[str, npt.NDArray[np.generic]]:
    """Return all outputs of the model in onnx's reference evaluator."""
    model = make_model(net, trace=True)
    values: Any = ReferenceEvaluator(model).run(None, {"input": per_step(net, x)})
    return dict(zip((output.name for output in model.graph.output), values, strict=True))


def trace_of(net: Network, outputs: dict[str, npt.NDArray[np.generic]]) -> Trace:
    """Return the trace among a model's outputs."""
    spikes = {name: outputs[SPIKES + name] for name in net.neurons}
    membranes = {name: outputs[MEMBRANE + name] for name in net.neurons}
    assert {v.dtype for v in spikes.values()} == {np.dtype(np.uint8)}
    assert {v.dtype for v in membranes.values()} == {np.dtype(np.int32)}
    return Trace(
        {n: v.astype(np.uint8) for n, v in spikes.items()},
        {n: v.astype(np.int32) for n, v in membranes.items()},
    )


def reference(net: Network, x: Images) -> Result:
    """Return the reference's result with every layer traced; spikes flow."""
    result = simulate(net, x, trace=net.neurons)
    assert flowing(net, result)
    return result


def chain(*nodes: Node, shape: Shape, kind: InputKind = "u8", steps: int = 4) -> Network:
    """Return a network of nodes in a row, `n0`, `n1` and so on, with thresholds that fit."""
    names = [f"n{i}" for i in range(len(nodes))]
    edges = zip(["input", *names], [*names, OUTPUT], strict=True)
    return calibrated(
        Network(dict(zip(names, nodes, strict=True)), tuple(edges), Input(shape, kind), steps)
    )


def silent(channels: int, arithmetic: Arithmetic = ARITHMETIC) -> Neuron:
    """Neurons to be calibrated."""
    threshold = np.full(channels, INT32_MAX, np.int32)
    return Neuron(threshold, np.zeros_like(threshold), arithmetic)


def signs(*shape: int) -> npt.NDArray[np.int8]:
    """Random weights."""
    return np.random.default_rng(0).choice(np.array([-1, 1], np.int8), shape)


def bytes_of(*shape: int) -> npt.NDArray[np.int8]:
    """Random weights of 8 bits, the greatest of both signs in half of the places."""
    rng = np.random.default_rng(0)
    return np.where(
        rng.random(shape) < 0.5, rng.choice([-127, 127], shape), rng.integers(-127, 128, shape)
    ).astype(np.int8)


# -------------------------------------------------------------------- exactness
@budget(5, 100)
@given(st.data())
def test_random_networks_are_exact_in_onnx_runtime(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    net = data.draw(networks() | grown_networks())
    x = data.draw(inputs(net))
    expected = simulate(net, x, trace=net.neurons)
    assume(flowing(net, expected))
    folder = built(net, tmp_path_factory.mktemp("onnx") / "built")
    for optimise in (True, False):
        compare(expected.trace, OnnxRuntime(optimise).run(folder, x)).require_equal(
            f"optimised: {optimise}"
        )


@budget(3, 50)
@given(st.data())
def test_random_networks_are_exact_in_the_evaluator_of_onnx(data: st.DataObject) -> None:
    net = data.draw(networks() | grown_networks())
    x = data.draw(inputs(net))
    expected = simulate(net, x, trace=net.neurons)
    assume(flowing(net, expected))
    outputs = evaluated(net, x)
    compare(expected.trace, trace_of(net, outputs)).require_equal("reference evaluator")
    assert np.array_equal(outputs[scores_of(net)], expected.scores)
    assert np.array_equal(outputs["prediction"], expected.prediction)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", HARD)
def test_hard_networks_are_exact(name: str, tmp_path: Path) -> None:
    net, x = HARD[name]()
    if any(neuron.fields.update == "event" for neuron in net.neurons.values()):
        assert {problem.reason for problem in TARGET.check(net)} == {
            "update is 'event', the machine has 'step'"
        }
        return
    expected = simulate(net, x, trace=net.neurons)
    assert flows(net, expected)
    compare(expected.trace, OnnxRuntime().run(built(net, tmp_path / "built"), x)).require_equal(
        name
    )
    outputs = evaluated(net, x)
    compare(expected.trace, trace_of(net, outputs)).require_equal(name)
    assert np.array_equal(outputs[scores_of(net)], expected.scores)


LARGE: dict[str, tuple[Shape, tuple[Node, ...]]] = {
    "conv after pooled pixels": (
        (1, 6, 6),
        (SumPool2d((2, 2), (1, 1)), Conv2d(signs(3, 1, 3, 3), padding=(1, 1)), silent(3)),
    ),
    "conv after conv": (
        (2, 6, 6),
        (Conv2d(signs(4, 2, 3, 3)), Conv2d(signs(4, 2, 2, 2), padding=(1, 1), groups=2), silent(4)),
    ),
    "dilated conv after 25 x 25 pixels": (
        (1, 27, 27),
        (
            SumPool2d((25, 25), (1, 1)),
            Conv2d(signs(2, 1, 2, 2), dilation=(2, 2), padding=(2, 1)),
            silent(2),
        ),
    ),
    "8 bits on pixels": (
        (2, 6, 6),
        (Conv2d(bytes_of(4, 2, 3, 3), padding=(1, 1), kind="int8"), silent(4)),
    ),
    "8 bits after signs": (
        (1, 6, 6),
        (
            Conv2d(signs(4, 1, 2, 2)),
            Conv2d(bytes_of(4, 2, 2, 2), padding=(1, 1), groups=2, kind="int8"),
            silent(4),
        ),
    ),
    "linear of 8 bits after pooled pixels": (
        (1, 7, 7),
        (SumPool2d((3, 2), (2, 1), (1, 0)), Flatten(), Linear(bytes_of(4, 24), "int8"), silent(4)),
    ),
    "linear after linear": ((12,), (Linear(signs(9, 12)), Linear(signs(4, 9)), silent(4))),
    "linear after pooled pixels": (
        (1, 7, 7),
        (SumPool2d((3, 2), (2, 1), (1, 0)), Flatten(), Linear(signs(4, 24)), silent(4)),
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_inputs_of_weights_that_do_not_fit_a_byte(name: str, tmp_path: Path) -> None:
    shape, nodes = LARGE[name]
    net = chain(*nodes, shape=shape)
    x = random_input(net, np.random.default_rng(1), samples=6)
    expected = reference(net, x)
    compare(expected.trace, OnnxRuntime().run(built(net, tmp_path / "built"), x)).require_equal(
        name
    )
    compare(expected.trace, trace_of(net, evaluated(net, x))).require_equal(name)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("binary", INT8), ("ternary", INT8), ("int7", INT8), ("int8", UINT8)]
)
def test_weights_that_paired_products_could_saturate_go_unsigned(
    kind: WeightKind, dtype: int
) -> None:
    """2 * 255 * 63 fits 16 bits, 2 * 255 * 127 does not.

    Some kernels for signed weights would saturate there.
    """
    net = chain(Linear(np.full((2, 4), LARGEST[kind], np.int8), kind), silent(2), shape=(4,))
    scan = next(node for node in make_model(net, trace=False).graph.node if node.op_type == "Scan")
    body = next(attribute.g for attribute in scan.attribute if attribute.name == "body")
    product = next(node for node in body.node if node.op_type == "MatMulInteger")
    types = {constant.name: constant.data_type for constant in body.initializer}
    assert types[product.input[1]] == dtype
    assert [types.get(name) for name in product.input[2:]] == (
        [None, UINT8] if dtype == UINT8 else []
    )


def test_one_step_and_more_steps_than_the_network_was_made_for(tmp_path: Path) -> None:
    net, x = delayed_network()
    folder = built(net, tmp_path / "built")
    longer = np.concatenate([x, x[:, ::-1], x], axis=1)
    assert longer.shape[1] == 3 * net.steps
    for given_x in (longer, longer[:, :1]):
        compare(
            simulate(net, given_x, trace=net.neurons).trace, OnnxRuntime().run(folder, given_x)
        ).require_equal("steps")


def test_digits_of_a_value() -> None:
    assert [digit_count(0, high) for high in (0, 1, 255, 256, 32767, 32768)] == [0, 0, 0, 2, 2, 3]
    assert [digit_count(low, 1) for low in (-1, -128, -129, -32768, -32769, -(2**31))] == [
        1,
        1,
        2,
        2,
        3,
        4,
    ]
    assert digit_count(-1, 128) == 2


def test_accumulator_is_as_narrow_as_is_proven() -> None:
    def dtype(current: int, threshold: int = 1, bias: int = 0, **fields: Any) -> int:
        one = np.ones(1, np.int32)
        return types_of(
            Neuron(one * threshold, one * bias, replace(Arithmetic(state_bits=16), **fields)),
            current,
        )[0]

    spare = INT32_MAX - 2**15
    assert dtype(spare - 1) == INT32
    assert dtype(spare) == INT64
    assert dtype(spare - 11, threshold=5, bias=-6) == INT32
    assert dtype(spare - 10, threshold=5, bias=-6) == INT64
    assert dtype((spare - 1) // 8, fraction_bits=3) == INT32
    assert dtype(spare // 8 + 1, fraction_bits=3) == INT64
    assert dtype(2**16, decay_numerator=2**15 - 1, decay_shift=15) == INT32
    assert dtype(2**16, decay_numerator=2**15 - 1, decay_shift=15, state_bits=18) == INT64
    assert dtype(0, decay_numerator=2**16 - 1, decay_shift=16, state_bits=17) == INT32, (
        "nothing ever fills it"
    )
    assert (
        dtype(0, decay_form="shift", decay_numerator=2**16 - 1, decay_shift=16, state_bits=17)
        == INT32
    )
    assert dtype(0, state_bits=31, threshold=2**30 - 1) == INT32
    assert dtype(0, state_bits=31, threshold=2**30 - 1, overflow="wrap") == INT64
    assert dtype(0, state_bits=32) == INT64


@pytest.mark.parametrize("overflow", get_args(Overflow))
def test_membranes_at_the_ends_of_32_bits(overflow: Overflow, tmp_path: Path) -> None:
    arithmetic = replace(ARITHMETIC, state_bits=32, fraction_bits=16, overflow=overflow)
    net = chain(Linear(signs(3, 300)), silent(3, arithmetic), shape=(300,), steps=8)
    biased = replace(
        net.neurons["n1"],
        bias=np.array([2**30, -(2**30), 2**30], np.int32),
        threshold=np.array([2**30] * 3, np.int32),
    )
    net = replace(net, nodes={**net.nodes, "n1": biased})
    x = random_input(net, np.random.default_rng(2))
    expected = reference(net, x)
    assert expected.saturations["n1"] > 0
    compare(expected.trace, OnnxRuntime().run(built(net, tmp_path / "built"), x)).require_equal(
        overflow
    )
    compare(expected.trace, trace_of(net, evaluated(net, x))).require_equal(overflow)


def test_names_of_layers_do_not_meet_names_of_the_model(tmp_path: Path) -> None:
    net, x = recurrent_network()
    names = dict(
        zip(
            net.nodes,
            ("counts", "prediction", "spikes.counts", "time", "input.1", "membrane.out"),
            strict=False,
        )
    )
    nodes = {names[name]: node for name, node in net.nodes.items()}
    edges = tuple((names.get(a, a), names.get(b, b)) for a, b in net.edges)
    renamed = replace(net, nodes=nodes, edges=edges)
    compare(
        reference(renamed, x).trace, OnnxRuntime().run(built(renamed, tmp_path / "built"), x)
    ).require_equal("renamed")


def test_ties_go_to_the_lowest_class() -> None:
    arithmetic = Arithmetic()
    lif = Neuron(np.array([9, 1, 1], np.int32), np.zeros(3, np.int32), arithmetic)
    net = Network(
        {"fc": Linear(np.ones((3, 2), np.int8)), "lif": lif},
        (("input", "fc"), ("fc", "lif"), ("lif", OUTPUT)),
        Input((2,), "u8"),
        3,
    )
    outputs = evaluated(net, np.array([[1, 1]], np.uint8))
    assert outputs["counts"].tolist() == [[0, 3, 3]]
    assert outputs["prediction"].tolist() == [1]
