"""The sha256 of each file of a folder, stated in its JSON file: damage is seen before use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lehr.artifact import sha256, to_json
from lehr.errors import FileRefused
from lehr.reading import sha256_of

SUMS = "sha256"
"""Key of the JSON file: the sha256 of each file by name; its own is of what it holds besides."""


def with_sums(name: str, state: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return `files`, and the JSON file `name` of `state`, their sums and its own."""
    sums = {name: _sum(state), **{other: sha256(data) for other, data in files.items()}}
    return {**files, name: to_json({**state, SUMS: sums})}


def check_sums(
    folder: Path,
    name: str,
    state: dict[str, Any],
    files: tuple[str, ...],
    way_out: str,
) -> None:
    """Refuse a folder of which a file differs from what its JSON file states.

    The sums are taken out of `state`.

    Args:
        folder: to check.
        name: of its JSON file.
        state: what that file holds.
        files: the others, all of which it must state.
        way_out: what to do then, the end of the message.

    Raises:
        FileRefused: naming the first such file.
    """
    if damage := _damage(folder, name, state, files, way_out):
        raise FileRefused(f"{folder} is damaged ({damage}); {way_out}")


def _damage(
    folder: Path, name: str, state: dict[str, Any], files: tuple[str, ...], way_out: str
) -> str | None:
    sums = state.pop(SUMS, None)
    if not isinstance(sums, dict) or sums.keys() != {name, *files}:
        return f"{name} does not state the {SUMS} of each file"
    if sums[name] != _sum(state):
        return f"{name} has another {SUMS} than it states"
    for other in files:
        if not (folder / other).exists():
            return f"it holds no file {other}"
        if sums[other] != sha256_of(folder / other, way_out):
            return f"{other} has another {SUMS} than {name} states"
    return None


def _sum(state: Mapping[str, Any]) -> str:
    """Return the sum of what is read back, so that spaces and the order of keys do not count."""
    return sha256(to_json(json.loads(json.dumps(state))))
