"""The fast engine's arithmetic from its source: proven, and refuted where the source is changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("z3")

from strategies import Builder

from lehr.arithmetic import Arithmetic
from lehr.network import Input
from lehr.prove.engine import lanes
from lehr.prove.engine.kernels import prove
from lehr.prove.obligations import Obligation
from lehr.prove.subject import Subject

SECONDS = 30.0
USUAL: dict[str, object] = {"decay_numerator": 7, "decay_shift": 3, "state_bits": 16}
CASES: dict[str, dict[str, object]] = {
    "usual": USUAL,
    "zero, floor": USUAL | {"reset": "zero", "rounding": "floor"},
    "same step, nearest": USUAL | {"reset_timing": "same_step", "rounding": "nearest_even"},
    "253/256": {"decay_numerator": 253, "decay_shift": 8, "state_bits": 28, "fraction_bits": 12},
    "253/256, floor": {"decay_numerator": 253, "decay_shift": 8, "rounding": "floor"},
    "shift": {"decay_form": "shift", "decay_numerator": 15, "decay_shift": 4, "state_bits": 12},
    "saturates": USUAL | {"state_bits": 8, "fires": "ge", "fraction_bits": 4},
    "keeps all": {"decay_numerator": 1, "decay_shift": 0, "state_bits": 12},
    "wraps": USUAL | {"state_bits": 8, "overflow": "wrap", "reset": "none", "fraction_bits": 4},
}


def proven(fields: dict[str, object]) -> Obligation:
    """Return what is said of a layer of eight neurons on twelve spikes."""
    net = Builder(Input((12,), "spikes"), np.random.default_rng(2))
    net.linear("fc", 8)
    net.neuron("lif", Arithmetic(**fields))  # type: ignore[arg-type]
    (obligation,) = prove(Subject(net.network(20)), SECONDS)
    return obligation


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_computes_the_update(name: str) -> None:
    obligation = proven(CASES[name])
    assert obligation.state == "proven", obligation
    assert obligation.fault


@pytest.mark.parametrize(
    ("name", "line", "changed"),
    [
        ("usual", "return apart(sub(xor(high, sign), sign))", "return apart(xor(high, sign))"),
        ("253/256", "(1 << p.places) - 1))", "(1 << p.places) - 2))"),
        ("253/256, floor", "filled(unequal(low, 0), v)", "filled(equal(low, 0), v)"),
        ("usual", "v = add(left, add(drive, bias))", "v = sub(left, add(drive, bias))"),
        ("usual", "fires = greater(v, threshold)", "fires = less(threshold, add(v, 1))"),
        ("zero, floor", "return both(v, xor(fired, -1))", "return both(v, xor(fired, 0))"),
        ("saturates", "return select(greater(v, high), high, v)", "return v"),
    ],
)
def test_a_change_of_its_source_is_refuted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, line: str, changed: str
) -> None:
    source = (lanes.KERNELS / "neurons.py").read_text("utf-8")
    assert line in source
    (tmp_path / "neurons.py").write_text(source.replace(line, changed))
    monkeypatch.setattr(lanes, "KERNELS", tmp_path)
    obligation = proven(CASES[name])
    assert obligation.state == "refuted", obligation
    assert "v" in obligation.counterexample
