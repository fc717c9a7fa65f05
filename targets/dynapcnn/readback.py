"""Comparison of what samna's objects hold of a configuration with what was written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.targets.dynapcnn.configuration import Chip


def differences(chip: Chip, folder: Path, read: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Return the fields, as core/path, in which the vendor's objects differ from the files."""
    files = {
        core: json.loads((folder / f"core_{core}.json").read_bytes())["value0"]
        for core in {name.split("/")[0] for name in read}
    }
    return [
        name
        for name, value in read.items()
        if not np.array_equal(_written(chip, files[name.split("/")[0]], name.split("/")[1]), value)
    ]


def _written(chip: Chip, value: Any, path: str) -> npt.NDArray[Any]:
    for part in path.split("."):
        value = value[f"value{part}" if part.isdigit() else chip.spelled(part)]
    if not isinstance(value, dict):
        return np.array(value)
    return np.array(value["values"]).reshape([*value["dimensions"].values()])
