"""Fields of a NIR node: reading, checks and names that several types of node share.

They are the fields of `nir`'s own dictionaries, in a file and in memory. What a type of node writes
and reads stands with it, in lehr/nodes; `fixed_point` in a node's metadata is its block, in which
its exact meaning stands (docs/arithmetic.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.weights import WeightKind, declared_kind

Fields = Mapping[str, Any]

DT = 1e-3
BLOCK = "fixed_point"
WEIGHT_SCHEMA = "fixed-point-weight/1"
AGAIN = "export the network again with lehr"
SHOWN = 80
"""Letters of a value in a message."""


def check_keys(
    fields: Fields,
    names: Iterable[str],
    owner: str,
    optional: Iterable[str] = (),
    remedy: str = AGAIN,
) -> None:
    """Refuse a field that is missing or that `owner` does not have."""
    missing = sorted(set(names) - fields.keys())
    if missing:
        raise FileRefused(f"has no {missing[0]!r}, which {owner} needs; {remedy}")
    extra = sorted(fields.keys() - {*names, *optional})
    if extra:
        raise FileRefused(f"has {short(extra[0])}, which {owner} does not have; remove it")


def block(
    fields: Fields, schema: str, names: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the values of the fixed_point block of a node or graph, numbers as Python's own.

    It stands in the metadata.

    Raises:
        FileRefused: when there is none, or it is of another schema, or holds other fields than
            `names`.
    """
    stated = _stated(fields)
    if stated is None:
        raise FileRefused(
            "has no fixed_point block, so its integer meaning is not stated; export it with lehr"
        )
    values = {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in stated.items()
    }
    if not isinstance(values.get("schema"), str) or values["schema"] != schema:
        raise FileRefused(
            f"has a fixed_point block of schema {short(values.get('schema'))}, not {schema!r}; "
            "read it with the lehr that wrote it"
        )
    check_keys(values, ("schema", *names), "its fixed_point block", optional)
    return values


def schema_of(fields: Fields) -> str:
    """Return the schema of a node's block; empty where it has none."""
    schema = (_stated(fields) or {}).get("schema")
    return schema if isinstance(schema, str) else ""


def _stated(fields: Fields) -> Mapping[str, Any] | None:
    metadata = fields.get("metadata")
    stated = metadata.get(BLOCK) if isinstance(metadata, Mapping) else None
    return stated if isinstance(stated, Mapping) else None


def scalar(values: Fields, name: str) -> Any:
    """Return one number or text of a block."""
    value = values[name]
    if not isinstance(value, (int, float, str)):
        raise FileRefused(f"{name} is {short(value)}; give one number or text")
    return value


def whole(fields: Fields, name: str) -> Any:
    """Return a field as an integer or a tuple of integers."""
    value = np.asarray(fields[name])
    if value.dtype.kind not in "iu" or value.ndim > 1:
        raise FileRefused(f"{name} is {short(fields[name])}; give integers")
    return tuple(value.tolist()) if value.ndim else value.item()


def integers(values: Fields, name: str) -> npt.ArrayLike:
    """Return a field as an array of numbers, or lists of them, in lists or not.

    Whoever takes them asks whether they are whole.

    Raises:
        FileRefused: when a list holds anything else; numpy would take truth for 1, and for a text
            as many bytes in every place.
    """
    value = values[name]
    pending = [value] if isinstance(value, list) else []
    while pending:
        for item in pending.pop():
            if isinstance(item, list):
                pending.append(item)
            elif type(item) not in (int, float):
                raise FileRefused(f"{name} holds {short(item)}; give whole numbers")
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        raise FileRefused(f"{name} holds truth values; give whole numbers")
    return value  # type: ignore[no-any-return]


def short(value: Any) -> str:
    """Return a value as a message shows it."""
    shape = np.shape(value) if isinstance(value, np.ndarray) else ()
    try:
        return f"an array of shape {shape}" if shape else repr(value)[:SHOWN]
    except RecursionError:
        return f"a {type(value).__name__} nested too deep"


def weight_block(kind: WeightKind) -> dict[str, Any]:
    """Return the metadata of a node of weights."""
    return {BLOCK: {"schema": WEIGHT_SCHEMA, "weights": kind}}


def weight_kind(fields: Fields) -> WeightKind:
    """Return the kind that a node's block declares its weights to be."""
    return declared_kind(scalar(block(fields, WEIGHT_SCHEMA, ["weights"]), "weights"))


def named_padding(name: str, kernel: tuple[int, ...], stride: Any, dilation: Any) -> Any:
    """Return the padding that torch.nn.Conv2d means by 'valid' and 'same'."""
    if name == "valid":
        return 0
    totals = [
        d * (k - 1) for d, k in zip(np.broadcast_to(dilation, 2).tolist(), kernel, strict=True)
    ]
    if name != "same" or np.any(np.asarray(stride) != 1) or any(total % 2 for total in totals):
        raise FileRefused(
            f"padding is {short(name)}, which has no equal sides here; give it as two integers"
        )
    return tuple(total // 2 for total in totals)
