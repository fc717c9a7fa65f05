"""An engine for each layer computes what the reference computes, faster than one for all."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from budgets import budget
from hard_networks import HARD, flows
from hypothesis import assume, given
from hypothesis import strategies as st
from states import grown_networks
from strategies import delayed_network, inputs, networks, recurrent_network, small_network
from verilog import SWITCHES, chains, replay, write

from lehr.errors import NotMappable, UsageError
from lehr.simulate import compare, simulate
from lehr.targets.fpga import Fpga
from lehr.targets.fpga.runner import FpgaRunner
from lehr.targets.verilog import missing

MISSING = missing("iverilog")
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.mark.parametrize(
    "name",
    ["delayed", "two states, 8 bits that wrap", pytest.param("knot", marks=pytest.mark.slow)],
)
def test_an_engine_for_each_layer_equals_the_reference(name: str, tmp_path: Path) -> None:
    """Among them one that hears itself, and one that hears the layer before at several times."""
    net, x = HARD[name]()
    x = x[:2]
    result = simulate(net, x, trace=net.neurons)
    assert flows(net, result), result.rates
    folder = write(tmp_path / "out", net, x, lanes="2", engines="layers")
    compare(result.trace, FpgaRunner("iverilog").run(folder, x)).require_equal("fpga")


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build two engines, the second of which hears the first at two times, on two samples.

    They are compiled once.
    """
    net, x = delayed_network()
    folder = write(tmp_path_factory.mktemp("fpga") / "out", net, x[:2], lanes="4", engines="layers")
    assert replay(folder)[0] == 0
    return folder


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "switches", ["+gaps=2 +abort=300", "+abort=41", "+events", "+events +gaps=4"]
)
def test_an_engine_for_each_layer_replays_its_golden_vectors(chained: Path, switches: str) -> None:
    status, lines = replay(chained, *switches.split())
    assert (status, lines[-1]) == (0, "PASS"), lines
    assert lines[0] == "every spike and membrane of 2 layers is equal in 10 steps of 2 samples"


@pytest.mark.slow
def test_engines_work_at_once_and_count_what_they_do(tmp_path: Path) -> None:
    """An inference takes fewer clocks than with one engine, and than the engines work in all.

    Each engine counts the spikes of its layer.
    """
    net, x = small_network()
    clocks, working = {}, {}
    for arrangement in ("shared", "layers"):
        folder = write(tmp_path / arrangement, net, x[:1], lanes="4", engines=arrangement)
        assert replay(folder, "+events", "+cycles=cycles.txt")[0] == 0
        clocks[arrangement], _, *working[arrangement] = map(
            int, (folder / "cycles.txt").read_text().split()
        )
    assert working["shared"] == []
    assert max(working["layers"]) < clocks["layers"] < min(clocks["shared"], sum(working["layers"]))
    assert (
        replay(
            folder, "+input=golden/input.u8", "+output=sent", "+samples=1", f"+steps={net.steps}"
        )[0]
        == 0
    )
    description = json.loads((folder / "lehr_fpga.json").read_bytes())
    status = np.fromfile(folder / "sent", np.uint8)[-description["status_bytes"] :]
    counters = status[15:51].copy().view("<u4").reshape(3, 3)
    expected = simulate(net, x[:1], trace=net.neurons)
    assert counters[:, 1].tolist() == [
        int(expected.trace.spikes[name].sum()) for name in net.neurons
    ]
    assert counters[:, 2].tolist() == [expected.saturations[name] for name in net.neurons]


@budget(0, 30)
@given(st.data())
def test_random_networks_with_an_engine_for_each_layer(data: st.DataObject) -> None:
    net = data.draw(networks(branches=False) | networks() | grown_networks())
    assume(not Fpga().check(net) and chains(net))
    x = data.draw(inputs(net))[:2]
    result = simulate(net, x, trace=net.neurons)
    assume(flows(net, result))
    switches = data.draw(st.sampled_from(("", *SWITCHES)))
    with tempfile.TemporaryDirectory() as scratch:
        folder = write(
            Path(scratch) / "out",
            net,
            x,
            lanes=str(data.draw(st.sampled_from((1, 2, 4, 8)))),
            engines="layers",
        )
        got = FpgaRunner("iverilog", tuple(switches.split())).run(folder, x)
    compare(result.trace, got).require_equal("fpga")


def test_layers_that_hear_more_than_the_one_before_are_refused() -> None:
    with pytest.raises(NotMappable) as refused:
        Fpga().plan(recurrent_network()[0], {"engines": "layers"})
    sentence = "hidden: it hears out, and engines=layers lets it hear input and itself alone; use engines=shared"
    assert str(refused.value) == sentence
    with pytest.raises(NotMappable) as refused:
        Fpga().plan(HARD["narrow"]()[0], {"engines": "layers"})
    assert (
        str(refused.value)
        == "slow: engines=layers reads out the last layer, but the output is fine; use engines=shared"
    )
    with pytest.raises(UsageError, match="engines is 'two'; use one of shared, layers"):
        Fpga().plan(recurrent_network()[0], {"engines": "two"})


def test_the_estimate_is_that_of_the_lanes() -> None:
    net, x = small_network()
    rates = simulate(net, x).rates
    one, eight = (
        {
            figure.name: figure.value
            for figure in Fpga().estimate(net, rates, {"lanes": lanes}).figures
        }
        for lanes in ("1", "8")
    )
    assert one["clocks"] > 2 * eight["clocks"]
    with pytest.raises(UsageError, match=r"^lanes is '3'; use a power of two from 1 to 64$"):
        Fpga().estimate(net, rates, {"lanes": "3"})
