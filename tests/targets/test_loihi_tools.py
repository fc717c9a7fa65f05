"""Target loihi in its tools: every spike and membrane, one unit that is noticed, energy, time."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import pytest
from loihi_networks import ARITHMETIC, LOIHI, NETWORKS, built, changed, dense, maps, neuron

from lehr.errors import FileRefused, NotBitExact, ToolMissing, UsageError
from lehr.network import INPUT, Network
from lehr.simulate import Trace, compare, simulate
from lehr.targets.build import build
from lehr.targets.conformance.building import Images, alive
from lehr.targets.conformance.golden import example
from lehr.targets.loihi import LoihiRunner, measured
from lehr.targets.loihi.runner import CHOICE, Tool
from lehr.targets.loihi.tools import BRIAN, LAVA, SANAFE

TOOLS = {"lava": LAVA, "brian2-loihi": BRIAN}


# -------------------------------------------------------------------- what its tools compute
def run(net: Network, x: Images, tool: Tool, folder: Path) -> Trace:
    if missing := TOOLS[tool].missing():
        pytest.skip(missing)
    return LoihiRunner(tool).run(built(net, folder), x)


@pytest.mark.slow
@pytest.mark.parametrize("tool", get_args(Tool))
@pytest.mark.parametrize("name", NETWORKS)
def test_every_spike_and_membrane_is_the_networks(name: str, tool: Tool, tmp_path: Path) -> None:
    net, x = NETWORKS[name]()
    expected = simulate(net, x, trace=net.neurons)
    assert alive(expected)
    compare(expected.trace, run(net, x, tool, tmp_path / "built")).require_equal(tool)


def with_one_more(folder: Path, name: str, number: int) -> None:
    """Add one unit to a number of the built file.

    It is the first of the weights, or the threshold, which is 64 on the chip.
    """
    with h5py.File(folder / "network.net", "r+") as file:
        numbers: Any = file[name]
        values = np.array(numbers)
        values.flat[number] += 1
        numbers[...] = values


@pytest.mark.slow
@pytest.mark.parametrize("tool", get_args(Tool))
@pytest.mark.parametrize(
    "name", ["layer/1/weight", "layer/1/neuron/vThMant", "layer/2/weight", "layer/2/bias"]
)
def test_one_unit_in_the_file_is_noticed(name: str, tool: Tool, tmp_path: Path) -> None:
    if missing := TOOLS[tool].missing():
        pytest.skip(missing)
    net, x = dense()
    expected = simulate(net, x, trace=net.neurons)
    folder = built(net, tmp_path / "built")
    with_one_more(folder, name, 0)
    assert not compare(expected.trace, LoihiRunner(tool).run(folder, x)).equal


@pytest.mark.slow
def test_currents_wrap_and_membranes_saturate_as_in_lava(tmp_path: Path) -> None:
    golden = example(LOIHI, "machine_loihi_at_its_rails")
    assert not isinstance(golden, str)
    assert golden.expected.trace.membranes["out"].min() == 1 - 2**23
    compare(
        golden.expected.trace, run(golden.net, golden.x, "lava", tmp_path / "built")
    ).require_equal("lava")


def test_what_brian_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, lacking in (
        ("machine_loihi_at_its_rails", "ends of a state's range"),
        ("machine_loihi_by_layer", "biases of membranes beside"),
    ):
        golden = example(LOIHI, name)
        assert not isinstance(golden, str)
        with pytest.raises(
            ToolMissing, match=f"^brian2-loihi has no {lacking}.*; run it in Lava: "
        ):
            LoihiRunner("brian2-loihi").run(built(golden.net, tmp_path / name), golden.x)


def test_which_tool_runs_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEHR_TOOLS", str(tmp_path))
    assert (
        LoihiRunner().missing()
        == "lava is not on this machine; install it with 'lehr doctor --install lava'"
    )
    monkeypatch.setenv(CHOICE, "brian2-loihi")
    assert (
        LoihiRunner().missing()
        == "brian2-loihi is not on this machine; install it with 'lehr doctor --install brian2-loihi'"
    )
    assert (
        LoihiRunner("lava").missing()
        == "lava is not on this machine; install it with 'lehr doctor --install lava'"
    )
    monkeypatch.setenv(CHOICE, "brian")
    with pytest.raises(
        UsageError, match="^LEHR_LOIHI_TOOL is 'brian'; use one of lava, brian2-loihi$"
    ):
        LoihiRunner().missing()


def test_damaged_artefacts_and_wrong_inputs_are_refused(tmp_path: Path) -> None:
    net, x = dense()
    folder = built(net, tmp_path / "built")
    with pytest.raises(
        FileRefused,
        match=r"^input is uint8 \[5, 20, 24\], up to 2, the artefact takes uint8 \[N, 24\] or \[N, T, 24\] of 0 and 1; reshape or convert it$",
    ):
        LoihiRunner("lava").run(folder, 2 * x)
    shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "other" / "network.net").write_bytes(b"none")
    with pytest.raises(
        FileRefused,
        match="is no network for netx .*; give a whole artefact of target loihi, or build it again$",
    ):
        LoihiRunner("lava").run(tmp_path / "other", x)


# -------------------------------------------------------------------- what it costs
def test_the_estimate_counts_events_by_hand() -> None:
    net, _ = dense(recurrent=True, biased=False)
    estimate = LOIHI.estimate(net, {INPUT: 0.5, "hidden": 0.25, "out": 0.1}).figures
    figures = {figure.name: figure.value for figure in estimate}
    units = {figure.name: figure.unit for figure in estimate}
    events = 0.5 * 24 * 16 + 0.25 * 16 * 16 + 0.25 * 16 * 5
    assert figures["synaptic operations"] == pytest.approx(events)
    messages = 0.5 * 24 + 0.25 * 16 + 0.25 * 16
    assert figures["messages"] == pytest.approx(messages)
    picojoules = 35.5 * events + (51.2 + 21.6) * 21 + 69.3 * (0.25 * 16 + 0.1 * 5) + 111 * messages
    assert figures["energy"] == pytest.approx(picojoules * 20 / 1000)
    assert (figures["cores"], units["cores"]) == (2, "of 128 cores")


def test_the_synapses_of_a_convolution_are_counted_place_by_place() -> None:
    net, _ = maps()
    rates = {INPUT: 1.0, "lif1": 0.0, "lif2": 0.0, "out": 0.0}
    figures = {figure.name: figure.value for figure in LOIHI.estimate(net, rates).figures}
    conv = net.weighted["conv1"]
    assert (
        figures["synaptic operations"]
        == np.abs(conv.present.sums(np.ones((1, 2, 8, 7), np.int64))).sum()
    )


@pytest.mark.slow
def test_sanafe_measures_where_its_spikes_are_the_networks(tmp_path: Path) -> None:
    if missing := SANAFE.missing():
        pytest.skip(missing)
    net, x = dense(recurrent=False, biased=False)
    plain = changed(
        net,
        **{
            name: neuron(
                layer.channels, int(layer.threshold[0]), 0, replace(ARITHMETIC, decay_numerator=16)
            )
            for name, layer in net.neurons.items()
        },
    )
    assert alive(simulate(plain, x))
    figures = {figure.name: figure for figure in build(plain, LOIHI, x, measure=True).measured}
    parts = [figure.value for name, figure in figures.items() if name.startswith("energy of ")]
    assert figures["energy"].value == pytest.approx(sum(parts))
    assert figures["energy"].value > 0 < figures["time"].value
    assert figures["time"].unit == "us per inference"


def test_sanafe_that_fires_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x = dense(biased=False)
    folder = tmp_path / "built"
    build(net, LOIHI, x).plan.write(folder)
    other = {"spikes": np.zeros((4, 2), np.int64)}
    fake = type(
        "Fake",
        (),
        {
            "missing": lambda self: None,
            "version": lambda self: "0",
            "run": lambda self, *arrays: other,
        },
    )()
    monkeypatch.setattr(measured, "SANAFE", fake)
    with pytest.raises(
        NotBitExact,
        match=r"^sanafe: hidden fires 0 times in sample 0 and not \d+, as its neurons are floats; leave --measure out",
    ):
        LOIHI.measure(folder)
