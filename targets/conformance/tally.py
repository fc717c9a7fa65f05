"""Tally of the golden networks on which a target is exact, of those that map to it and were run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from lehr.errors import LehrError
from lehr.simulate import compare
from lehr.targets.conformance.golden import mapped
from lehr.targets.contract import Target, shown_by


def exact(target: Target) -> Iterator[tuple[str, bool]]:
    """Yield for every golden network that maps to a target its name, and whether it is exact.

    It is where all that the tool shows is equal.

    Raises:
        UsageError: when no tool runs the target.
        ToolMissing: when the tool is not there.
    """
    runner = target.require_runner()
    for name, example in mapped(target).items():
        with tempfile.TemporaryDirectory(prefix="lehr-") as scratch:
            folder = Path(scratch) / "built"
            target.plan(example.net, {}).with_manifest({"target": target.name}).write(folder)
            try:
                got = runner.run(folder, example.x)
                yield name, compare(example.expected.trace, got, shown_by(runner)).equal
            except LehrError:
                yield name, False
