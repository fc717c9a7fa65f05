"""The networks of the paper's recipes, whole, with random weights.

Folded, written, read, simulated, and the twin's in every spike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_networks import one_higher_threshold
from strategies import alive, calibrated, random_input

from lehr import nirfile
from lehr.nodes import InputKind, Shape
from lehr.simulate import compare, simulate
from lehr.train.floats.model import FloatNet
from lehr.train.recipefile import load
from lehr.train.twin.convert import convert
from lehr.train.twin.network import Twin, trace
from lehr.widths import analyse, fit_state_bits

NETWORKS: dict[str, tuple[Shape, InputKind, int]] = {
    "temporal": ((100,), "spikes", 100 * (1000 + 1)),
    "mnist": ((1, 28, 28), "u8", 100 * (16 * 12 * 12 + 64 * 4 * 4 + 10)),
    "fashion-mnist": ((1, 28, 28), "u8", 100 * (16 * 12 * 12 + 64 * 4 * 4 + 10)),
    "dvs-gesture": ((2, 32, 32), "spikes", 360 * (16 * 14 * 14 + 32 * 5 * 5 + 11)),
    "shd": ((700,), "spikes", 333 * (3000 + 20)),
}
"""By recipe: what its data set gives, and how many membranes a sample has."""


@pytest.mark.parametrize(
    "name",
    ["temporal", *(pytest.param(name, marks=pytest.mark.slow) for name in list(NETWORKS)[1:])],
)
def test_exported_read_and_simulated_it_is_the_twin(name: str, tmp_path: Path) -> None:
    shape, kind, membranes = NETWORKS[name]
    recipe = load(name)
    torch.manual_seed(1)
    folded = convert(
        FloatNet(recipe.network, shape, 255 if kind == "u8" else 1).eval(), recipe, shape, kind
    ).twin.network()
    few_steps = calibrated(
        replace(folded, steps=30)
    )  # enough for membranes to reach their thresholds
    net = fit_state_bits(replace(few_steps, steps=folded.steps))
    analyse(net).require_float32()
    nirfile.write(net, tmp_path / "seed.nir")
    read = nirfile.read(tmp_path / "seed.nir")
    assert read == net
    x = random_input(net, np.random.default_rng(2), samples=2)
    result = simulate(read, x, trace=read.neurons)
    assert alive(result), result.rates
    assert not any(result.saturations.values())
    compared = compare(trace(Twin(net), x), result.trace)
    compared.require_equal(name)
    assert compared.values == 2 * membranes
    first = next(iter(result.trace.spikes.values()))
    channel = int(
        np.moveaxis(first, 2, 0).reshape(first.shape[2], -1).sum(axis=1).argmax()
    )  # one that fires
    assert not compare(trace(Twin(one_higher_threshold(net, channel)), x), result.trace).equal
