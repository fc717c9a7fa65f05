"""Run the model beside this file in Akida's software back end: `python run.py IN.npz OUT.npz`.

IN.npz has `x`, spikes of 0 and 1, `[N, T, inputs]`. OUT.npz gets `spikes:LAYER` and
`membranes:LAYER`, `[N, T, neurons]`, of the model cut off after each layer, with and without its
activation; `decision`, `[N]`, of the whole model; and what of an AKD1000 it takes when it is mapped
there in hardware alone: `processors`, of each layer, and `program`, bytes. It needs akida and
numpy, and nothing of lehr.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def run(model: Any, x: Any, spatial: bool, shape: list[int]) -> Any:
    """Return what a model puts out for samples `[N, T, inputs]`.

    It is `[N, T, neurons]`, in the network's order of neurons.
    """
    steps = (
        x.reshape(-1, *shape).transpose(0, 3, 2, 1) if spatial else x.reshape(-1, 1, 1, x.shape[2])
    )
    given = np.ascontiguousarray(steps, np.uint8)
    out = model.forward(given) if len(given) else np.zeros((0, *model.output_shape), np.int32)
    return out.transpose(0, 3, 2, 1).reshape(*x.shape[:2], -1).astype(np.int64)


def cut(model: dict[str, Any], layers: int, thresholds: list[int] | None) -> dict[str, Any]:
    """Return the model with its first layers alone.

    The last of them fires above thresholds, or puts out potentials.
    """
    *kept, last = model["layers"][: layers + 1]
    parameters, variables = (
        {**last["parameters"], "activation": int(thresholds is not None)},
        last["variables"],
    )
    if thresholds is not None:
        variables = {**variables, "threshold": {**variables["threshold"], "data": thresholds}}
    return {**model, "layers": [*kept, {**last, "parameters": parameters, "variables": variables}]}


def mapped(model: Any) -> tuple[list[int], int]:
    """Map a model onto a virtual AKD1000, in one sequence of hardware.

    Return the neural processors of each layer, and the bytes of the program.
    """
    import akida

    model.map(akida.AKD1000(), hw_only=True)
    (sequence,) = model.sequences
    layers = [layer for part in sequence.passes for layer in part.layers]
    return [len(layer.mapping.nps) for layer in layers if layer.mapping is not None], len(
        sequence.program
    )


def decided(readout: str, values: Any) -> Any:
    """Return the class of each sample, the lowest of those with the highest score.

    The `values` are spikes or membranes.
    """
    if readout == "membrane_last_argmax_lowest":
        return values[:, -1].argmax(1)
    return (values.max(1) if readout == "membrane_max_argmax_lowest" else values.sum(1)).argmax(1)


def main(given: str, results: str) -> None:
    """Run all samples."""
    import akida

    folder = Path(__file__).resolve().parent
    network, written = (
        json.loads((folder / name).read_text("utf-8")) for name in ("network.json", "model.json")
    )
    with np.load(given) as arrays:
        x = arrays["x"]
    spatial, shape, shown = network["spatial"], network["shape"], {}
    for number, layer in enumerate(network["layers"], 1):
        potentials, thresholds = (
            run(akida.Model.from_dict(cut(written, number, None)), x, spatial, shape),
            layer["thresholds"],
        )
        shown[f"membranes:{layer['name']}"] = potentials + np.array(layer["bias"])
        shown[f"spikes:{layer['name']}"] = potentials * 0
        if thresholds is not None:
            shown[f"spikes:{layer['name']}"] = run(
                akida.Model.from_dict(cut(written, number, thresholds)), x, spatial, shape
            )
    whole = akida.Model.from_dict(written)
    values, last = run(whole, x, spatial, shape), network["layers"][-1]
    if network["readout"] != "count_argmax_lowest":
        values = values + np.array(last["bias"])
    decision = decided(network["readout"], values)
    processors, program = mapped(whole)
    np.savez(results, **shown, decision=decision, processors=processors, program=program)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
