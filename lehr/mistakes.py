"""The mistakes in a table of keys, in sentences: each with its place, and what would be right.

The tables are recipes, and the descriptions of devices.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lehr.spelling import nearest
from lehr.strict import TABLE, WORD

_REMEDIES: Mapping[str, str] = {
    "int_type": "give a whole number",
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "float_type": "give a number",
    "float_parsing": "give a number",
    "finite_number": "give a finite number",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "string_type": "give text in quotes",
    "tuple_type": "give a list, as in [1, 2]",
    "list_type": "give a list, as in [1, 2]",
    "too_long": "give at most {max_length} values",
    "too_short": "give at least {min_length}",
    "string_too_short": "give some text",
    "model_type": "give a table of keys",
    "model_attributes_type": "give a table of keys",
    "dict_type": "give a table of keys",
    "greater_than": "give more than {gt}",
    "greater_than_equal": "give at least {ge}",
    "less_than": "give less than {lt}",
    "less_than_equal": "give at most {le}",
    "literal_error": "use {expected}",
}
"""By pydantic's name of a mistake, with what its context knows."""


class Mistakes(ValueError):
    """Sentences, each about one mistake in a table that its keys make together."""

    def __str__(self) -> str:
        return "; ".join(self.args)


def mistakes(error: ValidationError, table: type[BaseModel], whole: str = "recipe") -> list[str]:
    """One sentence for each mistake in a table.

    Args:
        error: what pydantic reports of it.
        table: the class of such tables, which knows the keys that there are.
        whole: a word for the whole table.
    """
    errors = error.errors()
    within = {each["loc"][:end] for each in errors for end in range(len(each["loc"]))}
    return list(
        dict.fromkeys(
            sentence
            for each in errors
            # of a list pydantic counts what is right in it alone
            if each["type"] != "too_short" or each["loc"] not in within
            for sentence in _sentences(each, table, whole)
        )
    )


def _sentences(error: ErrorDetails, table: type[BaseModel], whole: str) -> list[str]:
    cause = error.get("ctx", {}).get("error")
    return list(cause.args) if isinstance(cause, Mistakes) else [_sentence(error, table, whole)]


def _sentence(error: ErrorDetails, table: type[BaseModel], whole: str) -> str:
    models, others, parts = _walk(error["loc"], table)
    where, given, context = ".".join(parts), error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            way_out = _other_key(parts, models, others, table)
            return f"unknown key '{where}' (value {given!r}); {way_out}"
        case "missing":
            return f"'{where}' is missing; add it"
        case "union_tag_invalid":
            key = context["discriminator"].strip("'")
            expected = context["expected_tags"]
            remedy = nearest(context["tag"], expected.replace("'", "").split(", "))
            return f"'{where}.{key}' is {context['tag']!r}; {remedy or f'use {expected}'}"
        case "union_tag_not_found":
            return f"'{where}' has no {context['discriminator']}; add it"
        case kind if kind in _REMEDIES:
            remedy = _REMEDIES[kind].format(
                **{key: _plain(value) for key, value in context.items()}
            )
            if kind == "literal_error" and isinstance(given, str):
                expected = str(_plain(context["expected"])).replace(" or ", ", ")
                remedy = nearest(given, expected.replace("'", "").split(", ")) or remedy
            return f"'{where}' is {given!r}; {remedy}"
    message = error["msg"].removeprefix("Value error, ")
    if isinstance(given, Mapping | BaseModel):  # what its keys make together: it names them
        return f"'{where}': {message}" if where else message
    return f"'{where or whole}' is {given!r}: {message}; correct it"


def _plain(value: Any) -> Any:
    """Return a value as TOML writes it."""
    if isinstance(value, str):
        return value.replace("True", "true").replace("False", "false")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _walk(
    location: tuple[int | str, ...], table: type[BaseModel]
) -> tuple[list[type[BaseModel]], list[type[BaseModel]], list[str]]:
    """Follow pydantic's location.

    Between keys pydantic names the member of a union that it took, which is no key.

    Returns:
        The classes that the last key is in, the other members of their union, and the keys as one
        writes them.
    """
    models: list[type[BaseModel]] = [table]
    inside, others, parts = list(models), list[type[BaseModel]](), list[str]()
    beside: list[type[BaseModel]] = []
    for part in location:
        if part in (WORD, TABLE):
            continue
        chosen = [model for model in inside if part in _tags(model)]
        if chosen:
            inside, beside = chosen, [model for model in inside if model not in chosen]
            continue
        parts.append(str(part))
        models, others = inside, beside
        if not isinstance(part, int):
            beside = []
            fields = [model.model_fields[part] for model in inside if part in model.model_fields]
            inside = [each for field in fields for each in _models(field.annotation)]
    return models, others, parts


def _tags(model: type[BaseModel]) -> set[str]:
    """Return the texts by which a union tells this class from its others."""
    annotations = [
        model.model_fields[name].annotation
        for name in ("type", "name")
        if name in model.model_fields
    ]
    return {
        tag
        for each in annotations
        if typing.get_origin(each) is Literal
        for tag in typing.get_args(each)
    }


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the classes in a type, however deep in lists and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)


def _other_key(
    parts: list[str],
    models: list[type[BaseModel]],
    others: list[type[BaseModel]],
    table: type[BaseModel],
) -> str:
    """Return what was probably meant.

    A similar key beside it, a table of another type that has the key, or the same key elsewhere.
    """
    prefix = "".join(f"{part}." for part in parts[:-1])
    similar = nearest(parts[-1], [name for model in models for name in _names(model)], prefix)
    owners = [tag for model in others if parts[-1] in _names(model) for tag in sorted(_tags(model))]
    if owners and not similar:
        listed = " and ".join(map(repr, owners))
        has = "has it: use that" if len(owners) == 1 else "have it: use one of them"
        return f"{listed} alone {has}, or remove it"
    elsewhere = [path for path in keys(table) if path.rpartition(".")[2] == parts[-1]]
    if similar or not elsewhere:
        return similar or "remove it or correct its spelling"
    return f"did you mean {elsewhere[0]!r}?"


def _names(model: type[BaseModel]) -> list[str]:
    """Return the keys of a table as one writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every key that does not stand in a list, dotted: of a table, and then those in it."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if typing.get_origin(field.annotation) is not tuple:
            for inner in _models(field.annotation):
                yield from keys(inner, f"{prefix}{name}.")
