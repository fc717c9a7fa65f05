"""The folder that a training run leaves, and the integer network in it.

RUN/checkpoint.safetensors    NODE.weight, NODE.grid, NODE.kept: latent weights (lehr.export.latent)
                              NODE.FIELD int32: thresholds, biases and so each parameter more,
                              steps of delays that differ, factors
    state.json                everything of the network that is no array, programs as lines of
                              text, how it was folded, the network's digest, and the sha256 of
                              every file here, itself included
    metrics.jsonl             one line per epoch
    recipe.toml               the recipe, with all overrides
    samples.npz               some test samples, to verify by
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from lehr.arithmetic import Arithmetic, Synapse
from lehr.artifact import BuildPlan, check_replaceable
from lehr.errors import FileRefused, NotMappable
from lehr.export.latent import Latent
from lehr.folders import require_marked
from lehr.leftovers import recover
from lehr.network import Conv2d, Input, Linear, Network, Neuron
from lehr.nodes import Node
from lehr.nodes.registry import NODES
from lehr.npz import npz_bytes
from lehr.reading import JSON_BYTES, parse_json, read_bytes
from lehr.runstate import (
    AGAIN,
    OTHERS,
    SAMPLES_FILE,
    SCHEMA,
    STATE,
    TENSORS,
    check_stated,
    read_state,
)
from lehr.sums import with_sums
from lehr.update import Program
from lehr.update_text import lines_of, program_of_lines
from lehr.weights import declared_kind

_MAX_BYTES = 1 << 32
"""The most bytes of the tensors: a billion real-valued weights."""
LAST = "last"
"""The folder in a run's that holds the network after the last epoch, as a run of its own."""
_OWN = [f"{part}{name}" for part in ("", f"{LAST}/") for name in (STATE, *OTHERS)]
_TYPES = {kind.__name__: kind for kind in NODES}
FIRST, UPDATE = ("threshold", "bias"), "update"


@dataclass(frozen=True)
class Run:
    """A trained integer network as it lies in a run's folder.

    Attributes:
        network: what is exported.
        latents: real-valued weights by node, as they were trained.
        facts: the rest of state.json (accuracies, folding).
        stated: whether the run states its digests, which were right then; otherwise damage to its
            weights cannot be seen.
    """

    network: Network
    latents: Mapping[str, Latent]
    facts: Mapping[str, Any]
    stated: bool


def run_files(
    recipe: bytes,
    metrics: list[dict[str, Any]],
    facts: Mapping[str, Any],
    samples: Mapping[str, npt.NDArray[Any]],
    network: Network | None,
    weights: Mapping[str, Latent] | Mapping[str, npt.NDArray[np.float32]],
) -> dict[str, bytes]:
    """Return the files of a run, by name.

    Args:
        recipe: TOML text.
        metrics: one entry per epoch.
        facts: what else to tell in state.json.
        samples: arrays `input` and `labels`, as for `lehr simulate`.
        network: the integer network, None for a float baseline.
        weights: latent weights by node name; all tensors of a float baseline.
    """
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, weight in weights.items():
        tensors |= weight.tensors(name) if isinstance(weight, Latent) else {name: weight}
    if network is not None:
        tensors |= _tensors(network)
    state = {"schema": SCHEMA, "network": None, "digest": None, **facts}
    if network is not None:
        state |= {"network": _structure(network), "digest": network.digest}
    files = {
        "recipe.toml": recipe,
        "metrics.jsonl": b"".join(
            json.dumps(entry, sort_keys=True).encode() + b"\n" for entry in metrics
        ),
        TENSORS: safetensors.numpy.save(tensors),
        SAMPLES_FILE: npz_bytes(samples),
    }
    return with_sums(STATE, state, files)


def save_run(
    folder: Path, files: Mapping[str, bytes], last: Mapping[str, bytes] | None = None
) -> None:
    """Write a run's folder, all of it or nothing; an earlier run there is replaced.

    Args:
        folder: to write.
        files: of the run, as `run_files` makes them.
        last: those of the network after the last epoch.

    Raises:
        UsageError: when `folder` holds something else than a run.
        FileRefused: when it cannot be written.
    """
    inner = {f"{LAST}/{name}": data for name, data in (last or {}).items()}
    BuildPlan({**files, **inner}).write(folder, STATE, _OWN)


def check_run_folder(folder: Path) -> None:
    """Refuse, before hours of training, a folder that a run could not be written to."""
    check_replaceable(folder, STATE, _OWN)


