"""A target computes what it says, spike by spike, and says nothing that no network has tried.

Every membrane is compared, too.

A target that is known not to be exact on a golden network says so in a file `xfail.txt` beside its
class: one line each, the name of the network and the reason. The test then fails as soon as the
network becomes exact.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lehr.simulate import simulate
from lehr.targets.conformance.claims import Example, claims_of, differs, exercised
from lehr.targets.conformance.golden import GOLDEN, example
from lehr.targets.conformance.mutations import MUTATIONS
from lehr.targets.conformance.running import (
    compared,
    first,
    known_failures,
    needed,
    ready,
    require_exact,
    run,
    with_artefact,
)
from lehr.targets.contract import Target, shown_by

FIELDS = (
    "small",
    "weights_ternary",
    "weights_int8",
    "scaled",
    "saturate_at_8_bits",
    "wrap_at_8_bits",
    "synapse",
    "synapse_with_bias_to_synapse",
)
MACHINES = (
    "machine_loihi",
    "machine_xylo",
    "machine_dynapcnn_by_event",
    "machine_adaptive",
    "cores",
    "xylo_maps",
    "program_leak_multiply_decay_8_floor",
)
ALWAYS = ("threshold", "weight")
"""Changes that every network has.

Of the others a network may have none, or nothing that the target takes.
"""


@pytest.mark.parametrize("name", [golden.name for golden in GOLDEN])
def test_golden_network_is_exact(
    target: Target, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ready(target)
    example = needed(target, name)
    if reason := known_failures(target).get(name):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    comparison = require_exact(
        target, example.expected.trace, run(target, example.net, example.x, tmp_path / "built")
    )
    assert (
        comparison.values
        == sum(membranes.size for membranes in example.expected.trace.membranes.values())
        > 0
    )


def test_every_claim_is_exercised(target: Target) -> None:
    with_artefact(target)
    examples = [example(target, golden.name) for golden in GOLDEN]
    exact = [it for it in examples if isinstance(it, Example)]
    idle = [
        str(claim) for claim in claims_of(target) if not any(exercised(claim, it) for it in exact)
    ]
    assert not idle, (
        f"{target.name} states {', '.join(idle)}, which no golden network that maps to it depends "
        "on; state less, or map more"
    )


def test_known_failures_name_golden_networks_and_reasons(target: Target) -> None:
    known = known_failures(target)
    assert known.keys() <= {golden.name for golden in GOLDEN}
    assert all(known.values())


@pytest.mark.parametrize(("name", "change"), list(product((*FIELDS, *MACHINES), MUTATIONS)))
def test_one_changed_unit_is_detected(
    target: Target, name: str, change: str, tmp_path: Path
) -> None:
    shown = shown_by(ready(target))
    golden = needed(target, name)
    mutants = (
        mutant
        for mutant in MUTATIONS[change](golden.net)
        if not target.check(mutant) and differs(golden, mutant, shown)
    )
    mutant = next(mutants, None)
    if mutant is None:
        assert change not in ALWAYS, (
            f"no {change} of {name} changes anything that {target.name} takes"
        )
        pytest.skip(f"{name} has no other {change} that {target.name} takes")
    got = run(target, mutant, golden.x, tmp_path / "built")
    assert not compared(target, golden.expected.trace, got).equal
    require_exact(target, simulate(mutant, golden.x, trace=mutant.neurons).trace, got)


def test_more_and_fewer_samples_than_golden_ones(target: Target, tmp_path: Path) -> None:
    golden = first(target)
    got = run(target, golden.net, golden.x, tmp_path / "built")
    one = ready(target).run(tmp_path / "built", golden.x[-1:])
    many = ready(target).run(tmp_path / "built", np.concatenate([golden.x, golden.x[::-1]]))
    for name in golden.net.neurons:
        for kind in ("spikes", "membranes"):
            if name in getattr(got, kind):
                assert np.array_equal(getattr(one, kind)[name], getattr(got, kind)[name][-1:])
                assert np.array_equal(
                    getattr(many, kind)[name][len(golden.x) :],
                    getattr(golden.expected.trace, kind)[name][::-1],
                )
