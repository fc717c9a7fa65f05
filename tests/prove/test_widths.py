"""Certificates of widths against all that neurons reach, and against bounds that are too narrow."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from exhaustive import SETTLED_STEPS, Case, Search, random_case
from hard_networks import HARD

pytest.importorskip("z3")

from lehr.arithmetic import Arithmetic
from lehr.prove.obligations import Obligation
from lehr.prove.subject import Subject
from lehr.prove.widths.certificates import certified, claims, prove

SECONDS = 2.0


def narrowed(case: Case, search: Search) -> Obligation:
    """Return what is said of a bound that is one less than what was reached."""
    subject = Subject(case.network())
    cut = []
    for each in claims(subject)["lif"]:
        low, high = (ends.copy() for ends in each.registers["v"])
        if search.membrane[1] > 0:
            high = np.minimum(high, search.membrane[1] - 1)
        else:
            low = np.maximum(low, search.membrane[0] + 1)
        limits = (int(low.min()), int(high.max()))
        written = {**each.written, "v": limits}
        registers = {**each.registers, "v": np.stack([low, high])}
        cut.append(replace(each, registers=registers, written=written))
    return certified(subject, "lif", cut, SECONDS)


def check(seeds: range, every: int = 1) -> Counter[str]:
    """Count what comes of certificates, and of bounds that are too narrow by one.

    The latter, which are sought for longer, of one neuron in `every`.
    """
    seen: Counter[str] = Counter()
    for seed in seeds:
        case = random_case(seed)
        (whole,) = prove(Subject(case.network()), SECONDS)
        kind = case.arithmetic.update
        assert whole.state in ("proven", "undecided"), (seed, whole)
        seen[f"{kind} {whole.state}"] += 1
        settled = "any number" in whole.claim
        search = Search(case)
        search.run(SETTLED_STEPS if settled else case.steps, forever=settled)
        if search.membrane == (0, 0) or seed % every:
            continue
        cut = narrowed(case, search)
        assert cut.state != "proven", (seed, cut)
        seen[f"{kind} narrowed {cut.state}"] += 1
    return seen


def test_certificates_hold_and_bounds_that_are_reached_are_not_cut() -> None:
    seen = check(range(40))
    assert seen["step proven"] > 15
    assert seen["event proven"] > 5
    assert seen["step narrowed refuted"] + seen["event narrowed refuted"] > 20


@pytest.mark.slow
def test_thousands_of_certificates_agree_with_exhaustive_search() -> None:
    seen = check(range(40, 2040), every=20)
    assert seen["step undecided"] == 0
    assert seen["event undecided"] < seen["event proven"] / 20


def test_the_bound_of_events_that_once_was_wrong_is_refuted() -> None:
    """A bias of -1000 leaves 8 bits at -128, from where three events of 127 lead up to 253.

    The sum of a step, 381 above -1000, would never be positive.
    """
    arithmetic = Arithmetic(
        decay_numerator=0, reset="none", reset_timing="same_step", state_bits=8, update="event"
    )
    case = Case((127, 127, 127), 500, -1000, arithmetic, None, 3)
    (whole,) = prove(Subject(case.network()), SECONDS)
    assert whole.state == "proven"
    search = Search(case)
    search.membrane = (-1000, 1)
    cut = narrowed(case, search)
    assert cut.state == "refuted"
    assert set(cut.counterexample["what comes"].values()) <= {0, 127}


@pytest.mark.parametrize("name", ["two states, wide", "32 bits"])
def test_hard_layers_are_certified(name: str) -> None:
    net, _ = HARD[name]()
    for each in prove(Subject(net), SECONDS):
        assert each.state == "proven", each
        assert each.fault
