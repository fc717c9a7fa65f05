"""Reasons to doubt a finished training.

Thresholds that are still on their way, answers at chance level, neurons that never or always fire:
each concern is a sentence that says what was measured, and which keys of the recipe to change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from scipy.stats import binom

from lehr.train.data import Dataset
from lehr.train.data.source import NONE
from lehr.train.floats.model import FloatNet
from lehr.train.keys.threshold import Threshold
from lehr.train.learning.evaluation import activity, answers
from lehr.train.learning.selection import ARRIVED, chosen, gone
from lehr.train.objectives.objective import objective
from lehr.train.objectives.timed import TIMED
from lehr.train.recipe import Recipe
from lehr.train.runs.quick import arrival_batches, arrival_rate
from lehr.train.twin.network import Twin

CONFIDENCE = 0.95
"""Of the interval in which the share of right answers of one who guesses lies."""

MANY = 0.5
"""Above this share of a layer's neurons that never fire, or always, there is reason for concern.

A fifth of silent ones is usual: of `digits` 51 of 512, 53 of 256 and none of 10.
"""

_SLOWER = {
    "exponential": ("rate", "lower"),
    "linear": ("until", "raise"),
    "cosine": ("until", "raise"),
    "step": ("until", "raise"),
    "restarts": ("until", "raise"),
    "rate-controlled": ("floor", "raise"),
}
"""By schedule, the key that slows annealing down, and which way."""


def concerns(
    recipe: Recipe, model: FloatNet | Twin, metrics: Sequence[dict[str, Any]], data: Dataset
) -> list[str]:
    """Say what of a trained network its user should know before using it.

    Args:
        recipe: that was trained by.
        model: the network that was chosen; it is run on the validation samples.
        metrics: one entry per epoch.
        data: that was trained on; the test split is not touched.
    """
    return [
        *_of_thresholds(recipe, chosen(metrics, "A")["thresholds"], len(data.train)),
        *_of_chance(recipe, model, data),
        *_of_neurons(recipe, model, data),
    ]


def _of_thresholds(recipe: Recipe, thresholds: list[float], samples: int) -> Iterator[str]:
    """Compare where phase A left the thresholds with where the recipe wants them."""
    if recipe.train.thresholds != "annealed":
        return
    late = {
        number: (now, schedule)
        for number, (now, schedule) in enumerate(
            zip(thresholds, recipe.network.annealed, strict=True)
        )
        if schedule.schedule == "exponential" and 1 - gone(now, schedule) > ARRIVED
    }
    if not late:
        return
    per_epoch = -(-samples // recipe.train.batch_size)
    layers = ", ".join(
        f"lif{number + 1} {now:.4g} of {schedule.final:.4g} "
        f"({100 * gone(now, schedule):.0f} % of its way)"
        for number, (now, schedule) in late.items()
    )
    slowest = min(schedule.rate or 0.0 for _, schedule in late.values())
    rate = _rounded_up(arrival_rate(recipe.train.epochs * per_epoch))
    rates = ", ".join(
        f"{recipe.network.key(number)}.threshold.rate={rate:g} (now {schedule.rate:g})"
        for number, (_, schedule) in late.items()
    )
    longer = (
        f"train longer, train.epochs={math.ceil(arrival_batches(slowest) / per_epoch)} (now "
        f"{recipe.train.epochs}), or "
        if slowest
        else ""
    )
    yield (
        f"thresholds had not arrived at their final values when phase A ended: {layers}; "
        f"{longer}anneal faster, {rates}"
    )


def _of_chance(recipe: Recipe, model: FloatNet | Twin, data: Dataset) -> Iterator[str]:
    """Compare the accuracy on the validation samples with that of guessing."""
    if recipe.train.objective in TIMED:  # whose samples have no classes
        return
    labels = data.validation.y
    right, asked = answers(model, data.validation, objective(recipe, data))
    # a network that knows nothing mostly says the same in all steps of a sample: one guess
    guesses = len(labels) if labels.ndim == 1 else int((labels != NONE).any(axis=1).sum())
    if not asked:
        yield (
            f"none of the {len(labels):,} validation samples has a label at any step, so that no "
            "epoch is better than another; give more training samples labels, or set another "
            "data.seed"
        )
        return
    interval = binom.interval(CONFIDENCE, guesses, 1 / data.classes)
    low, high = (int(count) / guesses for count in interval)
    if right / asked > high:
        return
    one_each = asked == len(labels)
    of_which = "" if one_each else f"{asked:,} steps with a label of "
    once = "" if one_each else ", once for each sample,"
    kind = "integer" if isinstance(model, Twin) else "float"
    limit = recipe.data.train_samples
    more = "" if limit is None else f", on more samples, data.train_samples (now {limit:,})"
    yield (
        f"the {kind} network is at chance level: {100 * right / asked:.2f} % of {of_which}"
        f"{guesses:,} validation samples are right, and who guesses{once} among {data.classes} "
        f"classes has {100 * low:.2f} % to {100 * high:.2f} % (95 % interval); "
        f"train longer, train.epochs (now {recipe.train.epochs}){more}, or with another train.lr "
        f"(now {recipe.train.lr:g})"
    )


def _of_neurons(recipe: Recipe, model: FloatNet | Twin, data: Dataset) -> Iterator[str]:
    """Count the neurons that say nothing, as they always do the same."""
    layers, samples = activity(model, data.validation), len(data.validation)
    for number, (layer, schedule) in enumerate(zip(layers, recipe.network.annealed, strict=True)):
        for count, state in ((layer.silent, "never"), (layer.always_on, "always")):
            if count > MANY * layer.neurons:
                yield (
                    f"lif{number + 1}: {count:,} of {layer.neurons:,} neurons "
                    f"({100 * count / layer.neurons:.0f} %) {state} fired on the {samples:,} "
                    f"validation samples; {_way_out(recipe.network.key(number), schedule, state)}"
                )


def _way_out(layer: str, schedule: Threshold, state: str) -> str:
    """Name the keys of a layer's threshold that let it fire more, or less."""
    key = f"{layer}.threshold"
    if state == "always":
        names = ("start",) if schedule.final is None else ("final", "start")
        return "raise " + " or ".join(_now(key, name, schedule) for name in names)
    if schedule.held or schedule.learned:
        return f"lower {_now(key, 'start', schedule)}"
    slow, direction = _SLOWER[schedule.schedule]
    lower = [_now(key, name, schedule) for name in ("final", "start") if getattr(schedule, name)]
    slower = f"{direction} {_now(key, slow, schedule)}"
    return f"lower {' or '.join(lower)}, or anneal more slowly: {slower}"


def _now(key: str, name: str, schedule: Threshold) -> str:
    """Name a key of a threshold, and its value where it has one."""
    value = getattr(schedule, name)
    return f"{key}.{name}" + ("" if value is None else f" (now {value:g})")


def _rounded_up(rate: float) -> float:
    """Return a rate with two digits, no lower than it is."""
    scale = 10.0 ** (1 - math.floor(math.log10(rate)))
    return min(1.0, math.ceil(rate * scale) / scale)
