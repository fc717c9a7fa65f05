"""The program of an artefact that runs it on a SpiNNaker2 board, by py-spinnaker2."""

SCRIPT = '''\
"""Run network.nir on SpiNNaker2: python run_spinnaker2.py in.npz [ETHERNET_ADDRESS]; without an \
address in py-spinnaker2's Brian 2 model.

in.npz holds x, spikes [N, T, *shape] of 0 and 1. Prints the spikes of the output layer and the \
class of each sample.
"""

import json
import sys

import nir
import numpy as np
from spinnaker2 import brian2_sim, hardware, s2_nir

settings = json.load(open("settings.json"))
conversion = dict(settings["conversion"])
config = s2_nir.ConversionConfig(
    **conversion
    | {
        "integrator": s2_nir.IntegratorMethod[conversion["integrator"]],
        "reset": s2_nir.ResetMethod[conversion["reset"]],
    }
)
graph = nir.read("network.nir")
(output,) = [source for source, target in graph.edges if target == "output"]
for layer in settings["layers"]:
    if layer != output:
        s2_nir.add_output_to_node(layer, graph, f"recorded.{layer}")
net, (source,), outputs = s2_nir.from_nir(graph, config)
recorded = {population.name: population for population in outputs}
latest = max(layer["late"] for layer in settings["layers"].values())

for x in np.load(sys.argv[1])["x"]:
    steps = x.shape[0] + latest
    source.params = \
{i: np.flatnonzero(spikes).tolist() for i, spikes in enumerate(x.reshape(len(x), -1).T)}
    net.reset()
    chip = hardware.SpiNNaker2Chip(eth_ip=sys.argv[2]) if len(sys.argv) > 2 else \
brian2_sim.Brian2Backend()
    chip.run(net, steps + 1)
    counts = np.array([len(times) for _, times in sorted(recorded[output].get_spikes().items())])
    print(counts, "class", int(np.argmax(counts)))
'''
README = """\
# The network for SpiNNaker2

`network.nir` is a graph of plain NIR nodes that py-spinnaker2 converts \
(`spinnaker2.s2_nir.from_nir`) with the settings in
`settings.json`; `run_spinnaker2.py` does both and runs it, on a board or in py-spinnaker2's Brian \
2 model. py-spinnaker2 and the board are
not to be had where lehr is tested: `lehr verify` runs the artefact in lehr's own model of the \
published conversion and neuron.

The settings convert without rounding: forward Euler with dt = 1, weights as they are \
(`scale_weights` false: they are integers of at most
127), no delay (`conn_delay` 0), a reset that {reset}. With them

- a threshold of the machine is v_threshold / ((dt / tau) r), the network's threshold / 2^F; a \
neuron fires above it, and resets at once;
- a membrane times 2^F is the network's, F being `fraction_bits` in `settings.json`;
- layers run `late` steps after the network's, as a spike takes a step from layer to layer.

What was brought into py-spinnaker2's forms, exactly:

{transformations}

| layer | neurons | processing elements | bytes of the fullest, as far as published |
|---|---|---|---|
{layers}
"""
