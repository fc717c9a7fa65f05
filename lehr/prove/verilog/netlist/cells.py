"""The cells of an iCE40, as nextpnr places them, as terms of z3.

What they give is written from the models in Yosys' ice40/cells_sim.v, as which it is tested. An
input that is not connected is 0, and a clock enable is 1, as on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lehr.prove.solver import z3
from lehr.prove.verilog.questions import Undecided

Net = int | str
"""The number of a net, or the digit of a constant."""
LOGIC, BUFFER, PIN = "ICESTORM_LC", "SB_GB", "SB_IO"
MEMORIES = ("ICESTORM_RAM", "ICESTORM_SPRAM")
_INPUTS = ("I0", "I1", "I2", "I3")
_INPUT_PIN, _OUTPUT_PIN = "000001", "011001"


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        kind: its type.
        parameters: by name, in binary digits.
        pins: what is connected, by name.
    """

    kind: str
    parameters: Mapping[str, str]
    pins: Mapping[str, Net]

    @property
    def table(self) -> int:
        """Bit i is what the look-up table gives for inputs that are the number i."""
        return int(self.parameters["LUT_INIT"], 2)

    @property
    def heard(self) -> tuple[str, ...]:
        """Inputs on which the look-up table depends."""
        rows = range(1 << len(_INPUTS))
        return tuple(
            pin
            for at, pin in enumerate(_INPUTS)
            if any((self.table >> row ^ self.table >> (row ^ 1 << at)) & 1 for row in rows)
        )

    def has(self, parameter: str) -> bool:
        """Return whether a parameter of one bit is set."""
        return int(self.parameters[parameter], 2) != 0


@dataclass(frozen=True)
class Netlist:
    """A design that was placed.

    Attributes:
        cells: by name.
        names: of nets.
        inputs, outputs: nets of the pins, by name.
    """

    cells: Mapping[str, Cell]
    names: Mapping[str, Net]
    inputs: Mapping[str, Net]
    outputs: Mapping[str, Net]
    drivers: Mapping[Net, tuple[str, str]] = field(repr=False)

    @property
    def registers(self) -> Iterator[Net]:
        """Outputs of flip-flops."""
        for cell in self.cells.values():
            if cell.kind == LOGIC and cell.has("DFF_ENABLE"):
                yield cell.pins["O"]

    @property
    def remembered(self) -> Iterator[Net]:
        """Outputs of memories."""
        for net, (name, _) in self.drivers.items():
            if self.cells[name].kind in MEMORIES:
                yield net

    def driver(self, net: Net) -> Cell:
        """Return the cell that drives a net."""
        name, _ = self.drivers[net]
        return self.cells[name]

    def changed(self, name: str, bit: int) -> Netlist:
        """Return a copy in which a bit of a look-up table is another."""
        cell = self.cells[name]
        table = f"{cell.table ^ 1 << bit:016b}"
        other = replace(cell, parameters={**cell.parameters, "LUT_INIT": table})
        return replace(self, cells={**self.cells, name: other})


def placed(design: Mapping[str, Any]) -> Netlist:
    """Read the module that nextpnr writes as JSON.

    Raises:
        Undecided: when it has a pin whose use has no rule here.
    """
    cells, drivers = dict[str, Cell](), dict[Net, tuple[str, str]]()
    inputs, outputs = dict[str, Net](), dict[str, Net]()
    for name, each in design["cells"].items():
        pins = {pin: nets[0] for pin, nets in each["connections"].items() if nets}
        if each["type"] == PIN:
            use, port = each["parameters"]["PIN_TYPE"][-6:], name.removesuffix("$sb_io")
            if use == _INPUT_PIN:
                inputs[port] = pins["D_IN_0"]
            elif use == _OUTPUT_PIN:
                outputs[port] = pins["D_OUT_0"]
            else:
                raise Undecided(f"{name} is a pin of type {use}, of which there is no rule")
            continue
        cells[name] = Cell(each["type"], each["parameters"], pins)
        for pin, net in pins.items():
            if each["port_directions"][pin] == "output":
                drivers[net] = (name, pin)
    names = {name: each["bits"][0] for name, each in design["netnames"].items()}
    return Netlist(cells, names, inputs, outputs, drivers)


