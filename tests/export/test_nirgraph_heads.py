"""Graphs in which several layers lead to the output: one decides, the others run and are traced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from commands import Lehr
from nir_graphs import DT, Float, graph
from processes import reading_in_this_process

from lehr import nirfile
from lehr.errors import FileRefused, ToolMissing, UsageError
from lehr.export.nirgraph import Semantics, from_nir, quantize
from lehr.simulate import simulate
from lehr.simulate.fast import engine

RNG = np.random.default_rng(1)
X = (RNG.random((8, 8, 6)) < 0.4).astype(np.uint8)
HIDDEN, SPIKES, LEAKY, CURRENT = (
    RNG.integers(-2, 4, (n, m)).astype(np.float64) for n, m in ((5, 6), (3, 5), (2, 5), (4, 5))
)


def three_heads(*, one_output: bool = True) -> nir.NIRGraph:
    """Build a hidden layer, and after it spikes, leaky integrators and bare currents.

    Each of these leads to an output.
    """
    nodes: dict[str, Any] = {
        "fc": nir.Linear(HIDDEN),
        "h": nir.IF(np.array(1.0), np.array(3.0)),
        "a": nir.Linear(SPIKES),
        "spikes": nir.IF(np.array(1.0), np.array(2.0)),
        "b": nir.Linear(LEAKY),
        "leaky": nir.LI(np.array(2 * DT), np.array(2.0), np.array(0.0)),
        "7": nir.Affine(CURRENT, np.ones(4)),
    }
    edges = [
        ("input", "fc"),
        ("fc", "h"),
        ("h", "a"),
        ("a", "spikes"),
        ("h", "b"),
        ("b", "leaky"),
        ("h", "7"),
    ]
    if one_output:
        return graph(
            nodes, [*edges, ("spikes", "output"), ("leaky", "output"), ("7", "output")], (6,), (3,)
        )
    nodes["second"] = nir.Output({"output": np.array([2])})
    return graph(
        nodes,
        [*edges, ("spikes", "output"), ("leaky", "second"), ("spikes", "second"), ("7", "second")],
        (6,),
        (3,),
    )


def run_heads() -> dict[str, Float]:
    """Compute spikes, or membranes, of all four layers `[N, T, neurons]`, in double precision.

    A spike sets the membrane to 0.
    """
    h, s, m = np.zeros((len(X), 5)), np.zeros((len(X), 3)), np.zeros((len(X), 2))
    seen: dict[str, list[Float]] = {"h": [], "spikes": [], "leaky": [], "layer7.readout": []}
    for t in range(X.shape[1]):
        h = h + X[:, t] @ HIDDEN.T
        fired = (h > 3.0).astype(np.float64)
        h = h * (1 - fired)
        s = s + fired @ SPIKES.T
        out = (s > 2.0).astype(np.float64)
        s = s * (1 - out)
        m = m + 0.5 * (2.0 * (fired @ LEAKY.T) - m)
        for name, value in zip(seen, (fired, out, m, fired @ CURRENT.T + 1), strict=True):
            seen[name].append(value)
    return {name: np.stack(values, 1) for name, values in seen.items()}


@pytest.mark.few(2)
@pytest.mark.parametrize("one_output", [True, False])
@pytest.mark.parametrize(
    ("read_from", "readout", "decides"),
    [("spikes", None, "spikes"), ("leaky", "last", "leaky"), ("7", "sum", "layer7.readout")],
)
def test_the_layer_that_is_named_decides_and_all_are_traced(
    read_from: str, readout: Any, decides: str, one_output: bool
) -> None:
    semantics = Semantics(dt=DT, integrate="step", readout=readout, read_from=read_from)
    quantized = quantize(from_nir(three_heads(one_output=one_output)), X, semantics)
    assert quantized.network.output == decides
    others = ", ".join(name for name in ("spikes", "leaky", "layer7.readout") if name != decides)
    assert (
        f"{decides} decides; what else leads to the output can be traced: {others}"
        in quantized.notes
    )
    expected = run_heads()
    for run in (simulate, engine.simulate):
        result = run(quantized.network, X, trace=list(expected))
        for name, values in expected.items():
            if name in ("h", "spikes"):
                assert 0.02 < values.mean() < 0.98
                assert np.array_equal(result.trace.spikes[name], values)
            else:
                assert len(np.unique(values)) > 3
                assert np.array_equal(
                    result.trace.membranes[name] * quantized.layers[name].scale, values
                )
        last = expected[decides][:, -1] if readout == "last" else expected[decides].sum(axis=1)
        assert np.array_equal(result.prediction, last.argmax(axis=1))
    quantized.network.neurons["h"].threshold.flags.writeable = True
    quantized.network.neurons["h"].threshold[:] -= 1  # a membrane at its threshold fires now
    changed = simulate(quantized.network, X, trace=["h"])
    assert not np.array_equal(changed.trace.spikes["h"], expected["h"])


CHOICE = "--read-from spikes or --read-from leaky or --read-from 7"


@pytest.mark.parametrize(
    ("read_from", "message"),
    [
        (None, f"the output is fed by 3 layers; say which of them decides: {CHOICE}"),
        ("h", f"--read-from is 'h', which does not lead to the output; use {CHOICE}"),
    ],
)
def test_without_a_name_the_layers_to_choose_from_are_named(
    read_from: str | None, message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        quantize(
            from_nir(three_heads()), X, Semantics(dt=DT, integrate="step", read_from=read_from)
        )
    assert str(refused.value) == message


def test_an_output_that_nothing_leads_to() -> None:
    nir_graph = three_heads()
    nir_graph.nodes["spare"] = nir.Output({"output": np.array([2])})
    with pytest.raises(
        FileRefused,
        match=r"^spare is an output that nothing leads to; remove it or lead a layer to it$",
    ):
        from_nir(nir_graph)


def test_a_subgraph_has_one_output() -> None:
    nir_graph = graph(
        {"g": three_heads(one_output=False)}, [("input", "g"), ("g", "output")], (6,), (3,)
    )
    with pytest.raises(
        FileRefused,
        match=r"^g: the graph has 2 nodes of type Output \(g.output, g.second\); give it one$",
    ):
        from_nir(nir_graph)


@pytest.fixture(autouse=True)
def _in_this_process() -> Iterator[None]:
    with reading_in_this_process():
        yield


@pytest.fixture
def given(tmp_path: Path) -> tuple[str, ...]:
    """`lehr quantize` of the graph as a file, without the options that it needs."""
    nir.write(tmp_path / "g.nir", with_axes(three_heads()))
    np.savez(tmp_path / "in.npz", input=X)
    return (
        "quantize",
        f"{tmp_path}/g.nir",
        "--calibrate",
        f"{tmp_path}/in.npz",
        "-o",
        f"{tmp_path}/m.nir",
    )


def test_all_options_that_are_missing_are_named_at_once(lehr: Lehr, given: tuple[str, ...]) -> None:
    ran = lehr(*given)
    assert ran.code == 2
    assert ran.err == (
        "error: 3 refusals:\n"
        "  the output is fed by 3 layers; say which of them decides: --read-from spikes or "
        "--read-from leaky or --read-from 7\n"
        "  leaky has a time constant, and the graph does not say how long a step is; give it in "
        "seconds, as --dt 1e-4 (in Python: dt=1e-4)\n"
        "  h integrates r times its input, and NIR files mean by that r in a step or r dt; say "
        "--integrate step (sinabs) or --integrate ode"
        " (NIR's equation)\n"
    )


def test_the_choice_is_recorded(lehr: Lehr, given: tuple[str, ...], tmp_path: Path) -> None:
    ran = lehr(*given, "--dt", DT, "--integrate", "step", "--read-from", "spikes")
    assert ran.code == 0, ran.err
    assert (
        nir.read(tmp_path / "m.nir", type_check=False).metadata["origin"]["semantics"]["read_from"]
        == "spikes"
    )
    assert nirfile.read(tmp_path / "m.nir").output == "spikes"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["c", "onnx"])
def test_layers_that_lead_nowhere_on_a_target(
    lehr: Lehr, given: tuple[str, ...], tmp_path: Path, target: str
) -> None:
    assert lehr(*given, "--dt", DT, "--integrate", "step", "--read-from", "spikes").code == 0
    built = lehr(
        "build",
        tmp_path / "m.nir",
        "--target",
        target,
        "-i",
        tmp_path / "in.npz",
        "-o",
        tmp_path / "out",
        "-n",
        2,
    )
    assert built.code == 0, built.err
    ran = lehr("verify", tmp_path / "out")
    if ran.code == ToolMissing.exit_code:
        pytest.skip(ran.err)
    assert ran.code == 0, ran.err
    assert "2 samples: 0 of 224 membranes and 0 spikes differ" in ran.out  # 14 neurons, 8 steps


def with_axes(nir_graph: nir.NIRGraph) -> nir.NIRGraph:
    """Numbers without axes as one axis of 1: nir does not write the former."""
    for node in nir_graph.nodes.values():
        for name, value in vars(node).items():
            if isinstance(value, np.ndarray) and value.shape == ():
                setattr(node, name, value.reshape(1))
    return nir_graph
