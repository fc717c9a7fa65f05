"""Every key of a recipe, with wrong values: a line that names the key, and never a traceback.

Which values are wrong is what the JSON schema says; what else is refused is said as plainly.
"""

from __future__ import annotations

import copy
import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from commands import Lehr
from jsonschema import Draft202012Validator

from lehr.errors import UsageError
from lehr.train.recipefile import parse
from lehr.train.schema import recipe_schema

Table = dict[str, Any]
SCHEMA = recipe_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
LONGEST = 400
"""Letters of a sentence: no whole table is in one."""

WRONG: tuple[Any, ...] = (
    "zz",
    "3",
    "7/0",
    "a\nb",
    "",
    -1,
    0,
    -0.5,
    1.5,
    10**25,
    1e300,
    math.nan,
    math.inf,
    True,
    False,
    [],
    [1, 2, 3],
    ["zz"],
    {},
    {"zz": 1},
    datetime.date(2020, 1, 1),
)
LINEAR = {
    "type": "linear",
    "features": 10,
    "threshold": {"start": 1.0, "final": 2.0, "rate": 0.1},
}
CONV = {**LINEAR, "type": "conv", "channels": 4, "kernel": 3, "padding": 1}
del CONV["features"]
LEARNED = {"start": "7/8", "learn": "layer", "bits": 6}
INTEGRATOR = {"type": "integrator", "features": 10}
EVENTS = {"name": "digits", "encoding": "rate", "steps": 8}
CAMERA = {
    "name": "nmnist",
    "steps": 8,
    "step_ms": 1.0,
    "transforms": [
        {"name": "Denoise", "filter_time": 3},
        {"name": "RefractoryPeriod", "delta": 3},
        {"name": "DropPixel", "hot_pixel_frequency": 3},
    ],
}
ADAPTING = (
    {**LINEAR, "adaptation": {"type": "threshold", "jump": 0.5, "beta": "1/2"}},
    {
        **LINEAR,
        "recurrent": True,
        "adaptation": {"type": "current", "jump": 0.5, "beta": "1/2", "membrane": "1/4"},
    },
)
DELAYED = {**CONV, "delay": {"max": 3, "lr": 0.1, "until": 0.5}, "beta": LEARNED, "alpha": LEARNED}
ADD = {"type": "add", "from": ["conv1", "conv2"], "name": "sum"}
STATE = {"state_bits": 16, "reset": "zero", "overflow": "saturate"}
XYLO = {"machine": "xylo", "parameters": {"dash_syn": 2}, "output_spikes": 1}
ADDED = {
    "augment": {"drop": 0.1, "mix": 0.1},
    "rate_penalty": {"target": 0.1, "weight": 1.0},
    "teacher": {"run": "r", "share": 0.5, "temperature": 2.0},
    "init_from": {"run": "r", "layers": [0]},
    "weight_noise": {"deviation": 0.1},
    "lr_schedule": {"name": "cosine", "period": 3},
}
SEARCH = {
    "objectives": ["accuracy", "c.flash"],
    "keys": {"train.lr": {"low": 1e-3, "high": 1e-2, "log": True}},
    "builds": {"c": {"options": {"device": "nrf52832"}, "measure": True}},
}


def _recipe(
    *layers: Table,
    data: Table = EVENTS,
    network: Table | None = None,
    train: Table | None = None,
    **tables: Table,
) -> Table:
    """Return a recipe of these layers, as the table that one writes."""
    recipe = {
        "name": "right",
        "description": "what is changed",
        "data": data,
        "network": {
            "steps": 8,
            "beta": "3/4",
            "slope": 2.0,
            "layers": [*(layers or (CONV, LINEAR))],
            **(network or {}),
        },
        "train": {"epochs": 2, "batch_size": 8, "lr": 1e-3, **(train or {})},
        "finetune": {"epochs": 1, "frozen_epochs": 1, "lr": 1e-3, "threshold_lr": 1e-3},
        **tables,
    }
    return copy.deepcopy(recipe)


RECIPES = {
    "plain": _recipe(data=CAMERA),
    "rows": _recipe({**CONV, "type": "conv1d"}, INTEGRATOR, train={"objective": "cross-entropy"}),
    "graph": _recipe(CONV, DELAYED, ADD, LINEAR),
    "adapting": _recipe(*ADAPTING),
    "machine": _recipe(network={"arithmetic": XYLO}),
    "fields": _recipe(network={"arithmetic": STATE, "thresholds": {"multiple": 1}}),
    "added": _recipe(train=ADDED),
    "searched": _recipe(search=SEARCH),
    "constrained": _recipe(train={"constrained": {"rate": 0.01, "after": 0.5}}),
}
"""Every table that a recipe may have is in one of them."""


