"""`lehr simulate`: engines, threads, comparison, and going on after an interruption.

Another engine or a stored result is compared with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Lehr
from hard_networks import HARD, unproven

from lehr import nirfile
from lehr.samples import Samples, open_samples
from lehr.simulate import pieces, simulate
from lehr.targets import registry


def arrays(path: Path) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    """Return all arrays of a file."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("engine", ["fast", "torch"])
def test_engines_equal_the_reference(line: Path, lehr: Lehr, engine: str) -> None:
    ran = lehr(
        "simulate",
        line / "model.nir",
        "-i",
        line / "in.npz",
        "--engine",
        engine,
        "--compare",
        "reference",
    )
    assert ran.code == 0, ran.err
    assert "0 spikes differ; counts of 80 samples are equal" in ran.out
    assert ran.last == "PASS"
    assert ran.err == ""


def test_what_the_torch_engine_cannot_is_said(lehr: Lehr, tmp_path: Path) -> None:
    net, x = unproven()
    nirfile.write(net, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=x)
    ran = lehr("simulate", tmp_path / "m.nir", "-i", tmp_path / "x.npz", "--engine", "torch")
    assert ran.code == 3
    assert (
        "w3: its sums may pass 2**40, beyond what the torch engine proves exact; use the engine "
        "'fast'" in ran.err
    )


def test_a_stored_result_is_compared_and_the_first_difference_named(
    line: Path, lehr: Lehr, tmp_path: Path
) -> None:
    model, given, out = line / "model.nir", line / "in.npz", tmp_path / "out.npz"
    assert lehr("simulate", model, "-i", given, "-o", out, "--trace", "lif2").code == 0
    assert lehr("simulate", model, "-i", given, "--compare", out).code == 0
    changed = arrays(out)
    changed["membrane.lif2"][40, 3, 5, 1, 1] += 1
    np.savez(tmp_path / "other.npz", **changed)  # type: ignore[arg-type]
    ran = lehr("simulate", model, "-i", given, "--compare", tmp_path / "other.npz", "--json")
    assert ran.code == 4
    assert (
        "first: lif2: membrane of neuron (5, 1, 1) at step 3 of sample 40 is " in ran.facts["error"]
    )
    assert (ran.facts["membranes"], ran.facts["spikes"]) == (1, 0)
    counts = {"counts": arrays(out)["counts"]}
    counts["counts"][7, 2] += 1
    np.savez(tmp_path / "counts.npz", **counts)  # type: ignore[arg-type]
    ran = lehr("simulate", model, "-i", given, "--compare", tmp_path / "counts.npz")
    assert ran.code == 4
    assert "lif3: neuron 2 spiked " in ran.err
    assert "in sample 7, expected" in ran.err
    np.savez(tmp_path / "few.npz", counts=counts["counts"][:3])
    ran = lehr("simulate", model, "-i", given, "--compare", tmp_path / "few.npz")
    assert ran.code == 5
    assert (
        "few.npz has counts of 3 samples, the input 80; give a whole result of the same input"
        in ran.err
    )


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "counts",
            lambda array: array[:, :5],
            "counts [80, 5], the network 10 classes; give a result of this network",
        ),
        (
            "counts",
            lambda array: array[0, 0],
            "counts is int32 [], no integers; give a result of `lehr simulate`",
        ),
        (
            "membrane.lif3",
            lambda array: array + 0.5,
            "membrane.lif3 is float64 [80, 6, 10], no integers; give a result of `lehr simulate`",
        ),
    ],
)
def test_what_is_no_result_is_not_compared(
    line: Path, lehr: Lehr, tmp_path: Path, name: str, change: Callable[[Any], Any], message: str
) -> None:
    command = ("simulate", line / "model.nir", "-i", line / "in.npz")
    assert lehr(*command, "-o", tmp_path / "out.npz", "--trace", "lif3").code == 0
    whole = arrays(tmp_path / "out.npz")
    np.savez(tmp_path / "other.npz", **{**whole, name: change(whole[name])})
    ran = lehr(*command, "--compare", tmp_path / "other.npz")
    assert ran.code == 5
    assert message in ran.err


