"""A model that states no digest is read, and said to be one whose damage cannot be seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from commands import Lehr
from strategies import small_network

from lehr import nirfile
from lehr.errors import FileRefused

NOTE = "states no digest of its network, so that damage to its weights cannot be seen; compare it with its source"


def leave_digest_out(graph: nir.NIRGraph) -> None:
    """Leave out the digest, as another tool may that does not know how to compute it."""
    exact = json.loads(graph.metadata["fixed_point"])
    del exact["digest"]
    graph.metadata["fixed_point"] = json.dumps(exact)


def write(path: Path, *, stated: bool) -> Path:
    """Write the same network as lehr does, or as another tool may."""
    net, x = small_network()
    graph = nirfile.to_nir(net)
    if not stated:
        leave_digest_out(graph)
    nir.write(path / "m.nir", graph)
    np.savez(path / "x.npz", input=x)
    assert nirfile.open_model(path / "m.nir") == nirfile.Model(net, stated)
    return path / "m.nir"


COMMANDS = [
    ("simulate", "-i", "x.npz", "--engine", "reference"),
    ("inspect",),
    ("widths",),
    ("report",),
    ("check", "--target", "c"),
    ("build", "--target", "c", "-n", "1", "-o", "out"),
]


@pytest.mark.few(2)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_so(
    tmp_path: Path, command: tuple[str, ...], lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, stated=False)
    monkeypatch.chdir(tmp_path)
    name, *options = command
    ran = lehr(name, "m.nir", *options)
    assert ran.code == 0, ran.err
    assert f"note: m.nir {NOTE}\n" in ran.out


def test_json_says_so_and_says_nothing_of_a_stated_digest(tmp_path: Path, lehr: Lehr) -> None:
    for stated in (True, False):
        model = write(tmp_path, stated=stated)
        facts = lehr("check", model, "--target", "c", "--json").facts
        assert facts.get("notes") == (None if stated else [f"{model} {NOTE}"])


def test_only_a_digest_tells_of_a_damaged_weight() -> None:
    net, _ = small_network()
    graph = nirfile.to_nir(net)
    nodes: dict[str, Any] = graph.nodes
    nodes["conv1"].weight[0, 0, 0, 0] *= -1
    with pytest.raises(
        FileRefused,
        match="the graph has another digest than its network, so it was damaged or changed",
    ):
        nirfile.from_nir(graph)
    leave_digest_out(graph)
    assert nirfile.from_nir(graph) != net
