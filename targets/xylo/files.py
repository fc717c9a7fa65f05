"""Files of an artefact: samna's configuration, the images of the core's memories, their writes.

The writes are addresses and values. Sources: names of the configuration are those of
`samna.xyloCore2.configuration` as Rockpool sets them; samna 0.7.1, the last that is to be had, has
the first core of the family (`samna.pollen`), whose names these are but for the biases. Images are
as `xylosim.tools` of xylosim 0.1.3 writes them for hardware tests. Addresses are those that samna
0.7.1 writes to, and Rockpool reads from in the second core.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lehr.arithmetic import Int64
from lehr.artifact import to_json
from lehr.network import Network
from lehr.targets.xylo.chip import Chip, Layer, Weights

CONFIGURATION, PLACES, WRITES, README, IMAGES = (
    "configuration.json",
    "network.json",
    "memory_writes.csv",
    "README.md",
    "ram",
)
LOADER = "samna_configuration.py"
SCRIPTS = Path(__file__).parent / "scripts"
LARGEST = 1 << 26
"""Bytes of a configuration: a full matrix of 1,000 neurons takes 5 million."""
STEP_SECONDS = 1e-3
"""Length of a step in the images, as all examples of the vendor have it; the host decides it."""
ADDRESSES = {
    "input weights": 0x00100,
    "dash of synapses": 0x089C8,
    "dash of membranes": 0x091A0,
    "thresholds": 0x09590,
    "fan-outs": 0x0A538,
    "targets": 0x0A920,
    "recurrent weights": 0x12620,
    "output weights": 0x22020,
}


def files(net: Network, chip: Chip) -> dict[str, bytes]:
    """Return all files but the README."""
    images = {
        f"{IMAGES}/{name}.ini": "".join(f"{line}\n" for line in lines).encode()
        for name, lines in _images(chip).items()
    }
    images[f"{IMAGES}/basic_config.json"] = json.dumps(_basic(chip)).encode()
    writes = "".join(f"0x{address:05x},{value}\n" for address, value in memory(chip))
    return {
        # In one line: a matrix of 1,000 neurons has a million numbers.
        CONFIGURATION: json.dumps(
            configuration(chip), separators=(",", ":"), sort_keys=True
        ).encode(),
        PLACES: to_json(_places(net, chip)),
        WRITES: f"address,value\n{writes}".encode(),
        LOADER: (SCRIPTS / LOADER).read_bytes(),
        **images,
    }


# -------------------------------------------------------------------- samna's configuration
def configuration(chip: Chip) -> dict[str, Any]:
    """Return what is to be set of samna's configuration, in the shape of its JSON.

    The rest of it is as samna's defaults say.
    """
    biased = any(layer.cells.bias.any() for layer in chip.layers)
    none = {"nullopt": True}
    hidden = [
        {**each, "i_syn2_decay": 0, "alias_target": none}
        for layer in chip.hidden
        for each in _neurons(layer)
    ]
    clocks = (
        "isyn_clock_enable",
        "ra_clock_enable",
        "hm_clock_enable",
        "ram_power_enable",
        *(["bias_clock_enable"] if biased else []),
    )
    return {
        "value0": {
            "synapse2_enable": False,
            "bias_enable": biased,
            "input": _matrix(chip.into),
            "reservoir": {**_matrix(chip.recurrent), "neurons": hidden, "aliasing": False},
            "readout": {**_matrix(chip.out), "neurons": _neurons(chip.output)},
            "debug": dict.fromkeys(clocks, True),
        }
    }


def _neurons(layer: Layer) -> list[dict[str, Any]]:
    cells = layer.cells
    columns = (cells.threshold, cells.dash_mem, cells.dash_syn, cells.bias)
    names = ("threshold", "v_mem_decay", "i_syn_decay", "v_mem_bias")
    return [dict(zip(names, map(int, row), strict=True)) for row in zip(*columns, strict=True)]


def _matrix(weights: Weights) -> dict[str, Any]:
    rows, columns = weights.values.shape
    return {
        "weight_bit_shift": weights.shift,
        "weights": {
            "dimensions": {"value0": rows, "value1": columns},
            "offsets": {"value0": columns, "value1": 1},
            "values": weights.values.ravel().tolist(),
        },
    }


# -------------------------------------------------------------------- memories
def memory(chip: Chip) -> Iterator[tuple[int, int]]:
    """Yield addresses and values of all memories that the network needs.

    Biases are left out: where they are is not published.
    """
    sources, targets = np.nonzero(chip.recurrent.values)
    contents = {
        "input weights": chip.into.values,
        "fan-outs": np.bincount(sources, minlength=len(chip.recurrent.values)),
        "targets": targets,
        "recurrent weights": chip.recurrent.values[sources, targets],
        "dash of synapses": _all(chip, "dash_syn"),
        "dash of membranes": _all(chip, "dash_mem"),
        "thresholds": _all(chip, "threshold"),
        "output weights": chip.out.values,
    }
    for name, values in contents.items():
        yield from ((ADDRESSES[name] + at, int(value)) for at, value in enumerate(values.ravel()))


def _all(chip: Chip, name: str) -> Int64:
    return np.concatenate([np.asarray(getattr(layer.cells, name)) for layer in chip.layers])


def _images(chip: Chip) -> Mapping[str, list[str]]:
    """Return the lines of each memory's image: hexadecimal numbers of the memory's width."""
    hidden = len(chip.recurrent.values)
    rows = [np.flatnonzero(row) for row in chip.recurrent.values]

    def hexed(values: Int64, digits: int) -> list[str]:
        return [f"{int(value) & ((1 << 4 * digits) - 1):0{digits}x}" for value in values]

    def table(head: str, values: list[Int64], digits: int = 2) -> list[str]:
        return [
            line
            for number, row in enumerate(values)
            for line in (f"// {head}{number} ", *hexed(row, digits))
        ]

    weights = [row[reached] for row, reached in zip(chip.recurrent.values, rows, strict=True)]
    return {
        "iwtram": table("iwt for IN", list(chip.into.values)),
        "iwt2ram": table("iwt2 for IN", list(np.zeros_like(chip.into.values))),
        "rwtram": table("rwt of RSN", weights),
        "rwt2ram": table("rwt2 of RSN", [np.zeros_like(row) for row in weights]),
        "rforam": table("rfo of RSN", rows, 3),
        "refocram": hexed(np.array([len(row) for row in rows]), 2),
        "owtram": table("owt for RSN", list(chip.out.values)),
        "ndmram": hexed(_all(chip, "dash_mem"), 1),
        "ndsram": hexed(_all(chip, "dash_syn"), 1),
        "rds2ram": ["0"] * hidden,
        "nthram": hexed(_all(chip, "threshold"), 4),
        "nbram": hexed(_all(chip, "bias"), 2),
        "raram": ["fff"] * hidden,
        "rcram": ["0"] * hidden,
    }


def _basic(chip: Chip) -> dict[str, Any]:
    inputs, hidden = chip.into.values.shape
    return {
        "IN": inputs,
        "RSN": hidden,
        "ON": chip.output.size,
        "IWBS": chip.into.shift,
        "RWBS": chip.recurrent.shift,
        "OWBS": chip.out.shift,
        "time_resolution_wrap": 0,
        "DT": STEP_SECONDS,
        "N_SYNS": 1,
        "RA": False,
        "BIAS": configuration(chip)["value0"]["bias_enable"],
    }


# -------------------------------------------------------------------- for the runner
def _places(net: Network, chip: Chip) -> dict[str, Any]:
    layers = [
        {
            "layer": layer.name,
            "shape": list(net.shapes[layer.name]),
            "first": layer.first,
            "lag": layer.lag,
            "output": layer is chip.output,
        }
        for layer in chip.layers
    ]
    return {"input": list(net.input.shape), "steps": net.steps, "lag": chip.lag, "layers": layers}
