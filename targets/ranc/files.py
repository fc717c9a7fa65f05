"""Files of an artefact: the cores in RANC's own input format, its configuration, and a README.

A map says where inputs and neurons are.
"""

from __future__ import annotations

import json
from typing import Any

from lehr.artifact import to_json
from lehr.network import Network
from lehr.targets.ranc.forms import HIGHEST, LOWEST, numbers_of
from lehr.targets.ranc.lines import SUMMED, TYPES, late_by
from lehr.targets.ranc.placing import AXONS, NEURONS, Core, Destination, Placed
from lehr.targets.wiring import by_neuron, sizes

NETWORK, CONFIG, MAP, README = "network.json", "config.json", "map.json", "README.md"
_TEXT = """# A network for RANC

| file | what it is |
| --- | --- |
| `network.json` | cores and output bus, the input file of RANC's simulator, without packets |
| `config.json` | its configuration, with the trace of all membranes |
| `map.json` | where each input enters and each neuron stands |

    ranc_sim -i input.json -o output.txt -c config.json --ticks {ticks} -t trace.txt

`input.json` is `network.json` with `packets`: a list for each tick. An input spike of step t is \
in list t + wait once for each entry
`[input, core, axon, wait]` of `inputs` in `map.json`, as a packet to that axon of the core at \
(core, 0), with `destination_tick` 0. Each
sample is a run of its own. A layer's step t is tick t + late + 1 of the trace; the output bus \
tells a spike in line t + late + 2 of the
output.

| layer | shape | cores | rows | axons | late |
| --- | --- | --- | --- | --- | --- |
{layers}

What of the network is said in another way here, all of it exactly:

{changes}
"""


def planned(net: Network, layout: Placed) -> dict[str, bytes]:
    """Return all files by name."""
    config = {
        "num_neurons": NEURONS,
        "num_axons": AXONS,
        "num_cores_x": len(layout.cores) + 1,
        "num_cores_y": 1,
        "num_weights": TYPES,
    }
    config |= {"max_tick_offset": 16, "neuron_reset_type": 0, "neuron_block_trace_verbosity": 1}
    config |= {"core_controller_trace_verbosity": 0, "scheduler_trace_verbosity": 0}
    return {
        NETWORK: _network(net, layout).encode(),
        CONFIG: to_json(config),
        MAP: to_json(_map(net, layout)),
        README: _readme(net, layout).encode(),
    }


def ticks(net: Network) -> int:
    """Return the ticks of a sample.

    They are the steps, those by which the last layer is late, and one for the output bus.
    """
    return net.steps + max(late_by(net).values()) + 1


def _network(net: Network, layout: Placed) -> str:
    bus = {"coordinates": [len(layout.cores), 0], "num_outputs": layout.outputs}
    cores = [_core(net, layout, number, core) for number, core in enumerate(layout.cores)]
    return (
        json.dumps({"packets": [], "output_bus": bus, "cores": cores}, separators=(",", ":")) + "\n"
    )


def _core(net: Network, layout: Placed, number: int, core: Core) -> dict[str, Any]:
    own, neuron, size = layout.heard[core.layer], net.neurons[core.layer], sizes(net)[core.layer]
    numbers, bias, late = (
        numbers_of(neuron),
        by_neuron(neuron, "bias", size),
        late_by(net)[core.layer],
    )
    threshold = by_neuron(neuron, "threshold", size) + numbers.raised
    connected = own.connected[list(core.axons)].astype(int)
    weights = [*own.weights, *[0] * (TYPES - len(own.weights))]
    return {
        "coordinates": [number, 0],
        "axons": [own.lines[line][3] for line in core.axons],
        "neurons": [
            {
                "reset_potential": 0,
                "weights": weights,
                "leak": int(bias[each]),
                "positive_threshold": HIGHEST if numbers.reset == "never" else int(threshold[each]),
                "negative_threshold": LOWEST,
                "destination_core_offset": [to.core - number, 0],
                "destination_axon": to.axon,
                "destination_tick": to.wait,
                "current_potential": -late * int(bias[each]),
                "reset_mode": int(numbers.reset == "subtract"),
            }
            for each, to in zip(core.neurons, layout.sends[number], strict=True)
        ],
        "connections": [connected[:, each].tolist() for each in core.neurons],
    }


def _map(net: Network, layout: Placed) -> dict[str, Any]:
    late, rows = late_by(net), layout.rows
    return {
        "shape": list(net.input.shape),
        "steps": net.steps,
        "late": max(late.values()),
        "cores": len(layout.cores),
        "inputs": [[index, *_place(to)] for index, to in layout.inputs],
        "layers": [
            {
                "name": name,
                "shape": list(net.shapes[name]),
                "late": late[name],
                "rows": [rows[name, each] for each in range(size)],
            }
            for name, size in sizes(net).items()
        ],
        "output": net.output,
    }


def _place(to: Destination) -> tuple[int, int, int]:
    return to.core, to.axon, to.wait


def _readme(net: Network, layout: Placed) -> str:
    late, rows = late_by(net), []
    for name in net.neurons:
        own = [core for core in layout.cores if core.layer == name]
        counts = sum(len(core.neurons) for core in own), sum(len(core.axons) for core in own)
        rows.append(
            f"| {name} | {'x'.join(map(str, net.shapes[name]))} | {len(own)} | {counts[0]} | "
            f"{counts[1]} | {late[name]} |"
        )
    changes = "\n".join(f"- {line}" for line in _changes(net, layout))
    return _TEXT.format(ticks=ticks(net), layers="\n".join(rows), changes=changes)


def _changes(net: Network, layout: Placed) -> list[str]:
    """Return the exact transformations of a network, a sentence each."""
    sentences = [
        "convolutions, pools and flattenings are synapses; a weight of 0 is none; a bias is the "
        "machine's leak, which it adds"
    ]
    sentences.append(
        "an input that is heard with several weights, by several cores or after several waits "
        "takes an axon for each"
    )
    for name, neuron in net.neurons.items():
        if layout.heard[name].weights == SUMMED:
            sentences.append(
                f"weights of {name} other than +-1 and +-2 are sums of these, an axon for each"
            )
        rows = sum(len(core.neurons) for core in layout.cores if core.layer == name)
        if rows > (size := sizes(net)[name]):
            sentences.append(
                f"{rows - size} rows of {name} are copies of its neurons, as a neuron sends to one "
                "axon"
            )
        if numbers_of(neuron).raised:
            sentences.append(
                f"thresholds of {name} are one more: it fires beyond them, the machine at them, "
                "and both then set to 0"
            )
        if late_by(net)[name] and neuron.bias.any():
            sentences.append(
                f"membranes of {name} start at -{late_by(net)[name]} biases, so that they are 0 "
                "when its first spikes can come"
            )
        if neuron.integrates:
            sentences.append(
                f"{name} never fires: its threshold is {HIGHEST:,}, which its membranes provably "
                "do not reach"
            )
    waits = sorted({to.wait for each in layout.sends for to in each} - {0})
    if waits:
        sentences.append(
            "spikes that come later wait in the scheduler: destination_tick "
            f"{', '.join(map(str, waits))}"
        )
    sentences.append(
        f"the negative threshold is {LOWEST:,}, below which no int is: nothing is reset there"
    )
    return sentences
