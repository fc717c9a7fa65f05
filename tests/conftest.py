"""Fixtures that every folder of tests uses."""

from __future__ import annotations

import os
import re
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run in as many processes as there are cores

import budgets
import pytest
import torch
from commands import Lehr, run
from hypothesis import HealthCheck, settings
from tiny import tiny_toml

from lehr.targets.registry import entries

pytest_plugins = ["lehr.targets.conformance.plugin"]  # a checkout that is not installed declares no plugin of pytest

VERILOG = (
    "small",
    "recurrent",
    "delayed",
    "weights_int8",
    "synapse",
    "saturate_at_8_bits",
    "wrap_at_8_bits",
    "machine_reckon",
    "small-weight",
)
"""Golden networks, and a change of one unit, that the first tier runs in Verilog."""

CHIPS = {entry.name for entry in entries()} - {"c", "fpga", "onnx"}
"""Targets for machines that others made, whose tests `make test-chips` runs in both tiers."""

settings.register_profile("lehr", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lehr")


def pytest_configure(config: pytest.Config) -> None:
    """Property tests draw as many examples as the tier gives them: the second one is any run that does not leave out what is slow."""
    budgets.second_tier = "not slow" not in config.option.markexpr


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most of the conformance of Verilog to the second tier, and all that of chips: a simulator takes a second and more a network."""
    for item in items:
        suite = re.search(r"test_conformance\.py::\w+\[(\w+)", item.nodeid)
        own = re.search(r"/test_([a-z0-9]+)(?:_\w+)?\.py::", item.nodeid)
        if (suite and suite[1] in CHIPS) or (own and own[1] in (*CHIPS, "chip")):
            item.add_marker(pytest.mark.chips)
        if suite and suite[1] in CHIPS:
            item.add_marker(pytest.mark.slow)
        verilog = re.search(r"test_conformance\.py::(\w+)\[fpga(?:-(.*))?\]", item.nodeid)
        runs = ("test_golden_network_is_exact", "test_one_changed_unit_is_detected")
        if (verilog and verilog[1] in runs and verilog[2] not in VERILOG) or re.search(
            r"test_(plan_is_the_same_in_every_process|more_and_fewer_samples_than_golden_ones)\[(fpga|c)\]", item.nodeid
        ):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Layers that a module makes while it is read have the same weights in every run, whatever was read before."""
    torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The same of every test, whatever ran before."""
    torch.manual_seed(0)


@pytest.fixture
def lehr() -> Lehr:
    """Runs a command in this process."""
    return run


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny.toml, run/, model.nir and in.npz, all made through the command line itself."""
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
