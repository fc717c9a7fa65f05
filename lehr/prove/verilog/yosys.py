"""Verilog of an artefact as questions to z3: Yosys says what it means, and never runs it.

Files are read as hostile: those that name other files, or call anything, are refused; Yosys gets
copies in a folder of its own, under names that lehr gives them, and a time.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
_READS = "read_verilog {files}; chparam {given} {top}"
_READS_WHOLE = "read_verilog -defer {files}"
_ELABORATES = "hierarchy -top {top}; proc -norom; flatten"


@dataclass(frozen=True)
class Circuit:
    """A module as Yosys' SMT2 back end writes it.

    Attributes:
        name: of the module.
        text: functions of a state: its wires, and whether another state may follow.
        design: the module as JSON: its cells, and what nets are called.
    """

    name: str
    text: str
    design: str

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

    @cached_property
    def free(self) -> frozenset[tuple[str, int]]:
        """Bits of wires that nothing drives, as the outputs of what was emptied."""
        ports = self._module["ports"].values()
        driven = {net for _, pin, nets in self._pins if pin == "output" for net in nets}
        driven |= {net for port in ports if port["direction"] != "output" for net in port["bits"]}
        return self._bits(lambda net: isinstance(net, int) and net not in driven)

    @cached_property
    def held(self) -> frozenset[tuple[str, int]]:
        """Bits of wires that are a register's."""
        outputs = [nets for kind, pin, nets in self._pins if kind == "$dff" and pin == "output"]
        return self._bits({net for nets in outputs for net in nets}.__contains__)

    def shared(self, wires: Collection[str]) -> frozenset[tuple[str, int]]:
        """Return bits of all wires that are one with a bit of some of them."""
        bits = [x["bits"] for name, x in self._module["netnames"].items() if name in wires]
        return self._bits(
            {net for nets in bits for net in nets if isinstance(net, int)}.__contains__
        )

    @cached_property
    def _module(self) -> dict[str, Any]:
        module: dict[str, Any] = json.loads(self.design)["modules"][self.name]
        return module

    @property
    def _pins(self) -> Iterator[tuple[str, str, list[Any]]]:
        for cell in self._module["cells"].values():
            for pin, nets in cell["connections"].items():
                yield cell["type"], cell["port_directions"][pin], nets

    def _bits(self, wanted: Callable[[Any], bool]) -> frozenset[tuple[str, int]]:
        return frozenset(
            (name, at)
            for name, wire in self._module["netnames"].items()
            for at, net in enumerate(wire["bits"])
            if wanted(net)
        )

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
    images: Mapping[str, str] | None = None,
) -> list[Circuit]:
    """Return what Yosys makes of a module, in each variant of its files.

    Args:
        variants: texts of Verilog by file name, `top` among their modules.
        top: the module.
        timeout: seconds for all of them.
        given: parameters of the module that are other than its own.
        memories: whether memories are registers, word by word.
        images: of memories, by file name.

    Raises:
        TimeIsUp: when it takes longer.
        ToolMissing: without Yosys.
        FileRefused: where Yosys refuses a file.
    """
    sets = " ".join(f"-set {name} {value}" for name, value in (given or {}).items())
    with tempfile.TemporaryDirectory(prefix="lehr-prove-") as scratch:
        folder, script = Path(scratch), list[str]()
        for name, text in (images or {}).items():
            (folder / name).write_text(text)
        for number, files in enumerate(variants):
            names = [f"{number}_{each}" for each in files]
            for name, text in zip(names, files.values(), strict=True):
                (folder / name).write_text(text)
            reads = _READS_WHOLE if images else _READS
            script += ["design -reset", reads.format(files=" ".join(names), top=top, given=sets)]
            script += [_ELABORATES.format(top=top)]
            script += ["memory_collect; memory_map"] if memories else []
            script += [f"write_smt2 -stbv -wires {number}.smt2", f"write_json {number}.json"]
        (folder / "script.ys").write_text("\n".join(script))
        arguments = [command("yosys"), "-q", "-s", "script.ys"]
        said = {"arguments": arguments, "folder": scratch, "failure": "is not taken by Yosys"}
        try:
            call_within(timeout, "lehr.targets.verilog:call", said)
        except NotBitExact as error:
            raise FileRefused(str(error)) from None
        return [
            Circuit(top, *((folder / f"{number}.{end}").read_text() for end in ("smt2", "json")))
            for number in range(len(variants))
        ]


__all__ = ["Circuit", "Clocks", "TimeIsUp", "circuits", "read_verilog"]
