"""Refusals of float graphs, each with its sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from nir_graphs import DT, braille, chain, graph, lif

from lehr.errors import FileRefused, LehrError, NotMappable, UsageError
from lehr.export.effect import measure
from lehr.export.nirgraph import Options, Semantics, from_nir, quantize, read

EVENTS = (np.random.default_rng(0).random((2, 8, 3)) < 0.4).astype(np.uint8)


def neurons(**changed: Any) -> nir.NIRGraph:
    """Three weights, three LIF neurons with something changed."""
    cells = lif(3)
    for name, value in changed.items():
        setattr(cells, name, np.full(3, value) if isinstance(value, (int, float)) else value)
    return chain({"l": nir.Linear(np.eye(3) * 0.3), "n": cells}, (3,), (3,))


def spoilt(nir_graph: nir.NIRGraph, change: Callable[[dict[str, Any]], object], path: Path) -> Path:
    """Write a file whose dictionaries were changed before."""
    import h5py

    tree = nir_graph.to_dict()
    change(tree)

    def put(group: Any, fields: dict[str, Any]) -> None:
        for key, value in fields.items():
            if isinstance(value, dict):
                put(group.create_group(key), value)
            elif value is not None:
                group.create_dataset(key, data=value)

    with h5py.File(path, "w") as file:
        put(file.create_group("node"), tree)
    return path


def node(name: str, **fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda tree: tree["nodes"][name].update(fields)


@pytest.mark.few(8)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree.update(type="Affine"), "holds no NIR graph; give a file that a NIR tool wrote"),
        (node("n", type="Izhikevich"), "n: is of type 'Izhikevich', which NIR 1.0 does not have; use Affine, Linear, Scale, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten, Delay, Threshold, I, IF, LI, LIF, CubaLI, CubaLIF, NIRGraph"),
        (node("n", type=np.array([1, 2])), "n: is of type an array of shape (2,), which NIR 1.0 does not have; use Affine, "),
        (node("n", tau=np.array([1e-3, np.nan, 1e-3])), "n: tau holds nan at [1]; export the graph again with finite numbers of at most 1e+15"),
        (node("l", weight=np.array([["a"] * 3] * 3, dtype="S1")), "l: weight is "),
        (node("l", weight=np.ones(3)), "l: weight is an array of shape (3,); give numbers with 2 axes"),
        (node("n", tau=np.ones(2)), "n: tau has shape [2] but gets [3]; export the graph again with one number per neuron in each"),
        (node("n", charm=1.0), "n: has 'charm', which LIF does not have; remove it"),
        (lambda tree: tree["nodes"]["n"].pop("tau"), "n: has no 'tau', which LIF needs; export the graph again"),
        (node("input", shape=np.array([0])), "input: shape is an array of shape (1,); give 1 to 3 integers of at least 1, without the batch's axis"),
        (lambda tree: tree["nodes"].pop("output") and tree["edges"].pop(), "the graph has 0 nodes of type Output (none); give it one"),
        (lambda tree: tree["nodes"].update(second={"type": "Output", "shape": np.array([3])}), "second is an output that nothing leads to; remove it or lead a layer to it"),
        (lambda tree: tree.update(edges=[*tree["edges"], ("n", "m")]), "the graph has an edge n -> m, but no node 'm'; add the node or remove the edge"),
        (lambda tree: tree.update(edges=["n"]), "the graph has an edge that is no pair of node names; give each edge its two ends"),
        (lambda tree: tree.update(edges=[*tree["edges"], ("l", "l")]), "l form a cycle without a neuron; put a neuron layer into it"),
        (lambda tree: tree.update(metadata={"dt": -1.0}), "the graph's metadata has a dt of "),
        (node("n", **{key: np.ones(4) for key in ("tau", "r", "v_leak", "v_threshold", "v_reset")}), "n: has shape [4] but gets [3]; check the layer before it"),
    ],
)  # fmt: skip
def test_a_file_that_says_what_no_graph_says(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = spoilt(neurons(), change, tmp_path / "g.nir")
    with pytest.raises(FileRefused) as refused:
        quantize(read(path), EVENTS, Semantics(dt=DT))
    assert str(refused.value).removeprefix(f"{path}: ").startswith(message)
    assert "\n" not in str(refused.value)


def test_a_subgraph_whose_edge_names_no_node(tmp_path: Path) -> None:
    def rename(tree: dict[str, Any]) -> None:
        inner = tree["nodes"]["lif1"]["nodes"]
        inner["cells"] = inner.pop("lif")

    path = spoilt(braille(np.random.default_rng(0)), rename, tmp_path / "g.nir")
    with pytest.raises(
        FileRefused,
        match="lif1: the graph has an edge input -> lif, but no node 'lif'; add the node or remove the edge$",
    ):
        read(path)


def test_graphs_in_graphs_have_an_end() -> None:
    nir_graph = neurons()
    for _ in range(10):
        nir_graph = chain({"g": nir_graph}, (3,), (3,))
    with pytest.raises(
        FileRefused,
        match="the graph lies more than 8 graphs deep; put its nodes into the outer one$",
    ):
        from_nir(nir_graph)


def test_two_names_that_become_one() -> None:
    nir_graph = chain(
        {
            "a": chain({"b": nir.Linear(np.eye(3))}, (3,), (3,)),
            "a.b": nir.Linear(np.eye(3)),
            "n": lif(3),
        },
        (3,),
        (3,),
    )
    with pytest.raises(
        FileRefused, match=r"^a.b names two nodes once graphs are put into one another; rename one$"
    ):
        from_nir(nir_graph)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            nir.Scale(np.ones((2, 3, 2))),
            "w: has shape [2, 3, 2] but gets [2, 3, 3]; check the layer before it",
        ),
        (
            nir.Delay(np.ones((2, 3, 2))),
            "w: has shape [2, 3, 2] but gets [2, 3, 3]; check the layer before it",
        ),
        (lif((2, 3, 2)), "w: has shape [2, 3, 2] but gets [2, 3, 3]; check the layer before it"),
        (
            nir.Linear(np.ones((2, 18))),
            "w: Linear takes (18,) but gets (2, 3, 3); put a Flatten before it",
        ),
    ],
)
def test_shapes_that_do_not_fit(wrong: nir.NIRNode, message: str) -> None:
    with pytest.raises(FileRefused) as refused:
        quantize(from_nir(chain({"w": wrong, "n": lif((2, 3, 3))}, (2, 3, 3), (2, 3, 3))), EVENTS)
    assert str(refused.value) == message


SPLIT = nir.Delay(np.array([0.0, 2, 3]) * DT)


@pytest.mark.parametrize(
    ("nir_graph", "semantics", "error", "message"),
    [
        (neurons(), Semantics(), UsageError, "n has a time constant, and the graph does not say how long a step is; give it in seconds, as --dt 1e-4 (in Python: dt=1e-4)"),
        (chain({"n": nir.IF(np.ones(3), np.ones(3))}, (3,), (3,)), Semantics(), UsageError, "n integrates r times its input, and NIR files mean by that r in a step or r dt; say --integrate step (sinabs) or --integrate ode (NIR's equation)"),
        (chain({"n": nir.IF(np.ones(3), np.ones(3))}, (3,), (3,)), Semantics(integrate="ode"), UsageError, "n integrates over time, and the graph does not say how long a step is; give it in seconds, as --dt 1e-4 (in Python: dt=1e-4)"),
        (chain({"l": nir.Linear(np.eye(3))}, (3,), (3,)), Semantics(), UsageError, "l.readout comes before the output and does not fire; say which of its values counts: --readout last, sum or max"),
        (neurons(tau=DT / 2), Semantics(dt=DT), NotMappable, "n (LIF): its tau is 5e-05 s, shorter than the step of 0.0001 s; use a smaller --dt, or --discretize exact"),
        (neurons(tau=-1.0), Semantics(dt=DT), NotMappable, "n (LIF): its tau is -1 s; use one above 0"),
        (neurons(tau=5e-324), Semantics(dt=DT), NotMappable, "n (LIF): its tau is 4.94066e-324 s, 4.9e-320 steps at dt 0.0001; is it in seconds?"),
        (neurons(r=-1.0), Semantics(dt=DT), NotMappable, "n (LIF): its r is -1; use one above 0, and the sign in the weights"),
        (neurons(v_reset=1.0), Semantics(dt=DT), NotMappable, "n (LIF): its threshold is -0.9 above its reset value; use one above it"),
        (chain({"d": nir.Delay(np.full(3, 1e15)), "n": lif(3)}, (3,), (3,)), Semantics(dt=DT), NotMappable, "d (Delay): it delays by 1e+19 steps; use at most 65,536"),
        (neurons(tau=1e6), Semantics(dt=DT), NotMappable, "n (LIF): its decay is 1, which 16 bits round to 1, so that nothing leaks; its tau is 1e+06 s, 10,000,000,000 steps at dt 0.0001; is it in seconds?"),
        (chain({"d": SPLIT, "n": lif(3)}, (3,), (3,)), Semantics(dt=DT), NotMappable, "d (Delay): it delays by 0 to 0.0003 s, 0 to 3 steps; let each value wait for one step or more, or none of them"),
        (chain({"n": lif(3), "l": nir.LI(np.full(3, 1e-3), np.ones(3), np.zeros(3)), "m": lif(3)}, (3,), (3,)), Semantics(dt=DT), FileRefused, "l never fires, but leads to m; let an integrator lead to the output alone"),
    ],
)  # fmt: skip
def test_a_graph_that_no_integer_network_computes(
    nir_graph: nir.NIRGraph, semantics: Semantics, error: type[LehrError], message: str
) -> None:
    with pytest.raises(error) as refused:
        quantize(from_nir(nir_graph), EVENTS, semantics)
    assert str(refused.value) == message


def test_a_synapse_with_a_bias_and_a_leak_elsewhere() -> None:
    tau, one = np.full(3, 1e-3), np.ones(3)
    cells = nir.CubaLIF(tau, tau, one, one / 2, one, w_in=one)
    nir_graph = chain({"l": nir.Affine(np.eye(3), one), "n": cells}, (3,), (3,))
    with pytest.raises(
        NotMappable,
        match=r"^n \(CubaLIF\): it has both a bias at its synapse and a leak towards another value than its reset's",
    ):
        quantize(from_nir(nir_graph), EVENTS, Semantics(dt=DT))


def test_a_scale_that_nothing_takes_in() -> None:
    scale = nir.Scale(np.arange(1.0, 9).reshape(2, 2, 2))
    conv = nir.Conv2d((2, 2), np.ones((1, 2, 1, 1)), 1, 0, 1, 1, np.zeros(1))
    nir_graph = chain(
        {"s": scale, "c": conv, "n": nir.IF(np.ones((1, 2, 2)), np.ones((1, 2, 2)))},
        (2, 2, 2),
        (1, 2, 2),
    )
    with pytest.raises(
        NotMappable, match=r"^s \(Scale\): it differs within a channel of a feature map"
    ):
        quantize(
            from_nir(nir_graph), np.ones((1, 3, 2, 2, 2), np.uint8), Semantics(integrate="step")
        )


def test_a_cycle_that_dropping_a_scale_would_cut_elsewhere() -> None:
    one = nir.Scale(np.ones(3))
    nodes = {
        "s1": one,
        "s2": one,
        "s3": one,
        "a": lif(3),
        "b": lif(3),
        "ab": nir.Linear(np.eye(3)),
        "ba": nir.Linear(np.eye(3)),
    }
    edges = [
        ("input", "a"),
        ("a", "ab"),
        ("ab", "b"),
        ("b", "ba"),
        ("ba", "a"),
        ("input", "s1"),
        ("s1", "s2"),
        ("s2", "s3"),
        ("s3", "b"),
        ("b", "output"),
    ]
    with pytest.raises(
        NotMappable,
        match="the cycle that it lies in would be cut in another place; put a Delay where one step is meant$",
    ):
        quantize(from_nir(graph(nodes, edges, (3,), (3,))), EVENTS, Semantics(dt=DT))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"weights": "int9"},
            "--weights is 'int9'; did you mean 'int8'? use one of binary, ternary, int2, int3, "
            "int4, int5, int6, int7, int8",
        ),
        ({"decay_bits": 17}, "--decay-bits is 17; use 1 to 16"),
        ({"fraction_bits": -1}, "--fraction-bits is -1; use 0 to 16"),
        ({"error": 0.0}, "--error is 0; use a share between 0 and 1, such as 0.01"),
        ({"decay": "any"}, "--decay is 'any'; use 'own' or 'common'"),
        ({"maps": "any"}, "--maps is 'any'; use 'own' or 'mean'"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        quantize(from_nir(neurons()), EVENTS, Semantics(dt=DT), Options(**options))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"dt": 0.0}, "--dt is 0; give seconds, from 1e-15 to 1e+15"), ({"reset": "none"}, "--reset is 'none'; use 'zero' or 'subtract'"), ({"readout": "mean"}, "--readout is 'mean'; use 'count' or 'last' or 'sum' or 'max'")],
)  # fmt: skip
def test_semantics_that_are_none(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        Semantics(**wrong)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("x", "more", "message"),
    [
        (
            EVENTS[:, :, :2],
            {},
            "calibration input is uint8 [2, 8, 2], the graph takes uint8 [N, T, 3], or [N, 3] and "
            "--steps; reshape it",
        ),
        (
            EVENTS[:, 0],
            {},
            "calibration input has no axis of time, and no steps are given; say for how many a "
            "sample is held, as --steps 8 (in Python: steps=8)",
        ),
        (
            EVENTS,
            {"steps": 9},
            "calibration input has 8 steps, but --steps is 9; ask for at most as many",
        ),
        (
            EVENTS * 2,
            {},
            "calibration input holds 2, but no full scale is given; give --full-scale 255 for "
            "pixels, 1 for counts",
        ),
        (EVENTS, {"full_scale": -1.0}, "--full-scale is -1; use a number above 0, 255 for pixels"),
    ],
)
def test_samples_that_do_not_fit(x: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        quantize(from_nir(neurons()), x, Semantics(dt=DT), **more)
    assert str(refused.value) == message


NUMBERS = st.sampled_from(
    [0.0, 5e-324, 1e-300, 1e-30, 1e-4, 0.7, 1.0, 3e7, 1e15, -1e-300, -1.0, -1e15]
)


@budget(10, 166)
@given(st.data())
def test_extreme_numbers_end_in_a_network_or_are_refused(data: st.DataObject) -> None:
    def some(*shape: int) -> Any:
        return np.array(
            data.draw(st.lists(NUMBERS, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
        ).reshape(shape)

    cells = (
        nir.CubaLIF(some(2), some(2), some(2), some(2), some(2), some(2), some(2))
        if data.draw(st.booleans())
        else nir.LIF(some(2), some(2), some(2), some(2), some(2))
    )
    nir_graph = chain(
        {"a": nir.Affine(some(2, 3), some(2)), "s": nir.Scale(some(2)), "n": cells}, (3,), (2,)
    )
    semantics = Semantics(
        dt=data.draw(st.sampled_from([1e-14, 1e-4, 1e14])),
        discretize=data.draw(st.sampled_from(["euler", "exact"])),
    )
    try:
        quantized = quantize(
            from_nir(nir_graph), EVENTS, semantics, Options(decay="common", maps="mean")
        )
    except LehrError:
        return
    effect = measure(quantized, EVENTS)
    assert set(effect.layers) == {"n"}
