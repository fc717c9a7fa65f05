"""An installed lehr is what is in the checkout, by each way of installing it.

None of the builds here needs the network.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from checkouts import FOLDERS, ROOT, WITHOUT_KERNELS, copy_checkout, run, succeed

SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
ZOO = "lehr/zoo/models/digits/model.nir"
PACKAGES: list[str] = SETTINGS["tool"]["setuptools"]["packages"]


# -------------------------------------------------------------------- the lists in pyproject.toml
def folder_of(package: str) -> Path:
    parts = package.split(".")
    return ROOT.joinpath(*(parts[1:] if len(parts) > 1 and parts[1] in FOLDERS else parts))


def test_every_package_in_the_tree_is_listed_and_every_listed_one_is_there() -> None:
    packages = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for init in (ROOT / "lehr").glob("**/__init__.py")
    }
    # reached through a link
    packages = {
        name for name in packages if name.split(".")[1:2] not in [[folder] for folder in FOLDERS]
    }
    for folder in FOLDERS:
        packages |= {
            "lehr." + ".".join(init.parent.relative_to(ROOT).parts)
            for init in (ROOT / folder).glob("**/__init__.py")
        }
    assert sorted(packages) == PACKAGES


def test_no_python_file_lies_outside_a_package() -> None:
    """Leave out scripts that run in environments of tools: they are data."""
    data = SETTINGS["tool"]["setuptools"]["package-data"]
    scripts = {
        folder_of(package) / "scripts" for package, globs in data.items() if "scripts/*.py" in globs
    }
    for package in PACKAGES:
        for file in folder_of(package).rglob("*.py"):
            assert file.parent in scripts or (file.parent / "__init__.py").is_file(), (
                f"{file} is in no package"
            )


def test_every_other_file_is_package_data() -> None:
    globs = SETTINGS["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        folder = folder_of(package)
        for file in (
            f
            for f in folder.rglob("*")
            if f.is_file() and f.suffix != ".py" and f.parent.name != "__pycache__"
        ):
            owner = file.parent
            while not (owner / "__init__.py").is_file():
                owner = owner.parent
            if owner == folder and file.name not in FOLDERS:
                inside = str(file.relative_to(folder))
                assert any(fnmatch(inside, glob) for glob in globs.get(package, [])), (
                    f"{file} is in no package-data of {package}"
                )


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_bare_import_of_a_folder_fails_in_one_clear_line(folder: str) -> None:
    ran = run(sys.executable, "-c", f"import {folder}", cwd=ROOT)
    assert ran.returncode == 1
    error = (
        f"ImportError: import lehr.{folder}, not {folder}: the folder is part of the package lehr"
    )
    assert ran.stderr.splitlines()[-1] == error


# -------------------------------------------------------------------- builds
def without_links(checkout: Path) -> Path:
    """Put text files in place of the links, as a checkout on a system without them has."""
    for folder in FOLDERS:
        link = checkout / "lehr" / folder
        link.unlink(missing_ok=True)
        link.write_text(f"../{folder}")
    return checkout


def wheel_names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as wheel:
        return sorted(wheel.namelist())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the source archive, and the wheel made from it."""
    checkout = copy_checkout(tmp_path_factory.mktemp("build") / "checkout")
    build = (sys.executable, "-m", "build", "--no-isolation", ".")
    ran = run(*build, cwd=checkout, env=WITHOUT_KERNELS)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "WARNING" not in ran.stdout + ran.stderr
    (archive,), (wheel,) = (
        list((checkout / "dist").glob(ending)) for ending in ("*.tar.gz", "*.whl")
    )
    return archive, wheel


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Return an environment that sees the packages of this one, but not its lehr."""
    succeed(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "parent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return tmp_path / "venv"


def install(venv: Path, *what: str | Path) -> None:
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        venv / "bin" / "python",
        "--disable-pip-version-check",
    )
    succeed(
        *pip,
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--no-warn-script-location",
        *what,
        cwd=venv,
    )


CHECK = """
import importlib, sys
from importlib.metadata import entry_points
from pathlib import Path
from lehr.targets.registry import entries
home = Path(sys.argv[1])
for name in sys.argv[2:]:
    assert Path(importlib.import_module(name).__file__).is_relative_to(home), name
assert len(entries()) == len(entry_points(group="lehr.targets")) > 0
assert all(entry.target for entry in entries()), entries()
"""


def check_installed(venv: Path, home: Path, cwd: Path) -> None:
    """Check from a folder that is not the checkout that everything imports from `home`.

    The command answers, too.
    """
    succeed(venv / "bin" / "python", "-W", "error", "-c", CHECK, home, *PACKAGES, cwd=cwd)
    assert succeed(venv / "bin" / "lehr", "--version", cwd=cwd).startswith("lehr ")


@pytest.mark.slow
def test_the_wheel_works_and_holds_the_package_alone(
    built: tuple[Path, Path], venv: Path, tmp_path: Path
) -> None:
    archive, wheel = built
    names = wheel_names(wheel)
    assert {name.split("/")[0] for name in names} == {
        "lehr",
        wheel.name.split("-py3")[0] + ".dist-info",
    }
    for package in PACKAGES:
        assert f"{package.replace('.', '/')}/__init__.py" in names
    assert {"lehr/py.typed", "lehr/train/recipes/digits.toml", ZOO} <= set(names)
    with tarfile.open(archive) as opened:
        inside = {name.partition("/")[2] for name in opened.getnames()}
    assert {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "setup.py",
        "simulate/reference.py",
        "train/recipes/digits.toml",
        ZOO,
    } <= inside
    assert not any(name.startswith("tests") for name in inside)
    install(venv, wheel)
    check_installed(venv, venv, tmp_path)


@pytest.mark.slow
def test_a_wheel_from_a_checkout_without_links_is_the_same(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    checkout = without_links(copy_checkout(tmp_path / "checkout"))
    build = (sys.executable, "-m", "build", "--no-isolation", "--wheel", ".")
    succeed(*build, cwd=checkout, env=WITHOUT_KERNELS)
    (wheel,) = (checkout / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(built[1]) as other:
        assert {name: one.read(name) for name in one.namelist()} == {
            name: other.read(name) for name in other.namelist()
        }


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("links", [True, False])
def test_an_editable_installation_works_with_and_without_links(
    links: bool, venv: Path, tmp_path: Path
) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    install(venv, "-e", checkout if links else without_links(checkout))
    check_installed(venv, checkout, tmp_path)
    check_installed(venv, checkout, checkout)


def test_a_checkout_runs_without_being_installed(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    shutil.copy(ROOT / "cli.py", checkout)
    assert succeed(sys.executable, "cli.py", "--version", cwd=checkout).startswith("lehr ")
