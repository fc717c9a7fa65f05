"""The author's Verilog computes what the reference computes.

It is every membrane, every spike, and the label that it sends.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budgets import budget
from hypothesis import assume, given
from hypothesis import strategies as st
from reckon_networks import FIRES, INTEGRATES, alive, chain, convolutional, recurrent, samples
from strategies import Images, inputs, networks

from lehr.machines import RECKON
from lehr.network import INPUT, Delay, Linear, Network, Neuron
from lehr.simulate import compare, simulate
from lehr.targets.build import build, verify
from lehr.targets.conformance.one_sign import MachineAtItsRails
from lehr.targets.contract import MachineTrace
from lehr.targets.reckon import Reckon
from lehr.targets.reckon.runner import ReckonRunner

TARGET = Reckon()
MISSING = ReckonRunner().missing()
pytestmark = [pytest.mark.skipif(MISSING is not None, reason=str(MISSING)), pytest.mark.slow]


def ran(net: Network, x: Images, folder: Path, over_spi: bool = False) -> MachineTrace:
    assert TARGET.check(net) == ()
    TARGET.plan(net, {}).with_manifest({}).write(folder)
    return ReckonRunner(over_spi).run(folder, x)


def require_equal(net: Network, x: Images, folder: Path, over_spi: bool = False) -> MachineTrace:
    """Membranes, spikes and labels, of a network in which spikes flow."""
    expected, got = alive(net, x), ran(net, x, folder, over_spi)
    compare(expected.trace, got).require_equal("reckon")
    assert got.decision is not None
    assert np.array_equal(got.decision, expected.prediction)
    return got


def program() -> Network:
    """Return the machine's own update, every neuron with a decay of its own."""
    net = chain(14, 9, 5, biases=0)
    nodes = dict(net.nodes)
    for name, neuron in net.neurons.items():
        alpha = np.linspace(28_672, 32_768, len(neuron.bias)).astype(np.int32)
        nodes[name] = Neuron(neuron.threshold, neuron.bias, RECKON, parameters={"alpha": alpha})
    return replace(net, nodes=nodes)


def delayed() -> Network:
    """Return the input beside a layer of it, held back by as many steps as the layer takes."""
    net = chain(14, 9, 5)
    skip = Linear(np.random.default_rng(2).choice(np.array([-1, 1], np.int8), (5, 14)))
    nodes = {**net.nodes, "slow": Delay(2), "skip": skip}
    edges = (
        *(edge for edge in net.edges if edge != ("fc2", "layer2")),
        ("fc2", "layer2"),
        (INPUT, "slow"),
        ("slow", "skip"),
    )
    first = tuple(("early", "fc1") if edge == (INPUT, "fc1") else edge for edge in edges)
    return replace(
        net,
        nodes={**nodes, "early": Delay(3)},
        edges=(*first, (INPUT, "early"), ("skip", "layer2")),
    )


NETWORKS = {
    "biases of layers that start late": lambda: chain(14, 9, 8, 5),
    "biases of many rows": lambda: chain(14, 9, 5, biases=300),
    "reset to zero, fires beyond the threshold": lambda: chain(
        14, 9, 5, arithmetic=replace(FIRES, fires="gt", reset="zero")
    ),
    "integrators": lambda: chain(14, 9, 5, last=INTEGRATES),
    "integrators that forget nothing": lambda: chain(
        14, 9, 5, last=replace(INTEGRATES, decay_numerator=1, decay_shift=0)
    ),
    "a layer that hears itself": recurrent,
    "convolution": convolutional,
    "its own program": program,
    "delays": delayed,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_reference(name: str, tmp_path: Path) -> None:
    net = NETWORKS[name]()
    require_equal(net, samples(net), tmp_path / "out")


def test_programmed_over_spi_it_holds_and_computes_the_same(tmp_path: Path) -> None:
    """The runner compares every word of the memories, and the registers, with what was sent."""
    net = recurrent()
    x = samples(net)
    by_spi, at_once = (
        require_equal(net, x, tmp_path / str(over_spi), over_spi) for over_spi in (True, False)
    )
    assert by_spi.figures == at_once.figures
    assert by_spi.figures[0].value > net.steps * len(net.weighted)


def test_the_machine_would_decide_otherwise_after_one_more_decay(tmp_path: Path) -> None:
    """The host lets output neurons forget nothing at the last tick.

    What is left of two membranes may be the same.
    """
    net = chain(
        14,
        9,
        5,
        last=replace(INTEGRATES, decay_numerator=1, decay_shift=3, fraction_bits=0),
        biases=0,
        steps=4,
    )
    x = samples(net, 40)
    got = require_equal(net, x, tmp_path / "out")
    last = got.membranes["layer2"][:, -1].astype(int)
    assert (np.argmax(last // 8, axis=1) != got.decision).any()


def test_one_unit_in_a_word_is_seen(tmp_path: Path) -> None:
    """Change a weight, and a threshold, in the artefact's own file."""
    net = chain(14, 9, 5)
    x = samples(net)
    expected = alive(net, x).trace
    ran(net, x, tmp_path / "out")
    file = tmp_path / "out" / "spi.hex"
    words = file.read_text().split()
    weight = next(i for i, word in enumerate(words) if word.startswith("30")) + 1
    threshold = next(i for i, word in enumerate(words) if word == "10010003") + 1
    for index, unit in ((weight, 1), (threshold, 1 << 4)):
        changed = [*words]
        changed[index] = f"{int(words[index], 16) + unit:08x}"
        file.write_text("\n".join(changed))
        assert not compare(expected, ReckonRunner().run(tmp_path / "out", x)).equal


def test_membranes_come_to_both_ends_and_stop_there(tmp_path: Path) -> None:
    ((net, x),) = next(MachineAtItsRails("reckon", 12).groups(TARGET))
    membranes = require_equal(net, x, tmp_path / "out").membranes["out"]
    assert (membranes.min(), membranes.max()) == (-32768, 32767)
    assert np.count_nonzero(membranes == 32767) > 10


def test_a_built_artefact_verifies_with_its_decisions(tmp_path: Path) -> None:
    net = chain(14, 9, 5)
    build(net, TARGET, samples(net)).plan.write(tmp_path / "out")
    verified = verify(tmp_path / "out")
    verified.require()
    assert (verified.decided, verified.misjudged) == (4, ())
    assert [figure.name for figure in verified.figures] == ["clock cycles"]


FIELDS: dict[str, Any] = {
    "decay_form": "multiply",
    "decay_shift": 4,
    "decay_numerator": 15,
    "rounding": "floor",
    "reset_timing": "next_step",
}
MORE: dict[str, Any] = {
    "fires": "ge",
    "overflow": "saturate",
    "state_bits": 16,
    "fraction_bits": 3,
    "reset": "subtract",
}


@budget(2, 20)
@given(st.data())
def test_random_networks(data: st.DataObject) -> None:
    net = data.draw(networks(kinds=("spikes",), **FIELDS, **MORE))
    assume(not TARGET.check(net))
    x = data.draw(inputs(net))[:2]
    with tempfile.TemporaryDirectory() as folder:
        got = ran(net, x, Path(folder) / "out")
    compare(simulate(net, x, trace=net.neurons).trace, got).require_equal("reckon")
