"""Words that a shell offers when the tabulator is pressed, looked up without torch and numba.

A shell has no place for an error: where a file does not read, nothing is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import typer

Offer = str | tuple[str, str]
"""A word, or a word and its meaning."""
Callback = Callable[[typer.Context, str], list[Offer]]

_NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
"""NIR's types of neurons."""


def _silent(offers: Callable[[typer.Context, str], Iterator[Offer]]) -> Callback:
    """Offer the words that begin as typed; offer nothing where anything goes wrong."""

    @wraps(offers)
    def callback(ctx: typer.Context, incomplete: str) -> list[Offer]:
        try:
            words = list(offers(ctx, incomplete))
        except Exception:
            return []
        return [
            word
            for word in words
            if (word if isinstance(word, str) else word[0]).startswith(incomplete)
        ]

    return callback


def words(*known: str) -> Callback:
    """Return a completion that offers these words, of which there are no others."""

    def offers(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
        yield from known

    return _silent(offers)


_INTEGERS = tuple(f"int{bits}" for bits in range(2, 9))
integer_weights = words(*_INTEGERS)
weights = words("binary", "ternary", *_INTEGERS)
frames = words(
    *(f"{key}=" for key in ("step_us", "start_us", "steps", "downsample", "most", "unit")),
    *(f"{key}=" for key in ("run", "code", "threshold", "step_samples", "bands")),
    *(f"{key}=" for key in ("lowest_hz", "highest_hz")),
)


@_silent
def recipes(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
    """Offer the names of bundled recipes."""
    from lehr.train.bundled import bundled

    yield from bundled()


@_silent
def recipes_and_files(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:
    """Offer the names of bundled recipes, and recipe files."""
    yield from recipes(ctx, incomplete)
    folder, slash, _ = incomplete.rpartition("/")
    yield from (f"{folder}{slash}{path.name}" for path in Path(folder + slash).glob("*.toml"))


@_silent
def recipe_keys(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
    """Offer the keys of any recipe, and those in the lists of the recipe that the command names."""
    from lehr.mistakes import keys
    from lehr.train.recipe import Recipe

    known = list(dict.fromkeys((*keys(Recipe), *_keys_in(_first(ctx, "recipe")))))
    tables = {key[:at] for key in known for at, letter in enumerate(key) if letter == "."}
    yield from (f"{key}=" for key in known if key not in tables)


def _first(ctx: typer.Context, parameter: str) -> str:
    """Return a command's argument.

    While the value of an option is missing, typer has not yet taken it.
    """
    return str(ctx.params.get(parameter) or next(iter(ctx.args), ""))


def _keys_in(recipe: str) -> list[str]:
    """Return the dotted keys of a recipe's file; none if it does not exist or is no TOML."""
    import tomllib

    from lehr.train.bundled import bundled

    try:
        return list(_dotted(tomllib.loads(bundled().get(recipe, Path(recipe)).read_text("utf-8"))))
    except (OSError, ValueError, RecursionError):
        return []


def _dotted(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        parts = {str(at): each for at, each in enumerate(value)}.items()
    else:
        yield prefix
        return
    for name, each in parts:
        yield from _dotted(each, f"{prefix}.{name}" if prefix else name)


@_silent
def targets(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
    """Offer the names of targets."""
    from lehr.targets.declared import declared

    yield from sorted({point.name for point in declared()})


@_silent
def target_options(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
    """Offer the options of the target that the command names before."""
    from lehr.targets import registry

    target = registry.get(str(ctx.params.get("target")))
    yield from ((f"{key}=", meaning) for key, meaning in target.options.items())


@_silent
def engines(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:
    """Offer lehr's own engines, and targets, whose tools may be one."""
    from lehr.cli.engines import NAMES

    yield from NAMES
    yield from targets(ctx, incomplete)


@_silent
def neurons(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
    """Offer the layers of neurons of the network that the command names, and 'all'."""
    yield "all"
    yield from (name for name, kind in _nodes(ctx, "model") if kind in _NEURONS)


@_silent
def graph_neurons(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
    """Offer the layers of neurons of the graph that the command names."""
    yield from (name for name, kind in _nodes(ctx, "graph") if kind in _NEURONS)


def _nodes(ctx: typer.Context, parameter: str) -> Iterator[tuple[str, str]]:
    """Return the name and type of each node in the file that a parameter names."""
    from lehr.outline import outline

    nodes = outline(Path(_first(ctx, parameter))).nodes
    yield from ((name, node.kind) for name, node in nodes.items())


@_silent
def readers(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
    """Offer the tools whose importers files are written for."""
    from lehr.export.readers.importers import READERS

    yield from READERS


@_silent
def environments(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
    """Offer the tools that `lehr doctor --install` knows."""
    from lehr.targets import registry

    yield from registry.environments()


def zoo(ctx: typer.Context, incomplete: str) -> Iterator[Offer]:  # noqa: ARG001
    """Offer the names of the models that `lehr models get` writes."""
    from lehr.zoo.index import entries

    yield from ((name, entry.description) for name, entry in entries().items())
