"""The whole line on random networks: .nir and back, training twin, reference, every target.

Every target that maps a network is compared in every spike.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from budgets import budget, in_both_tiers
from general import RUNNABLE
from hypothesis import given
from hypothesis import strategies as st
from strategies import alive, inputs, networks

from lehr import nirfile
from lehr.network import Network
from lehr.simulate import compare, simulate
from lehr.targets import registry
from lehr.targets.engine import run
from lehr.train.twin.network import Twin, trace


def _one_meaning(net: Network, x: object, folder: Path) -> None:
    path = folder / "model.nir"
    nirfile.write(net, path)
    read = nirfile.read(path)
    assert read == net
    assert read.digest == net.digest
    expected = simulate(read, x, trace=net.neurons)  # type: ignore[arg-type]
    if all(neuron.fields.update == "step" for neuron in net.neurons.values()):
        compare(expected.trace, trace(Twin(read).double(), x)).require_equal("training twin")  # type: ignore[arg-type]
    for target in map(registry.get, RUNNABLE):
        if target.check(net):
            continue
        result = run(target, read, x, tuple(net.neurons))  # type: ignore[arg-type]
        compare(expected.trace, result.trace).require_equal(target.name)
        assert (result.counts == expected.counts).all()


@budget(4, 52)
@given(st.data())
def test_one_meaning_from_training_to_every_target(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    net = data.draw(networks())
    _one_meaning(net, data.draw(inputs(net)), tmp_path_factory.mktemp("line"))


@budget(2, 20)
@given(st.data())
def test_event_driven_networks_too(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    net = data.draw(networks(update="event"))
    _one_meaning(net, data.draw(inputs(net)), tmp_path_factory.mktemp("line"))


@in_both_tiers
def test_strategies_make_networks_that_spike() -> None:
    """Hold `networks()` to its promise that no layer is silent."""
    seen = []

    @budget(20, 66)
    @given(networks())
    def look(net: Network) -> None:
        import numpy as np
        from strategies import random_input

        seen.append(alive(simulate(net, random_input(net, np.random.default_rng(0)))))

    look()
    assert sum(seen) > len(seen) / 2
