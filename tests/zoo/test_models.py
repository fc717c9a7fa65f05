"""What lies in the zoo is what its index and page say, and right in as many samples."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import nir
import numpy as np
import onnxruntime
import pytest
from commands import Lehr

import lehr
from lehr import nirfile, zoo
from lehr.samples import read_samples
from lehr.zoo.index import CARD, HOME, MODEL, RECIPE, SAMPLES, Entry
from lehr.zoo.plans import DATA, PLANS

TOP = Path(__file__).parents[2]
BUNDLED = [entry for entry in zoo.entries().values() if entry.bundled]


def folder(entry: Entry) -> Path:
    return HOME / "models" / entry.name


def test_every_plan_is_packed_and_nothing_else() -> None:
    assert set(zoo.names()) == {plan.name for plan in PLANS}
    assert {plan.data for plan in PLANS} == DATA.keys()
    chips = {plan.target for plan in PLANS} - {""}
    assert chips <= set(lehr.targets())


def test_what_comes_along_takes_less_than_a_megabyte() -> None:
    files = [file for file in HOME.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert sum(file.stat().st_size for file in files) < 1_000_000
    assert {file.parent.name for file in files if file.name == MODEL} == {e.name for e in BUNDLED}


def test_the_page_is_fresh(lehr: Lehr) -> None:
    page = (TOP / "docs" / "models.md").read_text("utf-8")
    assert page == lehr("models", "list", "--md").out, "run make docs"


def test_the_list_has_every_model(lehr: Lehr) -> None:
    listed = lehr("models", "list", "--json").facts["models"]
    assert [model["name"] for model in listed] == list(zoo.names())
    ran = lehr("models", "list")
    assert all(f" {name} " in ran.out for name in zoo.names())


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_files_are_those_of_the_index(entry: Entry) -> None:
    (made_by,) = entry.files.keys() - {CARD, MODEL, SAMPLES}
    assert made_by == RECIPE or (TOP / "examples" / made_by.removesuffix(".txt")).is_file()
    assert {path.name for path in folder(entry).iterdir()} == entry.files.keys()
    for name, file in entry.files.items():
        data = (folder(entry) / name).read_bytes()
        assert (sha256(data).hexdigest(), len(data)) == (file.sha256, file.bytes), name


@pytest.mark.few(2)
@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.name)
def test_a_model_is_the_one_that_was_measured(entry: Entry) -> None:
    """NIR reads it, it maps to its chip, and it is right in as many samples as the card says."""
    path = folder(entry) / MODEL
    assert set(nir.read(path).nodes) >= {"input", "output"}
    net = nirfile.read(path)
    assert (net.digest, net.steps) == (entry.digest, entry.steps)
    assert lehr.check(net, "c") == ()
    assert not entry.target or lehr.check(net, entry.target) == ()
    x, labels = read_samples(folder(entry) / SAMPLES)
    assert labels is not None
    right = int((lehr.simulate(net, x).prediction == labels).sum())
    assert (right, len(x)) == (entry.kept.right, entry.kept.samples)
    card = (folder(entry) / CARD).read_text("utf-8")
    assert f"| {right} of {len(x)} |" in card
    assert f"| {entry.accuracy} |" in card
    assert f"{entry.spikes:,.1f}" in card


def test_a_runtime_that_is_not_lehrs_is_right_as_often(tmp_path: Path) -> None:
    entry = zoo.entry("digits")
    lehr.build(folder(entry) / MODEL, "onnx", tmp_path / "out")
    x, labels = read_samples(folder(entry) / SAMPLES)
    held = np.repeat(x[:, None], entry.steps, axis=1)
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    (prediction,) = session.run(["prediction"], {"input": held})
    assert int((np.asarray(prediction) == labels).sum()) == entry.kept.right
