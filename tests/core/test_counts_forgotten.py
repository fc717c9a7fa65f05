"""Widths of programs that count spikes and then forget the count.

More than 255 are refused only where they are left.
"""

from __future__ import annotations

import numpy as np
import pytest

from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate import reference, simulate
from lehr.targets.c import C
from lehr.update_text import program_of_lines
from lehr.widths import analyse, fit_state_bits

X = np.ones((1, 4, 40), np.uint8)
EVENTS = "put v 0; put fired 0; for each event; add v input 0; bound v -9 9 saturate; fire now v ge 1 30; {}add fired now 0; end; "
SENT = "put i fired; bound i -32768 32767 saturate; "
PROGRAMS = {
    "by event": EVENTS.format("") + SENT + "put fired 0; fire fired i gt 300 1",
    "by step": "add v input 0; bound v 0 300 saturate; fire a v ge 1 255; fire b v ge 1 255; put fired 0; add fired a 0; add fired b 0; "
    + SENT
    + "put fired 0; fire fired i gt 300 1",
    "taken off": EVENTS.format("") + SENT + "put now -200; add fired now 0",
    "taken off by event": EVENTS.format(
        "add c 1 0; bound c 0 99 saturate; fire late c gt 38 1; put now -100 when late; "
    ).replace("add fired", SENT + "add fired")
    + "put now 0",
}


def network(name: str) -> Network:
    program = program_of_lines(PROGRAMS[name].split("; "), "i")
    zero = np.zeros(2, np.int32)
    nodes = {"w": Linear(np.full((2, 40), 9, np.int8), "int8"), "n": Neuron(zero, zero, program)}
    return Network(
        nodes,
        ((INPUT, "w"), ("w", "n"), ("n", OUTPUT)),
        Input((40,), "spikes"),
        4,
        "membrane_sum_argmax_lowest",
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_counts_beyond_255_that_are_forgotten_stay_within_their_bounds(name: str) -> None:
    net, reached = network(name), dict[str, dict[str, tuple[int, int]]]()
    machine = reference.Machine(net, 1, reached)
    for t in range(net.steps):
        machine.step(X[:, t].astype(np.int64))
    low, high = reached["n"]["i"]
    bounds = analyse(net).layers["n"].registers
    assert high > 255
    assert bounds["i"][0] <= low <= high <= bounds["i"][1]
    fitted, wide = simulate(fit_state_bits(net), X, trace=["n"]), simulate(net, X, trace=["n"])
    assert np.array_equal(fitted.trace.membranes["n"], wide.trace.membranes["n"])


def test_counts_that_stay_are_bounded_by_what_is_refused() -> None:
    program = program_of_lines((EVENTS.format("") + "put i fired").split("; "), "i")
    net = network("by event")
    left = Network(
        {**net.nodes, "n": Neuron(net.neurons["n"].threshold, net.neurons["n"].bias, program)},
        net.edges,
        net.input,
        4,
        net.readout,
    )
    assert analyse(left).layers["n"].registers["i"] == (0, 255)


@pytest.mark.parametrize("name", ["taken off", "taken off by event"])
def test_c_refuses_to_take_spikes_off_what_it_keeps_in_a_byte(name: str) -> None:
    (problem,) = C().check(network(name))
    assert (
        str(problem)
        == "n: its update may take spikes off fired, which C keeps in a byte; count in another register"
    )
