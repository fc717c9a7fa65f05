"""Every picture of every kind of network.

SVG for a page, no pyplot, no window, examples that run.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest

import lehr
from lehr import plot
from lehr.errors import ToolMissing, UsageError
from lehr.plot.distributions import What
from lehr.plot.style import INK, figure_of, svg
from lehr.targets import registry
from lehr.targets.conformance.claims import Example
from lehr.targets.conformance.golden import example

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FUNCTIONS = [name for name in plot.__all__ if inspect.isfunction(getattr(plot, name))]
KINDS = ("convolutional", "recurrent", "delayed", "scaled", "machine_loihi", "program_fire_often")
KB = 60_000


@pytest.fixture
def here(line: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with run/, model.nir and in.npz, in which the test runs."""
    monkeypatch.chdir(line)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_example_runs_and_says_what_is_raised(name: str) -> None:
    function = getattr(plot, name)
    text = inspect.getdoc(function)
    assert text
    assert ">>> import lehr" in text
    for part in ("Args:", "Raises:", "ToolMissing: when matplotlib is not installed."):
        assert part in text, part
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name)
    ran = doctest.DocTestRunner().run(test)
    assert ran.attempted > 1
    assert not ran.failed


def test_there_is_a_function_for_everything() -> None:
    wanted = {"accuracy", "confusion", "distributions", "membrane", "network", "raster"}
    assert {*FUNCTIONS} == wanted | {"resources", "search", "steps", "training"}
    assert "plot" in dir(lehr)
    for name in FUNCTIONS:
        assert inspect.signature(getattr(plot, name)).parameters["ax"].default is None


@cache
def golden(name: str) -> Example:
    golden = example(registry.get("onnx"), name)
    assert not isinstance(golden, str), golden
    return golden


def pictures(name: str) -> Iterator[tuple[str, Axes]]:
    """Draw everything that one network and its run give."""
    net, ran = golden(name).net, golden(name).expected
    yield "network", plot.network(net, ran)
    yield "raster", plot.raster(ran)
    yield "membrane", plot.membrane(ran, net.output, threshold=net)
    yield "steps", plot.steps(ran, ran.prediction)
    yield "confusion", plot.confusion(ran, ran.prediction)
    for what in get_args(What):
        with suppress(UsageError):  # no membrane has a width in bits
            yield what, plot.distributions(net, ran, what)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_network_is_drawn_as_small_svg(name: str) -> None:
    for what, ax in pictures(name):
        text = svg(ax, f"{name}-{what}", "a <b>")
        assert len(text) < KB, what
        root = ElementTree.fromstring(text)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == "a <b>"
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert len({*ids}) == len(ids), what
        assert all(each.startswith(f"{name}-{what}-") for each in ids)
        for target in re.findall(r'(?:url\(|href=")#([^")]+)', text):
            assert target in ids, what
        assert INK not in text
        assert "currentColor" in text
        elements = [*root.iter("{http://www.w3.org/2000/svg}text")]
        black = [e.text for e in elements if "fill: " not in e.attrib["style"]]
        assert not black, what  # which nobody reads on a dark page
        texts = [element.text for element in elements]
        labels = [ax.get_xlabel(), ax.get_ylabel(), *(t.get_text() for t in ax.texts)]
        shown = {line for label in labels for line in label.split("\n") if line.strip()}
        assert shown <= {*texts}, what
        assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)


def test_a_thousand_steps_of_a_wide_layer_stay_small() -> None:
    spikes = np.random.default_rng(0).random((1, 1000, 16, 20, 20)) < 0.02
    assert np.count_nonzero(spikes) > 100_000
    assert len(svg(plot.raster({"wide": spikes, "out": spikes[:, :, 0, 0, :10]}), "r")) < 2 * KB


def test_the_same_picture_gives_the_same_svg() -> None:
    first, again = (svg(ax, "x") for ax in [plot.confusion([0, 1], [1, 1]) for _ in range(2)])
    assert first == again


def test_an_axes_of_the_callers_is_drawn_on() -> None:
    from matplotlib.figure import Figure

    net, ran = golden("recurrent").net, golden("recurrent").expected
    left, right = Figure(layout="constrained").subplots(1, 2)
    assert plot.network(net, ax=left) is left
    assert plot.raster(ran, ax=right) is right
    figure_of(left).draw_without_rendering()
    assert left.texts
    assert right.collections


def test_nothing_is_kept_and_no_settings_are_changed() -> None:
    """In a process of its own, where nobody has imported pyplot or chosen a backend."""
    program = """
import sys
import lehr.plot
assert "matplotlib" not in sys.modules
import matplotlib
before = dict(matplotlib.rcParams.copy())
lehr.plot.style.svg(lehr.plot.accuracy({"integer": 0.5}), "a")
assert dict(matplotlib.rcParams.copy()) == before
assert not {"matplotlib.pyplot", "torch", "tkinter"} & {*sys.modules}
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_without_matplotlib_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    drawn: list[Any] = []
    with pytest.raises(ToolMissing, match=r"^lehr.plot needs matplotlib"):
        drawn.append(plot.accuracy({"integer": 0.5}))
    assert not drawn
    importlib.import_module("lehr.plot")
