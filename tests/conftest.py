"""Fixtures that every folder of tests uses."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# the tests run in as many processes as there are cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ.pop("COLUMNS", None)  # what is printed is as wide as a test says

import budgets
import pytest
import tiers
import torch
from commands import Lehr, run
from hypothesis import HealthCheck, settings
from processes import Children, all_children, reading_in_this_process
from tiny import tiny_toml

pytest_plugins = [
    "lehr.targets.conformance.plugin",  # a checkout that is not installed declares no plugin
    "filled",
]

settings.register_profile(
    "lehr", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lehr")


def pytest_configure(config: pytest.Config) -> None:
    """Let property tests draw as many examples as the tier gives them.

    The second tier is any run that does not leave out what is slow.
    """
    budgets.second_tier = "not slow" not in config.option.markexpr
    if not budgets.second_tier:
        # to optimise a small network's C takes longer than to run it; the second tier does
        os.environ.setdefault("CFLAGS", "-O0")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its tier."""
    tiers.assign(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Say which tests stay together, of those that run with `--dist loadfile`."""
    from scheduling import Scheduling

    return Scheduling(config, log) if config.option.dist == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Seed torch: layers that a module makes while it is read then have the same weights.

    That is so in every run, whatever was read before.
    """
    torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seed torch for every test, whatever ran before."""
    torch.manual_seed(0)


@pytest.fixture
def children() -> Children:
    """Return a function that lists the processes that are there since this test has begun.

    A library may keep a process of its own for a test that ran before.
    """
    before = all_children()
    return lambda: all_children() - before


@pytest.fixture(autouse=True)
def _no_data_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove LEHR_DATA and COLUMNS from the environment.

    A command gets data by --data, or by what the test itself puts into LEHR_DATA.
    """
    monkeypatch.delenv("LEHR_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "80")  # so that it is taken back if a command sets it
    monkeypatch.delenv("COLUMNS")


@pytest.fixture(autouse=True, scope="module")
def _files_are_read_here(request: pytest.FixtureRequest) -> Iterator[None]:
    """Read HDF5 files without a process apart, which takes longer to start than to read.

    The tests of that process, and of the files themselves, keep it.
    """
    if request.path.name.startswith(("test_hdf5", "test_nirfile")):
        yield
        return
    with reading_in_this_process():
        yield


@pytest.fixture(autouse=True, scope="module")
def _no_reader_of_events_stays() -> Iterator[None]:
    """End the processes that have read event files; they would wait for more of them."""
    yield
    if apart := sys.modules.get("lehr.cameras.apart"):
        apart.end()


@pytest.fixture
def lehr() -> Lehr:
    """Return the function that runs a command in this process."""
    return run


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with tiny.toml, run/, model.nir and in.npz, all from the command line."""
    folder = tmp_path_factory.mktemp("line")
    (folder / "tiny.toml").write_text(tiny_toml())
    for command in (
        ("train", folder / "tiny.toml", "-o", folder / "run"),
        ("export", folder / "run", "-o", folder / "model.nir"),
        ("recipes", "samples", folder / "tiny.toml", "-o", folder / "in.npz"),
    ):
        ran = run(*command)
        assert ran.code == 0, ran.err
    return folder
