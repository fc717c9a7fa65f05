"""Samples that are verified by several workers: as by one, to the first difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import Children
from strategies import small_network

from lehr.errors import FileRefused, UsageError
from lehr.targets import golden, registry, spread_verify
from lehr.targets.build import build, verify
from lehr.targets.contract import MachineTrace
from lehr.targets.onnx.runner import OnnxRuntime
from lehr.targets.spread_verify import verify_by
from lehr.targets.verification import verified, verify_here
from lehr.workers.processes import Processes
from lehr.workers.work import Done, Event, Parcel, Task

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an artefact with seven golden samples."""
    folder = tmp_path_factory.mktemp("built") / "onnx"
    net, x = small_network(samples=7)
    build(net, registry.get("onnx"), x).plan.write(folder)
    return folder


class Here:
    """Workers of a cluster, of one process: this one."""

    here, cores, size = False, 1, 3

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self, number: int, task: Task) -> None:
        self.tasks[number] = task

    def wait(self) -> Event:
        number, task = self.tasks.popitem()
        try:
            result: Parcel | Exception = task.work(task.own(), task.shared, lambda _: None)
        except UsageError as error:
            result = error
        return Done(number, "here", result)

    def stop(self, number: int) -> None: ...


@pytest.mark.slow
def test_two_workers_verify_what_one_process_does(out: Path, children: Children) -> None:
    alone = verify(out)
    with Processes(2) as workers:
        both = verify_by(workers, out)
        few = verify_by(workers, out, 3)
    assert both == alone
    assert both.samples == 7
    assert few == verify(out, 3)
    assert not children()


def test_the_first_difference_is_named_by_its_sample(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        spread_verify,
        "verify_within",
        lambda folder, start, stop, timeout: verified(str(folder), start, stop),
    )
    exact = verify_by(Here(), out)
    assert exact == verify_here(out)
    assert exact.comparison.equal
    x, _ = golden.read_golden(small_network(samples=7)[0], out)
    right = np.array(exact.predictions)
    run = OnnxRuntime.run

    def other(this: OnnxRuntime, folder: Path, these: Any) -> MachineTrace:
        """Change a membrane by one, and the decision, in samples 5 and 6."""
        trace = run(this, folder, these)
        membranes = {name: array.copy() for name, array in trace.membranes.items()}
        at = [next(n for n in range(7) if np.array_equal(x[n], each)) for each in these]
        decision = right[at]
        for number in (n for n, sample in enumerate(at) if sample > 4):
            membranes["lif1"][number].flat[3] += 1
            decision[number] += 1
        return MachineTrace(trace.spikes, membranes, decision)

    monkeypatch.setattr(OnnxRuntime, "run", other)
    got, expected = verify_by(Here(), out), verify_here(out)
    assert expected.comparison.first is not None
    assert expected.comparison.first.sample == 5
    assert expected.comparison.membranes == 2
    assert expected.misjudged == (5, 6)
    assert got == expected


def test_what_is_no_artefact_is_refused_as_by_one_process(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises((UsageError, FileRefused)) as one:
            verify(folder)
        with pytest.raises((UsageError, FileRefused)) as other:
            verify_by(Here(), folder)
        assert str(one.value) == str(other.value)
