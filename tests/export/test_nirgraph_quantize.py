"""Float graphs as integers.

They are the NIR paper's example, recurrent and convolutional graphs, and graphs in which nothing
may change.
"""

from __future__ import annotations

import itertools
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st
from nir_graphs import DT, braille, chain, lif, nmnist_like, run_braille, run_nmnist_like

from lehr.export.effect import measure
from lehr.export.nirgraph import Options, Semantics, from_nir, quantize, run
from lehr.simulate import simulate

# Spikes in every tenth step: the input of the LIF example in the NIR paper (neuromorphs/NIR,
# paper/01_lif), 34 spikes in 1,000 steps.
PAPER = [6, 22, 27, 31, 32, 35, 37, 40, 41, *range(43, 54), *range(67, 79), 84, 85]


def paper_input() -> npt.NDArray[np.uint8]:
    x = np.zeros((1, 1000, 1), np.uint8)
    x[0, np.array(PAPER) * 10] = 1
    return x


@pytest.mark.parametrize(
    ("reset", "timing"),
    [
        ("zero", "same_step"),
        ("subtract", "same_step"),
        ("zero", "next_step"),
        ("subtract", "next_step"),
    ],
)
def test_the_nir_papers_lif_neuron_spikes_when_it_does_in_the_paper(
    reset: str, timing: str
) -> None:
    x = paper_input()
    assert x.sum() == 34
    graph = from_nir(
        chain({"0": nir.Affine(np.ones((1, 1)), np.zeros(1)), "1": lif(1)}, (1,), (1,))
    )
    quantized = quantize(graph, x, Semantics(dt=DT, reset=reset, reset_timing=timing))  # type: ignore[arg-type]
    assert np.flatnonzero(run(graph, x, quantized.semantics, 1000).spikes["layer1"]).tolist() == [
        460,
        510,
        710,
        760,
    ]
    result = simulate(quantized.network, x, trace=["layer1"])
    assert np.flatnonzero(result.trace.spikes["layer1"]).tolist() == [460, 510, 710, 760]
    arithmetic = quantized.network.neurons["layer1"].fields
    assert arithmetic.decay_numerator / 2**arithmetic.decay_shift == pytest.approx(0.96, abs=4e-4)
    assert (arithmetic.reset, arithmetic.reset_timing, arithmetic.fires) == (reset, timing, "gt")


@pytest.mark.slow
def test_a_recurrent_graph_in_a_subgraph_is_run_as_its_equations_say() -> None:
    rng = np.random.default_rng(1)
    nir_graph = braille(rng)
    x = (rng.random((8, 60, 12)) < 0.2).astype(np.uint8)
    quantized = quantize(from_nir(nir_graph), x, Semantics(dt=DT))
    floats = run(quantized.graph, x, quantized.semantics, 60)
    for name, expected in zip(("lif1.lif", "lif2"), run_braille(nir_graph, x), strict=True):
        assert 0.02 < expected.mean() < 0.9
        assert np.array_equal(floats.spikes[name], expected)
    assert dict(quantized.graph.names) == {
        name: name for name in ("input", "output", "fc1", "fc2", "lif2", "lif1.lif", "lif1.w_rec")
    }


@pytest.mark.slow
def test_a_cycle_beside_a_subgraph_is_the_same_network() -> None:
    x = (np.random.default_rng(2).random((4, 40, 12)) < 0.2).astype(np.uint8)
    nested, flat = (
        quantize(from_nir(braille(np.random.default_rng(1), nested=n)), x, Semantics(dt=DT))
        for n in (True, False)
    )
    assert nested.network == flat.network


@pytest.mark.slow
def test_a_recurrent_graphs_error_shrinks_with_its_bits() -> None:
    rng = np.random.default_rng(1)
    graph, x = from_nir(braille(rng)), (rng.random((24, 80, 12)) < 0.2).astype(np.uint8)
    differ = {}
    for kind in ("int3", "int5", "int8"):
        effect = measure(
            quantize(graph, x, Semantics(dt=DT), Options(weights=kind, error=0.002)), x
        )
        layer = effect.layers["lif1.lif"]
        assert 0.02 < layer.rate < 0.9
        assert not effect.warnings
        assert layer.saturations == 0
        differ[kind] = (layer.spikes_differ, layer.rate_error)
    assert differ["int8"] < differ["int5"] < differ["int3"]
    assert differ["int8"][1] < 0.02
    assert layer.float_rate == pytest.approx(layer.rate, rel=0.02)


