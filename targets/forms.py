"""Programs in the form of a machine: whether an update is the machine's, and with which numbers.

A form is the machine's program as text, with holes: `{shift}` stands for a number, `{du:name}` for
a number or a parameter's name. A line that starts with `?` may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from lehr.update import Program
from lehr.update_text import NAME, lines_of

_HOLE = re.compile(r"\{([a-z_]+)(:name)?\}")


def matched(program: Program, form: str) -> dict[str, str] | str:
    """Return what stands in the holes of a form, by their names.

    Where the program differs from it, return the sentence that says where. A hole whose line is
    missing is left out; one that comes twice must stand for the same twice.
    """
    lines, patterns = lines_of(program), _patterns(form)
    values = _match(lines, patterns, {})
    if values is not None:
        return values
    good = max(
        n for n in range(len(lines) + 1) if _match(lines[:n], patterns, {}, prefix=True) is not None
    )
    here = f"'{lines[good]}'" if good < len(lines) else "nothing more"
    return f"line {good + 1} of its update is {here}, which the machine does not compute there"


@cache
def _patterns(form: str) -> tuple[tuple[bool, re.Pattern[str]], ...]:
    lines = [line.strip() for line in form.strip().splitlines()]
    return tuple(
        (line.startswith("?"), re.compile(_expression(line.removeprefix("?").strip())))
        for line in lines
    )


def _expression(line: str) -> str:
    parts, at = [], 0
    for hole in _HOLE.finditer(line):
        parts += [
            re.escape(line[at : hole.start()]),
            f"(?P<{hole[1]}>-?[0-9]+{f'|{NAME}' if hole[2] else ''})",
        ]
        at = hole.end()
    return "".join([*parts, re.escape(line[at:])])


def _match(
    lines: Sequence[str],
    patterns: Sequence[tuple[bool, re.Pattern[str]]],
    values: dict[str, str],
    prefix: bool = False,
) -> dict[str, str] | None:
    if not lines and (prefix or all(optional for optional, _ in patterns)):
        return values
    if not patterns:
        return None
    optional, pattern = patterns[0]
    if (
        lines
        and (here := pattern.fullmatch(lines[0]))
        and all(values.get(k, v) == v for k, v in here.groupdict().items())
    ):
        rest = _match(lines[1:], patterns[1:], values | here.groupdict(), prefix)
        if rest is not None:
            return rest
    return _match(lines, patterns[1:], values, prefix) if optional else None
