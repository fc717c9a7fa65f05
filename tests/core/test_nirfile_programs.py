"""Programs, parameters of each neuron and delays of each value in a `.nir` file.

They come back the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from machine_networks import machine_network
from processes import reading_in_this_process
from strategies import alive, delayed_network, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotMappable, UsageError
from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Delay, Input, Linear, Network, Neuron
from lehr.nirfile import from_nir, read, to_bytes, to_nir, write
from lehr.outline import outline
from lehr.programs import program_of
from lehr.simulate import simulate
from lehr.update_text import lines_of, program_of_lines

WITHOUT_TYPE = {"adaptive": "LIF", "refractory": "LIF", "tinyodin": "IF"}
"""The machines that NIR has no type for, and the nearest."""


def networks() -> Iterator[Any]:
    for name in MACHINES:
        for spatial in (False, True):
            for per_neuron in (False, True):
                yield pytest.param(
                    name,
                    spatial,
                    per_neuron,
                    id=f"{name}{'-maps' * spatial}{'-by-neuron' * per_neuron}",
                )


@pytest.mark.few(6)
@pytest.mark.parametrize(("name", "spatial", "per_neuron"), [*networks()])
def test_a_machine_comes_back_and_spikes(
    name: str, spatial: bool, per_neuron: bool, tmp_path: Path
) -> None:
    net, x = machine_network(name, spatial=spatial, per_neuron=per_neuron)
    path = tmp_path / "a.nir"
    write(net, path, approximate=net.neurons)
    with reading_in_this_process():
        again = read(path)
    assert again == net
    assert again.digest == net.digest
    assert from_nir(to_nir(net, net.neurons)) == net
    assert from_nir(nir.read(path)) == net
    assert to_bytes(again, approximate=again.neurons) == path.read_bytes()
    rates = simulate(again, x[:1]).rates
    assert all(0 < rate < net.neurons[layer].program.most_spikes for layer, rate in rates.items())


def one_unit_changes(net: Network) -> Iterator[Network]:
    """Yield copies that differ in one parameter of one neuron, or in one number of the update."""
    neuron = net.neurons["hidden"]
    for name in neuron.program.parameters:
        one = np.zeros_like(neuron.values[name])
        one.flat[-1] = 1
        for step in (one, -one):
            try:
                values: dict[str, Any] = {**neuron.values, name: neuron.values[name] + step}
                changed = Neuron(
                    values.pop("threshold"), values.pop("bias"), neuron.arithmetic, None, values
                )
            except FileRefused:  # beyond what its use allows
                continue
            yield replace(net, nodes={**net.nodes, "hidden": changed})
    lines = lines_of(neuron.program)
    for number, line in enumerate(lines):
        for old, new in (
            ("toward_zero", "floor"),
            ("saturate", "wrap"),
            (" gt ", " ge "),
            (" 7 3 ", " 6 3 "),
            (" 1 0", " 2 0"),
            (" -", " -1"),
        ):
            if old in line:
                try:
                    program = program_of_lines(
                        [*lines[:number], line.replace(old, new, 1), *lines[number + 1 :]], "v"
                    )
                except FileRefused:
                    continue
                yield replace(
                    net, nodes={**net.nodes, "hidden": replace(neuron, arithmetic=program)}
                )


@pytest.mark.few(1)
@pytest.mark.parametrize("name", MACHINES)
def test_every_number_of_a_machine_is_in_the_file(name: str, tmp_path: Path) -> None:
    net, _ = machine_network(name, spatial=True, per_neuron=True)
    changes = list(one_unit_changes(net))
    assert len(changes) >= 2
    for changed in changes:
        write(changed, tmp_path / "b.nir", approximate=net.neurons)
        with reading_in_this_process():
            assert read(tmp_path / "b.nir") == changed != net
        assert changed.digest != net.digest


def test_the_block_says_the_program_line_by_line(tmp_path: Path) -> None:
    net, _ = machine_network("loihi", spatial=True, per_neuron=True)
    write(net, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir") as opened:
        file: Any = opened
        blocks = json.loads(file["node/metadata/fixed_point"][()])["nodes"]
        hidden = net.neurons["hidden"]
        assert blocks["hidden"] == {
            "schema": "fixed-point-update/1",
            "update": [
                "leak u multiply du 12 toward_zero", "add u input 6", "bound u -8388607 8388608 wrap", "leak v multiply dv 12 toward_zero",
                "add v u 0", "add v bias 0", "bound v -8388607 8388607 saturate", "fire fired v gt threshold 1", "put v 0 when fired",
            ],
            "membrane": "v",
            "bias": hidden.bias.tolist(),
            "parameters": {"du": hidden.values["du"].tolist(), "dv": hidden.values["dv"].tolist()},
        }  # fmt: skip
        assert np.array_equal(file["node/nodes/hidden/v_threshold"][()], hidden.threshold)
        assert np.shape(blocks["hidden"]["bias"]) == net.shapes["hidden"]
        assert np.shape(blocks["out"]["bias"]) == (5,)
        assert set(file["node/nodes/hidden"]) == {
            "type",
            "tau_mem",
            "tau_syn",
            "r",
            "w_in",
            "v_leak",
            "v_threshold",
            "v_reset",
        }


def by_neuron(net: Network, name: str, rng: np.random.Generator) -> Network:
    """Return the network with own thresholds and biases for each neuron of a layer."""
    neuron, shape = net.neurons[name], net.shapes[name]
    near = (
        (neuron.spread("threshold", shape) * rng.uniform(0.8, 1.2, shape)).astype(np.int32).clip(1)
    )
    bias = (neuron.spread("bias", shape) + rng.integers(-9, 10, shape)).astype(np.int32)
    return replace(net, nodes={**net.nodes, name: replace(neuron, threshold=near, bias=bias)})


def test_fields_with_parameters_of_each_neuron_keep_their_schema(tmp_path: Path) -> None:
    net, x = small_network()
    net = by_neuron(net, "lif1", np.random.default_rng(0))
    assert net.neurons["lif1"].per_neuron == ("threshold", "bias")
    assert alive(simulate(net, x))
    write(net, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir") as opened:
        file: Any = opened
        blocks = json.loads(file["node/metadata/fixed_point"][()])["nodes"]
        assert blocks["lif1"]["schema"] == "fixed-point-lif/1"
        assert blocks["lif1"]["bias"] == net.neurons["lif1"].bias.tolist()
        assert np.array_equal(file["node/nodes/lif1/v_leak"][()], 8.0 * net.neurons["lif1"].bias)
    assert read(tmp_path / "a.nir") == net
    assert from_nir(nir.read(tmp_path / "a.nir")) == net


def test_a_program_that_fields_would_say_stays_a_program(tmp_path: Path) -> None:
    """The file gives back what was written and its digest; NIR's own fields are those of fields."""
    net, _ = small_network()
    fields = net.neurons["lif1"].fields
    other = replace(
        net,
        nodes={**net.nodes, "lif1": replace(net.neurons["lif1"], arithmetic=program_of(fields))},
    )
    assert other != net
    write(other, tmp_path / "a.nir")
    assert read(tmp_path / "a.nir") == other
    ours, theirs = to_nir(net).nodes["lif1"].to_dict(), to_nir(other).nodes["lif1"].to_dict()
    for field in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
        assert np.array_equal(ours[field], theirs[field])
        assert ours[field].dtype == theirs[field].dtype


