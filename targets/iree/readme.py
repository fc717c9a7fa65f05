"""Texts of an artefact: a Makefile that compiles its models, a README with programs to run them."""

from __future__ import annotations

import math

from onnx import ModelProto, ValueInfoProto, helper

from lehr.network import Network
from lehr.targets.golden import FOLDER, stem
from lehr.targets.onnx.graph import MEMBRANE, SPIKES
from lehr.targets.onnx.model import scores_of
from lehr.targets.onnx.readme import state_table, value_table

MAKEFILE = """\
# make           compiles both models, by IREE's tools: pip install iree-base-compiler \
iree-base-runtime onnx
# make check     runs the golden vectors' first batch in iree-run-module, which compares every \
spike and membrane
# Another processor: make CPU=host, or FLAGS=--iree-llvmcpu-target-triple=aarch64-linux-gnu and so \
on, after make clean

CPU   ?= generic
FLAGS ?=

.PHONY: all check clean

all: model.vmfb step.vmfb

%.mlir: %.onnx
\tiree-import-onnx $< -o $@

%.vmfb: %.mlir
\tiree-compile $< --iree-hal-target-backends=llvm-cpu --iree-llvmcpu-target-cpu=$(CPU) $(FLAGS) -o \
$@

check: model.vmfb
\tmkdir -p first
<CUT>
\tiree-run-module --device=local-sync --module=model.vmfb --function=lehr \\
<RUN>

clean:
\trm -rf *.mlir *.vmfb first
"""

README = """\
# The network in IREE

`make` compiles both models ahead of time for the processor that the Makefile names; `make check` \
runs the first {batch} of the golden
vectors' samples. Every spike and membrane is the one that lehr's reference simulator computes, in \
either of them. A model takes {batch}
samples at once, as it was built for (option `batch`). IREE's modules tell no sign of integers: \
spikes are unsigned bytes.

## model.onnx: all {steps} steps at once

| | name | type | shape |
|---|---|---|---|
{whole}

Its function is `lehr`, with inputs and outputs in the order of the table:

```python
import numpy as np
import iree.runtime as iree

context = iree.SystemContext(config=iree.Config("local-sync"))
context.add_vm_module(iree.VmModule.mmap(context.instance, "model.vmfb"))
images = np.random.default_rng(0).integers(0, {highest}, ({batch}, {shape}), np.uint8, \
endpoint=True)
{scores}, prediction, *trace = context.modules.lehr["lehr"](np.repeat(images[:, None], {steps}, \
axis=1))
print(np.asarray({scores}))
print(np.asarray(prediction))
```

## step.onnx: one step without Scan

| | name | type | shape |
|---|---|---|---|
{step}

Whoever runs it hands the states on from step to step:

| state | goes in as | comes out as | is at first |
|---|---|---|---|
{states}
"""


def makefile(net: Network, model: ModelProto) -> str:
    """Return the Makefile of an artefact with the given `model.onnx`."""
    entry = model.graph.input[0]
    layers = [value for value in model.graph.output if value.name.startswith((SPIKES, MEMBRANE))]
    files = [
        (f"{FOLDER}/input.u8", entry),
        *((_golden(net, value.name), value) for value in layers),
    ]
    cuts = [
        f"\thead -c {_bytes(value)} {golden} > first/{number}.bin"
        for number, (golden, value) in enumerate(files)
    ]
    runs = [f"--input={_buffer(entry)}=@first/0.bin", *['--expected_output="(ignored)"'] * 2]
    runs += [
        f"--expected_output={_buffer(value)}=@first/{number}.bin"
        for number, value in enumerate(layers, start=1)
    ]
    return MAKEFILE.replace("<CUT>", "\n".join(cuts)).replace(
        "<RUN>", " \\\n".join(f"\t\t{run}" for run in runs)
    )


def readme(net: Network, model: ModelProto, step: ModelProto) -> str:
    """Return the README of an artefact with these models of `net`."""
    return README.format(
        batch=_shape(model.graph.input[0])[0],
        steps=net.steps,
        whole=value_table(model),
        step=value_table(step),
        states=state_table(step),
        scores=scores_of(net),
        highest=net.input.highest,
        shape=", ".join(map(str, net.input.shape)),
    )


def _golden(net: Network, name: str) -> str:
    """Return the file of the golden vectors that an output of a model must be."""
    if name.startswith(SPIKES):
        return f"{stem(net, name.removeprefix(SPIKES))}.spikes.u8"
    return f"{stem(net, name.removeprefix(MEMBRANE))}.membrane.i32"


def _shape(value: ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _bytes(value: ValueInfoProto) -> int:
    return (
        math.prod(_shape(value))
        * helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).itemsize
    )


def _buffer(value: ValueInfoProto) -> str:
    """Return a value's shape and type as IREE writes them, without signs: `1x8x10xi32`."""
    bits = 8 * helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).itemsize
    return "x".join([*map(str, _shape(value)), f"i{bits}"])
