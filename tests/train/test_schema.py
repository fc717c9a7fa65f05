"""The JSON schema of recipes: it takes what lehr takes, and says what each key is."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from commands import Lehr
from jsonschema import Draft202012Validator
from tiny import SETTINGS

from lehr.train.bundled import bundled
from lehr.train.keys.data import DATA_SETS
from lehr.train.recipe import Recipe
from lehr.train.schema import recipe_schema


@pytest.fixture(scope="module")
def validator() -> Any:
    Draft202012Validator.check_schema(recipe_schema())
    return Draft202012Validator(recipe_schema())


@pytest.mark.parametrize("name", bundled())
def test_bundled_recipes_are_valid(validator: Any, name: str) -> None:
    validator.validate(tomllib.loads(bundled()[name].read_text("utf-8")))


@pytest.mark.parametrize(
    ("table", "key", "value", "path"),
    [
        ("train", "learning_rate", 1e-3, ["train"]),
        ("train", "epochs", 1.5, ["train", "epochs"]),
        ("train", "optimizer", "adamwww", ["train", "optimizer"]),
        ("train", "lr", 0, ["train", "lr"]),
        ("data", "name", "digit", ["data", "name"]),
        ("network", "weights", "int9", ["network", "weights"]),
    ],
)
def test_wrong_keys_and_values_are_marked(
    validator: Any, table: str, key: str, value: object, path: list[str]
) -> None:
    wrong = {**SETTINGS, table: {**SETTINGS[table], key: value}}
    [error] = validator.iter_errors(wrong)
    assert list(error.absolute_path) == path
    assert validator.is_valid(SETTINGS)


def test_values_that_lehr_writes_otherwise_are_valid(validator: Any) -> None:
    """A number in place of a fraction, a folder in place of a table of it."""
    network, training = SETTINGS["network"], SETTINGS["train"]
    loose = {
        **SETTINGS,
        "network": {**network, "beta": 0.75},
        "train": {**training, "teacher": "run", "init_from": {"run": "run", "layers": [0]}},
    }
    validator.validate(loose)
    assert Recipe.model_validate(loose).network.beta == "0.75"
    wrong = {**loose, "train": {**training, "teacher": {"run": "run", "share": 2}}}
    assert not validator.is_valid(wrong)


def test_a_layer_is_of_one_kind(validator: Any) -> None:
    network = {**SETTINGS["network"], "layers": [{"type": "linear", "channels": 3}]}
    assert not validator.is_valid({**SETTINGS, "network": network})


def test_every_key_says_what_it_is() -> None:
    schema = recipe_schema()
    tables = {"recipe": schema, **schema["$defs"]}
    assert len(tables) > 10
    for name, table in tables.items():
        assert table["description"], name
        assert "Attributes" not in table["description"]
        for key, value in table["properties"].items():
            shown = "$ref" in str(value) or "const" in value
            assert shown or value.get("description"), (name, key)
    assert tables["Training"]["properties"]["warmup"]["description"] == (
        "the share of phase A in which the learning rate first rises to what its schedule says, "
        "on a straight line from 0."
    )
    assert tables["DataRecipe"]["properties"]["name"]["enum"] == [*DATA_SETS]


def test_the_command_prints_it_or_writes_it(lehr: Lehr, tmp_path: Path) -> None:
    printed = lehr("recipes", "schema")
    assert (printed.code, json.loads(printed.out)) == (0, recipe_schema())
    file = tmp_path / "recipe.schema.json"
    wrote = lehr("recipes", "schema", "-o", file)
    assert wrote.code == 0
    assert f"#:schema {file}" in wrote.out.replace("\n", " ")
    assert json.loads(file.read_text("utf-8")) == recipe_schema()
    as_json = json.loads(lehr("recipes", "schema", "--json").out)
    assert as_json["recipe_schema"] == recipe_schema()
