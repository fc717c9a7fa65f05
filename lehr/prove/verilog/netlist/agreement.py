"""Which nets of a placed netlist are which registers of the Verilog, and questions about them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

from lehr.prove.obligations import Obligation
from lehr.prove.solver import z3
from lehr.prove.verilog.circuit import Claim
from lehr.prove.verilog.netlist.cells import Net, Netlist, Values
from lehr.prove.verilog.netlist.placed import Among, Bit, Placed
from lehr.prove.verilog.questions import Questions, Undecided
from lehr.prove.verilog.yosys import Circuit, Clocks

_DIGITS: Mapping[Net, Any] = {"0": z3.BoolVal(False), "1": z3.BoolVal(True)}
_PARTS = re.compile(r"lehr_(neuron|lane)(_\d+)?")
_FEW = 256
"""Words of a memory that are named one by one."""
AGREED = "in the clock before, flip-flops and registers agree, as the claims say of one another"
GIVEN = "memories give what the Verilog's do: words of their images, which none reads beyond"
FREE = "registers that nothing has set yet, which may hold anything, hold 0 as flip-flops do"


@dataclass(frozen=True)
class Pair:
    """A net of the netlist, and what it is in the Verilog."""

    net: Net
    meaning: Bit | Among

    @property
    def name(self) -> str:
        """What a counterexample calls it."""
        if isinstance(self.meaning, Bit):
            return f"{self.meaning.wire}[{self.meaning.at}]"
        return f"{self.meaning.wire} in {set(self.meaning.numbers)}"


class Agreement:
    """Which nets of a netlist are which registers, and questions about them.

    Args:
        circuit: the Verilog, with memories that give anything.
        placed: the netlist.
        memories: the modules of memories.
        words: of those that are read only, by the path of their instance.

    Attributes:
        pairs: of flip-flops with registers, by the module that has these.
        nameless: flip-flops that are in no register of the Verilog.
    """

    def __init__(
        self,
        circuit: Circuit,
        placed: Placed,
        memories: set[str],
        words: Mapping[str, Sequence[int]],
    ) -> None:
        self.circuit, self.placed = circuit, placed
        self.clocks = Clocks(circuit, 1)
        self.pairs: dict[str, list[Pair]] = defaultdict(list)
        self.nameless: list[Net] = []
        self._memory: list[Pair] = []
        inside = (f"{path}." for path, module in placed.modules.items() if module in memories)
        self._inside = tuple(inside)
        self._remembered = set(placed.netlist.remembered)
        for net in dict.fromkeys((*placed.netlist.registers, *self._remembered)):
            self._put(net)
        for digit in ("0", "1"):
            for pair in (Pair(digit, each) for each in self._meanings(digit)):
                if self._is_free(pair):
                    self._memory.append(pair)
                elif self._is_held(pair):
                    self.pairs[self._part(pair)].append(pair)

        read = {f"{path}.q": each for path, each in words.items() if f"{path}.q" in circuit.wires}
        self._read = circuit.shared(read)
        facts = [_one_of(self.clocks.at(0, wire), each) for wire, each in read.items()]
        facts += [self._within(path, len(each)) for path, each in words.items()]
        self._facts = [*self.clocks.facts, *facts]

    def _put(self, net: Net) -> None:
        pairs = [Pair(net, each) for each in self._meanings(net)]
        if net in self._remembered or any(map(self._is_free, pairs)):
            self._memory += pairs
        elif not pairs and self._is_inside(net):
            return
        elif not pairs:
            self.nameless.append(net)
        else:
            part = next((p for each in pairs if (p := self._part(each))), "")
            self.pairs[part] += pairs

    def _meanings(self, net: Net) -> list[Bit | Among]:
        """Return what a net is, where the Verilog has it."""
        wires = self.circuit.wires
        return [
            each
            for each in self.placed.meanings.get(net, ())
            if each.wire in wires and (isinstance(each, Among) or each.at < wires[each.wire])
        ]

    def _within(self, path: str, depth: int) -> Any:
        """Return that a memory's address is one of its words, where it has one."""
        if f"{path}.address" not in self.circuit.wires:
            return z3.BoolVal(True)
        address = self.clocks.at(0, f"{path}.address")
        return z3.ULE(address, min(depth, 1 << address.size()) - 1)

    def _is_free(self, pair: Pair) -> bool:
        """Return whether a memory gives it."""
        each = pair.meaning
        return isinstance(each, Bit) and (each.wire, each.at) in self.circuit.free

    def _is_read(self, pair: Pair) -> bool:
        """Return whether a memory with an image gives it."""
        each = pair.meaning
        return isinstance(each, Bit) and (each.wire, each.at) in self._read

    def _is_held(self, pair: Pair) -> bool:
        """Return whether a register of the Verilog has it."""
        each = pair.meaning
        return isinstance(each, Bit) and (each.wire, each.at) in self.circuit.held

    def _is_inside(self, net: Net) -> bool:
        """Return whether a flip-flop is a word's, of a memory that is made of them."""
        names = (each.wire for each in self.placed.meanings.get(net, ()))
        return any(name.startswith(self._inside) for name in names)

    def _part(self, pair: Pair) -> str:
        module = self.placed.module(pair.meaning.wire)
        return module if _PARTS.fullmatch(module) else ""

    # ------------------------------------------------------------ claims
    def shown(self, device: str, timeout: float) -> Iterator[Obligation]:
        """Yield what is shown of each part, and of a reset."""
        for part in sorted(self.pairs, reverse=True):
            pairs = self.pairs[part]
            count = len({pair.net for pair in pairs} - {"0", "1"})
            sentence = (
                f"{'all' if part else 'all other'} {count:,} flip-flops"
                f"{f' of {part}.v' if part else ' and all outputs'}, placed for {device}, hold "
                "after each clock what the Verilog's registers do"
            )
            name = f"{part or self.circuit.name}.v"
            claim = Claim("netlist", name, sentence, (AGREED, GIVEN), partial(self.differs, part))
            yield self._judged(claim.shown(self.placed.netlist, self._faulty(pairs), timeout))
        claim = Claim(
            "netlist",
            "rst",
            "after a clock with `rst`, before which all flip-flops are 0, they agree with the "
            "Verilog's registers",
            (FREE, GIVEN),
            self.differs_after_reset,
        )
        netlist = self.placed.netlist
        seen = [  # a fault before one that is reset, or is not enabled then, is not
            pair
            for pairs in self.pairs.values()
            for pair in pairs
            if pair.net in netlist.drivers
            and not {"SR", "CEN"} & netlist.driver(pair.net).pins.keys()
        ]
        yield self._judged(claim.shown(netlist, self._faulty(seen), timeout))

    def _judged(self, obligation: Obligation) -> Obligation:
        """Return what came of a claim: no refutation where one side holds what the other has not.

        What contradicts it may then begin where such registers hold what they never do.
        """
        lost = self.circuit.held - {
            (pair.meaning.wire, pair.meaning.at)
            for pair in self._all()
            if isinstance(pair.meaning, Bit)
        }
        if obligation.state != "refuted" or not (self.nameless or lost):
            return obligation
        names = ", ".join(list(obligation.counterexample)[:3])
        reason = (
            f"{names}: nothing that is known of registers without a flip-flop, and of "
            f"{len(self.nameless)} flip-flops without a register, says that they agree"
        )
        return replace(obligation, state="undecided", counterexample={}, reason=reason)

    def differs(self, part: str, netlist: Netlist, asked: Questions) -> dict[str, Any] | None:
        """Return flip-flops and outputs of a part that contradict it; None without any."""
        given, facts = self._given(self._all())
        values = Values(netlist, given)
        claims = self._next(values, self.pairs[part])
        if not part:
            claims |= self._outputs(values)
        return self._contradicted(facts, claims, asked)

    def differs_after_reset(self, netlist: Netlist, asked: Questions) -> dict[str, Any] | None:
        """Return flip-flops that the first reset leaves different; None without any."""
        pairs = self._all()
        bits = [pair for pair in pairs if isinstance(pair.meaning, Bit)]
        kept = {pair.net for pair in bits if self._is_read(pair) or not self._is_held(pair)}
        zero = dict.fromkeys(set(netlist.registers) - kept, z3.BoolVal(False))
        given, facts = self._given(bits, zero)
        facts += [z3.Not(each) for each in self._in_a_state(pairs)]  # the Verilog's begin in none
        values = Values(netlist, given)
        claims: dict[str, tuple[Any, Any]] = {}
        for pairs in self.pairs.values():
            claims |= self._next(values, pairs)
        return self._contradicted([*facts, self.clocks.at(0, "rst") == 1], claims, asked)

    def _all(self) -> list[Pair]:
        return [*self._memory, *(pair for pairs in self.pairs.values() for pair in pairs)]

    def _given(
        self, pairs: Sequence[Pair], known: Mapping[Net, Any] | None = None
    ) -> tuple[dict[Net, Any], list[Any]]:
        """Return what nets are before the clock, some of which are known, and what is so then."""
        netlist, clocks = self.placed.netlist, self.clocks
        given: dict[Net, Any] = {**_DIGITS, **(known or {})}
        for name, net in netlist.inputs.items():
            given[net] = _port(clocks, name)
        facts = list(self._facts)
        for pair in pairs:
            meant = pair.meaning.of(clocks, 0)
            if pair.net in given:
                facts.append(given[pair.net] == meant)
            else:
                given[pair.net] = meant
        facts += self._in_a_state(pairs)
        for net in (*netlist.registers, *netlist.remembered):
            given.setdefault(net, z3.Bool(f"net {net}"))
        return given, facts

    def _in_a_state(self, pairs: Sequence[Pair]) -> list[Any]:
        """Return that registers which Yosys writes otherwise have one of their numbers."""
        wires = {pair.meaning.wire for pair in pairs if isinstance(pair.meaning, Among)}
        states = self.placed.states
        return [Among(wire, tuple(states[wire])).of(self.clocks, 0) for wire in sorted(wires)]

    def _next(self, values: Values, pairs: Sequence[Pair]) -> dict[str, tuple[Any, Any]]:
        """Return what flip-flops and registers hold after the clock, by name."""
        after = dict[Net, Any](_DIGITS)
        for pair in pairs:
            if pair.net not in after:
                after[pair.net] = values.after(pair.net)
        return {pair.name: (after[pair.net], pair.meaning.of(self.clocks, 1)) for pair in pairs}

    def _outputs(self, values: Values) -> dict[str, tuple[Any, Any]]:
        outputs = self.placed.netlist.outputs
        return {name: (values.at(net), _port(self.clocks, name)) for name, net in outputs.items()}

    def _contradicted(
        self, facts: Sequence[Any], claims: Mapping[str, tuple[Any, Any]], asked: Questions
    ) -> dict[str, Any] | None:
        """Return what the netlist has where the Verilog has the contrary; None where nowhere."""
        if asked.met(facts) is None:
            raise Undecided("nothing can meet what is assumed")
        differ = [there != here for there, here in claims.values()]
        shown = {name: _digit(there) for name, (there, _) in claims.items()}
        shown |= {
            f"differs {name}": _digit(each) for name, each in zip(claims, differ, strict=True)
        }
        found = asked.met([*facts, z3.Or(differ) if len(differ) > 1 else differ[0]], shown)
        if found is None:
            return None
        return {name: found[name] for name in claims if found[f"differs {name}"]}

    def _faulty(self, pairs: Sequence[Pair]) -> Iterator[tuple[str, Netlist]]:
        """Yield netlists with another bit in a look-up table before a flip-flop."""
        netlist = self.placed.netlist
        nets = [pair.net for pair in pairs if pair.net not in ("0", "1")]
        for net in dict.fromkeys((nets[0], nets[len(nets) // 2], nets[-1])):
            name, _ = netlist.drivers[net]
            for row in (0, *(1 << at for at in range(4))):
                yield f"row {row} of the table of {name}", netlist.changed(name, row)


def _port(clocks: Clocks, name: str) -> Any:
    """Return whether a bit of a port of the Verilog is set."""
    wire, _, at = name.partition("[")
    return Bit(wire, int(at.rstrip("]") or 0)).of(clocks, 0)


def _one_of(term: Any, words: Sequence[int]) -> Any:
    """Return that some bits are one of some words; of many, what all of them have in common."""
    distinct = set(words)
    if 1 < len(distinct) <= _FEW:
        return z3.Or([term == word for word in distinct])
    always, ever = reduce(int.__and__, distinct), reduce(int.__or__, distinct)
    return z3.And(term & always == always, term & ~ever == 0)


def _digit(condition: Any) -> Any:
    return z3.If(condition, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))
