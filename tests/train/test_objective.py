"""What training asks of the output.

Losses against formulas by hand, and which samples count as right.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_recipe

from lehr.errors import UsageError
from lehr.train.data import Dataset, Split, load_dataset
from lehr.train.objectives.objective import Membrane, objective
from lehr.train.objectives.timed import Ramp, Spike
from lehr.train.recipe import DataRecipe, Recipe
from lehr.train.recipefile import load


def spikes(*steps: list[int], length: int = 100) -> torch.Tensor:
    """One output and one sample for each list of steps at which it fires, [T, N, 1]."""
    raster = torch.zeros(length, len(steps), 1)
    for sample, fired in enumerate(steps):
        raster[fired, sample] = 1
    return raster


def with_objective(recipe: Recipe, name: str) -> Recipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"objective": name})})


def labelled(*labels: int) -> Dataset:
    split = Split(np.zeros((len(labels), 8, 8), np.uint8), np.array(labels, np.int64))
    return Dataset(split, split, split, 4)


def test_counts() -> None:
    recipe = tiny_recipe()
    counts = torch.tensor([[3, 0, 1, 0], [2, 2, 0, 0]])
    fired = (torch.arange(5)[:, None, None] < counts).float()  # [T, N, classes]
    labels = torch.tensor([0, 1])
    square = objective(recipe, labelled(0, 1))
    right, wrong = (rate * 5 for rate in recipe.train.rates)
    target = torch.full((2, 4), wrong)
    target[[0, 1], labels] = right
    assert float(square.loss([fired], fired, labels)) == pytest.approx(
        float(((counts - target) ** 2).mean()) / 5
    )
    assert square.right([fired], fired, labels).tolist() == [
        True,
        False,
    ]  # at a tie the lowest index
    entropy = objective(with_objective(recipe, "cross-entropy"), labelled(0, 1))
    expected = -torch.log_softmax(counts.float(), 1)[[0, 1], labels].mean()
    assert float(entropy.loss([fired], fired, labels)) == pytest.approx(float(expected))
    assert entropy.right([fired], fired, labels).tolist() == [True, False]


@pytest.mark.parametrize(
    ("steps", "rates", "targets"),
    [(6, (0.8, 0.2), (4, 1)), (12, (0.8, 0.2), (9, 2)), (100, (0.29, 0.2), (28, 20))],
)
def test_the_counts_that_the_loss_asks_are_rounded_down(
    steps: int, rates: tuple[float, float], targets: tuple[int, int]
) -> None:
    """snnTorch's int(T * rate); 100 * 0.29 is just below 29 in double."""
    recipe = tiny_recipe()
    recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"rates": rates})})
    goal, label = objective(recipe, labelled(0)), torch.tensor([0])

    def loss(right: int, wrong: int) -> float:
        counts = torch.tensor([[right, wrong, wrong, wrong]])
        fired = (torch.arange(steps)[:, None, None] < counts).float()
        return float(goal.loss([fired], fired, label))

    assert loss(*targets) == 0
    assert loss(targets[0] + 1, targets[1]) == pytest.approx(1 / 4 / steps)
    assert loss(targets[0], targets[1] + 1) == pytest.approx(3 / 4 / steps)


def test_smoothed_labels_leave_a_share_to_all_classes() -> None:
    labels, share = torch.tensor([0, 1]), 0.2
    fired = (torch.arange(5)[:, None, None] < torch.tensor([[3, 0, 1, 0], [2, 2, 0, 0]])).float()
    wanted = torch.full((2, 4), share / 4)
    wanted[[0, 1], labels] += 1 - share
    recipe = with_objective(tiny_recipe(), "cross-entropy")
    recipe = recipe.model_copy(
        update={"train": recipe.train.model_copy(update={"label_smoothing": share})}
    )
    smooth = objective(recipe, labelled(0, 1))
    chances = torch.log_softmax(fired.sum(0), 1)
    assert float(smooth.loss([fired], fired, labels)) == pytest.approx(
        -float((wanted * chances).sum(1).mean())
    )
    membranes = torch.randn(5, 2, 4, generator=torch.Generator().manual_seed(0))
    for readout, scores in (("last", membranes[-1]), ("sum", membranes.mean(0))):
        goal = Membrane(4, readout, share)
        assert float(goal.loss([], membranes, labels)) == pytest.approx(
            -float((wanted * torch.log_softmax(scores, 1)).sum(1).mean())
        )


