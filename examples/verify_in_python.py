"""Run an exported network from Python, build it for a target, and prove that the artefact computes the same.

lehr demo
python examples/verify_in_python.py lehr-demo/model.nir lehr-demo/in.npz c
"""

import sys
import tempfile
from pathlib import Path

from lehr import nirfile
from lehr.samples import read_samples
from lehr.simulate import simulate
from lehr.targets import registry
from lehr.targets.build import build, verify

model, samples, name = sys.argv[1:]
net = nirfile.read(Path(model))
x, labels = read_samples(Path(samples))

result = simulate(net, x, trace=net.neurons)
for layer, membranes in result.trace.membranes.items():
    print(f"{layer}: spike rate {result.rates[layer]:.4f}, membranes from {membranes.min()} to {membranes.max()}")
if labels is not None:
    print(f"accuracy: {result.accuracy(labels):.4f}")

with tempfile.TemporaryDirectory() as scratch:
    out = Path(scratch) / name
    build(net, registry.get(name), x[:16]).plan.write(out)
    verified = verify(out)
    print(f"{verified.target}: {verified.comparison}")
    verified.require()
