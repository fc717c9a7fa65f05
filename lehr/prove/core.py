"""The modules of an fpga artefact's engine, some of them taken out: whatever they would give."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from lehr.errors import FileRefused
from lehr.prove.engines import Engine
from lehr.prove.faults import Fault, faults
from lehr.prove.yosys import WAY_OUT, Circuit, circuits, read_verilog

_INSTANCE = re.compile(r"^ +(lehr_\w+) (?:#\(|\w+ \()", re.M)
_INSIDE = re.compile(r"(?P<head>module \w+ .*?\);).*endmodule", re.S)
_EMPTY = r"\g<head>\n    wire unused = 1'b0;\nendmodule"  # one quite empty would be kept as a box


def read_core(engine: Engine, kept: Collection[str], top: str = "lehr_core") -> dict[str, str]:
    """Return the texts of an engine's modules by file, with nothing in those that are not kept.

    Args:
        engine: of the artefact.
        kept: names of modules, without an engine's own ending.
        top: the module that has them.

    Raises:
        FileRefused: when a file is not as lehr writes it.
    """
    texts: dict[str, str] = {}
    whole = {*kept, top}
    pending = [engine.module(top)]
    while pending:
        module = pending.pop()
        if f"{module}.v" in texts:
            continue
        text = read_verilog(engine.folder, f"{module}.v")
        if module.removesuffix(engine.tag) in whole:
            pending += _INSTANCE.findall(text)
        else:
            text = _INSIDE.sub(_EMPTY, text.replace("output reg", "output"))
        texts[f"{module}.v"] = text
    return texts


def with_faults_in(
    engine: Engine,
    texts: Mapping[str, str],
    faulty: Sequence[tuple[str, Fault]],
    top: str,
    timeout: float,
) -> tuple[Circuit, list[tuple[str, Circuit]]]:
    """Return a module of an engine as it is, and with each of some faults.

    Args:
        engine: of the artefact.
        texts: of its modules by file.
        faulty: for each file that is changed, its fault.
        top: the module.
        timeout: seconds for Yosys.
    """
    variants = [dict(texts), *({**texts, file: fault.text} for file, fault in faulty)]
    base, *changed = circuits(variants, engine.module(top), timeout)
    names = [f"in {file}, {fault.what}" for file, fault in faulty]
    return base, list(zip(names, changed, strict=True))


def fault_in(text: str, words: str) -> Fault:
    """Return the first fault in a line of Verilog that has some words.

    Raises:
        FileRefused: where there is none, as in no file that lehr wrote.
    """
    lines = text.splitlines()
    found = [each for each in faults(text) if words in lines[each.line - 1]]
    if not found:
        raise FileRefused(f"the Verilog has no line with {words!r} that can be changed; {WAY_OUT}")
    return found[0]
