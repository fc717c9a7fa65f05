"""The verifying export of a run from Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr

from lehr import nirfile
from lehr.errors import NotBitExact
from lehr.export.checkpoint import load_run
from lehr.network import Network
from lehr.runstate import SAMPLES_FILE
from lehr.samples import read_samples
from lehr.train.runs.exporting import export_run


def test_a_run_is_written_where_it_is_what_was_trained(
    line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, (x, _) = load_run(line / "run"), read_samples(line / "run" / SAMPLES_FILE)
    verified = export_run(run, x, tmp_path / "m.nir")
    assert (tmp_path / "m.nir").read_bytes() == (line / "model.nir").read_bytes()
    assert verified.compared.equal
    assert verified.compared.values == sum(
        array.size for array in verified.result.trace.spikes.values()
    )
    assert all(0 < rate < 1 for rate in verified.result.rates.values())
    assert verified.widths.layers.keys() == run.network.neurons.keys()

    def damaged(path: Path) -> Network:
        net = read(path)
        name, neuron = next(iter(net.neurons.items()))
        return replace(
            net, nodes={**net.nodes, name: replace(neuron, threshold=neuron.threshold + 1)}
        )

    read = nirfile.read
    monkeypatch.setattr(nirfile, "read", damaged)
    with pytest.raises(
        NotBitExact,
        match=r"^the exported file against the trained model: [\d,]+ of [\d,]+ membranes and [\d,]+ spikes differ",
    ):
        export_run(run, x, tmp_path / "wrong.nir")
    assert not (tmp_path / "wrong.nir").exists()


def test_an_export_says_of_a_layer_that_is_silent_on_the_run_s_samples_why(
    line: Path, lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = 0
    for grey in range(0, 256, 32):
        flat = np.full((3, 1, 8, 8), grey, np.uint8)
        monkeypatch.setattr("lehr.samples.read_samples", lambda _, flat=flat: (flat, None))
        ran = lehr("export", line / "run", "-o", tmp_path / "m.nir", "--json")
        assert ran.code == 0, ran.err
        silent = [name for name, rate in ran.facts["rates"].items() if not rate]
        notes = ran.facts.get("notes", [])
        for name, note in zip(silent, notes, strict=True):
            assert note.startswith(f"on the 3 samples that the run kept, {name} never fires: ")
            assert note.endswith("; they say nothing of it")
        seen += len(notes)
    assert seen
