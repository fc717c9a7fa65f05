"""Blocks of a network stand in one text; files with blocks at the nodes are read as before."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from earlier_files import DIGESTS, FOLDER, earlier_file
from processes import reading_in_this_process
from states import two_state_network
from strategies import delayed_network, recurrent_network, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import INPUT, OUTPUT, Conv2d, Input, Network, Neuron
from lehr.nirfile import from_nir, read, to_nir, write
from lehr.outline import outline
from lehr.weights import KINDS

ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
NOW: dict[str, Callable[[], Any]] = {
    "small": small_network,
    "recurrent": partial(recurrent_network, kinds=KINDS),
    "delayed": delayed_network,
    "two_states": partial(two_state_network, ARITHMETIC, readout="membrane_sum_argmax_lowest"),
}
Edit = Callable[[dict[str, Any]], object]


@pytest.mark.few(1)
@pytest.mark.parametrize("name", DIGESTS)
def test_a_file_of_an_earlier_version_is_read(name: str, tmp_path: Path) -> None:
    path = earlier_file(name, tmp_path)
    net = read(path)
    assert net.digest == DIGESTS[name]
    assert net == NOW[name]()[0]
    assert from_nir(nir.read(path, type_check=False)) == net
    assert outline(path).exact
    write(net, tmp_path / "now.nir")
    assert read(tmp_path / "now.nir").digest == DIGESTS[name]
    assert from_nir(nir.read(tmp_path / "now.nir")) == net
    assert (tmp_path / "now.nir").stat().st_size < path.stat().st_size / 4


def test_every_earlier_file_is_tried() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.nir.gz" for name in DIGESTS}


def changed(path: Path, edit: Edit) -> None:
    with h5py.File(path, "a") as opened:
        file: Any = opened
        exact = json.loads(file["node/metadata/fixed_point"][()])
        text = edit(exact)
        del file["node/metadata/fixed_point"]
        file["node/metadata/fixed_point"] = text if isinstance(text, str) else json.dumps(exact)


def put(node: str, **fields: Any) -> Edit:
    return lambda exact: exact["nodes"][node].update(fields)


def drop(node: str, field: str) -> Edit:
    return lambda exact: exact["nodes"][node].pop(field) and None


REFUSED: dict[str, tuple[Edit, str]] = {
    "unknown rounding": (
        put("lif1", rounding="up"),
        "lif1: rounding is 'up'; use one of 'toward_zero', 'floor', 'nearest_even'",
    ),
    "decay by list": (
        put("lif1", decay_numerator=[7]),
        "lif1: decay_numerator is [7]; give one number or text",
    ),
    "decay in floating point": (
        put("lif1", decay_numerator=7.0),
        "lif1: decay_numerator is 7.0, not an integer; give a whole number",
    ),
    "another decay": (
        put("lif1", decay_numerator=6),
        "lif1: r holds 32.0 at [0, 0, 0], but the rest of the file makes it 16.0",
    ),
    "bias in floating point": (
        put("lif1", bias=[0.5, 0, 0, 0]),
        "lif1: Neuron bias has dtype float64, not integers",
    ),
    "bias beyond 64 bits": (
        put("lif1", bias=[2**70, 0, 0, 0]),
        "lif1: Neuron bias has dtype object, not integers",
    ),
    "bias of text": (put("lif1", bias="0000"), "lif1: Neuron bias has dtype <U4, not integers"),
    "ragged bias": (put("lif1", bias=[[1], [1, 2]]), "lif1: Neuron bias is no array of numbers"),
    "bias by name": (
        put("lif1", bias={"0": 1}),
        "lif1: Neuron bias has dtype object, not integers",
    ),
    "another bias": (put("lif1", bias=[1, 2, 3, 4]), "lif1: v_leak holds "),
    "unknown key": (
        put("lif1", refractory=2),
        "lif1: has 'refractory', which its fixed_point block does not have; remove it",
    ),
    "missing key": (
        drop("lif1", "rounding"),
        "lif1: has no 'rounding', which its fixed_point block needs; export",
    ),
    "schema of the future": (
        put("lif1", schema="fixed-point-lif/9"),
        "lif1: has a fixed_point block of schema 'fixed-point-lif/9', not 'fixed-point-lif/1'; "
        "read it with the lehr that wrote it",
    ),
    "other kind of weight": (
        put("fc", weights="int9"),
        "fc: weights are declared 'int9'; lehr reads 'binary', 'ternary' and",
    ),
    "no block": (
        lambda exact: exact["nodes"].pop("fc") and None,
        "fc: has no fixed_point block, so its integer meaning is not stated",
    ),
    "block of no node": (
        lambda exact: exact["nodes"].update(fc9={}),
        "the graph has a fixed_point block for 'fc9', which is no node with fields; remove one or "
        "add the other",
    ),
    "block of pooling": (
        lambda exact: exact["nodes"].update(pool1={}),
        "pool1: has a fixed_point block, which a SumPool2d does not take",
    ),
    "block that is a number": (
        lambda exact: exact["nodes"].update(fc=3),
        "the graph has a fixed_point block for 'fc', which is no node",
    ),
    "no blocks": (
        lambda exact: exact.update(nodes=[]),
        "the graph has a fixed_point text whose 'nodes' is []; give a block for each node",
    ),
    "graph of the future": (
        lambda exact: exact.update(schema="fixed-point-net/3"),
        "the graph has a fixed_point text of schema 'fixed-point-net/3', not 'fixed-point-net/2'; "
        "read it with the lehr that wrote it",
    ),
    "input kind": (
        lambda exact: exact.update(input="floats"),
        "input: input kind is 'floats'; use 'u8' or 'spikes'",
    ),
    "one more step": (
        lambda exact: exact.update(steps=9),
        "the graph has another digest than its network",
    ),
    "steps of truth": (lambda exact: exact.update(steps=True), "steps is True; use 1 to 1,000,000"),
    "another digest": (
        lambda exact: exact.update(digest="0" * 64),
        "the graph has another digest than its network",
    ),
    "digest by list": (
        lambda exact: exact.update(digest=[1]),
        "the graph has another digest than its network",
    ),
    "unknown field": (
        lambda exact: exact.update(clock=1),
        "the graph has 'clock', which its fixed_point block does not have; remove it",
    ),
    "no JSON": (
        lambda exact: "{'schema'}",
        "the graph has a fixed_point text that is no JSON (Expecting property name enclosed in",
    ),
    "a list": (
        lambda exact: "[]",
        "the graph has a fixed_point text that holds []; give its fields by name",
    ),
    "nested": (
        lambda exact: "[" * 100_000,
        "the graph has a fixed_point text that is no JSON (it is nested too deep); export it again",
    ),
    "not finite": (
        lambda exact: json.dumps({**exact, "steps": float("inf")}),
        "the graph has a fixed_point text that is no JSON (Infinity is no number); export it again",
    ),
    "long number": (
        lambda exact: f'{{"steps": {"9" * 5000}}}',
        "the graph has a fixed_point text that is no JSON (Exceeds the limit",
    ),
    "a name twice": (
        lambda exact: json.dumps(exact)[:-1] + ', "steps": 9}',
        "the graph has a fixed_point text that is no JSON (a name stands there twice); export it "
        "again",
    ),
}


@pytest.mark.few(5)
@pytest.mark.parametrize("case", REFUSED)
def test_a_contradiction_is_refused(case: str, tmp_path: Path) -> None:
    edit, message = REFUSED[case]
    path = tmp_path / "a.nir"
    write(small_network()[0], path)
    changed(path, edit)
    with reading_in_this_process(), pytest.raises(FileRefused) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


def test_two_blocks_of_a_node_are_refused(tmp_path: Path) -> None:
    graph = to_nir(small_network()[0])
    graph.nodes["fc"].metadata["fixed_point"] = {
        "schema": "fixed-point-weight/1",
        "weights": "ternary",
    }
    nir.write(tmp_path / "a.nir", graph)
    with pytest.raises(
        FileRefused,
        match=r"a\.nir: the graph has two fixed_point blocks for fc; remove the one at the node$",
    ):
        read(tmp_path / "a.nir")


def test_what_another_tool_writes_again_is_read(tmp_path: Path) -> None:
    """Text of variable length, as `nir.write` stores it, may be no more than any other."""
    net = chain(60)
    write(net, tmp_path / "a.nir", {"made": "by hand", "scales": [0.5, 0.25], "widths": {"fc": 8}})
    graph = nir.read(tmp_path / "a.nir", type_check=False)
    assert graph.metadata["origin"]["scales"].tolist() == [0.5, 0.25]
    nir.write(tmp_path / "b.nir", graph)
    assert len(graph.metadata["fixed_point"]) > 4096
    assert read(tmp_path / "b.nir") == net


def chain(nodes: int) -> Network:
    """Build layers of one neuron in a chain, every second of them after a convolution."""
    kinds = [
        Conv2d(np.ones((1, 1, 1, 1), np.int8))
        if i % 2
        else Neuron(np.array([1 + i]), np.array([-i]), ARITHMETIC)
        for i in range(1, nodes + 1)
    ]
    named = {f"n{i}": node for i, node in enumerate(kinds)}
    names = [INPUT, *named, OUTPUT]
    return Network(named, tuple(pairwise(names)), Input((1, 1, 1), "u8"), 3)


@pytest.mark.parametrize("nodes", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_deep_networks_are_written_and_read(nodes: int, tmp_path: Path) -> None:
    net, path = chain(nodes), tmp_path / "deep.nir"
    write(net, path)
    assert path.stat().st_size < 2_500 * nodes
    again = read(path)
    assert again == net
    assert again.digest == net.digest


def test_a_node_takes_no_more_members_of_the_file_than_nir_has_fields(tmp_path: Path) -> None:
    write(chain(20), tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir") as opened:
        file: Any = opened
        assert set(file["node/nodes/n1"]) == {
            "type",
            "tau",
            "r",
            "v_leak",
            "v_threshold",
            "v_reset",
        }
        assert set(file["node"]) == {"type", "nodes", "edges", "metadata"}
