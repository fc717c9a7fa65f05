"""The `.nir` file, in which a network travels between stations and to other people's tools.

A file says everything twice. Floating-point fields (tau, r, v_leak) say it to any reader of NIR;
`fixed_point` in the metadata of the graph says it exactly (lehr/nirblocks.py, docs/arithmetic.md).
Reading takes the exact side, derives the other one anew, and refuses a file in which the two
disagree, or whose network has not the digest that it states. `read` gives back what `write` was
given; equal networks give equal bytes. A file of another tool may state no digest: `open_model`
says so.

`nir.read` opens what `write` made, and refuses a file with a type of node that NIR does not have,
MaxPool2d or Upsample2d. With its type check on it refuses two things that NIR has but whose shapes
it does not infer, too: convolutions in groups, and kernels that are not square. Read those with
`type_check=False`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lehr.atomic import write_bytes
from lehr.bounded import require_bounded
from lehr.errors import FileRefused, NotMappable, UsageError, together
from lehr.hdf5 import read_tree
from lehr.network import INPUT, OUTPUT, Edge, Input, Network
from lehr.nirblocks import NET_SCHEMA, gathered, spread
from lehr.nirnodes import AGAIN, BLOCK, Fields, block, check_keys, scalar, whole
from lehr.nodes.registry import fields_of, node_of, taken_fields
from lehr.text import printable

if TYPE_CHECKING:
    import nir

ORIGIN, APPROXIMATE = "origin", "approximate"
FOR_READER = "lehr export --for"
"""Mark in the origin of a file that was written in float units for another tool's importer."""
Origin = Mapping[str, Any]
RELATIVE = 1e-9
_ENDS = {INPUT: "Input", OUTPUT: "Output"}
# One value per neuron; the shape is compared before the expected values are laid out, or a small
# file could ask for terabytes.
_MAPS = ("v_threshold", "r", "delay")


def write(
    net: Network,
    path: str | os.PathLike[str],
    origin: Origin | None = None,
    approximate: Iterable[str] = (),
) -> None:
    """Write a network to a `.nir` file, whole or not at all.

    Args:
        net: the network.
        path: of the file.
        origin: what was decided when the network was made of another one, by name: numbers, text,
            and lists and mappings of them; it is no part of the network.
        approximate: layers of neurons that may be written as the nearest type where NIR has none
            for their update. Their update stands in the file exactly all the same, and the origin
            says, under `approximate`, what NIR's own fields lack.

    Raises:
        NotMappable: when NIR has no type for the update of other layers, or the file no form for a
            type of node.
        UsageError: when `approximate` names no layer of neurons.
        FileRefused: when the file cannot be written.
    """
    write_bytes(Path(path), to_bytes(net, origin, approximate))


def to_bytes(net: Network, origin: Origin | None = None, approximate: Iterable[str] = ()) -> bytes:
    """Return the bytes of the file that `write` makes: the same for equal networks and origins."""
    import nir  # here, as to read a file takes none of the two, nor what they import

    from lehr.hdf5write import tree_bytes

    graph = gathered(_tree(net))
    if lacks := _approximated(net, approximate):
        origin = {**(origin or {}), APPROXIMATE: lacks}
    if origin:
        graph["metadata"] |= {ORIGIN: origin}
    return tree_bytes({"version": nir.version, "node": graph})


@dataclass(frozen=True)
class Model:
    """A network as a file holds it.

    Attributes:
        network: the network.
        stated: whether the file states the network's digest, which was right then; otherwise damage
            to its weights cannot be seen.
    """

    network: Network
    stated: bool


def read(path: str | os.PathLike[str]) -> Network:
    """Read a network from a `.nir` file, whoever made it; raises as `open_model`."""
    return open_model(path).network


def open_model(path: str | os.PathLike[str]) -> Model:
    """Read a network from a `.nir` file, whoever made it, and whether the file states its digest.

    Raises:
        UsageError: when there is no such file.
        FileRefused: naming the node, the value and the way out, when it is not HDF5, not NIR, no
            integer network, or contradicts itself.
    """
    graph = read_tree(Path(path)).get("node")
    with about(f"{path}: "):
        return _model(graph)


