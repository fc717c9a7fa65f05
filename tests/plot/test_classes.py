"""Confusions, accuracies and their intervals.

Judged by scikit-learn, scipy, and runs of fewer steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from lehr import plot
from lehr.arithmetic import Arithmetic
from lehr.errors import UsageError
from lehr.network import Input, Linear, Network, Neuron
from lehr.plot import Share
from lehr.plot.classes import Stop, accuracy_by_step, confusions, enough_steps
from lehr.simulate import simulate

stats = pytest.importorskip("scipy.stats")  # scikit-learn brings it
RNG = np.random.default_rng(7)
LABELS = RNG.integers(0, 6, 200)
GUESSED = np.where(RNG.random(200) < 0.6, LABELS, RNG.integers(0, 6, 200))


def test_a_confusion_matrix_is_scikit_learns() -> None:
    expected = confusion_matrix(LABELS, GUESSED)
    assert np.array_equal(confusions(GUESSED, LABELS), expected)
    ax = plot.confusion(GUESSED.tolist(), LABELS)
    shares = expected / expected.sum(axis=1, keepdims=True)
    assert np.allclose(np.asarray(ax.images[0].get_array()), shares)
    written = {
        (int(t.get_position()[1]), int(t.get_position()[0])): int(t.get_text()) for t in ax.texts
    }
    assert written == {(i, j): n for (i, j), n in np.ndenumerate(expected) if n}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "label")


def test_classes_that_nobody_has_are_still_there() -> None:
    assert confusions([0, 0], [4, 0]).tolist()[4] == [1, 0, 0, 0, 0]
    assert confusions(*[np.array([0])] * 2).shape == (1, 1)
    ax = plot.confusion([0, 30], [30, 30])
    assert np.asarray(ax.images[0].get_array()).shape == (31, 31)
    assert not ax.texts


def network(readout: str, **fields: Any) -> Network:
    """Return 8 inputs to 4 classes, in 12 steps."""
    weight = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (4, 8))
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3, state_bits=16, **fields)
    zero = np.zeros(4, np.int32)
    threshold = zero if fields.get("fires") == "never" else np.array([2, 3, 4, 5], np.int32)
    nodes = {"fc": Linear(weight), "lif": Neuron(threshold, zero, arithmetic)}
    edges = (("input", "fc"), ("fc", "lif"), ("lif", "output"))
    return Network(nodes, edges, Input((8,), "spikes"), 12, readout)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("readout", "fields"),
    [
        ("count_argmax_lowest", {}),
        ("membrane_last_argmax_lowest", {}),
        ("membrane_sum_argmax_lowest", {"fires": "never", "reset": "none"}),
        ("membrane_max_argmax_lowest", {"fires": "never", "reset": "none"}),
    ],
)
def test_the_accuracy_after_some_steps_is_that_of_a_run_of_so_many(
    readout: str, fields: dict[str, Any]
) -> None:
    net, rng = network(readout, **fields), np.random.default_rng(5)
    x = rng.integers(0, 2, (60, 12, 8)).astype(np.uint8)
    ran = simulate(net, x, trace=("all",))
    labels = np.where(rng.random(60) < 0.7, ran.prediction, rng.integers(0, 4, 60))
    expected = [
        float((simulate(replace(net, steps=t), x[:, :t]).prediction == labels).mean())
        for t in range(1, 13)
    ]
    assert len(set(expected)) > 3
    assert [share.value for share in accuracy_by_step(ran, labels)] == expected
    ax = plot.steps(ran, labels)
    curve = ax.lines[0]
    assert np.allclose(curve.get_ydata(), 100 * np.array(expected))
    assert np.array_equal(curve.get_xdata(), range(1, 13))
    assert ax.get_xlabel() == "number of steps"


def right_after(samples: int, *stops: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Return which samples are right after each step; each stop loses and wins some of the last."""
    last = np.arange(samples) < samples * 3 // 4
    rows = []
    for lost, won in stops:
        row = last.copy()
        row[:lost] = False
        row[samples - won :] = True
        rows.append(row)
    return np.array([*rows, last])


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (1, 0), (7, 3), (3, 7), (60, 41), (900, 850)])
def test_the_chance_of_a_loss_is_scipys(lost: int, won: int) -> None:
    expected = 1.0
    if lost + won:
        expected = stats.binomtest(lost, lost + won, 0.5, alternative="greater").pvalue
    assert Stop(1, 10000, lost, won).chance == pytest.approx(expected, rel=1e-9)


def test_one_stops_where_no_step_from_there_on_loses_samples() -> None:
    right = right_after(300, (9, 8), (30, 0), (4, 1), (20, 18), (0, 0))
    assert enough_steps(right) == Stop(3, 300, 4, 1)  # 1 is better, but 2 loses 10 points
    assert enough_steps(right_after(300, (4, 0))) == Stop(2, 300, 0, 0)  # 1.33 points
    assert enough_steps(right_after(300, (0, 40))) == Stop(1, 300, 0, 40)


def test_a_small_loss_that_is_shown_is_a_loss() -> None:
    """Of 4,000 samples 0.5 points are shown by 20 of 20, and not by 510 of 1,000."""
    assert stats.binomtest(20, 20, alternative="greater").pvalue < 0.05
    assert stats.binomtest(510, 1000, alternative="greater").pvalue > 0.05
    assert enough_steps(right_after(4000, (20, 0))) == Stop(2, 4000, 0, 0)
    assert enough_steps(right_after(4000, (510, 490))) == Stop(1, 4000, 510, 490)


