"""`lehr export --for READER`: from a run, a model and a file.

What is left out is printed, and nothing takes the file for the exact one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
from commands import Lehr
from float_stepping import euler
from strategies import Builder, alive, random_input

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.export.readers import READERS, ReaderFile
from lehr.network import Input
from lehr.simulate import simulate

TIMES = "a spike takes the threshold off in the next step; in snntorch it sets the membrane to 0 at once"


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """Return a folder with in.npz and model.nir, a network that floats can say whole."""
    net = Builder(Input((12,), "spikes"), np.random.default_rng(0), ("int4",))
    for name, size in (("hidden", 9), ("out", 5)):
        net.linear(f"fc_{name}", size)
        net.neuron(name, Arithmetic(reset="zero", reset_timing="same_step"))
    network = net.network(steps=8)
    x = random_input(network, np.random.default_rng(2))
    assert alive(simulate(network, x))
    nirfile.write(network, tmp_path / "model.nir")
    np.savez(tmp_path / "in.npz", input=x)
    return tmp_path


def test_a_file_that_leaves_nothing_out_says_so_and_holds_every_spike(
    lehr: Lehr, counting: Path
) -> None:
    model, sample, output = counting / "model.nir", counting / "in.npz", counting / "norse.nir"
    ran = lehr("export", model, "--for", "norse", "-i", sample, "-o", output)
    assert ran.code == 0, ran.err
    assert (
        "0 of 448 spikes differ on 4 samples, in double precision, stepped as norse does" in ran.out
    )
    assert (
        "nothing is left out: stepped in double precision, every spike of 8 steps is the network's"
        in ran.out
    )
    assert (
        "NIR has no words for the input (spikes), the 8 steps and the readout (count_argmax_lowest)"
        in ran.out
    )
    assert ran.last == "PASS"
    net = nirfile.read(model)
    with np.load(sample) as arrays:
        x = arrays["input"]
    graph = nir.read(output)
    right = simulate(net, x, trace=["out"]).trace.spikes["out"]
    np.testing.assert_array_equal(
        np.stack([euler(graph, each, READERS["norse"].dt)["out"] for each in x]), right
    )
    facts = lehr("export", model, "--for", "norse", "-o", output, "--json").facts
    assert facts["network"] == net.digest
    assert facts["reader"] == {
        "name": "norse",
        "types": {"hidden": "IF", "out": "IF"},
        "notes": [],
        "proven": True,
    }


def test_what_is_called_whole_and_is_not_is_never_written(
    lehr: Lehr, counting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_off(file: ReaderFile) -> bytes:
        nodes = dict(file.tree["nodes"])
        nodes["fc_hidden"] = {
            **nodes["fc_hidden"],
            "bias": nodes["fc_hidden"]["bias"] + np.float32(0.5),
        }
        return to_bytes(replace(file, tree={**file.tree, "nodes": nodes}))

    to_bytes = ReaderFile.to_bytes
    monkeypatch.setattr(ReaderFile, "to_bytes", one_off)
    ran = lehr(
        "export",
        counting / "model.nir",
        "--for",
        "nir",
        "-i",
        counting / "in.npz",
        "-o",
        counting / "n.nir",
    )
    assert ran.code == 4
    assert "of 448 spikes differ, but nothing was left out; report it as a bug of lehr" in ran.err
    assert not (counting / "n.nir").exists()


@pytest.mark.slow
def test_a_run_is_compared_with_its_twin_and_then_written_for_an_importer(
    lehr: Lehr, line: Path, tmp_path: Path
) -> None:
    ran = lehr("export", line / "run", "--for", "snntorch", "-o", tmp_path / "s.nir")
    assert ran.code == 0, ran.err
    assert TIMES in ran.out
    assert "membranes differ" in ran.out
    ran = lehr(
        "export",
        line / "model.nir",
        "--for",
        "snntorch",
        "-i",
        line / "in.npz",
        "-o",
        tmp_path / "same.nir",
        "--json",
    )
    assert ran.facts["reader"]["proven"] is False
    assert ran.facts["reader"]["spikes_differ"] > 0
    assert (tmp_path / "s.nir").read_bytes() == (tmp_path / "same.nir").read_bytes()
    assert not nir.read(tmp_path / "s.nir").nodes["input"].metadata
    for command in ("simulate", "inspect"):
        options = ("-i", line / "in.npz", "-o", tmp_path / "o.npz") if command == "simulate" else ()
        taken = lehr(command, tmp_path / "s.nir", *options)
        if command == "simulate":
            assert taken.code == 5
            assert (
                "holds the float units of `lehr export --for snntorch`, not the integers"
                in taken.err
            )
        else:
            assert "origin, reader: snntorch" in taken.out


def test_a_model_is_compared_and_then_written_for_an_importer(lehr: Lehr, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import torch, snntorch as snn\nfrom torch import nn\n\ndef model():\n"
        "    torch.manual_seed(3)\n    net = nn.Sequential(nn.Linear(12, 6, bias=False), "
        "snn.Leaky(beta=0.5, threshold=1.0, init_hidden=True,"
        " reset_mechanism='zero', reset_delay=False))\n"
        "    net[0].weight.data = net[0].weight.data.sign() / 4\n    return net\n"
    )
    np.savez(
        tmp_path / "in.npz",
        input=(np.random.default_rng(0).random((6, 8, 12)) < 0.5).astype(np.uint8),
    )
    source = f"{tmp_path / 'model.py'}:model"
    ran = lehr(
        "export",
        source,
        "-i",
        tmp_path / "in.npz",
        "--for",
        "spikingjelly",
        "-o",
        tmp_path / "s.nir",
        "--json",
    )
    assert ran.code == 0, ran.err
    assert ran.facts["exact"] is True
    assert ran.facts["reader"]["proven"] is True
    assert ran.facts["reader"]["spikes_differ"] == 0
    assert nir.read(tmp_path / "s.nir").metadata["origin"]["network"] == ran.facts["network"]


def test_what_cannot_be_written_is_refused_and_leaves_nothing(
    lehr: Lehr, counting: Path, line: Path
) -> None:
    model, output = counting / "model.nir", counting / "x.nir"
    refusals = [
        (
            2,
            (model,),
            "model.nir: which tool's importer is the network to be written for? say it by --for, "
            "as --for snntorch",
        ),
        (
            2,
            (model, "--for", "torch"),
            "--for is 'torch', no importer that lehr writes for; did you mean 'snntorch'? use one "
            "of nir, norse, rockpool, sc-neurocore, sinabs",
        ),
        (
            2,
            (model, "--for", "nir", "--decay-bits", 3),
            "--decay-bits is for a model, as model.py:factory, but",
        ),
        (3, (line / "model.nir", "--for", "rockpool"), "rockpool does not import"),
        (2, (counting / "none.nir", "--for", "nir"), "none.nir"),
    ]
    for code, arguments, message in refusals:
        ran = lehr("export", *arguments, "-o", output)
        assert ran.code == code, ran.err
        assert message in ran.err
        assert len(ran.err.strip().splitlines()) == 1
        assert not output.exists()
    ran = lehr("export", model, "--for", "nir", "-o", model)
    assert ran.code == 2
    assert (
        "model.nir: is the exact network, which float units cannot stand in for; write them to "
        "another file" in ran.err
    )
    np.savez(counting / "wide.npz", input=np.zeros((2, 8, 13), np.uint8))
    assert (
        lehr("export", model, "--for", "nir", "-i", counting / "wide.npz", "-o", output).code == 5
    )
    assert not output.exists()
    nirfile.read(model)
