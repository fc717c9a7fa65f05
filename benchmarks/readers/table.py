"""Readings of lehr's files by other readers of NIR: the table of docs/interchange.md.

    python benchmarks/readers/table.py
    python benchmarks/readers/table.py --python norse=ENV/bin/python --python sinabs=ENV/bin/python

nirtorch and snnTorch are lehr's own dependencies; the others need interpreters of their own that
have them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import nir
import numpy as np
import typer

from lehr import nirfile
from lehr.arithmetic import Arithmetic, Synapse
from lehr.errors import NotMappable
from lehr.export.readers import for_reader
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    SumPool2d,
)
from lehr.nodes import Node, Shape
from lehr.simulate import simulate

READER = Path(__file__).with_name("reader.py")
OWN = ("nirtorch", "snntorch")
WRITTEN_FOR = {"nirtorch": "nir", "sc-neurocore-rtl": "sc-neurocore"}
"""What `lehr export --for` is told where that is not the reader's name."""
WRITTEN = 2
"""The column of files that are written so."""
SAMPLES, STEPS = 10, 30
# as lehr trains: subtract, in the next step
TRAINED = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=14)
PLAIN = Arithmetic(
    decay_numerator=7, decay_shift=3, fraction_bits=14, reset="zero", reset_timing="same_step"
)
COUNTING = Arithmetic(reset="zero", reset_timing="same_step")
SUBTRACTING = Arithmetic(reset_timing="same_step", fires="ge")
IDLE = Arithmetic(decay_numerator=7, decay_shift=3, fraction_bits=14, fires="never", reset="none")
UNIT = 2**14
SYNAPSE = Synapse(decay_numerator=3, decay_shift=2)
RNG = np.random.default_rng(0)


def signs(*shape: int, positive: float = 0.5) -> Any:
    """Random weights of -1 and +1, a share of them positive."""
    return RNG.choice(np.array([-1, 1], np.int8), shape, p=[1 - positive, positive])


def neuron(
    channels: int, threshold: float, arithmetic: Arithmetic, synapse: Synapse | None = None
) -> Neuron:
    """Neurons of one threshold, in weights, without bias: what every reader could take."""
    theta = 0 if arithmetic.fires == "never" else round(threshold * 2**arithmetic.fraction_bits)
    return Neuron(
        np.full(channels, theta, np.int32), np.zeros(channels, np.int32), arithmetic, synapse
    )


def chain(
    shape: Shape, *nodes: tuple[str, Node], edges: tuple[tuple[str, str], ...] = ()
) -> Network:
    """Nodes one after another."""
    last = nodes[-1][1]
    never = isinstance(last, Neuron) and last.integrates
    path = pairwise([INPUT, *(name for name, _ in nodes if name != "recurrent"), OUTPUT])
    return Network(
        dict(nodes),
        (*path, *edges),
        Input(shape, "spikes"),
        STEPS,
        "membrane_last_argmax_lowest" if never else "count_argmax_lowest",
    )


def networks() -> dict[str, Network]:
    """Return the networks, by what is special about each."""

    def convolutional(arithmetic: Arithmetic) -> Network:
        layers = (
            ("conv", Conv2d(signs(4, 1, 3, 3), padding=(1, 1))),
            ("lif", neuron(4, 1.5, arithmetic)),
            ("pool", SumPool2d((2, 2), (2, 2))),
        )
        return chain(
            (1, 8, 8),
            *layers,
            ("flat", Flatten()),
            ("fc", Linear(signs(5, 64))),
            ("out", neuron(5, 4, arithmetic)),
        )

    def hidden(
        arithmetic: Arithmetic, synapse: Synapse | None = None
    ) -> tuple[tuple[str, Node], ...]:
        return (
            ("fc1", Linear(signs(16, 20))),
            ("hidden", neuron(16, 3 if synapse is None else 8, arithmetic, synapse)),
            ("fc2", Linear(signs(5, 16))),
        )

    def subtracting(
        shape: Shape, first: Any, second: Any, weights: Node, *pool: tuple[str, Node]
    ) -> Network:
        """Return neurons that provably fire once in a step.

        What comes in a step is at most their threshold.
        """
        hidden, out = (
            neuron(
                len(each), int((each > 0).sum(axis=tuple(range(1, each.ndim))).max()), SUBTRACTING
            )
            for each in (first, second)
        )
        return chain(
            shape,
            ("weights", weights),
            ("hidden", hidden),
            *pool,
            ("fc", Linear(second)),
            ("out", out),
        )

    rows, kernels = signs(16, 20, positive=0.7), signs(4, 1, 3, 3, positive=0.7)
    pooled = (("pool", SumPool2d((2, 2), (2, 2))), ("flat", Flatten()))

    loop = (("hidden", "recurrent"), ("recurrent", "hidden"))
    return {
        "linear, IF": chain((20,), *hidden(COUNTING), ("out", neuron(5, 2, COUNTING))),
        "linear, IF that subtracts at once": subtracting(
            (20,), rows, signs(5, 16, positive=0.7), Linear(rows)
        ),
        "convolution, sum pooling, IF that subtracts at once": subtracting(
            (1, 8, 8), kernels, signs(5, 64, positive=0.7), Conv2d(kernels, padding=(1, 1)), *pooled
        ),
        "linear, LIF": chain((20,), *hidden(PLAIN), ("out", neuron(5, 2, PLAIN))),
        "linear, LIF, as lehr trains": chain(
            (20,), *hidden(TRAINED), ("out", neuron(5, 2, TRAINED))
        ),
        "convolution, sum pooling, LIF": convolutional(PLAIN),
        "recurrent LIF": chain(
            (20,),
            *hidden(PLAIN),
            ("recurrent", Linear(signs(16, 16))),
            ("out", neuron(5, 2, PLAIN)),
            edges=loop,
        ),
        "CubaLIF": chain((20,), *hidden(PLAIN, SYNAPSE), ("out", neuron(5, 8, PLAIN, SYNAPSE))),
        "linear, IF behind a delay": chain(
            (20,), ("wait", Delay(3)), *hidden(COUNTING), ("out", neuron(5, 2, COUNTING))
        ),
        "LIF, LI as readout": chain((20,), *hidden(PLAIN), ("out", neuron(5, 0, IDLE))),
    }


