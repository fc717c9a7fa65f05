"""Programs from a file are taken only if no register of them can ever leave 64 bits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from machine_networks import machine_network
from python_update import BEYOND, PythonStep

from lehr.bounded import require_bounded
from lehr.errors import FileRefused
from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.update import Program
from lehr.update_text import program_of_lines

THETA = 7
LEAK, TAKE, BOUND, FIRE = (
    "leak v multiply 7 3 floor",
    "add v input 4",
    "bound v -32768 32767 saturate",
    "fire fired v gt threshold 1",
)


def network(update: Program, **values: int) -> Network:
    """Build a network of one neuron behind two synapses."""
    given = {"threshold": THETA, "bias": 0, **values}
    arrays = {
        name: np.array([value if name in update.parameters else 0], np.int32)
        for name, value in given.items()
    }
    neuron = Neuron(
        arrays.pop("threshold"),
        arrays.pop("bias"),
        update,
        parameters={k: v for k, v in arrays.items() if k in values},
    )
    edges = ((INPUT, "w"), ("w", "n"), ("n", OUTPUT))
    readout: Any = "count_argmax_lowest" if update.fires else "membrane_last_argmax_lowest"
    return Network(
        {"w": Linear(np.array([[1, -1]], np.int8)), "n": neuron},
        edges,
        Input((2,), "u8"),
        5,
        readout,
    )


def lines(*statements: str) -> Program:
    return program_of_lines(statements, "v")


TAKEN = {
    "the usual": lines(LEAK, TAKE, BOUND, FIRE),
    "a reset behind the bound": lines(
        LEAK, TAKE, BOUND, FIRE, "subtract v threshold 0 times fired"
    ),
    "a leak alone": lines(LEAK, TAKE, FIRE),
    "a membrane that is put anew": lines("put v 0", TAKE, FIRE),
    "a countdown": lines(
        LEAK, TAKE, BOUND, "put v 0 when r", "leak r linear 1 0", FIRE, "put r 3 when fired"
    ),
    "a number added to what leaks": lines("leak v shift 1 1 floor", "add v 5 16", FIRE),
    "doubling of what is put anew": lines("put v input", *["add v v 1"] * 20, BOUND),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_stays_is_taken(case: str) -> None:
    require_bounded(network(TAKEN[case]))


REFUSED = {
    "no end": (
        lines(TAKE, FIRE),
        "n: update statement 1, 'add v input 4': nothing keeps v within 64 bits; bound it",
    ),
    "a constant without end": (
        lines(LEAK, TAKE, BOUND, "add a 1 0"),
        "n: update statement 4, 'add a 1 0': nothing keeps a within 64 bits; bound it",
    ),
    "no end in a loop": (
        lines("put fired 0", "for each event", "add v input 0", "end"),
        "n: update statement 3, 'add v input 0': nothing keeps v within 64 bits; bound it",
    ),
    "doubling": (
        lines("put v input", *["add v v 16"] * 4, BOUND),
        "n: update statement 5, 'add v v 16': nothing keeps v within 64 bits; bound it",
    ),
    "a product": (
        lines("put v input", "add v v 16", "add v v 16", "put w v", "add v v 16 times w", BOUND),
        "n: update statement 5, 'add v v 16 times w': nothing keeps v within 64 bits; bound it",
    ),
    "squares of squares": (
        lines("put v input", *["add v v 0 times v"] * 50, BOUND),
        "n: update statement 4, 'add v v 0 times v': nothing keeps v within 64 bits; bound it",
    ),
    "the product of a decay": (
        lines("put v input", *["add v v 16"] * 3, "leak v multiply 65535 16 floor", BOUND),
        "n: update statement 5, 'leak v multiply 65535 16 floor': nothing keeps v within 64 bits; "
        "bound it",
    ),
    "growth of what is bounded late": (
        lines("add v v 16", "add v v 16", "add v v 16", TAKE, "bound v -65536 65535 wrap"),
        "n: update statement 3, 'add v v 16': nothing keeps v within 64 bits; bound it",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_leave_is_refused_by_name(case: str) -> None:
    update, message = REFUSED[case]
    with pytest.raises(FileRefused) as caught:
        require_bounded(network(update))
    assert str(caught.value).startswith(message)


# -------------------------------------------------------------------- what is taken stays, in
# Python's own integers
DRAWN = (
    "leak {x} multiply 7 3 toward_zero", "leak {x} multiply k 16 floor", "leak {x} shift 7 3 floor", "leak {x} dash 0 2", "leak {x} linear 3 0",
    "add {x} input 4", "add {x} {y} 0", "add {x} {y} 16", "subtract {x} {y} 2", "add {x} bias 9", "subtract {x} threshold 3 times fired",
    "add {x} {y} 16 times {z}", "put {x} {y}", "put {x} input", "put {x} -4 when {y}", "put {x} {y} when fired",
    "bound {x} -32768 32767 saturate", "bound {x} -2147483648 2147483647 wrap", "bound {x} -3 5 saturate", "bound {x} bias 70000 saturate",
    "fire fired {x} gt threshold 1", "fire fired {x} ge 3 200", "fire {z} {x} ge 1 1",
)  # fmt: skip


GIVEN = {"threshold": THETA, "bias": -5, "k": 65_000}


def programs(count: int) -> Iterator[Program]:
    rng = np.random.default_rng(11)
    while count:
        statements = [
            str(rng.choice(DRAWN)).format(
                x=rng.choice(["v", "w", "i"]),
                y=rng.choice(["v", "w", "i"]),
                z=rng.choice(["w", "i"]),
            )
            for _ in range(rng.integers(2, 9))
        ]
        if rng.random() < 0.5:
            statements.insert(int(rng.integers(len(statements) + 1)), BOUND)
        if rng.random() < 0.2:
            statements = [line for line in statements if "input" not in line]
            statements = [
                "put fired 0",
                "for each event",
                "add v input 3",
                *statements[:2],
                "end",
                *statements[2:],
            ]
        try:
            update = lines(*statements)
        except FileRefused:
            continue
        if set(update.parameters) <= GIVEN.keys():  # others are registers that nothing writes
            yield update
            count -= 1


@pytest.mark.parametrize("count", [150, pytest.param(600, marks=pytest.mark.slow)])
def test_no_register_of_what_is_taken_ever_leaves_64_bits(count: int) -> None:
    taken = refused = leaving = 0
    for update in programs(count):
        net = network(update, **{name: GIVEN[name] for name in update.parameters})
        worst = 0
        for pattern in ((255,), (-255,), (255, -255), (0, 0, 255)):
            registers = dict.fromkeys(update.registers, 0)
            for sent in itertools.islice(itertools.cycle(pattern), 40):
                before = {state: registers[state] for state in update.states}
                registers = {**dict.fromkeys(update.registers, 0), **before}
                step = PythonStep(
                    registers, {**GIVEN, INPUT: sent}, [np.sign(sent).item()] * min(abs(sent), 25)
                )
                with suppress(OverflowError):
                    step.do(update.statements)
                worst = max(worst, step.greatest)
                # the run is refused there, or beyond saving
                if registers["fired"] > 255 or worst > BEYOND:
                    break
        leaving += worst >= 2**63
        try:
            require_bounded(net)
            taken += 1
            assert worst < 2**63, update
        except FileRefused:
            refused += 1
    assert min(taken, refused, 8 * leaving) > count // 5, (taken, refused, leaving)


def test_the_machines_are_taken() -> None:
    for name in MACHINES:
        require_bounded(machine_network(name)[0])
