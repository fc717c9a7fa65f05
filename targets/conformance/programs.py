"""Golden networks whose update is a program.

They are the machines of lehr.machines, and programs with one kind of statement each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from lehr.machines import MACHINES
from lehr.network import Network
from lehr.targets.conformance.building import Images
from lehr.targets.conformance.claims import Claim
from lehr.targets.conformance.machines import THRESHOLDS, program_network
from lehr.targets.contract import Target
from lehr.update import STATEMENTS, Bound, ForEachEvent, Leak, Program, Statement
from lehr.update_text import program_of_lines

SHAPES = ((True, 2), (False, 2), (True, 1), (False, 1))
"""Whether the first layer is a convolution, and how many layers there are."""
NARROW = 9
"""Bits at which the states of machines come to their rails in small networks."""
SCALES = (1.0, 0.5, 2.0, 4.0)
"""By which the thresholds of a machine are tried."""
_TAKE, _BOUND, _FIRE = "add v input 4", "bound v -2048 2047 saturate", "fire fired v gt threshold 1"
_ROOM = "bound v -2147483648 2147483647 saturate"
_SUBTRACT = "subtract v threshold 0 times fired"


@dataclass(frozen=True)
class InStatements:
    """A golden network whose update is a program.

    Attributes:
        programs: that it may have, the first that the target takes is used.
        threshold: around which thresholds lie.
        per_neuron: parameters differ within each channel of maps.
        kind: of statement that it is there to exercise; None where it is a whole machine.
    """

    name: str
    programs: tuple[Program, ...]
    threshold: int = 40
    per_neuron: bool = False
    kind: type | None = None

    def tells(self, target: Target) -> tuple[Claim, ...]:
        """Return the kind of statement."""
        return (Claim("statement", self.kind),) if self.kind in target.statements else ()

    def groups(self, target: Target) -> Iterator[Iterator[tuple[Network, Images]]]:
        """Yield program after program, in each shape.

        First come thresholds by channel, then one for all.
        """
        kind = "binary" if "binary" in target.weights else target.weights[0]
        readout = (
            "count_argmax_lowest"
            if "count_argmax_lowest" in target.readouts
            else target.readouts[0]
        )
        taken = [
            program
            for program in self.programs
            if {type(s) for s in program.all} <= target.statements
        ]
        shapes = [(spatial, layers) for spatial, layers in SHAPES if spatial or not self.per_neuron]
        for program, (spatial, layers), alike in product(
            taken, shapes, (False,) if self.per_neuron else (False, True)
        ):
            make = partial(
                program_network,
                program,
                spatial=spatial,
                layers=layers,
                per_neuron=self.per_neuron,
                kind=kind,
                readout=readout,
            )
            yield (make(max(1, round(self.threshold * scale)), alike=alike) for scale in SCALES)


def _machines() -> Iterator[InStatements]:
    for name, program in MACHINES.items():
        yield InStatements(f"machine_{name}", (program,), THRESHOLDS.get(name, 40))
        yield InStatements(
            f"machine_{name}_by_neuron", (program,), THRESHOLDS.get(name, 40), per_neuron=True
        )
        narrow = Program(tuple(map(_narrowed, program.statements)), program.membrane)
        if narrow != program:
            yield InStatements(
                f"machine_{name}_at_{NARROW}_bits", (narrow,), THRESHOLDS.get(name, 40)
            )


def _narrowed(s: Statement) -> Statement:
    """Return a statement with narrower ends, where it is a Bound.

    They are as far from those of NARROW bits as they were from those of as many bits as they have.
    """
    if isinstance(s, ForEachEvent):
        return ForEachEvent(tuple(map(_narrowed, s.body)))
    if not isinstance(s, Bound) or isinstance(s.low, str) or isinstance(s.high, str):
        return s
    less = (1 << round(math.log2(max(-s.low, s.high)))) - (1 << (NARROW - 1))
    return replace(s, low=s.low + less, high=s.high - less) if less > 0 else s


def _statements() -> Iterator[InStatements]:
    """Yield each statement in each of its variants, among as few others as make a neuron.

    It comes with a narrow Bound, then with a wide one.
    """
    leaks = [
        "dash 0 2",
        "linear 5 0",
        "dash 0 shift",
        "linear leak 0",
        "multiply decay 8 floor",
        "shift 7 3 toward_zero",
    ]
    leaks += [f"multiply 11 4 {rounding}" for rounding in ("toward_zero", "floor", "nearest_even")]
    leaks += [f"shift 7 3 {rounding}" for rounding in ("floor", "nearest_even")]
    for leak in leaks:
        yield _small(f"leak {leak}", f"leak v {leak}", _TAKE, _BOUND, _FIRE, _SUBTRACT)
    yield _small("add bias", _TAKE, "add v bias 3", _BOUND, _FIRE, _SUBTRACT)
    yield _small(
        "add times", _TAKE, _BOUND, "put a 0", "add a 5 1 times fired", "subtract v a 0", _FIRE
    )
    yield _small("put when", _TAKE, _BOUND, _FIRE, "put v bias when fired")
    yield _small(
        "put next",
        "leak v multiply 7 3 floor",
        "put v 0 when fired",
        _TAKE,
        _BOUND,
        "fire fired v ge threshold 1",
    )
    yield _small("put always", "put a v", _TAKE, "subtract v a 1", _BOUND, _FIRE)
    for ends in (
        "-64 63 saturate",
        "-64 63 wrap",
        "floor 100 saturate",
        _ROOM.removeprefix("bound v "),
    ):
        yield _small(f"bound {ends}", _TAKE, f"bound v {ends}", _FIRE, _SUBTRACT)
    yield _small("fire alone", _TAKE, _BOUND, _FIRE, _SUBTRACT)
    yield _small("put zero", _TAKE, _BOUND, _FIRE, "put v 0 when fired")
    unrounded = program_of_lines(
        ["leak v multiply 1 1 floor", "add v input 11", _ROOM, _FIRE, "put v 0 when fired"], "v"
    )
    yield InStatements("program_leak_that_rounds_nothing", (unrounded,), 3 << 11, kind=Leak)
    yield _small("fire ge", _TAKE, _BOUND, "fire fired v ge threshold 1", _SUBTRACT)
    yield _small("fire often", _TAKE, _BOUND, "fire fired v ge threshold 3", _SUBTRACT)
    yield _small("fire at a number", _TAKE, _BOUND, "fire fired v gt 30 1", "put v 0 when fired")
    yield _small(
        "fire into another",
        _TAKE,
        _BOUND,
        "fire high v gt threshold 1",
        "put v 0 when high",
        _FIRE.replace("gt threshold", "ge 16"),
    )
    inner = (
        "add v input 4",
        _BOUND,
        "fire now v ge threshold 1",
        "subtract v threshold 0 times now",
        "add fired now 0",
    )
    yield _small(
        "loop", "put fired 0", "for each event", *inner, "end", "leak v multiply 7 3 floor"
    )


def _small(name: str, *lines: str) -> InStatements:
    """Return a program, and the same with a Bound to 32 bits instead of 12.

    The latter is for machines that come to no rails.
    """
    versions = [program_of_lines(list(lines), "v")]
    if _BOUND in lines:
        versions.append(
            program_of_lines([_ROOM if line == _BOUND else line for line in lines], "v")
        )
    exercised = next(
        s
        for s in STATEMENTS
        if s.__name__.lower() == {"loop": "foreachevent"}.get(name, name.split()[0])
    )
    called = "".join(letter if letter.isalnum() or letter == "-" else "_" for letter in name)
    return InStatements(f"program_{called}", tuple(versions), kind=exercised)


PROGRAMS = (*_machines(), *_statements())
