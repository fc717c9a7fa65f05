"""Schedules against their closed forms, and the learning rate that restarts with thresholds."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch

from lehr.train.keys.threshold import Threshold
from lehr.train.learning.anneal import FLOOR, GROWTH, UNTIL, Annealer, cycle_position, learning_rate
from lehr.train.recipe import Training

BATCHES = 40


def _training(**changed: Any) -> Training:
    return Training.model_validate({"epochs": 1, "batch_size": 1, "lr": 0.5, **changed})


def _path(schedule: Threshold, rate: float = 0.5, **changed: Any) -> list[float]:
    """The threshold after every batch of a phase in which the layer fires `rate`."""
    threshold, path = torch.tensor(schedule.start), []
    annealer = Annealer([threshold], [schedule], _training(**changed), BATCHES, outputs=10)
    for _ in range(BATCHES):
        annealer.step([rate])
        path.append(float(threshold))
    return path


def test_exponential_closes_the_same_share_of_the_gap_every_time() -> None:
    for batch, value in enumerate(_path(Threshold(start=5.0, final=50.0, rate=5e-3)), start=1):
        assert value == pytest.approx(50 - 45 * (1 - 5e-3) ** batch, rel=1e-5)
    assert _path(Threshold(start=11.666, final=15.983, rate=0.5))[-1] == pytest.approx(
        15.983
    )  # not 11.666 + 15.983
    assert set(_path(Threshold(start=7.0))) == {7.0}


@pytest.mark.parametrize(
    ("keys", "shape"),
    [
        ({"schedule": "linear"}, lambda p: min(1.0, p / UNTIL)),
        ({"schedule": "linear", "until": 1.0}, lambda p: p),
        ({"schedule": "cosine", "until": 1.0}, lambda p: 0.5 - 0.5 * math.cos(math.pi * p)),
        ({"schedule": "step", "stages": 4, "until": 1.0}, lambda p: math.floor(4 * p) / 4),
        (
            {"schedule": "step", "stages": 2, "until": 0.8},
            lambda p: 1.0 if p >= 0.8 else 0.5 if p >= 0.4 else 0.0,
        ),
    ],
)
def test_schedules_that_arrive(keys: dict[str, Any], shape: Any) -> None:
    path = _path(Threshold(start=4.0, final=12.0, **keys))
    for batch, value in enumerate(path, start=1):
        assert value == pytest.approx(4 + 8 * shape(batch / BATCHES), abs=1e-5)
    assert path[-1] == 12.0


def test_thresholds_and_learning_rate_restart_together_and_end_at_the_bottom() -> None:
    training = _training(lr_schedule="restarts", cycles=4)
    threshold = torch.tensor(1.0)
    annealer = Annealer(
        [threshold],
        [Threshold(start=1.0, final=3.0, schedule="restarts", until=1.0)],
        training,
        BATCHES,
        outputs=10,
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], training.lr)
    schedule = learning_rate(optimizer, training, BATCHES)
    restarted = []
    for batch in range(1, BATCHES + 1):
        optimizer.step()
        schedule.step()
        annealer.step([0.5])
        gone = (float(threshold) - 1.0) / 2.0
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * (1 - gone), abs=1e-6)
        if gone == 0:
            restarted.append(batch)
    assert restarted == [10, 20, 30]
    assert float(threshold) == 3.0


def test_a_restarted_threshold_arrives_within_its_cycle() -> None:
    path = _path(Threshold(start=1.0, final=3.0, schedule="restarts", until=0.3), cycles=4)
    assert [batch for batch, value in enumerate(path, start=1) if value == 3.0] == [
        batch for batch in range(1, BATCHES + 1) if batch % 10 >= 3 or batch == BATCHES
    ]


@pytest.mark.parametrize(("batches", "cycles"), [(10, 3), (7, 2), (40, 4)])
def test_cycles_share_what_does_not_divide(batches: int, cycles: int) -> None:
    positions = [cycle_position(batch, batches, cycles) for batch in range(batches + 1)]
    assert sum(after < before for before, after in pairwise(positions)) == cycles - 1
    assert positions[0] == 0.0
    assert positions[-1] == 1.0


def test_rate_controlled_raises_only_while_the_layer_fires() -> None:
    alone = Threshold(start=2.0, schedule="rate-controlled")
    assert _path(alone, rate=0.9)[-1] == pytest.approx(2.0 * (1 + GROWTH) ** BATCHES, rel=1e-5)
    assert set(_path(alone, rate=0.0)) == {2.0}
    schedule = Threshold(start=2.0, schedule="rate-controlled", rate=0.1, floor=0.3, final=5.0)
    assert set(_path(schedule, rate=0.3)) == {2.0}
    path = _path(schedule, rate=0.31)
    assert path[0] == pytest.approx(2.2)
    assert path[-1] == 5.0


def test_layers_are_controlled_by_their_own_rates_and_the_output_by_what_the_loss_asks() -> None:
    schedule = Threshold(start=1.0, schedule="rate-controlled")
    layers = [torch.tensor(1.0) for _ in range(3)]
    annealer = Annealer(layers, [schedule] * 3, _training(rates=[0.8, 0.2]), 2, outputs=10)
    annealer.step([FLOOR * 1.01, 0.0, 0.26])
    assert [float(threshold) for threshold in layers] == [pytest.approx(1 + GROWTH), 1.0, 1.0]
    annealer.step([0.0, 0.0, 0.261])
    assert float(layers[2]) == pytest.approx(1 + GROWTH)


@pytest.mark.parametrize(("where", "expected"), [("start", {5.0}), ("final", {50.0})])
def test_arms_without_annealing_hold_the_threshold(where: str, expected: set[float]) -> None:
    assert set(_path(Threshold(start=5.0, final=50.0, rate=5e-3), thresholds=where)) == expected
    assert set(_path(Threshold(start=7.0), thresholds=where)) == {7.0}


def test_learning_rate_is_constant_or_falls_once() -> None:
    for kind, last in (("constant", 0.5), ("cosine", 0.5 * (1 - math.cos(math.pi / BATCHES)) / 2)):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.5)
        schedule = learning_rate(optimizer, _training(lr_schedule=kind), BATCHES)
        for _ in range(BATCHES - 1):
            optimizer.step()
            schedule.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(last)


def test_a_cosine_of_a_period_goes_down_and_up_again() -> None:
    """Its closed form, eta (1 + cos(pi t / period)) / 2, past the first way down."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.5)
    training = _training(lr_schedule={"name": "cosine", "period": 7})
    schedule = learning_rate(optimizer, training, BATCHES)
    rates = []
    for _ in range(30):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [0.5 * (1 + math.cos(math.pi * batch / 7)) / 2 for batch in range(30)]
    assert rates == pytest.approx(expected, abs=1e-12)
    assert rates[7] == pytest.approx(0, abs=1e-12)
    assert rates[14] == pytest.approx(0.5)
    warm = _training(lr_schedule={"name": "cosine", "period": 7}, warmup=3 / BATCHES)
    schedule = learning_rate(torch.optim.SGD([torch.zeros(1)], 0.5), warm, BATCHES)
    assert isinstance(schedule, torch.optim.lr_scheduler.LambdaLR)
    shares = [schedule.lr_lambdas[0](batch) for batch in range(30)]
    assert shares[3:] == pytest.approx([2 * rate for rate in expected[3:]], abs=1e-12)
    assert shares[:2] == pytest.approx([2 * expected[0] / 3, 4 * expected[1] / 3])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"final": 2.0}, "the schedule 'exponential' needs 'rate'"),
        ({"rate": 0.1}, "the schedule 'exponential' needs 'final'"),
        ({"schedule": "linear"}, "the schedule 'linear' needs 'final'"),
        ({"schedule": "step", "final": 2.0}, "the schedule 'step' needs 'stages'"),
        (
            {"schedule": "cosine", "final": 2.0, "rate": 0.1},
            "rate is 0.1, but the schedule 'cosine' takes none; leave it out",
        ),
        (
            {"schedule": "restarts", "final": 2.0, "stages": 5},
            "stages is 5, but the schedule 'restarts' takes none; leave it out",
        ),
        (
            {"schedule": "rate-controlled", "stages": 3},
            "stages is 3, but the schedule 'rate-controlled' takes none; leave it out",
        ),
    ],
)
def test_keys_that_a_schedule_lacks_or_ignores_are_refused(
    keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Threshold(start=1.0, **keys)