@pytest.mark.parametrize("name", RECIPES)
def test_wrong_values_are_refused_by_the_key(name: str) -> None:
    right = RECIPES[name]
    parse(tomli_w.dumps(right), "right")
    refused = 0
    for keys in _keys(name):
        for value in WRONG:
            sentences = _refusal(right, keys, value)
            wrong = not VALIDATOR.is_valid(_changed(right, keys, value))
            assert bool(sentences) or not wrong, (keys, value)
            for sentence in sentences:
                assert len(sentence.splitlines()) == 1, sentence
                assert len(sentence) < LONGEST, sentence
                for strange in ("Input should", "validation", "Traceback", "pydantic"):
                    assert strange not in sentence, sentence
            if wrong:
                dotted = ".".join(map(str, keys))
                assert any(_names(sentence, dotted) for sentence in sentences), sentences
                refused += 1
    assert refused > 50


def test_every_table_is_tried() -> None:
    tried = [id(table) for name in RECIPES for table, _ in _new_tables(name)]
    assert {id(table) for table in SCHEMA["$defs"].values()} < {*tried}
    assert len({*tried}) == len(tried)


def test_the_command_ends_with_2_and_writes_nothing(lehr: Lehr, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(tomli_w.dumps(_changed(RECIPES["added"], ("train", "epochs"), True)))
    ran = lehr("train", file, "-o", tmp_path / "run")
    assert (ran.code, ran.out) == (2, "FAIL\n")
    assert ran.err == f"error: recipe {file}: 'train.epochs' is True; give a whole number\n"
    assert [*tmp_path.iterdir()] == [file]


# -------------------------------------------------------------------- values
def _changed(right: Table, keys: tuple[Any, ...], value: Any) -> Table:
    table = copy.deepcopy(right)
    here: Any = table
    for key in keys[:-1]:
        here = here[key]
    here[keys[-1]] = value
    return table


def _refusal(right: Table, keys: tuple[Any, ...], value: Any) -> tuple[str, ...]:
    try:
        parse(tomli_w.dumps(_changed(right, keys, value)), "right")
    except UsageError as error:
        return tuple(str(reason) for reason in error.args)
    return ()


def _names(sentence: str, dotted: str) -> bool:
    """Whether a sentence has the key: dotted, or its table's and then its own."""
    table, _, key = dotted.rpartition(".")
    return dotted in sentence or (bool(table) and table in sentence and f"{key} is" in sentence)


# -------------------------------------------------------------------- the schema
def _keys(name: str) -> Iterator[tuple[Any, ...]]:
    """Yield every key that a recipe may have in tables that those before it do not have."""
    for schema, path in _new_tables(name):
        for key, value in schema["properties"].items():
            if "const" not in value:  # which table it is
                yield (*path, key)


def _new_tables(name: str) -> list[tuple[Table, tuple[Any, ...]]]:
    """Return the first table of each kind in a recipe that no recipe before it has."""
    found: dict[int, tuple[str, Table, tuple[Any, ...]]] = {}
    for recipe, right in RECIPES.items():
        for schema, path in _tables(right):
            found.setdefault(id(schema), (recipe, schema, path))
    return [(schema, path) for recipe, schema, path in found.values() if recipe == name]


def _tables(
    table: Table, schema: Table = SCHEMA, path: tuple[Any, ...] = ()
) -> Iterator[tuple[Table, tuple[Any, ...]]]:
    """Yield what the schema says of each table in a recipe, and where that is."""
    yield schema, path
    for key, value in table.items():
        named = schema["properties"].get(key, {}).get("additionalProperties")
        for name, each in value.items() if named else ():  # tables by names of the user's
            inner = _of(named, each) if isinstance(each, dict) else None
            if inner is not None:
                yield from _tables(each, inner, (*path, key, name))
        for place, each in enumerate(value) if isinstance(value, list) else [(None, value)]:
            inner = _of(schema["properties"].get(key, {}), each) if isinstance(each, dict) else None
            if inner is not None:
                where = (*path, key) if place is None else (*path, key, place)
                yield from _tables(each, inner, where)


def _of(schema: Any, table: Table) -> Table | None:
    """Return the part of a schema that a table is of."""
    found: list[Table] = []
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if "$ref" in one:
            one = SCHEMA["$defs"][one["$ref"].rpartition("/")[2]]
        if "properties" in one:
            found.append(one)
        waiting += [*one.get("anyOf", ()), *one.get("oneOf", ())]
        waiting += [one["items"]] if "items" in one else []
    return next((each for each in found if _is_of(table, each)), None)


def _is_of(table: Table, schema: Table) -> bool:
    return all(
        "const" not in value or table.get(key) == value["const"]
        for key, value in schema["properties"].items()
    )
