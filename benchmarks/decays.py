"""Decays whose numerator has up to 8 significant bits: how many updates are proven.

    python benchmarks/decays.py             every numerator in each rounding, in z3's proofs
    python benchmarks/decays.py c fpga --every 32

An update has the decay k/256 of a membrane of 16 bits, for k from 1 to 255, and subtracts its
threshold after a spike; `engine 2` has a synapse with the same decay before it. What is asked is
what `lehr prove` asks of the part `arithmetic`.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args

import numpy as np
import typer

import lehr
from lehr.arithmetic import Arithmetic, Rounding, Synapse
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.prove import onnx_graph
from lehr.prove.c import arithmetic
from lehr.prove.engine import kernels, tables
from lehr.prove.obligations import Obligation
from lehr.prove.subject import Subject, read_subject
from lehr.prove.verilog import neuron

SECONDS = 120.0
ARTEFACTS = {"onnx": onnx_graph.prove, "c": arithmetic.prove, "fpga": neuron.prove}


def network(k: int, rounding: Rounding, *, synapse: bool) -> Network:
    """Return eight neurons on twelve spikes with a decay of k/256."""
    draw = np.random.default_rng(k)
    fields = Arithmetic(decay_numerator=k, decay_shift=8, rounding=rounding, fraction_bits=3)
    before = Synapse(decay_numerator=k, decay_shift=8, rounding=rounding) if synapse else None
    thresholds = draw.integers(100, 3000, 8, np.int32)
    nodes = {
        "fc": Linear(draw.integers(-127, 128, (8, 12), np.int8), "int8"),
        "lif": Neuron(thresholds, np.zeros(8, np.int32), fields, before),
    }
    edges = ((INPUT, "fc"), ("fc", "lif"), ("lif", OUTPUT))
    return Network(nodes, edges, Input((12,), "spikes"), 20, "count_argmax_lowest")


def proofs(of: str, net: Network) -> Iterator[Obligation]:
    """Yield what is said of a network in an engine's kernels, or of its artefact."""
    if of in ARTEFACTS:
        with tempfile.TemporaryDirectory() as scratch:
            lehr.build(net, of, Path(scratch) / "out")
            yield from ARTEFACTS[of](read_subject(Path(scratch) / "out"), SECONDS)
    else:
        prove = tables.prove if of == "engine 2" else kernels.prove
        yield from prove(Subject(net), SECONDS)


def main(
    of: Annotated[
        list[str] | None, typer.Argument(help="engine, 'engine 2', onnx, c, fpga")
    ] = None,
    every: Annotated[int, typer.Option(help="of so many numerators ask about one")] = 1,
) -> None:
    """Print how many updates are proven, and those that are not."""
    for name in of or ["engine", "engine 2", "onnx"]:
        states, seconds = Counter[str](), 0.0
        for k in range(1, 256, every):
            for rounding in get_args(Rounding):
                net = network(k, rounding, synapse=name == "engine 2")
                for each in proofs(name, net):
                    states[each.state] += 1
                    seconds += each.seconds
                    if each.state != "proven":
                        typer.echo(f"  {k}/256 {rounding}: {each.state}: {each.reason}")
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        typer.echo(f"{name}: {counts} of {states.total()} in {seconds:.0f} s")


if __name__ == "__main__":
    typer.run(main)
