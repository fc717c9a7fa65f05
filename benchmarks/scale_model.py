"""What more machines bring: a model of time and memory, checked by simulating each event of it.

    python benchmarks/scale_model.py                        # all tables, for 1, 10 and 100 machines
    python benchmarks/scale_model.py --gigabits 10 --trial 600

A closed form says how long a search, a large simulation and one large training take; beside it
stands the time that a simulation of events finds, in which trials, pieces and machines differ from
each other at random, and what it deviates. Times of one machine are measured here, or given; the
network between machines is assumed, and given by options.
"""

from __future__ import annotations

import heapq
import io
import math
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

import numpy as np
import typer

NODES = (1, 10, 100)
ROUNDS = 20
"""Simulations whose mean counts."""
PIECE = 512


@dataclass(frozen=True)
class Links:
    """The network between machines.

    Attributes:
        bandwidth: bytes a second into or out of a machine.
        latency: seconds until a message arrives.
    """

    bandwidth: float
    latency: float

    def send(self, size: float) -> float:
        """Return the seconds until so many bytes have arrived."""
        return self.latency + size / self.bandwidth


def varied(draw: random.Random, mean: float, spread: float) -> float:
    """Return a time around a mean, log-normal, whose deviation is `spread` of it."""
    sigma = math.sqrt(math.log(1 + spread**2))
    return mean * draw.lognormvariate(-(sigma**2) / 2, sigma)


# ---------------------------------------------------------------- search
@dataclass(frozen=True)
class Search:
    """Trials that know nothing of each other.

    Attributes:
        trials: how many.
        each: seconds of one.
        spread: deviation of that, as a share.
        start: seconds until a worker can begin, once.
        task: seconds of the coordinator for a trial.
    """

    trials: int
    each: float
    spread: float
    start: float
    task: float

    def model(self, nodes: int) -> float:
        """Return the seconds: all work shared out, and a last trial that some wait for.

        With as many machines as trials it is the longest trial.
        """
        if nodes >= self.trials:
            longest = self.each * (1 + self.spread * _greatest(self.trials))
            return self.start + self.task * (self.trials + 1) / 2 + longest
        work = max(self.each + self.task, nodes * self.task) * self.trials / nodes
        waits = self.each * (1 + self.spread**2) / 2 + self.each * self.spread
        return self.start + work + waits * (1 - 1 / nodes)

    def simulate(self, nodes: int, draw: random.Random) -> float:
        """Give each worker that is free the next trial; the coordinator has one hand."""
        free = [self.start] * nodes
        coordinator = 0.0
        heapq.heapify(free)
        end = 0.0
        for _ in range(self.trials):
            begins = max(heapq.heappop(free), coordinator)
            coordinator = begins + self.task
            done = coordinator + varied(draw, self.each, self.spread)
            end = max(end, done)
            heapq.heappush(free, done)
        return end


# ---------------------------------------------------------------- simulation
@dataclass(frozen=True)
class Pieces:
    """A test set in pieces of samples.

    Attributes:
        count: how many.
        each: seconds of one on a machine.
        read: seconds of the coordinator to read one, and to take its result in.
        sent: bytes of its inputs, and of its result.
        links: the network.
        start: seconds until a worker can begin, once.
    """

    count: int
    each: float
    read: float
    sent: float
    links: Links
    start: float

    @property
    def hand(self) -> float:
        """Seconds that the coordinator is busy with a piece."""
        return self.read + self.sent / self.links.bandwidth

    def model(self, nodes: int) -> float:
        """Return the seconds: the slower of the coordinator and the workers, and one piece."""
        if nodes == 1:
            return self.count * (self.read + self.each)
        way = self.hand + self.each + self.links.latency
        return self.start + max(self.count * self.hand, self.count * way / nodes) + way

    def simulate(self, nodes: int, draw: random.Random) -> float:
        """Hand pieces out one after another, each to the worker that is free first."""
        if nodes == 1:
            return sum(self.read + varied(draw, self.each, 0.05) for _ in range(self.count))
        free = [self.start] * nodes
        heapq.heapify(free)
        coordinator, end = self.start, 0.0
        for _ in range(self.count):
            coordinator = max(coordinator, heapq.heappop(free)) + self.hand
            done = coordinator + self.links.latency + varied(draw, self.each, 0.05)
            end = max(end, done)
            heapq.heappush(free, done)
        return end


# ---------------------------------------------------------------- training
@dataclass(frozen=True)
class Training:
    """Iterations in which all machines add their gradients in a ring.

    Attributes:
        iterations: how many.
        batch: samples of one, over all machines.
        sample: seconds of one, forward and backward.
        gradient: bytes of it.
        links: the network.
        spread: deviation of a machine's time, as a share.
    """

    iterations: int
    batch: int
    sample: float
    gradient: float
    links: Links
    spread: float = 0.05

    def ring(self, nodes: int) -> float:
        """Return the seconds of a sum over all machines: Patarasuk & Yuan 2009."""
        steps = 2 * (nodes - 1)
        return steps * self.links.send(self.gradient / nodes) if nodes > 1 else 0.0

    def model(self, nodes: int) -> float:
        """Return the seconds: the slowest machine of each iteration, and the ring."""
        own = math.ceil(self.batch / nodes) * self.sample
        slowest = 1 + self.spread * _greatest(nodes)
        return self.iterations * (own * slowest + self.ring(nodes))

    def simulate(self, nodes: int, draw: random.Random) -> float:
        """Wait in every iteration for the slowest machine, then send around."""
        own, some = math.ceil(self.batch / nodes) * self.sample, min(self.iterations, 200)
        seconds = sum(
            max(varied(draw, own, self.spread) for _ in range(nodes)) + self.ring(nodes)
            for _ in range(some)
        )
        return seconds * self.iterations / some


