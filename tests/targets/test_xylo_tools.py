"""Target xylo in its vendors' tools: every spike, membrane and current, images, a validator.

The images are of its memories, the validator is samna's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from commands import run
from recordings import write_speech
from xylo_networks import by_hand, dense, samples

from lehr.errors import FileRefused, NotBitExact
from lehr.network import Linear, Network
from lehr.simulate import Trace, compare, simulate
from lehr.targets.build import build, verify
from lehr.targets.conformance.building import flowing
from lehr.targets.conformance.xylo import integrators, maps, rails
from lehr.targets.samna import SAMNA
from lehr.targets.xylo import Xylo
from lehr.targets.xylo.files import CONFIGURATION, SCRIPTS
from lehr.targets.xylo.measured import measure, validated
from lehr.targets.xylo.runner import XYLOSIM, Xylosim

TARGET = Xylo()
xylosim = pytest.mark.skipif(XYLOSIM.missing() is not None, reason=str(XYLOSIM.missing()))
samna = pytest.mark.skipif(SAMNA.missing() is not None, reason=str(SAMNA.missing()))
NETWORKS: dict[str, Callable[[], Network]] = {
    "dense": dense,
    "maps": maps,
    "rails": rails,
    "recurrent": lambda: integrators("membrane_sum_argmax_lowest"),
}


def built(net: Network, folder: Path) -> Path:
    TARGET.plan(net, {}).with_manifest({}).write(folder)
    return folder


def changed(folder: Path, change: Callable[[Any], None]) -> None:
    path = folder / CONFIGURATION
    values = json.loads(path.read_text("utf-8"))
    change(values["value0"])
    path.write_text(json.dumps(values), "utf-8")


# -------------------------------------------------------------------- xylosim
@xylosim
@pytest.mark.parametrize("name", NETWORKS)
def test_every_spike_and_membrane_is_the_definitions(name: str, tmp_path: Path) -> None:
    net = NETWORKS[name]()
    x = samples(net)
    expected = simulate(net, x, trace=net.neurons)
    assert flowing(net, expected)
    got = Xylosim().run(built(net, tmp_path / "built"), x)
    comparison = compare(expected.trace, got)
    assert comparison.equal, comparison
    assert comparison.values == sum(each.size for each in expected.trace.membranes.values())


@xylosim
@pytest.mark.parametrize("name", ["dense", "rails"])
def test_it_is_what_is_added_by_hand_event_by_event(name: str, tmp_path: Path) -> None:
    """Add by hand what neither lehr nor the simulator computes here.

    The network at its rails saturates in synapses and membranes at both ends.
    """
    net = dense(sizes=(16, 20, 6), thresholds=(4, 8)) if name == "dense" else _chain(rails())
    x = samples(net, 1)
    got = Xylosim().run(built(net, tmp_path / "built"), x)
    hand = by_hand(net, x[0])
    currents = hand[0][0]
    if name == "rails":
        assert currents.max() == 32767 - (32767 >> 3)
        assert currents.min() == -32768 + (32768 >> 3)
        assert hand[0][1].min() == -32768
    for layer, (_, membrane, spikes) in zip(net.neurons, hand, strict=True):
        assert 0 < (spikes > 0).mean() < 1
        assert np.array_equal(got.membranes[layer][0], membrane)
        assert np.array_equal(got.spikes[layer][0], spikes)


def _chain(net: Network) -> Network:
    """Return the network with its nodes called as those of `dense`."""
    called = {"fc_hidden": "fc0", "hidden": "n0", "fc_out": "fc1", "out": "n1"}
    nodes = {called[name]: node for name, node in net.nodes.items()}
    edges = tuple((called.get(a, a), called.get(b, b)) for a, b in net.edges)
    return replace(net, nodes=nodes, edges=edges)


@pytest.mark.slow
@xylosim
@pytest.mark.parametrize("part", ["threshold", "weight", "bias", "dash"])
def test_one_changed_unit_of_the_configuration_is_seen(part: str, tmp_path: Path) -> None:
    net = dense()
    x = samples(net)
    expected = simulate(net, x, trace=net.neurons).trace

    def change(values: Any) -> None:
        neuron = values["reservoir"]["neurons"][0]
        if part == "weight":
            values["input"]["weights"]["values"][0] *= -1
        else:
            neuron[
                {"threshold": "threshold", "bias": "v_mem_bias", "dash": "v_mem_decay"}[part]
            ] += 1

    folder = built(net, tmp_path / "built")
    changed(folder, change)
    assert not compare(expected, Xylosim().run(folder, x)).equal


@xylosim
def test_a_synapse_that_adds_both_signs_at_its_rails_would_differ(tmp_path: Path) -> None:
    """The simulator saturates after each spike, the network's program after their sum.

    So what `check` refuses there is no needless fear.
    """
    net = rails()
    node = net.nodes["fc_hidden"]
    assert isinstance(node, Linear)
    weight = node.weight.copy()
    weight[:, :7] *= -1
    mixed = replace(net, nodes={**net.nodes, "fc_hidden": replace(node, weight=weight)})
    assert TARGET.check(mixed)
    x = samples(net)
    folder = built(net, tmp_path / "built")

    def change(configuration: Any) -> None:
        values = np.array(configuration["input"]["weights"]["values"]).reshape(14, 10)
        values[:7] *= -1
        configuration["input"]["weights"]["values"] = values.ravel().tolist()

    changed(folder, change)
    with pytest.raises(
        NotBitExact,
        match="xylosim: the synapse's current of hidden neuron .* report it as a bug of lehr",
    ):
        Xylosim().run(folder, x)


@xylosim
def test_a_current_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = dense()
    run = type(XYLOSIM).run

    def wrong(*arguments: Any, **more: Any) -> dict[str, npt.NDArray[Any]]:
        outputs = run(*arguments, **more)
        current = outputs["current.output"].copy()
        current[1, 4, 3] += 1
        return {**outputs, "current.output": current}

    monkeypatch.setattr(type(XYLOSIM), "run", wrong)
    with pytest.raises(NotBitExact, match="current of output neuron 3 at step 4 of sample 1 is "):
        Xylosim().run(built(net, tmp_path / "built"), samples(net))


@pytest.mark.slow
@xylosim
def test_counts_up_to_15_go_in_and_no_more(tmp_path: Path) -> None:
    net = dense(thresholds=(40, 80, 80), sizes=(8, 10, 8, 4))
    counted = replace(net, input=replace(net.input, kind="u8"))
    assert not TARGET.check(counted)
    x = np.random.default_rng(2).integers(0, 16, (2, net.steps, 8)).astype(np.uint8)
    folder = built(counted, tmp_path / "built")
    expected = simulate(counted, x, trace=net.neurons)
    assert compare(expected.trace, Xylosim().run(folder, x)).equal
    assert expected.trace.spikes["n0"].max() > 1
    x[1, 2, 3] = 16
    with pytest.raises(
        FileRefused,
        match=r"^input holds 16 events of one step, the chip takes 15; give fewer, or shorter steps$",
    ):
        Xylosim().run(folder, x)


@pytest.mark.slow
@xylosim
@pytest.mark.parametrize("name", ["dense", "maps", "rails", "recurrent"])
def test_images_are_those_of_the_vendors_writer(name: str, tmp_path: Path) -> None:
    net = NETWORKS[name]()
    folder = built(net, tmp_path / "built")
    x = samples(net, 1).reshape(net.steps, -1)
    script = Path(__file__).parent / "xylo_ram.py"
    images = XYLOSIM.run(script, {"x": x}, "writes no images", [folder / CONFIGURATION, SCRIPTS])
    ours = {path.name: path.read_bytes() for path in (folder / "ram").iterdir()}
    assert len(ours) == 15
    assert {file: contents.tobytes() for file, contents in images.items()} == ours


@xylosim
@pytest.mark.slow
def test_random_networks_are_exact(tmp_path: Path) -> None:
    for seed in range(12):
        sizes = tuple(int(n) for n in np.random.default_rng(seed).integers(4, 63, 3))
        net = dense(seed, (16, *sizes[:2], min(8, sizes[2])))
        x = samples(net, 2, seed)
        expected = simulate(net, x, trace=net.neurons)
        assert compare(expected.trace, Xylosim().run(built(net, tmp_path / str(seed)), x)).equal
        assert expected.rates["n0"] > 0


@xylosim
def test_a_built_artefact_verifies_and_a_trace_without_a_neuron_does_not(tmp_path: Path) -> None:
    net = dense()
    build(net, TARGET, samples(net)).plan.write(tmp_path / "built")
    verified = verify(tmp_path / "built")
    verified.require()
    expected = simulate(net, samples(net), trace=net.neurons).trace
    fewer = Trace(expected.spikes, {**expected.membranes, "n2": expected.membranes["n2"] + 1})
    assert not compare(expected, fewer).equal


# -------------------------------------------------------------------- samna
@samna
@pytest.mark.slow
@pytest.mark.parametrize("name", ["dense", "deep"])
def test_samna_validates_the_configuration_and_writes_the_same_memories(
    name: str, tmp_path: Path
) -> None:
    net = dense() if name == "dense" else dense(sizes=(16, 63, 63, 63, 8), thresholds=(4, 8, 8, 8))
    folder = built(net, tmp_path / "built")
    written = validated(folder)
    assert (
        written["address"].size
        == len((folder / "memory_writes.csv").read_text("utf-8").splitlines()) - 1
    )
    assert {figure.name for figure in measure(folder)} == {
        "memory writes of samna",
        "register writes of samna",
    }
    lines = (folder / "memory_writes.csv").read_text("utf-8").splitlines()
    address, value = lines[-1].split(",")
    (folder / "memory_writes.csv").write_text(
        "\n".join([*lines[:-1], f"{address},{int(value) + 1}"]), "utf-8"
    )
    with pytest.raises(
        NotBitExact, match=r"samna writes 2 words otherwise than memory_writes.csv, first at 0x2"
    ):
        validated(folder)


@samna
@pytest.mark.slow
def test_samna_refuses_what_the_first_core_cannot_hold(tmp_path: Path) -> None:
    folder = built(dense(), tmp_path / "built")
    changed(folder, lambda message: message["reservoir"]["neurons"][3].update(v_mem_decay=16))
    with pytest.raises(NotBitExact, match="samna does not take the configuration: .*3.*16"):
        validated(folder)


@samna
@pytest.mark.slow
def test_outputs_whose_thresholds_are_no_pairs_are_not_measured(tmp_path: Path) -> None:
    assert measure(built(maps(), tmp_path / "built")) == ()


# -------------------------------------------------------------------- docs/xylo.md
@xylosim
@pytest.mark.slow
def test_the_commands_of_its_page_lead_to_the_vendors_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_speech(tmp_path, 60, 4, 400)
    for part in ("train", "test"):
        with h5py.File(tmp_path / f"shd_{part}.h5", "a") as file:
            labels = file["labels"]
            assert isinstance(labels, h5py.Dataset)
            labels[:] = labels[:] % 8
        (tmp_path / f"shd_{part}.h5").rename(tmp_path / f"fsdd_{part}.h5")
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "xylo.md").read_text("utf-8")
    commands = [line.split()[1:] for line in page.splitlines() if line.startswith("    lehr ")]
    assert len(commands) == 7
    short = [
        f"--set={key}"
        for key in (
            "train.epochs=2",
            "finetune.epochs=1",
            "finetune.frozen_epochs=1",
            "train.batch_size=8",
        )
    ]
    for command in commands:
        ran = run(
            *(str(tmp_path) if word == "DIR" else word for word in command),
            *(short if command[0] == "train" else ()),
        )
        assert ran.code == 0, ran.err + ran.out
        if command[0] in ("verify", "simulate"):
            assert (
                "0 of 19,968 membranes differ, 0 spikes" in ran.out
                or "0 of 19,968 membranes and 0 spikes differ" in ran.out
            ), ran.out
