"""Sequences of a user's own files: read, coded by what is fitted to the training split, learned."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from scipy.io import wavfile
from scipy.signal import butter, lfilter, sosfilt
from sounds import RATE, Floats, plainly, tone, write_wav
from tiny import SETTINGS

from lehr.errors import FileRefused, UsageError
from lehr.network import Input
from lehr.npz import npz_bytes
from lehr.recordings import open_inputs
from lehr.sequences.bands import band_edges
from lehr.train.data import load_dataset
from lehr.train.keys.data import DATA_SETS
from lehr.train.recipe import DataRecipe, Recipe
from lehr.train.recipefile import to_toml

SERIES: dict[str, Any] = {
    "name": "series",
    "path": "own",
    "steps": 4,
    "code": "delta",
    "threshold": 0.5,
}


def series(**keys: Any) -> DataRecipe:
    return DataRecipe.model_validate({**SERIES, **keys})


@pytest.mark.parametrize("band", range(8))
def test_a_tone_excites_the_band_that_it_is_in_the_most(tmp_path: Path, band: int) -> None:
    edges = band_edges(8, 100, 3600)
    inside = float(np.sqrt(edges[band] * edges[band + 1]))
    for number, hertz in enumerate((inside, 700.0)):
        for sample in range(3):
            write_wav(tmp_path / f"own/{number}/{sample}.wav", 0.5 * tone(hertz, RATE // 2))
    recipe = series(
        steps=40, step_samples=100, bands=8, code="level-crossing", threshold=0.01, frames="count"
    )
    data = load_dataset(recipe, tmp_path)
    assert (data.shape, data.steps, data.kind, data.classes) == ((16,), 40, "u8", 2)
    splits = (data.train, data.validation, data.test)
    x = np.concatenate([part.x[part.y == 0] for part in splits])
    assert x.sum(axis=(0, 1)).reshape(8, 2).sum(axis=1).argmax() == band


def write_arrays(folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    for name, array in arrays.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, array)
        else:
            rows = [",".join(map(repr, row)) for row in array.tolist()]
            path.write_text("\n".join(["x,y", *rows]) + "\n")


def walks(count: int, seed: int = 0) -> Floats:
    steps = np.random.default_rng(seed).normal(0, 1, (count, 30, 2)) * (1, 20)
    return np.cumsum(steps, axis=1)


def test_arrays_tables_and_an_npz_are_the_same_samples(tmp_path: Path) -> None:
    x, ends = walks(12), ("npy", "csv")
    names = {
        f"own/{part}/{label}/{n:02}.{ends[n % 2]}": (part, label, n)
        for n, (part, label) in enumerate(
            (part, label) for part in ("train", "test") for label in (0, 1) for _ in range(3)
        )
    }
    write_arrays(tmp_path, {name: x[n] for name, (_, _, n) in names.items()})
    labels = np.array([label for _, label, _ in names.values()])
    arrays = {
        "train_input": x[:6],
        "train_labels": labels[:6],
        "test_input": x[6:],
        "test_labels": labels[6:],
    }
    (tmp_path / "own.npz").write_bytes(npz_bytes(arrays))
    for code in ("delta", "level-crossing"):
        recipe = series(steps=15, step_samples=2, code=code, threshold_in="spread")
        data = load_dataset(recipe, tmp_path)
        other = load_dataset(recipe.model_copy(update={"path": "own.npz"}), tmp_path)
        for part in ("train", "validation", "test"):
            one, two = getattr(data, part), getattr(other, part)
            assert np.array_equal(one.x, two.x)
            assert np.array_equal(one.y, two.y)
            assert 0 < one.x.mean() < 1
        assert sorted(data.test.y) == [0, 0, 0, 1, 1, 1]
        # the spread of the samples trained on, which the recipe's seed says, and of no others
        order = np.random.default_rng(0).permutation(6)
        spread = np.concatenate(x[:6][order[:5]]).std(axis=0)
        whole = np.concatenate(x).std(axis=0)
        expected, leaked = (
            np.stack(
                [
                    np.concatenate(
                        [plainly(each[:, c].tolist(), 0.5 * s[c], code) for c in (0, 1)], axis=1
                    )
                    for each in x[6:][np.random.default_rng(0).permutation(6)]
                ]
            )
            for s in (spread, whole)
        )
        steps = np.minimum(expected.reshape(6, 15, 2, 4).sum(axis=2), 1)
        assert np.array_equal(data.test.x, steps)
        assert not np.array_equal(
            data.test.x, np.minimum(leaked.reshape(6, 15, 2, 4).sum(axis=2), 1)
        )
        fewer = load_dataset(recipe.model_copy(update={"train_samples": 2}), tmp_path)
        assert len(fewer.train) == 2
        assert not np.array_equal(fewer.test.x, data.test.x)


def test_a_table_says_the_classes(tmp_path: Path) -> None:
    x = walks(20)
    write_arrays(tmp_path / "own", {f"{n}.npy": each for n, each in enumerate(x)})
    rows = [f"{n}.npy,{('2', '10')[n % 2]}" for n in range(20)]
    (tmp_path / "own/labels.csv").write_text("\n".join(["file,class", *rows]) + "\n")
    data = load_dataset(series(threshold=1e4), tmp_path)
    counts = [len(part) for part in (data.train, data.validation, data.test)]
    assert counts == [16, 1, 3]
    everything = np.concatenate([data.train.y, data.validation.y, data.test.y])
    assert np.bincount(everything).tolist() == [10, 10]  # 2 before 10
    assert not data.train.x.any()  # nothing is 10,000 away


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("0.npy", "line 1: it is no file and class; write FILE,CLASS"),
        ("0.npy,", "line 1: it is no file and class; write FILE,CLASS"),
        ("../0.npy,1", "line 1: ../0.npy is not within the folder; move the file there"),
        ("file,class\n0.npy,1\n0.npy,2", "line 3: 0.npy is there twice; leave one out"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, table: str, message: str) -> None:
    path = tmp_path / "own/labels.csv"
    path.parent.mkdir()
    path.write_text(table)
    with pytest.raises(FileRefused) as refused:
        load_dataset(series(), tmp_path)
    assert str(refused.value) == f"{path}, {message}"


def folder(tmp_path: Path, last: npt.NDArray[Any] | str, name: str = "z.npy") -> Path:
    """Write two classes of three right files each, and one file that comes last."""
    for n, each in enumerate(walks(6)):
        write_arrays(tmp_path, {f"own/{n % 2}/{n}.npy": each})
    path = tmp_path / "own/1" / name
    if isinstance(last, str):
        path.write_text(last)
    else:
        np.save(path, last)
    return path


NAN = walks(1)[0]
NAN[7, 1] = np.nan


@pytest.mark.parametrize(
    ("last", "name", "message"),
    [
        (NAN, "z.npy", ": sample 7 of channel 1 is nan, not finite; mend it or leave it out"),
        (np.zeros((1, 2)), "z.npy", " has 1 samples, and changes need two; leave it out"),
        (
            np.zeros((5, 0)),
            "z.npy",
            " is an array [5, 0]; give samples as rows and channels, one at least, as columns",
        ),
        (
            np.zeros((5, 2, 2)),
            "z.npy",
            " is an array [5, 2, 2]; give samples as rows and channels, one at least, as columns",
        ),
        (
            np.zeros((5, 2), bool),
            "z.npy",
            " is no array of numbers: it holds bool; write it with numpy.save",
        ),
        (
            "no array",
            "z.npy",
            " is no array of numbers: the magic string is not correct; expected "
            "b'\\x93NUMPY', got b'no arr'; write it with numpy.save",
        ),
        ("", "z.csv", " has 0 samples, and changes need two; leave it out"),
        (
            "1,2\n3,x\n",
            "z.csv",
            ", line 2: it is not numbers between commas; mend it or leave it out",
        ),
        (
            "1,2\n3\n",
            "z.csv",
            ", line 2: it has 1 numbers, and the first row 2; mend it or leave it out",
        ),
        (
            "x",
            "z.mp3",
            " is none of .wav, .npy, .csv; convert it to one of these, or move it away",
        ),
    ],
)
def test_files_that_are_no_sequences_are_refused(
    tmp_path: Path, last: npt.NDArray[Any] | str, name: str, message: str
) -> None:
    path = folder(tmp_path, last, name)
    with pytest.raises(FileRefused) as refused:
        load_dataset(series(), tmp_path)
    assert str(refused.value) == f"{path}{message}"


def test_files_that_are_not_alike_are_refused(tmp_path: Path) -> None:
    for n in range(6):
        write_wav(tmp_path / f"own/{n % 2}/{n}.wav", tone(440, 100))
    odd = tmp_path / "own/1/z.wav"
    for written, words in (
        ({"rate": 16000}, "a rate of 16000 Hz"),
        ({"values": np.zeros((9, 2))}, "2 channels"),
    ):
        write_wav(odd, **{"values": tone(440, 100), **written})  # type: ignore[arg-type]
        with pytest.raises(FileRefused) as refused:
            load_dataset(series(), tmp_path)
        usual = "a rate of 8000 Hz" if "rate" in written else "1 channels"
        said = str(refused.value)
        assert said.endswith("; make all files alike")
        assert f"{odd} has {words}" in said  # which is the first one is the seed's
        assert f".wav has {usual}" in said.replace(str(odd), "")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bands": 4, "highest_hz": 4000}, "data.highest_hz is 4000, but {} has 8000 samples a"),
        ({"bands": 4, "lowest_hz": 3700}, "data.lowest_hz is 3700, but the highest edge is 3600"),
        ({"path": "none"}, "data.path {0}/none does not exist; give a folder of files by class"),
    ],
)
def test_keys_that_do_not_go_with_the_files(
    tmp_path: Path, keys: dict[str, Any], message: str
) -> None:
    for n in range(6):
        write_wav(tmp_path / f"own/{n % 2}/{n}.wav", tone(440, 100))
    with pytest.raises(UsageError) as refused:
        load_dataset(series(**keys), tmp_path)
    before, _, after = message.partition("{}")
    assert before.format(tmp_path) in str(refused.value)
    assert after in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"threshold": None}, "data set series needs data.threshold, which is not given; add it"),
        ({"code": None}, "data set series needs data.code, which is not given; add it"),
        ({"encoding": "rate"}, "data.encoding is 'rate', which data set series does not take"),
        ({"name": "npz"}, "data.code is 'delta', which data set npz does not take; remove it"),
        ({"highest_hz": 9}, "data.highest_hz is 9, but data.bands is not given; add it, or leave"),
    ],
)
def test_keys_that_contradict_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_dataset(series(**keys), None)
    assert any(message in each for each in str(refused.value).splitlines())


WRONG: dict[str, tuple[str, str]] = {
    "name": ("serie", "data.name is 'serie', which is no data set; did you mean 'series'?"),
    "path": ("3", "'data.path' is 3; give text in quotes"),
    "steps": ("0", "'data.steps' is 0; give at least 1"),
    "code": ("deltas", "'data.code' is 'deltas'; did you mean 'delta'?"),
    "threshold": ("nan", "'data.threshold' is nan; give a finite number"),
    "threshold_in": ("volts", "'data.threshold_in' is 'volts'; use 'value' or 'spread'"),
    "step_samples": ("2.5", "'data.step_samples' is 2.5; give a whole number"),
    "bands": ("701", "'data.bands' is 701; give at most 700"),
    "lowest_hz": ("-1.0", "'data.lowest_hz' is -1.0; give more than 0"),
    "highest_hz": ("'high'", "'data.highest_hz' is 'high'; give a number"),
    "frames": ("counts", "'data.frames' is 'counts'; did you mean 'count'?"),
    "seed": ("-1", "'data.seed' is -1; give at least 0"),
    "train_samples": ("0", "'data.train_samples' is 0; give at least 1"),
    "test_samples": ("true", "'data.test_samples' is True; give a whole number"),
    "row": ("1", "'data.row' is 1; give true or false"),
}


def test_every_key_of_a_series_is_tried() -> None:
    keys = DATA_SETS["series"]
    taken = {"name", "seed", "train_samples", "test_samples", "row", *keys.needs, *keys.takes}
    assert set(WRONG) == taken


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value_of_a_key_is_named_with_the_way_out(
    lehr: Lehr, tmp_path: Path, key: str
) -> None:
    value, message = WRONG[key]
    data = {**SERIES, "bands": 4}
    recipe = tmp_path / "own.toml"
    recipe.write_bytes(to_toml(Recipe.model_validate({**SETTINGS, "data": data})))
    ran = lehr("train", recipe, "--set", f"data.{key}={value}", "-o", tmp_path / "run")
    assert (ran.code, ran.out) == (2, "FAIL\n")
    assert ran.err.startswith((f"error: recipe {recipe}: {message}", f"error: {message}"))
    assert len(ran.err.splitlines()) == 1
    assert [*tmp_path.iterdir()] == [recipe]


def test_bands_need_a_sampling_rate_and_spreads_a_change(tmp_path: Path) -> None:
    folder(tmp_path, walks(1)[0])
    with pytest.raises(
        UsageError, match=r"data.bands is 4, but .* says no sampling rate; give WAV"
    ):
        load_dataset(series(bands=4), tmp_path)
    for path in (tmp_path / "own").glob("*/*.npy"):
        np.save(path, np.load(path) * (1, 0) + (0, 3))
    with pytest.raises(FileRefused) as refused:
        load_dataset(series(threshold_in="spread"), tmp_path)
    assert str(refused.value) == (
        "channel 1 is 3 in all samples trained on, and has no spread; leave it out, or set "
        "data.threshold_in to 'value'"
    )
    for path in (tmp_path / "own").glob("*/*.npy"):
        np.save(path, walks(1)[0] * (1, 1e305))
    with pytest.raises(FileRefused, match="^channel 1 has values so far apart that their spread "):
        load_dataset(series(threshold_in="spread"), tmp_path)


TONES: dict[str, Any] = {
    "steps": 20,
    "step_samples": 100,
    "bands": 12,
    "code": "level-crossing",
    "threshold": 0.3,
    "threshold_in": "spread",
}


def write_tones(place: Path) -> None:
    """Write 3 classes of 30 tones, of frequencies, phases and loudness of their own, in noise."""
    rng = np.random.default_rng(3)
    time = np.arange(2000) / RATE
    for name, hertz in (("low", 300), ("middle", 900), ("high", 2200)):
        for number in range(30):
            phase = hertz * rng.uniform(0.9, 1.1) * time + rng.random()
            wave_ = np.sin(2 * np.pi * phase) * rng.uniform(0.2, 0.8)
            wave_ = wave_ + rng.normal(0, 0.03, len(time))
            write_wav(place / name / f"{number}.wav", np.clip(wave_, -1, 1)[:, None])


@pytest.mark.slow
def test_tones_are_learned_and_the_integers_are_equal(lehr: Lehr, tmp_path: Path) -> None:
    write_tones(tmp_path / "own")
    layer = {"type": "linear", "threshold": {"start": 0.5, "final": 1.0, "rate": 0.02}}
    fields = {
        **SETTINGS,
        "data": {**SERIES, **TONES},
        "network": {
            "steps": 20,
            "beta": "7/8",
            "slope": 2.0,
            "layers": [{**layer, "features": 32, "batch_norm": True}, {**layer, "features": 3}],
        },
        "train": {"epochs": 12, "batch_size": 16, "lr": 1e-2},
    }
    recipe = tmp_path / "tones.toml"
    recipe.write_bytes(to_toml(Recipe.model_validate(fields)))
    trained = lehr("train", recipe, "--data", tmp_path, "-o", tmp_path / "run", "--json")
    assert trained.code == 0, trained.err
    reached = trained.facts["runs"][0]["accuracy"]["integer"]
    assert reached >= 0.8  # a third by chance
    exported = lehr("export", tmp_path / "run", "-o", tmp_path / "model.nir", "--json").facts
    assert exported["spikes_differ"] == exported["membranes_differ"] == 0
    assert all(0 < rate < 1 for rate in exported["rates"].values())
    samples = lehr("recipes", "samples", recipe, "--data", tmp_path, "-o", tmp_path / "in.npz")
    assert samples.code == 0, samples.err
    assert 0 < np.load(tmp_path / "in.npz")["input"].mean() < 1
    simulated = lehr("simulate", tmp_path / "model.nir", "-i", tmp_path / "in.npz", "--json").facts
    assert (simulated["samples"], simulated["accuracy"]) == (15, reached)
    the_run_encodes_others_by_its_numbers(lehr, tmp_path)


def the_run_encodes_others_by_its_numbers(lehr: Lehr, tmp_path: Path) -> None:
    """New tones become spikes by the thresholds and bands that the run holds."""
    run, model, kept = tmp_path / "run", tmp_path / "model.nir", tmp_path / "in.npz"
    data = load_dataset(series(**TONES), tmp_path)
    state = json.loads((run / "state.json").read_text())["encoding"]
    assert state == json.loads((run / "last/state.json").read_text())["encoding"]
    assert len(set(state["thresholds"])) == len(state["thresholds"]) == 12
    x, found = np.load(kept)["input"], 0
    for number in range(30):
        path = tmp_path / f"own/middle/{number}.wav"
        given = open_inputs(path, Input((24,), "spikes"), f"run={run}").whole()[0]
        found += any(np.array_equal(given, each) for each in x)
    assert found == (data.test.y == 2).sum()  # high, low, middle
    # of the samples trained on, by scipy: of no others, and of all of them
    trained_on = [*data.train.x.tolist()]
    values = []
    for path in sorted((tmp_path / "own").glob("*/*.wav")):
        rate, stored = wavfile.read(path)
        bands = envelopes(np.asarray(stored) / 2**15, rate, state["edges"])
        spikes = open_inputs(path, Input((24,), "spikes"), f"run={run}").whole()[0]
        values += [bands] * (spikes.tolist() in trained_on)
    assert len(values) == len(data.train) == 69
    spread = np.concatenate(values).std(axis=0)
    assert np.allclose(state["thresholds"], 0.3 * spread, rtol=1e-9)
    new = write_wav(tmp_path / "new.wav", 0.5 * tone(900, 2000))
    bands = envelopes(np.asarray(wavfile.read(new)[1]) / 2**15, RATE, state["edges"])
    columns = [
        plainly(c.tolist(), d, "level-crossing")
        for c, d in zip(bands.T, state["thresholds"], strict=True)
    ]
    steps = np.minimum(np.concatenate(columns, axis=1).reshape(20, 100, 24).sum(axis=1), 1)
    given = open_inputs(new, Input((24,), "spikes"), f"run={run}").whole()[0]
    assert np.array_equal(given, steps)
    ran = lehr("simulate", model, "-i", new, "--frames", f"run={run}", "--json")
    assert ran.code == 0, ran.err
    assert ran.facts["predictions"] == [2]
    assert all(0 < rate < 1 for rate in ran.facts["rates"].values())


def envelopes(sound: Floats, rate: int, edges: list[float]) -> Floats:
    """Bands of a sound by scipy, as docs/data.md says."""
    kept, bands = np.exp(-1 / (rate * 0.005)), []
    for pair in pairwise(edges):
        passed = sosfilt(butter(2, pair, "bandpass", fs=rate, output="sos"), sound)
        bands.append(lfilter([1 - kept], [1, -kept], np.maximum(passed, 0)))
    return np.array(bands).T


@pytest.mark.parametrize("threshold", ["0", "-0.5"])
def test_a_threshold_of_0_is_refused(lehr: Lehr, tmp_path: Path, threshold: str) -> None:
    ran = lehr("train", "digits", "--set", f"data.threshold={threshold}", "-o", tmp_path / "run")
    number = float(threshold) or 0
    assert (ran.code, ran.err) == (
        2,
        f"error: recipe digits: 'data.threshold' is {number}; give more than 0\n",
    )