class Values:
    """What is on the nets of a netlist in a clock.

    Args:
        netlist: which.
        given: terms of what flip-flops, memories and inputs give.
    """

    def __init__(self, netlist: Netlist, given: Mapping[Net, Any]) -> None:
        self.netlist = netlist
        self._terms: dict[Net, Any] = {"0": z3.BoolVal(False), "1": z3.BoolVal(True), **given}

    def at(self, net: Net) -> Any:
        """Return what is on a net.

        Raises:
            Undecided: for a cell that has no rule, and for a loop.
        """
        waiting, begun = [net], set[Net]()
        while waiting:
            last = waiting[-1]
            if last not in self._terms:
                lacking = [each for each in self._before(last) if each not in self._terms]
                if not lacking:
                    self._terms[last] = self._given_by(last)
                elif last in begun:
                    raise Undecided(f"net {last} depends on itself")
                else:
                    begun.add(last)
                    waiting += lacking
                    continue
            waiting.pop()
        return self._terms[net]

    def after(self, register: Net) -> Any:
        """Return what a flip-flop gives after the next edge of the clock.

        Raises:
            Undecided: for one of a kind that has no rule.
        """
        name, _ = self.netlist.drivers[register]
        cell = self.netlist.cells[name]
        if cell.has("ASYNC_SR") or cell.has("NEG_CLK"):
            raise Undecided(f"{name} is a flip-flop of a kind of which there is no rule")
        if self._source(cell.pins["CLK"]) != self.netlist.inputs["clk"]:
            raise Undecided(f"{name} has another clock")
        value = self._looked_up(cell)
        if "SR" in cell.pins:
            value = z3.If(self.at(cell.pins["SR"]), z3.BoolVal(cell.has("SET_NORESET")), value)
        if "CEN" in cell.pins:
            value = z3.If(self.at(cell.pins["CEN"]), value, self.at(register))
        return value

    def _source(self, net: Net) -> Net:
        """Return the net that comes to a buffer; any other net as it is."""
        name, _ = self.netlist.drivers.get(net, ("", ""))
        if name and (cell := self.netlist.cells[name]).kind == BUFFER:
            return cell.pins["USER_SIGNAL_TO_GLOBAL_BUFFER"]
        return net

    def _before(self, net: Net) -> list[Net]:
        """Return the nets on which another one depends."""
        cell, pin = self._driver(net)
        pins = ("USER_SIGNAL_TO_GLOBAL_BUFFER",) if cell.kind == BUFFER else cell.heard
        if pin == "COUT":
            pins = ("I1", "I2", *(() if cell.has("CIN_CONST") else ("CIN",)))
        return [cell.pins[each] for each in pins if each in cell.pins]

    def _driver(self, net: Net) -> tuple[Cell, str]:
        if net not in self.netlist.drivers:
            raise Undecided(f"nothing drives net {net}")
        name, pin = self.netlist.drivers[net]
        cell = self.netlist.cells[name]
        if cell.kind not in (LOGIC, BUFFER):
            raise Undecided(f"of {cell.kind}, as {name} is one, there is no rule")
        return cell, pin

    def _given_by(self, net: Net) -> Any:
        cell, pin = self._driver(net)
        if cell.kind == BUFFER:
            return self.at(cell.pins["USER_SIGNAL_TO_GLOBAL_BUFFER"])
        if pin != "COUT":
            return self._looked_up(cell)
        if not cell.has("CARRY_ENABLE"):
            raise Undecided(f"net {net} is a carry of a cell that has none")
        carry = z3.BoolVal(cell.has("CIN_SET")) if cell.has("CIN_CONST") else self._on(cell, "CIN")
        a, b = self._on(cell, "I1"), self._on(cell, "I2")
        return z3.Or(z3.And(a, b), z3.And(z3.Or(a, b), carry))

    def _looked_up(self, cell: Cell) -> Any:
        heard = cell.heard
        inputs = [self._on(cell, pin) for pin in heard]
        places = [_INPUTS.index(pin) for pin in heard]
        rows = [
            cell.table >> sum((row >> at & 1) << place for at, place in enumerate(places)) & 1
            for row in range(1 << len(heard))
        ]
        return _chosen(rows, inputs)

    def _on(self, cell: Cell, pin: str) -> Any:
        return self.at(cell.pins.get(pin, "0"))


def _chosen(rows: list[int], inputs: list[Any]) -> Any:
    """Return the row whose number the inputs are, the first of which is the lowest bit."""
    if len(set(rows)) == 1:
        return z3.BoolVal(bool(rows[0]))
    half, last = len(rows) // 2, inputs[-1]
    low, high = rows[:half], rows[half:]
    if low == high:
        return _chosen(low, inputs[:-1])
    if len(set(low)) == len(set(high)) == 1:
        return last if high[0] else z3.Not(last)
    return z3.If(last, _chosen(high, inputs[:-1]), _chosen(low, inputs[:-1]))