def to_nir(net: Network, approximate: Iterable[str] = ()) -> nir.NIRGraph:
    """Return the network as a graph of the `nir` package.

    Its arrays are copies; raises as `to_bytes`, and NotMappable for a type of node that the package
    does not have.
    """
    import nir

    for name, node in net.nodes.items():
        if others := [kind for kind in node.nir_types if not hasattr(nir, kind)]:
            raise NotMappable(
                f"{name}: the package nir has no {others[0]}; write the network to a file, which "
                "lehr reads"
            )
    _approximated(net, approximate)
    return nir.NIRGraph.from_dict({**copy.deepcopy(gathered(_tree(net))), "type_check": False})


def from_nir(graph: nir.NIRGraph) -> Network:
    """Return the network that a graph with `fixed_point` blocks means.

    Raises:
        FileRefused: as `read`.
    """
    return _model(graph.to_dict()).network


@contextmanager
def about(what: str) -> Iterator[None]:
    """Put `what` in front of a refusal."""
    try:
        yield
    except (FileRefused, NotMappable) as error:
        raise error.about(what) from None


def _tree(net: Network) -> dict[str, Any]:
    """Return the network as the dictionaries of the `nir` package: what a file holds."""
    nodes = {}
    for name, node in net.nodes.items():
        with about(f"{name}: "):
            nodes[name] = fields_of(node, net.shapes[net.sources(name)[0]])
    nodes[INPUT] = {"type": "Input", "shape": np.array(net.input.shape)}
    nodes[OUTPUT] = {"type": "Output", "shape": np.array(net.shapes[net.output])}
    exact = {
        "schema": NET_SCHEMA,
        "input": net.input.kind,
        "steps": net.steps,
        "readout": net.readout,
        "digest": net.digest,
    }
    return {
        "type": "NIRGraph",
        "nodes": nodes,
        "edges": list(net.edges),
        "metadata": {BLOCK: exact},
    }


def _approximated(net: Network, approximate: Iterable[str]) -> str:
    """Return what NIR's own fields lack of the layers in `approximate`, in one text.

    Raises as `to_bytes` if they lack anything of other layers.
    """
    allowed = set(approximate)
    for name in sorted(allowed - net.neurons.keys()):
        raise UsageError(
            f"approximate names {name!r}, which is no layer of neurons; name some of "
            f"{', '.join(net.neurons)}"
        )
    lacks = {name: neuron.nir.lacks for name, neuron in net.neurons.items() if neuron.nir.lacks}
    if others := sorted(lacks.keys() - allowed):
        way_out = (
            "name it in `approximate` to write it as the nearest, {}, with its update exactly "
            "beside that"
        )
        raise NotMappable(
            *together(
                f"{name}: NIR has no neuron for its update, as {' and '.join(lacks[name])}; "
                f"{way_out.format(net.neurons[name].nir.kind)}"
                for name in others
            )
        )
    return "; ".join(
        together(
            f"{name}: {net.neurons[name].nir.kind}, though {', '.join(reasons)}"
            for name, reasons in lacks.items()
        )
    )


def _model(graph: Any) -> Model:
    if not isinstance(graph, Mapping) or _type(graph) != "NIRGraph":
        raise FileRefused("holds no NIR graph; give a file that lehr or another NIR tool wrote")
    _refuse_reader_file(graph)
    if not _states_integers(graph):
        raise FileRefused(
            "holds a float graph, no integer network: it has no fixed_point block anywhere; make a "
            "network of it by 'lehr quantize GRAPH.nir --calibrate IN.npz -o MODEL.nir'"
        )
    with about("the graph "):
        check_keys(graph, ("type", "nodes", "edges"), "a graph", optional=["metadata"])
        graph = spread(graph)
        exact = block(graph, NET_SCHEMA, ("input", "steps", "readout"), optional=["digest"])
        kind, steps, readout = (scalar(exact, name) for name in ("input", "steps", "readout"))
        edges, stated = edges_of(graph["edges"]), _nodes(graph["nodes"])
    nodes = {}
    for name in sorted(stated.keys() - _ENDS.keys()):
        with about(f"{name}: "):
            nodes[name] = node_of(stated[name])
    with about(f"{INPUT}: "):
        shape = whole(stated[INPUT], "shape")
        net_input = Input(shape if isinstance(shape, tuple) else (shape,), kind)
    net = Network(nodes, edges, net_input, steps, readout)
    require_bounded(net)
    _check_agreement(stated, net)
    if str(exact.get("digest", net.digest)) != net.digest:
        raise FileRefused(
            "the graph has another digest than its network, so it was damaged or changed; export "
            "it again"
        )
    return Model(net, "digest" in exact)


