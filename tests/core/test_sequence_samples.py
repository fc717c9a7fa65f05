"""Files of sequences as inputs of a network, coded by what `--frames` says.

The right spikes are those of plain loops over single samples, and of scipy's filters.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from scipy.signal import butter, lfilter, sosfilt
from sounds import RATE, plainly, tone, write_wav
from strategies import Builder, alive

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, UsageError
from lehr.network import Input
from lehr.recordings import open_inputs
from lehr.runstate import OTHERS
from lehr.sequences.keys import Code
from lehr.simulate import simulate
from lehr.sums import with_sums

CODES: tuple[Code, ...] = ("delta", "level-crossing")


def walk(seed: int = 0, channels: int = 2) -> npt.NDArray[np.float64]:
    return np.cumsum(np.random.default_rng(seed).normal(0, 1, (60, channels)), axis=0)


def put(path: Path, values: npt.NDArray[Any]) -> Path:
    if path.suffix.lower() == ".npy":
        np.save(path, values)
    else:
        rows = [",".join(map(repr, row)) for row in values.tolist()]
        path.write_text("\n".join(["x,y", *rows]) + "\n", "utf-8-sig")
    return path


def coded(values: npt.NDArray[Any], thresholds: list[float], code: Code) -> npt.NDArray[np.int64]:
    columns = [
        plainly(column.tolist(), d, code) for column, d in zip(values.T, thresholds, strict=True)
    ]
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", ["r.csv", "r.CSV", "r.npy"])
def test_a_file_becomes_the_spikes_of_plain_loops(tmp_path: Path, name: str, code: Code) -> None:
    path = put(tmp_path / name, walk())
    events = coded(walk(), [0.75, 0.75], code)
    framing = f"code={code},threshold=0.75,step_samples=4"
    counts = events.reshape(15, 4, 4).sum(axis=1)
    given = open_inputs(path, Input((4,), "u8"), framing)
    assert given.labels is None
    x = given.whole()
    assert x.shape == (1, 15, 4)
    assert np.array_equal(x[0], counts)
    assert x.max() > 1
    spikes = open_inputs(path, Input((4,), "spikes"), framing).whole()[0]
    assert np.array_equal(spikes, np.minimum(counts, 1))
    assert 0 < spikes.mean() < 1
    most = open_inputs(path, Input((1, 1, 4), "u8"), f"{framing},most=2,steps=17").whole()
    assert most.shape == (1, 17, 1, 1, 4)
    assert np.array_equal(most[0, :15, 0, 0], np.minimum(counts, 2))
    assert not most[0, 15:].any()
    fewer = open_inputs(path, Input((4,), "u8"), f"{framing},steps=3").whole()
    assert np.array_equal(fewer[0], counts[:3])
    near = open_inputs(path, Input((4,), "u8"), framing.replace("0.75", "0.76")).whole()
    assert not np.array_equal(near, x)


def test_a_sound_is_parted_into_bands_as_scipy_does(tmp_path: Path) -> None:
    values = 0.5 * tone(440, 400) + 0.2 * tone(1500, 400)
    path = write_wav(tmp_path / "r.WAV", values)
    stored = np.rint(values * 2**15) / 2**15
    framing = "code=level-crossing,threshold=0.02,bands=3,lowest_hz=200,highest_hz=3000"
    scale = [21.4 * math.log10(1 + 0.00437 * hertz) for hertz in (200, 3000)]
    edges = [(10 ** (e / 21.4) - 1) / 0.00437 for e in np.linspace(scale[0], scale[1], 4)]
    kept = math.exp(-1 / (RATE * 0.005))
    bands = []
    for pair in pairwise(edges):
        passed = sosfilt(butter(2, pair, "bandpass", fs=RATE, output="sos"), stored[:, 0])
        bands.append(lfilter([1 - kept], [1, -kept], np.maximum(passed, 0)))
    events = coded(np.array(bands).T, [0.02] * 3, "level-crossing")
    x = open_inputs(path, Input((6,), "u8"), framing).whole()[0]
    assert np.array_equal(x, events)
    assert 0 < (x > 0).mean() < 1
    # what comes after the last step is not needed for what is before it
    first = open_inputs(path, Input((6,), "u8"), f"{framing},steps=100").whole()[0]
    assert np.array_equal(first, events[:100])


def network(tmp_path: Path) -> Path:
    net = Builder(Input((4,), "spikes"), np.random.default_rng(0))
    arithmetic = Arithmetic(decay_numerator=3, decay_shift=2, fraction_bits=2, state_bits=18)
    net.linear("fc1", 6)
    net.neuron("lif1", arithmetic)
    net.linear("fc2", 3)
    net.neuron("out", arithmetic)
    nirfile.write(net.network(steps=60), tmp_path / "m.nir")
    return tmp_path / "m.nir"


def test_commands_take_a_sequence(tmp_path: Path, lehr: Lehr) -> None:
    model, path = network(tmp_path), put(tmp_path / "r.csv", walk())
    option = ("-i", path, "--frames", "code=delta,threshold=1")
    ran = lehr("simulate", model, *option, "--json")
    assert ran.code == 0, ran.err
    x = np.minimum(coded(walk(), [1.0, 1.0], "delta"), 1).astype(np.uint8)[None]
    result = simulate(nirfile.read(model), x)
    assert alive(result)
    assert ran.facts["rates"] == result.rates
    for command in (("widths", model), ("build", model, "--target", "c", "-o", tmp_path / "c")):
        ran = lehr(*command, *option)
        assert ran.code == 0, ran.err


SOUND = "is a sequence of samples; say how it becomes spikes, as --frames code=delta,threshold=0.5 or, as a run's data did, --frames run=RUN"  # fmt: skip


@pytest.mark.parametrize(
    ("name", "framing", "message"),
    [
        ("r.wav", None, f"{{path}} {SOUND}"),
        ("r.wav", "step_us=1000", f"{{path}} {SOUND}"),
        ("r.csv", None, f"{{path}} {SOUND}; if it holds events, save its events by numpy.save as records t (microseconds), x, y, p, in a file .npy"),
        ("r.csv", "code=delta", "--frames: no threshold; add threshold=0.5 or whatever changes count"),
        ("r.csv", "code=delt,threshold=1", "--frames: 'code' is 'delt'; did you mean 'delta'?"),
        ("r.csv", "code=1,threshold=1", "--frames: 'code' is 1; use 'delta' or 'level-crossing'"),
        ("r.csv", "code=delta,threshold=0", "--frames: 'threshold' is 0; give more than 0"),
        ("r.csv", "code=delta,threshold=nan", "--frames: 'threshold' is nan; give a finite number"),
        ("r.csv", "code=delta,threshold=x", "--frames: 'threshold' is 'x'; give a number"),
        ("r.csv", "code=delta,threshold=1,step_samples=0", "--frames: 'step_samples' is 0; give at least 1"),
        ("r.csv", "code=delta,threshold=1,step_samples=2.5", "--frames: 'step_samples' is 2.5; give a whole number"),
        ("r.csv", "code=delta,threshold=1,bands=701", "--frames: 'bands' is 701; give at most 700"),
        ("r.csv", "code=delta,threshold=1,steps=0", "--frames: 'steps' is 0; give at least 1"),
        ("r.csv", "code=delta,threshold=1,most=256", "--frames: 'most' is 256; give at most 255"),
        ("r.csv", "code=delta,threshold=1,step=3", "--frames: unknown key 'step' (value 3); did you mean 'steps'?"),
        ("r.csv", "code=delta,code=delta", "--frames: 'code=delta' tells nothing; give KEY=VALUE, once each, of code, threshold, threshold_in, step_samples, bands, lowest_hz, highest_hz, steps, most"),
        ("r.csv", "code=delta,threshold", "--frames: 'threshold' tells nothing; give KEY=VALUE, once each, of code, threshold, threshold_in, step_samples, bands, lowest_hz, highest_hz, steps, most"),
        ("r.csv", "code=delta,threshold=1,threshold_in=spread", "--frames: threshold_in is 'spread', which is of samples trained on; give the run that holds them, as run=RUN"),
        ("r.csv", "code=delta,threshold=1,lowest_hz=5", "--frames: lowest_hz is 5, but --frames: bands is not given; add it, or leave lowest_hz out"),
        ("r.csv", "code=delta,threshold=1,bands=2", "--frames: bands is 2, but {path} says no sampling rate; give WAV files, or leave it out"),
        ("r.wav", "code=delta,threshold=1,bands=2,highest_hz=4000", "--frames: highest_hz is 4000, but {path} has 8000 samples a second; lower it below 4000"),
        ("r.csv", "code=delta,threshold=1,most=2", "--frames: events are counted up to 2, but the input is spikes, 0 and 1; give most=1, or a network that takes bytes"),
        ("r.csv", "run=nowhere", "nowhere: no such folder; give one that 'lehr train' made"),
        ("r.raw", "code=delta,threshold=1", "--frames: 'code=delta' tells nothing; "),
    ],
)  # fmt: skip
def test_what_frames_do_not_say_of_a_sequence(
    tmp_path: Path, name: str, framing: str | None, message: str
) -> None:
    path = tmp_path / name
    if name == "r.wav":
        write_wav(path, tone(440, 50))
    else:
        put(path, walk())
    with pytest.raises(UsageError) as caught:
        open_inputs(path, Input((4,), "spikes"), framing)
    said, expected = str(caught.value), message.format(path=path)
    assert said.startswith(expected) if name == "r.raw" else said == expected


@pytest.mark.parametrize(
    ("framing", "shape", "message"),
    [
        ("code=delta,threshold=1", (6,), "{path} becomes 4 channels, up and down of 2, but the network takes [6]; code it as the network's data was, as by --frames run=RUN"),
        ("code=delta,threshold=1", (2, 1, 2), "{path} becomes 4 channels, up and down of 2, but the network takes [2, 1, 2]; code it as the network's data was, as by --frames run=RUN"),
        ("code=delta,threshold=1e-12", (4,), "{path}: channel 0 has values of 2^31 thresholds of 1e-12 or more; raise the threshold"),
        ("code=delta,threshold=1,steps=100000000", (4,), "{path}: its 100,000,000 steps are more than 268,435,456 bytes as spikes; give fewer steps"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    tmp_path: Path, framing: str, shape: tuple[int, ...], message: str
) -> None:
    path = put(tmp_path / "r.csv", walk())
    with pytest.raises(FileRefused) as caught:
        open_inputs(path, Input(shape, "spikes"), framing)
    assert str(caught.value) == message.format(path=path)


ENCODING: dict[str, Any] = {
    "code": "delta",
    "thresholds": [1.0, 2.0],
    "step_samples": 1,
    "steps": 60,
    "most": 1,
    "channels": 2,
    "rate": None,
    "edges": None,
}


def run_folder(folder: Path, **state: Any) -> Path:
    """Write the folder of a run that says no more than its state."""
    folder.mkdir()
    others: dict[str, bytes] = dict.fromkeys(OTHERS, b"")
    tree = {"schema": "lehr-run/2", "network": None, "digest": None, **state}
    for name, data in with_sums("state.json", tree, others).items():
        (folder / name).write_bytes(data)
    return folder


def test_a_run_says_the_numbers(tmp_path: Path) -> None:
    path = put(tmp_path / "r.csv", walk())
    run = run_folder(tmp_path / "run, with=signs", encoding=ENCODING)
    x = open_inputs(path, Input((4,), "spikes"), f"run={run}").whole()[0]
    expected = coded(walk(), [1.0, 2.0], "delta")
    assert np.array_equal(x, expected)
    assert 0 < x.mean() < 1
    other = write_wav(tmp_path / "r.wav", tone(440, 50))
    with pytest.raises(FileRefused) as caught:
        open_inputs(other, Input((4,), "spikes"), f"run={run}")
    assert str(caught.value) == (
        f"{other} has a rate of 8000 Hz, what was trained on has a rate of no Hz; make all files "
        "alike"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": "gamma"},
        {"thresholds": [1.0]},
        {"thresholds": [1.0, -2.0]},
        {"thresholds": []},
        {"steps": 0},
        {"most": 256},
        {"channels": 0},
        {"edges": [100.0, 200.0]},
        {"edges": [200.0, 100.0], "rate": 8000},
        {"edges": [100.0, 4000.0], "rate": 8000},
        {"edges": [], "rate": 8000},
        {"extra": 1},
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = put(tmp_path / "r.csv", walk())
    run = run_folder(tmp_path / "run", encoding={**ENCODING, **wrong})
    with pytest.raises(FileRefused) as caught:
        open_inputs(path, Input((4,), "spikes"), f"run={run}")
    assert str(caught.value) == (
        f"{run} says an encoding of sequences that is none; copy it anew from where it was "
        "trained, or train it again"
    )


def test_a_run_of_other_data_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "r.csv", walk())
    run = run_folder(tmp_path / "pixels")
    with pytest.raises(UsageError) as usage:
        open_inputs(path, Input((4,), "spikes"), f"run={run}")
    assert str(usage.value) == (
        f"{run} says no encoding of sequences; give a run that was trained on data.name 'series', "
        "or code and threshold"
    )
    run = run_folder(tmp_path / "damaged", encoding=ENCODING)
    state = (run / "state.json").read_text()
    (run / "state.json").write_text(state.replace("2.0", "2.5"))
    with pytest.raises(FileRefused) as refused:
        open_inputs(path, Input((4,), "spikes"), f"run={run}")
    assert str(refused.value).startswith(f"{run} is damaged (state.json has another sha256 than it")
