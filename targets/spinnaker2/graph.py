"""Graph of plain NIR nodes, and the settings with which py-spinnaker2 converts it.

They are the two files of an artefact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.artifact import to_json
from lehr.hdf5write import tree_bytes
from lehr.network import INPUT, OUTPUT, Network, Neuron
from lehr.targets.spinnaker2.neurons import SILENT, Update, update_of
from lehr.targets.spinnaker2.ways import Way, all_ways
from lehr.targets.wiring import by_neuron, lags

GRAPH, SETTINGS = "network.nir", "settings.json"
NIR_VERSION = "1.0"
"""Of the nodes written, which all versions of the `nir` package since have."""


def updates(net: Network) -> dict[str, Update]:
    """Return the updates of all layers of a network that maps."""
    return {
        name: update
        for name, neuron in net.neurons.items()
        if isinstance(update := update_of(neuron), Update)
    }


def graph_bytes(net: Network) -> bytes:
    """Return `network.nir`.

    Layers stand under their own names, the nodes of a way under `SOURCE.TARGET.NUMBER.KIND`.
    """
    nodes: dict[str, Any] = {INPUT: {"type": "Input", "shape": np.array(net.input.shape)}}
    edges = []
    for name, neuron in net.neurons.items():
        nodes[name] = _neurons(neuron, net.shapes[name])
    for number, way in enumerate(all_ways(net)):
        before = way.source
        for kind, fields in _nodes(way, net.shapes[way.target]):
            here = f"{way.source}.{way.target}.{number}.{kind.lower()}"
            nodes[here] = {"type": kind, **fields}
            edges.append((before, here))
            before = here
        edges.append((before, way.target))
    nodes[OUTPUT] = {"type": "Output", "shape": np.array(net.shapes[net.output])}
    edges.append((net.output, OUTPUT))
    return tree_bytes(
        {"version": NIR_VERSION, "node": {"type": "NIRGraph", "nodes": nodes, "edges": edges}}
    )


def _neurons(neuron: Neuron, shape: tuple[int, ...]) -> dict[str, Any]:
    update = update_of(neuron)
    assert isinstance(update, Update)
    size = int(np.prod(shape))
    threshold = np.full(shape, SILENT)
    if update.reset != "none":
        threshold = by_neuron(neuron, "threshold", size).reshape(shape) / (
            1 << update.fraction_bits
        )
    same: Mapping[str, npt.NDArray[Any]] = {"v_threshold": threshold, "v_reset": np.zeros(shape)}
    if update.tau is None:
        return {"type": "IF", "r": np.ones(shape), **same}
    return {
        "type": "LIF",
        "tau": np.full(shape, update.tau),
        "r": np.full(shape, update.tau),
        "v_leak": np.zeros(shape),
        **same,
    }


def _nodes(way: Way, shape: tuple[int, ...]) -> list[tuple[str, dict[str, Any]]]:
    nodes: list[tuple[str, dict[str, Any]]] = []
    if way.pool:
        window = np.array([way.pool, way.pool])
        nodes.append(
            ("SumPool2d", {"kernel_size": window, "stride": window, "padding": np.array([0, 0])})
        )
    channels, rows, columns = way.shape if len(way.shape) == 3 else (0, 0, 0)
    if way.pool:
        rows, columns = rows // way.pool, columns // way.pool
    if way.flat:
        nodes.append(
            (
                "Flatten",
                {"start_dim": 0, "end_dim": -1, "input_type": np.array([channels, rows, columns])},
            )
        )
    if way.weight is None:
        return nodes
    weight = way.weight.astype(np.float64)
    if way.flat:
        nodes.append(("Affine", {"weight": weight, "bias": np.zeros(len(weight))}))
    elif not way.convolves:
        nodes.append(("Linear", {"weight": weight}))
    else:
        fields = {
            "input_shape": np.array([rows, columns]),
            "stride": np.array([way.stride] * 2),
            "padding": np.array(way.padding),
        }
        nodes.append(
            (
                "Conv2d",
                {
                    "weight": weight,
                    **fields,
                    "dilation": np.array([1, 1]),
                    "groups": 1,
                    "bias": np.zeros(shape[0]),
                },
            )
        )
    return nodes


def settings_bytes(net: Network) -> bytes:
    """Return `settings.json`: the fields of py-spinnaker2's `ConversionConfig`, and more.

    The rest says how its membranes and steps are read as the network's.
    """
    late, by_name = lags(net, 1), updates(net)
    assert isinstance(late, dict)
    resets = {update.reset for update in by_name.values()} - {"none"}
    conversion = {
        "dt": 1.0,
        "conn_delay": 0,
        "scale_weights": False,
        "integrator": "FORWARD",
        "reset": "ZERO" if resets == {"zero"} else "SUBTRACT",
        "output_record": ["spikes", "v"],
    }
    layers = {
        name: {"fraction_bits": update.fraction_bits, "late": late[name]}
        for name, update in by_name.items()
    }
    return to_json(
        {"conversion": conversion, "steps": net.steps, "input_late": late[INPUT], "layers": layers}
    )
