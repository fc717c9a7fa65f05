"""README of an artefact: what is in it, what was done to the network, how it goes onto the chip."""

from __future__ import annotations

from lehr.network import Network
from lehr.targets.xylo.chip import Chip
from lehr.targets.xylo.files import CONFIGURATION, IMAGES, LOADER, PLACES, STEP_SECONDS, WRITES
from lehr.targets.xylo.form import NEVER

TEMPLATE = """\
# A network for Xylo Audio 2 (SYNS61201)

| file | what it is |
|---|---|
| {configuration} | what is to be set of `samna.xyloCore2.configuration.XyloConfiguration`, in the \
shape of its JSON |
| {images}/ | images of the core's memories, as `xylosim.tools` writes them; a step is taken to \
last {step} s, which the host decides |
| {writes} | addresses and values of the same memories; without biases, whose address is not \
published |
| {loader} | sets what {configuration} says in a configuration of samna's |
| {places} | which neurons a layer is, and by how many steps it runs late |

{inputs} inputs, {hidden} hidden neurons, {outputs} outputs.

| layer | neurons | steps late |
|---|---|---|
{table}

## What was done to the network

{changes}

Every spike, membrane and synapse current is the one that lehr's reference simulator computes; \
`lehr verify` runs `{configuration}` in
the vendor's simulator, `xylosim`, and compares. An input takes up to 15 events a step; the chip \
leaves out more without a word.

## Onto the chip

With a samna that has `xyloCore2` (the releases for the development kit), in this folder:

    from samna.xyloCore2 import configuration, validate_configuration
    from samna_configuration import configured
    chip = configured(configuration.XyloConfiguration(), "{configuration}")
    print(validate_configuration(chip))

Samna 0.7.1, the last that is in public, has the first core of the family alone; there outputs 2i \
and 2i + 1 must have one threshold.
Whether samna asks that of the second core is not known here: Rockpool sets, and the simulator \
computes, each by itself.

Rockpool's `XyloSamna` and `XyloSim.from_config` take it as it is. A sample is {steps} steps long: \
give {more} more steps without input
at its end, count the outputs from step {first} on, and reset the states before the next one.
"""


def readme(net: Network, chip: Chip) -> str:
    """Return the README for a network on the chip."""
    longest = max(chip.lag, *(layer.lag for layer in chip.layers))
    inputs, hidden = chip.into.values.shape
    return TEMPLATE.format(
        configuration=CONFIGURATION,
        images=IMAGES,
        writes=WRITES,
        loader=LOADER,
        places=PLACES,
        step=STEP_SECONDS,
        inputs=inputs,
        hidden=f"{hidden:,}",
        outputs=chip.output.size,
        table="\n".join(
            f"| {layer.name} | {layer.size:,} | {layer.lag} |" for layer in chip.layers
        ),
        changes="\n".join(f"- {line}" for line in changes(chip)),
        steps=net.steps,
        more=longest,
        first=chip.output.lag,
    )


def changes(chip: Chip) -> list[str]:
    """Return what of a network is said otherwise on the chip."""
    sentences = [
        "Weights of the input, between hidden neurons, to outputs are shifted by "
        f"{', '.join(map(str, _shifts(chip)))}."
    ]
    if len(chip.hidden) > 1:
        sentences.append(
            f"{len(chip.hidden)} layers are blocks of one hidden population; what is between them, "
            "convolutions too, is in its matrix."
        )
    if any(layer.lag for layer in chip.layers):
        sentences.append(
            "A hop between neurons takes a step: layers run late, as told above, and the "
            "definition's steps are those from there on."
        )
    if chip.lag:
        sentences.append(
            f"The input comes {chip.lag} steps late, as a layer behind it takes in spikes that are "
            "older."
        )
    if not chip.output.cells.up_to:
        sentences.append(
            f"Integrators are outputs with a threshold of {NEVER}, which their membranes provably "
            "never reach; read the membranes out."
        )
    return sentences


def _shifts(chip: Chip) -> tuple[int, int, int]:
    return chip.into.shift, chip.recurrent.shift, chip.out.shift
