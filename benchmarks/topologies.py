"""Measure the fast engine on random topologies against that of another environment, in turns.

    python benchmarks/topologies.py --python OLD/bin/python [--count 24] [--rate 0.1] [--rate 0.25]
        [--case shd]    and on networks of `networks`
        [--channels 4]    convolutions on so many channels

Networks are drawn as those of the tests' strategies are (`tests/simulate/test_fast.py`): none or
one convolution, with or without pooling, of odd sizes, two linear layers, binary weights or wider
ones; each is seen by both engines as the same NIR file. Inputs and layers spike at the rate asked
for. Of each engine the least processor time of the rounds counts; above 1.00 the one that is here
is faster. What lost more than 5 % is listed at the end, and measured anew before that, for on a
machine that does other things a single round proves nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from networks import CASES, at_rate, inputs, network

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.weights import WeightKind

SAMPLES, STEPS, ROUNDS, SLOWER = 8, 60, 7, 0.95
HIGHEST: dict[WeightKind, int] = {"binary": 1, "ternary": 1, "int4": 7}
WORKER = """
import sys, time
import numpy as np
from lehr import nirfile
from lehr.simulate.fast.engine import Engine
for line in sys.stdin:
    path = line.strip()
    engine, x, least = Engine(nirfile.read(path + ".nir")), np.load(path + ".npy"), []
    engine.run(x)
    for _ in range(5):
        start, runs = time.process_time(), 0
        while time.process_time() - start < 0.004:
            engine.run(x)
            runs += 1
        least.append((time.process_time() - start) / runs)
    print(min(least), flush=True)
"""
"""Times the engine of the environment that runs it on the networks that it is told."""


def drawn(seed: int, channels: int | None = None) -> tuple[str, Network]:
    """Return a network of a random topology, and what it is; with channels, one of maps."""
    rng = np.random.default_rng(seed)
    kind = list(HIGHEST)[rng.integers(len(HIGHEST))]
    state = int(rng.choice((16, 20, 32)))
    arithmetic = Arithmetic(decay_numerator=7, decay_shift=3, state_bits=state)
    nodes: dict[str, Node] = {}
    spatial = bool(rng.integers(2)) or channels is not None
    start: tuple[int, ...] = (int(rng.integers(120, 301)),)
    if spatial:
        start = (channels or int(rng.integers(9, 18)), *rng.integers(5, 9, 2).tolist())
    shape: tuple[int, ...] = start

    def weights(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
        values = np.arange(-HIGHEST[kind], HIGHEST[kind] + 1)
        return rng.choice(values[values != 0] if kind == "binary" else values, shape).astype(
            np.int8
        )

    def add(name: str, node: Node) -> None:
        nonlocal shape
        nodes[name], shape = node, node.output_shape(shape)

    def fire(name: str) -> None:
        one = np.ones(shape[0], np.int32)
        add(name, Neuron(one << (state - 2), 0 * one, arithmetic))

    if spatial:
        size = rng.integers(3, 6, 2).tolist()
        out = int(rng.choice((7, 16, 24, 32, 45, 64, 70)))
        stride, padding = (1, int(rng.integers(1, 3))), tuple(rng.integers(1, 3, 2).tolist())
        add("conv", Conv2d(weights(out, shape[0], *size), stride, padding, kind=kind))
        if rng.integers(2) and min(shape[1:]) >= 2:
            add("pool", SumPool2d((2, 2), (int(rng.integers(1, 3)), 2)))
        fire("lif1")
        add("flat", Flatten())
    for name, features in (
        ("2", int(rng.choice((33, 40, 64, 130, 300, 512)))),
        ("3", int(rng.integers(3, 41))),
    ):
        add(f"fc{name}", Linear(weights(features, shape[0]), kind=kind))
        fire(f"lif{name}")
    order = [INPUT, *nodes, OUTPUT]
    edges = tuple(pairwise(order))
    outs = [node.weight.shape[0] for node in nodes.values() if isinstance(node, (Conv2d, Linear))]
    said = f"{kind} {'x'.join(map(str, start))} {' '.join(nodes)} of {outs}"
    return said, Network(nodes, edges, Input(start, "spikes"), STEPS)


def main(
    python: Annotated[Path, typer.Option(help="Of the environment to compare with.")],
    count: int = 24,
    rate: Annotated[list[float] | None, typer.Option(help="0.1 if left out.")] = None,
    case: Annotated[list[str] | None, typer.Option(help="Of networks that have names.")] = None,
    channels: Annotated[int | None, typer.Option(help="Of inputs; 9 to 17, or no maps.")] = None,
) -> None:
    """Time both engines on random topologies."""
    with tempfile.TemporaryDirectory() as folder:
        named: dict[str, tuple[str, int]] = {}
        for wanted in rate or [0.1]:
            for seed in range(count):
                said, net = drawn(seed, channels)
                shape = (SAMPLES, STEPS, *net.input.shape)
                x = (np.random.default_rng(seed).random(shape) < wanted).astype(np.uint8)
                path = _written(f"{folder}/{wanted}-{seed}", at_rate(net, x[:2], wanted), x)
                named[path] = f"{100 * wanted:3.0f} % {said}", len(x)
            for name in case or []:
                x = inputs(CASES[name], CASES[name].batch)
                net = at_rate(network(CASES[name]), x[:4], wanted)
                path = _written(f"{folder}/{wanted}-{name}", net, x)
                named[path] = f"{100 * wanted:3.0f} % {name}", len(x)
        workers = [
            subprocess.Popen(
                [each, "-c", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=folder,  # where no lehr lies that would be imported
            )
            for each in (str(python.absolute()), sys.executable)
        ]
        times = {path: _least(workers, path, 2) for path in named}
        for path in [path for path, (other, here) in times.items() if other < here]:
            times[path] = _least(workers, path, ROUNDS)
        for worker in workers:
            worker.communicate()
    for path, (other, here) in times.items():
        said, samples = named[path]
        micro = f"{1e6 * other / samples:10,.1f} {1e6 * here / samples:10,.1f} us a sample"
        typer.echo(f"{other / here:6.2f} {micro}  {said}")
    values = np.array([other / here for other, here in times.values()])
    slower = int((values < SLOWER).sum())
    typer.echo(
        f"{len(values)} topologies: least {values.min():.2f}, median {np.median(values):.2f}, "
        f"most {values.max():.2f}; {slower} slower by more than 5 %"
    )


def _written(path: str, net: Network, x: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> str:
    """Write a network and its inputs, and return where they are."""
    nirfile.write(net, Path(f"{path}.nir"))
    np.save(f"{path}.npy", x)
    return path


def _least(workers: list[subprocess.Popen[str]], path: str, rounds: int) -> tuple[float, float]:
    """Return the least seconds of the other engine and of the one here, of some rounds."""
    least = [np.inf, np.inf]
    for _ in range(rounds):
        for side, worker in enumerate(workers):
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write(path + "\n")
            worker.stdin.flush()
            least[side] = min(least[side], float(worker.stdout.readline()))
    return least[0], least[1]


if __name__ == "__main__":
    typer.run(main)