def _states_integers(graph: Fields) -> bool:
    """Return whether any fixed_point block is there.

    A file of lehr's that lost some of them is damaged, another tool's has none.
    """
    nodes = graph.get("nodes")
    every = [graph, *(nodes.values() if isinstance(nodes, Mapping) else ())]
    blocks = [
        fields["metadata"]
        for fields in every
        if isinstance(fields, Mapping) and isinstance(fields.get("metadata"), Mapping)
    ]
    return any(BLOCK in metadata for metadata in blocks)


def _refuse_reader_file(graph: Mapping[str, Any]) -> None:
    """Refuse a file of `lehr export --for`: its floats stand for the network, but are not it."""
    metadata = graph.get("metadata")
    if not isinstance(metadata, Mapping) or BLOCK in metadata:
        return
    origin = metadata.get(ORIGIN)
    if isinstance(origin, Mapping) and origin.get("command") == FOR_READER:
        raise FileRefused(
            f"holds the float units of `{FOR_READER} {printable(str(origin.get('reader')))}`, not "
            "the integers; give the file that it was"
            f" written from, of network {printable(str(origin.get('network'))[:16])}"
        )


def _type(fields: Fields) -> str:
    return str(fields.get("type"))


def _nodes(stated: Any) -> Mapping[str, Fields]:
    """Return the nodes' fields, with one input and one output among them."""
    if not isinstance(stated, Mapping):
        raise FileRefused("has nodes that are no group; give each node a name and fields")
    for name, fields in stated.items():
        if not isinstance(fields, Mapping) or not isinstance(fields.get("metadata", {}), Mapping):
            raise FileRefused(
                f"has a node {name!r} that holds a value where NIR has fields; remove it"
            )
    for name, kind in _ENDS.items():
        if name not in stated or _type(stated[name]) != kind:
            raise FileRefused(f"has no node {name!r} of type {kind}; call its {name} so")
        check_keys(stated[name], ("type", "shape"), f"node {name!r}", optional=["metadata"])
    return stated


def edges_of(stated: Any) -> tuple[Edge, ...]:
    """Return the edges of a graph; raises FileRefused if one is no pair of names."""
    edges: list[Edge] = []
    for pair in stated if isinstance(stated, list) else [stated]:
        match pair:
            case [str(source), str(target)]:
                # what that changes names no node
                edges.append((printable(source), printable(target)))
            case _:
                raise FileRefused(
                    "has an edge that is no pair of node names; give each edge its two ends"
                )
    return tuple(edges)


def _check_agreement(stated: Mapping[str, Fields], net: Network) -> None:
    """Refuse what differs from the file that the network would be written to."""
    for name in net.nodes:
        for field in [field for field in _MAPS if field in stated[name]]:
            if np.shape(stated[name][field]) != net.shapes[name]:
                raise FileRefused(
                    f"{name}: {field} has shape {np.shape(stated[name][field])}, but its input has "
                    f"{net.shapes[name]}; {AGAIN}"
                )
    for name, derived in _tree(net)["nodes"].items():
        taken = taken_fields(net.nodes[name]) if name in net.nodes else frozenset()
        for field in [field for field in derived if field not in taken]:
            _check_same(f"{name}: {field}", stated[name][field], derived[field])
        if BLOCK in stated[name].get("metadata", {}) and "metadata" not in derived:
            raise FileRefused(
                f"{name}: has a fixed_point block, which a {derived['type']} does not take; remove "
                "it"
            )


def _check_same(where: str, stated: Any, derived: Any) -> None:
    """Refuse a field that differs from its derived value.

    Integers may differ in nothing, others in no more than one part in 10**9.
    """
    if isinstance(derived, str):
        if stated != derived:
            raise FileRefused(
                f"{where} is {stated}, but the rest of the file makes it {derived}; {AGAIN}"
            )
        return
    numbers, wanted = np.asarray(stated), np.asarray(derived)
    if numbers.dtype.kind not in "iuf" or numbers.shape != wanted.shape:
        given, right = (f"{array.dtype} of shape {array.shape}" for array in (numbers, wanted))
        raise FileRefused(f"{where} is {given}, but the rest of the file makes it {right}; {AGAIN}")
    slack = RELATIVE * np.abs(wanted) if wanted.dtype.kind == "f" else 0
    wrong = np.argwhere(~(np.abs(numbers.astype(np.float64) - wanted) <= slack))
    if len(wrong):
        at = tuple(wrong[0].tolist())
        raise FileRefused(
            f"{where} holds {numbers[at]} at {list(at)}, but the rest of the file makes it "
            f"{wanted[at]}; {AGAIN}"
        )