def float_tensors(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a float baseline's run, by name.

    Raises:
        UsageError: when `folder` holds no run.
        FileRefused: when its files are not those that it states.
    """
    read_state(folder)
    try:
        return safetensors.numpy.load(read_bytes(folder / TENSORS, _MAX_BYTES, AGAIN))
    except (ValueError, OSError, SafetensorError) as error:
        raise FileRefused(
            f"{folder} is no whole run ({type(error).__name__}: {error}); {AGAIN}"
        ) from None


def run_digest(folder: Path) -> str:
    """Return the sha256 of a run's state and tensors, of which the state states its other files.

    Raises:
        UsageError: when `folder` holds no run.
        FileRefused: when its files are not those that it states.
    """
    read_state(folder)
    files = ((STATE, JSON_BYTES), (TENSORS, _MAX_BYTES))
    return hashlib.sha256(
        b"".join(read_bytes(folder / name, limit, AGAIN) for name, limit in files)
    ).hexdigest()


def load_run(folder: Path) -> Run:
    """Read a run's folder.

    Raises:
        UsageError: when `folder` holds no run.
        NotMappable: when the run is a float baseline.
        FileRefused: when its files contradict each other, or a tensor is left over that the integer
            network does not contain.
    """
    recover(folder)
    require_marked(folder, STATE, "lehr train")
    try:
        state = parse_json(read_bytes(folder / STATE, JSON_BYTES, AGAIN))
        stated = check_stated(folder, state)
        structure, digest = state.pop("network"), state.pop("digest", None)
        tensors = safetensors.numpy.load(read_bytes(folder / TENSORS, _MAX_BYTES, AGAIN))
        if structure is None:
            raise NotMappable(
                f"{folder} holds float weights, a baseline with no integer meaning; train with "
                "network.weights=binarized"
            )
        network, latents = _assemble(structure, tensors)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        OSError,
        SafetensorError,
    ) as error:
        raise FileRefused(
            f"{folder} is no whole run ({type(error).__name__}: {error}); {AGAIN}"
        ) from None
    if tensors:
        name, tensor = next(iter(sorted(tensors.items())))
        raise FileRefused(
            f"{folder}: tensor {name!r} ({tensor.dtype}) is left over, the integer network has no "
            "place for it; train it again"
        )
    if stated and network.digest != digest:
        raise FileRefused(
            f"{folder} is damaged (it holds another network than the one whose digest {STATE} "
            f"states); {AGAIN}"
        )
    return Run(network, latents, state, stated)


def _tensors(net: Network) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a network that are no weights."""
    tensors = {
        f"{name}.{key}": np.array(value)
        for name, neuron in net.neurons.items()
        for key, value in neuron.values.items()
    }
    for name, node in net.nodes.items():
        if name not in net.neurons and name not in net.weighted:
            values = {f.name: getattr(node, f.name) for f in fields(node)}  # type: ignore[arg-type]
            tensors |= {
                f"{name}.{key}": np.array(value)
                for key, value in values.items()
                if isinstance(value, np.ndarray)
            }
    return tensors


def _structure(net: Network) -> dict[str, Any]:
    """Return everything of a network that is no array."""
    nodes = {}
    for name, node in net.nodes.items():
        values = {f.name: getattr(node, f.name) for f in fields(node)}  # type: ignore[arg-type]
        plain = {
            key: value
            for key, value in values.items()
            if not isinstance(value, (np.ndarray, Mapping)) and value is not None
        }
        nodes[name] = {
            "type": type(node).__name__,
            **{key: _plain(value) for key, value in plain.items()},
        }
    return {
        "nodes": nodes,
        "edges": net.edges,
        "input": asdict(net.input),
        "steps": net.steps,
        "readout": net.readout,
    }


def _plain(value: Any) -> Any:
    """Return a field of a node as JSON has it."""
    if isinstance(value, Program):
        return {UPDATE: lines_of(value), "membrane": value.membrane}
    return asdict(value) if isinstance(value, (Arithmetic, Synapse)) else value


def _arithmetic(tree: dict[str, Any]) -> Arithmetic | Program:
    """Return the arithmetic of which `_plain` made `tree`.

    Both kinds have an `update`: a program a list of lines, fields a word.
    """
    if not isinstance(tree[UPDATE], list):
        return Arithmetic(**tree)
    return program_of_lines(tree.pop(UPDATE), tree.pop("membrane"), **tree)


def _neuron(
    name: str, tree: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]
) -> dict[str, Any]:
    """Return the fields of neurons, by name."""
    arithmetic = _arithmetic(tree["arithmetic"])
    values = {key: _integers(f"{name}.{key}", tensors) for key in FIRST}
    others = (
        [key for key in arithmetic.parameters if key not in FIRST]
        if isinstance(arithmetic, Program)
        else []
    )
    synapse = Synapse(**tree["synapse"]) if "synapse" in tree else None
    return {
        **values,
        "arithmetic": arithmetic,
        "synapse": synapse,
        "parameters": {key: _integers(f"{name}.{key}", tensors) for key in others},
    }


def _assemble(
    structure: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]
) -> tuple[Network, dict[str, Latent]]:
    """Put the arrays back, and take out of `tensors` what is used."""
    nodes: dict[str, Node] = {}
    latents: dict[str, Latent] = {}
    for name, tree in structure["nodes"].items():
        kind = _TYPES[tree.pop("type")]
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in tree.items()
        }
        if kind is Neuron:
            values |= _neuron(name, values, tensors)
        elif kind in (Conv2d, Linear):
            latents[name] = Latent.take(name, tensors)
            # older runs state no kind
            stated_kind = declared_kind(values.get("kind", "binary"))
            values["weight"] = latents[name].levels(stated_kind)
        else:
            arrays = [
                f.name
                for f in fields(kind)  # type: ignore[arg-type]
                if f.name not in values and f"{name}.{f.name}" in tensors
            ]
            values |= {key: _integers(f"{name}.{key}", tensors) for key in arrays}
        node: Callable[..., Node] = kind
        nodes[name] = node(**values)
    edges = tuple((a, b) for a, b in structure["edges"])
    given = structure["input"]
    return Network(
        nodes,
        edges,
        Input(tuple(given["shape"]), given["kind"]),
        structure["steps"],
        structure["readout"],
    ), latents


def _integers(name: str, tensors: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    value = tensors.pop(name)
    if value.dtype != np.int32:
        raise ValueError(f"{name} is {value.dtype}, not int32: it was never frozen to integers")
    return value
