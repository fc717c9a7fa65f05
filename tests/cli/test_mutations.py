"""A change of one unit anywhere in an artefact makes `lehr verify` fail and name it.

It names the file, or the first difference.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr
from general import RUNNABLE

from lehr import __version__, nirfile
from lehr.artifact import sha256, to_json
from lehr.errors import FileRefused, NotBitExact
from lehr.network import Conv2d, Network
from lehr.samples import read_samples
from lehr.simulate import simulate
from lehr.targets import registry
from lehr.targets.build import build
from lehr.targets.verification import verify_here

Mutation = Callable[[Network, Path], Network]


def _neuron(net: Network, name: str, **changes: object) -> Network:
    return replace(net, nodes={**net.nodes, name: replace(net.neurons[name], **changes)})  # type: ignore[arg-type]


def _threshold(net: Network, samples: Path) -> Network:
    spikes = simulate(net, read_samples(samples)[0][:3], trace=["lif2"]).trace.spikes["lif2"]
    raised = net.neurons["lif2"].threshold.copy()
    raised[int(spikes.sum(axis=(0, 1, 3, 4)).argmax())] += 1
    return _neuron(net, "lif2", threshold=raised)


def _weight(net: Network, samples: Path) -> Network:
    spikes = simulate(net, read_samples(samples)[0][:3], trace=["lif1"]).trace.spikes["lif1"]
    conv = net.nodes["conv2"]
    assert isinstance(conv, Conv2d)
    flipped = conv.weight.copy()
    flipped[3, int(spikes.sum(axis=(0, 1, 3, 4)).argmax()), 0, 0] *= -1
    return replace(net, nodes={**net.nodes, "conv2": replace(conv, weight=flipped)})


def _decay(net: Network, samples: Path) -> Network:
    arithmetic = net.neurons["lif3"].fields
    return _neuron(
        net,
        "lif3",
        arithmetic=replace(
            arithmetic,
            decay_numerator=arithmetic.decay_numerator * 2 + 1,
            decay_shift=arithmetic.decay_shift + 1,
        ),
    )


def _bias(net: Network, samples: Path) -> Network:
    assert net.neurons["lif1"].bias.any()
    return _neuron(net, "lif1", bias=np.zeros_like(net.neurons["lif1"].bias))


MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "threshold off by one": (_threshold, "lif2"),
    "weight flipped": (_weight, "lif2"),
    "decay changed": (_decay, "lif3"),
    "bias dropped": (_bias, "lif1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_named(
    line: Path, tmp_path: Path, target: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Find the difference where a target planned another network's files when it built and here.

    Its files run, and differ.
    """
    mutation, layer = MUTATIONS[name]
    net, chip = nirfile.read(line / "model.nir"), registry.get(target)
    mutated = mutation(net, line / "in.npz")
    assert mutated != net
    plan = type(chip).plan
    monkeypatch.setattr(type(chip), "plan", lambda self, net, options: plan(self, mutated, options))
    build(net, chip, read_samples(line / "in.npz")[0][:3]).plan.write(tmp_path / "wrong")
    verified = verify_here(tmp_path / "wrong")
    first = verified.comparison.first
    assert first is not None
    assert first.layer == layer
    assert first.expected != first.got
    with pytest.raises(
        NotBitExact, match=rf"{target} against the reference simulator: .* differ; first: {layer}: "
    ):
        verified.require()


@pytest.mark.slow
@pytest.mark.parametrize("target", RUNNABLE)
def test_the_files_of_another_network_are_named_and_not_run(
    line: Path, lehr: Lehr, tmp_path: Path, target: str
) -> None:
    """Name the file, whether the manifest states it or not."""
    nirfile.write(
        _threshold(nirfile.read(line / "model.nir"), line / "in.npz"), tmp_path / "mutated.nir"
    )
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for model, out in ((line / "model.nir", right), (tmp_path / "mutated.nir", wrong)):
        assert (
            lehr("build", model, "--target", target, "-o", out, "-i", line / "in.npz", "-n", 3).code
            == 0
        )
    files = json.loads((right / "manifest.json").read_bytes())["files"]
    own = [name for name in files if "/" not in name and name not in ("model.nir", "MODEL_CARD.md")]
    others = [name for name in own if (right / name).read_bytes() != (wrong / name).read_bytes()]
    assert others
    for name in others:
        shutil.copy(wrong / name, right / name)
    ran = lehr("verify", right)
    assert (ran.code, ran.last) == (5, "FAIL")
    assert f"error: {others[0]}" in ran.err
    assert "changed since the artefact was built; build it again" in ran.err
    _fit_manifest(right)
    with pytest.raises(
        FileRefused,
        match=rf"was not built by lehr {__version__} from its model\.nir: {others[0]}.* would be others",
    ):
        verify_here(right)
    _fit_manifest(right, lehr="0.0.1")
    with pytest.raises(
        FileRefused,
        match=rf"right was built by lehr 0\.0\.1, whose {others[0]}.* differ from those of lehr {__version__}; ",
    ):
        verify_here(right)


def _fit_manifest(folder: Path, **facts: str) -> None:
    """Make a manifest state the files as they are."""
    manifest = json.loads((folder / "manifest.json").read_bytes()) | facts
    manifest["files"] = {name: sha256((folder / name).read_bytes()) for name in manifest["files"]}
    (folder / "manifest.json").write_bytes(to_json(manifest))


@pytest.mark.few(1)
@pytest.mark.parametrize("target", RUNNABLE)
def test_golden_vectors_cannot_be_bent(line: Path, lehr: Lehr, tmp_path: Path, target: str) -> None:
    out = tmp_path / "out"
    assert (
        lehr(
            "build",
            line / "model.nir",
            "--target",
            target,
            "-o",
            out,
            "-i",
            line / "in.npz",
            "-n",
            2,
        ).code
        == 0
    )
    golden = out / "golden" / "01_lif2.membrane.i32"
    data = bytearray(golden.read_bytes())
    data[40] ^= 1
    golden.write_bytes(bytes(data))
    ran = lehr("verify", out)
    assert ran.code == 5
    assert (
        "golden/01_lif2.membrane.i32 changed since the artefact was built; build it again"
        in ran.err
    )
    manifest = json.loads((out / "manifest.json").read_bytes())
    manifest["files"]["golden/01_lif2.membrane.i32"] = hashlib.sha256(data).hexdigest()
    (out / "manifest.json").write_text(json.dumps(manifest))
    ran = lehr("verify", out)
    assert ran.code == 4
    assert "the golden vectors against the reference simulator: 1 of" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("target", RUNNABLE)
def test_an_edited_file_is_named_even_where_no_spike_changes(
    line: Path, lehr: Lehr, tmp_path: Path, target: str
) -> None:
    out = tmp_path / "out"
    assert (
        lehr(
            "build",
            line / "model.nir",
            "--target",
            target,
            "-o",
            out,
            "-i",
            line / "in.npz",
            "-n",
            2,
        ).code
        == 0
    )
    (out / "README.md").write_text("edited")
    ran = lehr("verify", out)
    assert ran.code == 5
    assert "README.md changed since the artefact was built; build it again" in ran.err


def test_the_network_that_is_mutated_spikes_in_every_layer(line: Path) -> None:
    rates = simulate(nirfile.read(line / "model.nir"), read_samples(line / "in.npz")[0]).rates
    assert all(0 < rate < 1 for rate in rates.values())
