"""`lehr doctor`: what is installed and what is missing."""

from __future__ import annotations

import platform
import sys

from lehr import __version__
from lehr.cli.console import Json, session

PACKAGES = (
    "numpy",
    "torch",
    "snntorch",
    "numba",
    "nir",
    "nirtorch",
    "onnx",
    "onnxruntime",
    "h5py",
    "safetensors",
    "pydantic",
    "scikit-learn",
)


def doctor(as_json: Json = False) -> None:
    """Tell what this machine has: packages, targets and their tools, and how to get what is missing."""
    with session(as_json) as out:
        from lehr.errors import ToolMissing
        from lehr.targets import registry

        packages = {name: _version(name) for name in PACKAGES}
        tools = {}
        for entry in registry.entries():
            runner = entry.target.runner() if entry.target else None
            without = "only checks, needs no tool" if entry.target and entry.target.no_artefact else "has no tool"
            tools[entry.name] = entry.reason or (without if runner is None else runner.missing() or "ready")
        out.say(f"lehr {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}, {sys.executable}")
        out.table(("package", "version"), list(packages.items()))
        out.table(("target", "tool"), list(tools.items()))
        kept = _machine_code()
        out.say(f"machine code of the engine 'fast' is kept {kept}")
        out.facts.update(lehr=__version__, python=platform.python_version(), packages=packages, targets=tools, machine_code=kept)
        if "missing" in packages.values():
            raise ToolMissing("a package is missing; install lehr again with its dependencies (pip install lehr)")


def _machine_code() -> str:
    """Where the fast engine keeps its machine code, and the way out where it cannot."""
    try:
        from lehr.simulate.fast.machine import folder
    except ImportError:
        return "nowhere: a package is missing"
    if (place := folder()) is None:
        return "nowhere, so that each run compiles it; set NUMBA_CACHE_DIR to a folder that only you can write to"
    return f"in {place}"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