def test_a_threshold_that_differs_within_a_channel_is_read_where_no_digest_is_stated() -> None:
    net, _ = small_network()
    graph = to_nir(net)
    exact = json.loads(graph.metadata["fixed_point"])
    del exact["digest"]
    graph.metadata["fixed_point"] = json.dumps(exact)
    lif: Any = graph.nodes["lif1"]
    lif.v_threshold[2, 1, 3] += 1
    again = from_nir(graph)
    assert again.neurons["lif1"].per_neuron == ("threshold",)
    assert again.neurons["lif1"].threshold[2, 1, 3] == net.neurons["lif1"].threshold[2] + 1


@pytest.mark.parametrize("steps", [np.array([3, 1, 2, 5, 1, 1, 2, 4]), np.array([[1], [2]]), 3])
def test_delays_of_each_value_come_back(steps: Any, tmp_path: Path) -> None:
    net, _ = delayed_network()
    name = "slow_spikes"
    shape = net.shapes[name]
    given = np.broadcast_to(np.resize(np.asarray(steps, np.int32), shape), shape)
    changed = replace(net, nodes={**net.nodes, name: Delay(given)})
    write(changed, tmp_path / "a.nir")
    again = read(tmp_path / "a.nir")
    node = again.nodes[name]
    assert isinstance(node, Delay)
    assert again == changed
    assert isinstance(node.steps, int) == (steps == 3 if isinstance(steps, int) else False)
    assert np.array_equal(node.spread(shape), given)
    written: Any = nir.read(tmp_path / "a.nir").nodes[name]
    assert np.allclose(written.delay, given * 1e-3, rtol=1e-12)


