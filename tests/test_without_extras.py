"""Without any package of an extra, the core's commands work.

Each other command names the line that installs it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib import metadata
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from kernels import needed
from strategies import Builder, small_network

import lehr
from lehr.arithmetic import Arithmetic
from lehr.extras import ALL, CORE, EXTRAS
from lehr.network import Input
from lehr.simulate.fast import shipping

SETTINGS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8")
)["project"]
BLOCKED = sorted({module for packages in EXTRAS.values() for module in packages.values()})
HIDE = f"""
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {BLOCKED} else find(name, path, target)
PathFinder.find_spec = find_spec
"""
RUN = """
import json, sys
from pathlib import Path
from lehr.simulate.fast import shipped
shipped.ARCHIVE = Path("kernels.zip").absolute()
from typer.testing import CliRunner
from lehr.cli.app import app
for name, words in json.load(sys.stdin).items():
    ran = CliRunner().invoke(app, words)
    print(json.dumps([name, [ran.exit_code, ran.stdout, ran.stderr]]))
"""
COMPILED = 0 if shutil.which("cc") and shutil.which("make") else 6
CORE_COMMANDS = {
    "inspect model.nir": 0,
    "check model.nir": 0,
    "check model.nir --target onnx": 0,
    "widths model.nir -i in.npz": 0,
    "simulate model.nir -i in.npz -o out.npz": 0,
    "simulate model.nir -i in.npz --compare out.npz": 0,
    "quantize float.nir --calibrate float.npz --steps 4 --integrate step -o quantized.nir": 0,
    "export model.nir --for norse -o reader.nir": 0,
    "build model.nir --target c -o c -i in.npz": 0,
    "verify c": COMPILED,
    "report c": 0,
    "build model.nir --target fpga -o fpga -i in.npz": 0,
    "verify fpga": 0 if shutil.which("iverilog") else 6,
    "targets list": 0,
    "targets show onnx": 0,
    "targets ops": 0,
    "recipes list": 0,
    "recipes copy digits": 0,
    "models list": 0,
    "models get digits": 0,
    "report model.nir": 0,
    "doctor": 0,
}
NEEDY_COMMANDS = {
    "train digits": "this command needs numba; pip install 'lehr[train]'",
    "demo": "this command needs numba; pip install 'lehr[train]'",
    "export model.py:make -i in.npz -o m.nir": "this command needs torch; pip install 'lehr[train]'",
    "recipes samples digits -o digits.npz": ("this command needs numba; pip install 'lehr[train]'"),
    "simulate model.nir -i in.npz --engine torch": (
        "engine torch needs torch; pip install 'lehr[train]'"
    ),
    "simulate model.nir -i in.npz --engine onnx": (
        "target onnx needs onnx; pip install 'lehr[onnx]'"
    ),
    "build model.nir --target onnx -o onnx2": "target onnx needs onnx; pip install 'lehr[onnx]'",
    "build model.nir --target iree -o iree": "target iree needs onnx; pip install 'lehr[onnx]'",
    "simulate camera.nir -i r.aedat4 --frames step_us=1": (
        "r.aedat4 is AEDAT 4, which aedat decodes: it is not installed; pip install 'lehr[events]'"
    ),
    "report c -o c.html": "lehr.plot needs matplotlib; pip install 'lehr[report]'",
    "verify onnx": "target onnx needs onnx; pip install 'lehr[onnx]'",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python that has the packages of this one, but not those of extras.

    Its children lack them as well.
    """
    place = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "sitecustomize.py").write_text(HIDE)
    packages = sysconfig.get_path("purelib")
    (site / "parent.pth").write_text(f"import site; site.addsitedir({packages!r})\n")
    return place / "bin" / "python"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a network, its inputs, a float graph with its own, a model, and an onnx artefact."""
    folder = tmp_path_factory.mktemp("without")
    net, x = small_network()
    lehr.write(net, folder / "model.nir")
    np.savez(folder / "in.npz", input=x)
    shipping.write(folder / "kernels.zip", needed(net, x))  # as a wheel brings them
    lehr.build(net, "onnx", folder / "onnx", x=x)
    (folder / "model.py").write_text("import torch\n\ndef make():\n    return torch.nn.Flatten()\n")
    camera = Builder(Input((2, 4, 4), "spikes"), np.random.default_rng(0))
    camera.linear("fc", 2)
    camera.neuron("out", Arithmetic())
    lehr.write(camera.network(steps=3), folder / "camera.nir")
    (folder / "r.aedat4").write_bytes(b"#!AER-DAT4.0\r\n")
    ones = np.ones(2, np.float32)
    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "fc": nir.Linear(np.array([[1, 2, 3], [3, -2, 1]], np.float32)),
        "if": nir.IF(ones, ones),
        "output": nir.Output({"output": np.array([2])}),
    }
    nir.write(folder / "float.nir", nir.NIRGraph(nodes, [*pairwise(nodes)]))
    np.savez(folder / "float.npz", input=np.eye(3, dtype=np.uint8))
    return folder


def tell(python: Path, folder: Path, code: str, given: str = "") -> list[str]:
    """Run code there, and return the lines that it prints."""
    ran = subprocess.run(
        [python, "-c", code], cwd=folder, input=given, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.fixture(scope="module")
def ran(python: Path, folder: Path) -> dict[str, tuple[int, str, str]]:
    """Return exit code, stdout and stderr of every command, run in one process."""
    commands = {line: line.split() for line in (*CORE_COMMANDS, *NEEDY_COMMANDS)}
    return dict(map(json.loads, tell(python, folder, RUN, json.dumps(commands))))


@pytest.mark.slow
@pytest.mark.parametrize("command", CORE_COMMANDS)
def test_the_core_needs_no_extra(command: str, ran: dict[str, tuple[int, str, str]]) -> None:
    code, out, err = ran[command]
    assert code == CORE_COMMANDS[command], out + err
    assert "lehr[" not in err


@pytest.mark.slow
@pytest.mark.parametrize("command", NEEDY_COMMANDS)
def test_what_needs_an_extra_says_which(command: str, ran: dict[str, tuple[int, str, str]]) -> None:
    code, _, err = ran[command]
    assert err == f"error: {NEEDY_COMMANDS[command]}\n"
    assert code == 6


@pytest.mark.slow
def test_python_names_the_same(python: Path, folder: Path) -> None:
    code = """
