"""PASS ends a command that has checked something, and no other; FAIL one whose answer is no."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nir
import numpy as np
import pytest
from commands import Lehr
from nir_graphs import chain

from lehr.cli.console import percent
from lehr.export.fold import Folded
from lehr.export.pending import Waiting, folded
from lehr.export.proven import EQUAL


def test_only_what_was_checked_ends_in_pass(line: Path, lehr: Lehr, tmp_path: Path) -> None:
    model, samples, built = line / "model.nir", line / "in.npz", tmp_path / "out"
    commands: dict[tuple[object, ...], bool] = {
        ("recipes", "list"): False,
        ("recipes", "copy", "digits", tmp_path / "digits.toml"): False,
        ("recipes", "samples", line / "tiny.toml", "-o", tmp_path / "in.npz"): False,
        ("targets", "list"): False,
        ("targets", "show", "c"): False,
        ("doctor",): False,
        ("inspect", model): False,
        ("widths", model): False,
        ("widths", model, "-i", samples, "-o", tmp_path / "fit.nir"): True,
        ("simulate", model, "-i", samples, "-o", tmp_path / "out.npz"): False,
        ("simulate", model, "-i", samples, "--compare", tmp_path / "out.npz"): True,
        ("export", line / "run", "-o", tmp_path / "m.nir"): True,
        ("check", model, "--target", "onnx"): True,
        ("build", model, "--target", "onnx", "-o", built, "-n", 2): True,
        ("verify", built): True,
        ("report", built): False,
    }
    said = Counter[bool]()
    for command, checks in commands.items():
        ran = lehr(*command)
        assert ran.code == 0, (command, ran.err)
        assert (ran.last == "PASS") == checks, command
        assert "FAIL" not in ran.out
        said[checks] += 1
    assert min(said.values()) > 5


def test_a_failure_is_said_by_commands_that_check_nothing_too(lehr: Lehr, tmp_path: Path) -> None:
    ran = lehr("inspect", tmp_path / "none.nir", "--json")
    assert (ran.code, ran.facts["result"]) == (2, "FAIL")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.00 %"),
        (1e-9, "< 0.01 %"),
        (0.00005, "0.01 %"),
        (0.5, "50.00 %"),
        (0.9999, "99.99 %"),
        (1 - 1e-9, "> 99.99 %"),
        (1.0, "100.00 %"),
    ],
)
def test_a_share_is_none_or_all_only_where_it_is(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_graph_that_is_proven_equal_and_differs_is_not_written(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ones = np.ones(3)
    neurons = nir.LIF(
        tau=2e-3 * ones, r=2 * ones, v_leak=0 * ones, v_threshold=2 * ones, v_reset=0 * ones
    )
    weights = np.random.default_rng(0).choice([-1.0, 1.0], (3, 5))
    nir.write(
        tmp_path / "graph.nir", chain({"fc": nir.Linear(weights), "lif": neurons}, (5,), (3,))
    )
    np.savez(
        tmp_path / "in.npz",
        input=(np.random.default_rng(1).random((20, 12, 5)) < 0.5).astype(np.uint8),
    )
    command = (
        "quantize",
        tmp_path / "graph.nir",
        "--calibrate",
        tmp_path / "in.npz",
        "--dt",
        1e-3,
        "-o",
        tmp_path / "m.nir",
    )
    right = lehr(*command, "--json")
    assert right.code == 0, right.err
    assert right.facts["proven"] == {"lif": EQUAL}
    assert right.facts["result"] == "PASS"
    assert 0 < right.facts["layers"]["lif"]["rate"] < 1
    assert right.facts["layers"]["lif"]["spikes_apart"] == 0
    (tmp_path / "m.nir").write_text("mine")

    def one_higher(wait: Waiting, bits: int) -> Folded:
        changed = folded(wait, bits)
        changed.threshold[:] += 1 << bits
        return changed

    monkeypatch.setattr("lehr.export.precision.folded", one_higher)
    wrong = lehr(*command)
    assert (wrong.code, wrong.last) == (4, "FAIL")
    assert "graph.nir: lif is proven to be equal, but " in wrong.err
    assert (tmp_path / "m.nir").read_text() == "mine"
