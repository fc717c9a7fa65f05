"""The `fixed_point` blocks of a graph, in one text.

The exact meaning of the graph stands in them: JSON, in its metadata.

A member of an HDF5 file takes some 50 microseconds to read, whatever is in it; with one for each
field of each block, deep networks could not be read in reasonable time. Files of
`fixed-point-net/1` have the blocks with the nodes, as groups; they are read for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from lehr.errors import FileRefused
from lehr.nirnodes import BLOCK, short

NET_SCHEMA, WHOLE_SCHEMA = "fixed-point-net/1", "fixed-point-net/2"
NODES = "nodes"


def gathered(graph: Mapping[str, Any]) -> dict[str, Any]:
    """Return `graph` with the blocks of its nodes in one text in its own metadata."""
    nodes, blocks = {}, {}
    for name, fields in graph["nodes"].items():
        metadata = dict(fields.get("metadata", {}))
        if BLOCK in metadata:
            blocks[name] = metadata.pop(BLOCK)
        others = {key: value for key, value in fields.items() if key != "metadata"}
        nodes[name] = {**others, "metadata": metadata} if metadata else others
    metadata = graph["metadata"]
    whole = {**metadata[BLOCK], "schema": WHOLE_SCHEMA, NODES: blocks}
    text = json.dumps(whole, sort_keys=True, default=np.ndarray.tolist)
    return {**graph, "nodes": nodes, "metadata": {**metadata, BLOCK: text}}


def spread(graph: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `graph` with each block at its node; as it is if the blocks are there already.

    Raises:
        FileRefused: when the text is no JSON of blocks, or names a node that is not there or has a
            block of its own.
    """
    metadata, nodes = graph.get("metadata"), graph.get(NODES)
    text = metadata.get(BLOCK) if isinstance(metadata, Mapping) else None
    if (
        not isinstance(metadata, Mapping)
        or not isinstance(text, str)
        or not isinstance(nodes, Mapping)
    ):
        return graph  # in the form of before, or refused by who reads its nodes
    whole = _parsed(text)
    blocks = whole.pop(NODES, None)
    if whole.get("schema") != WHOLE_SCHEMA:
        raise FileRefused(
            f"has a fixed_point text of schema {short(whole.get('schema'))}, not {WHOLE_SCHEMA!r}; "
            "read it with the lehr that wrote it"
        )
    if not isinstance(blocks, dict):
        raise FileRefused(
            f"has a fixed_point text whose {NODES!r} is {short(blocks)}; give a block for each "
            "node of weights or neurons"
        )
    complete = dict(nodes)
    for name, block in blocks.items():
        fields = complete.get(name)
        if not isinstance(fields, Mapping) or not isinstance(block, dict):
            raise FileRefused(
                f"has a fixed_point block for {short(name)}, which is no node with fields; remove "
                "one or add the other"
            )
        own = fields.get("metadata", {})
        if not isinstance(own, Mapping) or BLOCK in own:
            raise FileRefused(f"has two fixed_point blocks for {name}; remove the one at the node")
        complete[name] = {**fields, "metadata": {**own, BLOCK: block}}
    return {
        **graph,
        NODES: complete,
        "metadata": {**metadata, BLOCK: {**whole, "schema": NET_SCHEMA}},
    }


def _parsed(text: str) -> dict[str, Any]:
    try:
        whole = json.loads(text, object_pairs_hook=_members, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        reason = (
            "it is nested too deep"
            if isinstance(error, RecursionError)
            else " ".join(str(error).split())
        )
        raise FileRefused(
            f"has a fixed_point text that is no JSON ({reason}); export it again"
        ) from None
    if not isinstance(whole, dict):
        raise FileRefused(
            f"has a fixed_point text that holds {short(whole)}; give its fields by name"
        )
    return whole


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name stands there twice")
    return members


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")