def test_ramp_is_followed_up_to_the_label_and_is_0_after_it() -> None:
    labels = torch.tensor([4, 2])
    ramp = torch.tensor([[0, 2.5, 5, 7.5, 10, 0], [0, 5, 10, 0, 0, 0]]).T.unsqueeze(2)
    goal = Ramp(threshold=10 / 1.1)
    assert float(goal.loss([ramp], ramp, labels)) == pytest.approx(0, abs=1e-9)
    ramp[3, 0] += 3
    assert float(goal.loss([ramp], ramp, labels)) == pytest.approx(9 / 12)


def test_spike_is_a_ramp_below_the_threshold_and_a_peak_at_the_label() -> None:
    labels, threshold = [4, 2], 50.0
    membranes = np.random.default_rng(0).normal(0, 30, (6, 2))
    ramps = entropies = 0.0
    for sample, label in enumerate(labels):
        for step in range(6):
            ramp = 0.9 * threshold * step / label if step < label else 0.0
            if step != label:
                ramps += (membranes[step, sample] - ramp) ** 2
        chances = np.exp(membranes[:, sample] / (0.1 * threshold))
        entropies -= np.log(chances[label] / chances.sum())
    expected = ramps / 12 + 0.1 * threshold**2 * entropies / 2
    tensor = torch.from_numpy(membranes).unsqueeze(2)
    loss = Spike(threshold).loss([tensor], tensor, torch.tensor(labels))
    assert float(loss) == pytest.approx(expected)
    # a membrane that does what is asked is above the threshold at the label alone
    wanted = torch.tensor([0, 11.25, 22.5, 33.75, 100, 0])[:, None, None]
    assert float(Spike(threshold).loss([wanted], wanted, torch.tensor([4]))) < 0.01


@pytest.mark.parametrize("goal", [Ramp(1.0), Spike(1.0)])
def test_it_is_right_where_one_spike_is_near_the_label(goal: Ramp | Spike) -> None:
    fired = spikes([75], [70], [80], [69], [81], [], [75, 76], [3, 75])
    right = goal.right([fired], fired, torch.full((8,), 75))
    assert right.tolist() == [True, True, True, False, False, False, False, False]


def test_the_pattern_is_one_and_the_same() -> None:
    data = load_dataset(DataRecipe(name="temporal", steps=100), None)
    other = load_dataset(DataRecipe(name="temporal", steps=100, seed=1), None)
    assert data.train.x.shape == (1, 100, 100)
    assert data.train.y.tolist() == [75]
    assert 0.4 < data.train.x.mean() < 0.6
    assert int(data.train.x.sum()) == 5015  # numpy's PCG64, pinned
    assert not np.array_equal(data.train.x, other.train.x)
    assert data.test is data.train or np.array_equal(data.test.x, data.train.x)


def test_outputs_that_do_not_fit_are_named() -> None:
    recipe = load("temporal")
    goal = objective(recipe, load_dataset(recipe.data, None))
    with pytest.raises(UsageError) as caught:
        goal.require_outputs(2)
    assert (
        str(caught.value)
        == "the last layer has 2 neurons, but with train.objective 'spike' one fires at the label; "
        "give it 1 feature"
    )
    with pytest.raises(UsageError) as caught:
        objective(with_objective(tiny_recipe(), "ramp"), labelled(0, 3))
    steps = tiny_recipe().network.steps
    assert str(caught.value) == (
        "labels are 0 to 3, but train.objective 'ramp' takes them as steps at which to fire; "
        f"use 1 to {steps - 1}, or the objective 'count'"
    )
    with pytest.raises(UsageError) as caught:
        objective(tiny_recipe(), labelled(0, 3)).require_outputs(3)
    assert str(caught.value) == "the last layer has 3 neurons for 4 classes; give it one for each"
