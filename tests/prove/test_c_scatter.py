"""One value into the sums of the generated C: each form of node, and faults in each that are seen."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hard_networks import HARD
from scale_networks import with_scales
from strategies import small_network

pytest.importorskip("z3")

import lehr as api
from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused
from lehr.network import INPUT, OUTPUT, Input, Network
from lehr.nodes import Conv2d, Neuron, Upsample2d
from lehr.prove.c import scatter as scatters_of_c
from lehr.prove.c.cbmc import CBMC
from lehr.prove.c.files import MODEL, read_c
from lehr.prove.obligations import Obligation
from lehr.prove.subject import read_subject

pytestmark = pytest.mark.skipif(shutil.which(CBMC) is None, reason=f"{CBMC} is not here")


def enlarged() -> Network:
    """Return a map whose pixels are each six of the next, with a convolution before that."""
    weight = np.array([[[[1, -2], [3, 0]]], [[[0, 1], [-1, 2]]]], np.int8)
    nodes = {
        "conv": Conv2d(weight, stride=(2, 1), kind="int3"),
        "up": Upsample2d((2, 3)),
        "lif": Neuron(np.array([2, 3], np.int32), np.array([1, -1], np.int32), Arithmetic()),
    }
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((1, 5, 4), "spikes"), 4)


FORMS: dict[str, Callable[[], Network]] = {
    "groups, dilation, strides, padding": lambda: HARD["knot"]()[0],
    "bytes, into pools": lambda: HARD["all kinds of weights"]()[0],
    "factors": lambda: with_scales(small_network()[0], 3),
    "pools, by event": lambda: HARD["small by event"]()[0],
    "enlarged": enlarged,
}
SLOW = {"factors", "bytes, into pools", "pools, by event"}


def proofs(folder: Path) -> dict[str, Obligation]:
    """Return what is said of each function, by its name."""
    return {each.name: each for each in scatters_of_c.prove(read_subject(folder), 60.0)}


def body_of(text: str, name: str) -> tuple[int, int]:
    """Return where the statements of a function stand."""
    found = re.search(rf"^static void {name}\(.*\)\n\{{\n", text, re.MULTILINE)
    assert found is not None
    return found.end(), text.index("\n}\n", found.end())


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=pytest.mark.slow if form in SLOW else ()) for form in FORMS]
)
def test_every_form_is_proven_and_a_value_that_goes_elsewhere_refutes_it(
    tmp_path: Path, form: str
) -> None:
    net = FORMS[form]()
    api.build(net, "c", tmp_path / "out")
    said = proofs(tmp_path / "out")
    place = tmp_path / "out" / MODEL
    text = place.read_text()
    assert [*said] == re.findall(r"^static void (scatter_\w+)\(", text, re.MULTILINE)
    assert {each.state for each in said.values()} == {"proven"}, said
    assert all(each.fault for each in said.values())
    name = next(iter(said))
    start, end = body_of(text, name)
    elsewhere = re.sub(r"\bout \+ ", "out + 1 + ", text[start:end], count=1)
    if elsewhere == text[start:end]:
        elsewhere = text[start:end].replace("out[i]", "out[i + 1]")
    assert elsewhere != text[start:end]
    place.write_text(text[:start] + elsewhere + text[end:])
    refuted = next(scatters_of_c.prove(read_subject(tmp_path / "out"), 60.0))
    assert (refuted.name, refuted.state) == (name, "refuted")
    values = refuted.counterexample
    assert values["node"] in net.nodes
    assert values["input"] >= 0
    assert values.get("times_there", 0) != values.get("times_defined", 1)


def test_a_sum_that_its_type_does_not_hold_is_refuted(tmp_path: Path) -> None:
    api.build(HARD["narrow"]()[0], "c", tmp_path / "out")
    place = tmp_path / "out" / MODEL
    text = place.read_text()
    assert proofs(tmp_path / "out")["scatter_fc"].state == "proven"
    other = text.replace("int32_t *out)", "int8_t *out)").replace("(int32_t)(out", "(int8_t)(out")
    place.write_text(other)
    refuted = proofs(tmp_path / "out")["scatter_fc"]
    assert refuted.state == "refuted"
    assert refuted.counterexample == {"node": "fc", "sum": 256 * 255, "bits": 8}


@pytest.mark.parametrize(
    "line", ["x = 2 * x;", "out[0] = 0;", "out[0] = (int8_t)(out[0] + 2 * x);", "*out += 1;"]
)
def test_statements_of_another_form_are_refused(tmp_path: Path, line: str) -> None:
    api.build(FORMS["groups, dilation, strides, padding"](), "c", tmp_path / "out")
    place = tmp_path / "out" / MODEL
    text = place.read_text()
    start, _ = body_of(text, "scatter_fc_out")
    place.write_text(f"{text[:start]}    {line}\n{text[start:]}")
    subject, files = read_subject(tmp_path / "out"), read_c(tmp_path / "out")
    (scatter,) = (x for x in scatters_of_c.scatters(subject, files) if x.node == "fc-out")
    with pytest.raises(FileRefused, match="scatter_fc_out of lehr_model.c is not as lehr writes"):
        scatters_of_c.question(subject, files, scatter)
