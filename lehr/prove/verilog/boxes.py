"""Modules of an artefact with those below them, some of which are taken out: they give anything."""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path

from lehr.prove.verilog.yosys import read_verilog

_INSTANCE = re.compile(r"^\s+(lehr_\w+) (?:#\(|\w+ \()", re.M)
_BODY = re.compile(r"(?P<head>module \w+ .*?\);)(?P<body>.*)endmodule", re.S)
_NUMBER = re.compile(r"_\d+$")
MEMORIES = frozenset({"lehr_ram", "lehr_ram2", "lehr_rom", "lehr_table"})


def with_boxes(folder: Path, top: str, boxes: Set[str]) -> dict[str, str]:
    """Return the texts of a module and of all below it, by file name.

    Args:
        folder: of the artefact.
        top: the module.
        boxes: modules that are taken out, without the number of an engine.
    """
    files: dict[str, str] = {}
    modules = [top]
    while modules:
        module = modules.pop()
        if f"{module}.v" in files:
            continue
        text = read_verilog(folder, f"{module}.v")
        if module != top and _NUMBER.sub("", module) in boxes:
            text = emptied(text)
        else:
            modules += _INSTANCE.findall(text)
        files[f"{module}.v"] = text
    return files


def emptied(text: str, unless: str = "") -> str:
    """Return a module without its body, or with it where its parameters meet a condition."""
    if unless:
        kept = rf"\g<head>\ngenerate if ({unless}) begin : kept\g<body>end endgenerate\nendmodule"
        return _BODY.sub(kept, text)
    # one that is quite empty would be kept as a box
    head = r"\g<head>\n    wire unused = clk;\nendmodule"
    return _BODY.sub(head, text.replace("output reg", "output"))
