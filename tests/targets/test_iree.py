"""Target iree: fixed sizes, a Makefile of the vendor's own commands, both models in IREE.

The whole suite runs in the second tier.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from strategies import alive, recurrent_network, small_network

from lehr.errors import FileRefused, NotBitExact, ToolMissing, UsageError
from lehr.network import Network
from lehr.simulate import compare, simulate
from lehr.targets.build import build
from lehr.targets.iree import Iree
from lehr.targets.iree.runner import IREE, MODEL, STEP, IreeRuntime
from lehr.targets.onnx import Onnx

TARGET = Iree()
installed = pytest.mark.skipif(IREE.missing() is not None, reason=str(IREE.missing()))


def built(net: Network, folder: Path, **options: str) -> Path:
    TARGET.plan(net, options).with_manifest({}).write(folder)
    return folder


def shapes(path: Path) -> dict[str, list[int]]:
    graph = onnx.load(path).graph
    return {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*graph.input, *graph.output)
    }


# -------------------------------------------------------------------- the artefact
def test_models_have_fixed_sizes(tmp_path: Path) -> None:
    net, _ = small_network()
    folder = built(net, tmp_path / "built", batch="3")
    whole, step = shapes(folder / MODEL), shapes(folder / STEP)
    assert whole["input"] == [3, net.steps, *net.input.shape]
    assert step["input"] == [3, *net.input.shape]
    for name, shape in net.shapes.items():
        if name in net.neurons:
            assert whole[f"spikes.{name}"] == whole[f"membrane.{name}"] == [3, net.steps, *shape]
            assert step[f"spikes.{name}"] == step[f"membrane.{name}"] == [3, *shape]
    assert not any(0 in size for size in (*whole.values(), *step.values()))
    kinds = {node.op_type for node in onnx.load(folder / STEP).graph.node}
    assert "Scan" not in kinds
    assert "Loop" not in kinds


@pytest.mark.parametrize("batch", ["0", "-1", "two", "4097", "\N{SUPERSCRIPT TWO}", ""])
def test_option_batch_is_a_number(batch: str) -> None:
    with pytest.raises(
        UsageError, match=rf"^option batch is {batch!r}; use a number from 1 to 4096$"
    ):
        TARGET.plan(small_network()[0], {"batch": batch})


def test_it_takes_what_target_onnx_takes() -> None:
    assert (TARGET.arithmetics, TARGET.statements, TARGET.nodes) == (
        Onnx.arithmetics,
        Onnx.statements,
        Onnx.nodes,
    )
    assert [figure.name for figure in TARGET.estimate(small_network()[0], {}).figures][
        -1
    ] == "batch"


def test_the_runner_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = small_network()
    folder = built(net, tmp_path / "built")
    with pytest.raises(
        FileRefused,
        match=r"^input is uint8 \[6, 9, 1, 10, 10\], model.onnx takes uint8 \[N, 8, 1, 10, 10\]; convert or reshape it$",
    ):
        IreeRuntime().run(folder, np.repeat(x[:, None], 9, axis=1))
    with pytest.raises(
        FileRefused,
        match=r"model\.onnx cannot be read \(FileNotFoundError\); build the artefact again$",
    ):
        IreeRuntime().run(tmp_path, x)
    monkeypatch.setenv("LEHR_TOOLS", str(tmp_path / "none"))
    assert TARGET.measure(folder) == ()
    with pytest.raises(
        ToolMissing,
        match=r"^iree is not on this machine; install it with 'lehr doctor --install iree'$",
    ):
        IreeRuntime().run(folder, x)


# -------------------------------------------------------------------- in IREE
@installed
@pytest.mark.slow
def test_both_models_are_exact_in_batches_that_samples_do_not_fill(tmp_path: Path) -> None:
    net, x = recurrent_network()
    expected = simulate(net, x, trace=net.neurons)
    assert alive(expected)
    folder = built(net, tmp_path / "built", batch="4")
    assert len(x) % 4
    got = IreeRuntime().run(folder, x)
    compare(expected.trace, got).require_equal("iree")
    (folder / STEP).write_bytes(TARGET.plan(_raised(net), {"batch": "4"}).files[STEP])
    with pytest.raises(NotBitExact, match=r"^step\.onnx against model\.onnx, both in IREE: "):
        IreeRuntime().run(folder, x)


def _raised(net: Network) -> Network:
    name, neuron = next(iter(net.neurons.items()))
    threshold = neuron.threshold.copy()
    threshold.flat[0] += 1
    return replace(net, nodes={**net.nodes, name: replace(neuron, threshold=threshold)})


@installed
@pytest.mark.slow
def test_the_makefile_lets_iree_compare_and_the_readme_runs(tmp_path: Path) -> None:
    net, x = small_network()
    folder = tmp_path / "built"
    artefact = build(net, TARGET, x, {"batch": "2"}, measure=True)
    artefact.plan.write(folder)
    assert [figure.unit for figure in artefact.measured] == ["bytes", "ms per 2 samples"] * 2
    assert all(figure.value > 0 for figure in artefact.measured)
    assert IREE.interpreter is not None
    tools = {**os.environ, "PATH": f"{IREE.interpreter.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["make", "check"], cwd=folder, env=tools, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[SUCCESS] all function outputs matched their expected values." in done.stdout
    program = re.search(
        r"```python\n(.*?)```", (folder / "README.md").read_text("utf-8"), re.DOTALL
    )
    assert program is not None
    ran = subprocess.run(
        [IREE.interpreter, "-c", program[1]], cwd=folder, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    images = np.random.default_rng(0).integers(
        0, net.input.highest, (2, *net.input.shape), np.uint8, endpoint=True
    )
    expected = simulate(net, images)
    assert ran.stdout == f"{expected.counts}\n{expected.prediction}\n"
    golden = next((folder / "golden").glob("00_*.membrane.i32"))
    golden.write_bytes(bytes([golden.read_bytes()[0] ^ 1]) + golden.read_bytes()[1:])
    assert (
        subprocess.run(["make", "check"], cwd=folder, env=tools, capture_output=True).returncode
        != 0
    )


@installed
@pytest.mark.slow
def test_a_model_that_iree_does_not_import_is_named(tmp_path: Path) -> None:
    net, x = small_network()
    folder = built(net, tmp_path / "built")
    model = onnx.load(folder / MODEL)
    model.graph.node[0].op_type = "Celu"
    (folder / MODEL).write_bytes(model.SerializeToString())
    with pytest.raises(
        NotBitExact,
        match=r"^iree does not compile or run the models: iree-.*; build the artefact again$",
    ) as caught:
        IreeRuntime().run(folder, x)
    assert "\n" not in str(caught.value)
