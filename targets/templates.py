"""The text of artefacts: templates of a target, set up in the one way that all targets share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.bccache import Bucket


class _Compiled(BytecodeCache):
    """Templates that this process has compiled, which takes longer than to fill them in."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take a template's code, if it is there and of the same source."""
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template's code."""
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


def environment(folder: Path, **known: Any) -> Environment:
    """Return the environment of the templates `*.j2` in a folder.

    The names in `known` are known to them; a name that is not is an error. Lines with nothing but a
    tag leave no line behind.
    """
    templates = Environment(
        loader=FileSystemLoader(folder),
        bytecode_cache=_COMPILED,
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals.update(known)
    return templates
