"""All refusals of a float graph at once: by reading, by quantizing, and by looking ahead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from commands import Lehr
from nir_graphs import DT, chain, graph, lif
from processes import reading_in_this_process

from lehr import nirfile
from lehr.errors import SHOWN, FileRefused, LehrError, NotMappable, UsageError
from lehr.export.nirgraph import Semantics, from_nir, quantize, read
from lehr.export.nirgraph.foresee import foresee
from lehr.refusals import Refusals

X = (np.random.default_rng(0).random((2, 8, 6)) < 0.4).astype(np.uint8)


def faulty() -> nir.NIRGraph:
    """Six nodes, a fault in each of four."""
    nan = np.full((2, 4), np.nan)
    nodes = {
        "a": nir.Linear(np.ones((5, 4))),
        "n": lif(5, tau=-1.0),
        "b": nir.Affine(np.ones((4, 6)), np.ones(4)),
        "m": lif(4),
    }
    return chain({**nodes, "c": nir.Linear(nan), "o": lif(2)}, (6,), (2,))


FAULTS = (
    "c: weight holds nan at [0, 0]; export the graph again with finite numbers of at most 1e+15",
    "a: Linear takes (4,) but gets (6,); check the layer before it",
    "b: Linear takes (6,) but gets (5,); check the layer before it",
    "n: its tau is -1 s; use one above 0",
)


def test_faults_of_numbers_and_of_shapes() -> None:
    with pytest.raises(FileRefused) as refused:
        from_nir(faulty())
    assert refused.value.args == FAULTS
    assert str(refused.value) == "\n  ".join(("4 refusals:", *FAULTS))


def test_edges_to_missing_nodes_by_the_nodes_names() -> None:
    nir_graph = graph(
        {"l": nir.Linear(np.eye(6)), "n": lif(6)},
        [("input", "fc"), ("fc", "n"), ("l", "ghost"), ("n", "output")],
        (6,),
        (6,),
    )
    nir_graph.nodes["input_l"] = nir.Input(
        {"input": np.array([6])}
    )  # as a tool adds one where a node seems to be fed by nothing
    with pytest.raises(FileRefused) as refused:
        from_nir(nir_graph)
    assert refused.value.args == (
        "the graph has an edge l -> ghost, but no node 'ghost'; add the node or remove the edge",
        "the graph has an edge input -> fc, but no node 'fc'; add the node or remove the edge",
        "the graph has 2 nodes of type Input (input, input_l); give it one",
    )


def test_layers_that_no_integer_network_computes() -> None:
    differing = lif(5, tau=4 * DT)
    differing.tau = np.array([2, 4, 8, 8, 8]) * DT
    nodes = {
        "a": nir.Linear(np.ones((5, 6))),
        "n": differing,
        "d": nir.Delay(np.arange(5) * DT),
        "b": nir.Linear(np.ones((4, 5))),
    }
    nir_graph = chain(
        {
            **nodes,
            "m": lif(4, tau=DT / 2),
            "c": nir.Linear(np.ones((2, 4))),
            "o": lif(2, threshold=-1.0),
        },
        (6,),
        (2,),
    )
    lines = (
        "m (LIF): its tau is 5e-05 s, shorter than the step of 0.0001 s; use a smaller --dt, or "
        "--discretize exact",
        "o (LIF): its threshold is -1 above its reset value; use one above it",
        "d (Delay): it delays by 0 to 0.0004 s, 0 to 4 steps; let each value wait for one step or "
        "more, or none of them",
    )
    with pytest.raises(NotMappable) as refused:
        quantize(from_nir(nir_graph), X, Semantics(dt=DT))
    assert refused.value.args == lines
    nir_graph.nodes["d"] = nir.Delay(np.full(5, DT))
    with pytest.raises(NotMappable) as refused:
        quantize(from_nir(nir_graph), X, Semantics(dt=DT))
    assert refused.value.args == lines[:2]


def test_samples_and_semantics_that_are_missing() -> None:
    nir_graph = chain(
        {
            "l": nir.Linear(np.eye(6)),
            "n": nir.IF(np.ones(6), np.ones(6)),
            "d": nir.Delay(np.full(6, DT)),
            "r": nir.Linear(np.eye(6)),
        },
        (6,),
        (6,),
    )
    with pytest.raises(UsageError) as refused:
        quantize(from_nir(nir_graph), X[:, 0])
    assert refused.value.args == (
        "calibration input has no axis of time, and no steps are given; say for how many a sample "
        "is held, as --steps 8 (in Python: steps=8)",
        "d has a time constant, and the graph does not say how long a step is; give it in seconds, "
        "as --dt 1e-4 (in Python: dt=1e-4)",
        "n integrates r times its input, and NIR files mean by that r in a step or r dt; say "
        "--integrate step (sinabs) or --integrate ode"
        " (NIR's equation)",
        "r.readout comes before the output and does not fire; say which of its values counts: "
        "--readout last, sum or max",
    )


@pytest.fixture(autouse=True)
def _in_this_process() -> Iterator[None]:
    with reading_in_this_process():
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "g.nir"


def foreseen(nir_graph: nir.NIRGraph, path: Path) -> tuple[str, ...]:
    nir.write(path, nir_graph)
    return foresee(path)


def test_what_is_foreseen_is_what_is_refused(path: Path) -> None:
    assert foreseen(faulty(), path) == FAULTS
    good = chain({"l": nir.Linear(np.eye(6)), "n": lif(6)}, (6,), (6,))
    need = "n has a time constant, and the graph does not say how long a step is; give it in seconds, as --dt 1e-4 (in Python: dt=1e-4)"
    assert foreseen(good, path) == (need,)
    good.nodes["n"] = lif(6, r=-1.0)
    assert foreseen(good, path) == (
        need,
        "n (LIF): its r is -1; use one above 0, and the sign in the weights",
    )
    good.nodes["n"] = lif(6, tau=0.5)
    good.metadata = {"dt": 1.0}
    assert foreseen(good, path) == (
        "n (LIF): its tau is 0.5 s, shorter than the step of 1 s; use a smaller --dt, or "
        "--discretize exact",
    )
    good.nodes["n"] = lif(6, tau=2.0)
    assert foreseen(good, path) == ()
    assert quantize(from_nir(good), X).network.neurons["n"].fields.beta == 0.5


def test_inspecting_says_what_quantize_would(path: Path, lehr: Lehr) -> None:
    nir.write(path, faulty())
    ran = lehr("inspect", path)
    assert ran.code == 0, ran.err
    assert (
        "\n  ".join(("lehr quantize, without options, would refuse it:", *FAULTS)) + "\n" in ran.out
    )
    assert lehr("inspect", path, "--json").facts["quantize_refuses"] == list(FAULTS)
    nir.write(path, chain({"l": nir.Linear(np.eye(6)), "t": nir.Threshold(np.ones(6))}, (6,), (6,)))
    ran = lehr("inspect", path)
    assert "nothing was found that lehr quantize refuses\n" in ran.out
    assert f"next: lehr quantize {path} --calibrate IN.npz -o MODEL.nir\n" in ran.out


def test_inspecting_fails_on_edges_that_name_no_node(path: Path, lehr: Lehr) -> None:
    inner = graph({"n": lif(6)}, [("input", "n"), ("m", "n"), ("n", "output")], (6,), (6,))
    nir.write(
        path, graph({"g": inner}, [("input", "g"), ("g", "fc"), ("lost", "output")], (6,), (6,))
    )
    ran = lehr("inspect", path)
    assert ran.code == 5
    assert ran.out == "FAIL\n"
    assert ran.err == (
        f"error: {path}: 3 refusals:\n"
        "  edge g -> fc names 'fc', which is no node; add the node or remove the edge\n"
        "  edge lost -> output names 'lost', which is no node; add the node or remove the edge\n"
        "  g: edge m -> n names 'm', which is no node; add the node or remove the edge\n"
    )


def test_names_in_edges_do_not_steer_the_terminal(path: Path, lehr: Lehr) -> None:
    nir.write(path, graph({"n": lif(6)}, [("input", "n"), ("n", "output")], (6,), (6,)))
    with h5py.File(path, "a") as file:
        del file["node/edges"]
        file["node/edges"] = [["input", "n"], ["n", "\x1b[2Joutput"]]
    with pytest.raises(FileRefused) as refused:
        read(path)
    assert (
        str(refused.value)
        == f"{path}: the graph has an edge n -> ?[2Joutput, but no node '?[2Joutput'; add the node or remove the edge"
    )
    ran = lehr("inspect", path)
    assert (
        ran.err
        == f"error: {path}: edge n -> ?[2Joutput names '?[2Joutput', which is no node; add the node or remove the edge\n"
    )


FLOAT = (
    "holds a float graph, no integer network: it has no fixed_point block anywhere; make a network "
    "of it by"
    " 'lehr quantize GRAPH.nir --calibrate IN.npz -o MODEL.nir'"
)


@pytest.mark.parametrize("command", ["simulate", "build", "check", "widths"])
def test_a_float_graph_is_sent_to_quantize(path: Path, lehr: Lehr, command: str) -> None:
    nir_graph = chain({"l": nir.Linear(np.eye(6)), "n": lif(6)}, (6,), (6,))
    nir.write(path, nir_graph)
    np.savez(path.with_suffix(".npz"), input=X)
    given: dict[str, tuple[Any, ...]] = {
        "simulate": ("-i", path.with_suffix(".npz")),
        "build": ("--target", "c", "-o", path.with_name("out")),
        "check": ("--target", "c"),
    }
    ran = lehr(command, path, *given.get(command, ()))
    assert ran.code == 5
    assert ran.err == f"error: {path}: {FLOAT}\n"
    with pytest.raises(FileRefused) as refused:
        nirfile.from_nir(nir_graph)
    assert str(refused.value) == FLOAT


def test_many_refusals_are_counted_and_not_all_shown() -> None:
    def refuse(error: LehrError) -> None:
        raise error

    refusals = Refusals()
    for k in range(SHOWN + 7):
        with refusals.collect(f"node{k}: "):
            refuse(FileRefused("is wrong"))
    with refusals.collect("node0: "):
        refuse(NotMappable("is wrong"))  # said before
    with pytest.raises(FileRefused) as refused:
        refusals.raise_all()
    lines = str(refused.value).split("\n  ")
    assert lines[0] == f"{SHOWN + 7} refusals:"
    assert lines[1] == "node0: is wrong"
    assert lines[-1] == "and 7 more"
    assert len(lines) == SHOWN + 2
