"""Neurons with a synapse state and leaky integrators in a `.nir` file.

They have names and floats of NIR's; some are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from earlier_files import earlier_file
from states import SLOW, flowing, two_state_network
from strategies import random_input

from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import FileRefused
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.nirfile import read, to_nir, write
from lehr.simulate import simulate

ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
IDLE = replace(ARITHMETIC, fires="never", reset="none")
NO_LEAK = replace(ARITHMETIC, decay_numerator=8)


def line(arithmetic: Arithmetic, synapse: Synapse | None = None, bias: int = 0) -> Network:
    """Build a network of two inputs and one neuron of the kind asked for."""
    neuron = Neuron([0 if arithmetic.fires == "never" else 40], [bias], arithmetic, synapse)  # type: ignore[arg-type]
    edges = ((INPUT, "w"), ("w", "v"), ("v", OUTPUT))
    return Network(
        {"w": Linear(np.array([[1, 1]])), "v": neuron},
        edges,
        Input((2,), "spikes"),
        6,
        "membrane_sum_argmax_lowest",
    )


@pytest.mark.parametrize(
    ("arithmetic", "synapse", "kind"),
    [
        (ARITHMETIC, None, "LIF"),
        (NO_LEAK, None, "IF"),
        (ARITHMETIC, SLOW, "CubaLIF"),
        (IDLE, None, "LI"),
        (replace(NO_LEAK, fires="never", reset="none"), None, "I"),
        (IDLE, SLOW, "CubaLI"),
    ],
)
def test_nir_knows_each_kind_of_neuron(
    arithmetic: Arithmetic, synapse: Synapse | None, kind: str, tmp_path: Path
) -> None:
    net = line(arithmetic, synapse)
    write(net, tmp_path / "a.nir")
    assert type(nir.read(tmp_path / "a.nir").nodes["v"]).__name__ == kind
    assert read(tmp_path / "a.nir") == net


@pytest.mark.parametrize("arithmetic", [ARITHMETIC, IDLE])
def test_euler_steps_of_the_float_fields_are_the_integers(arithmetic: Arithmetic) -> None:
    """Floats see the same network: with 16 fraction bits nothing rounds in 5 steps.

    A step of eighths and quarters takes 3 places.
    """
    net = line(
        replace(arithmetic, fraction_bits=16, state_bits=32, reset="none"),
        replace(SLOW, state_bits=32),
        bias=3 << 14,
    )
    net = replace(
        net,
        nodes={
            **net.nodes,
            "v": replace(net.neurons["v"], threshold=net.neurons["v"].threshold << 12),
        },
    )
    x = random_input(net, np.random.default_rng(0), samples=8)[:, :5]
    node: Any = to_nir(net).nodes["v"]
    dt = 1e-3
    current = v = np.zeros((8, 1))
    trace = simulate(net, x, trace=["v"]).trace
    for t in range(5):
        current = current + dt / node.tau_syn * (
            -current + node.w_in * x[:, t].sum(axis=1, keepdims=True)
        )
        v = v + dt / node.tau_mem * (node.v_leak - v + node.r * current)
        assert np.allclose(v, trace.membranes["v"][:, t], rtol=0, atol=1e-6)
        if arithmetic is ARITHMETIC:
            assert np.array_equal(v > node.v_threshold, trace.spikes["v"][:, t])
    assert np.ptp(trace.membranes["v"]) > 1 << 16


@pytest.mark.slow
def test_every_field_of_a_synapse_and_the_readout_are_in_the_file(tmp_path: Path) -> None:
    net, x = two_state_network(ARITHMETIC, readout="membrane_last_argmax_lowest")
    assert flowing(net, simulate(net, x))
    other = {
        "decay_form": "shift",
        "decay_numerator": 2,
        "decay_shift": 3,
        "rounding": "floor",
        "state_bits": 15,
        "overflow": "wrap",
        "bias_to": "synapse",
    }
    assert other.keys() == {field.name for field in fields(Synapse)}
    hidden = net.neurons["hidden"]
    synapses = [replace(SLOW, **{name: value}) for name, value in other.items()]  # type: ignore[arg-type]
    changed = [
        replace(net, nodes={**net.nodes, "hidden": replace(hidden, synapse=synapse)})
        for synapse in [None, *synapses]
    ]
    for one in (*changed, replace(net, readout="membrane_max_argmax_lowest")):
        write(one, tmp_path / "b.nir")
        assert read(tmp_path / "b.nir") == one != net
        assert one.digest != net.digest


def test_networks_without_these_have_the_digest_that_they_always_had() -> None:
    """A field that is not used is no part of the digest: artefacts of old keep their names."""
    plain = line(ARITHMETIC)
    text = repr(plain.neurons["v"].fields)
    assert "synapse" not in text
    assert (
        replace(plain, readout="count_argmax_lowest").digest
        == "3f584401331393c25e5d6f2ca0d80f8c08918557794983ee06284640ab8fa311"
    )


Edit = Callable[[Any], None]  # of the nodes in an open h5py.File


def put(where: str, value: Any) -> Edit:
    """Store `value` at `where`, in place of what is there."""

    def edit(nodes: Any) -> None:
        if where in nodes:
            del nodes[where]
        nodes[where] = value

    return edit


def drop(where: str) -> Edit:
    """Remove what is at `where`."""

    def edit(nodes: Any) -> None:
        del nodes[where]

    return edit


EXACT, OUT = "hidden/metadata/fixed_point", "out/metadata/fixed_point"
ELSE = "but the rest of the file makes it"
REFUSED: dict[str, tuple[Edit, str]] = {
    "slower synapse": (
        put(f"{EXACT}/synapse_decay_numerator", 2),
        f"hidden: tau_syn holds 0.004 at [0], {ELSE} 0.002; ",
    ),
    "other time constant": (
        put("hidden/tau_syn", np.full(9, 0.003)),
        f"hidden: tau_syn holds 0.003 at [0], {ELSE} 0.004; ",
    ),
    "other membrane": (
        put("hidden/tau_mem", np.full(9, 0.004)),
        f"hidden: tau_mem holds 0.004 at [0], {ELSE} 0.008; ",
    ),
    "other input weight": (
        put("hidden/w_in", np.full(9, 1.0)),
        f"hidden: w_in holds 1.0 at [0], {ELSE} 16.0; ",
    ),
    "other resistance": (
        put("hidden/r", np.full(9, 1.0)),
        f"hidden: r holds 1.0 at [0], {ELSE} 8.0; ",
    ),
    "resistance of another shape": (
        put("out/r", np.full(5, 8.0)),
        "out: r has shape (5,), but its input has (4,); ",
    ),
    "bias to the other state": (
        put(f"{EXACT}/synapse_bias_to", "synapse"),
        f"{ELSE} 0.0; export the network again with lehr",
    ),
    "synapse without leak": (
        put(f"{EXACT}/synapse_decay_numerator", 4),
        "hidden: synapse state: decay_numerator is 4 of 4, but a synapse must leak; use at most 3",
    ),
    "synapse too wide": (
        put(f"{EXACT}/synapse_state_bits", 33),
        "hidden: synapse state: state_bits is 33; use 8 to 32",
    ),
    "unknown state": (
        put(f"{EXACT}/synapse_bias_to", "axon"),
        "hidden: synapse state: bias_to is 'axon'; use one of 'membrane', 'synapse'",
    ),
    "field of the synapse missing": (
        drop(f"{EXACT}/synapse_rounding"),
        "hidden: has no 'synapse_rounding', which its fixed_point block needs; export the network "
        "again with lehr",
    ),
    "one state by name": (
        put("hidden/type", "LIF"),
        "hidden: has no 'tau', which LIF needs; export the network again with lehr",
    ),
    "one state in the block": (
        put(f"{EXACT}/schema", "fixed-point-lif/1"),
        "hidden: has a fixed_point block of schema 'fixed-point-lif/1', not 'fixed-point-cuba/1'; "
        "read it with the lehr that wrote it",
    ),
    "threshold of an integrator": (
        put("out/v_threshold", np.ones(4, np.int32)),
        "out: has 'v_threshold', which CubaLI does not have; remove it",
    ),
    "integrator that resets": (
        put(f"{OUT}/reset", "zero"),
        "out: fires is 'never', but reset is 'zero' where nothing fires; set it to 'none'",
    ),
    "integrator that fires": (
        put(f"{OUT}/fires", "gt"),
        "out: Neuron threshold holds 0; a threshold is an integer of at least 1",
    ),
}


@pytest.mark.few(7)
@pytest.mark.parametrize("case", REFUSED)
def test_a_contradiction_is_refused(case: str, tmp_path: Path) -> None:
    edit, message = REFUSED[case]
    path = earlier_file("two_states", tmp_path)
    with h5py.File(path, "a") as file:
        edit(file["node/nodes"])
    with pytest.raises(FileRefused) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
