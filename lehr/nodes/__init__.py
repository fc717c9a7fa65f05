"""The nodes of an integer network, one file each.

Shapes leave the batch out: `(channels, height, width)` for feature maps, `(features,)` after a
Flatten. Arrays are read-only numpy of the stated dtype; a node checks itself when it is made.
"""

from lehr.nodes.base import (
    INT32_MAX,
    MAX_ALL_VALUES,
    MAX_VALUES,
    InputKind,
    Int32Array,
    Node,
    Pair,
    Shape,
    ShapeMismatch,
    pair,
    values_in,
    windows,
)
from lehr.nodes.conv2d import Conv2d
from lehr.nodes.delay import MAX_DELAY, Delay
from lehr.nodes.flatten import Flatten
from lehr.nodes.linear import Linear
from lehr.nodes.max_pool2d import MaxPool2d
from lehr.nodes.neuron import Neuron
from lehr.nodes.scale import Scale
from lehr.nodes.sum_pool2d import SumPool2d
from lehr.nodes.upsample2d import Upsample2d

__all__ = [
    "INT32_MAX",
    "MAX_ALL_VALUES",
    "MAX_DELAY",
    "MAX_VALUES",
    "Conv2d",
    "Delay",
    "Flatten",
    "InputKind",
    "Int32Array",
    "Linear",
    "MaxPool2d",
    "Neuron",
    "Node",
    "Pair",
    "Scale",
    "Shape",
    "ShapeMismatch",
    "SumPool2d",
    "Upsample2d",
    "pair",
    "values_in",
    "windows",
]
