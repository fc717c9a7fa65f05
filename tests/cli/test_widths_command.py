"""`lehr widths`: proven and observed bits, and the file with fewer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from commands import Lehr
from machine_networks import machine_network
from states import SLOW, two_state_network

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.cli import inspecting
from lehr.simulate import simulate
from lehr.widths import analyse, fit_state_bits

ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=9, state_bits=32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a network of two states, and 480 samples of which six differ."""
    net, x = two_state_network(ARITHMETIC, SLOW)
    nirfile.write(net, tmp_path / "a.nir")
    np.savez(tmp_path / "in.npz", input=np.concatenate([x] * 80))
    return tmp_path


def test_proven_widths_are_printed_and_written(lehr: Lehr, folder: Path) -> None:
    net = nirfile.read(folder / "a.nir")
    facts = lehr("widths", folder / "a.nir", "-o", folder / "b.nir", "--json").facts
    fitted = fit_state_bits(net)
    assert nirfile.read(folder / "b.nir") == fitted
    assert facts["network"] == fitted.digest != net.digest
    for name, neuron in fitted.neurons.items():
        assert neuron.synapse is not None
        assert (
            facts["layers"][name]["membrane"]["bits"]
            == neuron.fields.state_bits
            < facts["layers"][name]["membrane"]["file"]
            == 32
        )
        assert facts["layers"][name]["synapse"]["bits"] == neuron.synapse.state_bits
        assert facts["layers"][name]["membrane"]["observed"] is None
    shown = lehr("widths", folder / "a.nir").out
    assert "hidden   synapse " in shown
    assert "observed" not in shown


def test_observed_widths_are_taken_only_when_asked_and_are_recorded(
    lehr: Lehr, folder: Path
) -> None:
    asked = ("widths", folder / "a.nir", "-i", folder / "in.npz", "-o", folder / "b.nir")
    proven = lehr(*asked, "--json").facts
    assert proven["spikes_differ"] == {"hidden": 0, "out": 0}
    assert proven["network"] == fit_state_bits(nirfile.read(folder / "a.nir")).digest
    facts = lehr(*asked, "--risk", 0.05, "--json").facts
    assert facts["spikes_differ"] == {"hidden": 0, "out": 0}
    assert facts["values"] == 480 * 10 * 13
    assert facts["saturations"] == {"hidden": 0, "out": 0}
    assert facts["network"] != proven["network"]
    assert facts["risk"] <= 0.05
    narrow = nirfile.read(folder / "b.nir")
    rates = simulate(narrow, np.load(folder / "in.npz")["input"][:6]).rates
    assert all(0 < rate < 1 for rate in rates.values())
    for name, neuron in narrow.neurons.items():
        assert (
            neuron.fields.state_bits
            == facts["layers"][name]["membrane"]["observed_bits"]
            < facts["layers"][name]["membrane"]["bits"]
        )
    with h5py.File(folder / "b.nir") as file:
        group: Any = file["node/metadata/origin"]
        origin = {name: value[()] for name, value in group.items()}
    assert origin == {
        "command": b"lehr widths",
        "from": nirfile.read(folder / "a.nir").digest.encode(),
        "risk": 0.05,
        "samples": 480,
        "steps": 10,
    }


def test_a_wanted_error_takes_fewer_fraction_bits(lehr: Lehr, folder: Path) -> None:
    ran = lehr(
        "widths",
        folder / "a.nir",
        "-i",
        folder / "in.npz",
        "--error",
        0.5,
        "-o",
        folder / "b.nir",
        "--json",
    )
    written = nirfile.read(folder / "b.nir")
    bits = [neuron.fields.fraction_bits for neuron in written.neurons.values()]
    assert [layer["fraction_bits"] for layer in ran.facts["layers"].values()] == bits
    assert max(bits) < 9
    assert sum(ran.facts["spikes_differ"].values()) < ran.facts["values"] / 10
    assert ran.facts["origin"]["error"] == 0.5
    assert f"9 to {bits[0]}" in lehr("widths", folder / "a.nir", "--error", 0.5).out


def test_what_cannot_be_promised_is_refused(lehr: Lehr, folder: Path) -> None:
    ran = lehr("widths", folder / "a.nir", "--risk", 0.1, "-o", folder / "b.nir")
    assert ran.code == 2
    assert (
        ran.err == "error: --risk is about samples, and none are given; give them with -i IN.npz\n"
    )
    ran = lehr(
        "widths", folder / "a.nir", "-i", folder / "in.npz", "--risk", 0.001, "-o", folder / "b.nir"
    )
    assert ran.code == 2
    assert ran.err.startswith(
        "error: risk: 0.001 of the samples, which 480 samples do not show; give "
    )
    assert not (folder / "b.nir").exists()


def test_registers_of_a_program_are_printed_by_name(
    lehr: Lehr, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x = machine_network("adaptive")
    np.savez(folder / "in.npz", input=x)
    monkeypatch.setattr("lehr.cli.widths.read_model", lambda *_: net)
    facts = lehr("widths", folder / "a.nir", "-i", folder / "in.npz", "--json").facts["layers"]
    layers = analyse(fit_state_bits(net)).layers
    for name, layer in layers.items():
        assert set(facts[name]) == {"v", "a", "level"}
        for register, seen in facts[name].items():
            low, high = layer.registers[register]
            assert seen["bounds"] == [low, high]
            if register != "level":  # which has no width, and so is not looked at
                assert low <= seen["observed"][0] < seen["observed"][1] <= high
        assert (
            facts[name]["v"]["file"],
            facts[name]["a"]["file"],
            facts[name]["level"]["file"],
        ) == (
            16,
            12,
            None,
        )
    shown = lehr("widths", folder / "a.nir", "-i", folder / "in.npz").out
    assert re.search(r"hidden +a +12 +0\.\.", shown)


def test_registers_of_a_program_are_rows_of_inspect() -> None:
    net, _ = machine_network("xylo")
    width = analyse(net).layers["hidden"]
    rows = inspecting._states("hidden", net.neurons["hidden"], width)
    low, high = width.registers["i"]
    assert rows[0] == (
        "hidden",
        "i",
        "dash 0/2^dash_syn",
        "toward_zero",
        "",
        "",
        "",
        16,
        "saturate",
        f"{low:,}..{high:,}",
    )
    assert [row[1] for row in rows] == ["i", "d", "v"]