@pytest.mark.slow
def test_a_convolutional_graph_is_run_as_its_equations_say_and_its_error_shrinks_with_its_bits() -> (
    None
):
    rng = np.random.default_rng(3)
    nir_graph = nmnist_like(rng)
    x = (rng.random((4, 20, 2, 10, 10)) < 0.1).astype(np.uint8)
    graph, semantics = from_nir(nir_graph), Semantics(integrate="step", reset="subtract")
    quantized = quantize(graph, x, semantics)
    expected = run_nmnist_like(nir_graph, x)
    floats = run(graph, x, quantized.semantics, 20)
    for name, spikes in zip(quantized.network.neurons, expected, strict=True):
        assert 0.02 < spikes.mean() < 0.9
        assert np.array_equal(floats.spikes[name], spikes), name
    counts = expected[-1].sum(axis=1)
    errors = {}
    for kind in ("int2", "int4", "int8"):
        effect = measure(quantize(graph, x, semantics, Options(weights=kind)), x)
        assert np.array_equal(effect.float_scores, counts)
        errors[kind] = float(np.mean([layer.spikes_differ for layer in effect.layers.values()]))
        if kind == "int8":
            labels = effect.float_prediction
            assert effect.accuracies(labels)[0] == 1
            assert effect.accuracies(labels)[1] >= 0.75
    assert errors["int8"] < errors["int4"] < errors["int2"]