def test_of_few_samples_nothing_is_said_of_stopping() -> None:
    assert enough_steps(right_after(199, (0, 0))) is None
    assert enough_steps(right_after(200, (0, 0))) == Stop(1, 200, 0, 0)
    net = network("count_argmax_lowest")
    x = np.random.default_rng(5).integers(0, 2, (60, 12, 8)).astype(np.uint8)
    ran = simulate(net, x, trace=("all",))
    assert not plot.steps(ran, ran.prediction).texts
    many = simulate(net, np.concatenate([x] * 4), trace=("all",))
    assert len(plot.steps(many, many.prediction).texts) == 1


@pytest.mark.parametrize(
    ("correct", "samples"), [(0, 9), (9, 9), (1, 1), (293, 300), (5017, 10000)]
)
def test_an_interval_is_scipys(correct: int, samples: int) -> None:
    expected = stats.binomtest(correct, samples).proportion_ci(0.95, "wilson")
    share = Share(correct, samples)
    assert share.interval == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert share.value == correct / samples


def test_a_share_is_counted_from_predictions() -> None:
    assert Share.of(GUESSED, LABELS) == ((GUESSED == LABELS).sum(), 200)


def test_bars_are_as_long_as_accuracies_with_their_intervals() -> None:
    shares: dict[str, Any] = {"float": Share(30, 100), "integer": Share(25, 100), "C": 0.25}
    ax = plot.accuracy(shares)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([30, 25, 25])  # type: ignore[attr-defined]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["float", "integer", "C"]
    assert [t.get_text() for t in ax.texts] == ["30.00, n = 100", "25.00, n = 100", "25.00"]
    segments = [s for c in ax.collections for s in c.get_segments()]  # type: ignore[attr-defined]
    assert len(segments) == 2  # a number has no interval
    for segment, share in zip(segments, (30, 25), strict=True):
        expected = stats.binomtest(share, 100).proportion_ci(0.95, "wilson")
        assert sorted(segment[:, 0]) == pytest.approx([100 * expected.low, 100 * expected.high])
    assert ax.get_xlim() == (0, 100)


def test_arms_stand_beside_one_another_and_may_lack_a_station() -> None:
    ax = plot.accuracy({"annealed": {"float": 0.9, "integer": 0.8}, "final": {"integer": 0.7}})
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([90, 80, 70])  # type: ignore[attr-defined]
    middle = [bar.get_y() + bar.get_height() / 2 for bar in ax.patches]  # type: ignore[attr-defined]
    assert [round(y) for y in middle] == [0, 1, 1]
    assert middle[1] < middle[2]
    legend = ax.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["annealed", "final"]


def test_an_axis_that_does_not_start_at_0_says_so() -> None:
    ax = plot.accuracy({"float": Share(9950, 10000), "integer": Share(9918, 10000)})
    first = ax.get_xlim()[0]
    assert 90 <= first < 99
    assert ax.get_xlabel() == f"test accuracy (%), axis from {first:.0f} %"
    assert plot.accuracy({"chance": 0.1}).get_xlabel() == "test accuracy (%)"


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: plot.confusion([0, 1], [0]), "2 predictions meet 1 labels; give those of the sam"),
        (lambda: plot.confusion([], []), "predictions are float64 of shape"),
        (lambda: plot.confusion([0.5], [0]), "predictions are float64 of shape"),
        (lambda: plot.confusion([0], [-1]), "labels are int64 of shape"),
        (lambda: plot.confusion([[0]], [0]), r"shape \(1, 1\); give a class, 0 or more, for each"),
        (lambda: plot.confusion([5000], [0]), "there is a class 5,000; a matrix shows 4,096"),
        (lambda: plot.accuracy({}), "no accuracy is given"),
        (lambda: plot.accuracy({"a": {}}), "arm 'a' has no accuracy; leave it out"),
        (lambda: plot.accuracy({"a": 97.3}), "a: 97.3 is no share; give 0 to 1"),
        (lambda: plot.accuracy({"a": float("nan")}), "a: nan is no share"),
        (lambda: plot.accuracy({"a": Share(0, 0)}), "a: 0 of 0 samples are no share"),
        (lambda: plot.accuracy({"a": Share(3, 2)}), "a: 3 of 2 samples are no share"),
        (
            lambda: plot.accuracy(dict[str, Any]({"a": 0.5, "b": {"c": 0.5}})),
            "some accuracies are of an arm",
        ),
    ],
)
def test_what_cannot_be_drawn_is_named(draw: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        draw()
    assert "\n" not in str(refused.value)


def test_steps_need_the_trace_of_the_output() -> None:
    net = network("count_argmax_lowest")
    x = np.ones((3, 12, 8), np.uint8)
    with pytest.raises(UsageError, match="the run has no trace; simulate with trace='all'"):
        plot.steps(simulate(net, x), [0, 1, 2])
    with pytest.raises(UsageError, match="3 samples meet 2 labels"):
        plot.steps(simulate(net, x, trace=("all",)), [0, 1])
