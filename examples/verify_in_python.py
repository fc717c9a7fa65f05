"""Run an exported network from Python, build it for a target, and prove that both compute the same.

lehr demo
python examples/verify_in_python.py lehr-demo/model.nir lehr-demo/in.npz c
"""

import tempfile
from pathlib import Path

import typer

import lehr
from lehr.samples import read_samples


def main(model: Path, samples: Path, target: str) -> None:
    """Simulate MODEL (.nir) on SAMPLES (.npz), build it for TARGET, and verify the artefact."""
    net = lehr.read(model)
    x, labels = read_samples(samples)

    result = lehr.simulate(net, x, trace="all")
    for layer, membranes in result.trace.membranes.items():
        print(
            f"{layer}: spike rate {result.rates[layer]:.4f}, membranes from {membranes.min()} to "
            f"{membranes.max()}"
        )
    if labels is not None:
        print(f"accuracy: {result.accuracy(labels):.4f}")

    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / target
        lehr.build(net, target, out, x[:16])
        verified = lehr.verify(out)
        print(f"{verified.target}: {verified.comparison}")
        verified.require()


if __name__ == "__main__":
    typer.run(main)
