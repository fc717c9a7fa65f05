"""Edits of a `.nir` file, each of which makes it wrong, and the refusal that must follow."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from earlier_files import earlier_file

from lehr.errors import FileRefused
from lehr.nirfile import read

Edit = Callable[[Any], None]  # of an open h5py.File; h5py's types allow nothing without a cast
DIGEST = "has another digest than its network, so it was damaged or changed; export it again"


def file_to_edit(name: str, folder: Path) -> Path:
    """Write a file of an earlier version that is right: it is the edit that makes it wrong."""
    path = earlier_file(name, folder)
    read(path)
    return path


def put(where: str, value: Any) -> Edit:
    """Store `value` at `where` below node/, in place of what is there."""

    def edit(file: Any) -> None:
        if f"node/{where}" in file:
            del file[f"node/{where}"]
        file[f"node/{where}"] = value

    return edit


def change(where: str, index: Any, value: Any) -> Edit:
    """Store `value` at one place of the array `where` below node/."""

    def edit(file: Any) -> None:
        file[f"node/{where}"][index] = value

    return edit


def cast(where: str, dtype: str) -> Edit:
    """Store the array `where` below node/ in another type."""
    return lambda file: put(where, file[f"node/{where}"][()].astype(dtype))(file)


def drop(where: str) -> Edit:
    def edit(file: Any) -> None:
        del file[f"node/{where}"]

    return edit


def add_node(name: str, **fields: Any) -> Edit:
    def edit(file: Any) -> None:
        group = file.create_group(f"node/nodes/{name}")
        for field, value in fields.items():
            group[field] = value

    return edit


def refused(source: Path, edit: Edit, message: str, tmp_path: Path) -> None:
    path = shutil.copy(source, tmp_path / "edited.nir")
    with h5py.File(path, "a") as file:
        edit(file)
    with pytest.raises(FileRefused) as caught:
        read(Path(path))
    message_given = str(caught.value)
    assert message_given.startswith(f"{path}: ")
    assert message in message_given
    assert "\n" not in message_given
    assert "; " in message_given
