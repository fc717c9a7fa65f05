"""The README of an artefact: what goes in and out of the model, and a program that runs it."""

from __future__ import annotations

from onnx import ModelProto, ValueInfoProto, helper

from lehr.network import Network
from lehr.targets.onnx.model import scores_of

TEMPLATE = """\
# {file}

A spiking network as one ONNX model: a Scan over time in integer operators of the standard (opset {opset}). Every spike and membrane
is the one that lehr's reference simulator computes.

| | name | type | shape |
|---|---|---|---|
{table}

`N` samples and `T` steps are free; the network was made for {steps} steps. To hold an image for all of them:

```python
import numpy as np
import onnxruntime as ort

session = ort.InferenceSession("{file}", providers=["CPUExecutionProvider"])
images = np.random.default_rng(0).integers(0, {highest}, (4, {shape}), np.uint8, endpoint=True)
x = np.repeat(images[:, None], {steps}, axis=1)
{scores}, prediction = session.run(["{scores}", "prediction"], {{"input": x}})
print({scores})
print(prediction)
```
"""


def readme(net: Network, model: ModelProto, file: str) -> str:
    """The README for `model` of `net`, stored as `file`."""
    graph = model.graph
    rows = [_row("input", value) for value in graph.input] + [_row("output", value) for value in graph.output]
    return TEMPLATE.format(
        file=file,
        opset=model.opset_import[0].version,
        table="\n".join(rows),
        steps=net.steps,
        scores=scores_of(net),
        highest=net.input.highest,
        shape=", ".join(map(str, net.input.shape)),
    )


def _row(role: str, value: ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dims = ", ".join(dim.dim_param or str(dim.dim_value) for dim in tensor.shape.dim)
    return f"| {role} | `{value.name}` | {helper.tensor_dtype_to_np_dtype(tensor.elem_type).name} | [{dims}] |"
