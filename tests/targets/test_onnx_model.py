"""The ONNX model as a file: valid, described by its README, honest about its limits; its runner."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from golden_networks import GOLDEN
from strategies import Builder, Images, alive, recurrent_network, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotBitExact, ToolMissing, UsageError
from lehr.network import OUTPUT, Input, Linear, Network, Neuron, SumPool2d
from lehr.simulate import compare, simulate
from lehr.targets.conformance.building import flowing
from lehr.targets.conformance.mutations import thresholds
from lehr.targets.golden import per_step
from lehr.targets.onnx import Onnx, graph
from lehr.targets.onnx.model import make_model
from lehr.targets.onnx.runner import FILE, OnnxRuntime

Make = Callable[[], tuple[Network, Images]]
TARGET = Onnx()
ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=24)


def built(net: Network, folder: Path, **options: str) -> Path:
    """Build a folder with the artefact of `net`."""
    TARGET.plan(net, options).with_manifest({}).write(folder)
    return folder


# -------------------------------------------------------------------- the file
TOPOLOGIES: dict[str, Make] = {
    golden.name: partial(golden.make, ARITHMETIC) for golden in GOLDEN if not golden.fields
}


@pytest.mark.few(10)
@pytest.mark.parametrize("make", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_model_is_valid_onnx(make: Make) -> None:
    """Check the model of every topology.

    There are recurrence, delays, weights of all kinds, synapse states, integrators and readouts of
    membranes.
    """
    net = make()[0]
    model = make_model(net, trace=True)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert model.ir_version == 10
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 21)]
    assert _described(model.graph.input) == [
        "input uint8 N,T," + ",".join(map(str, net.input.shape))
    ]
    classes = np.prod(net.shapes[net.output])
    layers = [
        f"{kind}.{name} {dtype} N,T,{','.join(map(str, net.shapes[name]))}"
        for name in net.neurons
        for kind, dtype in (("spikes", "uint8"), ("membrane", "int32"))
    ]
    scores = "counts int32" if net.readout == "count_argmax_lowest" else "scores int64"
    assert _described(model.graph.output) == [
        f"{scores} N,{classes}",
        "prediction int64 N",
        *layers,
    ]


def _described(values: Iterable[onnx.ValueInfoProto]) -> list[str]:
    return [
        f"{v.name} {onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type)} "
        + ",".join(d.dim_param or str(d.dim_value) for d in v.type.tensor_type.shape.dim)
        for v in values
    ]


def test_model_holds_no_floating_point() -> None:
    model = make_model(small_network()[0], trace=True)
    body = next(
        attribute.g
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "body"
    )
    kinds = {tensor.data_type for graph in (model.graph, body) for tensor in graph.initializer}
    assert kinds <= {
        onnx.TensorProto.INT8,
        onnx.TensorProto.UINT8,
        onnx.TensorProto.INT32,
        onnx.TensorProto.INT64,
    }
    casts = {a.i for node in body.node if node.op_type == "Cast" for a in node.attribute}
    assert casts <= {
        onnx.TensorProto.UINT8,
        onnx.TensorProto.INT32,
        onnx.TensorProto.INT64,
        onnx.TensorProto.BOOL,
    }


def test_without_a_trace_only_counts_are_left(tmp_path: Path) -> None:
    net, x = small_network()
    folder = built(net, tmp_path / "built", trace="0")
    assert _described(onnx.load(folder / FILE).graph.output) == [
        "counts int32 N,5",
        "prediction int64 N",
    ]
    session = OnnxRuntime()._session(folder / FILE)
    counts, prediction = session.run(None, {"input": per_step(net, x)})
    expected = simulate(net, x)
    assert alive(expected)
    assert np.array_equal(counts, expected.counts)
    assert np.array_equal(prediction, expected.prediction)
    with pytest.raises(
        UsageError,
        match=r"model\.onnx has no outputs for spikes and membranes; build it with the option trace=1$",
    ):
        OnnxRuntime().run(folder, x)


@pytest.mark.few(2)
@pytest.mark.parametrize("form", ["scan", "step"])
@pytest.mark.parametrize("make", [small_network, recurrent_network])
def test_the_program_in_the_readme_runs(make: Make, form: str, tmp_path: Path) -> None:
    net = make()[0]
    folder = built(net, tmp_path / "built", form=form)
    text = (folder / "README.md").read_text("utf-8")
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert program is not None
    assert len(program[1].splitlines()) <= (10 if form == "scan" else 16)
    done = subprocess.run(
        [sys.executable, "-c", program[1]], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    shape = (4, *net.input.shape)
    x = np.random.default_rng(0).integers(0, net.input.highest, shape, np.uint8, endpoint=True)
    expected = simulate(net, x)
    assert expected.counts.any()
    assert done.stdout == f"{expected.counts}\n{expected.prediction}\n"


@pytest.mark.slow
# -------------------------------------------------------------------- what is refused, and what it
# costs
def test_problems_are_named_at_once_with_a_way_out() -> None:
    net, _ = small_network(Arithmetic(update="event", reset_timing="same_step"))
    assert [str(problem) for problem in TARGET.check(net)] == [
        f"{name}: update is 'event', the machine has 'step'; train with update = 'step'"
        for name in net.neurons
    ]


def test_sums_too_large_for_int32_are_problems() -> None:
    wide = Builder(Input((200, 16, 16), "u8"), np.random.default_rng(0))
    wide.add("pool", SumPool2d((16, 16), (16, 16)))
    wide.linear("fc", 2)
    wide.neuron("lif", ARITHMETIC)
    assert [str(problem) for problem in TARGET.check(wide.network(2))] == [
        "fc: its sums over values of 3 bytes can reach 3,355,443,200, int32 holds 2,147,483,647;"
        " put a neuron layer before it or make its fan-in smaller"
    ]
    ones = np.ones((210, 210), np.int8)
    wider = Network(
        {
            "a": Linear(ones),
            "b": Linear(ones),
            "c": Linear(ones),
            "lif": Neuron(np.ones(210, np.int32), np.zeros(210, np.int32), ARITHMETIC),
        },
        (("input", "a"), ("a", "b"), ("b", "c"), ("c", "lif"), ("lif", OUTPUT)),
        Input((210,), "u8"),
        2,
    )
    assert [str(problem) for problem in TARGET.check(wider)] == [
        "c: its sums reach 2,361,555,000, more than a 32-bit accumulator holds; use a smaller "
        "fan-in"
    ]


def test_option_trace_is_0_or_1() -> None:
    with pytest.raises(UsageError, match=r"^option trace is 'yes'; use 0 or 1$"):
        TARGET.plan(small_network()[0], {"trace": "yes"})


def test_estimate_counts_what_is_there() -> None:
    net, _ = small_network()
    figures = {figure.name: figure.value for figure in TARGET.estimate(net, {}).figures}
    # conv1 8x8x4 of 9, conv2 4x4x6 of 36, fc 5 of 24; membranes of 4 bytes and spikes of one for 64
    # + 24 + 5 neurons
    assert figures["multiply-accumulates"] == 256 * 9 + 96 * 36 + 5 * 24
    assert figures["state"] == (64 + 24 + 5) * (4 + 1)
    assert figures["model"] == len(TARGET.plan(net, {"trace": "0"}).files[FILE])


# -------------------------------------------------------------------- the runner
def test_runner_refuses_inputs_that_do_not_fit(tmp_path: Path) -> None:
    net, x = small_network()
    folder = built(net, tmp_path / "built")
    with pytest.raises(
        FileRefused,
        match=r"^input is uint8 \[6, 1, 10, 9\], model\.onnx takes uint8 \[N, T, 1, 10, 10\]; convert or reshape it$",
    ):
        OnnxRuntime().run(folder, x[..., :-1])
    wrong: Any = x.astype(np.int64)
    with pytest.raises(
        FileRefused, match=r"^input is int64 \[6, 8, 1, 10, 10\], model\.onnx takes uint8"
    ):
        OnnxRuntime().run(folder, wrong)


def test_runner_reports_a_damaged_model_in_one_line(tmp_path: Path) -> None:
    net, x = small_network()
    folder = built(net, tmp_path / "built")
    content = (folder / FILE).read_bytes()
    for damaged in (
        b"",
        content[: len(content) // 2],
        content.replace(b"ConvInteger", b"ConvIntegre"),
    ):
        (folder / FILE).write_bytes(damaged)
        with pytest.raises(
            NotBitExact,
            match=r"model\.onnx: ONNX Runtime does not run it \(.*\); build the artefact again$",
        ) as caught:
            OnnxRuntime().run(folder, x)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_runner_says_what_is_missing(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = sys.modules[OnnxRuntime.__module__]  # another test may have imported it once more
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(
        ToolMissing, match=rf"^target onnx needs {package}; pip install 'lehr\[onnx\]'$"
    ):
        OnnxRuntime().run(tmp_path, small_network()[1])


@pytest.mark.parametrize("name", ["UINT8", "INT8", "INT32", "INT64", "BOOL"])
def test_types_have_the_numbers_of_the_standard(name: str) -> None:
    number = getattr(graph, name)
    assert number == onnx.TensorProto.DataType.Value(name)
    assert graph.NUMPY[number] == onnx.helper.tensor_dtype_to_np_dtype(number)


@pytest.mark.few(7)
# -------------------------------------------------------------------- one step without Scan
@pytest.mark.parametrize("make", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_the_model_of_one_step_is_exact(make: Make, tmp_path: Path) -> None:
    """Hand the states on from step to step, in every topology."""
    net, x = make()
    folder = built(net, tmp_path / "built", form="step")
    model = onnx.load(folder / FILE)
    assert "Scan" not in {node.op_type for node in model.graph.node}
    assert _described(model.graph.input)[0] == "input uint8 N," + ",".join(
        map(str, net.input.shape)
    )
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    compare(expected.trace, OnnxRuntime().run(folder, x)).require_equal("one step")
    other = next(
        m
        for m in thresholds(net)
        if not compare(expected.trace, simulate(m, x, trace=m.neurons).trace).equal
    )
    trace = OnnxRuntime().run(built(other, tmp_path / "other", form="step"), x)
    assert not compare(expected.trace, trace).equal


def test_option_form_is_scan_or_step() -> None:
    with pytest.raises(UsageError, match=r"^option form is 'loop'; use scan or step$"):
        TARGET.plan(small_network()[0], {"form": "loop"})
