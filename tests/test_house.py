"""Rules of the house that a linter does not know.

They say which folder may import which, and how long a file may be.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "lehr": set(),
    "simulate": {"lehr"},
    "export": {"lehr", "simulate"},
    "targets": {"lehr", "simulate"},
    "train": {"lehr", "simulate", "export", "targets"},
    "plot": {"lehr", "simulate", "export", "targets"},
    "prove": {"lehr", "simulate", "targets"},
    "report": {"lehr", "simulate", "export", "targets", "plot"},
    "zoo": {"lehr", "simulate", "train"},
    "api": {"lehr", "simulate", "export", "targets", "train", "prove", "report"},
    "cli": {"lehr", "simulate", "export", "targets", "train", "prove", "report", "zoo", "api"},
}
"""Imports point one way: lehr <- simulate <- export, targets <- train <- api <- cli.

plot and report read what these return.
"""
INSIDE = ("api", "cli", "plot", "prove", "report", "zoo")
"""Folders of lehr/ itself; the others are beside it, and linked."""
EXCEPT = {
    ("lehr/__main__.py", "lehr.cli"): "`python -m lehr` is the command line",
    ("lehr/__init__.py", "lehr.plot"): "`import lehr` offers it",
    ("lehr/__init__.py", "lehr.zoo"): "`import lehr` offers it",
    ("lehr/__init__.py", "lehr.api"): "`import lehr` offers what lehr.api holds",
}
"""Imports that point another way, by file and module, and why."""
LINES = 450


def files(folder: str) -> Iterator[Path]:
    """Return every module of a folder.

    Of lehr/ these are the modules that are neither behind a link to another folder nor of the
    command line.
    """
    if folder != "lehr":
        yield from sorted((ROOT / (f"lehr/{folder}" if folder in INSIDE else folder)).rglob("*.py"))
        return
    for place in sorted((ROOT / "lehr").iterdir()):
        if place.name not in MAY_IMPORT:
            yield from (
                sorted(place.rglob("*.py"))
                if place.is_dir()
                else [place]
                if place.suffix == ".py"
                else []
            )


def imported(text: str) -> Iterator[str]:
    """Yield every module that a file's text imports.

    Imports at its top, inside functions, and for type checkers alone count.

    What is imported from a package may be a module of it, and is named as one.
    """
    for node in statements(text):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno} imports relatively"
            assert node.module
            yield from (node.module, *(f"{node.module}.{name.name}" for name in node.names))


def part(module: str) -> str | None:
    """Name the folder in which a module of lehr lies; None for others' modules."""
    first, _, rest = module.partition(".")
    second = rest.partition(".")[0]
    return None if first != "lehr" else second if second in MAY_IMPORT else "lehr"


def backwards(folder: str) -> Iterator[tuple[str, str]]:
    """Yield imports of a folder's modules that do not point the one way, by file and module."""
    for file in files(folder):
        for module in imported(file.read_text("utf-8")):
            if part(module) not in {None, folder, *MAY_IMPORT[folder]}:
                yield file.relative_to(ROOT).as_posix(), module


def exception(file: str, module: str) -> tuple[str, str] | None:
    """Find the entry of EXCEPT that an import goes by."""
    return next(
        (entry for entry in EXCEPT if entry[0] == file and f"{module}.".startswith(f"{entry[1]}.")),
        None,
    )


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_one_way(folder: str) -> None:
    assert len(list(files(folder))) > 3
    wrong = [
        f"{file} imports {module}"
        for file, module in backwards(folder)
        if exception(file, module) is None
    ]
    assert not wrong, wrong


def test_keys_of_recipes_import_no_training() -> None:
    """A recipe is read before any of what trains by it is loaded."""
    keys = [file for file in files("train") if file.parent.name == "keys"]
    assert len(keys) > 10
    wrong = [
        f"{file.name} imports {module}"
        for file in keys
        for module in imported(file.read_text("utf-8"))
        if f"{module}.".startswith("lehr.train.")
        and not f"{module}.".startswith("lehr.train.keys.")
    ]
    assert not wrong, wrong


def test_every_exception_is_still_one() -> None:
    assert {exception(*backward) for folder in MAY_IMPORT for backward in backwards(folder)} - {
        None
    } == set(EXCEPT)


def test_imports_are_seen_wherever_they_are() -> None:
    text = """
import lehr.train
from lehr import export
if TYPE_CHECKING:
    from lehr.cli.console import Output
class Engine:
    def run(self):
        from lehr.targets import registry as known
"""
    assert {part(module) for module in imported(text)} == {
        "lehr",
        "train",
        "export",
        "cli",
        "targets",
    }


