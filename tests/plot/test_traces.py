"""Rasters and membranes.

What is drawn is what a numpy trace or snnTorch holds, to the last spike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lehr import plot
from lehr.arithmetic import Arithmetic
from lehr.errors import LehrError, UsageError
from lehr.machines import MACHINES
from lehr.network import Input, Linear, Network, Neuron
from lehr.simulate import Trace, compare, simulate
from lehr.update_text import program_of_lines

ARITHMETIC = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=0, state_bits=16)


def drawn(collection: Any) -> set[tuple[float, float]]:
    """Return the points of a scatter."""
    return {(float(x), float(y)) for x, y in collection.get_offsets()}


def random_trace(seed: int = 0, samples: int = 3, steps: int = 9) -> Trace:
    rng = np.random.default_rng(seed)
    shapes = {"maps": (4, 3, 5), "hidden": (40,), "out": (3,)}
    spikes = {
        name: (rng.random((samples, steps, *shape)) < 0.3).astype(np.uint8)
        for name, shape in shapes.items()
    }
    membranes = {
        name: rng.integers(-50, 50, value.shape).astype(np.int32) for name, value in spikes.items()
    }
    return Trace(spikes, membranes)


def one_neuron(threshold: int = 5) -> Network:
    """Return one neuron with one input and a leak of 7/8."""
    nodes = {
        "fc": Linear(np.ones((1, 1), np.int8)),
        "lif": Neuron(np.full(1, threshold), np.zeros(1, np.int32), ARITHMETIC),
    }
    edges = (("input", "fc"), ("fc", "lif"), ("lif", "output"))
    return Network(nodes, edges, Input((1,), "u8"), 6)


@pytest.mark.parametrize("layer", ["maps", "hidden", "out"])
@pytest.mark.parametrize("sample", [0, 2, -1])
def test_the_points_of_one_layer_are_its_spikes(layer: str, sample: int) -> None:
    trace = random_trace()
    ax = plot.raster(trace, sample, [layer])
    each = trace.spikes[layer][sample].reshape(9, -1)
    assert drawn(ax.collections[0]) == {(t, n) for t, n in np.argwhere(each)}
    assert ax.get_xlabel() == "step"
    assert layer in ax.get_ylabel()
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first neuron is on top


def test_layers_stand_below_one_another_with_all_their_spikes_in_order() -> None:
    trace = random_trace()
    ax = plot.raster(trace, 1)
    assert [c.get_label() for c in ax.collections] == ["maps", "hidden", "out"]
    lowest = -1.0
    for collection, (name, spikes) in zip(ax.collections, trace.spikes.items(), strict=True):
        each = spikes[1].reshape(9, -1)
        points = np.asarray(collection.get_offsets())
        steps, neurons = np.nonzero(each)
        assert np.array_equal(points[:, 0], steps)
        heights = (points[:, 1] - points[:, 1].min()) / np.ptp(points[:, 1]) * np.ptp(neurons)
        assert np.allclose(heights, neurons - neurons.min()), name
        assert points[:, 1].min() > lowest
        lowest = points[:, 1].max()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["maps\n4x3x5", "hidden\n40", "out\n3"]
    assert [t.get_text() for t in ax.texts] == ["0", "1", "2"]  # the few neurons of out


def test_snntorch_spikes_are_drawn_as_they_are() -> None:
    torch, snntorch = pytest.importorskip("torch"), pytest.importorskip("snntorch")
    torch.manual_seed(3)
    neuron = snntorch.Leaky(beta=0.875, threshold=1.0)
    membrane, spikes = neuron.init_leaky(), []
    for current in torch.rand(20, 2, 6):
        fired, membrane = neuron(current, membrane)
        spikes.append(fired)
    each = torch.stack(spikes, dim=1).numpy()  # [N, T, neurons]
    assert 0 < each.mean() < 1
    ax = plot.raster({"leaky": each}, 1)
    assert drawn(ax.collections[0]) == {(t, n) for t, n in np.argwhere(each[1])}


def test_several_spikes_in_a_step_are_thicker() -> None:
    spikes = np.zeros((1, 4, 2), np.uint8)
    spikes[0, 1, 0], spikes[0, 3, 1] = 1, 5
    widths = list(plot.raster({"out": spikes}).collections[0].get_linewidths())  # type: ignore[attr-defined]
    assert widths[1] == pytest.approx(5 * widths[0])


@pytest.mark.parametrize("steps", [1, 3])
def test_silent_layers_and_one_neuron_are_drawn(steps: int) -> None:
    spikes = {"a": np.zeros((1, steps, 2, 4), np.uint8), "b": np.ones((1, steps, 1), np.uint8)}
    ax = plot.raster(spikes)
    assert [len(drawn(c)) for c in ax.collections] == [0, steps]
    assert len(drawn(plot.raster(spikes, layers=["b"]).collections[0])) == steps


def test_few_spikes_are_vectors_and_many_an_image() -> None:
    few, many = np.zeros((1, 5, 4), np.uint8), np.ones((1, 50, 40), np.uint8)
    assert not plot.raster({"out": few}).collections[0].get_rasterized()
    assert plot.raster({"out": many}).collections[0].get_rasterized()


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda t: plot.raster(Trace()), "the run has no trace; simulate with trace='all'"),
        (lambda t: plot.raster(t, layers=["hiden"]), "'hiden' was not traced; did you mean 'hid"),
        (lambda t: plot.raster(t, layers=[]), "no layer is named; leave layers out"),
        (lambda t: plot.raster(t, 3), "there is no sample 3; give 0 to 2"),
        (lambda t: plot.raster({"a": [0, 1]}), r"a holds spikes of shape \(2,\); give \[N, T,"),
        (lambda t: plot.membrane(t, "lif"), "'lif' was not traced; use one of maps, hidden, out"),
        (lambda t: plot.membrane(t, "out", 3), r"out has no neuron 3; its shape is \(3,\)"),
        (lambda t: plot.membrane(t, "maps", (0, 3, 0)), r"no neuron \(0, 3, 0\)"),
        (lambda t: plot.membrane(t, "maps", (0, 3)), r"no neuron \(0, 3\)"),
        (lambda t: plot.membrane(t, "out", step=9), "there is no step 9; give 0 to 8"),
        (lambda t: plot.membrane(t, compare(t, t)), "not one value differs; name the layer"),
        (lambda t: plot.membrane(Trace(t.spikes), "out"), "the trace holds no membranes of out"),
        (
            lambda t: plot.membrane(t, "out", expected=random_trace(steps=8)),
            "9 steps meet 8 that are expected",
        ),
        (lambda t: plot.membrane(t, "out", threshold=one_neuron()), "'out' is no neuron layer of"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        draw(random_trace())
    assert isinstance(refused.value, LehrError)
    assert "\n" not in str(refused.value)


def line(ax: Any, label: str) -> Any:
    return next(each for each in ax.lines if each.get_label() == label)


def test_a_membrane_is_drawn_after_each_step_against_its_threshold() -> None:
    """By hand: v = v * 7/8 toward zero + 3; above 5 it spikes, and loses 5 in the next step."""
    net = one_neuron()
    ran = simulate(net, np.full((1, 1), 3, np.uint8), trace=net.neurons)
    v, spike, expected, spiked = 0, 0, [], []
    for t in range(6):
        v = v * 7 // 8 + 3 - 5 * spike
        spike = int(v > 5)
        expected.append(v)
        spiked += [t] * spike
    assert 0 < len(spiked) < 6
    ax = plot.membrane(ran, "lif", threshold=net)
    assert list(line(ax, "membrane").get_ydata()) == expected
    assert {x for x, _ in drawn(ax.collections[0])} == set(spiked)
    assert set(line(ax, "threshold").get_ydata()) == {5}
    assert "lif (0)" in ax.get_ylabel()
    assert ax.get_xlim() == (-0.5, 5.5)


def adaptive(program: Any = MACHINES["adaptive"]) -> tuple[Network, Trace]:
    """Return a neuron whose threshold rises by 48 with a spike, and a run in which it fires."""
    net = one_neuron(100)
    neuron = Neuron(np.full(1, 100), np.zeros(1, np.int32), program)
    net = Network({**net.nodes, "lif": neuron}, net.edges, net.input, 60)
    x = np.random.default_rng(0).integers(0, 6, (1, 60, 1)).astype(np.uint8)
    return net, simulate(net, x, trace=net.neurons).trace


def test_the_threshold_of_neurons_that_adapt_is_that_of_each_step() -> None:
    """By hand: the rise a is floor(a * 15 / 16) + 48 after a spike, in its width of 12 bits."""
    net, trace = adaptive()
    spikes, membrane = (each["lif"][0, :, 0] for each in (trace.spikes, trace.membranes))
    assert 0 < spikes.mean() < 1
    rise, spiked, expected = 0, 0, []
    for spike in spikes.tolist():
        rise = min(rise * 15 // 16 + 48 * spiked, 2047)
        expected.append(100 + rise)
        spiked = spike
    drawn_levels = line(plot.membrane(trace, "lif", threshold=net), "threshold").get_ydata()
    assert list(drawn_levels) == expected
    # the membrane is reset in the next step, so that it is drawn as it was compared
    assert np.array_equal(spikes, membrane >= drawn_levels)
    assert not np.array_equal(spikes, membrane >= 100)
    by_hand = plot.membrane(trace, "lif", threshold=expected)
    assert list(line(by_hand, "threshold").get_ydata()) == expected


def test_what_rises_by_more_than_spikes_is_not_drawn_as_at_rest() -> None:
    lines = """leak v multiply 7 3 floor|add v input 4|bound v -32768 32767 saturate|put level threshold
        |add level v 1|fire fired v ge level 1"""
    net, trace = adaptive(program_of_lines([each.strip() for each in lines.split("|")], "v"))
    with pytest.raises(UsageError) as error:
        plot.membrane(trace, "lif", threshold=net)
    assert str(error.value) == (
        "the threshold of lif depends on more than its spikes, which no trace holds; give "
        "threshold= a number for each step, or leave it out"
    )
    with pytest.raises(UsageError, match=r"^threshold has shape \(3,\); give one number, or one"):
        plot.membrane(trace, "lif", threshold=[1, 2, 3])


def test_a_neuron_is_named_by_its_number_or_its_index() -> None:
    trace = random_trace()
    flat = trace.membranes["maps"][2].reshape(9, -1)
    for given in (37, (2, 1, 2), np.int64(37)):
        ax = plot.membrane(trace, "maps", given, 2)  # type: ignore[arg-type]
        assert np.array_equal(line(ax, "membrane").get_ydata(), flat[:, 37])
        assert "maps (2, 1, 2)" in ax.get_ylabel()


def test_the_first_difference_is_marked_with_both_values() -> None:
    right, wrong = random_trace(steps=40), random_trace(steps=40)
    wrong.membranes["maps"][1, 21, 2, 0, 4] += 7
    wrong.spikes["maps"][1, 30, 2, 0, 4] ^= 1
    differ = compare(right, wrong)
    ax = plot.membrane(wrong, differ, expected=right)
    assert np.array_equal(line(ax, "expected").get_ydata(), right.membranes["maps"][1, :, 2, 0, 4])
    assert np.array_equal(line(ax, "got").get_ydata(), wrong.membranes["maps"][1, :, 2, 0, 4])
    was = right.membranes["maps"][1, 21, 2, 0, 4]
    assert ax.get_title("left") == f"step 21: membrane {was + 7}, expected {was}"
    assert ax.get_xlim() == (15.5, 26.5)
    below = ax.figure.axes[1]
    heights = {
        round(bar.get_x() + bar.get_width() / 2): bar.get_height()  # type: ignore[attr-defined]
        for bar in below.patches
    }
    assert heights == {step: 7 if step == 21 else 0 for step in range(16, 27)}
    assert (below.get_ylabel(), below.get_xlim()) == ("got - expected", ax.get_xlim())
    same = plot.membrane(wrong, "maps", (2, 0, 4), 1, expected=right)
    assert same.get_title("left") == ax.get_title("left")
    later = plot.membrane(wrong, "maps", (2, 0, 4), 1, expected=right, step=30)
    got, want = wrong.spikes["maps"][1, 30, 2, 0, 4], right.spikes["maps"][1, 30, 2, 0, 4]
    assert later.get_title("left") == f"step 30: spikes {got}, expected {want}"
    equal = plot.membrane(right, "maps", 3, expected=right)
    assert equal.get_title("left") == ""
    assert equal.get_xlim() == (-0.5, 39.5)


def test_a_machine_that_shows_spikes_alone_is_drawn_over_the_expected_membrane() -> None:
    right = random_trace()
    wrong = Trace({name: spikes.copy() for name, spikes in right.spikes.items()})
    wrong.spikes["out"][0, 4, 1] ^= 1
    ax = plot.membrane(wrong, compare(right, wrong, ("spike",)), expected=right)
    assert np.array_equal(line(ax, "expected").get_ydata(), right.membranes["out"][0, :, 1])
    assert not [each for each in ax.lines if each.get_label() == "got"]
    assert ax.get_title("left").startswith("step 4: spikes")
    shown = {c.get_label(): {x for x, _ in drawn(c)} for c in ax.collections}
    assert shown["spikes got"] ^ shown["spikes expected"] == {4}


def test_an_integrator_has_no_threshold() -> None:
    net = one_neuron()
    arithmetic = Arithmetic(
        decay_numerator=7, decay_shift=3, state_bits=16, fires="never", reset="none"
    )
    silent = Neuron(np.zeros(1, np.int32), np.zeros(1, np.int32), arithmetic)
    net = Network(
        {**net.nodes, "lif": silent}, net.edges, net.input, 6, "membrane_last_argmax_lowest"
    )
    ran = simulate(net, np.full((1, 1), 3, np.uint8), trace=net.neurons)
    ax = plot.membrane(ran, "lif", threshold=net)
    assert [each.get_label() for each in ax.lines] == ["membrane"]
