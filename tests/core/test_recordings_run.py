"""Recordings of event cameras in every command that takes inputs, and in Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Lehr
from recordings import BYTES, SPIKES, dense, drawn, written
from strategies import Builder, alive

from lehr import api as python
from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.network import Input, Network
from lehr.npz import npz_bytes
from lehr.samples import event_arrays
from lehr.simulate import pieces, simulate


def network(entry: Input = SPIKES) -> Network:
    """Return a network with thresholds that inputs of small numbers reach."""
    net = Builder(SPIKES, np.random.default_rng(0))
    arithmetic = Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=2, state_bits=18)
    net.conv("conv", 4)
    net.neuron("lif1", arithmetic)
    net.linear("fc", 3)
    net.neuron("out", arithmetic)
    return replace(net.network(steps=10), input=entry)


@pytest.mark.few(1)
# at once, and few steps at a time
@pytest.mark.parametrize(("suffix", "piece"), [(".bin", 1 << 26), (".aedat", 200), (".npy", 200)])
@pytest.mark.parametrize("entry", [SPIKES, BYTES])
def test_a_recording_runs_as_its_frames(
    tmp_path: Path,
    lehr: Lehr,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    piece: int,
    entry: Input,
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", piece)
    events, net = drawn(), network(entry)
    x = dense(events, 700, 0, 29, most=entry.highest)
    assert alive(simulate(net, x))
    nirfile.write(net, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=x)
    (tmp_path / "e.npz").write_bytes(npz_bytes(event_arrays(x)))
    written(tmp_path / f"r{suffix}", events)
    written(
        tmp_path / f"other{suffix}",
        [
            *events[:300],
            (events[300][0], (events[300][1] + 1) % 5, *events[300][2:]),
            *events[301:],
        ],
    )
    cut, out = ("--frames", "step_us=700,start_us=0"), ("--trace", "all")
    given = {"x.npz": (), "e.npz": (), f"r{suffix}": cut, f"other{suffix}": cut}
    outputs = {}
    for name, options in given.items():
        ran = lehr(
            "simulate",
            tmp_path / "m.nir",
            "-i",
            tmp_path / name,
            *options,
            *out,
            "-o",
            tmp_path / "out.npz",
        )
        assert ran.code == 0, ran.err
        outputs[name] = (tmp_path / "out.npz").read_bytes()
    assert outputs["x.npz"] == outputs["e.npz"] == outputs[f"r{suffix}"]
    assert outputs["x.npz"] != outputs[f"other{suffix}"]


@pytest.mark.parametrize("entry", [SPIKES, BYTES])
def test_every_command_with_inputs_takes_a_recording(
    tmp_path: Path, lehr: Lehr, entry: Input
) -> None:
    events, net, path = drawn(), network(entry), tmp_path / "r.npy"
    x = dense(events, 700, events[0][0], 29, most=entry.highest)
    nirfile.write(net, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=x)
    recording = (written(path, events), "--frames", "step_us=700")
    cut = (*recording[:2], "step_us=700,most=1")
    for command, more in (
        ("widths", ()),
        ("build", ("--target", "c", "-o", tmp_path / "out")),
        ("simulate", ()),
        ("report", ()),
    ):
        given = ((tmp_path / "x.npz",), recording, cut)
        runs = [lehr(command, tmp_path / "m.nir", "-i", *each, *more, "--json") for each in given]
        assert [ran.code for ran in runs] == [0, 0, 0], runs[1].err
        told = [known(ran.facts) for ran in runs]
        assert told[0] == told[1]
        assert (told[1] == told[2]) == (entry == SPIKES)
    assert runs[1].facts["report"]["commands"] == [
        "lehr report m.nir -i r.npy --frames step_us=700 -o report.html"
    ]
    built = python.build(net, "c", tmp_path / "out", path, frames="step_us=700")
    assert built.plan.files["golden/input.u8"] == x.tobytes()
    counts = python.simulate(net, path, frames="step_us=700").counts
    assert np.array_equal(counts, python.simulate(net, x).counts)


def known(facts: Any) -> Any:
    """Return facts without seconds, and without the file of inputs."""
    if not isinstance(facts, dict):
        return facts
    left_out = ("seconds", "input", "inputs", "files", "commands")
    return {key: known(value) for key, value in facts.items() if key not in left_out}


@pytest.mark.few(3)
@pytest.mark.parametrize("suffix", [".ES", ".txt", ".csv"])
def test_formats_that_are_not_decoded_are_named_with_what_makes_records_of_them(
    tmp_path: Path, lehr: Lehr, suffix: str
) -> None:
    nirfile.write(network(), tmp_path / "m.nir")
    (tmp_path / f"r{suffix}").write_bytes(b"events")
    for options in ((), ("--frames", "step_us=1000")):
        if suffix == ".csv" and not options:  # it may be a sequence: test_sequence_samples.py
            continue
        ran = lehr("simulate", tmp_path / "m.nir", "-i", tmp_path / f"r{suffix}", *options)
        assert ran.code == 2
        assert (
            "save its events by numpy.save as records t (microseconds), x, y, p, in a file .npy"
            in ran.err
        )
        assert (
            "lehr reads Prophesee RAW (EVT 2.0, 2.1, 3.0) (.raw), Prophesee DAT (.dat), AEDAT 2.0"
            in ran.err
        )
