"""The README of an artefact: what goes in and out of the model, and a program that runs it."""

from __future__ import annotations

import json

from onnx import ModelProto, ValueInfoProto, helper

from lehr.network import Network
from lehr.targets.onnx.graph import STATES
from lehr.targets.onnx.model import scores_of

TEMPLATE = """\
# {file}

A spiking network as one ONNX model: a Scan over time in integer operators of the standard (opset \
{opset}). Every spike and membrane
is the one that lehr's reference simulator computes.

| | name | type | shape |
|---|---|---|---|
{table}

`N` samples and `T` steps are free; the network was made for {steps} steps. To hold an image for \
all of them:

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


STEP_TEMPLATE = """\
# {file}

One time step of a spiking network as an ONNX model, in integer operators of the standard (opset \
{opset}) and without Scan. Whoever
runs it hands the states on from step to step. Every spike and membrane is the one that lehr's \
reference simulator computes.

| | name | type | shape |
|---|---|---|---|
{table}

| state | goes in as | comes out as | is at first |
|---|---|---|---|
{states}

`N` samples are free; the network was made for {steps} steps. To hold an image for all of them:

```python
import json
import numpy as np
import onnxruntime as ort

session = ort.InferenceSession("{file}", providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
states = json.loads(session.get_modelmeta().custom_metadata_map["lehr.states"])
images = np.random.default_rng(0).integers(0, {highest}, (4, {shape}), np.uint8, endpoint=True)
kinds = {{i.name: (i.type[7:-1], i.shape[1:]) for i in session.get_inputs()}}
fed = \
{{before: np.full((4, *kinds[before][1]), first, kinds[before][0]) for before, _, first in states}}
for _ in range({steps}):
    outputs = dict(zip(names, session.run(names, {{**fed, "input": images}})))
    fed = {{before: outputs[after] for before, after, _ in states}}
print(outputs["{scores}"])
print(outputs["prediction"])
```
"""


def readme(net: Network, model: ModelProto, file: str) -> str:
    """Return the README for `model` of `net`, stored as `file`."""
    states = state_table(model)
    return (STEP_TEMPLATE if states else TEMPLATE).format(
        states=states,
        file=file,
        opset=model.opset_import[0].version,
        table=value_table(model),
        steps=net.steps,
        scores=scores_of(net),
        highest=net.input.highest,
        shape=", ".join(map(str, net.input.shape)),
    )


def value_table(model: ModelProto) -> str:
    """Return the rows of a table of what goes in and comes out."""
    graph = model.graph
    return "\n".join(
        [_row("input", value) for value in graph.input]
        + [_row("output", value) for value in graph.output]
    )


def state_table(model: ModelProto) -> str:
    """Return the rows of a table of the states of a step's model; none for one of all steps."""
    states = json.loads({fact.key: fact.value for fact in model.metadata_props}.get(STATES, "[]"))
    return "\n".join(
        f"| {before.partition('/')[0]} | `{before}` | `{after}` | {first} |"
        for before, after, first in states
    )


def _row(role: str, value: ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dims = ", ".join(dim.dim_param or str(dim.dim_value) for dim in tensor.shape.dim)
    return (
        f"| {role} | `{value.name}` | {helper.tensor_dtype_to_np_dtype(tensor.elem_type).name} "
        f"| [{dims}] |"
    )
