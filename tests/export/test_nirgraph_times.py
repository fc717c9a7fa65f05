"""Time constants that make no sense for the step.

They are given in steps, with the step for which they would be usual.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
from nir_graphs import chain, lif

from lehr.errors import NotMappable
from lehr.export.nirgraph import Semantics, from_nir, quantize
from lehr.export.nirgraph.times import asking_about_times

EVENTS = (np.random.default_rng(0).random((2, 8, 3)) < 0.4).astype(np.uint8)


def leaky(tau: float, r: float = 1.0) -> nir.NIRGraph:
    """Three weights, three LIF neurons."""
    return chain({"l": nir.Linear(np.eye(3) * 0.3), "n": lif(3, tau=tau, r=r)}, (3,), (3,))


def cuba(tau_syn: float, tau_mem: float, r: float = 1.0) -> nir.NIRGraph:
    """Three weights, three CubaLIF neurons."""
    full = np.full
    cells = nir.CubaLIF(
        full(3, tau_syn), full(3, tau_mem), full(3, r), np.zeros(3), np.ones(3), w_in=np.ones(3)
    )
    return chain({"l": nir.Linear(np.eye(3) * 0.3), "n": cells}, (3,), (3,))


@pytest.mark.parametrize(
    ("nir_graph", "dt", "message"),
    [
        (cuba(10, 20), 1e-4, "n (CubaLIF): its decay is 0.999995, which 16 bits round to 1, so that nothing leaks; its tau_syn is 10 s, 100,000 steps at dt 0.0001; is dt 1?"),
        (leaky(tau=200.0), 1e-3, "n (LIF): its decay is 0.999995, which 16 bits round to 1, so that nothing leaks; its tau is 200 s, 200,000 steps at dt 0.001; is dt 1?"),
        (leaky(tau=2e-2), 1.0, "n (LIF): its tau is 0.02 s, 0.02 steps at dt 1; is dt 0.001?"),
        (leaky(tau=2e-3), 1.0, "n (LIF): its tau is 0.002 s, 0.002 steps at dt 1; is dt 0.001?"),
        (leaky(tau=1e-9), 1.0, "n (LIF): its tau is 1e-09 s, 1e-09 steps at dt 1; is it in seconds?"),
    ],
)  # fmt: skip
def test_time_constants_that_make_no_sense_for_the_step(
    nir_graph: nir.NIRGraph, dt: float, message: str
) -> None:
    with pytest.raises(NotMappable) as refused:
        quantize(from_nir(nir_graph), EVENTS, Semantics(dt=dt))
    assert str(refused.value) == message


def test_numbers_that_take_too_many_bits_for_odd_time_constants() -> None:
    float_graph = from_nir(cuba(1e-3, 2.2222))
    few = NotMappable(
        "n: its membrane needs more than 32 bits; use fewer fraction bits or a smaller fan-in"
    )
    with pytest.raises(NotMappable) as refused, asking_about_times(float_graph.cells, 1e-4):
        raise few
    asked = "n (CubaLIF): its tau_mem is 2.2222 s, 22,222 steps at dt 0.0001; is dt 1?"
    assert str(refused.value) == f"{asked} As it stands, n: its membrane needs more than 32 bits"
    with pytest.raises(NotMappable) as refused, asking_about_times(float_graph.cells, 1e-3):
        raise few
    assert refused.value is few
    try:
        said = " ".join(quantize(float_graph, EVENTS, Semantics(dt=1e-4)).notes)
    except NotMappable as error:
        said = str(error)
    assert asked.partition(": ")[2] in said


@pytest.mark.parametrize(
    ("tau", "dt", "discretize", "note"),
    [
        (2.2222, 1e-4, "euler", "n: its tau is 2.2222 s, 22,222 steps at dt 0.0001; is dt 1?"),
        (2e-2, 1.0, "exact", "n: its tau is 0.02 s, 0.02 steps at dt 1; is dt 0.001?"),
        (0.9999, 1e-4, "euler", ""),
        (0.11, 1.0, "exact", ""),
    ],
)
def test_time_constants_that_make_little_sense_are_noted(
    tau: float, dt: float, discretize: Any, note: str
) -> None:
    quantized = quantize(
        from_nir(leaky(tau=tau, r=1000.0)), EVENTS, Semantics(dt=dt, discretize=discretize)
    )
    assert [each for each in quantized.notes if "steps at dt" in each] == [note] * bool(note)


@pytest.mark.parametrize(("dt", "noted"), [(1e-4, True), (2.0**-13, False)])
def test_a_decay_that_is_taken_for_a_near_one_is_noted(dt: float, noted: bool) -> None:
    """float32 says no whole number of steps of 1e-4 s; numpy says how far the decay is from it."""
    single = float(np.float32(2 * dt))
    quantized = quantize(from_nir(leaky(tau=single)), EVENTS, Semantics(dt=dt))
    away = abs(0.5 - dt / single)
    note = f"n: its decay by tau is taken for 0.5, {away:.1g} away, as near as float32 says a time"
    assert (note in quantized.notes) == noted == (away > 0)
    assert any("is taken for" in said for said in quantized.notes) == noted
