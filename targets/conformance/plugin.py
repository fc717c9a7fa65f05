"""Plugin of pytest that chooses the targets of the suite.

They are those of `--lehr-target NAME`, and all that are registered without it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "lehr.targets.conformance"
HERE = Path(__file__).resolve().parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("lehr")
    meaning = (
        "a registered target that the suite lehr.targets.conformance is to run over, more than "
        "once for several; all if not given"
    )
    group.addoption("--lehr-target", action="append", default=[], metavar="NAME", help=meaning)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the tests of the suite, wherever they are collected, their targets."""
    if metafunc.function.__module__.startswith(f"{PACKAGE}.") and "target" in metafunc.fixturenames:
        metafunc.parametrize(
            "target",
            _chosen(metafunc.config.getoption("--lehr-target")),
            ids=lambda target: target.name,
        )


def _chosen(names: Iterable[str]) -> list[Any]:
    from lehr.errors import LehrError
    from lehr.targets.registry import get, targets

    try:
        return [get(name) for name in names] or list(targets())
    except (LehrError, ImportError) as error:
        raise pytest.UsageError(f"--lehr-target: {error}") from None


# -------------------------------------------------------------------- a checkout, whose folder
# `targets` is lehr.targets
class _Module(pytest.Module):
    """A module of the suite, imported by its own name."""

    def _getobj(self) -> Any:
        return importlib.import_module(f"{PACKAGE}.{self.path.stem}")


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Import the suite's modules as parts of lehr, whatever the folder above them is called."""
    return (
        _Module.from_parent(parent, path=module_path)
        if module_path.resolve().parent == HERE
        else None
    )


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Import no package for the folders above them."""
    return (
        pytest.Dir.from_parent(parent, path=path) if path.resolve() in (HERE, HERE.parent) else None
    )
