"""An ONNX graph under construction."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

UINT8, INT8, INT32, INT64, BOOL = 2, 3, 6, 7, 9
"""Types of values, by ONNX's own numbers: what maps is said without onnx."""
NUMPY = {UINT8: np.uint8, INT8: np.int8, INT32: np.int32, INT64: np.int64, BOOL: np.bool_}
OPSET, IR_VERSION = 21, 10
STEPS, STATES = "lehr.steps", "lehr.states"
"""Keys of a model's metadata."""
SPIKES, MEMBRANE, NEXT = "spikes.", "membrane.", "next/"
"""What the names of a model's outputs begin with."""


class Graph:
    """Nodes and constants, each value under a name that no other has.

    Names begin with the name of a network's node, as in `conv1/ConvInteger4`. The names of a
    network hold no '/', so that the model's outputs, as `spikes.conv1`, differ from all of them.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: npt.ArrayLike, dtype: int, at: str) -> str:
        """Store `value` and return its name."""
        from onnx import numpy_helper

        name = f"{at}/constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, NUMPY[dtype]), name))
        return name

    def op(self, kind: str, *inputs: str, at: str, name: str = "", **attributes: Any) -> str:
        """Append an operator of node `at` and return its output, called `name` if that is given."""
        from onnx import helper

        name = name or f"{at}/{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def total(self, values: Iterable[str], at: str) -> str:
        """Return the sum of one or more values."""
        return reduce(lambda left, right: self.op("Add", left, right, at=at), values)

    def cast(self, value: str, dtype: int, at: str) -> str:
        """`value` as `dtype`; the caller knows that it fits."""
        return self.op("Cast", value, at=at, to=dtype)
