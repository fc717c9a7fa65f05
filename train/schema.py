"""The JSON schema of recipes: keys, values and what they mean, for editors that complete and check.

What single keys are is in it; what keys say against each other, reading a recipe tells.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from lehr.train.recipe import Recipe

_SECTION = "Attributes:\n"
_ENTRY = re.compile(r"^    (\w+(?:, \w+)*): (.*(?:\n     .*)*)", re.MULTILINE)


def recipe_schema() -> dict[str, Any]:
    """Return the JSON schema, of draft 2020-12, with the docstrings' words as descriptions."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **Recipe.model_json_schema(schema_generator=_Described),
        "title": "lehr recipe",
    }


class _Described(GenerateJsonSchema):
    """Takes descriptions from where the classes have them: their docstrings."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """Return false: a key needs no second name."""
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Describe a table and its keys."""
        table = super().model_schema(schema)
        del table["title"]
        table["description"] = (inspect.getdoc(schema["cls"]) or "").partition(_SECTION)[0].strip()
        for name, text in _attributes(schema["cls"]).items():
            if name in table["properties"]:
                table["properties"][name]["description"] = text
        return table


def _attributes(table: type[BaseModel]) -> dict[str, str]:
    """Return what docstrings say of a table's keys, those of its base classes too."""
    texts: dict[str, str] = {}
    for each in reversed(table.__mro__):
        section = inspect.cleandoc(each.__doc__ or "").partition(_SECTION)[2]
        texts |= {
            name.removesuffix("_"): " ".join(text.split())  # as from_, a word of Python's
            for names, text in _ENTRY.findall(section)
            for name in names.split(", ")
        }
    return texts
