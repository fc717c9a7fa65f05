"""Workers on a cluster of Ray: two nodes, on this machine, that see no folder of the command's."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nodes
import numpy as np
import pytest
from tiny import tiny_toml

pytest.importorskip("ray")
pytest.importorskip("grpc")

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parents[1]
EPOCHS = "train.epochs=8"


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """Yield the environment of commands that find the cluster, and `CLIENTS`, its other address."""
    with nodes.cluster(TESTS) as addresses:
        places = os.pathsep.join((str(TESTS), str(TESTS.parent)))
        yield {
            **os.environ,
            "PYTHONPATH": places,
            "RAY_ADDRESS": addresses.cluster,
            "CLIENTS": addresses.clients,
        }


@contextmanager
def command(
    cluster: dict[str, str], folder: Path, *words: object
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "lehr", *map(str, words)],
        cwd=folder,
        env=cluster,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        yield started


def ran(cluster: dict[str, str], folder: Path, *words: object) -> str:
    """Run a command to its end, and return what it said on stderr."""
    with command(cluster, folder, *words) as started:
        out, err = started.communicate()
    assert started.returncode == 0, out + err
    return err


def at_work(name: str) -> list[int]:
    """Return the processes of Ray's that are at a task."""
    found = []
    for place in Path("/proc").iterdir():
        with suppress(OSError):
            if (
                place.name.isdecimal()
                and f"ray::{name}".encode() in (place / "cmdline").read_bytes()
            ):
                found.append(int(place.name))
    return found


def tree(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a recipe, and what one process makes of it."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "tiny.toml").write_text(tiny_toml())
    ran(dict(os.environ), folder, "train", "tiny.toml", "--seeds", 2, "--set", EPOCHS, "-o", "run")
    for words in (
        ("export", "run-seed-5", "-o", "model.nir"),
        ("recipes", "samples", "tiny.toml", "-o", "in.npz"),
        ("simulate", "model.nir", "-i", "in.npz", "--trace", "all", "-o", "out.npz"),
    ):
        ran(dict(os.environ), folder, *words)
    return folder


def test_a_killed_worker_of_ray_changes_no_byte(
    cluster: dict[str, str], alone: Path, tmp_path: Path
) -> None:
    words = ("train", alone / "tiny.toml", "--seeds", 2, "--set", EPOCHS, "-o", "run")
    with command(cluster, tmp_path, *words, "--workers", "ray") as started:
        while not (tmp_path / "run-seed-6.unfinished").exists():
            assert started.poll() is None
            time.sleep(0.01)
        (worker,) = at_work("run-seed-6")
        os.kill(worker, signal.SIGKILL)
        _, err = started.communicate()
    assert started.returncode == 0, err
    assert f"run-seed-6: process {worker} on " in err
    assert "is lost (WorkerCrashedError); begun again" in err
    assert len(re.findall(r"run-seed-\d: by process \d+ on ", err)) == 2
    for seed in (5, 6):
        one = tree(alone / f"run-seed-{seed}")
        assert one == tree(tmp_path / f"run-seed-{seed}")
        assert len(one) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-seed-5", "run-seed-6"]
    assert len(re.findall(r"run-seed-6: phase A, epoch \d/8", err)) == 8


@pytest.mark.parametrize("where", ["RAY_ADDRESS", "CLIENTS"])
def test_a_simulation_is_the_same_file(
    cluster: dict[str, str], alone: Path, tmp_path: Path, where: str
) -> None:
    workers = "ray" if where == "RAY_ADDRESS" else cluster[where]
    inputs = (alone / "model.nir", "-i", alone / "in.npz")
    words = ("simulate", *inputs, "--trace", "all", "-o", "out.npz", "--workers", workers)
    err = ran(cluster, tmp_path, *words)
    assert (tmp_path / "out.npz").read_bytes() == (alone / "out.npz").read_bytes()
    assert 0 < np.load(alone / "out.npz")["spikes.lif1"].mean() < 1
    assert re.search(r"^tasks: \d by process \d+ on ", err, re.MULTILINE)


def test_nobody_works_on_after_an_interrupt(
    cluster: dict[str, str], alone: Path, tmp_path: Path
) -> None:
    words = ("train", alone / "tiny.toml", "--seeds", 2, "--set", EPOCHS, "-o", "run")
    with command(cluster, tmp_path, *words, "--workers", "ray") as started:
        assert started.stderr is not None
        assert any("epoch 1/" in line for line in started.stderr)
        started.send_signal(signal.SIGINT)  # seven epochs of each seed are to come
        out, err = started.communicate()
    assert started.returncode == 130, out + err
    deadline = time.monotonic() + 60
    while at_work("run-seed") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not at_work("run-seed")
    ran(cluster, tmp_path, *words, "--workers", 2, "--resume")
    for seed in (5, 6):
        assert tree(alone / f"run-seed-{seed}") == tree(tmp_path / f"run-seed-{seed}")


SHARED_ONCE = """
import numpy as np, ray, work
from lehr.workers.cluster import Cluster
from lehr.workers.spread import spread
from lehr.workers.work import Parcel, Task
puts, put = [], ray.put
ray.put = lambda value: puts.append(1) or put(value)
shared = Parcel({"name": "x"}, {"offset": np.zeros(1_000_000, np.int64)})
own = Parcel({}, {"x": np.ones(1, np.int16)})
with Cluster(None) as workers:
    assert workers.size == 2
    done = list(spread(workers, [Task("t", work.squares, lambda: own, shared)] * 5))
assert [result.arrays["y"].sum() for _, result in done] == [1_000_000] * 5
print(len(puts))
"""
FAILS = """
import work
from lehr.workers.cluster import Cluster
from lehr.workers.spread import spread
from lehr.workers.work import Parcel, Task
with Cluster(None) as workers:
    list(spread(workers, [Task("t", work.refuses, lambda: Parcel({"what": "such thing"}))]))
"""


def test_what_is_shared_is_put_into_the_store_once(cluster: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHARED_ONCE], env=cluster, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_a_refusal_comes_back_as_it_is(cluster: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILS], env=cluster, capture_output=True, text=True
    )
    assert done.stderr.strip().endswith("lehr.errors.UsageError: no such thing; give another")
