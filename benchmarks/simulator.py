"""The fast engine against loops over snnTorch, the training twin and the reference, interleaved in one run.

    python benchmarks/simulator.py [NETWORK ...] [--rate 0.1] [--threads 1] [--repeats 3] [--only fast]
    python benchmarks/simulator.py --linear fashion-mnist
    python benchmarks/simulator.py --start
    python benchmarks/simulator.py --test-set

Random weights and inputs; thresholds are set so that every layer spikes at the rate asked for. Times are of the processor, of all threads
together, per sample; of each side the least of the repeats counts. `plain` is the loop as such networks are usually written: every layer
is called once a step and binarizes its weights there. `tidy` has them binarized once. Both compute in floats without rounding.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import snntorch
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Conv2d, Flatten, Input, Linear, Network, Neuron, SumPool2d
from lehr.nodes import Node
from lehr.simulate import compare, simulate
from lehr.simulate.fast.engine import Engine
from lehr.simulate.statistics import operations
from lehr.train.twin import Twin

Images = npt.NDArray[np.uint8]
SLOW = {"plain": 0.25, "reference": 0.25}
"""Sides that are timed on a part of the batch, since they take the same time for every sample."""


@dataclass(frozen=True)
class Case:
    """A network: channels of its convolutions, features of its linear layers, and its input."""

    input: Input
    convolutions: tuple[int, ...]
    linear: tuple[int, ...]
    steps: int
    beta: tuple[int, int]
    batch: int
    density: float

    @property
    def held(self) -> bool:
        """Whether an input is the same in all steps."""
        return self.input.kind == "u8"


CASES = {
    "fashion-mnist": Case(Input((1, 28, 28), "u8"), (16, 64), (10,), 100, (7, 3), 64, 1.0),
    "shd": Case(Input((700,), "spikes"), (), (3000, 20), 333, (243, 8), 16, 0.05),
    "dvs-gesture": Case(Input((2, 32, 32), "spikes"), (16, 32), (11,), 360, (15, 4), 8, 0.05),
}


def network(case: Case) -> Network:
    """The network, with thresholds that nothing reaches."""
    rng, nodes, order, shape = np.random.default_rng(0), dict[str, Node](), [INPUT], case.input.shape
    how = Arithmetic(decay_numerator=case.beta[0], decay_shift=case.beta[1], state_bits=24)

    def add(name: str, node: Node) -> None:
        nonlocal shape
        nodes[name], shape = node, node.output_shape(shape)
        order.append(name)

    def signs(*size: int) -> npt.NDArray[np.int8]:
        return rng.choice(np.array([-1, 1], np.int8), size)

    for index, channels in enumerate(case.convolutions):
        add(f"conv{index}", Conv2d(signs(channels, shape[0], 5, 5)))
        add(f"pool{index}", SumPool2d((2, 2), (2, 2)))
        add(f"lif{index}", Neuron(np.full(channels, 2**23, np.int32), np.zeros(channels, np.int32), how))
    if case.convolutions:
        add("flat", Flatten())
    for index, features in enumerate(case.linear, len(case.convolutions)):
        add(f"fc{index}", Linear(signs(features, shape[0])))
        add(f"lif{index}", Neuron(np.full(features, 2**23, np.int32), np.zeros(features, np.int32), how))
    return Network(nodes, tuple(zip(order, [*order[1:], OUTPUT], strict=True)), case.input, case.steps)


def at_rate(net: Network, x: Images, rate: float) -> Network:
    """The network with a threshold in each layer at which it spikes at a rate, found by halving."""
    for name, neuron in net.neurons.items():
        low, high = 1, 2**20
        while high - low > 1:
            middle = (low + high) // 2
            tried = replace(neuron, threshold=np.full_like(neuron.threshold, middle))
            made = replace(net, nodes={**net.nodes, name: tried})
            low, high = (middle, high) if Engine(made).run(x).rates[name] > rate else (low, middle)
        net = replace(net, nodes={**net.nodes, name: replace(neuron, threshold=np.full_like(neuron.threshold, high))})
    return net


def inputs(case: Case, samples: int, density: float | None = None) -> Images:
    """Random pixels, or random spikes."""
    rng = np.random.default_rng(1)
    if case.held:
        return rng.integers(0, 256, (samples, *case.input.shape), np.uint8, endpoint=False)
    return (rng.random((samples, case.steps, *case.input.shape)) < (density or case.density)).astype(np.uint8)


# -------------------------------------------------------------------- the other sides
def loop(net: Network, binarize: bool) -> Callable[[Images], Tensor]:
    """A loop over time that calls snnTorch's neurons; `binarize` at every step, or once."""
    parts: list[Any] = []
    for name in net.order:
        node = net.nodes[name]
        match node:
            case Conv2d() | Linear():
                parts.append((node, nn.Parameter(torch.from_numpy(node.weight.astype(np.float32) * 0.3), requires_grad=False)))
            case Neuron():
                parts.append(snntorch.Leaky(beta=node.arithmetic.beta, threshold=float(node.threshold[0])))
            case _:
                parts.append(node)
    once = {id(part): torch.where(part[1] >= 0, 1.0, -1.0) for part in parts if isinstance(part, tuple)}

    def forward(x: Images) -> Tensor:
        held, data = x.ndim == len(net.input.shape) + 1, torch.from_numpy(x).float()
        membranes = {id(part): part.reset_mem() for part in parts if isinstance(part, snntorch.Leaky)}
        spikes = []
        for t in range(net.steps):
            s = data if held else data[:, t]
            for part in parts:
                if isinstance(part, snntorch.Leaky):
                    s, membranes[id(part)] = part(s, membranes[id(part)])
                elif isinstance(part, tuple):
                    weight = torch.where(part[1] >= 0, 1.0, -1.0) if binarize else once[id(part)]
                    s = functional.conv2d(s, weight) if isinstance(part[0], Conv2d) else functional.linear(s, weight)
                elif isinstance(part, SumPool2d):
                    s = functional.avg_pool2d(s, part.kernel, part.stride, divisor_override=1)
                else:
                    s = s.flatten(1)
            spikes.append(s)
        return torch.stack(spikes)

    return forward


