"""The targets that are declared as entry points, without loading them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path

GROUP = "lehr.targets"


def declared() -> Iterator[EntryPoint]:
    """Yield the entry point of each target; one that is declared twice comes twice."""
    yield from entry_points(group=GROUP)
    try:
        distribution("lehr")
    except (
        PackageNotFoundError
    ):  # a checkout that is not installed: the file that declares the entry points lies beside
        checkout = Path(__file__).resolve().parent.parent / "pyproject.toml"
        lines = tomllib.loads(checkout.read_text("utf-8"))["project"]["entry-points"][GROUP]
        yield from (EntryPoint(name, value, GROUP) for name, value in lines.items())
