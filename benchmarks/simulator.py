"""Measure the fast engine against loops over snnTorch, the training twin and the reference.

They are interleaved in one run.

    python benchmarks/simulator.py ratios [NETWORK ...] [--rate 0.1] [--threads 1] [--only fast]
        [--trained RUN|MODEL.nir=IN.npz]    on trained networks, and on the random ones that are
        named; `lehr recipes samples` writes IN.npz
    python benchmarks/simulator.py linear [NETWORK ...]
        the fast engine from 1 to 50 % spikes
    python benchmarks/simulator.py roofline [NETWORK ...]
        cycles per synaptic event, and what bounds them
    python benchmarks/simulator.py shares [NETWORK ...]
        which operation takes which share of the time
    python benchmarks/simulator.py memory [NETWORK ...]
    python benchmarks/simulator.py test-set [--threads 2]
        10,000 images of 100 steps

Random weights and inputs but for `trained`; thresholds are set so that every layer spikes at the
rate asked for. Of each side the least time of the repeats counts, of the processor, of all threads
together, and by the clock. `plain` is the loop as such networks are usually written: every layer is
called once a step and binarizes its weights there. `tidy` has them binarized once. Both compute in
floats without rounding. `twin` is the training twin, `reference` and `fast` are engines of `lehr
simulate`. `sinabs`, `norse` and `spikingjelly` are timed where they are installed, see `peers`: in
floats, for speed alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from measuring import forget_peak, gigahertz, interleaved, peak_so_far, spent
from networks import CASES, Case, Images, at_rate, inputs, network, sides
from peers import peers
from roofline import bounds

from lehr import nirfile
from lehr.export.checkpoint import load_run
from lehr.network import Network
from lehr.samples import read_samples
from lehr.simulate import Result, compare, simulate
from lehr.simulate.fast import calls
from lehr.simulate.fast.engine import Engine
from lehr.simulate.result import check_input

SLOW = {"plain": 4, "reference": 8, "sinabs": 4, "norse": 4, "spikingjelly": 4}
"""Sides that are timed on a part of the batch, since they take the same time for every sample."""
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NETWORK", help=f"Of {', '.join(CASES)}; all if left out."),
]
Threads = Annotated[
    list[int] | None,
    typer.Option("--threads", help="1 if left out; may be given several times, as --rate."),
]
Rates = Annotated[list[float] | None, typer.Option("--rate", help="0.1 if left out.")]
Trained = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL=IN.npz", help="Time a trained network, a run or NIR, on its data."),
]
Only = Annotated[list[str] | None, typer.Option("--only", help="Time these sides alone.")]
app = typer.Typer(pretty_exceptions_enable=False)


def prepared(case: Case, rate: float, density: float | None = None) -> tuple[Network, Images]:
    """Return a network that spikes at a rate, and a batch."""
    x = inputs(case, case.batch, density)
    return at_rate(network(case), x[:4], rate), x


def described(result: Result) -> str:
    """Return the rates of all layers."""
    return " ".join(f"{100 * layer.rate:.1f}" for layer in result.layers.values()) + " % spikes"


def print_ratios(
    title: str, net: Network, x: Images, threads: int, repeats: int, only: list[str] | None
) -> None:
    """Time all sides and print their ratios to the fast engine."""
    torch.set_num_threads(threads)
    few, fast = x[:2], Engine(net, threads)
    compare(
        simulate(net, few, trace=net.neurons).trace, fast.run(few, trace=net.neurons).trace
    ).require_equal(title)
    parts = {name: x[: max(1, len(x) // SLOW.get(name, 1))] for name in sides(net)}
    running = {
        name: partial(run, parts[name])
        for name, run in sides(net, threads).items()
        if not only or name in only
    }
    with torch.inference_mode():
        spent = interleaved(running, repeats)
    typer.echo(
        f"{title}, batch {len(x)}, {net.steps} steps, {described(fast.run(x))}, {threads} thread(s)"
    )
    each = {
        name: [1e6 * seconds / len(parts[name]) for seconds in times]
        for name, times in spent.items()
    }
    for name, (processor, clock) in each.items():
        ratios = [
            f"{value / least:8.1f}"
            for value, least in zip(
                (processor, clock), each.get("fast", (processor, clock)), strict=True
            )
        ]
        typer.echo(
            f"  {name:13}{processor:12,.0f} us of the processor{ratios[0]}{clock:12,.0f} us by the "
            f"clock{ratios[1]}"
        )
    for name, run in peers(net).items():
        if isinstance(run, str) and (not only or name in only):
            typer.echo(f"  {name}: {run}")


@app.command()
def ratios(
    names: Names = None,
    rate: Rates = None,
    threads: Threads = None,
    repeats: int = 3,
    only: Only = None,
    trained: Trained = None,
    batch: int = 64,
) -> None:
    """Measure all sides, on random networks and on trained ones, or on these alone."""
    random = names or ([] if trained else CASES)
    for count, name, wanted in product(threads or [1], random, rate or [0.1]):
        print_ratios(name, *prepared(CASES[name], wanted), count, repeats, only)
    for count, each in product(threads or [1], trained or []):
        model, _, samples = each.rpartition("=")
        path = Path(model)
        net = load_run(path).network if path.is_dir() else nirfile.read(path)
        x = read_samples(Path(samples))[0][:batch]
        print_ratios(f"trained {Path(*path.parts[-2:])}", net, x, count, repeats, only)


@app.command()
def linear(names: Names = None, repeats: int = 5) -> None:
    """Measure what the fast engine takes as spikes become more."""
    for name in names or CASES:
        prepared_at = {rate: prepared(CASES[name], rate, rate) for rate in RATES}
        engines = {rate: (Engine(net), x) for rate, (net, x) in prepared_at.items()}
        spent = interleaved(
            {str(rate): partial(engine.run, x) for rate, (engine, x) in engines.items()}, repeats
        )
        for rate, (engine, x) in engines.items():
            spikes = sum(int(layer.spikes.sum()) for layer in engine.run(x).layers.values()) / len(
                x
            )
            micro = 1e6 * spent[str(rate)].processor / len(x)
            typer.echo(
                f"{name}{100 * rate:6.0f} %{spikes:12,.0f} spikes a sample{micro:12,.0f} us of the "
                "processor"
            )


@app.command()
def roofline(names: Names = None, rate: float = 0.1, repeats: int = 5) -> None:
    """Measure cycles per synaptic event beside those of programs that do only the necessary."""
    for name in names or CASES:
        net, x = prepared(CASES[name], rate)
        engine = Engine(net)
        seconds = interleaved({"fast": partial(engine.run, x)}, repeats)["fast"].processor
        clock = gigahertz()
        typer.echo(f"{name}, {described(engine.run(x))}, a core of {clock:.2f} GHz")
        for line in bounds(net, engine.run(x), seconds * clock * 1e9, len(x)):
            typer.echo(f"  {line}")


@app.command()
def shares(names: Names = None, rate: Rates = None, repeats: int = 5) -> None:
    """Measure which operation takes which share."""
    for name, wanted in product(names or CASES, rate or [0.1]):
        net, x = prepared(CASES[name], wanted)
        engine, took = Engine(net), Counter[str]()
        plan = engine.plan_for(*check_input(net, x))
        _watch((*plan.before, *(op for stage in plan.stages for op in stage.ops)), took)
        rates = described(engine.run(x))
        took.clear()
        whole = sum(spent(partial(engine.run, x)).processor for _ in range(repeats))
        typer.echo(f"{name}, {rates}: {1e6 * whole / repeats / len(x):,.0f} us a sample")
        for operation, seconds in [*took.most_common(), ("outside kernels", whole - took.total())]:
            typer.echo(f"  {operation:24}{100 * seconds / whole:6.1f} %")


def _watch(ops: Iterable[Any], took: Counter[str]) -> None:
    """Add what kernels take to `took`, by operation, or by kernel where none asks for it."""
    names: dict[Any, str] = {}

    def noted(op: Any, make: Callable[..., Any], *arguments: Any) -> Any:
        work = make(*arguments)
        name = f"{type(op).__name__} {getattr(op, 'name', None) or op.into.name}"
        names.update(dict.fromkeys(work.calls, name))
        return work

    def watched(chain: calls.Chain) -> None:
        for call in chain.calls:
            start = time.process_time()
            call()
            took[names.get(call, call.code.name)] += time.process_time() - start

    for op in ops:
        op.work = partial(noted, op, op.work)
    calls.Chain.__call__ = watched  # type: ignore[method-assign]


@app.command()
def memory(
    names: Names = None, only: Only = None, peak: Annotated[bool, typer.Option(hidden=True)] = False
) -> None:
    """Measure what a run of a batch takes.

    It runs in a process of its own in which one sample has run before.
    """
    if peak and names and only:
        case = CASES[names[0]]
        net, x = network(case), inputs(case, case.batch)
        run = sides(net)[only[0]]
        with torch.inference_mode():
            run(x[:1])
            forget_peak()
            before = peak_so_far()
            run(x)
        typer.echo(peak_so_far() - before)
        return
    asked = list(product(names or CASES, only or ("plain", "tidy", "twin", "reference", "fast")))
    with ThreadPoolExecutor(2) as pool:  # what a process takes does not depend on the one beside it
        for (name, side), taken in zip(asked, pool.map(_peak, asked), strict=True):
            typer.echo(f"{name}, batch {CASES[name].batch}: {side:10}{taken:10,.0f} MiB")


def _peak(asked: tuple[str, str]) -> float:
    name, side = asked
    command = [sys.executable, __file__, "memory", name, "--peak", "--only", side]
    # What is freed goes back to the system at once, or it would depend on what was there before how
    # much a run seems to take.
    settings = {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    return float(
        subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | settings
        ).stdout
    )


@app.command("test-set")
def whole_set(threads: int = 2, repeats: int = 3) -> None:
    """Measure 10,000 images of 100 steps."""
    case = CASES["fashion-mnist"]
    x = inputs(case, 10_000)
    engine = Engine(at_rate(network(case), x[:4], 0.1), threads)
    spent = interleaved({"fast": partial(engine.run, x)}, repeats)["fast"]
    times = f"{spent.clock:.2f} s by the clock, {spent.processor:.2f} s of the processor"
    typer.echo(f"10,000 images x 100 steps, {threads} thread(s): {times}")


if __name__ == "__main__":
    app()
