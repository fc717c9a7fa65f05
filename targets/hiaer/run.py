"""Run the network beside this file in the simulator of hs_api: `python run.py IN.npz OUT.npz`.

IN.npz has `x`, spikes of 0 and 1, `[N, T, inputs]`. OUT.npz gets `spikes:LAYER` and
`membranes:LAYER`, `[N, T, neurons]`, in the network's own steps, and `decision`, `[N]`. It needs
hs_api and numpy, and nothing of lehr.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np


def described(folder: Path) -> dict[str, Any]:
    """Return the contents of network.json."""
    network: dict[str, Any] = json.loads((folder / "network.json").read_text("utf-8"))
    return network


def build(folder: Path, target: str = "simpleSim") -> Any:
    """Return the network as hs_api takes it.

    `target` is hs_api's: `simpleSim` is its simulator, `CRI` the machine.
    """
    from hs_api import CRI_network

    network = described(folder)
    with np.load(folder / "synapses.npz") as synapses:
        axons: dict[str, list[tuple[str, int]]] = {f"a{i}": [] for i in range(network["axons"])}
        connections: dict[str, list[tuple[str, int]]] = {
            f"n{i}": [] for i in range(network["neurons"])
        }
        for source, neuron, weight in synapses["axons"].tolist():
            axons[f"a{source}"].append((f"n{neuron}", weight))
        for source, neuron, weight in synapses["neurons"].tolist():
            connections[f"n{source}"].append((f"n{neuron}", weight))
    shown = sum(int(np.prod(layer["shape"])) for layer in network["layers"])
    config = {"neuron_type": "LI&F", "global_neuron_params": {"v_thr": network["threshold"]}}
    outputs = [f"n{i}" for i in range(shown)]
    return CRI_network(
        axons, connections, config, outputs, target=target, perturbMag=None, leak=network["leak"]
    )


def axons_at(network: dict[str, Any], x: Any, t: int) -> list[str]:
    """Return the axons that fire in step t of the machine for one sample `[T, inputs]`."""
    firing: list[int] = []
    for entry in network["inputs"]:
        if 0 <= t - entry["late"] < len(x):
            firing += [entry["first"] + int(i) for i in np.flatnonzero(x[t - entry["late"]])]
    firing += [entry["axon"] for entry in network["biases"] if t >= entry["late"]]
    return [f"a{i}" for i in firing]


def run(machine: Any, network: dict[str, Any], x: Any) -> tuple[Any, Any]:
    """Return spikes and membranes of all neurons in each of the machine's steps.

    They are `[steps, neurons]`, for one sample `[T, inputs]`.
    """
    machine.simpleSim.initialize_sim_vars(network["neurons"])
    steps = len(x) + max(layer["late"] + layer["spikes"] for layer in network["layers"])
    spikes, membranes = (np.zeros((steps, network["neurons"]), np.int64) for _ in range(2))
    for t in range(steps):
        potentials, fired = machine.step(axons_at(network, x, t), membranePotential=True)
        membranes[t] = [potential for _, potential in potentials]
        spikes[t, [int(name[1:]) for name in fired]] = 1
    return spikes, membranes


def decided(network: dict[str, Any], spikes: Any, membranes: Any) -> Any:
    """Return the class of each sample, the lowest of those with the highest score."""
    scores = {
        "count_argmax_lowest": spikes.sum(1),
        "membrane_last_argmax_lowest": membranes[:, -1],
        "membrane_sum_argmax_lowest": membranes.sum(1),
        "membrane_max_argmax_lowest": membranes.max(1),
    }
    return scores[network["readout"]].argmax(1)


def main(given: str, results: str) -> None:
    """Run all samples."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    folder = Path(__file__).resolve().parent
    network, machine = described(folder), build(folder)
    with np.load(given) as arrays:
        x = arrays["x"]
    ran = [run(machine, network, sample) for sample in x]
    shown: dict[str, Any] = {}
    for layer in network["layers"]:
        own = slice(layer["first"], layer["first"] + int(np.prod(layer["shape"])))
        late, later = layer["late"], layer["late"] + layer["spikes"]
        shown[f"spikes:{layer['name']}"] = np.array(
            [s[later : later + x.shape[1], own] for s, _ in ran]
        )
        shown[f"membranes:{layer['name']}"] = np.array(
            [v[late : late + x.shape[1], own] for _, v in ran]
        )
    output = network["output"]
    np.savez(
        results,
        **shown,
        decision=decided(network, shown[f"spikes:{output}"], shown[f"membranes:{output}"]),
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
