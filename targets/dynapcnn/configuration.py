"""The configuration of a core as samna writes it: `CnnLayerConfig.to_json()`, byte for byte.

A whole configuration holds the vendor's factory settings beside the cores; these stay the vendor's,
and load.py of the artefact puts the cores into them. Weights are `[out][in][x][y]` there, x first
(sinabs, `get_dynapcnn_layer_config_dict`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.errors import FileRefused
from lehr.targets.dynapcnn.layers import DESTINATIONS, Layer

Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Chip:
    """A chip as samna knows it.

    Attributes:
        module: of samna.
        configuration: the class in the module's `configuration`.
        camel: whether its JSON says thresholdHigh and not threshold_high.
    """

    module: str
    configuration: str
    camel: bool = False

    def spelled(self, name: str) -> str:
        """Return a field as the chip's JSON spells it."""
        first, *others = name.split("_")
        return "".join([first, *map(str.capitalize, others)]) if self.camel else name


def core_json(chip: Chip, layer: Layer, destinations: Mapping[int, int], monitored: bool) -> bytes:
    """Return the configuration of a core.

    Args:
        chip: whose.
        layer: what the core does.
        destinations: other cores, and the sum pooling on the way to each.
        monitored: whether the core's spikes go to the host.
    """
    weight, update = layer.kernel.weight.transpose(0, 1, 3, 2), layer.update
    features, height, width = layer.shape
    neurons = np.zeros((features, width, height), np.int64)
    used = [*destinations.items()] + [(0, 1)] * (DESTINATIONS - len(destinations))
    fields: dict[str, Any] = {
        "destinations": {
            f"value{i}": {
                "layer": core,
                "enable": i < len(destinations),
                "feature_shift": 0,
                "pooling": pooling,
            }
            for i, (core, pooling) in enumerate(used)
        },
        "return_to_zero": update.zero,
        "leak_enable": bool(update.bias.any()),
        "threshold_high": update.threshold,
        "threshold_low": update.low,
        "monitor_enable": monitored,
        "dimensions": {
            "padding": _pair(layer.kernel.padding),
            "stride": _pair(layer.kernel.stride),
            "kernel_size": weight.shape[2],
            "input_shape": _shape(layer.taken),
            "output_shape": _shape(layer.shape),
        },
        "weights": _tensor(weight),
        "weights_kill_bit": _tensor(weight == 0),
        "biases": _tensor(update.bias),
        "biases_kill_bit": _tensor(update.bias == 0),
        "neurons_initial_value": _tensor(neurons),
        "neurons_value_kill_bit": _tensor(neurons != 0),
    }
    return json.dumps({"value0": _spelled(chip, fields)}, indent=4).encode()


def _spelled(chip: Chip, value: Any) -> Any:
    return (
        {chip.spelled(name): _spelled(chip, v) for name, v in value.items()}
        if isinstance(value, dict)
        else value
    )


def _pair(height_first: tuple[int, int]) -> dict[str, int]:
    return {"x": height_first[1], "y": height_first[0]}


def _shape(shape: tuple[int, int, int]) -> dict[str, Any]:
    return {"feature_count": shape[0], "size": _pair(shape[1:])}


def _tensor(array: Numbers) -> dict[str, Any]:
    steps = [int(np.prod(array.shape[axis + 1 :], dtype=np.int64)) for axis in range(array.ndim)]
    return {
        "dimensions": {f"value{i}": n for i, n in enumerate(array.shape)},
        "offsets": {f"value{i}": n for i, n in enumerate(steps)},
        "values": array.reshape(-1).tolist(),
    }


@dataclass(frozen=True, eq=False)
class Core:
    """Configuration of a core, read again, which the model of the chip runs.

    Height stands before width in it.
    """

    weight: Numbers
    live: Numbers
    stride: tuple[int, int]
    padding: tuple[int, int]
    taken: tuple[int, int, int]
    shape: tuple[int, int, int]
    threshold: int
    low: int
    zero: bool
    leak: Numbers
    destinations: Mapping[int, int]


def read_core(chip: Chip, data: bytes, name: str) -> Core:
    """Return the core that a configuration describes.

    Raises:
        FileRefused: when it is none.
    """
    try:
        fields = _Fields(chip, json.loads(data)["value0"])
        size = fields["dimensions"]
        weight = fields.array("weights").transpose(0, 1, 3, 2)
        leak = np.where(fields.array("biases_kill_bit"), 0, fields.array("biases")) * bool(
            fields["leak_enable"]
        )
        ends = [fields["destinations"][f"value{i}"] for i in range(DESTINATIONS)]
        return Core(
            weight=weight,
            live=~fields.array("weights_kill_bit").astype(bool).transpose(0, 1, 3, 2),
            stride=_height_first(size["stride"]),
            padding=_height_first(size["padding"]),
            taken=_map(size["input_shape"]),
            shape=_map(size["output_shape"]),
            threshold=int(fields["threshold_high"]),
            low=int(fields["threshold_low"]),
            zero=bool(fields["return_to_zero"]),
            leak=leak,
            destinations={int(end["layer"]): int(end["pooling"]) for end in ends if end["enable"]},
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise FileRefused(
            f"{name} is no configuration of a core of {chip.module} ({error}); build the artefact "
            "again"
        ) from None


class _Fields:
    """Fields of JSON, by the names that samna's Python has for them."""

    def __init__(self, chip: Chip, fields: Any) -> None:
        self.chip, self.fields = chip, fields

    def __getitem__(self, name: str) -> Any:
        value = self.fields[self.chip.spelled(name)]
        return _Fields(self.chip, value) if isinstance(value, dict) else value

    def array(self, name: str) -> Numbers:
        """Return a tensor."""
        tensor = self.fields[self.chip.spelled(name)]
        return np.array(tensor["values"], np.int64).reshape([*tensor["dimensions"].values()])


def _height_first(fields: _Fields) -> tuple[int, int]:
    return int(fields["y"]), int(fields["x"])


def _map(fields: _Fields) -> tuple[int, int, int]:
    return (int(fields["feature_count"]), *_height_first(fields["size"]))
