"""The rules of the house that a linter does not know: which folder may import which, and how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "lehr": set(),
    "export": {"lehr"},
    "train": {"simulate", "export", "lehr"},
    "simulate": {"export", "lehr"},
    "targets": {"simulate", "export", "lehr"},
}
LINES = 300


def files(folder: str) -> Iterator[Path]:
    """The modules of a folder; of lehr/ those of the shared vocabulary, not the command line."""
    yield from sorted((ROOT / folder).glob("*.py") if folder == "lehr" else (ROOT / folder).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """Every module that a file imports, wherever in the file it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            assert node.module
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def part(module: str) -> str | None:
    """The folder in which a module of lehr lies; "cli" for the command line, None for others' modules."""
    first, _, rest = module.partition(".")
    second = rest.partition(".")[0]
    return None if first != "lehr" else second if second in {*MAY_IMPORT, "cli"} else "lehr"


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_one_way(folder: str) -> None:
    assert len(list(files(folder))) > 3
    for file in files(folder):
        if file.name == "__main__.py":
            continue
        parts = {found for module in imported(file) if (found := part(module))}
        assert parts <= MAY_IMPORT[folder] | {folder}, f"{file.relative_to(ROOT)} imports {sorted(parts)}"


def test_simulating_and_building_load_no_torch() -> None:
    check = "import sys, lehr.simulate, lehr.nirfile; from lehr.targets.registry import targets; assert targets() and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)


def test_no_file_is_longer_than_can_be_read() -> None:
    python = [file for folder in (*MAY_IMPORT, "tests", "examples", "benchmarks") for file in (ROOT / folder).rglob("*.py")]
    assert len(python) > 50
    long = {str(file.relative_to(ROOT)): count for file in python if (count := len(file.read_text("utf-8").splitlines())) > LINES}
    assert not long, long


def test_every_property_test_has_a_budget_in_each_tier() -> None:
    seen = 0
    for file in (ROOT / "tests").rglob("test_*.py"):
        text = file.read_text("utf-8")
        assert f"max_{'examples'}" not in text, f"{file.relative_to(ROOT)} sets a number of examples beside its budget"
        for before, line in pairwise(text.splitlines()):
            if line.strip().startswith("@given("):
                assert before.strip().startswith("@budget("), f"{file.relative_to(ROOT)}: no @budget above {line.strip()}"
                seen += 1
    assert seen > 50


def test_ruff_leaves_out_the_links_to_the_folders_and_nothing_else() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["ruff"]["extend-exclude"] == [f"lehr/{folder}" for folder in sorted(MAY_IMPORT) if folder != "lehr"]
