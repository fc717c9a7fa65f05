"""Networks in memristive crossbars: ideal cells are exact, others do what is stated of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from budgets import budget
from golden_networks import GOLDEN, Golden
from hard_networks import flows
from hypothesis import given
from hypothesis import strategies as st
from machine_networks import machine_network
from scipy import stats
from strategies import inputs, networks

from lehr.arithmetic import Arithmetic
from lehr.errors import NotMappable, UsageError
from lehr.network import INPUT, OUTPUT, Conv2d, Input, Linear, Network, Neuron
from lehr.npz import npz_bytes
from lehr.samples import open_samples
from lehr.simulate import compare
from lehr.simulate import simulate as reference
from lehr.simulate.crossbar import Device, Drift, Spread, Stuck, Variation, run_trials, simulate
from lehr.simulate.crossbar.cells import crossbars, programmed
from lehr.simulate.crossbar.trials import arrays_of
from lehr.simulate.engines import ENGINES
from lehr.weights import LARGEST, WeightKind

USUAL = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=2, state_bits=20)
PLAIN = Device(g_min=2e-6, g_max=1e-4)
Weights = npt.NDArray[np.int8]


def summing(weight: object, kind: WeightKind = "binary", steps: int = 1) -> Network:
    """Return a network whose membranes are the sums of its weights, step by step."""
    rows = np.array(weight, np.int8)
    holding = Arithmetic(
        decay_numerator=0, decay_shift=0, state_bits=32, reset="none", fires="never"
    )
    none = np.zeros(len(rows), np.int32)
    neuron = Neuron(none, none, holding)
    nodes = {"fc": Linear(rows, kind), "v": neuron}
    edges = ((INPUT, "fc"), ("fc", "v"), ("v", OUTPUT))
    given = Input((rows.shape[1],), "u8")
    return Network(nodes, edges, given, steps, "membrane_last_argmax_lowest")


def sums(net: Network, x: object, device: Device, seed: int = 0) -> npt.NDArray[np.int32]:
    """Return the integers that reach the neurons, `[N, T, outputs]`."""
    result = simulate(net, np.array(x, np.uint8), device, seed=seed, trace=["v"])
    return result.trace.membranes["v"]


@pytest.mark.few(8)
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_ideal_cells_are_exact(golden: Golden) -> None:
    net, x = golden.make(replace(USUAL, **golden.fields))
    if any(neuron.by_event for neuron in net.neurons.values()):
        with pytest.raises(NotMappable, match="updates by event"):
            simulate(net, x, PLAIN)
        return
    kinds: set[WeightKind] = {node.kind for node in net.weighted.values()}
    levels = 1 + max(LARGEST[kind] for kind in kinds)
    expected = reference(net, x, trace=net.neurons)
    ideal = PLAIN.model_copy(update={"levels": levels})
    got = simulate(net, x, ideal, seed=3, trace=net.neurons)
    assert compare(expected.trace, got.trace).first is None
    assert got.saturations == expected.saturations
    varied = ideal.model_copy(update={"variation": Variation(deviation=0.5)})
    noisy = simulate(net, x, varied, seed=3, trace=net.neurons)
    assert compare(expected.trace, noisy.trace).first is not None


def test_ideal_cells_are_exact_where_spikes_flow_and_one_cell_is_seen() -> None:
    net, x = machine_network("loihi", spatial=True, per_neuron=False)
    expected = reference(net, x, trace=net.neurons)
    assert flows(net, expected)
    got = simulate(net, x, PLAIN, trace=net.neurons)
    assert compare(expected.trace, got.trace).first is None
    name, node = next(iter(net.weighted.items()))
    assert isinstance(node, Conv2d)
    weight = node.weight.copy()
    weight[0, 0, 0, 0] *= -1
    changed = replace(net, nodes={**net.nodes, name: replace(node, weight=weight)})
    got = simulate(changed, x, PLAIN, trace=net.neurons)
    assert compare(expected.trace, got.trace).first is not None


@budget(5, 100)
@given(data=st.data(), net=networks())
def test_random_networks_are_exact_in_ideal_cells(data: st.DataObject, net: Network) -> None:
    x = data.draw(inputs(net))
    low = data.draw(st.floats(1e-9, 1.0))
    high = low * data.draw(st.floats(1.02, 1e6))
    largest = max((LARGEST[node.kind] for node in net.weighted.values()), default=1)
    device = Device(g_min=low, g_max=high, levels=1 + largest + data.draw(st.integers(0, 300)))
    expected, got = (
        reference(net, x, trace=net.neurons),
        simulate(net, x, device, trace=net.neurons),
    )
    assert compare(expected.trace, got.trace).first is None


def test_levels_are_written_to_the_nearest_in_the_cell_of_the_sign() -> None:
    net = summing([[7, -3, 2, 0]], "int4")
    device = Device(g_min=1.0, g_max=8.0, levels=8)
    plus, minus = programmed(net.weighted["fc"], device)
    assert plus.tolist() == [[8, 1, 3, 1]]
    assert minus.tolist() == [[1, 4, 1, 1]]
    more = Device(g_min=1.0, g_max=17.0, levels=17)  # two levels a weight, two are left over
    plus, minus = programmed(net.weighted["fc"], more)
    assert plus.tolist() == [[15, 1, 5, 1]]
    assert minus.tolist() == [[1, 7, 1, 1]]
    assert sums(net, [[10, 10, 1, 9]], more).tolist() == [[[70 - 30 + 2]]]
    coarse = Device(g_min=1.0, g_max=8.0, levels=3)  # 1, 4.5 and 8: 3/7 is nearest to a half
    plus, minus = programmed(net.weighted["fc"], coarse)
    assert plus.tolist() == [[8, 1, 4.5, 1]]
    assert minus.tolist() == [[1, 4.5, 1, 1]]
    # 7*10 - 3.5*10 + 3.5*1, to the nearest integer, at ties the even one
    assert sums(net, [[10, 10, 1, 9]], coarse).tolist() == [[[38]]]


def test_drift_is_the_power_law() -> None:
    net = summing([[1, 1], [1, -1]])
    # (16 / 1)**-0.25 is a half: 2.5 and 0.5 go to the even neighbour
    device = Device(g_min=1.0, g_max=9.0, drift=Drift(exponent=0.25, time=16.0))
    assert sums(net, [[3, 2], [9, 2]], device).tolist() == [[[2, 0]], [[6, 4]]]
    later = Device(g_min=1.0, g_max=9.0, drift=Drift(exponent=0.5, time=48.0, reference=3.0))
    weight = crossbars(net, later, 0)["fc"].weight
    np.testing.assert_allclose(weight, np.array([[1, 1], [1, -1]]) / 4, rtol=1e-12)


def test_exponents_differ_from_cell_to_cell() -> None:
    net = summing(np.ones((200, 500)))
    drift = Drift(exponent=0.05, deviation=0.02, time=1e4)
    device = Device(g_min=1e-12, g_max=1.0, drift=drift)
    found = -np.log(crossbars(net, device, 1)["fc"].weight) / np.log(1e4)
    assert abs(found.mean() - 0.05) < 4 * 0.02 / found.size**0.5
    assert abs(found.std() - 0.02) < 4 * 0.02 / (2 * found.size) ** 0.5


@pytest.mark.parametrize("distribution", ["lognormal", "normal"])
def test_conductances_vary_as_stated(distribution: str) -> None:
    net = summing(np.ones((200, 500)))
    variation = Variation.model_validate({"deviation": 0.3, "distribution": distribution})
    device = Device(g_min=1e-12, g_max=1.0, variation=variation)
    cells = crossbars(net, device, 1)["fc"].weight
    error = 0.3 / cells.size**0.5
    assert abs(cells.mean() - 1) < 4 * error
    assert abs(cells.std() - 0.3) < 4 * error
    square = np.log(1 + 0.3**2)
    law = (
        stats.lognorm(s=square**0.5, scale=np.exp(-square / 2))
        if distribution == "lognormal"
        else stats.norm(1, 0.3)
    )
    assert stats.kstest(cells.reshape(-1)[:20_000], law.cdf).pvalue > 1e-3
    other = stats.norm(1, 0.3) if distribution == "lognormal" else stats.lognorm(square**0.5)
    assert stats.kstest(cells.reshape(-1)[:20_000], other.cdf).pvalue < 1e-9


def test_the_other_cell_of_a_pair_varies_as_well() -> None:
    net = summing(np.ones((200, 500)))
    device = Device(g_min=1.0, g_max=2.0, variation=Variation(deviation=0.1))
    cells = crossbars(net, device, 1)["fc"].weight
    # of 2 and of 1, each by a tenth, in units of their difference
    assert abs(cells.std() - np.hypot(0.2, 0.1)) < 0.005


def test_normal_variation_is_cut_off_at_no_conductance() -> None:
    net = summing(np.ones((100, 100)))
    variation = Variation(deviation=2.0, distribution="normal")
    cells = crossbars(net, Device(g_min=1e-12, g_max=1.0, variation=variation), 0)["fc"].weight
    assert cells.min() >= -1e-11
    assert abs((cells < 1e-9).mean() - stats.norm.cdf(-0.5)) < 0.02


def test_the_stated_shares_of_cells_are_stuck() -> None:
    signs = np.random.default_rng(3).choice([-1, 1], (300, 400))
    net = summing(signs)
    device = Device(g_min=1.0, g_max=2.0, stuck=Stuck(low=0.1, high=0.05))
    product = crossbars(net, device, 5)["fc"].weight * signs
    # +1 is lost where its cell is low, or the other cell is high; it turns where both are
    turned, lost = 0.1 * 0.05, 0.1 * 0.95 + 0.05 * 0.9
    for value, share in ((-1, turned), (0, lost), (1, 1 - turned - lost)):
        expected = stats.binom(product.size, share)
        assert expected.ppf(1e-4) <= (product == value).sum() <= expected.ppf(1 - 1e-4)
    everything = Device(g_min=1.0, g_max=2.0, stuck=Stuck(high=1.0))
    assert not crossbars(net, everything, 5)["fc"].weight.any()


def test_reads_have_the_noise_of_independent_cells() -> None:
    net = summing([[1, -1, 1]])
    device = Device(g_min=1.0, g_max=3.0, variation=Variation(read=0.2))
    x = np.tile(np.array([200, 100, 50], np.uint8), (20_000, 1))
    got = sums(net, x, device).reshape(-1)
    # each pair has conductances 3 and 1, and 2 of them are one weight
    deviation = 0.2 * np.sqrt((3**2 + 1**2) / 2**2 * (200**2 + 100**2 + 50**2))
    assert abs(got.mean() - 150) < 4 * deviation / len(x) ** 0.5
    assert abs(got.std() / deviation - 1) < 4 / (2 * len(x)) ** 0.5
    assert np.array_equal(got, sums(net, x, device).reshape(-1))
    assert not np.array_equal(got, sums(net, x, device, seed=1).reshape(-1))


def test_a_held_input_is_read_anew_in_every_step() -> None:
    net = summing([[1] * 8], steps=50)
    x = np.full((1, 8), 100, np.uint8)
    still = sums(net, x, Device(g_min=1.0, g_max=3.0, variation=Variation(deviation=0.3)))
    assert len(np.unique(still)) == 1
    assert still[0, 0, 0] != 800
    noisy = sums(net, x, Device(g_min=1.0, g_max=3.0, variation=Variation(read=0.2)))
    assert len(np.unique(noisy)) > 20


def test_a_converter_saturates_at_its_codes() -> None:
    net = summing([[1, 1], [-1, -1]])
    three = Device.model_validate({"g_min": 1, "g_max": 2, "converter": {"bits": 3, "step": 2}})
    # codes -4..3 of 2 weights each; 5 is half-way between 4 and 6, to the even code
    assert sums(net, [[1, 4]], three).tolist() == [[[4, -4]]]
    assert sums(net, [[7, 4]], three).tolist() == [[[6, -8]]]
    # 510 is the greatest sum of bytes: 510 / 127 rounds up to 5
    eight = Device.model_validate({"g_min": 1, "g_max": 2, "converter": {"bits": 8}})
    assert sums(net, [[255, 255], [3, 0]], eight).tolist() == [[[510, -510]], [[5, -5]]]
    ten = Device.model_validate({"g_min": 1, "g_max": 2, "converter": {"bits": 10}})
    assert sums(net, [[255, 255], [3, 0]], ten).tolist() == [[[510, -510]], [[3, -3]]]


def test_a_seed_is_a_device_and_effects_are_drawn_apart() -> None:
    net = summing(np.ones((20, 30)))
    varied = Device(g_min=1.0, g_max=2.0, variation=Variation(deviation=0.3))
    both = varied.model_copy(update={"stuck": Stuck(low=0.1)})
    first, again, other = (crossbars(net, varied, seed)["fc"].weight for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.isclose(first, other).any()
    stuck = crossbars(net, both, 4)["fc"].weight
    assert 0.7 < np.isclose(stuck, first).mean() < 0.9  # pairs of which no cell is stuck: 81 %


def test_nodes_that_are_named_alone_are_in_crossbars() -> None:
    net, x = machine_network("loihi", spatial=True, per_neuron=False)
    names = list(net.weighted)
    assert len(names) > 1
    variation = Variation(deviation=0.5)
    device = Device(g_min=1.0, g_max=2.0, variation=variation, nodes=(names[-1],))
    expected, got = (
        reference(net, x, trace=net.neurons),
        simulate(net, x, device, trace=net.neurons),
    )
    wrong = compare(expected.trace, got.trace).first
    assert wrong is not None
    assert wrong.layer == list(net.neurons)[-1]
    none = Device(g_min=1.0, g_max=2.0, nodes=("lif",))
    with pytest.raises(UsageError) as refused:
        simulate(net, x, none)
    assert str(refused.value) == (
        "'nodes' names 'lif', which has no weights; use nodes with weights: " + ", ".join(names)
    )


def test_trials_count_what_numpy_counts_over_all_pieces(tmp_path: Path) -> None:
    net = summing(np.random.default_rng(0).choice([-1, 1], (5, 30)))
    neuron = Neuron(np.full(5, 30, np.int32), np.zeros(5, np.int32), USUAL)
    net = replace(net, nodes={**net.nodes, "v": neuron}, steps=6, readout="count_argmax_lowest")
    x = np.zeros((700, 30), np.uint8)  # pieces have 512 samples
    x[600:] = np.random.default_rng(1).integers(0, 20, (100, 30))
    labels = reference(net, x).prediction
    labels[650:] = 0
    path = tmp_path / "in.npz"
    path.write_bytes(npz_bytes({"input": x, "labels": labels}))
    device = Device(g_min=1.0, g_max=50.0, seeds=3, seed=7, variation=Variation(deviation=0.3))
    trials = run_trials(net, open_samples(path), device, ENGINES["reference"](net, 1))
    expected = reference(net, x, trace=["v"]).trace.spikes["v"]
    assert 0.05 < expected[600:].mean() < 0.95
    for trial in trials.trials:
        got = simulate(net, x, device, seed=trial.seed, trace=["v"])
        wrong = got.trace.spikes["v"] != expected
        assert trial.differing == {"v": wrong.sum()}
        assert wrong.any()
        assert trial.first is not None
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        assert (trial.first.sample, trial.first.step, *trial.first.neuron) == first
        assert trial.first.sample >= 600
        assert np.array_equal(trial.result.counts, got.counts)
    assert [trial.seed for trial in trials.trials] == [7, 8, 9]
    right = [(trial.result.prediction == labels).mean() for trial in trials.trials]
    assert trials.accuracies == right
    assert trials.differing("v") == sum(t.differing["v"] for t in trials.trials) / expected.size / 3
    arrays = arrays_of(trials)
    assert arrays["prediction"].shape == (3, 700)
    assert np.array_equal(arrays["exact.counts"], expected.sum(1))


def test_the_interval_is_students() -> None:
    values = [0.91, 0.94, 0.88, 0.95, 0.9]
    spread = Spread.of(values)
    assert (spread.least, spread.most) == (0.88, 0.95)
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert spread.interval == pytest.approx((low, high), abs=1e-6)
    assert spread.deviation == pytest.approx(np.std(values, ddof=1))
    for count in (2, 3, 20, 500):
        ends = Spread.of([float(n % 2) for n in range(count)]).interval
        assert ends is not None
        these = np.arange(count) % 2
        low, high = stats.t.interval(0.95, count - 1, these.mean(), stats.sem(these))
        assert ends == pytest.approx((low, high), rel=1e-6)
    assert Spread.of([0.5]) == Spread(0.5, 0.5, 0.5, None, None)
