"""`import lehr`: all of it runs as its own examples say, and refuses what it must."""

from __future__ import annotations

import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lehr
from lehr.errors import FileRefused, NotBitExact, UsageError

MODULES = ("artifacts", "exporting", "models", "proving", "running", "training")


@pytest.fixture
def here(line: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a folder with model.nir and in.npz, in which the test runs."""
    for name in ("model.nir", "in.npz", "tiny.toml"):
        (tmp_path / name).write_bytes((line / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("module", MODULES)
def test_every_example_runs(module: str) -> None:
    ran = doctest.testmod(importlib.import_module(f"lehr.api.{module}"))
    assert ran.attempted > 3
    assert not ran.failed


def test_every_public_function_has_an_example_and_says_what_it_raises() -> None:
    functions = {name: getattr(lehr, name) for name in lehr.__all__ if not name.startswith("_")}
    assert len(functions) > 8
    for name, function in functions.items():
        text = inspect.getdoc(getattr(importlib.import_module("lehr.api"), name))
        assert text, name
        assert ">>> import lehr" in text, name
        assert callable(function), name
        assert inspect.signature(function) == inspect.signature(
            getattr(importlib.import_module("lehr.api"), name)
        )


def test_importing_lehr_loads_nothing_else_and_names_what_there_is() -> None:
    heavy = "numpy", "torch", "nir", "h5py", "numba", "typer", "lehr.api"
    check = (
        f"import sys, lehr; assert not {{*{heavy}}} & {{*sys.modules}}; assert {{*lehr.__all__}} "
        f"<= {{*dir(lehr)}}"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'simulated'; it has .*simulate"):
        lehr.simulated  # noqa: B018 - a property of the module


def test_what_is_listed_of_lehr_is_public() -> None:
    listed = {name for name in dir(lehr) if not name.startswith("__")}
    assert listed == {*lehr.__all__, "plot", "zoo"} - {"__version__"}


@pytest.mark.usefixtures("here")
def test_files_of_networks_go_by_text_below_the_top_too() -> None:
    from lehr import nirfile

    net = nirfile.read("model.nir")
    nirfile.write(net, "copy.nir")
    assert nirfile.read(Path("copy.nir")) == net


def test_a_package_stays_one_when_it_is_called() -> None:
    from lehr.simulate import simulate
    from lehr.simulate.engines import ENGINES

    package: Any = importlib.import_module("lehr.simulate")
    called: Any = lehr.simulate
    assert package is called
    assert package.simulate is simulate
    assert {"fast", "reference"} <= set(ENGINES)
    assert callable(importlib.import_module("lehr.targets"))


def test_a_list_a_path_and_an_array_are_the_same_input(here: Path) -> None:
    net, x = lehr.read(str(here / "model.nir")), np.load(here / "in.npz")["input"]
    expected = lehr.simulate(net, x, trace="all", engine="reference")
    assert all(0 < rate < 1 for rate in expected.rates.values())
    for same in (
        x.tolist(),
        x.astype(np.float64),
        x.astype(np.int64),
        here / "in.npz",
        str(here / "in.npz"),
    ):
        got = lehr.simulate(here / "model.nir", same, trace=tuple(net.neurons))
        assert lehr.compare(expected, got).equal
        assert np.array_equal(got.counts, expected.counts)
    other = x.copy()
    other[0] = 255 - other[0]
    assert not lehr.compare(expected, lehr.simulate(net, other, trace="all")).equal


@pytest.mark.parametrize(
    ("value", "said"), [(0.5, "0.5"), (-1, "-1"), (256, "256"), (float("nan"), "nan"), ("a", "<U1")]
)
def test_an_input_that_is_no_pixel_is_named(here: Path, value: object, said: str) -> None:
    x: Any = np.zeros((1, *lehr.read("model.nir").input.shape), np.array(value).dtype)
    x.flat[3] = value
    with pytest.raises(FileRefused, match=rf"the input holds {said}.*whole numbers from 0 to 255"):
        lehr.simulate(here / "model.nir", x)


@pytest.mark.usefixtures("here")
def test_runs_of_which_nothing_was_kept_are_not_called_equal() -> None:
    x = np.load("in.npz")["input"]
    one, other = lehr.simulate("model.nir", x), lehr.simulate("model.nir", x[::-1].copy())
    assert not np.array_equal(one.counts, other.counts)
    with pytest.raises(UsageError, match="nothing was traced, so nothing can be compared"):
        lehr.compare(one, other)
    first, last = (
        lehr.simulate("model.nir", each, trace="all", trace_samples=[0])
        for each in (x, np.concatenate([x[:1], x[1:][::-1]]))
    )
    with pytest.raises(NotBitExact, match="the traces are equal, but the counts of spikes are not"):
        lehr.compare(first, last)
    for wrong in ("out.npz", 3, None):
        value: Any = wrong
        with pytest.raises(UsageError, match="is no result of lehr.simulate"):
            lehr.compare(value, one)


@pytest.mark.usefixtures("here")
def test_labels_of_another_number_are_refused() -> None:
    result = lehr.simulate("model.nir", "in.npz")
    labels = np.load("in.npz")["labels"]
    assert result.accuracy(labels.tolist()) == np.mean(result.prediction == labels)
    for wrong in ([1], 5, labels[:, None], labels[:-1]):
        with pytest.raises(UsageError, match=r"there are labels \[.*\] for 80 samples"):
            result.accuracy(wrong)


@pytest.mark.usefixtures("here")
def test_what_is_no_network_is_said_to_be_none() -> None:
    for wrong in (None, 3, [[1, 2]], np.zeros((1, 2))):
        value: Any = wrong
        with pytest.raises(UsageError, match="is no network; give one, or the path of a .nir file"):
            lehr.simulate(value, [[1]])
        with pytest.raises(UsageError, match="is no network"):
            lehr.read(value)
    Path("folder").mkdir()
    Path("model.nir").rename("folder/model.nir")
    with pytest.raises(UsageError, match="it is a folder: did you mean folder/model.nir"):
        lehr.read("folder")


@pytest.mark.usefixtures("here")
def test_no_file_is_lost_to_one_of_another_kind(tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    for output in ("model.nir", "in.npz"):
        with pytest.raises(UsageError, match=f"{output} is an input of this command"):
            lehr.simulate("model.nir", "in.npz", output=output)
    with pytest.raises(
        FileRefused, match="in.npz cannot be written: an archive, as .npz files are"
    ):
        lehr.write("model.nir", "in.npz")
    with pytest.raises(FileRefused, match="an HDF5 file, as .nir files are, is there"):
        lehr.simulate(lehr.read("model.nir"), np.load("in.npz")["input"], output="model.nir")
    with pytest.raises(FileRefused, match="make its folder first"):
        lehr.write("model.nir", "none/model.nir")
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_help_begins_with_the_function() -> None:
    for name in ("simulate", "train", "export", "report", "targets"):
        text = inspect.getdoc(getattr(lehr, name))
        assert text
        assert text.startswith(f"{name}(")
        assert ">>> import lehr" in text


@pytest.mark.usefixtures("here")
def test_names_that_there_are_not() -> None:
    with pytest.raises(UsageError, match=r"no target is called 'onx'; did you mean 'onnx'"):
        lehr.check("model.nir", "onx")
    with pytest.raises(UsageError, match="'lif9' is no neuron layer"):
        lehr.simulate("model.nir", "in.npz", trace="lif9")
    with pytest.raises(UsageError, match=r"nothere.nir"):
        lehr.read("nothere.nir")


def test_checking_every_target_says_what_each_wants(here: Path) -> None:
    asked = lehr.check("model.nir")
    assert tuple(asked) == lehr.targets()
    assert asked["c"] == lehr.check("model.nir", "c") == ()
    assert asked["odin"]
    assert all(problem.hint for problem in asked["odin"])
    assert {path.name for path in here.iterdir()} == {"model.nir", "in.npz", "tiny.toml"}


@pytest.mark.usefixtures("here")
def test_a_folder_that_was_changed_does_not_verify() -> None:
    built = lehr.build("model.nir", "onnx", Path("out"), x="in.npz", samples=2)
    assert "out: " in repr(built)
    assert lehr.verify(built, 1).samples == 1
    lehr.verify("out").require()
    network = Path("out/model.nir").read_bytes()
    other = lehr.read("model.nir")
    name, neuron = next(iter(other.neurons.items()))
    from dataclasses import replace

    lehr.write(
        replace(
            other, nodes={**other.nodes, name: replace(neuron, threshold=neuron.threshold + 1)}
        ),
        "out/model.nir",
    )
    assert Path("out/model.nir").read_bytes() != network
    with pytest.raises((FileRefused, NotBitExact)):
        lehr.verify("out").require()


@pytest.mark.usefixtures("here")
def test_what_is_shown_is_short_and_escaped() -> None:
    net = lehr.read("model.nir")
    result = lehr.simulate(net, "in.npz", trace="all")
    built = lehr.build(net, "onnx", "out", x="in.npz")
    comparison = lehr.compare(result, result)
    verified = lehr.verify("out")
    chip = importlib.import_module("lehr.targets.registry").get("c")
    for thing in (net, result, result.trace, built, comparison, verified, chip):
        assert len(repr(thing)) < 300, thing
        assert "\n" not in repr(thing)
    assert net.digest[:12] in repr(net)
    assert repr(comparison) == f"Comparison({comparison})"
    shown: list[Any] = [net, result, built]
    for thing in shown:
        lines = thing.summary().splitlines()
        assert len(lines) > 3
        assert max(map(len, lines)) < 140
        html = thing._repr_html_()
        assert html.count("<tr>") == len(lines) - 1
        assert len(html) < 20_000
    for name, layer in result.layers.items():
        assert f"{layer.rate:.4f}" in next(
            line for line in result.summary().splitlines() if line.startswith(name)
        )


def test_a_table_escapes_what_a_file_may_hold() -> None:
    from lehr.shown import Table

    table = Table("<b>", ("a", "n"), [("<script>", "1,000"), ("x", "-2.5")])
    assert "<script>" not in table.html()
    assert "&lt;script&gt;" in table.html()
    assert str(table).splitlines() == [
        "<b>",
        "a             n",
        "<script>  1,000",
        "x          -2.5",
    ]
