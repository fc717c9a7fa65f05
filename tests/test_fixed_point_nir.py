"""docs/fixed-point-nir.md: its schema and its reading in plain Python.

The schema fits every file, and the reading reproduces every spike and membrane of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import jsonschema
import numpy as np
import pytest
from commands import run

from lehr import nirfile
from lehr.targets.conformance.vectors import INDEX

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "fixed-point-nir.md"
SCHEMA = json.loads(PAGE.read_text("utf-8").partition("## JSON schema")[2].partition("\n## ")[0])
READ = (
    "import sys, fixed_point_reader.__main__ as r; from pathlib import Path; code = "
    "r.main(Path(sys.argv[1])); assert not [m for m in sys.modules if m.split('.')[0] == 'lehr']; "
    "sys.exit(code)"
)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conformance") / "vectors"
    assert run("conformance", "-o", folder).code == 0
    return folder


def reading(folder: Path) -> tuple[int, list[str]]:
    """Return the output of the reading in plain Python for a folder.

    In its process, nothing of lehr is ever imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", READ, folder], cwd=TESTS, capture_output=True, text=True, check=False
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines()


def block(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        text: Any = file["node/metadata/fixed_point"]
        whole: dict[str, Any] = json.loads(text[()])
        return whole


@pytest.mark.slow
def test_a_reading_without_lehr_reproduces_every_network(vectors: Path) -> None:
    names = [entry["name"] for entry in json.loads((vectors / INDEX).read_text())["networks"]]
    code, lines = reading(vectors)
    assert lines == [
        *(f"{name}.nir: equal" for name in sorted(names)),
        f"{len(names)} of {len(names)} networks are equal",
    ]
    assert code == 0
    schemas = {
        node["schema"]
        for name in names
        for node in block(vectors / f"{name}.nir")["nodes"].values()
    }
    assert schemas == {
        "fixed-point-weight/1",
        "fixed-point-lif/1",
        "fixed-point-cuba/1",
        "fixed-point-update/1",
    }


@pytest.mark.slow
def test_lehr_reads_back_what_it_wrote(vectors: Path) -> None:
    for entry in json.loads((vectors / INDEX).read_text())["networks"]:
        assert nirfile.read(vectors / f"{entry['name']}.nir").digest == entry["digest"]


@pytest.mark.slow
def test_the_schema_of_the_page_fits_every_file_and_no_other(vectors: Path) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    for path in vectors.glob("*.nir"):
        validator.validate(block(path))
    whole = block(vectors / "machine_loihi.nir")
    changes: tuple[Callable[[dict[str, Any]], object], ...] = (
        lambda b: b.pop("steps"),
        lambda b: b.update(steps=0),
        lambda b: b.update(more=1),
        lambda b: b["nodes"]["hidden"].update(bias=[0.5]),
        lambda b: b["nodes"]["hidden"].pop("membrane"),
        lambda b: b["nodes"]["hidden"].update(update=[]),
    )
    for change_block in changes:
        wrong = json.loads(json.dumps(whole))
        assert "hidden" in wrong["nodes"]
        change_block(wrong)
        assert not validator.is_valid(wrong)


def changed_spike(folder: Path) -> None:
    with np.load(folder / "small.npz") as archive:
        arrays = dict(archive)
    arrays["spikes.lif1"][-1, -1].flat[-1] ^= 1
    np.savez(folder / "small.npz", **arrays)


def changed_line(folder: Path) -> None:
    change(
        folder / "machine_reckon.nir", "fire fired v ge threshold 1", "fire fired v gt threshold 1"
    )


def changed_number(folder: Path) -> None:
    change(folder / "machine_reckon.nir", "multiply alpha 15", "multiply alpha 16")


def change(path: Path, before: str, after: str) -> None:
    with h5py.File(path, "r+") as file:
        held: Any = file["node/metadata/fixed_point"]
        text = held[()].decode()
        assert before in text
        del file["node/metadata/fixed_point"]
        file["node/metadata/fixed_point"] = text.replace(before, after)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("damage", [changed_spike, changed_line, changed_number])
def test_a_reading_that_differs_is_noticed(
    damage: Callable[[Path], None], vectors: Path, tmp_path: Path
) -> None:
    for name in ("small", "machine_reckon"):
        for end in ("nir", "npz"):
            shutil.copy(vectors / f"{name}.{end}", tmp_path)
    assert reading(tmp_path)[0] == 0
    damage(tmp_path)
    code, lines = reading(tmp_path)
    assert code == 1
    assert lines[-1] == "1 of 2 networks are equal"


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    refused = run("conformance", "-o", tmp_path)
    assert refused.code == 2
    assert (
        f"{tmp_path} holds something else than networks of conformance; give a new folder"
        in refused.err
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
