"""The smallest target, of examples/, passes the conformance suite as a package of its own.

Copies of it that are wrong do not.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "plain_target" / "lehr_plain"
TELLS = "            spikes[name][-1].append(value[name])\n"
AT_ONCE = """\
            v[name] = [
                m - t * (s - b)
                for m, t, s, b in zip(v[name], layer["threshold"], value[name], before[name])
            ]
"""
BOUND = 'min(max(m, layer["low"]), layer["high"])'
EXACT = "test_golden_network_is_exact[plain-{}]"
WRONG = {
    "saturates nowhere": (BOUND, "m", EXACT.format("saturate_at_8_bits")),
    "saturates upwards alone": (BOUND, 'min(m, layer["high"])', EXACT.format("saturate_at_8_bits")),
    "saturates downwards alone": (
        BOUND,
        'max(m, layer["low"])',
        EXACT.format("saturate_at_8_bits"),
    ),
    "has 16 bits whatever is said": (
        BOUND,
        "min(max(m, -32768), 32767)",
        EXACT.format("saturate_at_10_bits"),
    ),
    "fires at the threshold": (
        "int(m > threshold)",
        "int(m >= threshold)",
        EXACT.format("fires_gt"),
    ),
    "rounds down": (
        ' if product >= 0 else -(-product >> layer["n"])',
        "",
        EXACT.format("decay_multiply_toward_zero"),
    ),
    "never leaks": (
        'v[name][i] * layer["k"]',
        'v[name][i] << layer["n"]',
        EXACT.format("odd_leak"),
    ),
    "forgets the bias": (' + layer["bias"][i]', "", EXACT.format("small")),
    "forgets the reset": (
        " - threshold * before[name][i]",
        "",
        EXACT.format("reset_subtract_next_step"),
    ),
    "resets to zero": (
        "m = leaked +",
        "m = (0 if before[name][i] else leaked) + threshold * before[name][i] +",
        EXACT.format("reset_subtract_next_step"),
    ),
    "resets at once": (TELLS, AT_ONCE + TELLS, EXACT.format("reset_subtract_next_step")),
    "tells another membrane": (
        "append(list(v[name]))",
        "append([m - 1 for m in v[name]])",
        EXACT.format("one_layer"),
    ),
    "shifts no input": (
        '(arriving[i] << layer["F"])',
        "arriving[i]",
        EXACT.format("most_fraction_bits"),
    ),
    "hears feedback at once": (
        "(before if late else value)[source]",
        "value.get(source, before[source])",
        EXACT.format("recurrent"),
    ),
    "keeps its state from sample to sample": (
        "    v = {layer",
        '    v = globals().get("v") or {layer',
        "test_more_and_fewer_samples_than_golden_ones[plain]",
    ),
}
"""Faults of copies of the program: what they say in place of what, and a test that fails then."""


TRUTH = {
    "decay_form": ("multiply",),
    "rounding": ("toward_zero",),
    "reset": ("subtract",),
    "reset_timing": ("next_step",),
    "fires": ("gt",),
    "overflow": ("saturate",),
    "update": ("step",),
    "max_fraction_bits": 4,
    "max_state_bits": 16,
}
"""What the example states."""


def conforms(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the suite over the package in `folder`, as a stranger does.

    It runs from another folder, with lehr's tests out of reach.
    """
    declared = folder / "lehr_plain-0.dist-info"
    declared.mkdir()
    (declared / "METADATA").write_text("Metadata-Version: 2.1\nName: lehr-plain\nVersion: 0\n")
    (declared / "entry_points.txt").write_text("[lehr.targets]\nplain = lehr_plain:Plain\n")
    (folder / "elsewhere").mkdir()
    path = os.pathsep.join((str(folder), str(ROOT)))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "lehr.targets.conformance.plugin",
        "-p",
        "no:cacheprovider",
        "-rfE",
    ]
    command += ["--pyargs", "lehr.targets.conformance", "--lehr-target", "plain", *options]
    return subprocess.run(
        command,
        cwd=folder / "elsewhere",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def copy(to: Path, changes: Mapping[str, str] = MappingProxyType({}), file: str = "run.py") -> Path:
    """Copy the example's package, with some text of one file replaced."""
    shutil.copytree(EXAMPLE, to / "lehr_plain", ignore=shutil.ignore_patterns("__pycache__"))
    text = (to / "lehr_plain" / file).read_text("utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (to / "lehr_plain" / file).write_text(text, "utf-8")
    return to


def failed(output: str) -> set[str]:
    return set(re.findall(r"^FAILED \S*::(\S+)", output, re.MULTILINE))


def test_it_is_small() -> None:
    lines = [
        line
        for file in EXAMPLE.glob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if line.strip()
    ]
    assert len(lines) < 180


@pytest.mark.slow
def test_it_passes(tmp_path: Path) -> None:
    ran = conforms(copy(tmp_path))
    assert ran.returncode == 0, ran.stdout
    (passed,) = re.findall(r"^(\d+) passed", ran.stdout, re.MULTILINE)
    assert int(passed) > 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=() if fault == "saturates nowhere" else pytest.mark.slow)
        for fault in WRONG
    ],
)
def test_a_wrong_copy_fails(fault: str, tmp_path: Path) -> None:
    right, wrong, test = WRONG[fault]
    ran = conforms(
        copy(tmp_path, {right: wrong}), "-k", " and ".join(re.findall(r"[a-z_0-9]{4,}", test))
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert test in failed(ran.stdout), ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("says", "more", "idle"),
    [
        ("max_state_bits=16", "max_state_bits=24", "state_bits 24"),
        pytest.param(
            'rounding=("toward_zero",)',
            'rounding=("toward_zero", "floor")',
            "rounding 'floor'",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'reset_timing=("next_step",)',
            'reset_timing=("next_step", "same_step")',
            "reset_timing 'same_step'",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'fires=("gt",)', 'fires=("gt", "never")', "fires 'never'", marks=pytest.mark.slow
        ),
    ],
)
def test_a_copy_that_states_more_than_it_maps_fails(
    says: str, more: str, idle: str, tmp_path: Path
) -> None:
    """Limits refuse what it states beyond the truth: nothing is wrong, nothing has been tried."""
    truth = "return tuple(p for n, neuron in net.neurons.items() for p in Arithmetics(**TRUTH).problems(n, neuron))"
    package = copy(tmp_path, {says: more, "del net\n        return ()": truth}, "__init__.py")
    with (package / "lehr_plain" / "__init__.py").open("a") as file:
        file.write(f"\n\nTRUTH = {TRUTH!r}\n")
    ran = conforms(package, "-k", "every_claim")
    assert failed(ran.stdout) == {"test_every_claim_is_exercised[plain]"}, ran.stdout
    message = rf"plain states .*{re.escape(idle)}.*, which no golden network that maps to it depends on; state less, or map more"
    assert re.search(message, ran.stdout), ran.stdout