def sides(net: Network, threads: int, only: list[str]) -> dict[str, Callable[[Images], object]]:
    """Everything that is timed, by name."""
    twin, fast = Twin(net), Engine(net, threads)
    found: dict[str, Callable[[Images], object]] = {
        "plain": loop(net, binarize=True),
        "tidy": loop(net, binarize=False),
        "twin": lambda x: twin(torch.from_numpy(x).float()),
        "reference": lambda x: simulate(net, x),
        "fast": fast.run,
    }
    return {name: side for name, side in found.items() if not only or name in only}


def timed(run: Callable[[Images], object], x: Images) -> float:
    """Microseconds of processor time per sample."""
    start = time.process_time()
    run(x)
    return (time.process_time() - start) / len(x) * 1e6


# -------------------------------------------------------------------- tables
def ratios(name: str, rate: float, threads: int, repeats: int, only: list[str]) -> None:
    """Time all sides of one network and print their ratios to the fast engine."""
    case = CASES[name]
    x = inputs(case, case.batch)
    net = at_rate(network(case), x[:4], rate)
    few = x[:2]
    compare(simulate(net, few, trace=net.neurons).trace, Engine(net, threads).run(few, trace=net.neurons).trace).require_equal(name)
    best = dict.fromkeys(sides(net, threads, only), float("inf"))
    running = sides(net, threads, only)
    with torch.inference_mode():
        for _ in range(repeats):
            for side, run in running.items():
                part = x[: max(1, int(len(x) * SLOW.get(side, 1)))]
                best[side] = min(best[side], timed(run, part))
    result = Engine(net, threads).run(x)
    counted = operations(net, result).values()
    events = sum(each.events for each in counted) / len(x)
    dense = sum(each.dense for each in counted) / len(x)
    rates = " ".join(f"{100 * layer.rate:.1f}" for layer in result.layers.values())
    typer.echo(f"{name}, batch {len(x)}, {net.steps} steps, {rates} % spikes, {threads} thread(s)")
    for side, micro in best.items():
        typer.echo(f"  {side:10} {micro:12,.0f} us a sample {micro / best.get('fast', micro):10,.1f}")
    if "fast" in best:
        typer.echo(
            f"  {events:,.0f} synaptic events of {dense:,.0f} a sample: {1e3 * best['fast'] / events:.3f} ns an event,"
            f" {dense / best['fast'] / 1e3:.1f} dense operations a ns"
        )


