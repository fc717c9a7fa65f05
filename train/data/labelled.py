"""Folders of files by class: a folder for each class, or a table of files and their classes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lehr.errors import FileRefused, UsageError
from lehr.reading import read_text
from lehr.train.data.source import Labels

TABLE, HEAD = "labels.csv", "file,class"
_MAX_BYTES = 1 << 26
_LAYOUT = "give CLASS/FILE, or train/CLASS/FILE and test/CLASS/FILE"
Listed = tuple[list[Path], Labels]
Require = Callable[[Path], None]


def labelled_files(path: Path, require: Require) -> tuple[list[Listed], int]:
    """Return the files of a folder, the numbers of their classes, and how many classes it has.

    It holds a folder for each class, or `labels.csv` with a line `FILE,CLASS` for each file, after
    a first line `file,class` where one likes; or it holds two such folders, whose names end with
    "train" and "test", and two parts are returned in place of one. Classes are numbered in the
    order of their names, numbers by their value. What begins with a dot is left out.

    Args:
        path: of the folder.
        require: refuses a file that is of another kind.

    Raises:
        UsageError: when there is no such folder, or it is none of these.
        FileRefused: when its table is none.
    """
    if not path.is_dir():
        raise UsageError(f"data.path {path} is no folder; {_LAYOUT} there")
    inner = [each for each in _inside(path) if each.is_dir()]
    parts = [
        [each for each in inner if each.name.lower().endswith(part)] for part in ("train", "test")
    ]
    if not any(parts):
        paths, labels, names = _classes(path, require)
        return [(paths, labels)], len(names)
    if [len(part) for part in parts] != [1, 1]:
        raise UsageError(
            f"{path} has {len(parts[0])} folders for training and {len(parts[1])} for testing; "
            f"{_LAYOUT}"
        )
    train, test = (_classes(part[0], require) for part in parts)
    if train[2] != test[2]:
        only = sorted(set(train[2]) ^ set(test[2]))
        raise UsageError(
            f"{path}: class {only[0]!r} is in one of {parts[0][0].name} and {parts[1][0].name} "
            "alone; give both the same classes"
        )
    return [train[:2], test[:2]], len(train[2])


def _classes(folder: Path, require: Require) -> tuple[list[Path], Labels, list[str]]:
    """Return the files of a part, the numbers of their classes, and the classes' names."""
    table = folder / TABLE
    listed = _of_table(table) if table.exists() else _of_folders(folder)
    names = sorted(listed, key=lambda name: _by_number(Path(name)))
    paths, labels = [], []
    for number, name in enumerate(names):
        for path in listed[name]:
            require(path)
        paths += listed[name]
        labels += [number] * len(listed[name])
    return paths, np.array(labels, np.int64), names


def _of_folders(folder: Path) -> dict[str, list[Path]]:
    """Return the files in the folders of classes, by the classes' names."""
    folders = [each for each in _inside(folder) if each.is_dir()]
    if not folders:
        raise UsageError(f"{folder} has no folders of classes; {_LAYOUT}")
    listed = {each.name: sorted(_inside(each), key=_by_number) for each in folders}
    for name in sorted(listed):
        if not listed[name]:
            raise UsageError(
                f"{folder / name} has no recordings; give each class some, or remove it"
            )
    return listed


def _of_table(table: Path) -> dict[str, list[Path]]:
    """Return the files that a table lists, by the names of their classes."""
    listed: dict[str, list[Path]] = {}
    lines: dict[Path, int] = {}
    text = read_text(table, _MAX_BYTES, "give a smaller table")
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.split(",")]
        if cells == [""] or (number == 1 and line.strip() == HEAD):
            continue
        if len(cells) != 2 or not all(cells):
            raise FileRefused(f"{table}, line {number}: it is no file and class; write FILE,CLASS")
        path = Path(cells[0])
        if path.is_absolute() or ".." in path.parts:
            raise FileRefused(
                f"{table}, line {number}: {path} is not within the folder; move the file there"
            )
        if path in lines:
            raise FileRefused(f"{table}, line {number}: {path} is there twice; leave one out")
        lines[path] = number
        listed.setdefault(cells[1], []).append(table.parent / path)
    if not listed:
        raise FileRefused(f"{table} lists no file; write FILE,CLASS for each")
    for path, number in lines.items():
        if not os.path.isfile(table.parent / path):  # noqa: PTH113 - it takes any name
            raise FileRefused(
                f"{table}, line {number}: {path} is no file in the folder; correct its name, or "
                "leave the line out"
            )
    return listed


def _inside(folder: Path) -> list[Path]:
    """Return what lies in a folder, without what is hidden."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _by_number(path: Path) -> tuple[int, int, str]:
    """Return the order of a name: numbers by their value, before all others."""
    plain = path.stem.isascii() and path.stem.isdecimal() and len(path.stem) < 19
    return (0, int(path.stem), path.name) if plain else (1, 0, path.name)
