"""Verilog of an artefact as questions to z3: Yosys says what it means, and never runs it.

Files are read as hostile: those that name other files, or call anything, are refused; Yosys gets
copies in a folder of its own, under names that lehr gives them, and a time.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lehr.errors import FileRefused, NotBitExact
from lehr.prove.solver import z3
from lehr.reading import read_text
from lehr.targets.limited import TimeIsUp, call_within
from lehr.targets.verilog import command

WAY_OUT = "build the artefact again"
_BYTES = 1 << 22
_KNOWN = {"`default_nettype", "$signed", "$readmemh"}
_COMMENT, _SPECIAL = re.compile(r"//[^\n]*"), re.compile(r"`\w+|\$\w+")
_READS = "read_verilog {files}; chparam {given} {top}; hierarchy -top {top}; proc -norom; flatten"


@dataclass(frozen=True)
class Circuit:
    """A module as Yosys' SMT2 back end writes it.

    Attributes:
        name: of the module.
        text: functions of a state: its wires, and whether another state may follow.
    """

    name: str
    text: str

    @cached_property
    def wires(self) -> dict[str, int]:
        """Bits of each wire, port and register."""
        return self._named("wire")

    @cached_property
    def memories(self) -> dict[str, int]:
        """Bits of all words of each memory, the first word lowest."""
        lines = re.findall(
            rf"^\(define-fun \|{self.name}_m (\w+)\| .* \(_ BitVec (\d+)\)", self.text, re.M
        )
        return {name: int(bits) for name, bits in lines}

    @cached_property
    def registers(self) -> dict[str, int]:
        """Bits of each register.

        Raises:
            FileRefused: where there are registers without a name, of which nothing can be said.
        """
        named = self._named("register")
        relation = self.text.partition(f"(define-fun |{self.name}_t|")[2]
        if len(re.findall(r"^  \(= ", relation, re.M)) != len(named) or "(Array" in self.text:
            raise FileRefused(f"{self.name} has registers or memories that lehr's has not")
        return named

    def _named(self, kind: str) -> dict[str, int]:
        lines = re.findall(rf"^; yosys-smt2-{kind} (\S+) (\d+)", self.text, re.M)
        return {name: int(bits) for name, bits in lines}


class Clocks:
    """Some clocks of a circuit, one after another, from any state.

    Args:
        circuit: which.
        count: how many edges of the clock.
        tag: of the names of its terms: two circuits in one question differ in it.

    Attributes:
        facts: what is so because the circuit is as it is.
    """

    def __init__(self, circuit: Circuit, count: int, tag: str = "") -> None:
        self.circuit, self.tag = circuit, tag
        name = circuit.name
        lines, self._terms = [circuit.text], dict[tuple[str, int], Any]()
        for at in range(count + 1):
            lines += [f"(declare-fun |{tag}@{at}| () |{name}_s|)"]
            for wire, bits in {**circuit.wires, **circuit.memories}.items():
                kind = "m" if wire in circuit.memories else "n"
                shown = f"(|{name}_{kind} {wire}| |{tag}@{at}|)"
                shown = f"(ite {shown} #b1 #b0)" if bits == 1 else shown
                lines += [f"(declare-fun |{tag}{wire}@{at}| () (_ BitVec {bits}))"]
                lines += [f"(assert (= |{tag}{wire}@{at}| {shown}))"]
                self._terms[wire, at] = z3.BitVec(f"{tag}{wire}@{at}", bits)
        for at in range(count):
            lines += [f"(assert (|{name}_t| |{tag}@{at}| |{tag}@{at + 1}|))"]
        self.facts = list(z3.parse_smt2_string("\n".join(lines)))

    def at(self, clock: int, wire: str) -> Any:
        """Return what is on a wire, or in all words of a memory.

        Raises:
            FileRefused: when there is no such wire.
        """
        if (wire, clock) not in self._terms:
            raise FileRefused(f"{self.circuit.name} has no {wire}; {WAY_OUT}")
        return self._terms[wire, clock]


def read_verilog(folder: Path, name: str) -> str:
    """Read a file of Verilog that reads no other, and calls nothing.

    Raises:
        FileRefused: when it does, or cannot be read.
    """
    text = read_text(folder / name, _BYTES, WAY_OUT)
    said = _SPECIAL.findall(_COMMENT.sub("", text))
    if unknown := sorted({*said} - _KNOWN):
        raise FileRefused(f"{folder / name} says {unknown[0]}, which lehr's has not; {WAY_OUT}")
    return text


def circuits(
    variants: Sequence[Mapping[str, str]],
    top: str,
    timeout: float,
    given: Mapping[str, int] | None = None,
    *,
    memories: bool = False,
) -> list[Circuit]:
    """Return what Yosys makes of a module, in each variant of its files.

    Args:
        variants: texts of Verilog by file name, `top` among their modules.
        top: the module.
        timeout: seconds for all of them.
        given: parameters of the module that are other than its own.
        memories: whether memories are registers, word by word.

    Raises:
        TimeIsUp: when it takes longer.
        ToolMissing: without Yosys.
        FileRefused: where Yosys refuses a file.
    """
    sets = " ".join(f"-set {name} {value}" for name, value in (given or {}).items())
    with tempfile.TemporaryDirectory(prefix="lehr-prove-") as scratch:
        folder, script = Path(scratch), list[str]()
        for number, files in enumerate(variants):
            names = [f"{number}_{each}" for each in files]
            for name, text in zip(names, files.values(), strict=True):
                (folder / name).write_text(text)
            script += ["design -reset", _READS.format(files=" ".join(names), top=top, given=sets)]
            if memories:
                script += ["memory_collect; memory_map"]
            script += [f"write_smt2 -stbv -wires {number}.smt2"]
        (folder / "script.ys").write_text("\n".join(script))
        arguments = [command("yosys"), "-q", "-s", "script.ys"]
        said = {"arguments": arguments, "folder": scratch, "failure": "is not taken by Yosys"}
        try:
            call_within(timeout, "lehr.targets.verilog:call", said)
        except NotBitExact as error:
            raise FileRefused(str(error)) from None
        return [
            Circuit(top, (folder / f"{number}.smt2").read_text()) for number in range(len(variants))
        ]


__all__ = ["Circuit", "Clocks", "TimeIsUp", "circuits", "read_verilog"]
