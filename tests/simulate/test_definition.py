"""The definition against the reference of before, which computed field by field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import old_reference
import pytest
from budgets import budget
from golden_networks import GOLDEN, Golden
from hypothesis import given
from hypothesis import strategies as st
from states import grown_networks
from strategies import Images, inputs, networks

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable
from lehr.network import Network
from lehr.simulate import compare, simulate

DEFAULT = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)


def require_same(net: Network, x: Images) -> None:
    """Assert that both compute the same spikes, membranes, scores and saturations."""
    expected, result = (
        old_reference.simulate(net, x, trace=net.neurons),
        simulate(net, x, trace=net.neurons),
    )
    comparison = compare(expected.trace, result.trace)
    assert comparison.values > 0
    comparison.require_equal("the definition")
    assert result.saturations == expected.saturations
    assert np.array_equal(result.scores, expected.scores)
    assert np.array_equal(result.events, expected.events)


@pytest.mark.few(15)
@pytest.mark.parametrize(
    "golden",
    [golden for golden in GOLDEN if not golden.name.startswith(("scaled", "maxima"))],
    ids=lambda golden: golden.name,
)
def test_golden_networks_are_as_before(golden: Golden) -> None:
    require_same(*golden.make(replace(DEFAULT, **golden.fields)))


@budget(5, 333)
@given(data=st.data())
def test_random_networks_are_as_before(data: st.DataObject) -> None:
    net = data.draw(
        networks(maxima=False) | networks(update="event") | grown_networks(maxima=False)
    )
    x = data.draw(inputs(net))
    try:
        require_same(net, x)
    except (
        NotMappable
    ):  # a neuron fires more than 255 times in a step, which the definition refuses as well
        with pytest.raises(NotMappable):
            simulate(net, x)
