"""The text of artefacts: templates of a target, set up in the one way that all targets share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def environment(folder: Path, **known: Any) -> Environment:
    """Templates `*.j2` in a folder, to which `known` are known by name; a name that is not is an error.

    Lines with nothing but a tag leave no line behind.
    """
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals.update(known)
    return made
