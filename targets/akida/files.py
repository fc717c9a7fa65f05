"""Files of an artefact: the model in Akida's own JSON format, a program that runs it, its facts.

The program runs it step by step, and reads the facts.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from lehr.artifact import to_json
from lehr.network import Network
from lehr.targets.akida.stages import Stage, stages

MODEL, DESCRIPTION, PROGRAM, README = "model.json", "network.json", "run.py", "README.md"
VERSION = "2.19.3"
"""Of akida, in whose format the model is: a package with other first two numbers refuses it."""
_TEXT = """# A network for Akida

| file | what it is |
| --- | --- |
| `model.json` | the model, as `akida.Model.to_json` of akida {version} writes it; \
`akida.Model.from_json` reads it |
| `network.json` | shapes, biases, thresholds (none where nothing fires) and the readout, for \
`run.py` |
| `run.py` | runs samples step by step in Akida's software back end: `python run.py IN.npz \
OUT.npz` |

    import akida
    model = akida.Model.from_json(open("model.json").read())
    model.map(akida.devices()[0], hw_only=True)       # or akida.AKD1000(), which is virtual: it \
says whether the model fits

The machine keeps nothing from step to step: each time step of a sample is an inference of its \
own, and a sample takes {steps} of them.
Inputs are uint8 `[steps, width, height, channels]`, {entry} here. {readout}

| layer | shape | as | weights | thresholds |
| --- | --- | --- | --- | --- |
{layers}

What of the network is said in another way here, all of it exactly:

- thresholds are the network's less its biases: potential + bias > threshold where potential > \
threshold - bias
- kernels are turned round, as Akida's Convolutional is a convolution and the network's a \
cross-correlation
- of a FullyConnected layer, convolutions, pools and flattenings before it are in its weights, \
which are sums of the network's then
"""


def planned(net: Network) -> dict[str, bytes]:
    """Return all files by name."""
    chain = stages(net)
    return {
        MODEL: (json.dumps(_model(net, chain), separators=(",", ":")) + "\n").encode(),
        DESCRIPTION: to_json(_description(net, chain)),
        PROGRAM: files("lehr.targets.akida").joinpath(PROGRAM).read_bytes(),
        README: _readme(net, chain).encode(),
    }


def fires_at_its_end(net: Network) -> bool:
    """Return whether the last layer puts out spikes.

    Else it puts out its potentials, from which membranes are read out.
    """
    return net.readout == "count_argmax_lowest"


def _dimensions(shape: tuple[int, ...], spatial: bool) -> list[int]:
    """Akida's x, y and channel of a shape of the network."""
    size = 1
    for axis in shape:
        size *= axis
    return [shape[2], shape[1], shape[0]] if spatial else [1, 1, size]


def _model(net: Network, chain: list[Stage]) -> dict[str, Any]:
    entry = _dimensions(net.input.shape, chain[0].convolution)
    width, height, channels = entry
    given = {
        "input_bits": 1,
        "input_channels": channels,
        "input_height": height,
        "input_signed": 0,
        "input_width": width,
        "layer_type": "InputData",
    }
    before = {
        "name": "input",
        "parameters": given,
        "variables": {},
        "inbounds": [],
        "input_shape": entry,
        "output_shape": entry,
    }
    layers = [before]
    for stage in chain:
        fires = stage is not chain[-1] or fires_at_its_end(net)
        layers.append(_layer(net, stage, before, fires))
        before = layers[-1]
    whole = {"input_shape": entry, "output_shape": before["output_shape"]}
    return {
        "Akida version": VERSION,
        "IP version": "v1",
        "layers": layers,
        "learning": None,
        **whole,
    }


def _layer(net: Network, stage: Stage, before: dict[str, Any], fires: bool) -> dict[str, Any]:
    thresholds = stage.thresholds if fires else stage.thresholds * 0
    return {
        "name": stage.name,
        "parameters": {
            "act_bits": 1,
            "activation": int(fires),
            "weights_bits": stage.bits,
            **_geometry(stage),
        },
        "variables": {
            "act_step": {
                "shape": [len(thresholds)],
                "dtype": "float32",
                "bitwidth": 0,
                "data": [1.0] * len(thresholds),
            },
            "threshold": {
                "shape": [len(thresholds)],
                "dtype": "int32",
                "bitwidth": 20,
                "data": thresholds.tolist(),
            },
            "weights": {
                "shape": list(stage.weights.shape),
                "dtype": "int8",
                "bitwidth": stage.bits,
                "data": stage.weights.tolist(),
            },
        },
        "inbounds": [before["name"]],
        "input_shape": before["output_shape"],
        "output_shape": _dimensions(net.shapes[stage.name], stage.convolution),
    }


def _geometry(stage: Stage) -> dict[str, Any]:
    kernel, _, _, units = stage.weights.shape
    if not stage.convolution:
        return {"units": units, "layer_type": "FullyConnected"}
    none = dict.fromkeys(
        ("pooling_height", "pooling_stride_x", "pooling_stride_y", "pooling_width"), -1
    )
    same = {"padding": 1, "pool_type": 0, "stride_x": 1, "stride_y": 1, **none}
    return {
        "filters": units,
        "kernel_height": kernel,
        "kernel_width": kernel,
        **same,
        "layer_type": "Convolutional",
    }


def _description(net: Network, chain: list[Stage]) -> dict[str, Any]:
    return {
        "shape": list(net.input.shape),
        "steps": net.steps,
        "spatial": chain[0].convolution,
        "layers": [
            {
                "name": stage.name,
                "shape": list(net.shapes[stage.name]),
                "bias": stage.bias.tolist(),
                "thresholds": None
                if net.neurons[stage.name].integrates
                else stage.thresholds.tolist(),
            }
            for stage in chain
        ],
        "readout": net.readout,
    }


def _readme(net: Network, chain: list[Stage]) -> str:
    rows = [
        f"| {stage.name} | {'x'.join(map(str, net.shapes[stage.name]))} | "
        f"{'Convolutional' if stage.convolution else 'FullyConnected'} |"
        f" {'x'.join(map(str, stage.weights.shape))} of {stage.bits} bits | "
        f"{stage.thresholds.min()}..{stage.thresholds.max()} |"
        for stage in chain
    ]
    spikes = (
        f"The last layer puts out spikes, 0 or 1: the class is the neuron of {net.output} with "
        "most of them over the steps."
    )
    potentials = (
        f"The last layer puts out potentials; a membrane of {net.output} is the potential and "
        "the bias of network.json."
    )
    entry = "x".join(map(str, _dimensions(net.input.shape, chain[0].convolution)))
    readout = spikes if fires_at_its_end(net) else potentials
    return _TEXT.format(
        version=VERSION, steps=net.steps, entry=entry, readout=readout, layers="\n".join(rows)
    )
