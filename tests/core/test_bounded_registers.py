"""Programs that nothing bounds are refused by name before any integer overflows, and quickly; those that stay are taken."""

from __future__ import annotations

import time

import numpy as np
import pytest
from machine_networks import machine_network
from strategies import small_network

from lehr.bounded import require_bounded
from lehr.errors import FileRefused, NotMappable
from lehr.machines import MACHINES
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.update import MEMBRANE
from lehr.update_text import program_of_lines
from lehr.widths import analyse

LIF = [
    "leak v multiply 7 3 floor",
    "add v input 4",
    "fire fired v gt threshold 1",
    "put v 0 when fired",
]


def network(
    lines: list[str], *, channels: int = 3, steps: int = 20, threshold: int = 9, **others: int
) -> Network:
    program = program_of_lines(lines, MEMBRANE)
    given = {name: np.full(channels, value, np.int32) for name, value in others.items()}
    zero = np.zeros(channels, np.int32)
    first = zero + threshold if "threshold" in program.parameters else zero
    neuron = Neuron(first.astype(np.int32), given.pop("bias", zero), program, parameters=given)
    weights = np.random.default_rng(0).integers(-127, 128, (channels, 9), np.int8)
    nodes = {"fc": Linear(weights, "int8"), "n": neuron}
    readout = "count_argmax_lowest" if program.fires else "membrane_last_argmax_lowest"
    return Network(
        nodes,
        ((INPUT, "fc"), ("fc", "n"), ("n", OUTPUT)),
        Input((9,), "spikes"),
        steps,
        readout,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("per_neuron", [False, True])
@pytest.mark.parametrize("name", MACHINES)
def test_every_machine_is_bounded(name: str, per_neuron: bool) -> None:
    require_bounded(machine_network(name, per_neuron=per_neuron)[0])


def test_fields_are_bounded_by_what_they_are() -> None:
    require_bounded(small_network()[0])


@pytest.mark.parametrize(
    "lines",
    [
        LIF,  # no Bound, but a leak that wins
        ["put v input", "fire fired v gt threshold 1"],
        ["put u input", "add u u 8", "bound u -8 7 wrap", "add v u 0", "bound v -128 127 saturate"],
        ["for each event", "add v input 0", "end", "bound v -128 127 saturate"],
        ["put n 0", "for each event", "add n 1 0", "add v input 0", "end", "put v n"],
    ],
)
def test_what_stays_is_taken(lines: list[str]) -> None:
    require_bounded(network(lines, steps=1_000_000))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["add v input 4"],
            "n: update statement 1, 'add v input 4': nothing keeps v within 64 bits; bound it",
        ),
        (
            [
                "put u input",
                *["add u u 16"] * 60,
                "bound u 0 7 saturate",
                "add v u 0",
                "bound v -8 7 saturate",
            ],
            "n: update statement 5, 'add u u 16': nothing keeps u within 64 bits; bound it",
        ),
        (
            [
                "put u input",
                "add u 7 16 times u",
                "add u u 16 times u",
                "add u u 0 times u",
                "put v 0",
            ],
            "n: update statement 3, 'add u u 16 times u': nothing keeps u within 64 bits; bound it",
        ),
        (
            ["leak v multiply 65535 16 floor", "add v input 16"],
            "n: update statement 1, 'leak v multiply 65535 16 floor': nothing keeps v within 64 "
            "bits; bound it",
        ),
        (
            ["for each event", "add v input 4", "end"],
            "n: update statement 2, 'add v input 4': nothing keeps v within 64 bits; bound it",
        ),
        (
            [
                "put v 1",
                "for each event",
                "add v v 1",
                "add u input 0",
                "bound u -8 7 saturate",
                "end",
            ],
            "n: update statement 3, 'add v v 1': nothing keeps v within 64 bits; bound it",
        ),
        (
            ["put v input", "add v v 16", "add v v 16"],
            "n: update statement 3, 'add v v 16': the membrane v can come to "
            "-1,713,744,249,231..2,229,156,053,511, beyond 32 bits; bound it",
        ),
        (
            [
                "put v input",
                "fire now v gt 3 1",
                "subtract now 5 0",
                "put fired 0",
                "add fired now 0",
            ],
            "n: update statement 5, 'add fired now 0': it can count -5 spikes; count what a fire "
            "writes",
        ),
    ],
)
def test_what_does_not_stay_is_refused_by_name(lines: list[str], message: str) -> None:
    with pytest.raises(FileRefused) as refusal:
        require_bounded(network(lines))
    assert str(refusal.value) == message


def test_an_analysis_of_steps_refuses_what_overflows_within_them() -> None:
    grows = ["add v v 16", "add v 1 0"]
    assert analyse(network(grows, steps=3)).layers["n"].membrane == (0, 1 + 65537 + 65537**2)
    with pytest.raises(NotMappable) as refusal:
        analyse(network(grows, steps=5))
    assert (
        str(refusal.value)
        == "n: update statement 1, 'add v v 16': it can leave 64 bits; bound what it changes"
    )


REGISTERS = [f"r{i}" for i in range(54)]
HOSTILE = {
    "chain": [
        "add v input 0",
        *(f"add {b} {a} 1" for a, b in zip(("v", *REGISTERS), REGISTERS, strict=False)),
    ],
    "chain of events": [
        "put r0 1",
        "for each event",
        "add v input 0",
        *(f"add r{i} r{i - 1} 1" for i in range(1, 54)),
        "end",
    ],
    "splits": [
        *("for each event", "add v input 4", "bound v -1000 1000 saturate"),
        *(f"put r{i} v when r{i - 1}" for i in range(1, 28)),
        *(f"put r{i - 1} v when r{i}" for i in range(1, 28)),
        *("put r0 v", "end"),
    ],
    "spikes": [
        *("for each event", "add v input 3", "bound v -32768 32767 wrap"),
        *(
            line
            for i in range(25)
            for line in (f"fire f{i} v ge threshold 255", f"subtract v threshold 0 times f{i}")
        ),
        "end",
    ],
}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_end_fast(name: str) -> None:
    start = time.process_time()
    net = network(HOSTILE[name], steps=1_000_000)
    if name.startswith("chain"):
        with pytest.raises(
            FileRefused,
            match="^n: update statement [13], 'add v input 0': nothing keeps v within 64 bits; bound it$",
        ):
            require_bounded(net)
    else:
        require_bounded(net)
        assert analyse(net).layers["n"].membrane[1] > 0
    assert time.process_time() - start < 60
