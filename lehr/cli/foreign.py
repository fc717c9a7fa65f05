"""`lehr export --for READER`: a network in float units, for the NIR importer of another tool, and what that leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lehr.cli.models import read_model
from lehr.errors import NotBitExact, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lehr.arithmetic import Fires
    from lehr.cli.console import Output
    from lehr.export.readers import ReaderFile
    from lehr.network import Network

SAMPLES = 16
"""On how many samples the float graph is run."""
ForReader = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="READER",
        help="Write float units for another tool's NIR importer in place of the exact file: norse, rockpool, sc-neurocore, sinabs, "
        "snntorch, spikingjelly, or nir for any other. What they cannot say of the network is told.",
    ),
]


def reader_file(net: Network, reader: str | None) -> ReaderFile | None:
    """A network for an importer; None where none is asked for."""
    if reader is None:
        return None
    from lehr.export.readers import for_reader

    return for_reader(net, reader)


def from_network(out: Output, source: Path, reader: str, sample: Path | None, output: Path) -> None:
    """Write what a file of lehr's holds for an importer.

    Raises:
        UsageError: when the exact file would be overwritten.
    """
    from lehr.atomic import writing
    from lehr.export.readers import for_reader
    from lehr.samples import read_samples

    net = read_model(out, source)
    if output.exists() and output.samefile(source):
        raise UsageError(f"{output}: is the exact network, which float units cannot stand in for; write them to another file")
    made = for_reader(net, reader)
    out.facts.update(model=str(output), network=net.digest)
    with writing(output) as part:
        write(out, net, made, None if sample is None else read_samples(sample)[0], part)
    out.say(f"wrote {output}")


def write(out: Output, net: Network, made: ReaderFile, x: npt.NDArray[np.uint8] | None, path: Path) -> None:
    """Write the float graph, and tell what it leaves out and, where there are samples, how many spikes that costs.

    Raises:
        NotBitExact: when nothing was left out, and a spike differs all the same.
    """
    path.write_bytes(made.to_bytes())
    rows = []
    for name, kind in made.kinds.items():
        low, high = made.thresholds.get(name, (0.0, 0.0))
        exact = sorted({int(value) for value in net.neurons[name].threshold})
        rows.append((name, kind, _range(exact[0], exact[-1]), _range(round(low, 3), round(high, 3)) if high else "none"))
    out.table(("layer", f"in the file for {made.title}", "threshold", "stands at"), rows)
    for note in made.notes:
        out.say(note)
    differ, values = (0, 0) if x is None else _spikes_differ(net, made, x)
    if differ and made.proven:
        raise NotBitExact(f"{differ:,} of {values:,} spikes differ, but nothing was left out; report it as a bug of lehr")
    if x is not None and values:
        out.say(
            f"{differ:,} of {values:,} spikes differ on {min(len(x), SAMPLES)} samples, in double precision, stepped as {made.title} does"
        )
    if made.proven:
        out.say(f"nothing is left out: stepped in double precision, every spike of {net.steps} steps is the network's")
    out.checked = made.proven or values > 0
    unsaid = f"the input ({net.input.kind}), the {net.steps} steps and the readout ({net.readout})"
    out.say(f"NIR has no words for {unsaid}; they stand in the graph's metadata")
    out.facts["reader"] = {
        "name": made.title,
        "types": dict(made.kinds),
        "notes": list(made.notes),
        "proven": made.proven,
        **({"spikes_differ": differ, "values": values} if values else {}),
    }


def _range(low: float, high: float) -> str:
    return f"{low:,}" if low == high else f"{low:,}..{high:,}"


def _spikes_differ(net: Network, made: ReaderFile, x: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Spikes that differ, and how many values there are; none where an importer's neurons may fire several times in a step."""
    from io import BytesIO

    import nir

    from lehr.export.nirgraph import Semantics, from_nir, run
    from lehr.export.readers import READERS
    from lehr.simulate import simulate

    reader = READERS[made.title]
    if reader.reset == "subtract" and not made.proven:
        return 0, 0
    fires: Fires = "gt" if reader.reset == "zero" else "ge"
    how = Semantics(reader.dt, reader.reset, fires=fires, discretize=reader.decay, integrate="ode")
    file: Any = BytesIO(made.to_bytes())  # h5py takes any file object; the hint of nir.read is narrower
    graph = from_nir(nir.read(file, type_check=False))
    differ = values = 0
    for sample in x[:SAMPLES]:
        spikes = simulate(net, sample[None], trace=net.neurons).trace.spikes
        steps = sample.shape[: sample.ndim - len(net.input.shape)]
        floats = run(graph, sample.reshape(1, *steps, *graph.shape), how, net.steps).spikes
        differ += sum(int((floats[name].reshape(each.shape) != each).sum()) for name, each in spikes.items())
        values += sum(each.size for each in spikes.values())
    return differ, values
