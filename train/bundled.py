"""The recipes that come with lehr, by name: found without what reads them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def bundled() -> dict[str, Path]:
    """Return the recipes that come with lehr, by name."""
    folder = Path(str(files("lehr.train"))) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}