@st.composite
def exact_graphs(draw: st.DrawFn) -> tuple[nir.NIRGraph, npt.NDArray[np.uint8], Semantics]:
    """Draw graphs in which nothing needs rounding.

    Decays are dyadic, weights small integers times a power of two, thresholds and biases multiples
    of it.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    unit, dt, hidden = 2.0 ** draw(st.integers(-3, 3)), 2.0**-10, draw(st.integers(1, 5))
    fires: Any = draw(st.sampled_from(["gt", "ge"]))
    reset: Any = draw(st.sampled_from(["zero", "subtract"]))
    semantics = Semantics(
        dt=dt,
        reset=reset,
        reset_timing=draw(st.sampled_from(["same_step", "next_step"])),
        fires=fires,
        integrate="step",
    )

    def levels(*shape: int) -> npt.NDArray[np.float64]:
        weights = unit * rng.integers(-3, 4, shape).astype(np.float64)
        weights[0, 0] = (
            unit  # so that the step is a power of two, and thresholds are whole numbers of it
        )
        return weights

    def neurons() -> nir.NIRNode:
        theta = unit * rng.integers(1, 6, hidden)
        if draw(st.booleans()):
            return nir.IF(r=np.full(hidden, 0.5), v_threshold=theta)
        tau = np.full(hidden, dt * 2)
        leak = unit * rng.integers(-2, 3, hidden)
        if draw(st.booleans()):
            return nir.LIF(
                tau=tau,
                r=tau / dt,
                v_leak=leak,
                v_threshold=theta + unit,
                v_reset=np.full(hidden, unit),
            )
        return nir.CubaLIF(
            tau_syn=tau, tau_mem=tau, r=tau / dt, v_leak=0 * leak, v_threshold=theta, w_in=tau / dt
        )

    first, last = neurons(), neurons()
    body = {
        "a": nir.Affine(levels(hidden, 3), unit * rng.integers(0, 2, hidden)),
        "n": first,
        "b": nir.Linear(levels(hidden, hidden)),
        "m": last,
    }
    names = ["input", *body, "output"]
    edges = list(itertools.pairwise(names))
    if draw(st.booleans()):
        body["back"] = nir.Linear(levels(hidden, hidden))
        edges += [("n", "back"), ("back", "n")]
    if draw(st.booleans()):
        body["wait"] = nir.Delay(np.full(3, dt * 2))
        edges = [("input", "wait"), ("wait", "a"), *(e for e in edges if e != ("input", "a"))]
    if draw(st.booleans()):
        body["scale"] = nir.Scale(2.0 ** rng.integers(-1, 2, hidden))
        edges = [("b", "scale"), ("scale", "m"), *(e for e in edges if e != ("b", "m"))]
    ends = {
        "input": nir.Input({"input": np.array([3])}),
        "output": nir.Output({"output": np.array([hidden])}),
    }
    x = (rng.random((4, 6, 3)) < 0.6).astype(np.uint8)
    return nir.NIRGraph({**ends, **body}, edges, type_check=False), x, semantics


@pytest.mark.slow
def test_where_nothing_needs_rounding_not_one_spike_differs() -> None:
    fired = {"spikes": 0, "silences": 0}

    @budget(20, 200)
    @given(exact_graphs())
    def check(case: tuple[nir.NIRGraph, npt.NDArray[np.uint8], Semantics]) -> None:
        graph, x, semantics = case
        quantized = quantize(from_nir(graph), x, semantics)
        effect = measure(quantized, x)
        assert quantized.exact, quantized.notes
        for name, layer in effect.layers.items():
            assert layer.spikes_differ == 0, name
            assert layer.membrane_error < 1e-12, name
            fired["spikes"] += layer.rate > 0
            fired["silences"] += layer.rate < 1

    check()
    assert min(fired.values()) > 20


def test_one_unit_of_a_threshold_is_seen() -> None:
    rng = np.random.default_rng(1)
    x = (rng.random((8, 40, 12)) < 0.2).astype(np.uint8)
    weight = rng.integers(-3, 4, (6, 12)).astype(np.float64)
    semantics = Semantics(integrate="step")
    for threshold, differs in ((2.0, False), (3.0, True)):
        quantized, other = (
            quantize(
                from_nir(
                    chain(
                        {"fc": nir.Linear(weight), "n": nir.IF(np.ones(6), np.full(6, v))},
                        (12,),
                        (6,),
                    )
                ),
                x,
                semantics,
            )
            for v in (2.0, threshold)
        )
        effect = measure(quantized, x, other.network)
        assert 0.05 < effect.layers["n"].rate < 0.95
        assert (effect.layers["n"].spikes_differ > 0) is differs


def test_a_decay_that_16_bits_do_not_bring_within_the_error_says_so() -> None:
    """1 - dt/tau of 1 - 1.4/2**16 becomes 1 - 1/2**16: a time constant off by 0.4/1.4."""
    tau = 2.0**16 / 1.4 * DT
    nir_graph = chain(
        {"w": nir.Linear(np.ones((2, 3))), "n": lif(2, tau=tau, threshold=1e-4)}, (3,), (2,)
    )
    quantized = quantize(from_nir(nir_graph), np.ones((1, 9, 3), np.uint8), Semantics(dt=DT))
    said = "by 0.29 of its time constant and not 0.01 as asked, for it has 16 bits, the most that a decay has"
    assert any(
        note.startswith("n: decay moved by 6.1e-06 to 65535/65536") and note.endswith(said)
        for note in quantized.notes
    ), quantized.notes


def test_a_threshold_far_above_the_weights_is_what_it_is() -> None:
    """Pixels over 255 and levels 127 and 1 of 2**-12: a threshold of 1 is 255 * 4096 of them."""
    weights = np.array([[127.0, 1.0]], np.float32) * np.float32(2**-12)
    one = np.ones(1, np.float32)
    neurons = nir.IF(r=one, v_threshold=one, v_reset=0 * one)
    graph = from_nir(chain({"w": nir.Linear(weights), "n": neurons}, (2,), (1,)))
    x = np.array([[255, 255], [255, 0], [128, 7]], np.uint8)
    semantics = Semantics(integrate="step", reset="subtract", reset_timing="next_step")
    network = quantize(graph, x, semantics, steps=80, full_scale=255).network
    assert network.neurons["n"].threshold.tolist() == [1_044_480]
    fired, v, right = np.zeros(3), np.zeros(3), np.zeros(3)
    for _ in range(80):
        v = v + x @ np.array([127.0, 1.0]) - 1_044_480 * fired
        fired = (v > 1_044_480).astype(float)
        right += fired
    assert right.tolist() == [2, 2, 1]
    assert simulate(network, x).counts[:, 0].tolist() == right.tolist()