def test_delays_by_channel_of_maps_come_back(tmp_path: Path) -> None:
    nodes = {"d": Delay(np.array([4, 1], np.int32)), "n": Neuron([1, 1], [0, 0], Arithmetic())}  # type: ignore[arg-type]
    net = Network(nodes, ((INPUT, "d"), ("d", "n"), ("n", OUTPUT)), Input((2, 3, 3), "spikes"), 9)
    write(net, tmp_path / "a.nir")
    assert read(tmp_path / "a.nir") == net
    x = np.ones((1, 9, 2, 3, 3), np.uint8)
    spikes = simulate(read(tmp_path / "a.nir"), x, trace=["n"]).trace.spikes["n"]
    first = [int(np.flatnonzero(spikes[0, :, channel, 0, 0])[0]) for channel in (0, 1)]
    assert first[0] - first[1] == 3


# -------------------------------------------------------------------- what NIR has no type for
@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_without_a_type_in_nir_is_refused_unless_it_is_asked_for(
    name: str, tmp_path: Path
) -> None:
    net, _ = machine_network(name)
    if name not in WITHOUT_TYPE:
        assert to_bytes(net) == to_bytes(net, approximate=net.neurons)
        return
    with pytest.raises(NotMappable) as caught:
        write(net, tmp_path / "a.nir")
    assert str(caught.value).startswith("hidden, out: NIR has no neuron for its update, as ")
    nearest = WITHOUT_TYPE[name]
    way_out = f"; name it in `approximate` to write it as the nearest, {nearest}, with its update exactly beside that"
    assert str(caught.value).endswith(way_out)
    assert not (tmp_path / "a.nir").exists()
    with pytest.raises(NotMappable, match=r"^hidden: NIR has no neuron"):
        write(net, tmp_path / "a.nir", approximate=["out"])
    with pytest.raises(NotMappable, match=r"^hidden, out: NIR has no neuron"):
        to_nir(net)
    write(net, tmp_path / "a.nir", {"made": "here"}, approximate=["hidden", "out"])
    assert outline(tmp_path / "a.nir").nodes["hidden"].kind == nearest
    assert outline(tmp_path / "a.nir").origin["made"] == "here"
    assert str(outline(tmp_path / "a.nir").origin["approximate"]).startswith(
        f"hidden, out: {nearest}, though "
    )


REASONS = {
    "adaptive": "its state a is no current that drives v and its threshold level changes",
    "refractory": "its state r is no current that drives v and v is put to 0 where r is not 0 and r leaks by a constant, not by a share",
    "tinyodin": "v leaks by a constant, not by a share",
}


@pytest.mark.parametrize("name", REASONS)
def test_the_state_is_named_that_nir_does_not_have(name: str) -> None:
    with pytest.raises(NotMappable) as caught:
        to_bytes(machine_network(name)[0])
    assert f"as {REASONS[name]}; name it" in str(caught.value)


def test_only_layers_of_neurons_can_be_approximated() -> None:
    net, _ = machine_network("adaptive")
    with pytest.raises(
        UsageError,
        match=r"^approximate names 'first', which is no layer of neurons; name some of hidden, out$",
    ):
        to_bytes(net, approximate=["hidden", "first"])


def test_a_linear_leak_of_nothing_is_none() -> None:
    net, _ = machine_network("tinyodin")
    nodes: dict[str, Any] = dict(net.nodes)
    for name, neuron in net.neurons.items():
        nodes[name] = replace(neuron, parameters={"leak": np.zeros(neuron.channels, np.int32)})
    assert b"approximate" not in to_bytes(replace(net, nodes=nodes))


# -------------------------------------------------------------------- nodes without a form
class Unwritten(Linear):
    """A node that no file knows, though it inherits from one that it does."""


def test_a_node_without_a_file_form_is_refused_by_name(tmp_path: Path) -> None:
    nodes = {"pool": Unwritten(np.ones((2, 2), np.int8)), "n": Neuron([1, 1], [0, 0], Arithmetic())}  # type: ignore[arg-type]
    net = Network(nodes, ((INPUT, "pool"), ("pool", "n"), ("n", OUTPUT)), Input((2,), "spikes"), 2)
    with pytest.raises(NotMappable) as caught:
        write(net, tmp_path / "a.nir")
    assert str(caught.value) == (
        "pool: the .nir file holds no Unwritten; use Conv2d, Linear, SumPool2d, MaxPool2d, "
        "Upsample2d, Flatten, Delay, Scale, Neuron,"
        " or give it a file form in lehr.nodes.registry"
    )
