"""What every registered target must do. A new target writes no test to be covered.

A target that is known not to be exact on a golden network says so in a file `xfail.txt` beside its class: one line each, the name
of the network and the reason. The test then fails as soon as the network becomes exact.
"""

from __future__ import annotations

import inspect
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from golden_networks import GOLDEN, MUTATIONS, SYNAPSE_MUTATIONS, example, mapped
from hypothesis import given, settings
from hypothesis import strategies as st
from states import MEMBRANE_READOUTS, grown_networks
from strategies import Images, networks

from lehr.arithmetic import Arithmetic
from lehr.artifact import BuildPlan
from lehr.errors import LehrError, UsageError
from lehr.network import OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate import Trace, compare, simulate
from lehr.targets.build import build, verify
from lehr.targets.contract import Arithmetics, Runner, Target
from lehr.targets.golden import golden_plan
from lehr.targets.registry import Entry, entries, targets
from lehr.weights import KINDS

ROOT = Path(__file__).resolve().parents[2]
every_target = pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)


def ready(target: Target) -> Runner:
    """The runner of a target, where its tool is on this machine."""
    runner = target.runner()
    if runner is None:
        pytest.skip(f"{target.name} has no tool that runs its artefacts")
    if missing := runner.missing():
        pytest.skip(missing)
    return runner


def known_failures(target: Target) -> dict[str, str]:
    """Golden networks on which a target is known not to be exact, and why."""
    listed = Path(inspect.getfile(type(target))).parent / "xfail.txt"
    lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    return {name: reason.strip() for name, _, reason in (line.partition(" ") for line in lines if line.strip())}


def run(target: Target, net: Network, x: Images, folder: Path) -> Trace:
    """Build `net` for a target, with golden vectors, and run it in the target's own tool."""
    (target.plan(net, {}) | golden_plan(net, x)).with_manifest({}).write(folder)
    return ready(target).run(folder, x)


# -------------------------------------------------------------------- the registry
@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_registered_target_loads(entry: Entry) -> None:
    assert entry.target is not None, entry.reason


def test_names_and_summaries() -> None:
    assert targets()
    assert len({entry.name for entry in entries()}) == len(entries())
    for target in targets():
        assert target.name == target.name.lower()
        assert target.name.replace("-", "").isalnum()
        assert target.summary
        assert "\n" not in target.summary
        assert all(target.options.values())


# -------------------------------------------------------------------- check and plan
@every_target
def test_some_golden_network_maps(target: Target) -> None:
    assert mapped(target), f"no golden network maps to {target.name}: nothing about it is tested"


@cache
def digests(hash_seed: str) -> dict[str, str]:
    """Digests of plans, made in a process of its own."""
    script = (
        "from golden_networks import mapped\n"
        "from lehr.targets.registry import targets\n"
        "for target in targets():\n"
        "    print(target.name, *(target.plan(net, {}).digest for net, _, _ in mapped(target).values()))\n"
    )
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@every_target
def test_plan_is_the_same_in_every_process(target: Target) -> None:
    here = " ".join(target.plan(net, {}).digest for net, _, _ in mapped(target).values())
    assert digests("1")[target.name] == digests("2")[target.name] == here


@every_target
@settings(max_examples=40)
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


def too_large() -> Network:
    """Three layers of weights one after another, whose sums leave int32: 255 * 210**3 > 2**31."""
    weight = np.ones((210, 210), np.int8)
    chain = ["input", "fc1", "fc2", "fc3", "lif", OUTPUT]
    nodes = {"fc1": Linear(weight), "fc2": Linear(weight), "fc3": Linear(weight)}
    lif = Neuron(np.ones(210, np.int32), np.zeros(210, np.int32), Arithmetic())
    return Network({**nodes, "lif": lif}, tuple(pairwise(chain)), Input((210,), "u8"), 4)


@every_target
def test_sums_that_leave_int32_are_refused(target: Target) -> None:
    problems = target.check(too_large())
    assert problems
    assert {problem.node for problem in problems} <= {"fc3", "lif"}


@every_target
def test_arithmetic_that_the_machine_lacks_is_a_problem(target: Target) -> None:
    for name, allowed in ((name, getattr(target.arithmetics, name)) for name in Arithmetics.CHOICES):
        for golden in GOLDEN:
            if golden.fields.get(name, allowed[0]) not in allowed:
                assert isinstance(example(target, golden.name), str), f"{golden.name} maps, but {name} is not among {allowed}"


@every_target
def test_synapse_states_and_readouts_that_the_machine_lacks_are_a_problem(target: Target) -> None:
    if not target.arithmetics.synapse:
        assert "its neurons have a synapse state" in str(example(target, "synapse"))
    for readout in set(MEMBRANE_READOUTS) - set(target.readouts):
        assert not isinstance(example(target, readout), tuple), f"{readout} maps, but is not among {target.readouts}"