class Reasons:
    """Reasons why files are refused, each once, by number."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        """Return the number of a reason."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def cell(net: Network, expected: Any, answer: dict[str, Any], reasons: Reasons) -> str:
    """Return what a reader made of a network, against what lehr's simulator makes of it."""
    if "unwritten" in answer:
        return f"not written ({reasons.number(answer['unwritten'])})"
    if "refused" in answer:
        return f"refused ({reasons.number(answer['refused'])})"
    got = np.array(answer["values"])
    if got.shape != expected.shape:
        return f"{got.shape[-1]} outputs, not {expected.shape[-1]}"
    if net.neurons[net.output].integrates:
        return (
            f"up to {np.abs(got / answer.get('unit', 1) - expected / UNIT).max():.1g} weights off"
        )
    wrong = int((got != expected).sum())
    return f"{wrong:,} of {expected.size:,}" + (
        f"; {int(got.sum()):,} spikes for {int(expected.sum()):,}" if wrong else ""
    )


def write(net: Network, reader: str, path: Path) -> str:
    """Write a network for a reader; what the reader does not have of it, if it cannot be."""
    title = WRITTEN_FOR.get(reader, reader)
    try:
        path.write_bytes(for_reader(net, title).to_bytes())
    except NotMappable as error:
        return str(error).removeprefix(f"{title} ").partition("; write")[0]
    return ""


def ask(path: str, reader: str, folder: Path) -> dict[str, Any]:
    """Return what a reader makes of all files in a folder."""
    ran = subprocess.run(
        [path, READER, reader, folder], check=False, capture_output=True, text=True
    )
    if ran.returncode:
        raise typer.BadParameter(f"{reader}: {ran.stderr.strip().splitlines()[-1]}")
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def main(
    python: Annotated[
        list[str] | None,
        typer.Option(metavar="READER=PATH", help="An interpreter that has a reader."),
    ] = None,
) -> None:
    """Print the tables."""
    interpreters = {
        **dict.fromkeys(OWN, sys.executable),
        **dict(each.split("=", 1) for each in python or ()),
    }
    nets, expected, unwritten = networks(), {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, (name, net) in enumerate(nets.items()):
            x = (RNG.random((SAMPLES, STEPS, *net.input.shape)) < 0.3).astype(np.uint8)
            result = simulate(net, x, trace=net.neurons)
            assert all(
                0 < rate < 1
                for layer, rate in result.rates.items()
                if not net.neurons[layer].integrates
            ), result.rates
            trace = (
                result.trace.membranes
                if net.neurons[net.output].integrates
                else result.trace.spikes
            )
            expected[name] = trace[net.output].astype(np.float64)
            nirfile.write(net, folder / f"{number}.nir")
            np.savez(folder / f"{number}.npz", input=x)
            for reader in interpreters:
                unwritten[name, reader] = write(net, reader, folder / f"{number}.{reader}.nir")
        same = sum(
            nirfile.from_nir(nir.read(folder / f"{number}.nir")) == net
            for number, net in enumerate(nets.values())
        )
        typer.echo(
            f"nir {nir.__version__} reads all {len(nets)}; {same} of the graphs, handed back to "
            "lehr, are the networks that were written."
        )
        answers = {reader: ask(path, reader, folder) for reader, path in interpreters.items()}
    typer.echo(
        "; ".join(
            ", ".join(f"{name} {version}" for name, version in answer["versions"].items())
            for answer in answers.values()
        )
    )
    reasons = Reasons()
    for column, title in enumerate(
        ("the file as it is", "its graph in the reader's units", "the file of `--for` the reader")
    ):
        typer.echo(f"\n| {' | '.join([title, *answers])} |\n{'| --- ' * (len(answers) + 1)}|")
        for number, (name, net) in enumerate(nets.items()):
            cells = []
            for reader, answer in answers.items():
                of_file = answer["files"][str(number)]
                this = (
                    of_file[column]
                    if column < len(of_file)
                    else {"unwritten": unwritten[name, reader]}
                )
                cells.append(
                    cell(
                        net,
                        expected[name],
                        {**this, "unit": UNIT if column < WRITTEN else 1},
                        reasons,
                    )
                )
            typer.echo(f"| {name} | {' | '.join(cells)} |")
    for number, reason in enumerate(reasons.texts, 1):
        typer.echo(f"\n({number}) {reason}")


if __name__ == "__main__":
    typer.run(main)
