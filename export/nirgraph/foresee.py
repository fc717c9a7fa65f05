"""Refusals of `quantize` that the file of a float graph alone foretells.

They are known before there are samples, or options.
"""

from __future__ import annotations

import math
from pathlib import Path

from lehr.errors import LehrError
from lehr.export.nirgraph.graph import Graph, Weights
from lehr.export.nirgraph.layers import Options
from lehr.export.nirgraph.quantize import plan
from lehr.export.nirgraph.reading import from_tree
from lehr.export.nirgraph.semantics import Semantics, decided, settled
from lehr.export.nirgraph.steps import require_neurons
from lehr.hdf5 import read_tree
from lehr.refusals import Refusals

MOST = 1 << 26
"""The most multiplications of one node that are made to look ahead."""


def foresee(path: Path) -> tuple[str, ...]:
    """Return everything that `quantize`, with no option given, refuses of the graph in a file.

    These are sentences that name the node and the way out.

    Options that it needs are among them. Whether numbers fit into states of 32 bits turns on the
    samples' length, and is not; nor is, where options are missing or layers are very large, whether
    neurons differ that an integer layer has alike.

    Raises:
        UsageError, FileRefused: when the file itself cannot be read.
    """
    tree = read_tree(path).get("node")
    try:
        graph = from_tree(tree)
    except LehrError as error:
        return tuple(map(str, error.args))
    return _refused(graph)


def _refused(graph: Graph) -> tuple[str, ...]:
    refusals = Refusals()
    graph = decided(graph, Semantics(), refusals)
    semantics, _ = settled(graph, Semantics(), refusals)
    if refusals or _heavy(graph):  # what the options do not change is known without them
        for name, cells in graph.cells.items():
            with refusals.collect(f"{name} ({cells.kind}): "):
                require_neurons(cells)
        return refusals.reasons
    with refusals.collect():
        # binary weights are made fastest; the kind of weights refuses nothing
        plan(graph, semantics, Options(weights="binary"), 1.0)
    return refusals.reasons


def _heavy(graph: Graph) -> bool:
    """Return whether its weights multiply more than this process may do unasked.

    The file may be somebody else's.
    """
    shapes = graph.outline.shapes
    weights = {name: node.weight for name, node in graph.nodes.items() if isinstance(node, Weights)}
    return any(math.prod(shapes[name][1:]) * weight.size > MOST for name, weight in weights.items())
