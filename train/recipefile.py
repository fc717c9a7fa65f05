"""Recipe files: recipes as TOML, those that come with lehr, and `--set`."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from lehr.errors import FileRefused, UsageError
from lehr.leftovers import recover
from lehr.mistakes import Mistakes, mistakes
from lehr.reading import read_text
from lehr.spelling import nearest
from lehr.toml import table_of
from lehr.train.bundled import bundled as bundled
from lehr.train.keys.float_arm import float_arm, is_float, of_the_arm
from lehr.train.recipe import Recipe

RECIPE_BYTES = 1 << 20
Override = str | tuple[str, Any]
"""An assignment such as `train.lr=1e-3`, or a key and the value that it gets.

The right side of an assignment is a TOML value (or plain text).
"""
ARMS = {
    "annealed": (),
    "binarized": ("train.thresholds=final",),
    "float": ("network.weights=float",),
}
"""The arms in which any recipe can be run, to compare them, and what `--set` makes them.

They are without annealing, and without binarizing.
"""


def load(source: str, overrides: tuple[Override, ...] = ()) -> Recipe:
    """Read a recipe.

    Args:
        source: a path, or the name of a bundled recipe.
        overrides: keys that are changed, in this order.

    Raises:
        UsageError: naming the key, its value and what it may be.
    """
    return parse(text_of(source), str(source), overrides)


def text_of(source: str) -> str:
    """Return the text of a recipe: of a path, or of the name of a bundled one.

    Raises:
        UsageError: when there is none, or it is no text.
    """
    path = bundled().get(source, Path(source))
    recover(path)
    if not path.exists():
        remedy = nearest(source, bundled()) or f"use a path or one of {', '.join(bundled())}"
        raise UsageError(f"recipe {source!r} is neither a file nor a bundled recipe; {remedy}")
    try:
        return read_text(path, RECIPE_BYTES, "give a recipe, a TOML file in UTF-8")
    except FileRefused as error:
        raise UsageError(f"recipe {error}") from None


def parse(text: str, source: str, overrides: tuple[Override, ...] = ()) -> Recipe:
    """Make a recipe from TOML text; `source` names it in messages."""
    table = table_of(text, f"recipe {source}")
    changed = copy.deepcopy(table)
    wrong = [sentence for override in overrides if (sentence := _assign(changed, override))]
    arm = changed["float"] if is_float(changed) and isinstance(changed.get("float"), dict) else {}
    try:
        recipe = Recipe.model_validate(_float_arm(table, arm, overrides) if arm else changed)
    except ValidationError as error:
        sentences = [of_the_arm(each, arm) if arm else each for each in mistakes(error, Recipe)]
        wrong += [f"recipe {source}: {sentence}" for sentence in sentences]
    except Mistakes as error:
        wrong += [f"recipe {source}: {sentence}" for sentence in error.args]
    if wrong:
        raise UsageError(*wrong)
    if not recipe.name.isprintable():
        raise UsageError(
            f"recipe {source}: 'name' is {recipe.name!r}, which cannot be printed; use letters, "
            "digits and signs"
        )
    return recipe


def to_toml(recipe: Recipe) -> bytes:
    """Return the recipe as TOML that reads back to the same recipe."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)).encode()


def _float_arm(
    table: dict[str, Any], of_the_arm: dict[str, Any], overrides: tuple[Override, ...]
) -> dict[str, Any]:
    """Return a recipe's table as its float arm has it; what `--set` says goes before that."""
    merged = float_arm({**table, "float": of_the_arm})
    for override in overrides:
        if not _key_and_value(override)[0].startswith("float"):
            _assign(merged, override)
    return merged


def _key_and_value(override: Override) -> tuple[str, Any]:
    """Return what is changed, and into what; no key where nothing is assigned."""
    if not isinstance(override, str):
        return override
    key, equals, text = override.partition("=")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text
    return key if equals else "", value


def _assign(table: dict[str, Any], override: Override) -> str:
    """Set a key; the sentence that says why it cannot be, else nothing."""
    key, value = _key_and_value(override)
    if not key:
        return f"--set {override!r} is no assignment; write it as train.lr=1e-3"
    *parents, last = key.split(".")
    here: Any = table
    for name in parents:
        if not _holds(here, name):
            return _no_key(key, name, here)
        here = here[int(name)] if isinstance(here, list) else here.setdefault(name, {})
    if not _holds(here, last):
        return _no_key(key, last, here)
    here[int(last) if isinstance(here, list) else last] = value
    return ""


def _holds(here: Any, name: str) -> bool:
    """Whether a table may have a key, or a list has a place, of that name."""
    return isinstance(here, dict) or (
        isinstance(here, list) and name.isdecimal() and int(name) < len(here)
    )


def _no_key(key: str, name: str, here: Any) -> str:
    way_out = (
        f"the list has 0 to {len(here) - 1}"
        if isinstance(here, list)
        else "see 'lehr recipes copy' for one with all of them"
    )
    return f"--set {key}: {name!r} is no key of the recipe; {way_out}"
