"""Targets that only check: every reason by name, nothing written, an honest answer to commands."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable, UsageError
from lehr.machines import TINYODIN
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.targets.build import build
from lehr.targets.odin import PROGRAM, Odin
from lehr.targets.openspike import THRESHOLD, OpenSpike
from lehr.targets.operators import markdown
from lehr.update import MEMBRANE, Program
from lehr.update_text import program_of_lines
from lehr.weights import Int8Array, WeightKind

OPENSPIKE = Arithmetic(reset="zero", reset_timing="same_step", fires="ge", state_bits=8)
ODIN = program_of_lines(
    [
        line.strip().removeprefix("?").replace("{leak:name}", "1")
        for line in PROGRAM.strip().splitlines()
    ],
    MEMBRANE,
)


def one_layer(
    weight: Int8Array,
    kind: WeightKind,
    arithmetic: Arithmetic | Program,
    threshold: int,
    bias: int = 0,
    **others: int,
) -> Network:
    size = len(weight)
    given = {name: np.full(size, value, np.int32) for name, value in others.items()}
    lif = Neuron(
        np.full(size, threshold, np.int32),
        np.full(size, bias, np.int32),
        arithmetic,
        parameters=given,
    )
    nodes = {"fc": Linear(weight, kind), "lif": lif}
    return Network(
        nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((weight.shape[1],), "spikes"), 4
    )


def reasons(target: OpenSpike | Odin, net: Network) -> list[str]:
    return [str(problem) for problem in target.check(net)]


ONES = np.ones((3, 5), np.int8)
MIXED = np.array([[1, -1, 1], [-1, 1, 1]], np.int8)
NOTHING = "lif: nothing is written for OpenSpike, whose published top level does not integrate its input; build for another target"
NO_WORDS = "lif: nothing is written for ODIN: membranes below 0, which it lacks, are what trained networks live by; build for another target"
SIGNED = "lif: its membranes go below 0, the machine's are 0..255; there is no way: fields say no membrane without a sign"


def test_openspike_says_each_property() -> None:
    assert reasons(OpenSpike(), one_layer(ONES, "ternary", OPENSPIKE, THRESHOLD)) == [
        SIGNED,
        NOTHING,
    ]
    wrong = replace(OPENSPIKE, decay_numerator=7, decay_shift=3)
    assert reasons(OpenSpike(), one_layer(MIXED, "binary", wrong, 9, bias=2)) == [
        "fc: its weights are -1..1, the machine has 0 and 1; use weights of 0 and 1",
        "lif: its thresholds are 9..9, the machine has 230 in its circuit; scale weights and "
        "thresholds",
        "lif: its decay is 7/2^3, the machine's are sums of shifts, which round otherwise; train "
        "with a decay of 0, 1/8, 1/4, 1/2 or 1",
        "lif: its neurons have a bias, the machine has none; train without biases",
        SIGNED,
        NOTHING,
    ]


def test_the_decays_of_openspike_that_are_left_out_round_otherwise() -> None:
    """Compute its circuit by hand: beta in eighths is a sum of shifts.

    Each of them loses its own bits.
    """
    potential = np.arange(256)
    for beta in range(9):
        shifts = [3 - bit for bit in range(4) if beta >> bit & 1]
        product = potential * beta // 8
        assert np.array_equal(
            sum((potential >> shift for shift in shifts), start=0 * potential), product
        ) == (beta in (0, 1, 2, 4, 8)), beta


def test_odin_says_each_property() -> None:
    assert reasons(Odin(), one_layer(ONES, "binary", ODIN, 9)) == [NO_WORDS]
    assert reasons(Odin(), one_layer(ONES, "binary", TINYODIN, 9, leak=1)) == [
        "lif: line 4 of its update is 'bound v -2048 2047 saturate', which the machine does not "
        "compute there;"
        " say the LIF neuron of docs/chips-not-reached.md as a program, by event and with "
        "membranes of 0..255",
        NO_WORDS,
    ]
    wide = np.tile(np.array([[1], [-1]], np.int8), (1, 200))
    assert reasons(Odin(), one_layer(wide, "binary", ODIN, 300)) == [
        "lif: its inputs take 400 rows, as a row has one sign, and one of both takes two; the "
        "machine has 256; use fewer inputs",
        "lif: its thresholds are 300..300, the machine holds 1..255; use smaller weights",
        NO_WORDS,
    ]
    assert reasons(Odin(), one_layer(9 * ONES, "int8", ODIN, 9)) == [
        "lif: its weights without their signs are 9..9, the machine holds 0..7; use weights of at "
        "most 4 bits",
        NO_WORDS,
    ]


def test_odin_has_one_layer() -> None:
    net = one_layer(ONES, "binary", ODIN, 9)
    more = {
        "fc2": Linear(np.ones((2, 3), np.int8)),
        "out": replace(
            net.neurons["lif"], threshold=np.ones(2, np.int32), bias=np.zeros(2, np.int32)
        ),
    }
    two = replace(
        net,
        nodes={**net.nodes, **more},
        edges=tuple(pairwise((INPUT, "fc", "lif", "fc2", "out", OUTPUT))),
    )
    assert reasons(Odin(), two)[0] == (
        "out: it would hear spikes of lif through the machine's queue, within the step and in the "
        "order in which they are emitted,"
        " not of address; use one layer of neurons that hears the input alone, or target c"
    )


@pytest.mark.parametrize("target", [OpenSpike(), Odin()], ids=lambda target: target.name)
def test_nothing_is_written(target: OpenSpike | Odin) -> None:
    net = one_layer(ONES, "ternary", OPENSPIKE, THRESHOLD)
    for refused in (lambda: target.plan(net, {}), lambda: build(net, target)):
        with pytest.raises(NotMappable, match="nothing is written for"):
            refused()
    with pytest.raises(UsageError, match=f"target {target.name} has no tool"):
        target.require_runner()
    assert target.estimate(net, {}).figures == ()
    assert f"| {target.name} |" not in markdown([target])


@pytest.mark.slow
def test_the_command_line_tells(lehr: Lehr, tmp_path: Path) -> None:
    nirfile.write(one_layer(ONES, "ternary", OPENSPIKE, THRESHOLD), tmp_path / "model.nir")
    built = lehr("build", tmp_path / "model.nir", "--target", "openspike", "-o", tmp_path / "out")
    assert built.code == NotMappable.exit_code
    assert "nothing is written for OpenSpike" in built.err
    assert not (tmp_path / "out").exists()
    rows = {row["name"]: row["tool"] for row in lehr("targets", "list", "--json").facts["targets"]}
    assert rows["odin"] == rows["openspike"] == "only checks"
    assert lehr("doctor", "--json").facts["targets"]["odin"] == "only checks, needs no tool"
    assert (
        not {"odin", "openspike"}
        & lehr("targets", "ops", "--json").facts["operators"]["Linear"].keys()
    )
