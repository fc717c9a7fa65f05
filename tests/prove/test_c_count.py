"""Sums of the generated C that are counted 32 at a time: proven, and faults in each part seen."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("z3")

import lehr as api
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import INPUT, OUTPUT, Input, Network
from lehr.nodes import Linear, Neuron
from lehr.prove.c import count
from lehr.prove.c.cbmc import CBMC, Asked
from lehr.prove.c.counting import adding, one_turn, reading
from lehr.prove.c.files import MODEL, read_c
from lehr.prove.obligations import Obligation
from lehr.prove.subject import read_subject

pytestmark = pytest.mark.skipif(shutil.which(CBMC) is None, reason=f"{CBMC} is not here")


def counted(outputs: int) -> Network:
    """Return two layers, whose second one hears enough spikes for its sums to be counted."""
    rng = np.random.default_rng(1)
    nodes: dict[str, Linear | Neuron] = {}
    for name, (inputs, size) in {"a": (4, 70), "b": (70, outputs)}.items():
        weight = (2 * rng.integers(0, 2, (size, inputs)) - 1).astype(np.int8)
        nodes[f"fc_{name}"] = Linear(weight, kind="binary")
        ones, zeros = np.ones(size, np.int32), np.zeros(size, np.int32)
        nodes[f"lif_{name}"] = Neuron(ones, zeros, Arithmetic())
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((4,), "spikes"), 4)


def proofs(folder: Path) -> dict[str, Obligation]:
    """Return what is said of each function, by its name."""
    return {each.name: each for each in count.prove(read_subject(folder), 100.0)}


def put(folder: Path, old: str, new: str) -> None:
    """Exchange text of lehr_model.c."""
    text = (folder / MODEL).read_text()
    assert old in text
    (folder / MODEL).write_text(text.replace(old, new))


def refuted(folder: Path, question: str) -> bool:
    """Return whether a question about the files has a counterexample."""
    subject, files = read_subject(folder), read_c(folder)
    counters = count.counters_of(subject, files)
    if question == "gather":
        (gather,) = count.gathers_of(subject, files, counters)
        program, options = one_turn(files, gather)
    elif question == "finish":
        program, options = reading(files, counters, 0)
    else:
        program, options = adding(files, counters)
    answer = Asked(100.0).about(program, *options)
    assert answer.met, answer.why
    return bool(answer.failed)


FAULTS = {
    "a carry is lost": ("add_rows", "carry = both;", "carry = 0;"),
    "a row is left out": ("add_rows", "rows[6], rows[7]", "rows[6], rows[6]"),
    "a sum of one too few": ("finish", "- (int32_t)t.spikes;", "- (int32_t)t.spikes + 1;"),
    "outputs are exchanged": ("finish", "exchange(counts, 1, 0x55", "exchange(counts, 1, 0x54"),
    "a bit further": ("gather", "(row + lowest(left)) * 10", "(row + lowest(left)) * 10 + 1"),
    "the lowest is not": ("gather", "0, 1, 28, 2,", "0, 2, 28, 1,"),
    "eight come too late": ("gather", "spikes += 8;", "spikes += 9;"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refuted(tmp_path: Path, fault: str) -> None:
    api.build(counted(10), "c", tmp_path / "out")
    question, old, new = FAULTS[fault]
    put(tmp_path / "out", old, new)
    assert refuted(tmp_path / "out", question)


@pytest.mark.slow
def test_every_function_is_proven_with_a_fault_that_was_seen(tmp_path: Path) -> None:
    api.build(counted(10), "c", tmp_path / "out")
    said = proofs(tmp_path / "out")
    assert [*said] == ["add_rows", "finish", "gather_10"]
    assert {each.state for each in said.values()} == {"proven"}, said
    assert all(each.fault for each in said.values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("left &= left - 1) {", "left &= left - 1) {\n            break;"),
        ("for (; left != 0; left", "for (; left > 1; left"),
        ("const int32_t sum = 2 *", "const int32_t sum = s->counts[0] + 2 *"),
    ],
)
def test_statements_of_another_form_are_refused(tmp_path: Path, old: str, new: str) -> None:
    api.build(counted(10), "c", tmp_path / "out")
    put(tmp_path / "out", old, new)
    with pytest.raises(FileRefused, match=r"of lehr_model.c is not as lehr writes it"):
        refuted(tmp_path / "out", "gather")
