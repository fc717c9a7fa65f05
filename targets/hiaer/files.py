"""The files of an artefact."""

from __future__ import annotations

from importlib.resources import files

from lehr.artifact import to_json
from lehr.npz import npz_bytes
from lehr.targets.hiaer.layout import Layout

DESCRIPTION, SYNAPSES, PROGRAM, README = "network.json", "synapses.npz", "run.py", "README.md"
_TEXT = """# A network for HiAER-Spike

| file | what it is |
| --- | --- |
| `network.json` | sizes, threshold, leak, and which neurons are which layer's |
| `synapses.npz` | `axons` and `neurons`: source, target, weight, a row for each synapse |
| `run.py` | builds the network with `hs_api` and runs it: `python run.py IN.npz OUT.npz` |

`run.py` needs `hs_api` (Python 3.10) and numpy. Its `build(folder)` gives hs_api's `CRI_network`; \
with `build(folder, "CRI")` that is on
the machine, where `run.py` itself does not go: the simulator is started anew for each sample by a \
call that the machine lacks.

The machine tests its neurons before it adds to them, so that layers run late; a membrane of the \
network's step t is the machine's in
step t + late, its spike is told in step t + late + spikes:

| layer | shape | neurons | late | spikes |
| --- | --- | --- | --- | --- |
{layers}

What of the network is said in another way here, all of it exactly:

{changes}
"""


def planned(layout: Layout) -> dict[str, bytes]:
    """Return all files by name."""
    return {
        DESCRIPTION: to_json(layout.description()),
        SYNAPSES: npz_bytes(layout.arrays()),
        PROGRAM: files("lehr.targets.hiaer").joinpath(PROGRAM).read_bytes(),
        README: _readme(layout).encode(),
    }


def _readme(layout: Layout) -> str:
    rows = [
        f"| {each['name']} | {'x'.join(map(str, each['shape']))} | {each['first']}.. | "
        f"{each['late']} | {each['spikes']} |"
        for each in layout.description()["layers"]
    ]
    return _TEXT.format(
        layers="\n".join(rows), changes="\n".join(f"- {line}" for line in changes(layout))
    )


def changes(layout: Layout) -> list[str]:
    """Return the exact transformations of a network, a sentence each."""
    net, sentences = (
        layout.net,
        [
            "weights are shifted by their layer's fraction bits, and convolutions, pools and "
            "flattenings are synapses"
        ],
    )
    for name, axon in layout.biased.items():
        sentences.append(
            f"the biases of {name} are the weights of axon {axon}, which fires in every step from "
            f"step {layout.lags[name]} on"
        )
    for (name, step), start in layout.relays.items():
        sentences.append(
            f"spikes of {name} wait their step {step} in relays, neurons "
            f"{start}..{start + layout.sizes[name] - 1}"
        )
    if len(layout.inputs) > 1:
        sentences.append(
            f"the inputs have {len(layout.inputs)} sets of axons, "
            f"{', '.join(map(str, layout.inputs))} steps late"
        )
    silent = [name for name, neuron in net.neurons.items() if neuron.integrates]
    return sentences + [
        f"{name} never fires: its membranes provably stay at or below the threshold"
        for name in silent
    ]