@every_target
def test_weights_that_the_machine_lacks_are_a_problem(target: Target) -> None:
    for kind in set(KINDS[1:]) - set(target.weights):
        assert "weights are" in str(example(target, f"weights_{kind}")), f"{kind} weights map, but are not among {target.weights}"


# -------------------------------------------------------------------- options, artefact, estimate
@every_target
def test_options_are_refused_with_a_sentence(target: Target) -> None:
    net = next(iter(mapped(target).values()))[0]
    with pytest.raises(UsageError, match="no-such-option"):
        build(net, target, options={"no-such-option": "1"})
    for name in target.options:
        with pytest.raises(UsageError, match=name):
            build(net, target, options={name: "no such value \N{SNOWMAN}"})


@every_target
def test_a_built_artefact_verifies(target: Target, tmp_path: Path) -> None:
    ready(target)
    net, x, _ = next(iter(mapped(target).values()))
    build(net, target, x).plan.write(tmp_path / "built")
    verified = verify(tmp_path / "built")
    assert verified.comparison.values > 0
    verified.require()


@every_target
def test_products_are_what_its_makefile_removes(target: Target) -> None:
    net, *_ = next(iter(mapped(target).values()))
    makefile = target.plan(net, {}).files.get("Makefile", b"").decode()
    cleaned = re.search(r"^clean:\n\trm -r?f (.*)$", makefile, re.MULTILINE)
    assert (cleaned is None) == (target.products == ())
    for name in cleaned[1].split() if cleaned else ():
        assert any(fnmatchcase(made, pattern) for made in (name, f"{name}/x") for pattern in target.products), name


@every_target
def test_estimate_has_units_and_sources(target: Target) -> None:
    for net, _, expected in mapped(target).values():
        figures = target.estimate(net, expected.rates).figures
        assert figures
        assert len({figure.name for figure in figures}) == len(figures)
        for figure in figures:
            assert figure.name
            assert figure.unit
            assert figure.source
            assert math.isfinite(figure.value)
            assert figure.value >= 0


# -------------------------------------------------------------------- bit-exactness
@every_target
@pytest.mark.parametrize("name", [golden.name for golden in GOLDEN])
def test_golden_network_is_exact(target: Target, name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made = example(target, name)
    if isinstance(made, str):
        pytest.skip(made)
    if reason := known_failures(target).get(name):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    net, x, expected = made
    comparison = compare(expected.trace, run(target, net, x, tmp_path / "built"))
    assert comparison.values == sum(membranes.size for membranes in expected.trace.membranes.values()) > 0
    comparison.require_equal(target.name)


@every_target
def test_known_failures_name_golden_networks_and_reasons(target: Target) -> None:
    known = known_failures(target)
    assert known.keys() <= {golden.name for golden in GOLDEN}
    assert all(known.values())


@every_target
@pytest.mark.parametrize(
    ("name", "mutate"),
    [*product(["small", "weights_ternary", "weights_int8"], MUTATIONS), *product(["synapse"], SYNAPSE_MUTATIONS)],
)
def test_one_changed_unit_is_detected(target: Target, name: str, mutate: Callable[[Network], Network], tmp_path: Path) -> None:
    if name not in mapped(target):
        pytest.skip(str(example(target, name)))
    net, x, expected = mapped(target)[name]
    mutant = mutate(net)
    got = run(target, mutant, x, tmp_path / "built")
    assert not compare(expected.trace, got).equal
    compare(simulate(mutant, x, trace=mutant.neurons).trace, got).require_equal(target.name)


@every_target
def test_more_and_fewer_samples_than_golden_ones(target: Target, tmp_path: Path) -> None:
    net, x, expected = next(iter(mapped(target).values()))
    got = run(target, net, x, tmp_path / "built")
    one = ready(target).run(tmp_path / "built", x[-1:])
    many = ready(target).run(tmp_path / "built", np.concatenate([x, x[::-1]]))
    for name in net.neurons:
        assert np.array_equal(one.membranes[name], got.membranes[name][-1:])
        assert np.array_equal(many.membranes[name][len(x) :], expected.trace.membranes[name][::-1])


# -------------------------------------------------------------------- bad input to the runner
@every_target
def test_runner_refuses_an_empty_folder_and_a_wrong_input(target: Target, tmp_path: Path) -> None:
    runner = ready(target)
    net, x, _ = next(iter(mapped(target).values()))
    with pytest.raises(LehrError):
        runner.run(tmp_path, x)
    target.plan(net, {}).with_manifest({}).write(tmp_path / "built")
    with pytest.raises(LehrError):
        runner.run(tmp_path / "built", x[..., :-1])


@every_target
def test_runner_leaves_the_artefact_as_it_is(target: Target, tmp_path: Path) -> None:
    net, x, _ = next(iter(mapped(target).values()))
    run(target, net, x, tmp_path / "built")
    found = {str(path.relative_to(tmp_path / "built")): path.read_bytes() for path in (tmp_path / "built").rglob("*") if path.is_file()}
    assert BuildPlan(found).digest == (target.plan(net, {}) | golden_plan(net, x)).with_manifest({}).digest
