"""Numbers that are none.

Refused with the layer's name before signs or integers are made of them, whatever takes them first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pydantic
import pytest
import snntorch as snn
import torch
from tiny import SETTINGS, tiny_recipe
from torch import nn

from lehr.errors import NotMappable, UsageError
from lehr.export import from_torch
from lehr.export.latent import Latent
from lehr.train import Threshold, ThresholdAnnealer, binarize
from lehr.train.data import Dataset, load_dataset
from lehr.train.floats.model import FloatNet
from lehr.train.floats.quantize import Frozen, Signs, Ternary, Uniform
from lehr.train.learning.loop import train
from lehr.train.learning.phases import Phase
from lehr.train.recipe import Recipe
from lehr.train.runs.progress import Progress
from lehr.train.twin.convert import convert
from lehr.train.twin.network import Twin

NAN = float("nan")
SCHEDULE = Threshold(start=1.0, schedule="linear", final=2.0)
DIVERGED = "lower the learning rate, or clip gradients"


def model() -> Any:
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(5)
    return nn.Sequential(
        nn.Linear(7, 5),
        norm,
        snn.Leaky(beta=0.5, init_hidden=True),
        nn.Linear(5, 3),
        snn.Leaky(beta=0.5, init_hidden=True),
    )


def put(tensor: Any, value: float = NAN) -> Any:
    tensor.data.view(-1)[0] = value
    return tensor


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda net: put(net[0].weight),
            "0 (Linear): its weight is not finite (NaN); train it again",
        ),
        (
            lambda net: put(net[3].bias, math.inf),
            "3 (Linear): its bias is not finite (infinite); train it again",
        ),
        (
            lambda net: put(net[1].running_var),
            "1 (BatchNorm1d): its running_var is not finite (NaN); train it again",
        ),
        (
            lambda net: put(net[1].weight),
            "1 (BatchNorm1d): its weight is not finite (NaN); train it again",
        ),
        (lambda net: put(net[2].beta), "2 (Leaky): its beta is not finite (NaN); train it again"),
        (
            lambda net: [
                put(*each)
                for each in ((net[0].weight,), (net[0].bias, math.inf), (net[3].weight, -math.inf))
            ],
            "0 (Linear): its weight, bias are not finite (NaN); train it again. "
            "3 (Linear): its weight is not finite (infinite); train it again",
        ),
    ],
)
def test_binarize_takes_no_numbers_that_are_none(spoil: Callable[[Any], Any], message: str) -> None:
    net = model()
    spoil(net)
    with pytest.raises(UsageError) as error:
        binarize(net, thresholds=SCHEDULE)
    assert str(error.value) == f"the model cannot be binarized: {message}"


def test_what_a_run_left_in_membranes_is_no_fault() -> None:
    net = model()
    net[2].mem = torch.tensor([NAN])
    assert isinstance(binarize(net, thresholds=SCHEDULE), nn.Sequential)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda net: put(net[0].parametrizations.weight.original), "0 (ParametrizedLinear)"),
        (lambda net: put(net[0].bias, math.inf), "0 (Linear): its bias is not finite (infinite)"),
        (
            lambda net: put(net[1].running_mean),
            "1 (BatchNorm1d): its running_mean is not finite (NaN)",
        ),
        (lambda net: put(net[4].threshold), "4 (AnnealedLeaky): its threshold is not finite (NaN)"),
    ],
)
def test_a_step_of_the_annealer_finds_what_training_has_driven_away(
    spoil: Callable[[Any], Any], message: str
) -> None:
    net = binarize(model(), thresholds=SCHEDULE)
    annealer = ThresholdAnnealer(net, 4)
    annealer.step()
    spoil(net)
    before = float(net[2].threshold)
    with pytest.raises(UsageError) as error:
        annealer.step()
    name = message.replace(
        "0 (ParametrizedLinear)",
        "0 (Linear): its parametrizations.weight.original is not finite (NaN)",
    )
    assert str(error.value) == f"{name} after batch 2; {DIVERGED}"
    assert (annealer.batch, float(net[2].threshold)) == (1, before)


def test_training_that_diverges_ends_with_the_layers_name() -> None:
    """A learning rate as it should not be, and a loss that overflows with it."""
    net = binarize(model(), thresholds=SCHEDULE, quantizer=lambda: Uniform("int4", learned=True))
    annealer = ThresholdAnnealer(net, 50)

    def train_batches() -> None:
        for _ in range(50):
            net.zero_grad()
            net[0](torch.rand(4, 7)).square().sum().backward()
            for parameter in net[0].parameters():
                parameter.data -= 1e38 * parameter.grad
            annealer.step()

    with pytest.raises(
        UsageError,
        match=rf"^0 \(Linear\): its .* (is|are) not finite .* after batch \d+; {DIVERGED}$",
    ):
        train_batches()


def test_a_binarized_model_with_a_loaded_state_of_nan_is_not_exported() -> None:
    net, x = binarize(model(), thresholds=SCHEDULE), np.ones((2, 3, 7), np.uint8)
    state = net.state_dict()
    state["0.parametrizations.weight.original"][0, 0] = NAN
    net.load_state_dict(state)
    with pytest.raises(
        NotMappable,
        match=r"^0 \(Linear\): its parametrizations.weight.original, weight are not finite \(NaN\); train it",
    ):
        from_torch(net, x)


def test_nan_has_no_sign_and_no_level() -> None:
    latent = torch.tensor([[0.5, NAN, -0.5, 0.0]])
    for quantizer in (
        Signs(),
        Ternary(),
        Uniform("int4", learned=True),
        Frozen("binary", Latent(latent.numpy())),
    ):
        levels = quantizer.levels(latent)
        assert levels[0, 1].isnan(), type(quantizer)
        with pytest.raises(
            NotMappable,
            match="^its latent weights are not finite; train it again with a lower learning rate$",
        ):
            quantizer.frozen(latent).levels(quantizer.kind)
    for grid in (NAN, np.inf, 0.0):
        with pytest.raises(NotMappable, match="^its latent weights are not finite"):
            Latent(np.ones((2, 2), np.float32), np.full((), grid, np.float32)).levels("int4")


def test_ternary_weights_that_are_all_zero_have_level_zero() -> None:
    latent = torch.zeros(2, 3)
    assert not Ternary().levels(latent).any()
    assert not Ternary().frozen(latent).levels("ternary").any()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset(tiny_recipe().data, None)


class Kept(Progress):
    """What would have been kept of a run."""

    epochs: int = 0

    def keep(self, *_: Any, **__: Any) -> None:
        """Count."""
        self.epochs += 1


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("batch", "prune", "message", "kept"),
    [
        (8, None, "(NaN) after epoch 2 of phase A", 1),
        (
            8,
            0.5,
            "(NaN) after epoch 2 of phase A",
            1,
        ),  # not pruned away as the greatest, or the least
        (18, None, "(NaN) after epoch 3 of phase A", 2),  # its last batch
        (20, None, "(NaN) after epoch 1 of phase B", 3),
        (26, None, "(NaN) after epoch 1 of phase C", 4),
    ],
)
def test_a_recipe_ends_in_the_epoch_in_which_a_weight_is_none(
    data: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    prune: float | None,
    message: str,
    kept: int,
) -> None:
    """After the optimiser's step number `batch`.

    The state after the epoch is not kept, so that a run is never taken up from it.
    """
    steps, update = [0], Phase.update

    def updated(phase: Phase[Any]) -> None:
        update(phase)
        steps[0] += 1
        if steps[0] == batch:
            put(next(iter(phase.model.weights.values())))

    monkeypatch.setattr(Phase, "update", updated)
    recipe = Recipe.model_validate({**SETTINGS, "train": {**SETTINGS["train"], "prune": prune}})
    progress = Kept(None, recipe)
    with pytest.raises(
        UsageError, match=rf"(layer 1|conv1): its .*\bweight\b.*{re.escape(message)}; {DIVERGED}"
    ):
        train(recipe, data, progress=progress)
    assert progress.epochs == kept


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda net: put(net.layers[1].weight.weight),
            "layer 2: its weight is not finite (NaN) where it is folded",
        ),
        (
            lambda net: put(net.layers[0].norm.running_var, math.inf),
            "layer 1: its norm.running_var is not finite (infinite) where it is",
        ),
        (
            lambda net: net.layers[2].neurons.threshold.fill_(NAN),
            "layer 3: its threshold is not finite (NaN) where it is folded",
        ),
    ],
)
def test_folding_takes_no_numbers_that_are_none(
    data: Dataset, spoil: Callable[[Any], Any], message: str
) -> None:
    recipe = tiny_recipe()
    net = FloatNet(recipe.network, data.shape)
    spoil(net)
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        convert(net.eval(), recipe, data.shape, data.kind)


def test_the_twin_makes_no_integers_of_numbers_that_are_none(data: Dataset) -> None:
    recipe = tiny_recipe()
    twin: Twin = convert(
        FloatNet(recipe.network, data.shape).eval(), recipe, data.shape, data.kind
    ).twin
    assert twin.network().weighted.keys() == {"conv1", "conv2", "fc3"}
    put(twin.neurons["lif2"].bias)
    put(twin.weights["fc3"], math.inf)
    with pytest.raises(UsageError) as error:
        twin.network()
    where = f"where integers are made of it; {DIVERGED}"
    assert str(error.value) == (
        f"2 refusals:\n  fc3: its weight is not finite (infinite) {where}\n  lif2: its bias is not "
        f"finite (NaN) {where}"
    )


def test_thresholds_have_an_end() -> None:
    for keys in ({"start": math.inf}, {"start": 1.0, "schedule": "linear", "final": math.inf}):
        with pytest.raises(pydantic.ValidationError, match="finite number"):
            Threshold(**cast(Any, keys))


def hooked(net: Any) -> Any:
    net[0].register_forward_hook(print)
    return net


def replaced(net: Any) -> Any:
    net[3].forward = print
    return net


def test_binarize_takes_no_hooks_and_no_replaced_methods() -> None:
    for change, message in (
        (
            hooked,
            "0 (Linear): it has a forward hook (print), which may change what it gives; remove it: "
            "handle.remove()",
        ),
        (
            replaced,
            "3 (Linear): its forward was replaced on this one object (by print); write a class of "
            "its own, or bring it back:"
            " del module.forward",
        ),
    ):
        with pytest.raises(UsageError) as error:
            binarize(change(model()), thresholds=SCHEDULE)
        assert str(error.value) == f"the model cannot be binarized: {message}"
    net = binarize(
        hooked(model()), thresholds=SCHEDULE, skip=["0"]
    )  # which stays with all that is in it
    assert list(net[0]._forward_hooks.values()) == [print]
    handle = nn.modules.module.register_module_forward_pre_hook(print)
    try:
        with pytest.raises(
            UsageError,
            match=r"^the model cannot be binarized: torch: it has a global forward pre-hook \(print\), which may",
        ):
            binarize(model(), thresholds=SCHEDULE)
    finally:
        handle.remove()