import lehr
def tell(call):
    try:
        call()
    except lehr.errors.ToolMissing as error:
        print(error)
for name in lehr.__all__:
    tell(lambda: getattr(lehr, name))
tell(lambda: lehr.simulate("model.nir", "in.npz", engine="torch"))
tell(lambda: lehr.build("model.nir", "onnx", "onnx3"))
tell(lambda: lehr.verify("onnx"))
import lehr.train, lehr.export
tell(lambda: lehr.train.binarize)
tell(lambda: lehr.export.from_torch)
print(lehr.check("model.nir")["onnx"])
"""
    assert tell(python, folder, code) == [
        "engine torch needs torch; pip install 'lehr[train]'",
        "target onnx needs onnx; pip install 'lehr[onnx]'",
        "target onnx needs onnx; pip install 'lehr[onnx]'",
        "lehr.train.binarize needs snntorch; pip install 'lehr[train]'",
        "lehr.export.from_torch needs torch; pip install 'lehr[train]'",
        "()",
    ]


# -------------------------------------------------------------------- the table of packages
def names(requirements: list[str]) -> list[str]:
    return [line.split(">=")[0] for line in requirements]


def test_the_table_names_what_the_project_file_asks_for() -> None:
    extras = SETTINGS["optional-dependencies"]
    assert list(CORE) == names(SETTINGS["dependencies"])
    assert {name: names(extras[name]) for name in EXTRAS} == {
        name: list(packages) for name, packages in EXTRAS.items()
    }
    assert extras["all"] == [f"lehr[{','.join(ALL)}]"]


@pytest.mark.parametrize("package", [*CORE, *chain(*EXTRAS.values())])
def test_modules_are_what_their_packages_bring(package: str) -> None:
    module = {**CORE, **dict(chain(*(each.items() for each in EXTRAS.values())))}[package]
    try:
        files = metadata.files(package) or ()
    except metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed: pip install {package}")
    assert module in {file.parts[0].partition(".")[0] for file in files}
