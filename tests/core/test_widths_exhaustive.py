"""The width analysis against every state that a neuron can reach, over all inputs and all steps."""

from __future__ import annotations

from collections import Counter

import pytest
from exhaustive import SETTLED_STEPS, Case, Search, random_case

from lehr.arithmetic import Arithmetic
from lehr.widths import analyse


def searched(seeds: range) -> Counter[str]:
    """Count the neurons of some seeds by kind, and the bounds they reached."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        case = random_case(seed)
        layer = analyse(case.network()).layers["lif"]
        search = Search(case)
        search.run(SETTLED_STEPS if layer.settled else case.steps, forever=layer.settled)
        states = [(layer.membrane, search.membrane)]
        if layer.synapse is not None:
            states.append((layer.synapse, search.synapse))
        for proven, reached in states:
            assert proven[0] <= reached[0], (seed, case, proven, reached)
            assert reached[1] <= proven[1], (seed, case, proven, reached)
        low, high = search.membrane
        seen[f"{case.arithmetic.update} {case.arithmetic.overflow}"] += 1
        seen["two states"] += case.synapse is not None
        seen["reached"] += (low == layer.membrane[0]) + (high == layer.membrane[1])
        seen["left its width"] += low < case.arithmetic.lowest or high > case.arithmetic.highest
        seen["fired"] += case.arithmetic.fires != "never" and high > case.threshold
    return seen


def check(seeds: range) -> None:
    seen, count = searched(seeds), len(seeds)
    kinds = [
        f"{update} {overflow}" for update in ("step", "event") for overflow in ("saturate", "wrap")
    ]
    assert all(
        seen[kind] > count / 10 for kind in [*kinds, "two states", "left its width", "fired"]
    )
    # of two bounds each: wider ones would prove less, these are near
    assert seen["reached"] > count


@pytest.mark.slow
def test_no_reachable_state_is_outside_the_proven_bounds() -> None:
    check(range(250))


@pytest.mark.slow
def test_no_reachable_state_of_thousands_of_neurons_is_outside_the_proven_bounds() -> None:
    check(range(250, 4_250))


def test_events_that_follow_a_saturation_reach_further_than_the_sum_of_a_step() -> None:
    """A bias of -1000 leaves 8 bits at -128, from where three events of 127 lead up to 253."""
    arithmetic = Arithmetic(
        decay_numerator=0, reset="none", reset_timing="same_step", state_bits=8, update="event"
    )
    case = Case((127, 127, 127), 500, -1000, arithmetic, None, 3)
    search = Search(case)
    search.run(3, forever=False)
    assert search.membrane == (-1000, 253)
    low, high = analyse(case.network()).layers["lif"].membrane
    assert (low <= -1000, high) == (True, 253)