def _greatest(count: int) -> float:
    """Return how many deviations the greatest of normal numbers is above their mean: Blom 1958."""
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25)) if count > 1 else 0.0


# ---------------------------------------------------------------- measured here
def seconds_of(run: Callable[[], object]) -> float:
    """Return the least time of three calls, by the clock."""
    return min(_clock(run) for _ in range(3))


def _clock(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def measured_piece() -> tuple[float, float, int, int]:
    """Measure 512 samples of the network for Fashion-MNIST, on one thread.

    Returns:
        Seconds to run them, seconds to read them, their bytes, and steps of a sample.
    """
    from networks import CASES, inputs, network

    from lehr.simulate.fast.engine import Engine

    case = CASES["fashion-mnist"]
    net = network(case)
    x = inputs(case, PIECE)
    engine, file = Engine(net), io.BytesIO()
    engine.run(x)
    np.savez(file, x=x)

    def read() -> None:
        file.seek(0)
        with np.load(file) as arrays:
            arrays["x"]

    return seconds_of(lambda: engine.run(x)), seconds_of(read), x.nbytes, net.steps


def measured_sample() -> tuple[float, int]:
    """Return the seconds of a sample of VGG-11 in training, forward and backward, and its weights.

    It is the model of deep_networks.py in plain snnTorch, on the threads that torch takes.
    """
    import torch
    from deep_networks import STEPS, images, trained
    from snntorch import utils

    model, batch = trained("vgg11").train(), 8
    x = torch.from_numpy(images(batch, 1)).float() / 255

    def step() -> None:
        utils.reset(model)
        total = torch.stack([model(x) for _ in range(STEPS)]).sum()
        total.backward()  # type: ignore[no-untyped-call]

    return seconds_of(step) / batch, sum(p.numel() for p in model.parameters())


def started() -> float:
    """Return the seconds until a new process has imported what a worker needs."""
    words = [sys.executable, "-c", "import lehr.train.search.trial"]
    return seconds_of(lambda: subprocess.run(words, check=True))


# ---------------------------------------------------------------- tables
Timed = Search | Pieces | Training


def table(title: str, timed: Timed, limits: Callable[[int], str]) -> None:
    """Print what machines bring."""
    typer.echo(f"\n{title}\n")
    typer.echo(
        "| machines | model | simulated | deviation | faster than one | of that share | limit |"
    )
    typer.echo("| --- | --- | --- | --- | --- | --- | --- |")
    for nodes in NODES:
        draw = random.Random(nodes)  # noqa: S311 - times, no secrets
        model = timed.model(nodes)
        simulated = sum(timed.simulate(nodes, draw) for _ in range(ROUNDS)) / ROUNDS
        gain = timed.model(1) / model
        deviation = f"{100 * (model / simulated - 1):+.1f} %"
        times = f"{_time(model)} | {_time(simulated)} | {deviation}"
        share = f"{gain:.1f} | {100 * gain / nodes:.0f} %"
        typer.echo(f"| {nodes} | {times} | {share} | {limits(nodes)} |")


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def main(
    gigabits: Annotated[float, typer.Option(help="Between machines, a second.")] = 1.0,
    latency: Annotated[float, typer.Option(help="Of a message, seconds.")] = 2e-4,
    trial: Annotated[float, typer.Option(help="Seconds of a trial of a search.")] = 180.0,
    task: Annotated[float, typer.Option(help="Of the coordinator for a trial.")] = 0.05,
) -> None:
    """Measure one machine, and print the tables."""
    links = Links(gigabits * 1e9 / 8, latency)
    start = started()
    piece, read, size, steps = measured_piece()
    sample, weights = measured_sample()
    typer.echo(
        f"One machine, measured: {start:.2f} s to start a worker; {PIECE} samples of {steps} steps "
        f"in {piece:.3f} s, read in {read:.4f} s ({size:,} bytes); a sample of VGG-11 in training "
        f"{sample:.3f} s, {weights:,} weights. Assumed: {gigabits:g} Gbit/s, "
        f"{1e6 * latency:.0f} us."
    )
    search = Search(200, trial, 0.3, start, task)
    table(
        f"A search of {search.trials} trials of {trial:g} s, which differ by 30 %",
        search,
        lambda nodes: "the last trials" if nodes > 1 else "",
    )
    count = math.ceil(1e9 / steps / PIECE)
    pieces = Pieces(count, piece, read, size, links, start)
    table(
        f"10^9 sample-steps, {count:,} pieces",
        pieces,
        lambda nodes: (
            "the coordinator's link"
            if count * pieces.hand > count * piece / nodes
            else "the workers"
        ),
    )
    most = (piece + pieces.hand) / pieces.hand
    typer.echo(f"\nFrom {most:.0f} machines on the coordinator cannot feed more.")
    training = Training(30 * 50_000 // 128, 128, sample, 4.0 * weights, links)
    table(
        "VGG-11, 30 epochs of 50,000 images, 128 in a batch",
        training,
        lambda nodes: (
            "the sum of gradients"
            if training.ring(nodes) > math.ceil(128 / nodes) * sample
            else "a machine's samples"
        ),
    )
    typer.echo("\n| machines | MiB of weights, gradient and Adam | samples on each |")
    typer.echo("| --- | --- | --- |")
    for nodes in NODES:
        typer.echo(f"| {nodes} | {16 * weights / 2**20:,.0f} | {math.ceil(128 / nodes)} |")


if __name__ == "__main__":
    typer.run(main)
