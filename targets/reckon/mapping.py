"""A network on ReckOn, or every reason that is known why there is none."""

from __future__ import annotations

from collections.abc import Mapping

from lehr.network import INPUT, Network
from lehr.targets.arithmetics import Problem
from lehr.targets.reckon.cells import HIGHEST, Cells, cells
from lehr.targets.reckon.layout import OUTPUTS, Layout
from lehr.targets.reckon.placing import placed
from lehr.targets.reckon.rails import problems as rail_problems
from lehr.targets.wiring import connections, lags, sizes


def layout(net: Network) -> Layout | tuple[Problem, ...]:
    """Return a network on the machine, or every reason that is known why there is none."""
    if refusals := _kinds(net):
        return tuple(refusals)
    own, refusals = dict[str, Cells](), list[Problem]()
    for name, size in sizes(net).items():
        result = cells(name, net.neurons[name], size)
        if isinstance(result, Cells):
            own[name] = result
        else:
            refusals += result
    if refusals:
        return tuple(refusals)
    wires = connections(net)
    for name in own:
        refusals += rail_problems(
            net, name, own[name], [each for each in wires if each.target == name]
        )
    late = lags(net, 0)
    if isinstance(late, tuple):
        return (*refusals, *late)
    refusals += [*_resets(own), *_ends(net, late)]
    return tuple(refusals) or placed(net, own, late, wires)


def _kinds(net: Network) -> list[Problem]:
    """Return what is wrong before any number is looked at."""
    first, output, refusals = net.targets(INPUT)[0], net.neurons[net.output], []
    if net.input.kind != "spikes":
        refusals.append(
            Problem(
                first,
                "the input is pixels, the machine takes an event a line and step",
                "encode it as spikes",
            )
        )
    refusals += [
        Problem(
            name,
            "its neurons never fire and are not read out, and the machine's output neurons are",
            "leave it out",
        )
        for name, neuron in net.neurons.items()
        if neuron.integrates and name != net.output
    ]
    if net.readout != "count_argmax_lowest" and not output.integrates:
        reason = (
            "its membranes are read out and its neurons fire, the machine reads those of output "
            "neurons, which never fire"
        )
        refusals.append(Problem(net.output, reason, "count its spikes, or let it never fire"))
    if (classes := sizes(net)[net.output]) > OUTPUTS:
        refusals.append(
            Problem(
                net.output,
                f"it has {classes} neurons, the machine decides between {OUTPUTS} classes",
                "use fewer classes",
            )
        )
    return refusals


def _resets(own: Mapping[str, Cells]) -> list[Problem]:
    kinds = {cell.reset: name for name, cell in own.items() if not cell.integrates}
    if len(kinds) < 2:
        return []
    reason = f"it resets to zero, {kinds['subtract']} by subtraction, the machine all neurons alike"
    return [Problem(kinds["zero"], reason, "train with one reset")]


def _ends(net: Network, late: Mapping[str, int]) -> list[Problem]:
    """Layers that are still at work when the output has ended, and too many steps to count."""
    refusals = [
        Problem(
            name,
            f"it runs {late[name] - late[net.output]} steps behind the output, where a sample ends",
            "leave it out",
        )
        for name in net.neurons
        if late[name] > late[net.output]
    ]
    if net.steps > HIGHEST and net.readout == "count_argmax_lowest":
        refusals.append(
            Problem(
                net.output,
                f"{net.steps:,} steps are counted, the machine counts to {HIGHEST:,}",
                "use fewer steps",
            )
        )
    return refusals
