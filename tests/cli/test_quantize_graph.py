"""`lehr quantize`, from a file of somebody else's to one of ours."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
from commands import Lehr, Ran
from nir_graphs import DT, braille, chain, lif

from lehr import nirfile
from lehr.simulate import simulate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    nir.write(tmp_path / "graph.nir", braille(rng))
    x = (rng.random((12, 50, 12)) < 0.2).astype(np.uint8)
    np.savez(tmp_path / "events.npz", input=x, labels=np.arange(12) % 7)
    return tmp_path


def quantize(lehr: Lehr, folder: Path, *options: object) -> Ran:
    return lehr(
        "quantize",
        folder / "graph.nir",
        "--calibrate",
        folder / "events.npz",
        "-o",
        folder / "m.nir",
        *options,
    )


@pytest.mark.slow
def test_what_changed_is_said_layer_by_layer_and_recorded(lehr: Lehr, folder: Path) -> None:
    ran = quantize(lehr, folder, "--dt", DT, "--json")
    assert ran.code == 0, ran.err
    facts = ran.facts
    assert set(facts["layers"]) == {"lif1.lif", "lif2"}
    for layer in facts["layers"].values():
        assert 0.02 < layer["rate"] < 0.9
        assert 0 < layer["spikes_differ"] < 0.2
        assert layer["saturations"] == 0
        assert 0 < layer["weight_error"] < 0.02
        assert layer["threshold_error"] < 0.01
    assert facts["semantics"]["dt"] == DT
    assert facts["semantics"]["reset"] == "zero"
    assert 0 <= facts["accuracy"] <= 1
    net = nirfile.read(folder / "m.nir")
    assert net.digest == facts["network"]
    with np.load(folder / "events.npz") as events:
        result = simulate(net, events["input"])
        assert result.rates == pytest.approx(
            {name: layer["rate"] for name, layer in facts["layers"].items()}
        )
        assert result.accuracy(events["labels"]) == facts["accuracy"]
    recorded = nir.read(folder / "m.nir", type_check=False).metadata["origin"]
    assert recorded["source"] == "graph.nir"
    assert recorded["semantics"]["dt"] == DT
    assert recorded["semantics"]["reset_timing"] == "same_step"
    assert ["lif1.lif", "lif1.lif"] in [
        [part.decode() for part in pair] for pair in recorded["names"].tolist()
    ]
    assert [note.decode() for note in recorded["notes"].tolist()] == facts["notes"]


@pytest.mark.slow
def test_people_read_a_table(lehr: Lehr, folder: Path) -> None:
    ran = quantize(lehr, folder, "--dt", DT, "-n", 5)
    assert ran.code == 0, ran.err
    assert "dt is 0.0001 s, as given" in ran.out
    assert "of 5 predictions are the float graph's" in ran.out
    assert "accuracy: " in ran.out
    for column in (
        "rate, float",
        "rate error",
        "spikes differ",
        "membrane error",
        "saturations",
        "weight error",
        "threshold error",
        "moved by",
    ):
        assert column in ran.out
    assert ran.last == "PASS"


@pytest.mark.slow
def test_two_runs_write_the_same_bytes(lehr: Lehr, folder: Path) -> None:
    assert quantize(lehr, folder, "--dt", DT).code == 0
    first = (folder / "m.nir").read_bytes()
    assert quantize(lehr, folder, "--dt", DT).code == 0
    assert (folder / "m.nir").read_bytes() == first


@pytest.mark.slow
def test_dt_may_be_the_graphs_own(lehr: Lehr, folder: Path) -> None:
    graph = braille(np.random.default_rng(1))
    graph.metadata = {"dt": DT}
    nir.write(folder / "graph.nir", graph)
    ran = quantize(lehr, folder, "--json")
    assert ran.code == 0, ran.err
    assert "dt is 0.0001 s, from the graph's metadata" in ran.facts["notes"]
    other = quantize(lehr, folder, "--dt", 5e-5, "--json")
    assert "dt is 5e-05 s, as given, where the graph's metadata says 0.0001" in other.facts["notes"]


def test_a_dead_layer_and_one_that_always_fires_are_named(lehr: Lehr, folder: Path) -> None:
    always = lif(12, threshold=0.1, v_leak=100.0)
    nodes = {"0": always, "fc": nir.Linear(-np.ones((3, 12))), "dead": lif(3)}
    nir.write(folder / "graph.nir", chain(nodes, (12,), (3,)))
    with np.load(folder / "events.npz") as events:
        np.savez(folder / "events.npz", input=events["input"])
    ran = quantize(lehr, folder, "--dt", DT)
    assert ran.code == 0, ran.err
    assert (
        "warning: layer0 always fires in the graph on these samples, which therefore say nothing "
        "of it" in ran.out
    )
    assert (
        "warning: dead never fires in the graph on these samples, which therefore say nothing of it"
        in ran.out
    )
    assert "names: 0 is layer0" in ran.out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "lif1.lif has a time constant, and the graph does not say how long a step is; give it in seconds, as --dt 1e-4 (in Python: dt=1e-4)"),
        (("--dt", 1.0), 3, "error: 2 refusals:\n  lif1.lif (CubaLIF): its tau_mem is 0.001 s, 0.001 steps at dt 1; is dt 0.0001?\n  lif2 (CubaLIF): its tau_mem is 0.0004 s, 0.0004 steps at dt 1; is dt 0.0001?\n"),
        (("--dt", DT, "--reset", "none"), 2, "reset is 'none'; use 'zero' or 'subtract'"),
        (("--dt", DT, "--weights", "float"), 2, "--weights is 'float'; use one of binary, "),
        (("--dt", DT, "--decay-bits", "1"), 3, "lif1.lif (CubaLIF): its decay is 0.9, which 1 bits round to 1, so that nothing leaks; give a higher --decay-bits"),
        (("--dt", DT, "--steps", 51), 2, "calibration input has 50 steps, but --steps is 51; ask for at most as many"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence_a_node_and_leaves_no_file(
    lehr: Lehr, folder: Path, options: tuple[object, ...], code: int, message: str
) -> None:
    (folder / "m.nir").write_text("mine")
    ran = quantize(lehr, folder, *options)
    assert ran.code == code
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == max(1, message.count("\n"))
    assert (folder / "m.nir").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["events.npz", "graph.nir", "m.nir"]
