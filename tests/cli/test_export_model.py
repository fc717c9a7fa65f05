"""`lehr export model.py:factory`: a user's own file, run and compared.

Each fault of the file is named in one sentence.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr, Ran

from lehr import nirfile
from lehr.export import pending
from lehr.export.fold import Folded
from lehr.export.pending import Waiting
from lehr.simulate import simulate

MODEL = """
import neighbour
import torch, snntorch as snn
from torch import nn
from torch.nn.utils import prune

def layers(beta, step):
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(12, 16), snn.Leaky(beta=beta, threshold=0.5, init_hidden=True),
                        nn.Linear(16, 4), snn.Leaky(beta=beta, threshold=0.5, init_hidden=True))
    with torch.no_grad():
        for layer in (net[0], net[2]):
            layer.weight.copy_(torch.where(layer.weight >= 0, step, -step))
            layer.bias.copy_((layer.bias * 16).round() / 16)
    return net

def exact():
    print("made")
    return layers(0.5, 0.25)

class Counting(nn.Sequential):
    calls = 0
    def forward(self, x):
        self.calls += 1
        return super().forward(x if self.calls < 4 else 1 - x)

def counting():
    return Counting(*layers(0.5, 0.25))

def leaks():
    return layers(0.9, 0.25)

def pruned():
    net, trained = layers(0.5, 0.25), layers(0.5, -0.25)
    for each in (net, trained):
        prune.l1_unstructured(each[0], "weight", 20)
    net.load_state_dict(trained.state_dict())
    return nn.DataParallel(net)

def broken():
    net = pruned()
    net.module[0].register_forward_hook(lambda _module, _given, output: output * 2)
    net.module[2].bias.data[1] = float("nan")
    return net

