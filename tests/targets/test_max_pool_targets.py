"""MaxPool2d on the targets that compute it, and refused by name on the others."""

from __future__ import annotations

import numpy as np
import pytest
from budgets import budget
from hypothesis import assume, given
from hypothesis import strategies as st
from max_pool_networks import networks_of_maxima
from runners import run
from strategies import inputs

from lehr.arithmetic import Arithmetic
from lehr.nodes import MaxPool2d
from lehr.simulate import compare, simulate
from lehr.targets import registry
from lehr.targets.c.cost import synaptic_operations
from lehr.targets.conformance.building import flowing
from lehr.targets.conformance.forms import Parts
from lehr.targets.conformance.maxima import maxima
from lehr.targets.conformance.mutations import weights

COMPUTING = ("c", "onnx")


@pytest.mark.few(1)
@pytest.mark.parametrize("name", COMPUTING)
@budget(2, 30)
@given(data=st.data())
def test_random_networks_are_exact(name: str, data: st.DataObject) -> None:
    net = data.draw(networks_of_maxima())
    assume(not registry.get(name).check(net))
    x = data.draw(inputs(net))
    compare(simulate(net, x, trace=net.neurons).trace, run(name, net, x)).require_equal(name)


@pytest.mark.parametrize("name", COMPUTING)
def test_one_weight_behind_a_maximum_is_noticed(name: str) -> None:
    net, x = maxima()[0].make(Parts(Arithmetic(decay_numerator=7, decay_shift=3)), seed=1)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    compare(expected.trace, run(name, net, x)).require_equal(name)
    changed = next(
        other
        for other in weights(net)
        if not compare(expected.trace, simulate(other, x, trace=net.neurons).trace).equal
    )
    got = run(name, changed, x)
    assert not compare(expected.trace, got).equal
    compare(simulate(changed, x, trace=net.neurons).trace, got).require_equal(name)


def test_the_others_refuse_it_by_name() -> None:
    net, _ = maxima()[2].make(Parts(Arithmetic(decay_numerator=7, decay_shift=3)))
    others = [target for target in registry.targets() if MaxPool2d not in target.nodes]
    assert len(others) > 7
    assert {"xylo", "loihi", "spinnaker2"} <= {target.name for target in others}
    for target in others:
        problem = next(problem for problem in target.check(net) if problem.node == "max")
        assert problem.reason == "MaxPool2d is not computed by the machine"


def test_c_compares_every_value_of_a_window() -> None:
    """What the estimate of a step counts: 4 channels of 3 x 2 windows of 2 x 2 values."""
    net, _ = maxima()[2].make(Parts(Arithmetic(decay_numerator=7, decay_shift=3)))
    assert net.shapes["max"] == (4, 3, 2)
    silent = dict.fromkeys(net.neurons, 0.0)
    dense = 2 * 8 * 7  # inputs; each meets 3 x 3 weights of 4 channels, but at the map's ends
    met = sum(
        1
        for y, ky in np.ndindex(6, 3)
        for x, kx in np.ndindex(5, 3)
        if 0 <= y + ky < 8 and 0 <= x + kx < 7
    )
    assert synaptic_operations(net, silent) == dense / (8 * 7) * met * 4 + 4 * 3 * 2 * 4
