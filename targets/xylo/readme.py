"""The README of an artefact: what is in it, what was done to the network, how it goes onto the chip."""

from __future__ import annotations

from lehr.network import Network
from lehr.targets.xylo.chip import Chip
from lehr.targets.xylo.files import CONFIGURATION, IMAGES, PLACES, STEP_SECONDS, WRITES
from lehr.targets.xylo.form import NEVER

TEMPLATE = """\
# A network for Xylo Audio 2 (SYNS61201)

| file | what it is |
|---|---|
| {configuration} | what is to be set of `samna.xyloCore2.configuration.XyloConfiguration`, in the shape of its JSON |
| {images}/ | images of the core's memories, as `xylosim.tools` writes them; a step is taken to last {step} s, which the host decides |
| {writes} | addresses and values of the same memories; without biases, whose address is not published |
| {places} | which neurons a layer is, and by how many steps it runs late |

{inputs} inputs, {hidden} hidden neurons, {outputs} outputs.

| layer | neurons | steps late |
|---|---|---|
{table}

## What was done to the network

{changes}

Every spike, membrane and synapse current is the one that lehr's reference simulator computes; `lehr verify` runs `{configuration}` in
the vendor's simulator, `xylosim`, and compares. An input takes up to 15 events a step; the chip leaves out more without a word.

## Onto the chip

With a samna that has `xyloCore2` (the releases for the development kit):

```python
import json
from pathlib import Path


def configured(made, file):
    \"\"\"A samna configuration with what a file of lehr's sets; the rest stays as samna has it.\"\"\"

    def over(old, new):
        both = isinstance(old, dict) and isinstance(new, dict) and "dimensions" not in new
        return {{**old, **{{name: over(old.get(name), value) for name, value in new.items()}}}} if both else new

    made.from_json(json.dumps(over(json.loads(made.to_json()), json.loads(Path(file).read_text()))))
    return made
```

    from samna.xyloCore2 import configuration, validate_configuration
    made = configured(configuration.XyloConfiguration(), "{configuration}")
    print(validate_configuration(made))

Rockpool's `XyloSamna` and `XyloSim.from_config` take it as it is. A sample is {steps} steps long: give {more} more steps without input
at its end, count the outputs from step {first} on, and reset the states before the next one.
"""


def readme(net: Network, chip: Chip) -> str:
    """The README for a network on the chip."""
    longest = max(chip.lag, *(layer.lag for layer in chip.layers))
    inputs, hidden = chip.into.values.shape
    return TEMPLATE.format(
        configuration=CONFIGURATION,
        images=IMAGES,
        writes=WRITES,
        places=PLACES,
        step=STEP_SECONDS,
        inputs=inputs,
        hidden=f"{hidden:,}",
        outputs=chip.output.size,
        table="\n".join(f"| {layer.name} | {layer.size:,} | {layer.lag} |" for layer in chip.layers),
        changes="\n".join(f"- {line}" for line in changes(chip)),
        steps=net.steps,
        more=longest,
        first=chip.output.lag,
    )


def changes(chip: Chip) -> list[str]:
    """What of a network is said otherwise on the chip."""
    made = [f"Weights of the input, between hidden neurons, to outputs are shifted by {', '.join(map(str, _shifts(chip)))}."]
    if len(chip.hidden) > 1:
        made.append(
            f"{len(chip.hidden)} layers are blocks of one hidden population; what is between them, convolutions too, is in its matrix."
        )
    if any(layer.lag for layer in chip.layers):
        made.append(
            "A hop between neurons takes a step: layers run late, as told above, and the definition's steps are those from there on."
        )
    if chip.lag:
        made.append(f"The input comes {chip.lag} steps late, as a layer behind it takes in spikes that are older.")
    if not chip.output.cells.up_to:
        made.append(
            f"Integrators are outputs with a threshold of {NEVER}, which their membranes provably never reach; read the membranes out."
        )
    return made


def _shifts(chip: Chip) -> tuple[int, int, int]:
    return chip.into.shift, chip.recurrent.shift, chip.out.shift
