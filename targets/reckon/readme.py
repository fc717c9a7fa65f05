"""Texts of the artefact for people: the map of what stands where, and the README."""

from __future__ import annotations

from typing import Any

from lehr.network import INPUT, Conv2d, Delay, Flatten, Network, SumPool2d
from lehr.targets.reckon.cells import KAPPA_ONE
from lehr.targets.reckon.layout import RELAY, Layout
from lehr.targets.wiring import connections


def described(net: Network, layout: Layout) -> dict[str, Any]:
    """Return the content of `map.json`.

    It is all that a host has to know, and which neuron stands where.
    """
    inputs = len(layout.w_in) - len(layout.lines)
    layers = []
    for name in net.neurons:
        entry: dict[str, Any] = {
            "layer": name,
            "shape": list(net.shapes[name]),
            "late": layout.late[name],
        }
        layers.append(
            entry
            | (
                {"output_neurons": layout.w_out.shape[1]}
                if name not in layout.places
                else {"places": layout.places[name].tolist()}
            )
        )
    return {
        INPUT: {"shape": list(net.input.shape), "late": layout.late[INPUT]},
        "lines_for_biases": [
            {"address": inputs + number, "from_step": line.start}
            for number, line in enumerate(layout.lines)
        ],
        "steps": net.steps,
        "steps_behind": layout.steps - net.steps,
        "places": 2 * len(layout.pairs),
        "pairs": [{"threshold": threshold, "alpha": alpha} for threshold, alpha in layout.pairs],
        "kappa": layout.kappa,
        "shifts": dict(zip(("input", "recurrent", "output"), layout.shifts, strict=True)),
        "layers": layers,
        **({"relays": layout.places[RELAY].tolist()} if RELAY in layout.places else {}),
    }


def transformations(net: Network, layout: Layout) -> list[str]:
    """Return what stands on the machine otherwise than in the network, and computes the same."""
    used = [
        "The layers are blocks of one recurrent matrix: a spike takes one step from layer to "
        "layer, so that each layer runs late."
    ]
    if any(isinstance(node, (Conv2d, SumPool2d, Flatten)) for node in net.nodes.values()):
        used.append(
            "Convolution, pooling and flattening are resolved into the weights that an event "
            "brings to each neuron."
        )
    if any(isinstance(node, Delay) for node in net.nodes.values()):
        used.append("Delays are the differences of how late layers run.")
    if any(each.source == each.target for each in connections(net)):
        used.append("Neurons hear their own layer through the same matrix.")
    used.append(
        "Neurons are sorted by threshold and decay, which two neighbours share; a place that is "
        "left over has no synapse."
    )
    if layout.lines:
        used.append(
            "Biases are the weights of input lines that the host fires in every step, from the "
            "first step of their layer on."
        )
    if RELAY in layout.places:
        used.append(
            "Biases of integrators come from neurons that pass such a line on, as output neurons "
            "hear neurons alone."
        )
    if any(own.raised for own in layout.cells.values()):
        used.append(
            "Thresholds are one more than the network's: it fires beyond them, the machine at "
            "them, and both then set to 0."
        )
    if net.neurons[net.output].integrates:
        used.append("Neurons that never fire are the machine's output neurons.")
        if layout.kappa != KAPPA_ONE:
            used.append(
                "The machine decides after one more decay: the host sets that to 1 before the last "
                "tick, and back after it."
            )
    else:
        used.append(
            "The machine's output neurons count the spikes of the last layer, and forget none, so "
            "that it decides as the network does."
        )
    return used


def readme(net: Network, layout: Layout) -> str:
    """Return the README."""
    inputs, switch = len(layout.w_in) - len(layout.lines), ""
    if layout.kappa != KAPPA_ONE:
        switch = (
            f"   Before that tick write 0x80 to register 69 over SPI, and {layout.kappa:#x} again "
            "after it.\n"
        )
    listed = "\n".join(f"- {line}" for line in transformations(net, layout))
    return f"""# ReckOn: {inputs} inputs, {2 * len(layout.pairs)} places of neurons, \
{layout.w_out.shape[1]} classes

| file | holds |
| --- | --- |
| spi.hex | SPI words of 32 bits, most significant bit first: registers, then the memories of \
neurons and weights |
| map.json | shapes, places of neurons, addresses of lines for biases, how late each layer runs |
| lehr_reckon_tb.v | a testbench: it sends words and events and writes every membrane and spike; \
its head tells of the format |

## Programming
Reset the machine and send spi.hex; SCK is at most a quarter of the clock. Learning, noise and \
stochastic rounding are off.

## A sample
1. Raise SAMPLE. In each of {layout.steps} steps send the step's events over AER, then a pulse on \
TIME_TICK; wait for TIMING_ERROR_RDY.
   Events of step t are those of the network's step t - {layout.late[INPUT]}: input i, flat, is \
address i, at most one event a step.
   Beside them come the lines of map.json, each from its first step on.
2. Lower SAMPLE, raise INFER_ACC, and give one more tick: the machine sends its label on OUT_DATA \
and forgets its state.
{switch}
The neuron of place p is tested at the tick behind its step; a layer that is late by d computes \
the network's step t in step t + d.

## Exact transformations
{listed}
"""
