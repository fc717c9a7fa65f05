"""Local workers: order, losses, errors, interrupts."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import work
from processes import Children

from lehr.errors import UsageError, WorkerLost
from lehr.workers.asked import workers_of
from lehr.workers.processes import Processes
from lehr.workers.spread import Stopped, spread
from lehr.workers.work import NOTHING, Parcel, Task, Work

X = [np.arange(n, n + 3, dtype=np.int16) for n in range(7)]
SHARED = Parcel({"name": "é"}, {"offset": np.array([[1], [2]])})


def task(number: int, seconds: float = 0) -> Task:
    return Task(
        f"piece {number}",
        work.squares,
        lambda: Parcel({"seconds": seconds}, {"x": X[number]}),
        SHARED,
    )


def one(function: Work, **facts: Any) -> Task:
    return Task("piece", function, lambda: Parcel(facts))


def test_results_come_in_order_whoever_is_quicker(children: Children) -> None:
    slow = [0.5, 0, 0.2, 0, 0, 0.3, 0]
    news: list[tuple[str, int]] = []
    asked: list[int] = []
    got: list[int] = []

    def tasks() -> Iterator[Task]:
        for number, seconds in enumerate(slow):
            asked.append(number)
            assert number < len(got) + 2  # a task may depend on all but the one before it
            yield task(number, seconds)

    with Processes(2) as workers:
        pids = set()
        heard = lambda each, parcel: news.append((each.name, parcel.facts["at"]))  # noqa: E731
        for number, (each, result) in enumerate(spread(workers, tasks(), heard)):
            assert result is not None
            assert each.name == f"piece {number}"
            got.append(number)
            expected = X[number].astype(int) ** 2 + [[1], [2]]
            assert np.array_equal(result.arrays["y"], expected)
            assert result.arrays["y"].shape == (2, 3)
            assert result.arrays["none"].shape == (0, 3)
            assert result.facts["name"] == "é"
            pids.add(result.facts["pid"])
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert sorted(news) == sorted((f"piece {n}", n + k) for n in range(7) for k in range(3))
    assert not children()


@pytest.mark.parametrize(("way", "reason"), [("kill", "SIGKILL"), ("exit", "exit status 7")])
def test_a_lost_task_is_begun_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str, reason: str, children: Children
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "two").mkdir()
    dying = one(work.dies, folder=str(tmp_path / "two"), deaths=2, way=way)
    with Processes(2) as workers:
        first, second, third = spread(workers, [task(0, 1), dying, task(2)])
        assert None not in (first[1], third[1])
        assert second[1] is not None
        assert second[1].facts == {"begun": 2}
        assert not workers._busy
    said = [record.message for record in caplog.records]
    assert sum(f"is lost ({reason}); begun again" in each for each in said) == 2
    assert sum(each.startswith("piece 0: by process ") for each in said) == 1
    assert not children()


def test_a_task_that_ends_three_workers_is_named(tmp_path: Path) -> None:
    dying = one(work.dies, folder=str(tmp_path), deaths=9, way="kill")
    with (
        Processes(2) as workers,
        pytest.raises(WorkerLost, match="^piece has ended 3 workers, the last by SIGKILL, as"),
    ):
        list(spread(workers, [dying, task(1)]))
    assert len(list(tmp_path.iterdir())) == 3
    assert WorkerLost.exit_code == 6


def test_the_first_failing_task_s_error_comes_in_its_turn(children: Children) -> None:
    tasks = [task(0, 0.3), one(work.refuses, what="such thing"), one(work.refuses, what="other")]
    results = spread(workers := Processes(2), tasks)
    with workers:
        assert next(results)[1] is not None
        with pytest.raises(UsageError, match="^no such thing; give another$"):
            next(results)
    assert not children()


def test_a_task_may_be_stopped_by_whoever_hears_of_it(tmp_path: Path) -> None:
    def heard(each: Task, parcel: Parcel) -> None:
        if "value" in parcel.facts:
            assert parcel.facts["value"] == 1.5
            raise Stopped

    with Processes(2) as workers:
        tasks = [one(work.never_ends, folder=str(tmp_path)), task(1), task(2)]
        results = [result for _, result in spread(workers, tasks, heard)]
        gone(tmp_path, 2)
    assert results[0] is None
    assert None not in results[1:]


def gone(folder: Path, count: int) -> None:
    """Wait until the processes that are noted in a folder are gone."""
    noted = [int(each.name) for each in folder.iterdir()]
    assert len(noted) == count
    deadline = time.monotonic() + 20
    while noted and time.monotonic() < deadline:
        for each in list(noted):
            with suppress(ProcessLookupError):
                os.kill(each, 0)
                continue
            noted.remove(each)
        time.sleep(0.01)
    assert not noted


CALLER = """
import signal; signal.signal(signal.SIGINT, signal.default_int_handler)
import work
from lehr.workers.processes import Processes
from lehr.workers.spread import spread
from lehr.workers.work import Parcel, Task
one = Task("piece", work.never_ends, lambda: Parcel({{"folder": {folder!r}}}))
with Processes(2) as workers:
    list(spread(workers, [one, one]))
"""


@pytest.mark.few(1)
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nobody_works_on_when_the_caller_is_ended(tmp_path: Path, ending: signal.Signals) -> None:
    notes, scratch = tmp_path / "notes", tmp_path / "scratch"
    notes.mkdir()
    scratch.mkdir()
    tests = Path(__file__).parents[1]
    environment = os.environ | {
        "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}",
        "TMPDIR": str(scratch),
    }
    with subprocess.Popen(
        [sys.executable, "-c", CALLER.format(folder=str(notes))],
        env=environment,
        stderr=subprocess.DEVNULL,
    ) as caller:
        while len(list(notes.iterdir())) < 4:
            assert caller.poll() is None
            time.sleep(0.01)
        caller.send_signal(ending)
    gone(notes, 4)
    assert ending != signal.SIGINT or not list(scratch.iterdir())


@pytest.mark.parametrize("asked", ["0", "-1", "rya", "ray:", "ray://", "1.5", "", "99999", "²"])
def test_what_no_workers_are(asked: str) -> None:
    with pytest.raises(UsageError) as raised:
        workers_of(asked)
    assert str(raised.value) == (
        f"workers {asked!r} are none; give a number from 1 to 1,024, or 'ray', or 'ray://HOST:PORT'"
    )


def test_one_worker_is_this_process_and_cores_are_divided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert workers_of("1") is workers_of(1) is None
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)))
    for size, cores in ((2, 3), (7, 1), (9, 1)):
        workers = workers_of(size)
        assert workers is not None
        assert (workers.size, workers.cores) == (size, cores)


def test_what_is_shared_is_written_once_and_removed_when_nobody_needs_it() -> None:
    shared = Parcel({"name": "x"}, {"offset": np.zeros(1, np.int16)})
    tasks = [Task("t", work.squares, lambda: Parcel({}, {"x": X[0]}), shared) for _ in range(4)]
    with Processes(2) as workers:
        assert len(list(spread(workers, tasks))) == 4
        (folder,) = {Path(str(workers._written(shared)))}
        assert (folder / "0.npy").exists()
        assert workers._written(NOTHING) is None
        tasks.clear()
        del shared
        assert not folder.exists()
