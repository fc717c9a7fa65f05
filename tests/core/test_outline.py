"""Outlines of files, without a weight being read.

The files are lehr's, others', and some made to harm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from commands import Lehr
from states import SLOW, two_state_network
from strategies import small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.nirfile import read, write
from lehr.outline import outline

ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Write another tool's graph, with a graph inside and a cycle."""
    ends: Any = nir  # whose hints say less than its constructors take
    one = np.ones(4, np.float32)
    inner = nir.NIRGraph(
        {
            "input": ends.Input(np.array([4])),
            "lif": nir.CubaLIF(
                tau_syn=one, tau_mem=one, r=one, v_leak=one, v_threshold=one, v_reset=one
            ),
            "w_rec": nir.Affine(np.ones((4, 4), np.float32), one),
            "output": ends.Output(np.array([4])),
        },
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    nodes = {
        "input": ends.Input(np.array([3])),
        "0": nir.Affine(np.full((4, 3), 0.5), one),
        "rnn": inner,
        "output": ends.Output(np.array([4])),
    }
    graph = nir.NIRGraph(nodes, [("input", "0"), ("0", "rnn"), ("rnn", "output")])
    nir.write(tmp_path / "foreign.nir", graph)
    return tmp_path / "foreign.nir"


def test_every_field_is_declared_by_its_shape(foreign: Path) -> None:
    graph = outline(foreign)
    assert not graph.exact
    assert set(graph.nodes) == {
        "input",
        "0",
        "rnn",
        "output",
        "rnn/input",
        "rnn/lif",
        "rnn/w_rec",
        "rnn/output",
    }
    affine = graph.nodes["0"]
    assert (affine.kind, affine.sources, affine.weights, affine.bytes) == (
        "Affine",
        ("input",),
        12,
        12 * 8 + 4 * 4,
    )
    assert affine.arrays["weight"].shape == (4, 3)
    assert graph.nodes["input"].values["shape"] == [3]
    assert set(graph.nodes["rnn/lif"].sources) == {"rnn/input", "rnn/w_rec"}


def test_no_weight_is_read(tmp_path: Path) -> None:
    """Weights that cannot even be unpacked are declared all the same."""
    write(small_network()[0], tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "a") as file:
        del file["node/nodes/fc/weight"]
        weight: Any = file.create_dataset(
            "node/nodes/fc/weight", (5, 24), "i1", chunks=(5, 24), compression="gzip"
        )
        weight.id.write_direct_chunk((0, 0), b"no deflate stream")
    graph = outline(tmp_path / "a.nir")
    assert graph.exact
    assert (graph.nodes["fc"].weights, graph.nodes["fc"].bytes) == (120, 120)
    with pytest.raises(FileRefused, match="is damaged"):
        read(tmp_path / "a.nir")


def test_inspecting_a_graph_of_another_tool(foreign: Path, lehr: Lehr) -> None:
    ran = lehr("inspect", foreign)
    assert ran.code == 0, ran.err
    for word in (
        "weight float64 4x3",
        "rnn/w_rec",
        "CubaLIF",
        "a graph of floating point",
        "8 nodes, 28 weights",
        "bytes in the file",
    ):
        assert word in ran.out
    facts = lehr("inspect", foreign, "--json").facts
    assert facts["exact"] is False
    assert facts["declared"]["0"]["arrays"]["weight"] == {"dtype": "<f8", "shape": [4, 3]}
    assert facts["bytes"]["file"] == foreign.stat().st_size


def test_two_states_readouts_synapses_and_bytes_of_an_integer_network(
    tmp_path: Path, lehr: Lehr
) -> None:
    net, _ = two_state_network(ARITHMETIC, SLOW, readout="membrane_max_argmax_lowest")
    write(net, tmp_path / "a.nir", {"command": "a test"})
    ran = lehr("inspect", tmp_path / "a.nir")
    rows = {" ".join(line.split()[:2]): line.split() for line in ran.out.splitlines()}
    assert ran.out.startswith(
        "input 12 (spikes), 10 steps, the highest membrane of out is read out\n"
    )
    assert rows["hidden synapse"][2:4] == ["multiply", "3/2^2"]
    assert "bias to the membrane" in " ".join(rows["hidden synapse"])
    assert rows["out membrane"][5:7] == ["none", "never"]
    assert rows["out CubaLI"][-1] == str(4 * 8 * 5)
    assert "13 neurons, 225 weights, 225 synapses" in ran.out
    assert "origin, command: a test" in ran.out
    facts = lehr("inspect", tmp_path / "a.nir", "--json").facts
    assert facts["synapse"]["out"]["decay_numerator"] == 3
    assert facts["readout"] == net.readout
    structure = lehr("inspect", tmp_path / "a.nir", "--structure", "--json").facts
    assert "network" not in structure
    assert structure["declared"]["fc_hidden"]["weights"] == 108


def test_synapses_of_a_convolution_are_its_weights_at_every_place(
    tmp_path: Path, lehr: Lehr
) -> None:
    net, _ = small_network(kinds=("ternary",))
    write(net, tmp_path / "a.nir")
    ran = lehr("inspect", tmp_path / "a.nir", "--json").facts
    conv: Any = net.nodes["conv1"]
    assert ran["weights"]["conv1"]["synapses"] == int((conv.weight != 0).sum()) * 8 * 8
    assert 0 < ran["weights"]["conv1"]["zero"] < 1


def test_what_a_file_says_does_not_steer_the_terminal(foreign: Path, lehr: Lehr) -> None:
    with h5py.File(foreign, "a") as file:
        del file["node/nodes/rnn/nodes/lif/type"]
        file["node/nodes/rnn/nodes/lif/type"] = "\x1b[2JExec"
    ran = lehr("inspect", foreign)
    assert ran.code == 5
    assert ran.err.startswith(
        f"error: {foreign}: rnn/lif: is of type ?[2JExec, which NIR does not have; use Affine, "
        "AvgPool2d, "
    )
    for kind in ("Linear", np.array([1, 2])):
        with h5py.File(foreign, "a") as file:
            del file["node/type"]
            file["node/type"] = kind
        assert (
            lehr("inspect", foreign).err
            == f"error: {foreign}: holds no NIR graph; give a file that lehr or another NIR tool wrote\n"
        )
