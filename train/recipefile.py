"""Recipe files: recipes as TOML, those that come with lehr, and `--set`."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from lehr.errors import UsageError
from lehr.leftovers import recover
from lehr.train.recipe import Recipe

ARMS = {"annealed": (), "binarized": ("train.thresholds=final",), "float": ("network.weights=float",)}
"""The arms in which any recipe can be run, to compare them, and what `--set` makes them: without annealing, and without binarizing."""


def bundled() -> dict[str, Path]:
    """The recipes that come with lehr, by name."""
    folder = Path(str(files("lehr.train"))) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(source: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe.

    Args:
        source: a path, or the name of a bundled recipe.
        overrides: assignments such as `train.lr=1e-3`, whose right side is a TOML value (or plain text).

    Raises:
        UsageError: naming the key, its value and what it may be.
    """
    path = bundled().get(source, Path(source))
    recover(path)
    if not path.is_file():
        raise UsageError(f"recipe {source!r} is neither a file nor a bundled recipe; use a path or one of {', '.join(bundled())}")
    try:
        return parse(path.read_text("utf-8"), str(source), overrides)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {source} cannot be read ({error}); give a TOML file in UTF-8") from None


def parse(text: str, source: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Make a recipe from TOML text; `source` names it in messages."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"recipe {source} is not TOML: {error}; correct it there") from None
    for override in overrides:
        _assign(told, override)
    try:
        return Recipe.model_validate(told)
    except ValidationError as error:
        raise UsageError(f"recipe {source}: {_sentence(error)}") from None


def to_toml(recipe: Recipe) -> bytes:
    """The recipe as TOML that reads back to the same recipe."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)).encode()


def _assign(told: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {override!r} is no assignment; write it as train.lr=1e-3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = key.split(".")
    here: Any = told
    for name in parents:
        here = here[int(name)] if isinstance(here, list) and name.isdigit() and int(name) < len(here) else _child(here, name, key)
    if isinstance(here, list) and last.isdigit() and int(last) < len(here):
        here[int(last)] = value
    elif isinstance(here, dict):
        here[last] = value
    else:
        raise UsageError(f"--set {key}: {last!r} is no key of the recipe; see 'lehr recipes copy' for one with all of them")


def _child(here: Any, name: str, key: str) -> Any:
    if not isinstance(here, dict):
        raise UsageError(f"--set {key}: {name!r} is no key of the recipe; see 'lehr recipes copy' for one with all of them")
    return here.setdefault(name, {})


def _sentence(error: ValidationError) -> str:
    """One sentence of pydantic's report: where, what was there, and what may be."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("conv", "linear"))
    if first["type"] == "extra_forbidden":
        return f"unknown key '{where}' (value {first['input']!r}); remove it or correct its spelling"
    if first["type"] == "missing":
        return f"'{where}' is missing; add it"
    return f"'{where or 'recipe'}' is {first['input']!r}: {first['msg'].removeprefix('Value error, ')}; correct it"
