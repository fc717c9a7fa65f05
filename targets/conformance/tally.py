"""Tally of the golden networks on which a target is exact, of those that map to it and were run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from lehr.errors import LehrError
from lehr.simulate import compare
from lehr.targets.conformance.golden import mapped
from lehr.targets.contract import Target, shown_by
from lehr.targets.registry import get
from lehr.workers.spread import spread
from lehr.workers.work import NOTHING, Parcel, Send, Task, Workers


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


def tallies(
    targets: Iterable[Target],
    workers: Workers | None,
    advance: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[str, list[bool]]]:
    """Yield for every target its name, and of each golden network whether it is exact.

    Args:
        targets: whose tools are there.
        workers: who run them, a target each; this process if None.
        advance: is told the name of the target after each network.

    Raises:
        UsageError, ToolMissing: as `exact`.
        WorkerLost: when a target's tool has ended three workers.
    """
    tasks = (Task(each.name, tally_at, partial(Parcel, {"target": each.name})) for each in targets)
    if workers is None:
        for task in tasks:
            done = tally_at(task.own(), NOTHING, partial(_told, advance, task))
            yield task.name, done.facts["exact"]
        return
    for task, result in spread(workers, tasks, partial(_told, advance)):
        assert result is not None
        yield task.name, result.facts["exact"]


def _told(advance: Callable[[str], None], task: Task, _: Parcel) -> None:
    advance(task.name)


def tally_at(own: Parcel, _: Parcel, send: Send) -> Parcel:
    """Run the golden networks of a target; what a worker does."""
    outcomes = []
    for _name, equal in exact(get(own.facts["target"])):
        outcomes.append(equal)
        send(NOTHING)
    return Parcel({"exact": outcomes})
