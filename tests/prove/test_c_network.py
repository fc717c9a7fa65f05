"""Whole networks in C: every input of a small one by CBMC, and updates of every arithmetic."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from machine_networks import machine_network
from saturating import STEPS, WEIGHTS_OF, saturating_network

pytest.importorskip("z3")

import lehr as api
from lehr.arithmetic import Arithmetic, Rounding
from lehr.machines import MACHINES
from lehr.network import Network, Neuron
from lehr.prove.c.arithmetic import prove
from lehr.prove.c.cbmc import CBMC, MET, Answer, Asked
from lehr.prove.c.files import HEADER, MODEL, WEIGHTS
from lehr.prove.c.text import ANY, OFF, ON, PREAMBLE, WIDE, definition
from lehr.prove.subject import read_subject
from lehr.update import INPUT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which(CBMC) is None, reason=f"{CBMC} is not here"),
]


def whole(net: Network) -> str:
    """Return a program that compares all neurons in all steps, of any input."""
    layers = {"lif1": ("fc1", 4, "in"), "lif2": ("fc2", 3, "lif1_fired")}
    lines = ["lehr_state s;", "lehr_init(&s);", "uint8_t in[4];"]
    for name in layers:
        size = net.shapes[name][0]
        lines += [f"{WIDE} {name}_{x}[{size}] = {{0}};" for x in ("v", "fired")]
    lines += [f"unsigned count[{net.shapes['lif2'][0]}] = {{0}};"]
    for _ in range(STEPS):
        lines += [f"in[{k}] = {ANY}() & 1;" for k in range(4)]
        lines += ["lehr_step(&s, in);", OFF]
        for name, (fc, heard, source) in layers.items():
            neuron = net.neurons[name]
            for j, row in enumerate(WEIGHTS_OF[fc]):
                names = {x: f"{name}_{x}[{j}]" for x in neuron.program.registers}
                names |= {x: f"(({WIDE}){neuron.values[x][j]})" for x in neuron.program.parameters}
                terms = (f"{int(w)} * ({WIDE}){source}[{k}]" for k, w in enumerate(row))
                lines += ["{", f"const {WIDE} sum = {' + '.join(terms)};"]
                assert len(row) == heard
                lines += definition(
                    neuron.program, neuron.program.statements, names | {INPUT: "sum"}
                )
                place = f"&s, LEHR_LAYER_{name}"
                lines += [
                    f'__CPROVER_assert(lehr_membrane({place}, {j}) == {names["v"]}, "membrane");',
                    f'__CPROVER_assert(lehr_spikes({place})[{j}] == {names["fired"]}, "spike");',
                    "}",
                ]
        for j in range(net.shapes["lif2"][0]):
            lines += [
                f"count[{j}] += (unsigned)lif2_fired[{j}];",
                f'__CPROVER_assert(lehr_score(&s, {j}) == count[{j}], "score");',
            ]
        lines += [ON]
    lines += [f'__CPROVER_assert(0, "{MET}");', "return 0;"]
    body = "\n".join(lines)
    return f'{PREAMBLE}\n#include "{MODEL}"\nint main(void)\n{{\n{body}\n}}\n'


def asked(folder: Path, text: str) -> Answer:
    """Return what CBMC says of a program beside an artefact's files."""
    names = (MODEL, HEADER, WEIGHTS)
    files = {"lehr_proof.c": text, **{name: (folder / name).read_text() for name in names}}
    return Asked(900.0).about(files)


def test_every_input_of_a_small_network_for_four_steps(tmp_path: Path) -> None:
    net = saturating_network()
    out = tmp_path / "out"
    x = np.random.default_rng(1).integers(0, 1, (4, STEPS, 4), np.uint8, endpoint=True)
    assert 0 < api.simulate(net, x, trace="lif2").trace.spikes["lif2"].mean() < 1
    api.build(net, "c", out, x)
    text = whole(net)
    answer = asked(out, text)
    assert (answer.why, answer.met, dict(answer.failed)) == ("", True, {})
    model, weights = ((out / name).read_text() for name in (MODEL, WEIGHTS))
    assert model.count(">= threshold") == 1
    (out / MODEL).write_text(model.replace(">= threshold", "> threshold"))
    assert "spike" in asked(out, text).failed
    (out / MODEL).write_text(model)
    assert " 3," in weights
    (out / WEIGHTS).write_text(weights.replace(" 3,", " 2,", 1))
    assert "membrane" in asked(out, text).failed


@pytest.mark.parametrize("name", sorted({*MACHINES} - {"xylo"}))
def test_updates_of_machines_are_proven(tmp_path: Path, name: str) -> None:
    net, x = machine_network(name)
    api.build(net, "c", tmp_path / "out", x)
    said = list(prove(read_subject(tmp_path / "out"), 120.0))
    assert said
    assert {each.state for each in said} == {"proven"}, said


@pytest.mark.parametrize("rounding", ["toward_zero", "floor", "nearest_even"])
@pytest.mark.parametrize(("k", "n"), [(3, 2), (13, 4), (89, 7), (181, 8), (253, 8), (255, 8)])
def test_decays_of_up_to_eight_bits_are_decided(
    tmp_path: Path, rounding: Rounding, k: int, n: int
) -> None:
    arithmetic = Arithmetic(
        decay_numerator=k, decay_shift=n, rounding=rounding, fraction_bits=4, state_bits=16
    )
    net = saturating_network()
    nodes = {
        name: Neuron(node.threshold, node.bias, arithmetic) if isinstance(node, Neuron) else node
        for name, node in net.nodes.items()
    }
    net = Network(nodes, net.edges, net.input, 100)
    x = np.random.default_rng(1).integers(0, 1, (2, 100, 4), np.uint8, endpoint=True)
    api.build(net, "c", tmp_path / "out", x)
    said = list(prove(read_subject(tmp_path / "out"), 120.0))
    assert {each.state for each in said} == {"proven"}, said
