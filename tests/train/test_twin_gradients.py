"""Gradients of the twin's statements by hand, and those of whole networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from machine_networks import machine_network
from program_networks import BY_STEP, layer_network

from lehr.machines import MACHINES
from lehr.train.twin.network import Twin
from lehr.train.twin.update import Surrogate, scan
from lehr.update import MEMBRANE
from lehr.update_text import program_of_lines


def gradient(
    lines: str, inputs: list[float], given: dict[str, float], of: str = "v", step: int = -1
) -> tuple[list[float], dict[str, float]]:
    """Of one neuron's membrane (or `fired`) after a step, for its inputs and its parameters.

    Unit 1/8, slope 1.
    """
    current = torch.tensor(inputs, dtype=torch.float64).view(-1, 1, 1).requires_grad_()
    values = {
        name: torch.tensor([value], dtype=torch.float64).requires_grad_()
        for name, value in given.items()
    }
    program = program_of_lines(lines.split("; "), MEMBRANE)
    states = dict.fromkeys(program.states, torch.zeros(1, 1, dtype=torch.float64))
    spikes, membranes, _ = scan(
        program, current, values, len(inputs), states, Surrogate(1 / 8, 1.0)
    )
    slopes = torch.autograd.grad(
        (spikes if of == "fired" else membranes)[step].sum(),
        [current, *values.values()],
        allow_unused=True,
        materialize_grads=True,
    )
    return slopes[0].flatten().tolist(), {
        name: float(value) for name, value in zip(values, slopes[1:], strict=True)
    }


TAKE = "add v input 0"


@pytest.mark.parametrize(
    ("lines", "inputs", "expected"),
    [
        (f"leak v multiply 3 2 floor; {TAKE}", [5, 1, 0], [9 / 16, 3 / 4, 1]),
        (f"leak v shift 7 3 toward_zero; {TAKE}", [5, 1, 0], [49 / 64, 7 / 8, 1]),
        (f"leak v dash 0 2; {TAKE}", [5, 1, 0], [9 / 16, 3 / 4, 1]),
        ("add v input 3", [5, 1], [8, 8]),
        (f"leak v linear 2 0; {TAKE}", [5, 1, 1], [1, 1, 1]),
        (
            f"leak v linear 2 0; {TAKE}",
            [1, 1, 1],
            [0, 0, 1],
        ),  # there is nothing left of 1 after a leak of 2
        (f"{TAKE}; bound v -8 7 saturate", [7, 0, -15], [1, 1, 1]),  # at the rails, not beyond
        (f"{TAKE}; bound v -8 7 saturate", [8, 0, -15], [0, 1, 1]),
        (f"{TAKE}; bound v -8 7 saturate", [8, 0, -16], [0, 0, 0]),
        (f"{TAKE}; bound v -8 7 wrap", [8, 0, -16], [1, 1, 1]),
        ("put w 0; add w input 0; add v w 0 times w", [3, 2], [6, 4]),  # a square
    ],
)
def test_membranes_by_hand(lines: str, inputs: list[float], expected: list[float]) -> None:
    assert gradient(lines, inputs, {})[0] == expected


def surrogate(distance: float) -> float:
    """1/8 / (1 + |distance| / 8)^2."""
    return 1 / 8 / (1 + abs(distance) / 8) ** 2


@pytest.mark.parametrize(
    ("test", "up_to", "x", "distance", "level"),
    [
        ("gt", 1, 9, 5, 1),
        ("gt", 1, 4, 0, 1),
        ("ge", 1, 4, 0.5, 1),
        ("gt", 1, -4, -8, 1),
        ("gt", 5, 9, 1, 2),  # nearest to twice the level of 4
        ("gt", 5, 11, -1, 3),
        ("ge", 5, 11, -0.5, 3),
        ("gt", 5, 90, 70, 5),
        ("gt", 5, -3, -7, 1),
    ],
)
def test_spikes_by_hand(test: str, up_to: int, x: float, distance: float, level: int) -> None:
    of_input, of_parameters = gradient(
        f"{TAKE}; fire fired v {test} threshold {up_to}", [x], {"threshold": 4}, "fired"
    )
    assert of_input == pytest.approx([surrogate(distance)], rel=1e-12)
    assert of_parameters["threshold"] == pytest.approx(-level * surrogate(distance), rel=1e-12)


@pytest.mark.parametrize(
    ("after", "of_input", "of_parameters"),
    [
        (
            "subtract v threshold 1 times fired",
            [1, 1],
            {"threshold": -2},
        ),  # the spike is a constant, what it subtracts is none
        ("add v fired 1", [1, 1], {"threshold": 0}),
        ("put v 0 when fired", [0, 1], {"threshold": 0}),
        ("put v rest when fired", [0, 1], {"threshold": 0, "rest": 1}),
    ],
)
def test_what_a_spike_does_to_its_own_neuron_is_a_constant(
    after: str, of_input: list[float], of_parameters: dict[str, float]
) -> None:
    """The neuron fires in the first of two steps and not in the second."""
    given = dict.fromkeys(of_parameters, 4.0) | {"threshold": 6.0}
    assert gradient(f"{TAKE}; fire fired v gt threshold 1; {after}", [7, -4], given) == (
        of_input,
        of_parameters,
    )


def test_spikes_that_are_counted_pass_their_gradients_on() -> None:
    lines = (
        "add v input 0; fire a v gt 4 1; fire b v gt 8 1; put fired 0; add fired a 0; add fired b 0"
    )
    assert gradient(lines, [7], {}, "fired")[0] == pytest.approx(
        [surrogate(3) + surrogate(-1)], rel=1e-12
    )


def test_a_reset_by_spikes_that_are_counted_is_a_constant() -> None:
    lines = "add v input 0; fire a v gt threshold 1; put fired 0; add fired a 0; subtract v threshold 0 times fired"
    assert gradient(lines, [7, -4], {"threshold": 6.0}) == ([1, 1], {"threshold": -1})


def test_a_level_that_moves_passes_its_gradient_to_what_made_it() -> None:
    lines = (
        "add v input 0; add a input 0; put level threshold; add level a 1; fire fired v gt level 1"
    )
    of_input, of_parameters = gradient(lines, [3], {"threshold": 2}, "fired")  # 3 against 2 + 2 * 3
    assert of_input == pytest.approx([-surrogate(-5)], rel=1e-12)
    assert of_parameters["threshold"] == pytest.approx(-surrogate(-5), rel=1e-12)


# -------------------------------------------------------------------- whole networks
@pytest.mark.parametrize(
    "name", [*(name for name, program in MACHINES.items() if program.loop is None), *BY_STEP]
)
def test_gradients_reach_weights_and_all_parameters_that_are_read(name: str) -> None:
    net, x = machine_network(name) if name in MACHINES else layer_network(name)
    units = {
        layer: 2.0 ** -round(np.log2(max(1, neuron.threshold.mean())))
        for layer, neuron in net.neurons.items()
    }
    twin = Twin(net, units=units, slope=1.0)
    spikes, membranes = twin.layers(torch.from_numpy(x).float())
    (membranes if twin.neurons[net.output].integrates else spikes)[net.output].sum().backward()
    for layer, neuron in twin.neurons.items():
        for which, value in neuron.trained.items():
            assert (value.grad is not None) == (which in net.neurons[layer].program.parameters), (
                layer,
                which,
            )
    for which, value in twin.named_parameters():
        if value.grad is not None:
            assert bool(value.grad.isfinite().all()), which
            assert float(value.grad.abs().sum()) > 0, which
