"""The sha256 of a folder's files, stated in its JSON file, which states its own among them: damage is seen before anything is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lehr.artifact import sha256, to_json
from lehr.errors import FileRefused

SUMS = "sha256"
"""In the JSON file: the sha256 of each file by name; its own is of what it holds besides."""


def with_sums(name: str, state: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """`files`, and the JSON file `name` that holds `state` and states their sums and its own."""
    sums = {name: _sum(state), **{other: sha256(data) for other, data in files.items()}}
    return {**files, name: to_json({**state, SUMS: sums})}


def check_sums(folder: Path, name: str, state: dict[str, Any], files: tuple[str, ...], way_out: str) -> None:
    """Refuse a folder of which a file differs from what its JSON file states; the sums are taken out of `state`.

    Args:
        folder: to check.
        name: of its JSON file.
        state: what that file holds.
        files: the others, all of which it must state.
        way_out: what to do then, the end of the message.

    Raises:
        FileRefused: naming the first such file.
    """
    sums = state.pop(SUMS, None)
    if not isinstance(sums, dict) or sums.keys() != {name, *files}:
        raise FileRefused(f"{folder} is damaged ({name} does not state the {SUMS} of each file); {way_out}")
    for other in (name, *files):
        if other != name and not (folder / other).is_file():
            raise FileRefused(f"{folder} is damaged (it holds no {other}); {way_out}")
        if sums[other] != (_sum(state) if other == name else _sum_of_file(folder / other)):
            raise FileRefused(f"{folder} is damaged ({other} has another {SUMS} than {name} states); {way_out}")


def _sum(state: Mapping[str, Any]) -> str:
    """Of what is read back, so that spaces and the order of keys do not count."""
    return sha256(to_json(json.loads(json.dumps(state))))


def _sum_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
