"""All types of node, each once: what a network and a file of it may hold."""

from __future__ import annotations

from typing import Any

from lehr.errors import FileRefused, NotMappable
from lehr.nirnodes import Fields, check_keys
from lehr.nodes.base import Node, Shape
from lehr.nodes.conv2d import Conv2d
from lehr.nodes.delay import Delay
from lehr.nodes.flatten import Flatten
from lehr.nodes.linear import Linear
from lehr.nodes.max_pool2d import MaxPool2d
from lehr.nodes.neuron import Neuron
from lehr.nodes.scale import Scale
from lehr.nodes.sum_pool2d import SumPool2d
from lehr.nodes.upsample2d import Upsample2d

NODES: tuple[type[Node], ...] = (
    Conv2d,
    Linear,
    SumPool2d,
    MaxPool2d,
    Upsample2d,
    Flatten,
    Delay,
    Scale,
    Neuron,
)
_BY_NIR_TYPE = {kind: node for node in NODES for kind in node.nir_types}


def fields_of(node: Node, taken: Shape) -> dict[str, Any]:
    """Return the NIR fields of `node`, whose input has shape `taken`.

    Arrays may be read-only views.

    Raises:
        NotMappable: when the file has no form for this type of node.
    """
    if type(node) not in NODES or not node.nir_types:
        known = ", ".join(kind.__name__ for kind in NODES)
        raise NotMappable(
            f"the .nir file holds no {type(node).__name__}; use {known}, or give it a file form in "
            "lehr.nodes.registry"
        )
    return node.nir_fields(taken)


def node_of(fields: Fields) -> Node:
    """Return the node that NIR fields describe.

    Raises:
        FileRefused: when its type, a field or its fixed_point block is not what an integer network
            holds. The caller names the node.
    """
    kind = fields.get("type")
    if kind == "NIRGraph":
        raise FileRefused("is a graph inside the graph; put its nodes into the outer graph")
    if kind in ("Input", "Output"):
        raise FileRefused(
            f"is of type {kind}, which the node '{kind.lower()}' alone may be; rename or remove it"
        )
    if not isinstance(kind, str) or kind not in _BY_NIR_TYPE:
        raise FileRefused(
            f"is of type {kind}, which is not in an integer network; use {', '.join(_BY_NIR_TYPE)}"
        )
    node = _BY_NIR_TYPE[kind]
    check_keys(fields, ("type", *node.nir_types[kind]), kind, ["metadata"])
    return node.of_nir(fields)


def taken_fields(node: Node) -> frozenset[str]:
    """Return the fields that reading takes as they are.

    All others of a file must be those that the node is written with.
    """
    return node.nir_taken | {"metadata"}