def linear(name: str, repeats: int) -> None:
    """What the fast engine takes as spikes become more."""
    case = CASES[name]
    for rate in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5):
        x = inputs(case, case.batch, rate)
        net = at_rate(network(case), x[:4], rate)
        engine = Engine(net)
        micro = min(timed(engine.run, x) for _ in range(repeats))
        result = engine.run(x)
        events = sum(each.events for each in operations(net, result).values()) / len(x)
        spikes = sum(int(layer.spikes.sum()) for layer in result.layers.values()) / len(x)
        typer.echo(f"{name} {100 * rate:4.0f} %: {spikes:10,.0f} spikes, {events:12,.0f} synaptic events, {micro:8,.0f} us a sample")


def start(name: str = "fashion-mnist") -> None:
    """How long a process takes to its first result, with an empty cache and with a full one."""
    script = (
        "import time; t = time.perf_counter(); c = time.process_time()\nimport sys, json; sys.path.insert(0, 'benchmarks')\n"
        "import numpy as np\nfrom lehr import nirfile\nfrom pathlib import Path\nfrom lehr.simulate.fast.engine import Engine\n"
        "x = np.load(sys.argv[2])['input']; net = nirfile.read(Path(sys.argv[1])); Engine(net).run(x)\n"
        "print(json.dumps([time.perf_counter() - t, time.process_time() - c]))"
    )
    from pathlib import Path

    from lehr import nirfile

    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        x = inputs(case, 16)
        nirfile.write(at_rate(network(case), x[:4], 0.1), Path(folder) / "m.nir")
        np.savez(Path(folder) / "x.npz", input=x)
        for which in ("empty cache", "warm cache", "warm cache"):
            told = subprocess.run(
                [sys.executable, "-c", script, f"{folder}/m.nir", f"{folder}/x.npz"],
                env={**os.environ, "NUMBA_CACHE_DIR": f"{folder}/cache"},
                capture_output=True,
                text=True,
                check=True,
            )
            clock, processor = json.loads(told.stdout)
            typer.echo(f"{name}, 16 samples, {which}: {clock:.2f} s by the clock, {processor:.2f} s of the processor")


def test_set(threads: int, repeats: int) -> None:
    """10,000 images of 100 steps."""
    case = CASES["fashion-mnist"]
    x = inputs(case, 10_000)
    engine = Engine(at_rate(network(case), x[:4], 0.1), threads)
    best = (float("inf"), float("inf"))
    for _ in range(repeats):
        clock, processor = time.perf_counter(), time.process_time()
        engine.run(x)
        best = min(best, (time.perf_counter() - clock, time.process_time() - processor))
    typer.echo(f"10,000 images x 100 steps, {threads} thread(s): {best[0]:.2f} s by the clock, {best[1]:.2f} s of the processor")


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="NETWORK")] = None,
    rate: float = 0.1,
    threads: int = 1,
    repeats: int = 3,
    only: Annotated[list[str] | None, typer.Option(help="Time these sides alone.")] = None,
    spikes: Annotated[bool, typer.Option("--linear", help="The fast engine from 1 to 50 % spikes.")] = False,
    starting: Annotated[bool, typer.Option("--start", help="Cold and warm start.")] = False,
    whole: Annotated[bool, typer.Option("--test-set", help="10,000 images.")] = False,
) -> None:
    """Print the tables."""
    torch.set_num_threads(threads)
    if starting:
        start()
    elif whole:
        test_set(threads, repeats)
    else:
        for name in names or list(CASES):
            if spikes:
                linear(name, repeats)
            else:
                ratios(name, rate, threads, repeats, only or [])


if __name__ == "__main__":
    typer.run(main)