def test_nothing_to_compare_with_is_named(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    command = ("simulate", line / "model.nir", "-i", line / "in.npz")
    ran = lehr(*command, "--compare", tmp_path / "no.npz")
    assert (ran.code, ran.last) == (2, "FAIL")
    assert "no.npz does not exist; name a result of `lehr simulate`, or an engine" in ran.err
    known = ", ".join(
        ("fast", "reference", "torch", *(target.name for target in registry.targets()))
    )
    for option in ("--compare", "--engine"):
        ran = lehr(*command, option, "faster")
        assert ran.code == 2
        assert (
            f"no engine and no target is called 'faster'; did you mean 'fast'? use one of {known}"
            in ran.err
        )


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt with Ctrl-C when the third piece of 10 samples is read."""
    read = Samples.pieces

    def some(
        self: Samples, size: int, start: int = 0
    ) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
        for number, piece in enumerate(read(self, size, start)):
            if number == 2:
                raise KeyboardInterrupt
            yield piece

    monkeypatch.setattr(pieces, "PIECE", 10)
    monkeypatch.setattr(Samples, "pieces", some)


@pytest.mark.slow
@pytest.mark.usefixtures("interrupted")
def test_an_interrupted_run_leaves_a_valid_result_and_goes_on(
    line: Path, lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, given, out = line / "model.nir", line / "in.npz", tmp_path / "out.npz"
    command = ("simulate", model, "-i", given, "-o", out, "--trace", "lif2")
    ran = lehr(*command)
    assert ran.code == 130
    assert (
        f"interrupted; wrote the first 20 of 80 samples to {out}; add --resume to go on" in ran.out
    )
    net, x = nirfile.read(model), arrays(given)["input"]
    expected = simulate(net, x, trace=["lif2"])  # type: ignore[arg-type]
    left = arrays(out)
    assert np.array_equal(left["counts"], expected.counts[:20])
    assert np.array_equal(left["membrane.lif2"], expected.trace.membranes["lif2"][:20])
    assert lehr(*command, "--resume").code == 130
    assert len(arrays(out)["counts"]) == 40
    other = lehr("simulate", model, "-i", given, "-o", out, "--resume")
    assert other.code == 2
    assert (
        "out.npz is of another network, input or trace; resume it with its own, or leave --resume "
        "out" in other.err
    )
    saved = arrays(given)
    np.savez(tmp_path / "other.npz", labels=saved["labels"], input=saved["input"][::-1])
    other = lehr(
        "simulate", model, "-i", tmp_path / "other.npz", "-o", out, "--trace", "lif2", "--resume"
    )
    assert other.code == 2
    assert "out.npz is of another network, input or trace" in other.err
    np.savez(tmp_path / "copy.npz", **saved)  # type: ignore[arg-type]
    # the same arrays, wherever they are
    command = ("simulate", model, "-i", tmp_path / "copy.npz", *command[4:])
    monkeypatch.undo()
    ran = lehr(*command, "--resume", "--json")
    assert ran.code == 0
    whole = arrays(out)
    assert set(whole) == {"counts", "prediction", "spikes.lif2", "membrane.lif2"}
    assert np.array_equal(whole["counts"], expected.counts)
    assert np.array_equal(whole["spikes.lif2"], expected.trace.spikes["lif2"])
    assert ran.facts["rates"] == expected.rates
    assert ran.facts["saturations"] == expected.saturations
    again = lehr(*command, "--resume")
    assert again.code == 2
    assert "out.npz is a finished result; leave --resume out to run again" in again.err


def test_resume_needs_something_to_go_on_with(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    command = ("simulate", line / "model.nir", "-i", line / "in.npz", "--resume")
    assert "--resume needs the result to go on with; name it with -o" in lehr(*command).err
    ran = lehr(*command, "-o", tmp_path / "no.npz")
    assert ran.code == 2
    assert (
        "no.npz does not exist, so that there is nothing to resume; leave --resume out" in ran.err
    )
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    ran = lehr(*command, "-o", tmp_path / "bad.npz")
    assert ran.code == 5
    assert (
        "bad.npz is not a whole .npz file (BadZipFile); leave --resume out to run again" in ran.err
    )


def test_statistics_tell_of_every_layer_and_weight(line: Path, lehr: Lehr) -> None:
    facts = {
        name: lehr(
            "simulate", line / "model.nir", "-i", line / "in.npz", "--engine", name, "--json"
        ).facts
        for name in ("fast", "reference")
    }
    assert facts["fast"]["layers"] == facts["reference"]["layers"]
    assert facts["fast"]["operations"] == facts["reference"]["operations"]
    assert all(
        layer["spikes"] > 0 and layer["lowest"] < 0 < layer["highest"]
        for layer in facts["fast"]["layers"].values()
    )
    assert json.dumps(facts["fast"]["operations"])
    for operations in facts["fast"]["operations"].values():
        assert 0 < operations["events"] < operations["dense"]


@pytest.mark.slow
# -------------------------------------------------------------------- traces of some samples
def test_chosen_samples_are_traced(
    line: Path, lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 10)  # pieces with none, some and all of the samples
    model, given, out = line / "model.nir", line / "in.npz", tmp_path / "out.npz"
    command = (
        "simulate",
        model,
        "-i",
        given,
        "-o",
        out,
        "--trace",
        "lif2",
        "--trace",
        "lif3",
        "--trace-samples",
        "3,0,20-31,79",
    )
    chosen = [0, 3, *range(20, 32), 79]
    assert lehr(*command).code == 0
    stored = arrays(out)
    assert stored["trace.samples"].tolist() == chosen
    expected = simulate(nirfile.read(model), arrays(given)["input"], trace=["lif2", "lif3"])  # type: ignore[arg-type]
    assert np.array_equal(stored["counts"], expected.counts)
    for layer in ("lif2", "lif3"):
        assert np.array_equal(stored[f"spikes.{layer}"], expected.trace.spikes[layer][chosen])
        assert np.array_equal(stored[f"membrane.{layer}"], expected.trace.membranes[layer][chosen])
    assert lehr("simulate", model, "-i", given, "--compare", out).code == 0
    stored["membrane.lif3"][-2, 3, 4] += 1
    np.savez(out, **stored)  # type: ignore[arg-type]
    ran = lehr("simulate", model, "-i", given, "--compare", out)
    assert ran.code == 4
    assert "first: lif3: membrane of neuron (4) at step 3 of sample 31 is " in ran.err
    for damaged, message in (
        (
            {"trace.samples": np.arange(15)[::-1]},
            "trace.samples is not a list of numbers that ascend below 80; give a result of",
        ),
        (
            {"spikes.lif2": stored["spikes.lif2"][:3]},
            "spikes.lif2 is of 3 samples, not 15; give a whole result of the same input",
        ),
    ):
        np.savez(out, **{**stored, **damaged})  # type: ignore[arg-type]
        ran = lehr("simulate", model, "-i", given, "--compare", out)
        assert (ran.code, message in ran.err) == (5, True), ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--trace-samples", "3"),
            "--trace-samples chooses samples of a trace; name a layer with --trace, or 'all'",
        ),
        (
            ("--trace", "all", "--trace-samples", "3,80"),
            "--trace-samples: '80' of 80 samples; give numbers from 0 on and ranges, as in",
        ),
        (
            ("--trace", "all", "--trace-samples", "7-3"),
            "--trace-samples: '7-3' of 80 samples; give numbers from 0 on and ranges, as in",
        ),
        (
            ("--trace", "all", "--trace-samples", ""),
            "--trace-samples: '' of 80 samples; give numbers from 0 on and ranges, as in",
        ),
    ],
)
def test_samples_that_are_not_there_cannot_be_traced(
    line: Path, lehr: Lehr, options: tuple[str, ...], message: str
) -> None:
    ran = lehr("simulate", line / "model.nir", "-i", line / "in.npz", *options)
    assert ran.code == 2
    assert message in ran.err


@pytest.mark.slow
# -------------------------------------------------------------------- recordings longer than a
# piece
@pytest.mark.parametrize("engine", ["fast", "reference", "torch"])
def test_a_long_recording_runs_in_chunks(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    net, x = HARD["membrane_max_argmax_lowest"]()
    nirfile.write(net, tmp_path / "m.nir")
    np.savez(tmp_path / "x.npz", input=x)
    given = (tmp_path / "m.nir", "-i", tmp_path / "x.npz", "--engine", engine)
    command = ("simulate", *given, "-o", tmp_path / "y.npz", "--trace", "all", "--json")
    whole = lehr(*command), arrays(tmp_path / "y.npz")
    monkeypatch.setattr(pieces, "PIECE_BYTES", 3 * x[0, 0].size)  # three steps
    monkeypatch.setattr(Samples, "pieces", None)
    parts = lehr(*command), arrays(tmp_path / "y.npz")
    assert whole[0].code == 0, whole[0].err
    assert whole[0].facts == parts[0].facts
    assert whole[1].keys() == parts[1].keys()
    assert all(np.array_equal(whole[1][name], parts[1][name]) for name in whole[1])
    assert lehr(*command, "--trace-samples", "1").code == 0
    assert np.array_equal(
        arrays(tmp_path / "y.npz")[f"spikes.{net.output}"], whole[1][f"spikes.{net.output}"][1:2]
    )


# -------------------------------------------------------------------- reading in pieces
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_samples_are_read_in_pieces(tmp_path: Path, save: object, order: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, (23, 4, 5, 6)).astype(np.uint8)
    assert callable(save)
    save(tmp_path / "x.npz", input=np.asarray(x, order=order), labels=np.arange(23))  # type: ignore[call-overload]
    samples = open_samples(tmp_path / "x.npz")
    assert samples.shape == x.shape
    assert samples.labels is not None
    assert samples.labels.tolist() == list(range(23))
    steps = [(1, 3, 5, 6), (1, 1, 5, 6)]
    assert [chunk.shape for chunk in samples.chunks(3, 20)] == steps * 3
    assert np.array_equal(
        np.concatenate(list(samples.chunks(3, 20)), axis=1)[0], x[20:].reshape(12, 5, 6)
    )
    for start in (0, 7, 22):
        pieces = list(samples.pieces(5, start))
        assert max(map(len, pieces)) <= 5
        assert np.array_equal(np.concatenate(pieces), x[start:])


def test_which_class_won_is_said_of_the_first_samples_and_kept_of_all(
    line: Path, lehr: Lehr
) -> None:
    ran = lehr("simulate", line / "model.nir", "-i", line / "in.npz", "-o", line / "won.npz")
    assert ran.code == 0
    expected = np.load(line / "won.npz")["prediction"]
    labels = np.load(line / "in.npz")["labels"]
    assert f"class that won, the first 10 of {len(expected)}:" in ran.out
    start = ran.out.index("class that won")
    rows = [
        [*map(int, text.split())]
        for text in ran.out[start:].splitlines()
        if text.split() and text.split()[0].isdecimal()
    ]
    assert [(sample, won, label) for sample, won, _, label in rows] == [
        (n, expected[n], labels[n]) for n in range(10)
    ]
    assert (
        lehr("simulate", line / "model.nir", "-i", line / "in.npz", "--json").facts["predictions"]
        == expected.tolist()
    )


def test_without_labels_there_are_no_labels_beside_the_classes(
    line: Path, lehr: Lehr, tmp_path: Path
) -> None:
    np.savez(tmp_path / "in.npz", input=np.load(line / "in.npz")["input"][:3])
    ran = lehr("simulate", line / "model.nir", "-i", tmp_path / "in.npz")
    assert ran.code == 0
    assert "class that won:\n" in ran.out
    assert "label" not in ran.out


def test_a_result_without_a_trace_is_compared_by_its_counts(
    line: Path, lehr: Lehr, tmp_path: Path
) -> None:
    command = ("simulate", line / "model.nir", "-i", line / "in.npz")
    stored = tmp_path / "out.npz"
    assert lehr(*command, "-o", stored).code == 0
    ran = lehr(*command, "--compare", stored)
    assert ran.code == 0
    assert "no trace was kept, none was compared; counts of 80 samples are equal" in ran.out
    with np.load(stored) as file:
        arrays = dict(file)
    arrays["counts"][3, 1] += 1
    np.savez(stored, **arrays)
    ran = lehr(*command, "--compare", stored)
    assert ran.code == 4
    assert "neuron 1 spiked" in ran.err
