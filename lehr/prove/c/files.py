"""The C files of an artefact, read as text: what is refused in them, and their updates and calls.

What is read here are the files in the artefact's folder, not what target c would write today.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lehr.errors import FileRefused
from lehr.reading import read_text

MODEL, HEADER, WEIGHTS = "lehr_model.c", "lehr_model.h", "lehr_weights.h"
LIMITS: Mapping[str, int] = {MODEL: 1 << 24, HEADER: 1 << 20, WEIGHTS: 1 << 28}
"""Bytes that each file may have."""
AGAIN = "build the artefact again"
OWN = "lehr_proof_"
"""How names begin that whoever asks about the files writes beside them."""
INCLUDED = ("<stddef.h>", "<stdint.h>", f'"{HEADER}"', f'"{WEIGHTS}"')
_WORDS = """
    asm auto bool break case char const continue default do double else enum extern float for
    goto if inline int long register restrict return short signed sizeof static struct switch
    typedef typeof union unsigned void volatile while main
"""
KEYWORDS = frozenset(_WORDS.split())
"""Words that a macro must not stand for, as they are written by whoever asks about the file."""
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w*)[ \t]*(.*)$", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TABLE = re.compile(r"static const (u?int(?:8|16|32|64)_t) (\w+)\[(\d+)\] = \{([^{}]*)\};")
_UPDATE = re.compile(
    r"^static inline registers_(\d+) (update_\1(?:_\w+)?)\(registers_\1 r((?:, int\d+_t \w+)*)\)\n"
    r"\{\n(.*?)^\}\n",
    re.MULTILINE | re.DOTALL,
)
_FUNCTION = r"^static void {name}\(lehr_state \*s\)\n\{{\n(.*?)^\}}\n"
_CALL = re.compile(
    r"^ *registers_(\d+) r = \{(?P<loads>[^{}]*)\};\n *r = (?P<update>update_\1(?:_\w+)?)"
    r"\(r(?P<given>(?:, [^\n]*)?)\);\n(?P<stores>.*?)(?=^ *\}|\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Update:
    """A function of lehr_model.c that updates a neuron.

    Attributes:
        name: of the function.
        takes: the names of what it takes beside registers, in order.
        body: its statements.
        span: where the body stands in the file.
    """

    name: str
    takes: tuple[str, ...]
    body: str
    span: tuple[int, int]


@dataclass(frozen=True)
class Call:
    """Where a layer has its neurons updated: a load, a call, and stores.

    Attributes:
        update: the name of the function.
        given: the expressions that it is given beside registers, in order.
        members: of registers, by their C names, the members of the state that hold them.
        text: all of it.
    """

    update: str
    given: tuple[str, ...]
    members: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Table:
    """A constant array of lehr_weights.h."""

    c_type: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class CFiles:
    """The C library of an artefact.

    Attributes:
        texts: of its files, by name.
        updates: functions that update a neuron, by name.
    """

    texts: Mapping[str, str]
    updates: Mapping[str, Update]

    def calls(self, layer: str) -> dict[str, Call]:
        """Return where the neurons of a layer are updated, by `step`, or `begin`, `event`, `end`.

        Args:
            layer: its name in C.

        Raises:
            FileRefused: when it is not written as lehr writes it.
        """
        calls: dict[str, Call] = {}
        for kind in ("step", "event"):
            pattern = re.compile(_FUNCTION.format(name=f"{kind}_{layer}"), re.MULTILINE | re.DOTALL)
            text = "".join(pattern.findall(self.texts[MODEL]))
            calls_there = list(_CALL.finditer(text))
            if len(calls_there) != len(re.findall(r"\bupdate_\d", text)):
                raise FileRefused(f"{kind}_{layer} of {MODEL} is not as lehr writes it; {AGAIN}")
            for each in calls_there:
                part = (*each["update"].split("_"), "step")[2]
                if part in calls:
                    raise FileRefused(f"{kind}_{layer} of {MODEL} updates twice; {AGAIN}")
                calls[part] = _call(each)
        return calls


def _call(found: re.Match[str]) -> Call:
    stored = re.findall(r"s->(\w+)\[i\] = [^;]*?\br\.(\w+)", found["stores"])
    members = dict(re.findall(r"\.(\w+) = s->(\w+)\[i\]", found["loads"]))
    members |= {register: member for member, register in stored}
    given = tuple(found["given"].removeprefix(", ").split(", ")) if found["given"] else ()
    return Call(found["update"], given, members, found[0])


def read_c(folder: Path) -> CFiles:
    """Read the C library of an artefact.

    Raises:
        FileRefused: when a file cannot be read, or has what may change the meaning of what stands
            around it.
    """
    texts = {
        name: read_text(folder / name, limit, AGAIN).replace("\r\n", "\n")
        for name, limit in LIMITS.items()
    }
    for name, text in texts.items():
        _require_plain(folder / name, text)
    updates = {}
    for each in _UPDATE.finditer(texts[MODEL]):
        takes = tuple(re.findall(r"int\d+_t (\w+)", each[3]))
        updates[each[2]] = Update(each[2], takes, each[4], each.span(4))
    return CFiles(texts, updates)


def _require_plain(path: Path, text: str) -> None:
    """Refuse directives that may change what follows, and names of whoever asks."""
    code = _COMMENT.sub("", text)
    for word in ("__CPROVER", OWN, "\\\n", "??", "%:", "__asm", "__attribute"):
        if word in code:
            raise FileRefused(f"{path} has {word.strip()!r}, which lehr does not write; {AGAIN}")
    for directive, rest in _DIRECTIVE.findall(code):
        name = re.match(r"\w*", rest)
        assert name is not None
        known = (
            (directive == "include" and rest.strip() in INCLUDED)
            or directive in ("ifdef", "ifndef", "endif", "if", "error")
            or (directive == "define" and not _is_taken(name[0]))
        )
        if not known:
            raise FileRefused(
                f"{path} has '#{directive} {rest[:40].strip()}', which lehr does not write; {AGAIN}"
            )


def _is_taken(name: str) -> bool:
    return name in KEYWORDS or name.startswith("__") or bool(re.search(r"int\d+_t$|^update_", name))


def tables(files: CFiles) -> dict[str, Table]:
    """Return the constant arrays of lehr_weights.h, by name.

    Raises:
        FileRefused: when one has another number of entries than it says, or an entry that its type
            does not hold.
    """
    read = {}
    for c_type, name, length, body in _TABLE.findall(_COMMENT.sub("", files.texts[WEIGHTS])):
        try:
            values = tuple(int(word, 0) for word in body.replace(",", " ").split())
        except ValueError:
            raise FileRefused(f"{name} of {WEIGHTS} has no whole numbers; {AGAIN}") from None
        bits = int(c_type.strip("_tuin"))
        low, high = (0, 1 << bits) if c_type.startswith("u") else (-1 << bits - 1, 1 << bits - 1)
        if len(values) != int(length) or any(not low <= value < high for value in values):
            raise FileRefused(f"{name} of {WEIGHTS} is not as lehr writes it; {AGAIN}")
        read[name] = Table(c_type, values)
    return read


def without_values(weights: str) -> str:
    """Return lehr_weights.h with its tables declared alone: CBMC then takes any values."""
    return _TABLE.sub(r"extern const \1 \2[\3];", weights)