class Membrane(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif1, self.out, self.lif2 = layers(0.5, 0.25)
        self.lif2 = snn.Leaky(beta=0.5, reset_mechanism="none", init_hidden=True, output=True)
    def forward(self, x):
        return self.lif2(self.out(self.lif1(self.fc(x))))[1]

def pooled():
    conv = nn.Conv2d(1, 2, 3, padding=1, bias=False)
    conv.weight.data = torch.where(torch.arange(18) % 4 > 0, 0.25, -0.25).reshape(2, 1, 3, 3)
    fire = snn.Leaky(beta=0.5, threshold=0.5, init_hidden=True)
    return nn.Sequential(conv, fire, nn.MaxPool2d(2), nn.Flatten(), *layers(0.5, 0.25)[2:])

def fails():
    raise RuntimeError("no weights here\\nsecond line")

def leaves():
    raise SystemExit(3)

def nothing():
    return neighbour.VALUE

value = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with model.py, the file beside it, and samples."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "neighbour.py").write_text("VALUE = [1]\n")
    np.savez(
        tmp_path / "in.npz",
        input=(np.random.default_rng(0).random((20, 8, 12)) < 0.5).astype(np.uint8),
    )
    return tmp_path


def export(lehr: Lehr, folder: Path, factory: str, *options: object) -> Ran:
    return lehr(
        "export",
        f"{folder / 'model.py'}{factory}",
        "-i",
        folder / "in.npz",
        "-o",
        folder / "m.nir",
        *options,
    )


def test_a_forward_that_changes_with_time_is_named(lehr: Lehr, folder: Path) -> None:
    wrong = export(lehr, folder, ":counting")
    assert wrong.code == 4
    assert "layer1 is proven to be equal, but " in wrong.err
    assert (
        "look whether its forward does in a later step what its layers do not say, such as "
        "counting its calls; else" in wrong.err
    )
    assert not (folder / "m.nir").exists()


def test_an_exact_model_passes_and_is_written(lehr: Lehr, folder: Path) -> None:
    ran = export(lehr, folder, ":exact")
    assert ran.code == 0, ran.err
    assert ran.last == "PASS"
    assert "0 of 3,200 spikes differ" in ran.out
    assert "made" not in ran.out
    facts = export(lehr, folder, ":exact", "--strict", "--json").facts
    assert facts["exact"] is True
    assert facts["notes"] == []
    assert all(0 < rate < 1 for rate in facts["rates"].values())
    net = nirfile.read(folder / "m.nir")
    assert net.digest == facts["network"]
    with np.load(folder / "in.npz") as arrays:
        assert dict(simulate(net, arrays["input"]).rates) == facts["rates"]


def test_a_maximum_of_spikes_has_its_row(lehr: Lehr, folder: Path) -> None:
    x = (np.random.default_rng(1).random((20, 8, 1, 8, 4)) < 0.3).astype(np.uint8)
    np.savez(folder / "in.npz", input=x)
    ran = export(lehr, folder, ":pooled")
    assert ran.code == 0, ran.err
    assert re.search(r"layer2 +1 +1 +\d+ +equal +0\.\d+ +0 *\n", ran.out), ran.out
    rates = export(lehr, folder, ":pooled", "--json").facts["rates"]
    assert len(rates) == 3
    assert all(0 < rate < 1 for rate in rates.values()), rates


@pytest.mark.slow
def test_a_difference_fails_unless_rounding_was_asked_for(
    lehr: Lehr, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = export(lehr, folder, ":leaks")
    assert refused.code == 3
    assert (
        "1 (Leaky), 3 (Leaky): its beta is 0.9, no k/2**n with n up to 16; train it with 230/256"
        in refused.err
    )
    rounded = export(lehr, folder, ":leaks", "--decay-bits", 3, "--json")
    assert rounded.code == 0, rounded.err
    assert rounded.facts["spikes_differ"] > 0
    assert "1: decay moved by 0.025 to 7/8" in rounded.facts["notes"]
    (folder / "m.nir").unlink()
    strict = export(lehr, folder, ":leaks", "--decay-bits", 3, "--strict")
    assert strict.code == 4
    assert (
        f"{rounded.facts['spikes_differ']:,} of 3,200 spikes differ from the model's, first layer1 "
        "neuron (" in strict.err
    )
    assert (
        "1: decay moved by 0.025 to 7/8: train with numbers that need no rounding, or accept it "
        "with --no-strict" in strict.err
    )
    assert not (folder / "m.nir").exists()

    def one_higher(wait: Waiting, bits: int) -> Folded:  # what only comparing can find
        changed = folded(wait, bits)
        changed.threshold[:] += 1 << bits
        return changed

    folded = pending.folded
    monkeypatch.setattr("lehr.export.precision.folded", one_higher)
    wrong = export(lehr, folder, ":exact")
    assert wrong.code == 4
    assert "model.py:exact: layer1 is proven to be equal, but " in wrong.err
    assert "of its spikes differ, first layer1 neuron (" in wrong.err
    assert "such as counting its calls; else report it as a bug of lehr" in wrong.err
    accepted = export(lehr, folder, ":exact", "--no-strict")
    assert (accepted.code, accepted.last) == (4, "FAIL")
    assert not (folder / "m.nir").exists()


@pytest.mark.slow
def test_a_loaded_state_is_exported_through_pruning_and_a_wrapper(lehr: Lehr, folder: Path) -> None:
    """Compare the loaded weights with those of `exact`.

    Their signs are turned round, but for the 20 that are pruned.
    """
    assert export(lehr, folder, ":exact").code == 0
    before = nirfile.read(folder / "m.nir").weighted["layer0"].weight
    ran = export(lehr, folder, ":pruned", "--json")
    assert ran.code == 0, ran.err
    assert (ran.facts["exact"], ran.facts["spikes_differ"]) == (True, 0)
    assert all(0 < rate < 1 for rate in ran.facts["rates"].values())
    weight = nirfile.read(folder / "m.nir").weighted["layer0"].weight
    assert int((weight == 0).sum()) == 20
    np.testing.assert_array_equal(weight, -before * (weight != 0))


def test_all_reasons_of_a_refusal_are_printed(lehr: Lehr, folder: Path) -> None:
    (folder / "m.nir").write_text("what was there")
    ran = export(lehr, folder, ":broken", "--json")
    assert ran.code == 3
    lines = ran.err.rstrip().splitlines()
    assert lines == [
        "error: 2 refusals:",
        "  0 (Linear): it has a forward hook (broken.<locals>.<lambda>), which may change what it "
        "gives; remove it: handle.remove()",
        "  2 (Linear): its bias is not finite (NaN); train it again",
    ]
    assert ran.facts["error"] == "\n".join(lines).removeprefix("error: ")
    assert (folder / "m.nir").read_text() == "what was there"


@pytest.mark.slow
def test_a_difference_is_accepted_only_where_what_was_asked_for_explains_it(
    lehr: Lehr, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refuse thresholds that were rounded: all weights here are levels.

    `--weights` asks for no rounding of thresholds, which the report names.
    """

    def one_higher(wait: Waiting, bits: int) -> Folded:
        changed = folded(wait, bits)
        changed.threshold[:] += 1 << bits
        return changed

    folded = pending.folded
    for place in ("lehr.export.precision.folded", "lehr.export.pending.folded"):
        monkeypatch.setattr(place, one_higher)
    for asked in ((), ("--weights", "int8"), ("--decay-bits", 8)):
        ran = export(lehr, folder, ":exact", *asked)
        assert (ran.code, ran.last) == (4, "FAIL")
        options = (
            f"{asked[0]} round nothing that leads there"
            if asked
            else "nothing was asked to be rounded"
        )
        assert (
            f"of layer1 differ from the model's, and {options}; 1: thresholds or biases rounded, "
            "by up to" in ran.err
        )
        assert not (folder / "m.nir").exists()
    accepted = export(lehr, folder, ":exact", "--error", 0.9, "--json")
    assert accepted.code == 0, accepted.err
    assert accepted.facts["spikes_differ"] > 0
    assert accepted.facts["proven"] == {"layer1": "rounded", "layer3": "rounded"}


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("", "which function in it makes the model? give it as"),
        (
            ":missing",
            "model.py has no function 'missing'; give one that returns the model, as "
            "model.py:factory",
        ),
        (":value", "model.py has no function 'value'"),
        (
            ":fails",
            "model.py:fails failed (RuntimeError: no weights here); run it in Python by itself to "
            "see where",
        ),
        (
            ":leaves",
            "model.py:leaves failed (SystemExit: 3); run it in Python by itself to see where",
        ),
        (":nothing", "model.py:nothing returns list, no torch module; return the trained model"),
    ],
)
def test_what_is_wrong_in_the_users_file_is_said_in_a_sentence(
    lehr: Lehr, folder: Path, factory: str, message: str
) -> None:
    ran = export(lehr, folder, factory)
    assert ran.code == 2
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1, ran.err
    assert not (folder / "m.nir").exists()


def test_a_file_that_does_not_parse_and_one_that_is_not_there(lehr: Lehr, folder: Path) -> None:
    (folder / "model.py").write_text("def exact(:\n")
    ran = export(lehr, folder, ":exact")
    assert ran.code == 2
    assert "model.py:exact failed (SyntaxError: invalid syntax" in ran.err
    (folder / "model.py").unlink()
    assert (
        "model.py does not exist; give a Python file and a function in it"
        in export(lehr, folder, ":exact").err
    )


def test_options_of_a_model_are_not_a_runs(lehr: Lehr, folder: Path) -> None:
    ran = lehr("export", folder, "-o", folder / "m.nir", "--decay-bits", 8)
    assert ran.code == 2
    assert "--decay-bits is for a model, as model.py:factory, but" in ran.err
    ran = lehr("export", f"{folder / 'model.py'}:exact", "-o", folder / "m.nir")
    assert ran.code == 2
    assert "no samples to compare on; give them with -i IN.npz" in ran.err


def test_membranes_are_read_out_and_compared(lehr: Lehr, folder: Path) -> None:
    asked = export(lehr, folder, ":Membrane")
    assert asked.code == 2
    assert "say which of its membranes counts: --readout last, sum or max" in asked.err
    ran = export(lehr, folder, ":Membrane", "--readout", "sum", "--json")
    assert ran.code == 0, ran.err
    assert "0 of 640 membranes of lif2 differ, by at most 0 of the largest; 0 of 20 decisions" in (
        export(lehr, folder, ":Membrane", "--readout", "sum").out
    )
    assert (ran.facts["membranes_differ"], ran.facts["decisions_differ"]) == (0, 0)
    assert ran.facts["proven"] == {"lif1": "equal", "lif2": "equal"}
    assert nirfile.read(folder / "m.nir").readout == "membrane_sum_argmax_lowest"


def test_inputs_with_a_mean_and_a_deviation(lehr: Lehr, folder: Path) -> None:
    ran = export(lehr, folder, ":exact", "--mean", "0.5", "--std", "0.25", "--json")
    assert ran.code == 0, ran.err
    assert (ran.facts["exact"], ran.facts["spikes_differ"]) == (True, 0)
    assert 0 < ran.facts["rates"]["layer1"] < 1
    mean = ",".join(["0.5"] * 6 + ["0.25"] * 6)
    assert export(lehr, folder, ":exact", "--mean", mean).code == 0
    bias = nirfile.read(folder / "m.nir").neurons["layer1"].bias
    plain = export(lehr, folder, ":exact")
    assert plain.code == 0
    assert np.any(bias != nirfile.read(folder / "m.nir").neurons["layer1"].bias)
    wrong = export(lehr, folder, ":exact", "--std", "0.5;0.5")
    assert wrong.code == 2
    assert "--std is '0.5;0.5'; give one number, or one a channel with commas between" in wrong.err


def test_help_says_that_the_file_is_run(lehr: Lehr) -> None:
    assert "use only files that you trust" in " ".join(lehr("export", "--help").out.split())
