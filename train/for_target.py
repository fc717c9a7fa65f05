"""A recipe in the form that a target's machine asks for.

It is refused before training where a network of it would not map.

recipe = for_target(load("digits"), registry.get("mychip"), data)
trained = train(recipe, data)
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, get_args

from pydantic import ValidationError

from lehr.errors import NotMappable, UsageError
from lehr.machines import MACHINES
from lehr.mistakes import mistakes
from lehr.network import Network
from lehr.targets import registry
from lehr.targets.contract import Target
from lehr.targets.training_form import Share, TrainingForm, said_by
from lehr.train.data import Dataset
from lehr.train.keys.updates import decay_parameters
from lehr.train.recipe import Recipe
from lehr.train.stand_in import stand_in

_DECAY = ("decay_numerator", "decay_shift")
_COARSER: tuple[Share, ...] = get_args(Share)
"""Each share keeps what those before it ask."""


def for_target(recipe: Recipe, target: Target, data: Dataset) -> Recipe:
    """Return the recipe with what the target's `TrainingForm` says, and the target's name in it.

    A recipe in the form comes back equal.

    Args:
        recipe: of the run.
        target: to train for.
        data: of the run.

    Raises:
        NotMappable: when the recipe contradicts the form, or the target refuses a network of the
            recipe's shape: everything that does.
        UsageError: when the network does not fit the data.
    """
    tables = recipe.model_dump(exclude_unset=True) | {"target": target.name}
    problems = [] if target.training is None else list(_apply(tables["network"], target.training))
    if not recipe.network.integer:
        problems.append(
            f"network.weights is '{recipe.network.weights}', which is not exported; leave it out"
        )
    elif "weights" not in tables["network"] and "binary" not in target.weights:
        tables["network"]["weights"] = target.weights[0]
    formed, refused = _validated(tables)
    problems += refused
    if formed is not None and formed.network.integer:
        try:
            problems += map(str, target.check(_then(stand_in(formed, data), target.training)))
        except NotMappable as error:
            problems += map(str, error.args)
    if formed is None or problems:
        raise NotMappable(*problems).about(
            f"recipe {recipe.name} does not train for target {target.name}: "
        )
    return formed


def target_of(recipe: Recipe, name: str | None) -> Target | None:
    """Return the target that a recipe is trained for; None where it is for none.

    Args:
        recipe: that may be in a target's form already.
        name: of a target; that of the recipe if None.

    Raises:
        UsageError: when there is no such target, or the recipe is for another.
    """
    if name is not None and recipe.target not in (None, name):
        raise UsageError(
            f"--target {name}: recipe {recipe.name} is for target {recipe.target}; take the recipe "
            "that it was made of"
        )
    named = name or recipe.target
    return None if named is None else registry.get(named)


def _then(net: Network, form: TrainingForm | None) -> Network:
    """Return what of a trained network is shown to the target."""
    return (
        net
        if form is None or form.machine is None or form.then is None
        else said_by(net, form.machine, form.then)
    )


def _validated(tables: dict[str, Any]) -> tuple[Recipe | None, list[str]]:
    """Return the recipe, and what is wrong with it.

    Where that is biases and batch norms alone, it is a recipe without them, to see what else is.
    """
    try:
        return Recipe.model_validate(tables), []
    except ValidationError as error:
        sentences = mistakes(error, Recipe)
    off = {"bias": False, "batch_norm": False}
    layers = [
        {**layer, **{key: value for key, value in off.items() if key in layer}}
        for layer in tables["network"]["layers"]
    ]
    try:
        return Recipe.model_validate(
            {**tables, "network": {**tables["network"], "layers": layers}}
        ), sentences
    except ValidationError:
        return None, sentences


def _apply(network: dict[str, Any], form: TrainingForm) -> Iterator[str]:
    """Put what the form says into a network's table, in place.

    What the table says against it comes out in sentences.
    """
    network.setdefault("slope_in", "thresholds")
    yield from _apply_arithmetic(network, form)
    yield from _apply_thresholds(network.setdefault("thresholds", {}), form)
    if not form.biases and network.setdefault("biases", False):
        network["biases"] = False
        yield "network.biases is true, but the machine has none; leave it out"
    if form.fraction_bits is not None:
        for layer in network["layers"]:
            if layer["type"] != "add" and layer.get("fraction_bits") is None:
                layer["fraction_bits"] = form.fraction_bits


def _apply_arithmetic(network: dict[str, Any], form: TrainingForm) -> Iterator[str]:
    given = dict(network.get("arithmetic") or {})
    asked: dict[str, Any] = {
        name: value for name, value in form.arithmetic.items() if name not in _DECAY
    }
    asked |= {} if form.machine is None else {"machine": form.machine}
    for name, value in asked.items():
        if given.get(name) not in (None, value):
            yield (
                f"network.arithmetic.{name} is {given[name]!r}, but the machine asks for "
                f"{value!r}; leave it out"
            )
    if form.machine is None and given.get("machine") is not None:
        yield (
            f"network.arithmetic.machine is {given['machine']!r}, but the machine asks for fields "
            "of an arithmetic; leave it out"
        )
        given = {}
    if form.output_spikes is not None:
        if (given.get("output_spikes") or 0) > form.output_spikes:
            yield (
                f"network.arithmetic.output_spikes is {given['output_spikes']}, but the machine "
                f"has {form.output_spikes}; lower it"
            )
        asked["output_spikes"] = min(
            given.get("output_spikes") or form.output_spikes, form.output_spikes
        )
    yield from _apply_decay(network, form)
    yield from _of_resets(network, form)
    if form.parameters:
        by_beta = (
            decay_parameters(MACHINES[form.machine])
            if form.machine and network.get("beta") is not None
            else set()
        )
        asked["parameters"] = {
            **{name: value for name, value in form.parameters.items() if name not in by_beta},
            **given.get("parameters", {}),
        }
    if arithmetic := {**given, **asked}:
        network["arithmetic"] = arithmetic


def _apply_decay(network: dict[str, Any], form: TrainingForm) -> Iterator[str]:
    if not any(name in form.arithmetic for name in _DECAY):
        return
    beta = Fraction(
        int(form.arithmetic["decay_numerator"]), 1 << int(form.arithmetic["decay_shift"])
    )
    if network.get("beta") is not None and Fraction(network["beta"]) != beta:
        yield (
            f"network.beta is '{network['beta']}', but the machine decays by '{beta}' alone; set "
            f"it to '{beta}'"
        )
    network["beta"] = str(beta)
    for number, layer in enumerate(network["layers"]):
        own = layer.get("beta")
        if isinstance(own, dict) or (own is not None and Fraction(own) != beta):
            given = "learned" if isinstance(own, dict) else f"'{own}'"
            yield (
                f"network.layers.{number}.beta is {given}, but the machine decays by '{beta}' "
                "alone; leave it out"
            )


def _of_resets(network: dict[str, Any], form: TrainingForm) -> Iterator[str]:
    asked = form.arithmetic.get("reset")
    for number, layer in enumerate(network["layers"]):
        if asked is not None and layer.get("reset") not in (None, asked):
            yield (
                f"network.layers.{number}.reset is '{layer['reset']}', but the machine asks for "
                f"'{asked}'; leave it out"
            )


def _apply_thresholds(given: dict[str, Any], form: TrainingForm) -> Iterator[str]:
    key = "network.thresholds"
    if _COARSER.index(given.setdefault("share", form.share)) < _COARSER.index(form.share):
        yield (
            f"{key}.share is '{given['share']}', but the machine has one threshold for each "
            f"{form.share}; leave it out"
        )
        given["share"] = form.share
    if given.setdefault("multiple", form.multiple) % form.multiple:
        yield (
            f"{key}.multiple is {given['multiple']}, but the machine's thresholds are multiples of "
            f"{form.multiple}; leave it out"
        )
        given["multiple"] = form.multiple
    if form.highest is not None:
        if (given.get("highest") or 0) > form.highest:
            yield (
                f"{key}.highest is {given['highest']}, but the machine's greatest threshold is "
                f"{form.highest}; lower it"
            )
        given["highest"] = min(given.get("highest") or form.highest, form.highest)
