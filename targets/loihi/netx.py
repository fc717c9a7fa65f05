"""File that netx reads (lava-dl, `lava.lib.dl.netx.hdf5`): a group a layer, in HDF5.

It is written, and read back for other tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.hdf5write import tree_bytes
from lehr.network import Network
from lehr.targets.loihi.mapping import Mapped

AGAIN = "give a whole artefact of target loihi, or build it again"
_NEURON = ("iDecay", "vDecay", "vThMant")


def net_bytes(net: Network, layers: Sequence[Mapped]) -> bytes:
    """Return the file.

    Channels come first, rows before columns; thresholds and biases are in units of 64.
    """
    first = layers[0].layer
    groups: list[dict[str, Any]] = [
        {"type": "input", "shape": list(net.input.shape if first.window else first.taken)}
    ]
    maps = bool(first.window)
    for each in layers:
        if maps and each.layer.window is None:
            if each is not layers[0]:
                groups.append({"type": "flatten"})
            maps = False
        groups.append(_group(each))
    return tree_bytes({"layer": {str(number): group for number, group in enumerate(groups)}})


def _group(each: Mapped) -> dict[str, Any]:
    layer, numbers = each.layer, each.numbers
    neuron = {
        "type": "CUBA",
        "iDecay": numbers.current,
        "vDecay": numbers.membrane,
        "vThMant": numbers.threshold,
        "refDelay": 1,
    }
    group: dict[str, Any] = {
        "shape": list(layer.shape),
        "weight": each.weight.astype(np.int32),
        "neuron": neuron,
    }
    if numbers.bias is not None:
        per_neuron = np.repeat(numbers.bias, 1 if layer.window else layer.size // numbers.bias.size)
        group["bias"] = per_neuron.astype(np.int32)
    if (window := layer.window) is not None:
        channels = {
            "inChannels": layer.taken[0],
            "outChannels": layer.shape[0],
            "groups": window.groups,
        }
        moves = {
            "stride": list(window.stride),
            "padding": list(window.padding),
            "dilation": list(window.dilation),
        }
        return {"type": "conv", **group, **channels, **moves}
    if each.own is not None:
        group |= {"type": "dense_rec", "weight_rec": each.own.astype(np.int32)}
    return {"type": "dense", "inFeatures": layer.taken[0], "outFeatures": layer.size, **group}


def read_net(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the numbers of a file of ours, under names with the number of the layer behind them.

    Raises:
        FileRefused: when it is not there, or is none.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        with h5py.File(path) as file:
            groups: Any = file["layer"]
            kinds = [
                bytes(groups[str(number)]["type"][()]).decode() for number in range(len(groups))
            ]
            numbers = [
                number for number, kind in enumerate(kinds) if kind not in ("input", "flatten")
            ]
            for k, number in enumerate(numbers):
                group = groups[str(number)]
                arrays |= {
                    f"{name}{k}": group[name][()]
                    for name in ("shape", "weight", "weight_rec", "bias")
                    if name in group
                }
                arrays[f"type{k}"] = np.array(int(kinds[number] == "conv"))
                arrays[f"neuron{k}"] = np.array(
                    [int(group["neuron"][name][()]) for name in _NEURON]
                )
                if kinds[number] == "conv":
                    moves = [
                        number
                        for name in ("stride", "padding", "dilation")
                        for number in group[name][()]
                    ]
                    arrays[f"window{k}"] = np.array([*moves, group["groups"][()]])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise FileRefused(f"{path} is no network for netx ({error}); {AGAIN}") from None
    return arrays