def test_simulating_and_building_load_no_torch() -> None:
    """Check that the torch engine alone imports it, and is imported on request alone."""
    # they run elsewhere
    both = [
        file
        for folder in ("simulate", "targets")
        for file in files(folder)
        if file.parent.name != "scripts"
    ]
    engine = ["torch_engine.py", "torch_update.py"]
    assert [
        file.name for file in both if "torch" in set(imported(file.read_text("utf-8")))
    ] == engine
    others = [
        file.relative_to(ROOT).with_suffix("")
        for file in both
        if file.name not in (*engine, "__init__.py")
    ]
    modules = ", ".join(".".join(("lehr", *file.parts)) for file in others)
    check = (
        f"import sys, {modules}, lehr.nirfile; from lehr.targets.registry import targets; assert "
        "targets() and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)


def test_no_file_is_longer_than_can_be_read() -> None:
    python = [file for folder in MAY_IMPORT for file in files(folder)]
    python += [
        file
        for folder in ("tests", "examples", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
    ]
    assert len(python) > 50
    long = {
        str(file.relative_to(ROOT)): count
        for file in python
        if (count := len(file.read_text("utf-8").splitlines())) > LINES
    }
    assert not long, long


@cache
def statements(text: str) -> list[ast.AST]:
    """Return what of a file's text imports, or defines a class."""
    kinds = (ast.Import, ast.ImportFrom, ast.ClassDef)
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]


def names(node_type: str, file: Path) -> bool:
    """Return whether a module takes a type of node from the nodes, or defines it."""
    for node in statements(file.read_text("utf-8")):
        if (
            isinstance(node, ast.ImportFrom)
            and str(node.module).startswith("lehr.nodes")
            and node_type in {name.name for name in node.names}
        ):
            return True
        if (
            isinstance(node, ast.ClassDef)
            and node.name == node_type
            and file.parent == ROOT / "lehr/nodes"
        ):
            return True
    return False


@pytest.mark.parametrize(
    ("node_type", "own", "others"),
    [
        (
            "Scale",
            "scale",
            {
                "lehr/prove/verilog/sums/reaching.py",
                "export/torchmodels/nodes.py",
                "targets/conformance/maxima.py",
                "targets/conformance/strategies.py",
                "targets/conformance/upsampled.py",
            },
        ),
        (
            "MaxPool2d",
            "max_pool2d",
            {
                "lehr/prove/c/places.py",
                "targets/conformance/scaled.py",
                "targets/conformance/upsampled.py",
            },
        ),
        (
            "Upsample2d",
            "upsample2d",
            {
                "lehr/prove/verilog/sums/reaching.py",
                "export/torchmodels/signal.py",
                "targets/conformance/maxima.py",
                "targets/conformance/scaled.py",
                "train/twin/converted_layers.py",
            },
        ),
    ],
)
def test_a_node_costs_the_files_that_are_listed(node_type: str, own: str, others: set[str]) -> None:
    """Compare the files of the nodes that came last with those that are listed.

    There are eight, beside `__init__` with the registry, and what shows the node in documents,
    reads it of torch, draws it and checks it.
    """
    section = (
        (ROOT / "CONTRIBUTING.md")
        .read_text("utf-8")
        .partition("\n## Adding a node\n")[2]
        .partition("\n## ")[0]
    )
    table = [line for line in section.splitlines() if line.startswith("| `")]
    assert len(table) == 8
    listed = {
        path.replace("NAME", own)
        for path in re.findall(r"`([a-z0-9_/]+/[A-Za-z0-9_]+\.py)`", section)
    }
    beside = {
        "tests/test_house.py",
        "tests/targets/test_closed_world.py",
        "tests/fixed_point_reader/nodes.py",
    }
    # which take nodes and networks, and name no node of theirs
    by_form = {"lehr/nodes/base.py", "targets/conformance/golden.py"}
    assert listed >= beside | by_form | others
    named = {
        file.relative_to(ROOT).as_posix()
        for folder in MAY_IMPORT
        for file in files(folder)
        if names(node_type, file)
    }
    assert named == listed - beside - by_form - others
    assert all((ROOT / path).is_file() for path in listed)


def test_every_property_test_has_a_budget_in_each_tier() -> None:
    seen = 0
    for file in (ROOT / "tests").rglob("test_*.py"):
        text = file.read_text("utf-8")
        assert f"max_{'examples'}" not in text, (
            f"{file.relative_to(ROOT)} sets a number of examples beside its budget"
        )
        for before, line in pairwise(text.splitlines()):
            if line.strip().startswith("@given("):
                assert before.strip().startswith("@budget("), (
                    f"{file.relative_to(ROOT)}: no @budget above {line.strip()}"
                )
                seen += 1
    assert seen > 50


def test_ruff_leaves_out_the_links_to_the_folders_and_nothing_else() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["ruff"]["extend-exclude"] == [
        f"lehr/{folder}" for folder in sorted(MAY_IMPORT) if folder not in ("lehr", *INSIDE)
    ]
