"""Run folders: what is written is read back, and what does not belong is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from machine_networks import machine_network
from states import two_state_network
from strategies import delayed_network, recurrent_network, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotMappable, UsageError
from lehr.export.checkpoint import load_run, run_files, save_run
from lehr.export.latent import Latent
from lehr.machines import MACHINES
from lehr.network import Conv2d, Delay, Linear, Network
from lehr.runstate import STATE
from lehr.sums import SUMS, with_sums
from lehr.weights import KINDS

OTHERS = ("recipe.toml", "metrics.jsonl", "checkpoint.safetensors", "samples.npz")


def _latent(node: Conv2d | Linear, rng: np.random.Generator) -> Latent:
    """Real values whose levels are a node's weights; ternary ones are pruned signs."""
    if node.kind == "ternary":
        return Latent(
            rng.uniform(0.1, 1, node.weight.shape).astype(np.float32)
            * np.where(node.weight < 0, -1, 1).astype(np.float32),
            kept=node.weight != 0,
        )
    if node.kind == "binary":
        return Latent((rng.uniform(0.1, 1, node.weight.shape) * node.weight).astype(np.float32))
    return Latent(
        ((node.weight + rng.uniform(-0.4, 0.4, node.weight.shape)) * 0.3).astype(np.float32),
        np.full((), 0.3, np.float32),
    )


def _save(folder: Path, net: Network | None, seed: int = 0) -> dict[str, Latent]:
    rng = np.random.default_rng(seed)
    nodes = net.nodes.items() if net else ()
    latents = {
        name: _latent(node, rng) for name, node in nodes if isinstance(node, (Conv2d, Linear))
    }
    weights = latents if net else {"blocks.0.weight": np.ones(3, np.float32)}
    samples: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
        "input": np.zeros((2, 3), np.uint8),
        "labels": np.zeros(2, np.int64),
    }
    save_run(
        folder,
        run_files(
            b'name = "x"\n', [{"epoch": 1}], {"accuracy": {"integer": 0.5}}, samples, net, weights
        ),
    )
    return latents


def _restate(folder: Path, state: dict[str, Any] | None = None) -> None:
    """State the sums of a run's files as they are now.

    Files that are tampered with on purpose then have right ones.
    """
    stated = state or json.loads((folder / STATE).read_bytes())
    stated.pop(SUMS, None)
    files = {name: (folder / name).read_bytes() for name in OTHERS}
    (folder / STATE).write_bytes(with_sums(STATE, stated, files)[STATE])


def differing_delays() -> Network:
    """Delays that hold each value back by steps of its own."""
    net, _ = delayed_network()
    rng = np.random.default_rng(3)
    delays = [name for name, node in net.nodes.items() if isinstance(node, Delay)]
    nodes = {
        **net.nodes,
        **{name: Delay(rng.integers(1, 5, net.shapes[name], dtype=np.int32)) for name in delays},
    }
    assert any(
        isinstance(node, Delay) and not isinstance(node.steps, int) for node in nodes.values()
    )
    return replace(net, nodes=nodes)


NETWORKS = [
    small_network,
    recurrent_network,
    delayed_network,
    partial(recurrent_network, kinds=KINDS),
    partial(small_network, kinds=("ternary", "int5")),
    partial(two_state_network, Arithmetic(decay_numerator=7, decay_shift=3)),
    *(
        partial(machine_network, name, spatial=True, per_neuron=by_neuron)
        for name in MACHINES
        for by_neuron in (False, True)
    ),
    lambda: (differing_delays(), None),
]


@pytest.mark.parametrize("make_network", NETWORKS)
def test_round_trip(tmp_path: Path, make_network: object) -> None:
    net, _ = make_network()  # type: ignore[operator]
    latents = _save(tmp_path / "run", net)
    run = load_run(tmp_path / "run")
    assert run.network == net
    assert run.latents.keys() == latents.keys()
    for name, latent in latents.items():
        read, written = run.latents[name].tensors(name), latent.tensors(name)
        assert read.keys() == written.keys()
        assert all(np.array_equal(read[key], written[key]) for key in written)
    assert run.facts["accuracy"] == {"integer": 0.5}


