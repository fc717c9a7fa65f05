"""Networks go into a `.nir` file and come back the same, byte for byte, number for number."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from processes import reading_in_this_process
from states import grown_networks
from strategies import alive, delayed_network, networks, recurrent_network, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotMappable
from lehr.network import INPUT, Conv2d, Input, Linear, Network, Neuron
from lehr.nirfile import from_nir, read, to_nir, write
from lehr.nodes import MaxPool2d, Upsample2d
from lehr.simulate import simulate

FIXED = [
    small_network,
    recurrent_network,
    delayed_network,
    partial(small_network, kinds=("ternary", "int4", "int8")),
]
NIR_CONV = ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias")
NO_LEAK = Arithmetic(decay_numerator=4, decay_shift=2, fraction_bits=3)


@budget(20, 60)
@given(networks() | grown_networks())
def test_reading_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, net: Network
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.nir"
    write(net, path)
    with reading_in_this_process():
        again = read(path)
    assert again == net
    assert again.digest == net.digest
    if any(isinstance(node, MaxPool2d | Upsample2d) for node in net.nodes.values()):
        with pytest.raises(NotMappable, match="the package nir has no (MaxPool2d|Upsample2d)"):
            to_nir(net)
        return
    assert from_nir(to_nir(net)) == net
    assert from_nir(nir.read(path, type_check=False)) == net
    # What nir does not infer, and our documentation says so: shapes after grouped and after oblong
    # kernels.
    if all(
        c.groups == 1 and c.weight.shape[2] == c.weight.shape[3]
        for c in net.nodes.values()
        if isinstance(c, Conv2d)
    ):
        assert from_nir(nir.read(path)) == net


@pytest.mark.parametrize("make", FIXED)
def test_a_read_network_spikes_like_the_written_one(make: type, tmp_path: Path) -> None:
    net, x = make()
    write(net, tmp_path / "a.nir")
    ours, again = (simulate(n, x, trace=net.neurons) for n in (net, read(tmp_path / "a.nir")))
    assert alive(ours)
    for name in net.neurons:
        assert np.array_equal(ours.trace.spikes[name], again.trace.spikes[name])
        assert np.array_equal(ours.trace.membranes[name], again.trace.membranes[name])


@pytest.mark.few(1)
@pytest.mark.parametrize("make", FIXED)
def test_every_number_of_the_network_is_in_the_file(make: type, tmp_path: Path) -> None:
    net, _ = make()
    write(net, tmp_path / "a.nir")
    for changed in one_unit_changes(net):
        write(changed, tmp_path / "b.nir")
        with reading_in_this_process():
            assert read(tmp_path / "b.nir") == changed != net
        assert changed.digest != net.digest


def one_unit_changes(net: Network) -> list[Network]:
    """Return copies of `net` that differ in one number, or in the kind of input.

    It is a threshold, bias, decay or weight, or the number of steps.
    """
    changed = [
        replace(net, steps=net.steps + 1),
        replace(
            net, input=Input(net.input.shape, "u8" if net.input.kind == "spikes" else "spikes")
        ),
    ]
    for name, node in net.nodes.items():
        if isinstance(node, Neuron):
            up = np.zeros_like(node.threshold)
            up[-1] = 1
            slower = replace(
                node.fields, decay_form="multiply", decay_numerator=node.fields.decay_numerator - 1
            )
            changed += [
                replace(net, nodes={**net.nodes, name: n})
                for n in (
                    replace(node, threshold=node.threshold + up),
                    replace(node, bias=node.bias + up),
                    replace(node, arithmetic=slower),
                )
            ]
        elif isinstance(node, (Conv2d, Linear)):
            flipped = node.weight.copy()
            flipped.flat[-1] *= -1
            changed.append(replace(net, nodes={**net.nodes, name: replace(node, weight=flipped)}))
    return changed


@pytest.mark.slow
def test_two_writes_have_the_same_bytes(tmp_path: Path) -> None:
    net, _ = small_network()
    write(net, tmp_path / "a.nir")
    time.sleep(1.1)  # HDF5 keeps times in whole seconds, where it keeps them
    write(read(tmp_path / "a.nir"), tmp_path / "b.nir")
    assert (tmp_path / "a.nir").read_bytes() == (tmp_path / "b.nir").read_bytes()


@pytest.mark.parametrize("make", FIXED)
def test_nir_with_its_type_check_reads_chains_delays_and_recurrence(
    make: type, tmp_path: Path
) -> None:
    net, _ = make()
    write(net, tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir")
    assert {*graph.nodes} == {*net.nodes, "input", "output"}


@pytest.mark.parametrize(
    "arithmetic",
    [
        Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2),
        Arithmetic(decay_numerator=0),
        NO_LEAK,
    ],
)
def test_the_floating_point_fields_describe_the_same_neuron(arithmetic: Arithmetic) -> None:
    """One Euler step of NIR's own equations is beta * V + 2**F * I + B.

    Without leak, NIR's IF has no place for B.
    """
    neuron = Neuron(np.array([3, 400], np.int32), np.array([-5, 17], np.int32), arithmetic)
    node = to_nir(
        Network({"n": neuron}, ((INPUT, "n"), ("n", "output")), Input((2,), "u8"), 4)
    ).nodes["n"]
    membrane, current = np.array([24.0, -8.0]), np.array([3.0, 200.0])
    if arithmetic.beta == 1:
        assert type(node) is nir.IF
        step, bias = membrane + 1e-3 * node.r * current, np.zeros(2, np.int32)
    else:
        assert type(node) is nir.LIF
        step = membrane + 1e-3 / node.tau * (node.v_leak - membrane + node.r * current)
        bias = neuron.bias
    assert step == pytest.approx(
        arithmetic.beta * membrane + 2**arithmetic.fraction_bits * current + bias, rel=1e-12
    )
    assert node.v_threshold.tolist() == [3, 400]
    assert node.v_threshold.dtype == np.int32


def test_the_file_holds_what_the_documentation_says(tmp_path: Path) -> None:
    net, _ = small_network()
    write(net, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir") as opened:
        file: Any = opened
        exact = json.loads(file["node/metadata/fixed_point"][()])
        blocks = exact.pop("nodes")
        assert exact == {
            "schema": "fixed-point-net/2", "input": "u8", "steps": 8, "readout": "count_argmax_lowest", "digest": net.digest,
        }  # fmt: skip
        assert set(blocks) == {"conv1", "conv2", "fc", "lif1", "lif2", "out"}
        assert blocks["conv1"] == {"schema": "fixed-point-weight/1", "weights": "binary"}
        assert blocks["lif1"] == {
            "schema": "fixed-point-lif/1", "decay_form": "multiply", "decay_numerator": 7, "decay_shift": 3, "rounding": "toward_zero",
            "reset": "subtract", "reset_timing": "next_step", "fires": "gt", "fraction_bits": 2, "state_bits": 20,
            "overflow": "saturate", "update": "step", "bias": net.neurons["lif1"].bias.tolist(),
        }  # fmt: skip
        assert set(file["node/nodes/conv1"]) == {*NIR_CONV, "type"}
        assert file["node/nodes/conv1/weight"].dtype == np.int8
        lif = file["node/nodes/lif1"]
        assert lif["v_threshold"].dtype == np.int32
        assert lif["v_threshold"].shape == net.shapes["lif1"]
        assert lif["tau"][0, 0, 0] == pytest.approx(8e-3)


def test_the_arrays_of_a_graph_are_the_callers_own() -> None:
    net, _ = small_network()
    digest = net.digest
    nodes: dict[str, Any] = to_nir(net).nodes
    nodes["conv1"].weight[:] = 1
    nodes["lif1"].v_threshold[:] = 1
    assert net.digest == digest


def test_metadata_of_others_is_left_alone(tmp_path: Path) -> None:
    net, _ = small_network()
    graph = to_nir(net)
    graph.metadata["author"] = "somebody"
    graph.nodes["pool1"].metadata["note"] = "2x2"
    nir.write(tmp_path / "a.nir", graph)
    assert read(tmp_path / "a.nir") == net


def test_others_need_no_digest(tmp_path: Path) -> None:
    net, _ = small_network()
    graph = to_nir(net)
    exact = json.loads(graph.metadata["fixed_point"])
    del exact["digest"]
    graph.metadata["fixed_point"] = json.dumps(exact)
    nir.write(tmp_path / "a.nir", graph)
    assert read(tmp_path / "a.nir") == net


def test_padding_by_name_means_what_torch_means(tmp_path: Path) -> None:
    net, _ = small_network()
    write(net, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "a") as file:
        for conv, name in (("conv1", "valid"), ("conv2", "same")):
            del file[f"node/nodes/{conv}/padding"]
            file[f"node/nodes/{conv}/padding"] = name
    assert read(tmp_path / "a.nir") == net


def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, _ = recurrent_network()
    path = tmp_path / "a.nir"
    write(net, path)
    before = path.read_bytes()
    monkeypatch.setattr(
        os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(
        FileRefused, match=r"a\.nir cannot be written: No space left on device; free space there"
    ):
        write(replace(net, steps=3), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
