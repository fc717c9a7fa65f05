"""Files of machines, whose neurons are programs, through the commands.

Each command does its work or refuses by name.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run
from machine_networks import machine_network
from strategies import small_network

from lehr import nirfile
from lehr.errors import NotMappable
from lehr.machines import MACHINES
from lehr.npz import npz_bytes
from lehr.simulate import simulate
from lehr.targets.registry import entries
from lehr.update_text import lines_of

BY_NEURON = {"loihi", "refractory", "tinyodin"}
"""The machines that are tried as feature maps with parameters of each neuron."""


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """Return a network of a machine and inputs for it."""
    by_neuron = request.param in BY_NEURON
    net, x = machine_network(request.param, spatial=by_neuron, per_neuron=by_neuron)
    nirfile.write(net, tmp_path / "a.nir", approximate=net.neurons)
    (tmp_path / "in.npz").write_bytes(npz_bytes({"input": x}))
    return tmp_path / "a.nir", tmp_path / "in.npz"


@pytest.mark.few(1)
def test_inspect_shows_the_update(machine: tuple[Path, Path]) -> None:
    net = nirfile.read(machine[0])
    ran = run("inspect", machine[0])
    assert ran.code == 0
    printed = ran.out.splitlines()
    start = printed.index("update of hidden, out, whose membrane is v:")
    lines = lines_of(net.neurons["hidden"].program)
    assert [line.strip() for line in printed[start + 1 : start + 1 + len(lines)]] == list(lines)
    facts = run("inspect", machine[0], "--json").facts
    assert facts["network"] == net.digest
    for name, neuron in net.neurons.items():
        assert facts["update"][name] == {
            "membrane": "v",
            "lines": list(lines),
            "parameters": {
                p: [int(neuron.values[p].min()), int(neuron.values[p].max())]
                for p in neuron.program.parameters
            },
            "by_neuron": list(neuron.per_neuron),
        }
    assert run("inspect", machine[0], "--structure").code == 0


@pytest.mark.few(2)
def test_simulate_runs_it_or_refuses_by_name(machine: tuple[Path, Path], tmp_path: Path) -> None:
    net = nirfile.read(machine[0])
    expected = simulate(net, np.load(machine[1])["input"])
    assert all(
        0 < rate < net.neurons[name].program.most_spikes for name, rate in expected.rates.items()
    )
    for engine in ("reference", "fast", "torch"):
        ran = run(
            "simulate",
            machine[0],
            "-i",
            machine[1],
            "-o",
            tmp_path / f"{engine}.npz",
            "--engine",
            engine,
        )
        assert ran.code == 0 or (engine != "reference" and ran.code == NotMappable.exit_code), (
            ran.err
        )
        if ran.code:
            assert "; " in ran.err
        else:
            assert np.array_equal(np.load(tmp_path / f"{engine}.npz")["counts"], expected.counts)


@pytest.mark.few(3)
@pytest.mark.parametrize("target", [entry.name for entry in entries()])
def test_check_and_build_agree_on_it(
    machine: tuple[Path, Path], target: str, tmp_path: Path
) -> None:
    checked, built = (
        run("check", machine[0], "--target", target),
        run("build", machine[0], "--target", target, "-o", tmp_path / "out"),
    )
    assert checked.code in (0, NotMappable.exit_code)
    assert checked.code == built.code
    assert (tmp_path / "out").exists() == (built.code == 0)
    if built.code:
        assert "; " in built.err
        return
    assert nirfile.read(tmp_path / "out" / "model.nir") == nirfile.read(machine[0])
    assert (
        "Update of hidden, out, whose membrane is v:"
        in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    )


@pytest.mark.few(3)
def test_widths_bounds_it_or_refuses_by_name(machine: tuple[Path, Path], tmp_path: Path) -> None:
    ran = run("widths", machine[0], "-o", tmp_path / "narrow.nir")
    assert ran.code in (0, NotMappable.exit_code)
    assert (tmp_path / "narrow.nir").exists() == (ran.code == 0)


@pytest.mark.few(3)
def test_what_asks_for_fields_names_the_layers_that_have_none(
    machine: tuple[Path, Path], tmp_path: Path
) -> None:
    model, inputs = machine
    refusal = (
        "error: hidden, out: updated by a program of its own, which no fields of Arithmetic say"
    )
    for command in (
        ("export", model, "--for", "nir"),
        ("widths", model, "-i", inputs, "--error", 0.5),
    ):
        ran = run(*command, "-o", tmp_path / "b.nir")
        assert (ran.code, ran.err.count("\n")) == (3, 1), ran.err
        assert ran.err.startswith(refusal), ran.err
        assert not (tmp_path / "b.nir").exists()


def test_quantize_does_not_take_the_nearest_neurons_for_those_of_a_file(tmp_path: Path) -> None:
    net, x = machine_network("adaptive")
    nirfile.write(net, tmp_path / "a.nir", approximate=net.neurons)
    (tmp_path / "in.npz").write_bytes(npz_bytes({"input": x}))
    ran = run(
        "quantize",
        tmp_path / "a.nir",
        "--calibrate",
        tmp_path / "in.npz",
        "--dt",
        0.001,
        "-o",
        tmp_path / "b.nir",
    )
    assert ran.code == 5
    assert "its neurons ('hidden, out: LIF, though its state a is no current" in ran.err
    assert not (tmp_path / "b.nir").exists()


def test_inspect_shows_what_fields_stand_for(tmp_path: Path) -> None:
    net, _ = small_network()
    nirfile.write(net, tmp_path / "a.nir")
    printed = run("inspect", tmp_path / "a.nir").out
    assert "update of lif1, lif2, out, whose membrane is v:" in printed
    assert "  leak v multiply 7 3 toward_zero\n" in printed
    assert run("inspect", tmp_path / "a.nir", "--json").facts["update"]["lif1"]["lines"] == list(
        lines_of(net.neurons["lif1"].program)
    )
