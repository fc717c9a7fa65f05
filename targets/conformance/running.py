"""Building and running a network in a target's own tool, for the tests of the suite."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from lehr.errors import ToolMissing
from lehr.network import Network
from lehr.simulate import Comparison, Trace, compare
from lehr.targets.conformance.building import Images
from lehr.targets.conformance.claims import Example
from lehr.targets.conformance.golden import example, some
from lehr.targets.contract import Runner, Target, shown_by
from lehr.targets.golden import golden_plan


def with_artefact(target: Target) -> None:
    """Skip the test for a target that only checks, by its name and reason."""
    if target.no_artefact:
        pytest.skip(f"{target.name} only checks: {target.no_artefact}")


def ready(target: Target) -> Runner:
    """Return the runner of a target, where its tool is on this machine."""
    with_artefact(target)
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
    return {
        name: reason.strip()
        for name, _, reason in (line.partition(" ") for line in lines if line.strip())
    }


def run(target: Target, net: Network, x: Images, folder: Path) -> Trace:
    """Build `net` for a target, with golden vectors, and run it in the target's own tool.

    Skip the test where the tool is not here.
    """
    (target.plan(net, {}) | golden_plan(net, x)).with_manifest({}).write(folder)
    try:
        return ready(target).run(folder, x)
    except ToolMissing as error:  # of several tools, the one that runs such a network
        pytest.skip(str(error))


def require_exact(target: Target, expected: Trace, got: Trace) -> Comparison:
    """Compare all that a target's tool shows, and fail where a value differs."""
    comparison = compared(target, expected, got)
    comparison.require_equal(target.name)
    return comparison


def compared(target: Target, expected: Trace, got: Trace) -> Comparison:
    """Compare all that a target's tool shows."""
    return compare(expected, got, shown_by(ready(target)))


def needed(target: Target, name: str) -> Example:
    """Return a golden network in the target's form; the test is skipped where none maps."""
    golden = example(target, name)
    if isinstance(golden, str):
        pytest.skip(golden)
    return golden


def first(target: Target) -> Example:
    """Return the first golden network that maps to a target.

    Fails the test where there is none: nothing about the target is tested then.
    """
    with_artefact(target)
    examples = some(target)
    if not examples:
        pytest.fail(
            f"no golden network maps to {target.name}: nothing about it is tested; "
            f"{example(target, 'small')}"
        )
    return next(iter(examples.values()))
