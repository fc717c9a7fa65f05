"""The network that a recipe will leave, before it is trained.

It has its shape, random weights, and thresholds where annealing brings them.

What conversion, or a target, will refuse of it in hours is refused at once.
"""

from __future__ import annotations

import torch

from lehr.errors import NotMappable
from lehr.network import Network
from lehr.train.data import Dataset
from lehr.train.floats.model import FULL_SCALE, FloatNet
from lehr.train.keys.layer import Integrator
from lehr.train.keys.shares import Shares
from lehr.train.recipe import Recipe
from lehr.train.twin.convert import Converted, convert, finished


def full_scale(data: Dataset) -> int:
    """Return what the integers of a data set are divided by where phase A takes them."""
    return FULL_SCALE if data.steps is None else 1


def stand_in(recipe: Recipe, data: Dataset) -> Network:
    """Return the integer network of a recipe's shape.

    Args:
        recipe: of integer weights.
        data: whose samples enter it.

    Raises:
        NotMappable: when thresholds do not fit their grid, or integers float32, with every such
            layer.
        UsageError: when the network does not fit the data.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(recipe.seed)
        model = FloatNet(recipe.network, data.shape, full_scale(data)).eval()
        for block, layer in zip(model.layers, recipe.network.weighted, strict=True):
            if not isinstance(layer, Integrator):
                at_start = recipe.train.thresholds == "start" or layer.threshold.final is None
                block.neurons.threshold.fill_(
                    layer.threshold.start if at_start else layer.threshold.final or 0.0
                )
        if recipe.train.prune is not None:
            for weighted in model.quantized:
                weighted.quantizer.kept = (
                    torch.rand_like(weighted.weight) >= recipe.train.prune
                ).to(weighted.weight.dtype)
        converted = convert(model, recipe, data.shape, data.kind)
        if wrong := _off_the_grid(recipe, converted) + _above_registers(recipe, converted):
            raise NotMappable(*wrong)
        return finished(converted.twin, recipe)


def require_convertible(recipe: Recipe, data: Dataset) -> None:
    """Raise NotMappable where the integers that a recipe asks for do not come about.

    Those that any training leaves are not looked at.
    """
    net = recipe.network
    if net.integer and (net.arithmetic is not None or net.thresholds != Shares()):
        stand_in(recipe, data)


def _off_the_grid(recipe: Recipe, converted: Converted) -> list[str]:
    """Thresholds that would end above the highest, or below the least one."""
    shares, wrong = recipe.network.thresholds, []
    for number, (layer, fold) in enumerate(
        zip(recipe.network.weighted, converted.folds.values(), strict=True)
    ):
        if (
            isinstance(layer, Integrator) or layer.batch_norm
        ):  # which is still to set a scale of its own
            continue
        key, end = (
            f"{recipe.network.key(number)}.threshold",
            layer.threshold.final or layer.threshold.start,
        )
        if fold.clamped and shares.highest is not None:
            units = f"units of 2**-{fold.layer.fraction_bits} weights"
            wrong.append(
                f"{key} ends at {end:g}, which is more than network.thresholds.highest, "
                f"{shares.highest} {units}; "
                f"lower it, or use fewer fraction bits"
            )
        elif (least := int(fold.layer.threshold.min())) < shares.multiple:
            wrong.append(
                f"{key} ends at {end:g}, which is {least} in integers, below "
                f"network.thresholds.multiple, {shares.multiple}; "
                f"raise it, or use more fraction bits"
            )
    return wrong


def _above_registers(recipe: Recipe, converted: Converted) -> list[str]:
    """Thresholds that no membrane of the recipe's `state_bits` would exceed."""
    net, wrong = recipe.network, []
    given = net.arithmetic
    if given is None or given.state_bits is None:
        return []
    top = (1 << given.state_bits - 1) - 1
    most = top if given.fires == "ge" else top - 1  # that a membrane at the top fires at
    for number, (layer, fold) in enumerate(
        zip(net.weighted, converted.folds.values(), strict=True)
    ):
        if isinstance(layer, Integrator) or layer.batch_norm:
            continue
        if (least := int(fold.layer.threshold.min())) > most:
            key, end = net.key(number), layer.threshold.final or layer.threshold.start
            wrong.append(
                f"{key}.threshold ends at {end:g}, which is {least:,} in integers of "
                f"{fold.layer.fraction_bits} fraction bits, but a membrane of "
                f"network.arithmetic.state_bits, {given.state_bits}, is at most {top:,}, and would "
                f"never fire; give fewer {key}.fraction_bits or more state_bits, or lower it"
            )
    return wrong
