"""A target is pure, says what it does not take, and refuses bad input in a sentence."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lehr.arithmetic import Arithmetic
from lehr.artifact import BuildPlan
from lehr.errors import LehrError, NotMappable, UsageError
from lehr.network import INPUT, OUTPUT, Flatten, Input, Linear, Network, Neuron
from lehr.nodes import Delay, Node, Shape
from lehr.targets.build import build, verify
from lehr.targets.conformance.building import flowing
from lehr.targets.conformance.claims import VALUES
from lehr.targets.conformance.golden import IN_FIELDS, some
from lehr.targets.conformance.networks import MEMBRANE_READOUTS
from lehr.targets.conformance.running import first, ready, run, with_artefact
from lehr.targets.conformance.strategies import grown_networks, networks
from lehr.targets.contract import Target
from lehr.targets.golden import golden_plan
from lehr.targets.registry import entries
from lehr.update import STATEMENTS, Program
from lehr.weights import KINDS


# -------------------------------------------------------------------- the registry
def test_it_is_registered_by_its_name(target: Target) -> None:
    (entry,) = (entry for entry in entries() if entry.name == target.name)
    assert type(entry.target) is type(target), entry.reason
    assert target.name == target.name.lower()
    assert target.name.replace("-", "").isalnum()
    assert target.summary
    assert "\n" not in target.summary
    assert all(target.options.values())


# -------------------------------------------------------------------- check and plan
def test_some_golden_network_maps(target: Target) -> None:
    assert first(target)


def test_one_that_only_checks_says_so_of_every_network(target: Target) -> None:
    if not target.no_artefact:
        pytest.skip(f"{target.name} writes artefacts")
    assert target.runner() is None
    for candidate in (golden.make(Arithmetic()) for golden in IN_FIELDS[:3]):
        (*_, last) = target.check(candidate[0])
        assert last.reason == target.no_artefact
        with pytest.raises(NotMappable, match=re.escape(target.no_artefact)):
            target.plan(candidate[0], {})


@cache
def digests(name: str, hash_seed: str) -> str:
    """Digests of plans, made in a process of its own."""
    script = (
        "import sys\n"
        "from lehr.targets.conformance.golden import some\n"
        "from lehr.targets.registry import get\n"
        "target = get(sys.argv[1])\n"
        "print(*(target.plan(made.net, {}).digest for made in some(target).values()))\n"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run(
        [sys.executable, "-c", script, name],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_plan_is_the_same_in_every_process(target: Target) -> None:
    with_artefact(target)
    here = " ".join(target.plan(each.net, {}).digest for each in some(target).values())
    assert digests(target.name, "1") == digests(target.name, "2") == here


@settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(data=st.data())
def test_what_check_says_of_random_networks(target: Target, data: st.DataObject) -> None:
    net = data.draw(networks() | networks(update="event") | grown_networks())
    problems = target.check(net)
    for problem in problems:
        assert problem.node in net.nodes
        assert problem.reason
        assert problem.hint
        assert "\n" not in str(problem)
    if not problems:
        plan = target.plan(net, {})
        assert plan.files
        assert all(type(content) is bytes for content in plan.files.values())
        assert plan.digest == target.plan(net, {}).digest


# -------------------------------------------------------------------- what it does not state
def too_large() -> Network:
    """Three layers of weights one after another, whose sums leave int32: 255 * 210**3 > 2**31."""
    weight = np.ones((210, 210), np.int8)
    chain = ["input", "fc1", "fc2", "fc3", "lif", OUTPUT]
    nodes = {"fc1": Linear(weight), "fc2": Linear(weight), "fc3": Linear(weight)}
    lif = Neuron(np.ones(210, np.int32), np.zeros(210, np.int32), Arithmetic())
    return Network({**nodes, "lif": lif}, tuple(pairwise(chain)), Input((210,), "u8"), 4)


def test_sums_that_leave_int32_are_refused(target: Target) -> None:
    assert target.check(too_large())


def others(target: Target, net: Network) -> Iterator[tuple[str, Network]]:
    """`net`, which maps, with one thing in it that the target does not state, by what that is."""
    machine, (name, neuron) = target.arithmetics, next(iter(net.neurons.items()))
    if not isinstance(neuron.arithmetic, Program):
        wrong: list[dict[str, Any]] = [
            {field: value} for field in machine.CHOICES for value in VALUES[field]
        ]
        wrong = [
            fields
            for fields in wrong
            for field, value in fields.items()
            if value not in getattr(machine, field)
        ]
        wrong += [
            {"fraction_bits": machine.max_fraction_bits + 1},
            {"state_bits": machine.max_state_bits + 1},
        ]
        for fields in wrong:
            yield from changed(net, name, neuron, str(fields), arithmetic=fields)
    for kind in (kind for kind in KINDS if kind not in target.weights):
        layer, node = next(iter(net.weighted.items()))
        binary = np.where(node.weight < 0, -1, 1).astype(np.int8)
        yield (
            f"weights {kind}",
            replace(net, nodes={**net.nodes, layer: replace(node, weight=binary, kind=kind)}),
        )
    for readout in set(MEMBRANE_READOUTS) - set(target.readouts):
        yield readout, replace(net, readout=readout)
    for front in (Delay(1), Flatten(), Unknown()):
        if type(front) not in target.nodes:
            yield type(front).__name__, in_front(net, front)


def changed(
    net: Network, name: str, neuron: Neuron, change: str, arithmetic: dict[str, Any]
) -> Iterator[tuple[str, Network]]:
    """Yield the network with other fields of one layer, unless they contradict the rest."""
    fields = {
        **arithmetic,
        **({"reset_timing": "same_step"} if arithmetic.get("update") == "event" else {}),
    }
    if fields.get("decay_form") == "shift":
        fields["decay_numerator"] = (1 << neuron.fields.decay_shift) - 1
    try:
        yield (
            change,
            replace(
                net,
                nodes={
                    **net.nodes,
                    name: replace(neuron, arithmetic=replace(neuron.fields, **fields)),
                },
            ),
        )
    except LehrError:
        return


def in_front(net: Network, node: Node) -> Network:
    """`net` with a node between the input and all that hears it, if its shape allows."""
    edges = tuple(("front", b) if a == INPUT else (a, b) for a, b in net.edges)
    flat = isinstance(node, Flatten) and len(net.input.shape) > 1
    return replace(
        net,
        nodes={**net.nodes, "front": Unknown() if flat else node},
        edges=((INPUT, "front"), *edges),
    )


@dataclass(frozen=True, eq=False)
class Unknown(Node):
    """A node that no target has heard of."""

    def output_shape(self, shape: Shape) -> Shape:
        """Unchanged."""
        return shape


def test_what_it_does_not_state_it_does_not_take(target: Target) -> None:
    net = first(target).net
    tried = dict(others(target, net))
    assert "Unknown" in tried
    taken = [change for change, other in tried.items() if not target.check(other)]
    assert not taken, f"{target.name} maps {', '.join(taken)}, which it does not state"


def test_programs_of_statements_that_it_does_not_state_are_refused(target: Target) -> None:
    net = first(target).net
    name, neuron = next(iter(net.neurons.items()))
    written = replace(neuron, arithmetic=neuron.program, synapse=None)
    lacking = {type(s).__name__ for s in neuron.program.all if type(s) not in target.statements}
    problems = target.check(replace(net, nodes={**net.nodes, name: written}))
    assert {kind.__name__ for kind in STATEMENTS} >= lacking
    assert not lacking or any(kind in str(problems) for kind in lacking)


# -------------------------------------------------------------------- options, artefact, estimate
def test_options_are_refused_with_a_sentence(target: Target) -> None:
    net = first(target).net
    with pytest.raises(UsageError, match="no-such-option"):
        build(net, target, options={"no-such-option": "1"})
    for name in target.options:
        with pytest.raises(UsageError, match=name):
            build(net, target, options={name: "no such value \N{SNOWMAN}"})


def test_a_built_artefact_verifies(target: Target, tmp_path: Path) -> None:
    ready(target)
    golden = first(target)
    build(golden.net, target, golden.x).plan.write(tmp_path / "built")
    verified = verify(tmp_path / "built")
    assert verified.comparison.values > 0
    verified.require()


def test_products_are_what_its_makefile_removes(target: Target) -> None:
    makefile = target.plan(first(target).net, {}).files.get("Makefile", b"").decode()
    cleaned = re.search(r"^clean:\n\trm -r?f (.*)$", makefile, re.MULTILINE)
    assert (cleaned is None) == (target.products == ())
    for name in cleaned[1].split() if cleaned else ():
        assert any(
            fnmatchcase(product, pattern)
            for product in (name, f"{name}/x")
            for pattern in target.products
        ), name


def test_estimate_has_units_and_sources(target: Target) -> None:
    with_artefact(target)
    for each in some(target).values():
        assert flowing(each.net, each.expected)
        figures = target.estimate(each.net, each.expected.rates).figures
        assert figures
        assert len({figure.name for figure in figures}) == len(figures)
        for figure in figures:
            assert figure.name
            assert figure.unit
            assert figure.source
            assert math.isfinite(figure.value)
            assert figure.value >= 0


# -------------------------------------------------------------------- the runner
def test_runner_refuses_an_empty_folder_and_a_wrong_input(target: Target, tmp_path: Path) -> None:
    runner, golden = ready(target), first(target)
    with pytest.raises(LehrError):
        runner.run(tmp_path, golden.x)
    target.plan(golden.net, {}).with_manifest({}).write(tmp_path / "built")
    with pytest.raises(LehrError):
        runner.run(tmp_path / "built", golden.x[..., :-1])


def test_runner_leaves_the_artefact_as_it_is(target: Target, tmp_path: Path) -> None:
    golden = first(target)
    run(target, golden.net, golden.x, tmp_path / "built")
    files = {
        str(path.relative_to(tmp_path / "built")): path.read_bytes()
        for path in (tmp_path / "built").rglob("*")
        if path.is_file()
    }
    assert (
        BuildPlan(files).digest
        == (target.plan(golden.net, {}) | golden_plan(golden.net, golden.x))
        .with_manifest({})
        .digest
    )
