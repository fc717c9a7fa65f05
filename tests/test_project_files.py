"""The files around the code, on how to cite, ask, contribute and package.

All are about the same project.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import lehr

TOP = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
FORMS = ("bug.yml", "target.yml")
INPUTS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}
PYTHONS = ["3.11", "3.12", "3.13"]


def read(name: str) -> Any:
    """Return the content of a YAML file."""
    return yaml.safe_load((TOP / name).read_text("utf-8"))


def lines(name: str) -> list[str]:
    """Return the instructions of a Dockerfile, each in one line."""
    text = (TOP / name).read_text("utf-8").replace("\\\n", " ")
    return [
        re.sub(r"\s+", " ", line) for line in text.splitlines() if line and not line.startswith("#")
    ]


# -------------------------------------------------------------------- one project
def test_every_file_names_the_repository_of_the_project_file() -> None:
    home = PROJECT["urls"]["Repository"]
    files = [*TOP.glob("*.*"), *TOP.glob("docs/**/*.md"), *TOP.glob(".github/**/*.*")]
    named = {
        file.name: set(re.findall(r"https://github\.com/[\w-]+/lehr\b", file.read_text("utf-8")))
        for file in files
        if file.suffix in {".cff", ".md", ".toml", ".yaml", ".yml"}
    }
    naming = {name for name, urls in named.items() if urls}
    assert {"CITATION.cff", "config.yml", "pyproject.toml"} <= naming
    assert {url for urls in named.values() for url in urls} == {home}


def test_links_of_the_project_lead_to_files_that_are_here() -> None:
    home = PROJECT["urls"]["Repository"]
    assert set(PROJECT["urls"]) == {
        "Homepage",
        "Documentation",
        "Repository",
        "Issues",
        "Changelog",
    }
    links = [*PROJECT["urls"].values()]
    links += [link["url"] for link in read(".github/ISSUE_TEMPLATE/config.yml")["contact_links"]]
    for link in links:
        assert link.startswith(home)
        if file := re.fullmatch(r"/(?:tree|blob)/main/(.+)", link.removeprefix(home)):
            assert (TOP / file[1]).exists(), link


def test_the_pythons_are_the_same_everywhere() -> None:
    classifiers = "\n".join(PROJECT["classifiers"])
    assert re.findall(r":: (3\.\d+)$", classifiers, re.MULTILINE) == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert (
        read(".github/workflows/ci.yml")["jobs"]["run"]["strategy"]["matrix"]["python"] == PYTHONS
    )
    assert f"VERSIONS = {json.dumps(PYTHONS).replace('[', '(').replace(']', ')')}" in (
        TOP / "tests" / "test_core_wheel.py"
    ).read_text("utf-8")


# -------------------------------------------------------------------- citation
def test_the_citation_is_of_this_version_and_names_the_paper() -> None:
    citation = read("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == lehr.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Eshraghian", "Lu"]
    assert paper["identifiers"][0]["value"] == "arXiv:2201.11915"
    readme = " ".join((TOP / "README.md").read_text("utf-8").split())
    assert paper["title"] in readme
    assert str(paper["year"]) in readme


# -------------------------------------------------------------------- GitHub
@pytest.mark.parametrize("name", FORMS)
def test_a_form_asks_for_what_doctor_says(name: str) -> None:
    form = read(f".github/ISSUE_TEMPLATE/{name}")
    assert {"name", "description", "body"} <= set(form)
    assert {part["type"] for part in form["body"]} <= INPUTS
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    (doctor,) = (part for part in form["body"] if part.get("id") == "doctor")
    assert doctor["attributes"]["label"] == "Output of `lehr doctor --json`"
    assert doctor["validations"]["required"] is True


def test_every_form_is_tested() -> None:
    there = {file.name for file in (TOP / ".github" / "ISSUE_TEMPLATE").iterdir()}
    assert there == {*FORMS, "config.yml"}


def test_the_workflow_runs_what_a_change_must_pass() -> None:
    workflow = read(".github/workflows/ci.yml")
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step.get("run") for step in workflow["jobs"]["run"]["steps"]]
    assert steps[-1] == ".ci/run"
    for script in (".ci/run", ".ci/tools"):
        assert os.access(TOP / script, os.X_OK)
        assert any(step and step.split()[-1] == script for step in steps)


# -------------------------------------------------------------------- hooks, container
def test_hooks_call_the_linters_of_this_environment() -> None:
    config = read(".pre-commit-config.yaml")
    hooks = {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}
    assert {"ruff-check", "ruff-format", "mypy"} <= set(hooks)
    for name in ("ruff-check", "ruff-format", "mypy"):
        program = hooks[name]["entry"].split()[0]
        assert program.startswith(".venv/bin/")
        assert Path(program).name in {
            line.split(">=")[0] for line in PROJECT["optional-dependencies"]["test"]
        }


def test_the_container_installs_all_of_lehr_and_runs_it_without_rights() -> None:
    dockerfile = lines("Dockerfile")
    assert dockerfile.count("FROM python:3.11-slim") == 1
    assert dockerfile[0] == "FROM python:3.11-slim AS build"
    (install,) = (line for line in dockerfile if "pip install" in line)
    assert '[all]"' in install
    assert dockerfile[-4:] == [
        "USER lehr",
        "WORKDIR /models",
        'ENTRYPOINT ["lehr"]',
        'CMD ["--help"]',
    ]
    copied = [
        line.split()[1] for line in dockerfile if line.startswith("COPY") and "--from" not in line
    ]
    assert copied == [".", "constraints.txt"]


def test_the_container_is_given_what_a_build_reads() -> None:
    kept = {
        line.removeprefix("!")
        for line in (TOP / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    settings = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
    folders = set(settings["tool"]["setuptools"]["package-dir"].values())
    assert kept >= folders | {"pyproject.toml", "MANIFEST.in", "constraints.txt"}
    assert kept >= {PROJECT["readme"], *PROJECT["license-files"]}
    assert all((TOP / name).exists() for name in kept)
