"""A folder with every file that the examples of the help pages name, as fixtures."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nir
import numpy as np
import pytest
from commands import run
from nir_graphs import chain
from strategies import Builder

import lehr
from lehr.arithmetic import Arithmetic
from lehr.network import Input

MINE = """
import snntorch, torch

def build():
    linear = torch.nn.Linear(12, 4)
    with torch.no_grad():
        linear.weight.copy_(torch.where(linear.weight >= 0, 0.25, -0.25))
        linear.bias.zero_()
    return torch.nn.Sequential(linear, snntorch.Leaky(beta=0.5, threshold=0.5, init_hidden=True))
"""
"""A model of somebody's own whose integers are exact."""
ANN = """
import torch

def trained():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(12, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
"""
"""An artificial neural network of somebody's own."""


def fill(folder: Path, line: Path) -> None:
    """Fill an empty folder with every file that the examples name.

    These are what `line` holds, a float graph, models in Python, events, a sequence and a network
    that takes it, a memristive device, a space, shards, a built artefact and a data set.
    """
    for name in ("model.nir", "in.npz"):
        shutil.copy(line / name, folder / name)
    shutil.copytree(line / "run", folder / "run")
    (folder / "shards").mkdir()
    for part in ("first.npz", "second.npz"):
        shutil.copy(line / "in.npz", folder / "shards" / part)
    rng = np.random.default_rng(0)
    ones = np.ones(3)
    neurons = nir.LIF(
        tau=2e-3 * ones, r=2 * ones, v_leak=0 * ones, v_threshold=2 * ones, v_reset=0 * ones
    )
    weights = rng.choice([-1.0, 1.0], (3, 12))
    nir.write(folder / "graph.nir", chain({"fc": nir.Linear(weights), "lif": neurons}, (12,), (3,)))
    np.savez(folder / "spikes.npz", input=(rng.random((20, 8, 12)) < 0.5).astype(np.uint8))
    (folder / "mine.py").write_text(MINE)
    (folder / "ann.py").write_text(ANN)
    pixels = rng.integers(0, 17, (20, 12)).astype(np.uint8)
    np.savez(folder / "digits.npz", input=pixels, labels=np.arange(20) % 3)
    moved = Builder(Input((12,), "spikes"), rng)
    moved.linear("fc", 3)
    moved.neuron("out", Arithmetic())
    lehr.write(moved.network(steps=30), folder / "motion.nir")
    np.savetxt(folder / "motion.csv", rng.normal(0, 1, (30, 6)).cumsum(0), delimiter=",")
    (folder / "memristor.toml").write_text(
        "seeds = 3\ng_min = 2e-6\ng_max = 1e-4\nvariation = { deviation = 0.3 }\n"
    )
    (folder / "space.toml").write_text(
        "[keys]\ntrain.lr = { low = 1e-3, high = 1e-2, log = true }\n"
    )
    _images(folder / "data" / "fashion-mnist", rng)
    built = ("build", folder / "model.nir", "--target", "c", "-i", folder / "in.npz", "-n", 3)
    assert run(*built, "-o", folder / "out").code == 0


def _images(folder: Path, rng: np.random.Generator) -> None:
    """Write the four files of a data set of images, with few of them."""
    folder.mkdir(parents=True)
    for part, count in (("train", 96), ("t10k", 24)):
        arrays = {
            "images-idx3": rng.integers(0, 256, (count, 28, 28), np.uint8),
            "labels-idx1": (np.arange(count) % 10).astype(np.uint8),
        }
        for kind, array in arrays.items():
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            data = gzip.compress(head + array.tobytes())
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(data)


@pytest.fixture(scope="session")
def filled(line: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every file that the examples of the help pages name.

    It is not to be written to.
    """
    folder = tmp_path_factory.mktemp("filled")
    fill(folder, line)
    return folder


@pytest.fixture
def here(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of it, in which the test runs."""
    folder = tmp_path / "here"
    shutil.copytree(filled, folder)
    monkeypatch.chdir(folder)
    return folder
