"""Runs a network in SANA-FE's model of Loihi: `python sanafe_run.py in.npz out.npz`.

In: `x` [N, T, inputs], 0 and 1, and of each layer k `synapses{k}` [n, 3] (source, destination,
weight), perhaps `own{k}` likewise, `neuron{k}` (threshold, share of the membrane that stays) and
`size{k}`. Out: `spikes` [N, layers], `energy` [N, parts] with `parts`, `seconds` [N].
"""

import sys

import numpy as np
import sanafe

CORE, TILE = 1024, 4


def place(arch, group, core):
    """Neurons of a group on as many cores as they fill, from a core on; returns the next one."""
    for number, neuron in enumerate(group):
        at = core + number // CORE
        neuron.map_to_core(arch.tiles[at // TILE].cores[at % TILE])
    return core + -(-len(group) // CORE)


def connect(source, group, synapses):
    """Synapses between two groups."""
    pairs = [(int(a), int(b)) for a, b, _ in synapses]
    source.connect_neurons_sparse(group, {"weight": [float(w) for _, _, w in synapses]}, pairs)


def run(arrays, x, layers):
    """Run one sample: spikes of each layer, energy by part in joules, seconds."""
    arch, net = sanafe.load_loihi(), sanafe.Network()
    entry = net.create_neuron_group("input", x.shape[1])
    for number, neuron in enumerate(entry):
        spikes = [int(spike) for spike in x[:, number]] + [0] * layers
        unit = f"loihi_inputs[{number % CORE}]"
        neuron.set_attributes(
            soma_hw_name=unit,
            default_synapse_hw_name="loihi_dense_synapse",
            model_attributes={"spikes": spikes},
        )
    core, source = place(arch, entry, 0), entry
    for k in range(layers):
        threshold, stays = map(float, arrays[f"neuron{k}"])
        model = {"threshold": threshold, "leak_decay": stays, "reset_mode": "hard"}
        hardware = {"soma_hw_name": "loihi_lif", "default_synapse_hw_name": "loihi_dense_synapse"}
        group = net.create_neuron_group(
            f"layer{k}",
            int(arrays[f"size{k}"]),
            model_attributes=model,
            log_spikes=True,
            **hardware,
        )
        connect(source, group, arrays[f"synapses{k}"])
        if f"own{k}" in arrays:
            connect(group, group, arrays[f"own{k}"])
        core, source = place(arch, group, core), group
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    got = chip.sim(len(x) + layers, spike_trace=True)
    counts = np.zeros(layers, np.int64)
    for step in got["spike_trace"]:
        for address in step:
            name = address.group_name
            if name != "input":
                counts[int(name.removeprefix("layer"))] += 1
    return (
        counts,
        {name: float(value) for name, value in got["energy"].items()},
        float(got["sim_time"]),
    )


def main(source, sink):
    """Run all samples."""
    with np.load(source) as archive:
        arrays = dict(archive)
    x = arrays.pop("x")
    layers = sum(name.startswith("neuron") for name in arrays)
    spikes, energies, seconds = zip(*(run(arrays, sample, layers) for sample in x), strict=True)
    parts = sorted(energies[0])
    energy = np.array([[each[part] for part in parts] for each in energies])
    np.savez(
        sink,
        spikes=np.array(spikes),
        energy=energy,
        parts=np.array(parts),
        seconds=np.array(seconds),
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
