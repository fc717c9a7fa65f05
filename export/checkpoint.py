"""The folder that a training run leaves, and the integer network in it.

RUN/checkpoint.safetensors    NODE.weight, NODE.grid, NODE.kept: latent weights (lehr.export.latent)
                              NODE.threshold, NODE.bias int32
    state.json                everything of the network that is no array, and how it was folded
    metrics.jsonl             one line per epoch
    recipe.toml               the recipe, with all overrides
    samples.npz               some test samples, to verify by
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from lehr.arithmetic import Arithmetic, Synapse
from lehr.artifact import BuildPlan, check_replaceable, to_json
from lehr.errors import FileRefused, NotMappable
from lehr.export.latent import Latent
from lehr.folders import require_marked
from lehr.network import Conv2d, Delay, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.npz import npz_bytes
from lehr.reading import JSON_BYTES, parse_json, read_bytes
from lehr.weights import declared_kind

SCHEMA = "lehr-run/1"
_AGAIN = "train it again"
_MAX_BYTES = 1 << 32
"""Of the tensors: a billion real-valued weights."""
STATE, TENSORS, SAMPLES_FILE = "state.json", "checkpoint.safetensors", "samples.npz"
LAST = "last"
"""The folder in a run's that holds the network after the last epoch, as a run of its own."""
_OWN = [f"{part}{name}" for part in ("", f"{LAST}/") for name in ("recipe.toml", "metrics.jsonl", STATE, TENSORS, SAMPLES_FILE)]
_TYPES = {kind.__name__: kind for kind in (Conv2d, Delay, Flatten, Linear, Neuron, SumPool2d)}


@dataclass(frozen=True)
class Run:
    """A trained integer network as it lies in a run's folder.

    Attributes:
        network: what is exported.
        latents: real-valued weights by node, as they were trained.
        facts: the rest of state.json (accuracies, folding).
    """

    network: Network
    latents: Mapping[str, Latent]
    facts: Mapping[str, Any]


def save_run(
    folder: Path,
    recipe: bytes,
    metrics: list[dict[str, Any]],
    facts: Mapping[str, Any],
    samples: Mapping[str, npt.NDArray[Any]],
    network: Network | None,
    weights: Mapping[str, Latent] | Mapping[str, npt.NDArray[np.float32]],
) -> None:
    """Write a run's folder, all of it or nothing.

    Args:
        folder: to write; an earlier run there is replaced.
        recipe: TOML text.
        metrics: one entry per epoch.
        facts: what else to tell in state.json.
        samples: arrays `input` and `labels`, as for `lehr simulate`.
        network: the integer network, None for a float baseline.
        weights: latent weights by node name; all tensors of a float baseline.

    Raises:
        UsageError: when `folder` holds something else than a run.
        FileRefused: when it cannot be written.
    """
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, weight in weights.items():
        tensors |= weight.tensors(name) if isinstance(weight, Latent) else {name: weight}
    if network is not None:
        for name, neuron in network.neurons.items():
            tensors |= {f"{name}.threshold": np.array(neuron.threshold), f"{name}.bias": np.array(neuron.bias)}
    state = {"schema": SCHEMA, "network": None if network is None else _structure(network), **facts}
    plan = BuildPlan(
        {
            "recipe.toml": recipe,
            "metrics.jsonl": b"".join(json.dumps(entry, sort_keys=True).encode() + b"\n" for entry in metrics),
            STATE: to_json(state),
            TENSORS: safetensors.numpy.save(tensors),
            SAMPLES_FILE: npz_bytes(samples),
        }
    )
    plan.write(folder, STATE, _OWN)


def check_run_folder(folder: Path) -> None:
    """Refuse, before hours of training, a folder that a run could not be written to."""
    check_replaceable(folder, STATE, _OWN)


def load_run(folder: Path) -> Run:
    """Read a run's folder.

    Raises:
        UsageError: when `folder` holds no run.
        NotMappable: when the run is a float baseline.
        FileRefused: when its files contradict each other, or a tensor is left over that the integer network does not contain.
    """
    require_marked(folder, STATE, "lehr train")
    try:
        state = parse_json(read_bytes(folder / STATE, JSON_BYTES, _AGAIN))
        if state["schema"] != SCHEMA:
            raise ValueError(f"its schema is {state['schema']!r}, not {SCHEMA!r}")
        structure = state.pop("network")
        tensors = safetensors.numpy.load(read_bytes(folder / TENSORS, _MAX_BYTES, _AGAIN))
        if structure is None:
            raise NotMappable(f"{folder} holds float weights, a baseline with no integer meaning; train with network.weights=binarized")
        network, latents = _assemble(structure, tensors)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, SafetensorError) as error:
        raise FileRefused(f"{folder} is no whole run ({type(error).__name__}: {error}); {_AGAIN}") from None
    if tensors:
        name, tensor = next(iter(sorted(tensors.items())))
        raise FileRefused(
            f"{folder}: tensor {name!r} ({tensor.dtype}) is left over, the integer network has no place for it; train it again"
        )
    return Run(network, latents, state)


def _structure(net: Network) -> dict[str, Any]:
    """Everything of a network that is no array."""
    nodes = {}
    for name, node in net.nodes.items():
        told = {f.name: getattr(node, f.name) for f in fields(node)}  # type: ignore[arg-type]
        plain = {key: value for key, value in told.items() if value is not None and not isinstance(value, np.ndarray)}
        nodes[name] = {
            "type": type(node).__name__,
            **{k: asdict(v) if isinstance(v, (Arithmetic, Synapse)) else v for k, v in plain.items()},
        }
    return {"nodes": nodes, "edges": net.edges, "input": asdict(net.input), "steps": net.steps, "readout": net.readout}


def _assemble(structure: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> tuple[Network, dict[str, Latent]]:
    """Put the arrays back; takes out of `tensors` what it uses."""
    nodes, latents = {}, {}
    for name, told in structure["nodes"].items():
        kind = _TYPES[told.pop("type")]
        told = {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}
        if kind is Neuron:
            told["arithmetic"] = Arithmetic(**told["arithmetic"])
            if "synapse" in told:
                told["synapse"] = Synapse(**told["synapse"])
            told |= {key: _integers(f"{name}.{key}", tensors) for key in ("threshold", "bias")}
        elif kind in (Conv2d, Linear):
            latents[name] = Latent.take(name, tensors)
            told["weight"] = latents[name].levels(declared_kind(told.get("kind", "binary")))  # runs of old tell no kind
        nodes[name] = kind(**told)
    edges = tuple((a, b) for a, b in structure["edges"])
    given = structure["input"]
    return Network(nodes, edges, Input(tuple(given["shape"]), given["kind"]), structure["steps"], structure["readout"]), latents


def _integers(name: str, tensors: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    value = tensors.pop(name)
    if value.dtype != np.int32:
        raise ValueError(f"{name} is {value.dtype}, not int32: it was never frozen to integers")
    return value