def test_same_run_gives_the_same_files(tmp_path: Path) -> None:
    net, _ = small_network()
    for name in ("a", "b"):
        _save(tmp_path / name, net)
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_an_earlier_run_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    net, _ = small_network()
    _save(tmp_path / "run", net)
    _save(tmp_path / "run", net, seed=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(
        UsageError,
        match=r"mine is not empty and was not made by lehr \(no state.json\); choose another output folder",
    ):
        _save(tmp_path / "mine", net)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_float_baseline_cannot_be_exported(tmp_path: Path) -> None:
    _save(tmp_path / "run", None)
    with pytest.raises(
        NotMappable,
        match="holds float weights, a baseline with no integer meaning; train with network.weights=binarized",
    ):
        load_run(tmp_path / "run")


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="holds no state.json; give a folder that 'lehr train' made"
    ):
        load_run(tmp_path)


def _change(
    folder: Path, **tensors: np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None
) -> None:
    path = folder / "checkpoint.safetensors"
    held = safetensors.numpy.load(path.read_bytes())
    for name, value in tensors.items():
        key = name.replace("__", ".")
        held.pop(key, None) if value is None else held.update({key: value})
    path.write_bytes(safetensors.numpy.save(held))
    _restate(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bn1__running_mean": np.ones(4, np.float32)},
            r"tensor 'bn1.running_mean' \(float32\) is left over, the integer network has no place",
        ),
        (
            {"lif1__threshold": np.full(4, 9.5, np.float32)},
            "lif1.threshold is float32, not int32: it was never frozen to integers",
        ),
        ({"conv1__weight": None}, "is no whole run .*conv1.weight"),
        (
            {"conv1__weight": np.full((4, 1, 3, 3), np.nan, np.float32)},
            "conv1.weight is not finite",
        ),
        ({"conv1__grid": np.zeros((), np.float32)}, "conv1.grid is no positive float32 number"),
        (
            {"conv1__grid": np.ones((), np.float32)},
            "Conv2d weight holds 0, but weights are declared -1 or",
        ),
        (
            {"conv1__kept": np.ones((4, 1, 3, 2), bool)},
            r"conv1.kept is bool \(4, 1, 3, 2\), not bool \(4, 1, 3, 3\)",
        ),
        ({"out__grid": np.ones((), np.float32)}, r"tensor 'out.grid' \(float32\) is left over"),
        ({"out__bias": np.zeros(3, np.int32)}, "5 thresholds and 3 biases"),
    ],
)
def test_tensors_that_do_not_belong(
    tmp_path: Path,
    change: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]],
    message: str,
) -> None:
    _save(tmp_path / "run", small_network()[0])
    _change(tmp_path / "run", **change)
    with pytest.raises(FileRefused, match=message):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("name", ["state.json", "checkpoint.safetensors"])
@pytest.mark.parametrize("keep", [0, 1, 10, 200])
def test_truncated_files(tmp_path: Path, name: str, keep: int) -> None:
    _save(tmp_path / "run", small_network()[0])
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        FileRefused, match=r"is (no whole run|damaged) .*[;,] (or )?train it again$"
    ):
        load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "lehr-run/9"),
        (("network", "steps"), "many"),
        (("network", "nodes", "conv1", "type"), "Exec"),
        (("network", "nodes", "conv1", "surprise"), 1),
        (("network", "nodes", "lif1", "arithmetic"), 7),
        (("network", "edges"), [["input"]]),
        (("network", "input", "shape"), None),
    ],
)
def test_state_that_makes_no_sense(tmp_path: Path, path: tuple[str, ...], value: object) -> None:
    _save(tmp_path / "run", small_network()[0])
    state = json.loads((tmp_path / "run" / "state.json").read_bytes())
    here = state
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    _restate(tmp_path / "run", state)
    with pytest.raises(FileRefused):
        load_run(tmp_path / "run")
