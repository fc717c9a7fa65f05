"""The wheel in an empty environment of each Python there is.

There is no torch and no numba, every core command works, and the results are the same.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from archives import ran_from
from checkouts import ROOT, copy_checkout, succeed
from strategies import small_network

import lehr
from lehr.extras import CORE, EXTRAS
from lehr.targets.environments import pythons

VERSIONS = ("3.11", "3.12", "3.13")
COMMANDS = (
    "inspect model.nir",
    "check model.nir",
    "check model.nir --target c",
    "widths model.nir -i in.npz",
    "simulate model.nir -i in.npz -o out.npz --trace all",
    "simulate model.nir -i in.npz --compare reference",
    "export model.nir --for snntorch -o reader.nir",
    "build model.nir --target c -o c -i in.npz",
    "build model.nir --target fpga -o fpga -i in.npz",
    "report c",
    "targets list",
    "recipes list",
    "recipes copy digits",
    "doctor",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this checkout."""
    checkout = copy_checkout(tmp_path_factory.mktemp("wheel") / "checkout")
    succeed(sys.executable, "-m", "build", "--no-isolation", "--wheel", ".", cwd=checkout)
    return next((checkout / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def archive(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the kernels that come with the wheel."""
    with zipfile.ZipFile(wheel) as files:
        return Path(files.extract("lehr/simulate/fast/kernels.zip", tmp_path_factory.mktemp("all")))


@pytest.fixture(scope="module", params=VERSIONS)
def core(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the programs of an environment of one Python.

    In it, pip has installed the wheel, and what that asks for.
    """
    base = next(pythons(request.param), None)
    if base is None:
        pytest.skip(f"Python {request.param} is not on this machine")
    venv = tmp_path_factory.mktemp("core")
    succeed(base, "-m", "venv", "--without-pip", venv, cwd=venv)
    pip = (sys.executable, "-m", "pip", "--python", venv / "bin" / "python")
    kept = ("-c", ROOT / "constraints.txt")
    succeed(*pip, "install", "--quiet", "--no-input", *kept, wheel, cwd=venv, env=os.environ)
    succeed(*pip, "check", cwd=venv, env=os.environ)
    return venv / "bin"


def test_pip_brings_the_core_alone(core: Path, tmp_path: Path) -> None:
    code = (
        "import json; from importlib.metadata import distributions;"
        "print(json.dumps([each.name.lower().replace('_', '-') for each in distributions()]))"
    )
    installed = set(json.loads(succeed(core / "python", "-c", code, cwd=tmp_path)))
    assert {"lehr", *CORE} <= installed
    assert not installed & {package for packages in EXTRAS.values() for package in packages}


def test_importing_lehr_imports_no_array_library(core: Path, tmp_path: Path) -> None:
    code = "import sys, lehr; print(sorted({'numpy', 'numba', 'h5py'} & set(sys.modules)))"
    assert succeed(core / "python", "-W", "error", "-c", code, cwd=tmp_path) == "[]\n"


def test_every_file_compiles_without_a_warning(core: Path, tmp_path: Path) -> None:
    (package,) = core.parent.glob("lib/python*/site-packages/lehr")
    compiler = (core / "python", "-W", "error", "-m", "compileall", "-q", "-f")
    succeed(*compiler, package, cwd=tmp_path)


def test_the_core_commands_work_and_give_the_same(core: Path, tmp_path: Path) -> None:
    net, x = small_network()
    lehr.write(net, tmp_path / "model.nir")
    np.savez(tmp_path / "in.npz", input=x)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")}
    printed = [succeed(core / "lehr", *line.split(), cwd=tmp_path, env=env) for line in COMMANDS]
    assert (
        "kernels of the engine 'fast': compiled ones came with this installation\n" in printed[-1]
    )
    expected = lehr.simulate(net, x, trace="all", engine="reference")
    assert all(spikes.any() for spikes in expected.trace.spikes.values())
    with np.load(tmp_path / "out.npz") as out:
        for layer, spikes in expected.trace.spikes.items():
            assert np.array_equal(out[f"spikes.{layer}"], spikes)
            assert np.array_equal(out[f"membrane.{layer}"], expected.trace.membranes[layer])


@pytest.mark.skipif(not shutil.which("cc") or not shutil.which("make"), reason="no C compiler")
def test_c_is_verified(core: Path, tmp_path: Path) -> None:
    net, x = small_network()
    lehr.build(net, "c", tmp_path / "c", x=x)
    printed = succeed(core / "lehr", "verify", "c", cwd=tmp_path, env=os.environ)
    assert re.search(r": 0 of [\d,]+ membranes and 0 spikes differ$", printed, re.MULTILINE)
    assert printed.endswith("PASS\n")


@pytest.mark.parametrize("processor", ["", "x86-64-v2", "x86-64-v3"])
def test_all_networks_are_exact_from_the_whole_archive(
    archive: Path, tmp_path: Path, processor: str
) -> None:
    if processor and platform.machine() != "x86_64":
        pytest.skip("names processors of x86-64")
    named = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""} if processor else {}
    tests = (
        "test_random_networks_are_exact",
        "test_random_networks_that_update_by_event_are_exact",
        "test_random_networks_with_two_states_are_exact",
    )
    assert ran_from(archive, tmp_path, "all", *(() if processor else tests), **named) == "False"
