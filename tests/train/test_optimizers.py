"""AdamW, weight decay and the warm-up of the learning rate, against torch computed plainly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import SETTINGS, tiny_recipe, tiny_toml
from torch import Tensor, nn
from torch.optim import SGD

from lehr.errors import UsageError
from lehr.train.floats.model import FloatNet
from lehr.train.learning.anneal import learning_rate
from lehr.train.learning.optimizers import optimizer_of
from lehr.train.recipe import Recipe, Training
from lehr.train.recipefile import parse


def training(**keys: Any) -> Training:
    return Training.model_validate({"epochs": 2, "batch_size": 32, "lr": 0.01, **keys})


def adamw_by_hand(start: Tensor, gradients: list[Tensor], lr: float, decay: float) -> Tensor:
    """Loshchilov & Hutter 2019, Algorithm 2, line by line, in float64."""
    value, first, second = start.double(), torch.zeros(()), torch.zeros(())
    for step, gradient in enumerate(gradients, start=1):
        first = 0.9 * first + 0.1 * gradient.double()
        second = 0.999 * second + 0.001 * gradient.double() ** 2
        adam = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        value = value - lr * (adam + decay * value)
    return value


@pytest.mark.parametrize("decay", [None, 0.3])
def test_adamw_s_first_updates_decay_the_weights_alone(decay: float | None) -> None:
    recipe = Recipe.model_validate(
        {**SETTINGS, "network": {**SETTINGS["network"], "weights": "int4"}}
    )
    torch.manual_seed(0)
    net = FloatNet(recipe.network, (1, 8, 8))
    keys = {} if decay is None else {"weight_decay": decay}
    optimizer = optimizer_of(training(optimizer="adamw", **keys), net)
    start = {name: value.detach().clone() for name, value in net.named_parameters()}
    gradients: dict[str, list[Tensor]] = {name: [] for name in start}
    for _ in range(3):
        for name, value in net.named_parameters():
            value.grad = torch.randn_like(value)
            gradients[name].append(value.grad)
        optimizer.step()
    decayed = {name for name in start if name.endswith("weight.weight")}
    assert len(decayed) == 3
    assert any("learned" in name for name in start)
    assert any("norm" in name for name in start)
    for name, value in net.named_parameters():
        share = (0.01 if decay is None else decay) if name in decayed else 0.0
        expected = adamw_by_hand(start[name], gradients[name], 0.01, share)
        assert torch.allclose(value.detach().double(), expected.double(), atol=1e-6), name


def rates(batches: int, **keys: Any) -> list[float]:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], 0.01)
    schedule = learning_rate(optimizer, training(**keys), batches)
    seen = []
    for _ in range(batches):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize(
    "schedule",
    [{}, {"lr_schedule": "constant"}, {"lr_schedule": "restarts", "cycles": 2}],
    ids=["cosine", "constant", "restarts"],
)
def test_the_warm_up_is_a_line_from_0_beside_every_schedule(schedule: dict[str, Any]) -> None:
    cold, warm = rates(40, **schedule), rates(40, warmup=0.2, **schedule)
    for batch, (one, other) in enumerate(zip(cold, warm, strict=True), start=1):
        assert other == pytest.approx(one * min(1.0, batch / 8), rel=1e-6), batch
    assert max(cold) > max(warm) or schedule


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("train.weight_decay=0.1",),
            "train.weight_decay is 0.1, but train.optimizer is 'adam', which has none; use "
            "'adamw', or leave it out",
        ),
        (
            ("train.label_smoothing=0.1",),
            "train.label_smoothing is 0.1, but train.objective is 'count', which has no classes' "
            "chances to smooth; use 'cross-entropy', or leave it out",
        ),
        (("train.warmup=1.0",), "'train.warmup' is 1.0; give less than 1"),
        (("train.label_smoothing=-1",), "'train.label_smoothing' is -1; give at least 0"),
        (("train.optimizer=adamww",), "'train.optimizer' is 'adamww'; did you mean 'adamw'?"),
    ],
)
def test_what_contradicts_itself_is_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(tiny_toml(), "tiny", overrides)
    assert str(error.value) == f"recipe tiny: {message}"


def test_a_recipe_without_the_keys_keeps_its_optimiser() -> None:
    torch.manual_seed(0)
    net = FloatNet(tiny_recipe().network, (1, 8, 8))
    optimizer = optimizer_of(tiny_recipe().train, net)
    assert type(optimizer) is torch.optim.Adam
    assert len(optimizer.param_groups) == 1
    assert type(learning_rate(optimizer, tiny_recipe().train, 10)).__name__ == "CosineAnnealingLR"
