"""Targets dynapcnn, speck and speck2, against numbers that were computed by hand.

They are kernels, places, updates, and refusals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st

from lehr.errors import NotBitExact, UsageError
from lehr.machines import DYNAPCNN, DYNAPCNN_BY_EVENT
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.simulate import compare, simulate
from lehr.targets.dynapcnn import Speck, by_event
from lehr.targets.dynapcnn.cores import KERNELS, NEURONS, Need, placed
from lehr.targets.dynapcnn.kernels import Kernel, composed, entries
from lehr.targets.samna import SAMNA
from lehr.update import Program

SPECK = Speck()


def neurons(
    count: int,
    threshold: int = 2,
    floor: int = -5,
    bias: int = 0,
    program: Program = DYNAPCNN_BY_EVENT,
) -> Neuron:
    def all_of(value: int) -> Any:
        return np.full(count, value, np.int32)

    return Neuron(all_of(threshold), all_of(bias), program, parameters={"floor": all_of(floor)})


def chain(nodes: dict[str, Any], shape: tuple[int, ...], steps: int = 5) -> Network:
    return Network(nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input(shape, "spikes"), steps)


def dense(weight: Sequence[Sequence[int]], neuron: Neuron, steps: int = 5) -> Network:
    matrix = np.array(weight, np.int8)
    return chain({"fc": Linear(matrix, "int8"), "out": neuron}, (matrix.shape[1],), steps)


def two_layers(second: Sequence[Sequence[int]], steps: int = 6) -> Network:
    rng = np.random.default_rng(3)
    nodes = {
        "conv": Conv2d(rng.choice(np.array([-1, 1], np.int8), (2, 1, 3, 3)), padding=(1, 1)),
        "first": neurons(2),
        "pool": SumPool2d((4, 4), (4, 4)),
        "flat": Flatten(),
        "fc": Linear(np.array(second, np.int8), "int8"),
        "out": neurons(len(second), 3),
    }
    return chain(nodes, (1, 4, 4), steps)


def run(net: Network, x: Any, folder: Path, **options: str) -> Any:
    SPECK.plan(net, options).write(folder)
    return SPECK.runner().run(folder, x)


# -------------------------------------------------------------------- kernels
def test_a_sum_behind_a_convolution_is_a_larger_kernel() -> None:
    """Work out on paper rows 1 2 / 3 4, summed over squares of 2 with stride 2.

    Each row of the kernel is one of 2 x 2 sums.
    """
    nodes = (
        ("conv", Conv2d(np.array([[[[1, 2], [3, 4]]]], np.int8), kind="int8")),
        ("pool", SumPool2d((2, 2), (2, 2))),
    )
    kernel = composed(nodes, (1, 5, 5))
    assert kernel.weight.tolist() == [[[[1, 3, 2], [4, 10, 6], [3, 7, 4]]]]
    assert kernel.stride == (2, 2)
    assert kernel.size((1, 5, 5)) == (1, 2, 2)


def test_a_kernel_of_another_shape_is_made_square_where_that_moves_nothing() -> None:
    tall = Kernel(np.arange(1, 4).reshape(1, 1, 3, 1).astype(np.int64)).squared((1, 3, 4))
    assert tall is not None
    assert tall.weight[0, 0].tolist() == [[0, 1, 0], [0, 2, 0], [0, 3, 0]]
    assert tall.padding == (0, 1)
    whole = Kernel(np.ones((1, 1, 4, 1), np.int64)).squared((1, 4, 1))
    assert whole is not None
    assert whole.size((1, 4, 1)) == (1, 1, 1)
    assert Kernel(np.ones((1, 1, 3, 2), np.int64)).squared((1, 8, 8)) is None


def test_entries_are_counted_in_whole_bits() -> None:
    """Samna 0.7.1 says of 28 features in, 64 out, 3 x 3: 28672; of 30 maps of 33 x 33: 122880."""
    assert entries(Kernel(np.ones((64, 28, 3, 3), np.int64)), (28, 3, 3)) == (28_672, 64)
    assert (
        entries(Kernel(np.ones((30, 2, 3, 3), np.int64), padding=(1, 1)), (2, 33, 33))[1] == 122_880
    )


# -------------------------------------------------------------------- places
needs = st.builds(
    lambda k, n: Need(k << 10, n << 10),
    st.sampled_from([1, 16, 20, 32, 50, 64]),
    st.sampled_from([1, 16, 20, 32, 64]),
)


@budget(25, 100)
@given(st.lists(needs, min_size=1, max_size=4))
def test_a_place_is_found_where_trying_all_finds_one(wanted: list[Need]) -> None:
    named = {f"layer{i}": need for i, need in enumerate(wanted)}
    at = placed(named)
    every = permutations(range(len(KERNELS)), len(wanted))
    some = any(
        all(
            n.kernel <= KERNELS[c] and n.neurons <= NEURONS[c]
            for n, c in zip(wanted, cores, strict=True)
        )
        for cores in every
    )
    assert (at is not None) == some
    if at is not None:
        assert len(set(at.values())) == len(wanted)
        assert all(named[name].fits(core) for name, core in at.items())
        assert at == placed(named)


def test_what_finds_no_place_is_refused_with_all_that_is_needed() -> None:
    nodes: dict[str, Any] = {}
    for number in (1, 2, 3):
        nodes |= {f"fc{number}": Linear(np.ones((256, 256), np.int8)), f"n{number}": neurons(256)}
    (problem,) = SPECK.check(chain(nodes, (256,)))
    each = "65,536 of kernels and 256 of neurons: core 5, 6"
    reason = (
        f"the 3 layers of the network find no place on 9 cores (n1 {each}; n2 {each}; n3 {each})"
    )
    assert str(problem) == f"n3: {reason}; use fewer layers, fewer channels, or more pooling"


@pytest.mark.slow
# -------------------------------------------------------------------- updates
def test_a_core_computes_events_one_by_one(tmp_path: Path) -> None:
    """Weights 2, -3, 1; threshold 2, floor -4, bias -1: each event worked out by hand."""
    net = dense([[2, -3, 1]], neurons(1, 2, -4, -1), 4)
    x = np.array([[[1, 0, 0], [0, 2, 0], [1, 1, 0], [0, 0, 1]]], np.uint8)
    net = replace(net, input=Input((3,), "u8"))
    # step 1: -1, +2 -> 1. step 2: 0, -3, -6 -> floor -4. step 3: floor -4, +2 -> -2, -3 -> floor
    # -4. step 4: floor -4, +1 -> -3
    got = run(net, x, tmp_path / "built")
    assert got.membranes["out"][0, :, 0].tolist() == [1, -4, -4, -3]
    # without bias: 2 fires -> 0; -3, floor -4; -2, floor -4; -3
    free = dense([[2, -3, 1]], neurons(1, 2, -4), 4)
    got = run(replace(free, input=Input((3,), "u8")), x, tmp_path / "free")
    assert got.membranes["out"][0, :, 0].tolist() == [0, -4, -4, -3]
    assert got.spikes["out"][0, :, 0].tolist() == [1, 0, 0, 0]


@pytest.mark.few(1)
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_fields_of_the_same_update_map(reset: str, tmp_path: Path) -> None:
    from lehr.arithmetic import Arithmetic

    fields: Any = {
        "update": "event",
        "reset_timing": "same_step",
        "fires": "ge",
        "state_bits": 12,
        "reset": reset,
    }
    rng = np.random.default_rng(1)
    neuron = Neuron(np.full(4, 3, np.int32), np.zeros(4, np.int32), Arithmetic(**fields))
    net = chain(
        {"fc": Linear(rng.choice(np.array([-1, 1], np.int8), (4, 9))), "out": neuron}, (9,), 8
    )
    x = rng.integers(0, 2, (4, 8, 9)).astype(np.uint8)
    expected = simulate(net, x, trace=["out"])
    assert 0 < expected.rates["out"] < 1
    assert SPECK.check(net) == ()
    assert compare(expected.trace, run(net, x, tmp_path / "built")).equal


# -------------------------------------------------------------------- order
MIXED = [[1, -1], [-1, 1], [1, 1]]


@pytest.mark.slow
def test_order_by_the_chip_is_refused_where_it_could_matter(tmp_path: Path) -> None:
    net, x = (
        two_layers(MIXED),
        np.random.default_rng(0).integers(0, 2, (3, 6, 1, 4, 4)).astype(np.uint8),
    )
    expected = simulate(net, x, trace=net.neurons)
    assert compare(expected.trace, run(net, x, tmp_path / "host")).equal
    with pytest.raises(
        NotBitExact,
        match=r"out: [0-9]+ of 54 updates could be others in another order of events, and that in which cores",
    ):
        run(net, x, tmp_path / "chip", order="chip")
    assert run(net, x[:0], tmp_path / "none", order="chip").spikes["out"].shape == (0, 6, 3)
    with pytest.raises(UsageError, match="option order is 'any'; use host or chip"):
        SPECK.plan(net, {"order": "any"})


@pytest.mark.slow
def test_weights_that_only_add_are_the_same_in_any_order_and_by_step(tmp_path: Path) -> None:
    net, x = (
        two_layers([[1, 2], [0, 1], [3, 1]]),
        np.random.default_rng(0).integers(0, 2, (3, 6, 1, 4, 4)).astype(np.uint8),
    )
    out = neurons(3, 3, program=DYNAPCNN)
    by_step = replace(net, nodes={**net.nodes, "out": out})
    expected = simulate(by_step, x, trace=net.neurons)
    assert 0 < expected.rates["first"] < 1
    assert expected.rates["out"] > 0
    assert compare(expected.trace, run(by_step, x, tmp_path / "step", order="chip")).equal
    assert compare(expected.trace, run(net, x, tmp_path / "event", order="chip")).equal
    assert by_event(by_step).nodes == net.nodes


# -------------------------------------------------------------------- what is refused
REFUSED = {
    "out: it updates by step, and with weights below 0 a neuron can fire within a step and not at "
    "its end; the machine takes events one by "
    "one: say it with lehr.machines.DYNAPCNN_BY_EVENT, by lehr.targets.dynapcnn.by_event": dense(
        [[1, -1]], neurons(1, program=DYNAPCNN)
    ),
    "out: its biases reach 1, and it is not documented whether a core tests its threshold at the leak's tick; use biases of at most 0": dense(
        [[1, -1]], neurons(1, bias=1)
    ),
    "out: a weight of 3 is above its threshold of 2: an event brings more than its spike takes "
    "away; use a threshold of at least the greatest "
    "weight": dense([[3, -1]], neurons(1)),
    "out: its membranes reach 32,770, where a core does not hold them, and must stay within "
    "32,767; use a lower threshold or smaller "
    "weights": dense([[4, -1]], neurons(1, 32_767)),
    "out: its threshold differs from channel to channel, a core has one; use one threshold for the whole layer": dense(
        [[1, -1], [1, 1]], replace(neurons(2), threshold=np.array([2, 3], np.int32))
    ),
    "out: its membranes start at 0, below their floor of 1; use a floor of at most 0": dense(
        [[1, -1]], neurons(1, floor=1)
    ),
    "out: the side of its kernel, pooling before it included, is 17, a core has 16; use a smaller kernel or less pooling": chain(
        {"conv": Conv2d(np.ones((1, 1, 17, 17), np.int8)), "out": neurons(1)}, (1, 17, 17)
    ),
    "out: its stride, pooling included, is 3, a core has 1, 2, 4 or 8; use another stride": chain(
        {"conv": Conv2d(np.ones((1, 1, 3, 3), np.int8), stride=(3, 3)), "out": neurons(1)},
        (1, 9, 9),
    ),
    "conv: its kernel is not square, and cannot be made so at the same places; use a square kernel": chain(
        {"conv": Conv2d(np.ones((1, 1, 3, 2), np.int8)), "out": neurons(1)}, (1, 9, 9)
    ),
    "out: the side of its map is 65, a core has 64; use a larger stride, or a smaller input": chain(
        {"conv": Conv2d(np.ones((1, 1, 1, 1), np.int8)), "out": neurons(1)}, (1, 65, 4)
    ),
}


def branching(hearers: int) -> Network:
    """Return a layer that several layers hear, all of which the last one hears."""
    nodes: dict[str, Any] = {"fc": Linear(np.eye(2, dtype=np.int8), "ternary"), "first": neurons(2)}
    edges = [(INPUT, "fc"), ("fc", "first")]
    for name in (f"n{number}" for number in range(hearers)):
        nodes |= {f"fc_{name}": Linear(np.eye(2, dtype=np.int8), "ternary"), name: neurons(2)}
        edges += [("first", f"fc_{name}"), (f"fc_{name}", name), (name, "fc_out")]
    nodes |= {"fc_out": Linear(np.ones((1, 2), np.int8)), "out": neurons(1)}
    return Network(nodes, (*edges, ("fc_out", "out"), ("out", OUTPUT)), Input((2,), "spikes"), 5)


def test_a_core_sends_to_two_others() -> None:
    assert SPECK.check(branching(2)) == ()
    assert list(map(str, SPECK.check(branching(3)))) == [
        "first: it sends to n0, n1, n2, a core sends to 2; let fewer layers hear it"
    ]


@pytest.mark.parametrize("source", ["first", "out"])
def test_feedback_is_refused_by_name(source: str) -> None:
    nodes = {
        "fc": Linear(np.ones((2, 3), np.int8)),
        "first": neurons(2),
        "fc_out": Linear(np.ones((2, 2), np.int8)),
        "out": neurons(2),
    }
    net = chain(nodes, (3,))
    assert SPECK.check(net) == ()
    back = {"back": Linear(np.ones((2, 2), np.int8))}
    again = replace(
        net, nodes={**net.nodes, **back}, edges=(*net.edges, (source, "back"), ("back", "first"))
    )
    assert list(map(str, SPECK.check(again))) == [
        f"first: it hears {source} a step late, the machine knows no steps; use no feedback"
    ]


@pytest.mark.parametrize("reason", REFUSED)
def test_what_no_core_holds_is_refused_by_name(reason: str) -> None:
    assert reason in [str(problem) for problem in SPECK.check(REFUSED[reason])]


# -------------------------------------------------------------------- the vendor's classes
@pytest.mark.slow
@pytest.mark.parametrize("name", ["dynapcnn", "speck", "speck2"])
def test_samna_reads_every_field_back_and_validates(name: str, tmp_path: Path) -> None:
    if missing := SAMNA.missing():
        pytest.skip(missing)
    from lehr.targets import registry

    target, net = registry.get(name), two_layers(MIXED)
    for order in ("host", "chip"):
        target.plan(net, {"order": order}).write(tmp_path / order)
        fields = {figure.name: figure.value for figure in target.measure(tmp_path / order)}
        assert fields["fields read back equal"] == 60
        assert fields["configuration"] > 50_000


@pytest.mark.slow
def test_samna_refuses_a_core_that_is_wrong(tmp_path: Path) -> None:
    if missing := SAMNA.missing():
        pytest.skip(missing)
    SPECK.plan(two_layers(MIXED), {}).write(tmp_path / "built")
    core = next(iter(sorted((tmp_path / "built").glob("core_*.json"))))
    text = core.read_text()
    assert text.count('"thresholdLow": -5') == 1
    core.write_text(text.replace('"thresholdLow": -5', '"thresholdLow": 3'))
    with pytest.raises(
        NotBitExact,
        match="samna does not take the configuration: samna refuses the configuration: Threshold low must be in",
    ):
        SPECK.measure(tmp_path / "built")
