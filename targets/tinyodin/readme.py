"""The README of an artefact."""

from __future__ import annotations

from lehr.network import Network
from lehr.targets.tinyodin.crossbar import Crossbar


def readme(net: Network, bar: Crossbar) -> str:
    """Return the README: the files, how the machine is programmed and fed, the transformations.

    The transformations are exact.
    """
    ((layer, neuron),) = net.neurons.items()
    rows, columns = bar.weights.shape
    used = []
    if bar.raised:
        used.append(
            "Thresholds are one more than the network's: it fires beyond them, the machine at "
            "them, and both then set to 0."
        )
    if len(net.weighted) + len(net.neurons) < len(net.nodes):
        used.append(
            "Convolution, pooling and flattening are resolved into the weights that an event "
            "brings to each neuron."
        )
    elif neuron.threshold.size < columns:
        used.append(
            "The convolution is resolved into the weights that an event brings to each neuron."
        )
    listed = "\n".join(f"- {line}" for line in used) or "- None."
    leak = "Then a time reference event to all, address 0x1FF.\n" if bar.leaks.any() else ""
    return f"""# tinyODIN: {rows} inputs, {columns} neurons

| file | holds |
| --- | --- |
| program.hex | SPI words of 40 bits (address, data), first bit first: registers, neurons, \
synapses, registers |
| clear.hex | SPI words that set all membranes to 0, before a sample |
| neurons.hex, synapses.hex | the two memories as they are then, 256 and 8,192 words |
| map.json | shapes: input i, flat, is row i and event i; neuron j of `{layer}`, flat, is column j \
and goes out as address j |
| lehr_tb.v | a testbench: it programs the machine, sends events.hex and writes output.hex; its \
head tells of the format |

## Programming
Reset the machine, send program.hex, and give a pulse on RST: it empties the queue of what was \
emitted meanwhile. SPI_OPEN_LOOP is set, so
that spikes of neurons go out and nothing but events of the host is served.

## Running
For each sample send clear.hex; for each of {net.steps} steps, one event for each input spike in \
ascending order of address (c times
for a count of c). {leak}A step ends when the queue is empty. It never holds more than one event, \
and drops
none: the controller serves it before it looks at the bus again, and the neurons put nothing in.

## Exact transformations
{listed}
"""
