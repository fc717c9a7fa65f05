"""Run a configuration in xylosim.

    python xylosim_run.py IN.npz OUT.npz configuration.json

x is `[samples, steps, inputs]`. OUT.npz gets spikes, membranes and synapse currents of hidden
neurons and outputs, `[samples, steps, neurons]`.
"""

import json
import sys
from pathlib import Path

import numpy as np
from xylosim.v2 import XyloLayer, XyloSynapse


def synapses(part):
    """Return a list of synapses for each source."""
    shape = part["weights"]["dimensions"]
    matrix = np.array(part["weights"]["values"]).reshape(shape["value0"], shape["value1"])
    return [[XyloSynapse(int(to), 0, int(row[to])) for to in np.flatnonzero(row)] for row in matrix]


def of(neurons, name):
    """Return one number of each neuron."""
    return [neuron[name] for neuron in neurons]


def layer_of(configuration):
    """Return the simulator of a configuration, and the synapses that it keeps pointers to.

    These must live as long as it does.
    """
    parts = [configuration["input"], configuration["reservoir"], configuration["readout"]]
    hidden, outputs = configuration["reservoir"]["neurons"], configuration["readout"]["neurons"]
    into, recurrent, out = kept = [synapses(part) for part in parts]
    layer = XyloLayer(
        synapses_in=into,
        synapses_rec=recurrent,
        synapses_out=out,
        aliases=[[] for _ in hidden],
        threshold=of(hidden, "threshold"),
        threshold_out=of(outputs, "threshold"),
        has_bias=configuration["bias_enable"],
        bias=of(hidden, "v_mem_bias"),
        bias_out=of(outputs, "v_mem_bias"),
        weight_shift_inp=parts[0]["weight_bit_shift"],
        weight_shift_rec=parts[1]["weight_bit_shift"],
        weight_shift_out=parts[2]["weight_bit_shift"],
        dash_mem=of(hidden, "v_mem_decay"),
        dash_mem_out=of(outputs, "v_mem_decay"),
        dash_syns=[[neuron["i_syn_decay"], neuron["i_syn2_decay"]] for neuron in hidden],
        dash_syns_out=[[neuron["i_syn_decay"]] for neuron in outputs],
        name="lehr",
    )
    return layer, kept


def main():
    """Run each sample from rest, and keep all that the simulator records."""
    layer, kept = layer_of(json.loads(Path(sys.argv[3]).read_text("utf-8"))["value0"])
    with np.load(sys.argv[1]) as arrays:
        x = arrays["x"]
    records = {"hidden": [], "output": []}
    for sample in x:
        layer.reset_all()
        layer.evolve(sample.tolist())
        records["hidden"].append(
            (
                layer.rec_recurrent_spikes,
                np.transpose(layer.rec_v_mem),
                np.transpose(layer.rec_i_syn),
            )
        )
        records["output"].append(
            (
                layer.rec_out_spikes,
                np.transpose(layer.rec_v_mem_out),
                np.transpose(layer.rec_i_syn_out),
            )
        )
    outputs = {}
    for name, samples in records.items():
        for at, quantity in enumerate(("spikes", "membrane", "current")):
            outputs[f"{quantity}.{name}"] = np.array(
                [sample[at] for sample in samples], np.uint8 if at == 0 else np.int16
            )
    np.savez(sys.argv[2], **outputs)
    del layer, kept


if __name__ == "__main__":
    main()
