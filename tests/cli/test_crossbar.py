"""`lehr simulate --device`: what is printed and written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import Lehr

NOTE = (
    "an estimate: devices of one description differ, and nothing here is exact but the network "
    "that they are compared with"
)
IDEAL = "seeds = 2\ng_min = 2e-6\ng_max = 1e-4\n"
VARIED = f"{IDEAL}variation = {{ deviation = 0.4 }}\n"


def test_ideal_cells_differ_in_no_spike(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    device = tmp_path / "ideal.toml"
    device.write_text(IDEAL)
    command = ("simulate", line / "model.nir", "-i", line / "in.npz")
    ran = lehr(*command, "--device", device)
    assert ran.code == 0
    assert "0 spikes differ from the exact network's, on these inputs\n" in ran.out
    assert f"note: {NOTE}\n" in ran.out.replace("\n  ", " ")
    facts = lehr(*command, "--device", device, "--json").facts
    exact = lehr(*command, "--json").facts
    assert facts["notes"] == [NOTE]
    assert facts["accuracy"] == exact["accuracy"]
    assert facts["devices"]["right"] == [exact["accuracy"]] * 2
    assert facts["devices"]["first"] is None
    for name, layer in facts["devices"]["layers"].items():
        assert layer["rate_on_devices"] == layer["rate"] == exact["rates"][name]
        assert 0 < layer["rate"] < 1
        assert layer["differing"] == [0, 0]


def test_what_is_printed_is_what_is_written(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    (tmp_path / "varied.toml").write_text(VARIED)
    command = ("simulate", line / "model.nir", "-i", line / "in.npz")
    on_device = (*command, "--device", tmp_path / "varied.toml")
    facts = lehr(*on_device, "-o", tmp_path / "out.npz", "--json").facts
    with np.load(tmp_path / "out.npz") as file, np.load(line / "in.npz") as given:
        arrays, labels = dict(file), given["labels"]
    devices = facts["devices"]
    assert devices["seeds"] == arrays["seed"].tolist() == [0, 1]
    assert devices["right"] == [(row == labels).mean() for row in arrays["prediction"]]
    assert devices["mean"] == pytest.approx(np.mean(devices["right"]))
    assert devices["compared_with"] == "labels"
    assert facts["accuracy"] == (arrays["exact.prediction"] == labels).mean()
    for name, layer in devices["layers"].items():
        assert layer["differing"] == arrays[f"differing.{name}"].tolist()
        assert min(layer["differing"]) > 0
    assert devices["first"]["expected"] != devices["first"]["got"]
    assert lehr(*on_device, "--json").facts["devices"] == devices
    printed = lehr(*on_device).out
    assert f"first spike that differs, seed 0: {devices['first']['layer']}: spike of neuron" in (
        printed.replace("\n  ", " ")
    )
    assert printed.count("95 % interval") == 1


def test_without_labels_devices_are_compared_with_the_exact_network(
    line: Path, lehr: Lehr, tmp_path: Path
) -> None:
    (tmp_path / "varied.toml").write_text(VARIED.replace("seeds = 2", "seeds = 1"))
    with np.load(line / "in.npz") as given:
        np.savez(tmp_path / "in.npz", input=given["input"][:20])
    command = ("simulate", line / "model.nir", "-i", tmp_path / "in.npz")
    ran = lehr(*command, "--device", tmp_path / "varied.toml")
    assert "agreement with the exact network on 1 device: mean " in ran.out
    facts = lehr(*command, "--device", tmp_path / "varied.toml", "--json").facts
    assert "accuracy" not in facts
    assert facts["devices"]["compared_with"] == "exact predictions"
    assert facts["devices"]["interval"] is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("g_max = 2.0", "'g_min' is missing; add it"),
        ("g_min = 0\ng_max = 2.0", "'g_min' is 0; give more than 0"),
        (
            "g_min = 1.0\ng_max = 1.0",
            "'g_max' is 1.0, but g_min is 1.0; give at least 1.01 times g_min",
        ),
        ("g_min = 1.0\ng_max = 2.0\nlevels = 1", "'levels' is 1; give at least 2"),
        ("g_min = 1.0\ng_max = 2.0\nseeds = 0", "'seeds' is 0; give at least 1"),
        (
            "g_min = 1.0\ng_max = 2.0\nvariaton.deviation = 0.1",
            "unknown key 'variaton' (value {'deviation': 0.1}); did you mean 'variation'?",
        ),
        (
            "g_min = 1.0\ng_max = 2.0\nvariation.deviation = -0.1",
            "'variation.deviation' is -0.1; give at least 0",
        ),
        (
            'g_min = 1.0\ng_max = 2.0\nvariation.distribution = "gauss"',
            "'variation.distribution' is 'gauss'; use 'lognormal' or 'normal'",
        ),
        (
            "g_min = 1.0\ng_max = 2.0\nstuck = { low = 0.7, high = 0.5 }",
            "'stuck.low' is 0.7 and stuck.high 0.5, together more than all cells; give shares of "
            "at most 1 in all",
        ),
        ("g_min = 1.0\ng_max = 2.0\nstuck.low = 1.5", "'stuck.low' is 1.5; give at most 1"),
        (
            "g_min = 1.0\ng_max = 2.0\ndrift = { exponent = 0.1, time = 0.5 }",
            "'drift.time' is 0.5, but drift.reference is 1.0; give a time from then on",
        ),
        ("g_min = 1.0\ng_max = 2.0\ndrift.time = 5", "'drift.exponent' is missing; add it"),
        ("g_min = 1.0\ng_max = 2.0\nconverter.bits = 1", "'converter.bits' is 1; give at least 2"),
        ("g_min = 1.0\ng_max = inf", "'g_max' is inf; give a finite number"),
    ],
)
def test_a_wrong_key_is_named(
    line: Path, lehr: Lehr, tmp_path: Path, text: str, sentence: str
) -> None:
    device = tmp_path / "device.toml"
    device.write_text(text)
    ran = lehr("simulate", line / "model.nir", "-i", line / "in.npz", "--device", device, "--json")
    assert ran.code == 2
    assert ran.facts["error"] == f"device {device}: {sentence}"


def test_files_and_options_that_do_not_go_with_it(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    model, given, device = line / "model.nir", line / "in.npz", tmp_path / "device.toml"

    def error(*more: object) -> str:
        ran = lehr("simulate", model, "-i", given, "--device", device, "--json", *more)
        assert ran.code == 2
        return str(ran.facts["error"])

    assert error() == f"device {device} does not exist; give a TOML file that describes one"
    device.write_text("g_min = ")
    assert error() == (
        f"device {device} is not TOML: Invalid value (at end of document); correct it there"
    )
    device.write_bytes(b"\xff")
    assert error().startswith(f"device {device}")
    device.write_text(IDEAL)
    for option, value in (
        ("trace", "all"),
        ("trace-samples", "0"),
        ("compare", "reference"),
    ):
        assert error(f"--{option}", value) == (
            f"--{option} is for the exact network, and --device runs it on devices that are drawn; "
            "leave one out"
        )
    assert error("--resume", "-o", tmp_path / "o.npz").startswith("--resume is for the exact")
    device.write_text(f'{IDEAL}nodes = ["conv"]\n')
    assert error() == (
        "'nodes' names 'conv', which has no weights; did you mean 'conv2'? use nodes with weights: "
        "conv1, conv2, fc3"
    )
    device.write_text(IDEAL)
    ran = lehr("simulate", model, "-i", given, "--device", device, "-o", device)
    assert ran.code != 0
    assert device.read_text() == IDEAL
